/* engine/supervise/monitor.h: start containers through their monitors.
 *
 * The supervisor forks; the child clones the container's init
 * (container_launch()), reports, and becomes the small program comp-monitor:
 * parent of init, reader of its output, writer of its log and of its exit
 * record, and whoever notices first when the supervisor is gone.
 *
 * Files:
 *
 *  containers/ID/NUMBER.log
 *		the log; log_format.h.  Made with the first output
 *  COMP_RUN/PROJECT/monitors/ID
 *		who runs: {version, boot_id, pid, start_ticks, monitor_pid,
 *		monitor_ticks, started_at, stdout, stderr (inodes of the
 *		pipes)}; written before the workload can
 *		run for long, so a supervisor that died before it wrote its own
 *		record loses nothing.  About this boot, hence not on disk
 *
 * How a run ended goes into the slot of the project's exits file that the caller
 * took for it (engine/state/exits.h), and is on disk before the monitor exits.
 *
 * When a monitor's pidfd becomes readable, either that record is there, or the
 * monitor itself was killed: then nobody reads the container's output and it cannot
 * go on.  Take what is in its pipes (salvage.h), kill its cgroup and treat it as
 * exited with 137.
 *
 * Death of the supervisor: the monitors hold its pidfd.  One of them (elected by
 * flock(2) on monitors.lock in the project's run directory) starts
 * monitor_opts.supervisor_argv from monitor_opts.supervisor_exe_fd, detached, and
 * all then watch the process whose pid is in the file `lock` there.  If that
 * file is gone, so is the project, and nothing is started.  The new supervisor
 * takes over with monitor_adopt().
 *
 * Death of the supervisor and of all monitors at once: nobody is left to notice, unless
 * `comp systemd run` attends the project (cli/attend.h).  Containers run on, nethelper
 * serves on, and `ps` and `logs` tell what is so.  The next command that changes
 * something (up, down, start, stop, restart, boot, …) starts a supervisor, which does
 * what it does for any container whose monitor was killed: what its pipes still hold goes
 * into its log, it is ended, and its restart policy decides.  A container that
 * ended before, with nobody there to see how, is recorded as just that (record.unseen).
 *
 * Signals a monitor understands: SIGHUP: look again who is the supervisor, and
 * take the program of that process for future starts (after an upgrade in
 * place).  SIGUSR1: close the container's stdin.  Everything else that can be
 * ignored is.
 */
#ifndef ENGINE_SUPERVISE_MONITOR_H
#define ENGINE_SUPERVISE_MONITOR_H

#include <sys/types.h>

#include "base/err.h"
#include "base/proc.h"
#include "engine/container/launch.h"
#include "engine/container/procref.h"

#define MONITOR_VERSION        1
#define MONITOR_OOM_SCORE      (-500)
#define MONITOR_LOCK_NAME      "lock"          /* flock(2)ed by the supervisor; holds its pid */
#define MONITOR_ELECTION_NAME  "monitors.lock" /* flock(2)ed by the monitor that starts one */
#define MONITOR_EPOCH_NAME     "log-epoch"     /* of the log's order; see log_format.h */
#define MONITOR_RECORDS        "monitors"      /* directory of who runs; the caller makes it */

/* Descriptors of comp-monitor.  Fixed, so that a supervisor can fetch them with
 * pidfd_getfd(2); an unused one is /dev/null. */
enum monitor_fd {
	MONITOR_FD_STDOUT = 3,     /* reading end; with a terminal: its master, once received */
	MONITOR_FD_STDERR,         /* reading end */
	MONITOR_FD_STDIN,          /* writing end, when stdin is open */
	MONITOR_FD_CONSOLE,        /* socket on which init sends the pty master */
	MONITOR_FD_CONTAINER,      /* pidfd of init, our child */
	MONITOR_FD_SUPERVISOR,     /* pidfd */
	MONITOR_FD_SUPERVISOR_EXE, /* sealed memfd of comp */
	MONITOR_FD_EXITS,          /* the project's exits file */
	MONITOR_FD_DIR,            /* the container's directory */
	MONITOR_FD_RUN,            /* the project's run directory */
	MONITOR_FD_END,
};

struct monitor_opts {
	int monitor_exe_fd; /* comp-monitor, opened by the caller (O_PATH|O_CLOEXEC will do) */
	/* What to launch.  stdio, console_sock and error_fd are set by
	 * monitor_start(); the rest is the caller's. */
	const struct launch *launch;
	int dir_fd;          /* containers/ID */
	int exits_fd;        /* the project's exits file, and the slot in it of this run */
	uint32_t exit_slot;
	int run_dir_fd;      /* COMP_RUN/PROJECT */
	uint64_t started_at; /* CLOCK_REALTIME ns of this run; 0: now */
	/* For starting a new supervisor.  exe_fd -EBADF: none will be started.
	 * argv and env NULL: {"comp", "supervise", "--project", NAME} and ours. */
	int supervisor_exe_fd;
	char *const *supervisor_argv;
	char *const *supervisor_env;
};
#define MONITOR_OPTS_INIT                                                                          \
	((struct monitor_opts){ .monitor_exe_fd = -EBADF,                                          \
				.dir_fd = -EBADF,                                                  \
				.exits_fd = -EBADF,                                                \
				.run_dir_fd = -EBADF,                                              \
				.supervisor_exe_fd = -EBADF })

/* A start under way, then a running container's handles.  All descriptors
 * are the caller's; monitor_started_done() closes those that are left. */
struct monitor_started {
	pid_t monitor_pid; /* a child of the caller: reap it (waitid P_PIDFD) */
	int monitor_pidfd;
	uint64_t started_at;
	int sock;     /* until monitor_finish(): readable when that will not block */
	int error_fd; /* init's struct err, or end of file once the workload runs */
	int stdin_fd; /* writing end, when spec->stdin_open and no tty; else -EBADF.  The
		       * monitor has one too: SIGUSR1 closes that */
	/* Set by monitor_finish(). */
	pid_t pid;
	int pidfd;
	uint64_t start_ticks, monitor_ticks;
};
#define MONITOR_NOT_STARTED                                                                        \
	((struct monitor_started){ .monitor_pidfd = -EBADF,                                        \
				   .sock = -EBADF,                                                 \
				   .error_fd = -EBADF,                                             \
				   .stdin_fd = -EBADF,                                             \
				   .pidfd = -EBADF })

/* Fork.  Blocks for the fork(2) only; all else happens in the child.  On failure
 * nothing is left. */
int monitor_start(const struct monitor_opts *o, struct monitor_started *out, struct err *e);

/* The second half: receive what the child says about the container, when @s->sock
 * is readable (called earlier, it blocks until then, a millisecond or so).  The socket is closed.
 * On failure (@e has the child's words) the child is killed and reaped, and
 * everything in @s is closed. */
int monitor_finish(struct monitor_started *s, struct err *e);

/* What init reports: call when error_fd is readable.  1: the workload runs; 0: it
 * failed, *failure says why (init exits with 125..127, which the monitor will
 * record); -EAGAIN: not yet.  Never blocks.  error_fd is closed unless -EAGAIN. */
int monitor_read_error(struct monitor_started *s, struct err *failure);
void monitor_started_done(struct monitor_started *s); /* closes descriptors, kills nothing */

/* One per project and boot, so that the order keys of its containers compare. */
int monitor_order_epoch(int run_dir_fd, uint64_t *epoch, struct err *e);

/* ---- re-adoption ----------------------------------------------------------- */
struct monitor_record {
	char boot_id[BOOT_ID_MAX];
	struct procref process, monitor;
	uint64_t started_at; /* CLOCK_REALTIME ns */
	ino_t pipes[2];      /* of stdout and stderr; 0: none, or an older comp wrote it */
};
/* -ENOENT: there is none.  A torn or foreign file is -EBADMSG. */
int monitor_record_load(int run_dir_fd, const char *id, struct monitor_record *out, struct err *e);
void monitor_record_remove(int run_dir_fd, const char *id);

/* Open pidfds of the monitor and process in @r, the record of container @id.  -ESRCH: the
 * monitor is gone (or it was another boot): look for its exit record.  *pidfd is -ESRCH
 * when the process is gone while its monitor still writes the record.  -EXDEV: they are
 * there, with the start times they should have, but are not this container's: nothing
 * may be done to them. */
int monitor_adopt(const struct monitor_record *r, const char *id, int *monitor_pidfd, int *pidfd,
		  struct err *e);

/* A copy of the container's terminal master, or the writing end of its stdin, from
 * its monitor; the caller closes it.  -ENOENT: has none (or not yet). */
int monitor_get_stdin(int monitor_pidfd, bool tty, struct err *e);

#endif
