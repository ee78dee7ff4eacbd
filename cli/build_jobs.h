/* cli/build_jobs.h: several builds, side by side, with one display.
 *
 * Each runs in a process of its own, forked, so what belongs to a build (its contexts,
 * its supervisor, its cancellation) stays as it is for one.  What there is one of stays
 * here: the terminal, the registry, ^C.
 */
#ifndef CLI_BUILD_JOBS_H
#define CLI_BUILD_JOBS_H

#include "cli/builder.h"

struct build_job {
	const char *label; /* the service; borrowed */
	struct builder builder;
	size_t *needs; /* jobs that come before, by number */
	size_t n_needs;
	char id[DIGEST_MAX]; /* afterwards: of the image */
};

/* Blocks until all of @jobs are done: as many at a time as --parallel says, else as keep the
 * processors busy.  The first failure ends the others, and is @e.  -ECANCELED after ^C.
 * @mode, @quiet: as for builder_run(). */
int build_jobs_run(struct context *ctx, struct build_job *jobs, size_t n, const char *mode,
		   bool quiet, struct err *e);

#endif
