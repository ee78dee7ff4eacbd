/* engine/image/check.h: is the store what its records say?  What `comp system check` does. */
#ifndef ENGINE_IMAGE_CHECK_H
#define ENGINE_IMAGE_CHECK_H

#include "engine/image/store.h"

struct store_finding {
	const char *what;    /* "layer sha256:…" */
	const char *problem; /* "its files are not those that were loaded" */
	char *const *images; /* names (ids where there are none) of the images it hurts */
	bool repaired;
	const char *repair; /* what was done, or what to do about it; may be NULL */
};
typedef void (*store_finding_fn)(void *data, const struct store_finding *f);

struct store_check_options {
	bool repair; /* unpack again what can be, from the kept bytes */
	/* Is a container of this image running?  Its layers are not replaced then. */
	store_in_use_fn is_running;
	store_finding_fn finding;
	void *data; /* for both */
};
struct store_check_result {
	size_t n_images, n_layers, n_blobs; /* that were looked at */
	size_t n_problems, n_repaired;
	size_t n_unknown; /* layers of an older comp, whose bytes it did not keep */
};
/* Read everything, which takes as long as reading the images.  Others may use the
 * store meanwhile; layers stay. */
int store_check(struct store *s, const struct store_check_options *o,
		struct store_check_result *out, struct err *e);

#endif
