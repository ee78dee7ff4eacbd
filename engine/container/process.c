/* engine/container/process.c: see process.h.
 *
 * The order is what matters here.  Descriptors are closed before the working
 * directory is entered, so that no host directory can be reached through
 * /proc/self/fd (CVE-2024-21626); the filter is loaded last, when only
 * capset, execve, write and exit are left to do.  Loading it without
 * no_new_privs needs CAP_SYS_ADMIN, so that one stays until just after.
 */
#include "engine/container/process.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/strv.h"
#include "engine/container/caps.h"
#include "engine/container/launch.h"
#include "engine/container/user.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_Noreturn void process_fail(int error_fd, const struct err *e, int code)
{
	/* Smaller than PIPE_BUF, so all or nothing; a reader that is gone is no reason to linger.
	 */
	if (error_fd >= 0)
		(void)retry_eintr(write(error_fd, e, sizeof(*e)));
	else
		dprintf(STDERR_FILENO, "%s\n", e->msg);
	_exit(code);
}

int process_prepare(struct err *e)
{
	sigset_t none;

	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return err_errno(e, errno, "clear the dumpable flag");
	for (int sig = 1; sig < NSIG; sig++)
		(void)signal(sig, SIG_DFL); /* KILL, STOP and libc's own say no, rightly */
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)setsid(); /* fails only for a group leader, which a fresh child is not */
	/* Keyrings know no namespaces; an anonymous new one hides ours.  ENOSYS: no keys at all. */
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS)
		return err_errno(e, errno, "join a new session keyring");
	umask(0);
	return 0;
}

int process_set_oom(const struct container_spec *s, struct err *e)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", s->oom_score_adj_set ? s->oom_score_adj : 0);
	return file_poke(AT_FDCWD, "/proc/self/oom_score_adj", text, e);
}

/* ---- streams ------------------------------------------------------------------------ */
int process_set_stdio(const int fd[3], struct err *e)
{
	int high[3];

	for (int i = 0; i < 3; i++) {
		high[i] = fcntl(fd[i], F_DUPFD_CLOEXEC, 3);
		if (high[i] < 0)
			return err_errno(e, errno, "standard stream %d", i);
	}
	for (int i = 0; i < 3; i++) {
		if (dup2(high[i], i) < 0)
			return err_errno(e, errno, "standard stream %d", i);
		fd_close(high[i]);
	}
	return 0;
}

int process_set_terminal(int ptmx, int sock, int *slave, struct err *e)
{
	_cleanup_(fd_closep) int peer = -EBADF;
	int unlock = 0, r;

	if (ioctl(ptmx, TIOCSPTLCK, &unlock) < 0)
		return err_errno(e, errno, "unlock the pty");
	/* By descriptor, not through /dev/pts/N, which may be anything (CVE-2025-52565). */
	peer = ioctl(ptmx, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (peer < 0)
		return err_errno(e, errno, "open the pty");
	r = process_set_stdio((const int[]){ peer, peer, peer }, e);
	if (r < 0)
		return r;
	if (ioctl(0, TIOCSCTTY, 0) < 0)
		return err_errno(e, errno, "set the controlling terminal");
	r = fd_send(sock, "", 1, &ptmx, 1);
	if (r < 0)
		return err_errno(e, -r, "hand over the pty");
	if (slave)
		*slave = TAKE_FD(peer);
	return 0;
}

/* /dev/stdout and friends lead through /proc/self/fd, where the inode's own
 * permissions count: let the container's user open what it was given. */
static void own_streams(const struct user *u)
{
	struct stat st;

	for (int fd = 0; fd <= 2; fd++) {
		if (fstat(fd, &st) < 0 || st.st_uid == u->uid)
			continue;
		if (S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3))
			continue; /* the host's /dev/null stays root's */
		/* Read-only and odd file systems say no; writing by descriptor still works. */
		(void)!fchown(fd, u->uid, st.st_gid);
	}
}

/* ---- limits --------------------------------------------------------------------------- */
static const struct {
	const char *name;
	int resource;
} limits[] = {
	{ "core", RLIMIT_CORE },         { "cpu", RLIMIT_CPU },
	{ "data", RLIMIT_DATA },         { "fsize", RLIMIT_FSIZE },
	{ "locks", RLIMIT_LOCKS },       { "memlock", RLIMIT_MEMLOCK },
	{ "msgqueue", RLIMIT_MSGQUEUE }, { "nice", RLIMIT_NICE },
	{ "nofile", RLIMIT_NOFILE },     { "nproc", RLIMIT_NPROC },
	{ "rss", RLIMIT_RSS },           { "rtprio", RLIMIT_RTPRIO },
	{ "rttime", RLIMIT_RTTIME },     { "sigpending", RLIMIT_SIGPENDING },
	{ "stack", RLIMIT_STACK },       { "as", RLIMIT_AS },
};

static int set_limit(const struct ulimit_spec *u, struct err *e)
{
	const struct rlimit value = {
		.rlim_cur = u->soft < 0 ? RLIM_INFINITY : (rlim_t)u->soft,
		.rlim_max = u->hard < 0 ? RLIM_INFINITY : (rlim_t)u->hard,
	};

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		if (!streq(limits[i].name, u->name))
			continue;
		if (setrlimit((__rlimit_resource_t)limits[i].resource, &value) < 0)
			return err_errno(e, errno, "ulimit %s=%lld:%lld", u->name,
					 (long long)u->soft, (long long)u->hard);
		return 0;
	}
	return err_set(e, EINVAL, "invalid ulimit type: %s", u->name);
}

/* ---- directory --------------------------------------------------------------------------- */
static int enter_directory(const char *cwd, struct err *e)
{
	_cleanup_(fd_closep) int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), fd = -EBADF;
	char path[PATH_MAX];

	if (root < 0)
		return err_errno(e, errno, "open /");
	fd = fd_open_in_root(root, is_empty(cwd) ? "/" : cwd, O_PATH | O_DIRECTORY, 0, e);
	if (fd < 0)
		return err_wrap(e, fd, "working directory");
	if (fchdir(fd) < 0)
		return err_errno(e, errno, "working directory %s", cwd);
	/* The system call says "(unreachable)/..." for a directory outside of our root. */
	if (syscall(SYS_getcwd, path, sizeof(path)) < 0 || path[0] != '/')
		return err_set(e, EXDEV, "working directory %s is outside of the container", cwd);
	return 0;
}

/* ---- privileges --------------------------------------------------------------------------- */
static int drop_privileges(const struct process *p, const struct user *u, struct err *e)
{
	const uint64_t admin = UINT64_C(1) << CAP_SYS_ADMIN;
	uint64_t final = u->uid == 0 ? p->caps : 0; /* execve would take them anyway */
	bool nnp = p->spec->no_new_privileges, late = p->seccomp && !nnp && !(final & admin);
	int r;

	if (setgroups(u->n_groups, u->groups) < 0)
		return err_errno(e, errno, "set groups");
	if (setresgid(u->gid, u->gid, u->gid) < 0)
		return err_errno(e, errno, "set group %u", u->gid);
	r = caps_bound(p->caps, e);
	if (r < 0)
		return r;
	if (prctl(PR_SET_KEEPCAPS, 1) < 0 || setresuid(u->uid, u->uid, u->uid) < 0)
		return err_errno(e, errno, "set user %u", u->uid);
	(void)prctl(PR_SET_KEEPCAPS, 0); /* execve clears it as well */
	if (nnp && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(e, errno, "set no_new_privs");
	r = caps_set(late ? final | admin : final, e);
	if (r == 0 && p->seccomp)
		r = seccomp_install(p->seccomp, e);
	if (r == 0 && late)
		r = caps_set(final, e);
	return r;
}

/* ---- environment ----------------------------------------------------------------------------- */
static char **make_env(const struct process *p, const struct user *u)
{
	const struct container_spec *s = p->spec;
	char **env = NULL, host[65] = "";

	(void)gethostname(host, sizeof(host) - 1); /* none: the variable is left out */
	strv_addf(&env, "PATH=%s", DEFAULT_PATH);
	if (*host)
		strv_addf(&env, "HOSTNAME=%s", host);
	if (p->tty)
		strv_add(&env, "TERM=xterm");
	STRV_FOREACH (pair, p->env ? p->env : s->env) {
		const char *equals = strchr(*pair, '=');
		_cleanup_(free_p) char *key = equals ? xstrndup(*pair, (size_t)(equals - *pair))
						     : NULL;

		if (key)
			strv_env_set(&env, key, equals + 1);
	}
	if (!strv_env_get(env, "HOME"))
		strv_addf(&env, "HOME=%s", u->home);
	return env;
}

/* ---- execve -------------------------------------------------------------------------------------
 */
static _Noreturn void fail_exec(const struct process *p, int code, const char *path)
{
	const char *name = p->argv[0];
	struct err e = ERR_INIT;
	int exit_code = EXIT_NOT_EXECUTABLE;

	if (!path) {
		err_set(&e, ENOENT, "exec: \"%s\": executable file not found in $PATH", name);
		exit_code = EXIT_NOT_FOUND;
	} else if (code == ENOENT && access(path, F_OK) == 0) {
		err_set(&e, code, "exec %s: no such file or directory", path);
		err_hint(&e, "the file is there, but the interpreter or loader it names is not");
		exit_code = EXIT_NOT_FOUND;
	} else if (code == ENOENT) {
		err_set(&e, code, "exec: \"%s\": stat %s: no such file or directory", name, path);
		exit_code = EXIT_NOT_FOUND;
	} else if (code == EACCES || code == EPERM) {
		err_set(&e, code, "exec: \"%s\": permission denied", name);
	} else if (code == EISDIR) {
		err_set(&e, code, "exec: \"%s\": is a directory", name);
	} else if (code == ENOEXEC) {
		err_set(&e, code, "exec %s: exec format error", path);
		err_hint(&e, "the file is for another architecture, or a script without #!");
	} else {
		err_errno(&e, code, "exec %s", path);
	}
	process_fail(p->error_fd, &e, exit_code);
}

static _Noreturn void try_exec(const struct process *p, char *const *env, const char *path)
{
	struct stat st;
	int code;

	execve(path, p->argv, env);
	code = errno;
	if (code == EACCES && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		code = EISDIR;
	fail_exec(p, code, path);
}

static _Noreturn void exec_workload(const struct process *p, char *const *env)
{
	const char *name = p->argv[0], *denied = NULL;
	_cleanup_(strv_freep) char **dirs = NULL;

	if (strchr(name, '/'))
		try_exec(p, env, name);
	dirs = strv_split(strv_env_get(env, "PATH") ? strv_env_get(env, "PATH") : "", ':', true);
	STRV_FOREACH (dir, dirs) {
		char *path = xasprintf("%s/%s", *dir, name);
		struct stat st;

		if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
			continue;
		if (access(path, X_OK) == 0)
			try_exec(p, env, path);
		denied = path;
	}
	fail_exec(p, EACCES, denied);
}

static int settle(const struct process *p, struct user *u, struct err *e)
{
	_cleanup_(fd_closep) int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = 0;

	if (!p->argv || !p->argv[0] || !*p->argv[0])
		return err_set(e, EINVAL, "no command specified");
	if (root < 0)
		return err_errno(e, errno, "open /");
	for (size_t i = 0; r == 0 && i < p->spec->n_ulimits; i++)
		r = set_limit(&p->spec->ulimits[i], e);
	if (r == 0)
		r = user_lookup(root, p->user, p->spec->group_add, u, e);
	if (r == 0)
		own_streams(u);
	if (r == 0)
		r = enter_directory(p->cwd, e);
	return r;
}

_Noreturn void process_run(const struct process *given)
{
	struct process p = *given;
	struct user u = { 0 };
	struct err e = ERR_INIT;
	char **env;

	/* One descriptor is left beside the streams, and execve closes that one. */
	if (p.error_fd >= 0 && p.error_fd != 3) {
		if (dup3(p.error_fd, 3, O_CLOEXEC) < 0)
			process_fail(p.error_fd, &e, EXIT_SETUP);
		p.error_fd = 3;
	}
	(void)syscall(SYS_close_range, p.error_fd < 0 ? 3 : 4, ~0U,
		      0); /* Linux 5.9, below our floor: cannot fail */
	if (settle(&p, &u, &e) < 0)
		process_fail(p.error_fd, &e, EXIT_SETUP);
	env = make_env(&p, &u);
	umask(022);
	(void)prctl(PR_SET_PDEATHSIG, 0);
	if (drop_privileges(&p, &u, &e) < 0)
		process_fail(p.error_fd, &e, EXIT_SETUP);
	exec_workload(&p, env);
}
