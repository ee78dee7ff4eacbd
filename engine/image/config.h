/* engine/image/config.h: an image's configuration: the OCI image config document.
 *
 * What is in here was written by whoever made the image.  It may say how the
 * workload runs; it never configures the engine (CVE-2026-53488): labels are
 * carried as text for `inspect` and for the container, and comp reads none of
 * them.
 */
#ifndef ENGINE_IMAGE_CONFIG_H
#define ENGINE_IMAGE_CONFIG_H

#include "base/err.h"
#include "base/json.h"

#define CONFIG_MAX_SIZE   (4U << 20) /* bytes of a config, manifest or index document */
#define CONFIG_MAX_LAYERS 500        /* overlayfs takes no more */

struct image_health {
	char **test; /* NULL: none stated; {"NONE"}: off; else CMD … / CMD-SHELL text */
	uint64_t interval, timeout, start_period, start_interval; /* ns; 0: not stated */
	int64_t retries;                                          /* 0: not stated */
};

/* A plain value; every pointer is owned, NULL is "not stated". */
struct image_config {
	char **entrypoint, **cmd; /* NULL and {} differ: {} clears an inherited one */
	char **env;               /* KEY=value, as in the image: PATH may be missing */
	char *user;               /* "", "uid", "name", "uid:gid", "name:group" */
	char *workdir;
	char **exposed;    /* "80/tcp" */
	char **volumes;    /* absolute paths as stated; resolve them inside the rootfs only */
	char *stop_signal; /* "SIGTERM" or a number, as stated */
	struct image_health health;
	char **labels;  /* KEY=value */
	char **shell;   /* {"/bin/sh", "-c"} when NULL */
	char **onbuild; /* instructions, for the builder */
	char *architecture, *os, *variant;
	uint64_t created; /* CLOCK_REALTIME ns; 0: not stated */
	char *author;
	char **diff_ids; /* sha256:… of the uncompressed layers, lowest first */
	json *history;   /* array as in the document, or NULL */
};

void image_config_done(struct image_config *c);

/* Read the document: sizes, types and diff ids are checked, unknown keys are
 * ignored, a duplicate key is refused. */
int image_config_parse(const char *text, size_t n, struct image_config *out, struct err *e);
/* The document, for a new image; json_unref() it. */
json *image_config_to_json(const struct image_config *c);
/* Only the "config" object of it, as `inspect` shows it. */
json *image_config_runtime_json(const struct image_config *c);

#endif
