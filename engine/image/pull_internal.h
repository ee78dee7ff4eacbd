/* engine/image/pull_internal.h: what the files of a pull share.
 *
 * pull.c owns the jobs and their loop, pull_resolve.c asks the registry what an image
 * is, pull_layer.c gets its layers.
 */
#ifndef ENGINE_IMAGE_PULL_INTERNAL_H
#define ENGINE_IMAGE_PULL_INTERNAL_H

#include "engine/image/manifest.h"
#include "engine/image/platform.h"
#include "engine/image/pull.h"
#include "engine/image/ref.h"
#include "engine/image/stage.h"

struct pull;
struct pull_job;

struct pull_layer {
	struct pull_job *job;
	const struct descriptor *d; /* in the job's manifest */
	const char *diff_id;        /* in the job's config */
	char what[48];
	int fd;
	uint64_t got;
	bool started, verified, done;
	struct registry_call *call;
	struct stage_unpack *unpack;
	struct layer_source source;
};

enum job_step {
	JOB_QUEUED,
	JOB_HEAD,
	JOB_MANIFEST,
	JOB_CHILD,
	JOB_CONFIG,
	JOB_LAYERS,
	JOB_SYNC,
	JOB_TAGS,
	JOB_END
};

struct pull_job {
	struct pull *pull;
	size_t index;
	const struct pull_request *q;
	struct pull_result *result;
	struct image_ref ref;
	struct platform platform;
	struct registry_endpoints endpoints;
	size_t at; /* which of them */
	int endpoint;
	enum job_step step;
	uint64_t deadline; /* CLOCK_MONOTONIC ns; 0: none */
	struct registry_call *call;
	struct descriptor child; /* of an index; texts owned */
	struct buf manifest_text, config_text;
	struct manifest manifest;
	struct image_config config;
	struct pull_layer *layers;
	size_t n_layers;
	struct stage *stage;
	struct err failed; /* JOB_TAGS: what it will say */
};

struct pull {
	struct store *store;
	struct registries *registries;
	const struct pull_watch *w;
	struct pull_job *jobs;
	size_t n;
	unsigned int max_unpacks;
};

/* pull.c.  Both end the job, unless a mirror is left to try. */
void pull_job_fail(struct pull_job *j, const struct err *e);
void pull_job_end(struct pull_job *j, enum pull_outcome outcome);

/* pull_resolve.c */
/* Begin at the endpoint j->at. */
int pull_job_start(struct pull_job *j, struct err *e);
/* Does the store know the image that the registry calls @digest?  Then it gets the
 * name too, if it does not have it, and the job has ended. */
bool pull_job_is_current(struct pull_job *j, const char *digest);
char *pull_job_digest_ref(const struct pull_job *j, const char *digest);
/* Are these the bytes that were asked for?  @size: UINT64_MAX when not known. */
int pull_check_body(const struct registry_answer *a, const char *digest, uint64_t size,
		    struct err *e);

/* pull_layer.c */
/* The layers of the manifest and config that the job has. */
int pull_layers_make(struct pull_job *j, struct err *e);
void pull_layers_count(const struct pull *p, unsigned int *downloads, unsigned int *unpacks);
/* What can be done without waiting; counts what it starts. */
int pull_layer_advance(struct pull_layer *l, unsigned int *downloads, unsigned int *unpacks,
		       struct err *e);
/* Bytes that the unpacker may see. */
uint64_t pull_layer_available(const struct pull_layer *l);
/* Give up what it holds. */
void pull_layer_done(struct pull_layer *l);

#endif
