/* engine/container/init.c: from clone to execve, in the child.
 *
 * Everything it needs is in memory, inherited from the supervisor; nothing is parsed or
 * read back.  It runs with the supervisor's sealed executable and is not
 * dumpable, so a container that manages to look at it before execve finds nothing to
 * open or trace (CVE-2016-9962, CVE-2019-5736).
 */
#include "engine/container/init.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>

#include "base/cleanup.h"
#include "engine/container/caps.h"
#include "engine/container/process.h"
#include "engine/container/setup.h"

static int prepare(const struct launch *l, struct process *p, struct err *e)
{
	const struct container_spec *s = l->spec;

	*p = (struct process){ .spec = s,
			       .argv = s->argv,
			       .env = s->env,
			       .user = s->user,
			       .cwd = s->cwd,
			       .tty = s->tty,
			       .seccomp = l->seccomp,
			       .error_fd = l->error_fd };
	return caps_from_spec(s, &p->caps, e);
}

/* Whoever called container_launch() takes us along, should it die before we are done.  If it
 * died before it could, nobody knows of us (and getppid(2) is 0 in a new pid namespace). */
static int die_with(int parent, struct err *e)
{
	struct pollfd p = { .fd = parent, .events = POLLIN };

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return err_errno(e, errno, "set the parent death signal");
	return poll(&p, 1, 0) > 0 ? err_set(e, ESRCH, "comp went away") : 0;
}

_Noreturn void init_main(const struct launch *l, int parent, bool entered_cgroup)
{
	struct setup setup = {
		.l = l,
		.spec = l->spec,
		.entered_cgroup = entered_cgroup,
		.dir_fd = -EBADF,
		.null_fd = -EBADF,
		.shm_fd = -EBADF,
		.mqueue_fd = -EBADF,
		.root_fd = -EBADF,
		.proc_fd = -EBADF,
		.dev_fd = -EBADF,
		.ptmx_fd = -EBADF,
	};
	struct process p;
	struct err e = ERR_INIT;
	int r = process_prepare(&e);

	if (r == 0)
		r = die_with(parent, &e);
	if (r == 0)
		r = prepare(l, &p, &e);
	if (r == 0)
		r = setup_run(&setup, &e);
	if (r < 0)
		process_fail(l->error_fd, &e, EXIT_SETUP);
	/* What setup holds open or allocated goes with close_range and execve. */
	if (l->spec->init)
		tiny_init(l, &p);
	process_run(&p);
}
