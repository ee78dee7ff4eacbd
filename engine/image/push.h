/* engine/image/push.h: images from the store to registries. */
#ifndef ENGINE_IMAGE_PUSH_H
#define ENGINE_IMAGE_PUSH_H

#include "engine/image/registry.h"
#include "engine/image/store.h"

enum push_layer_state {
	PUSH_LAYER_PREPARING, /* made anew from the unpacked layer */
	PUSH_LAYER_PUSHING,
	PUSH_LAYER_RETRYING,
	PUSH_LAYER_EXISTS,
	PUSH_LAYER_MOUNTED, /* the registry had it in the repository @note */
	PUSH_LAYER_DONE,
};
struct push_watch {
	void *data;
	int cancel_fd;
	/* @digest: of the diff id, which is known before the blob's is. */
	void (*layer)(void *data, const char *digest, enum push_layer_state state, uint64_t current,
		      uint64_t total, const char *note);
	int (*interval)(void *data);
	void (*tick)(void *data);
};
struct push_result {
	char *digest; /* of the manifest */
	uint64_t size;
};
void push_result_done(struct push_result *r);

/* Push the image that @ref names to where @ref points.  Layers that were pulled go out
 * as the bytes they came as, and so does the manifest if it fits; others are packed
 * (gzip), always to the same bytes. */
int push_image(struct store *s, struct registries *r, const char *ref, const struct push_watch *w,
	       struct push_result *out, struct err *e);

#endif
