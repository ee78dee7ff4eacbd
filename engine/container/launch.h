/* engine/container/launch.h: from a spec to a running process.
 *
 * container_launch() is called in a forked child of the supervisor that will
 * become the container's monitor.  It clones the container's init and returns
 * at once; the caller then execs the monitor program, with the pid and pidfd it
 * got here.  Init (engine/container/init.c) meanwhile does all the rest by
 * itself, down to execve of the workload:
 *
 *	supervisor ── fork ──> monitor-to-be ── container_launch() ──> init ──> workload
 *	      ^                    └─ execve comp-monitor                │
 *	      └──────────── error pipe: struct err, or just EOF ─────────┘
 *
 * Success shows as end of file on the reading end of the error pipe without a
 * byte before it: execve has closed the last writing end (so every other
 * process must have closed its own: the supervisor after fork, the monitor by
 * O_CLOEXEC).  Failure shows as exactly one struct err, and the exit code of
 * init is then
 *
 *	127  the program is not there ("exec: \"foo\": executable file not found in $PATH")
 *	126  it cannot be executed (permission, a directory, wrong format)
 *	125  our own set-up failed; the message starts with what was being done
 *
 * until then init dies with the process that called container_launch()
 * (PR_SET_PDEATHSIG); an execve there, into the monitor, does not count.
 */
#ifndef ENGINE_CONTAINER_LAUNCH_H
#define ENGINE_CONTAINER_LAUNCH_H

#include <sys/types.h>

#include "base/err.h"
#include "engine/container/cgroup.h"
#include "engine/container/seccomp.h"
#include "engine/container/spec.h"

#define EXIT_NOT_FOUND      127
#define EXIT_NOT_EXECUTABLE 126
#define EXIT_SETUP          125

struct launch {
	const struct container_spec *spec;

	/* The container's state directory, absolute, as seen in the caller's
	 * mount namespace.  upper/ and work/ are made when missing. */
	const char *dir_path;
	/* What /etc/hosts, hostname and resolv.conf say; NULL: the image's own.  They live in
	 * memory and end with the run. */
	const char *hosts, *hostname, *resolv_conf;
	/* Of launch_init_layer(); NULL: none. */
	const char *init_layer;

	/* The network namespace to join; -EBADF: what spec->net says (the
	 * caller's own for NAMESPACE_HOST, else a new one with only lo, down). */
	int netns_fd;
	/* For pid, ipc and uts with mode NAMESPACE_CONTAINER: the namespaces to
	 * join; ipc_mntns_fd is the mount namespace of the container whose ipc is
	 * shared, for its /dev/shm (-EBADF: an own /dev/shm). */
	int pidns_fd, ipcns_fd, ipc_mntns_fd, utsns_fd;

	/* Become 0, 1, 2.  With spec->tty they are not used: init makes a
	 * pty in the container's own devpts and sends its master as SCM_RIGHTS with
	 * one byte over console_sock (an AF_UNIX socket; the other end belongs to
	 * the monitor). */
	int stdio[3];
	int console_sock;

	int tiny_fd; /* comp-init, sealed: /proc/1/exe shows it to the container; for spec->init */
	const struct seccomp_program *seccomp; /* NULL: no filter */
	struct cgroup *cgroup;                 /* created before; NULL: stay in the caller's */
	int error_fd;                          /* writing end of the error pipe, O_CLOEXEC */
};

#define LAUNCH_INIT                                                                                \
	((struct launch){ .netns_fd = -EBADF,                                                      \
			  .pidns_fd = -EBADF,                                                      \
			  .ipcns_fd = -EBADF,                                                      \
			  .ipc_mntns_fd = -EBADF,                                                  \
			  .utsns_fd = -EBADF,                                                      \
			  .stdio = { 0, 1, 2 },                                                    \
			  .console_sock = -EBADF,                                                  \
			  .tiny_fd = -EBADF,                                                       \
			  .error_fd = -EBADF })

/* Clone init.  Does not wait for anything.  On success *pid is init's pid in the
 * caller's pid namespace and *pidfd (caller closes; O_CLOEXEC) pins it.  On
 * failure nothing was started and @e says why; nothing is written to error_fd. */
int container_launch(const struct launch *l, pid_t *pid, int *pidfd, struct err *e);

/* The read-only top layer all containers share, <root>/init-layer: real /dev,
 * /proc, /sys and empty /etc/{hosts,hostname,resolv.conf}, so that an image
 * cannot put links in their places.  Made when missing; call once.  free() *path. */
int launch_init_layer(const char *root, char **path, struct err *e);

#endif
