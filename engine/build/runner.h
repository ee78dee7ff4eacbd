/* engine/build/runner.h: RUN, in a container like any other.
 *
 * A build has a hidden project of its own, "build.<id>" (a name that users cannot give),
 * with the same supervisor as every project: bridge, DNS, cgroups, logs and the cleaning
 * up after a crash are its.  It is started with the first RUN that is not cached.
 */
#ifndef ENGINE_BUILD_RUNNER_H
#define ENGINE_BUILD_RUNNER_H

#include "base/cleanup.h"
#include "engine/container/spec.h"
#include "engine/state/dirs.h"

#define RUNNER_PREFIX "build."

struct runner;

int runner_new(const struct dirs *d, const char *project, struct runner **out, struct err *e);
void runner_free(struct runner *r);
DEFINE_CLEANUP(struct runner *, runner_free, runner_freep);

/* Output as it comes: whole lines without their newline, or pieces of long ones. */
typedef void (*runner_output_fn)(void *data, bool is_stderr, const char *p, size_t n);

/* Run @spec to its end; names and networks are filled in here, @bridge: give it the
 * project's network.  *code: exit code.  @e: it could not be started. */
int runner_run(struct runner *r, struct container_spec *spec, bool bridge, runner_output_fn output,
	       void *data, int *code, struct err *e);
/* The container's directory, whose "upper" is what it wrote; borrowed. */
const char *runner_dir(const struct runner *r);
/* After runner_run(), whatever came of it: the container goes. */
int runner_remove(struct runner *r, struct err *e);

/* Take a build's project down: what still runs is killed.  @interrupted: stages were killed
 * at their work.  Absent is success. */
int runner_clean(const struct dirs *d, const char *project, bool interrupted, struct err *e);

#endif
