/* engine/build/remote.c: see remote.h.
 *
 * A repository is hostile input, so git gets as little as it can live with: a mount
 * namespace in which /tmp is the directory to fill, no privileges where it needs no keys, no
 * configuration of the machine or of a user, no hooks, no prompts, and only those
 * protocols that were asked for (a submodule's ext:: would run a command; CVE-2017-1000117 was a
 * host name that began with "-").
 */
#include "engine/build/remote.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/spawn.h"
#include "base/strv.h"

#define NOBODY     65534
#define OUTPUT_MAX 16384
#define NO_PROGRAM 127 /* sh(1): command not found */

/* ---- names ------------------------------------------------------------------------- */
static bool has_prefix(const char *s, const char *const *prefixes)
{
	for (; *prefixes; prefixes++)
		if (skip_prefix(s, *prefixes))
			return true;
	return false;
}

bool remote_is(const char *context)
{
	static const char *const prefixes[] = { "http://", "https://",    "git://", "ssh://",
						"git@",    "github.com/", NULL };

	return has_prefix(context, prefixes);
}

static bool is_git(const char *context)
{
	static const char *const always[] = { "git://", "ssh://", "git@", "github.com/", NULL };
	static const char *const web[] = { "http://", "https://", NULL };
	size_t n = strcspn(context, "#");

	return has_prefix(context, always) ||
	       (has_prefix(context, web) && n > 4 && memcmp(context + n - 4, ".git", 4) == 0);
}

void remote_git_done(struct remote_git *g)
{
	free(g->url);
	free(g->ref);
	free(g->subdir);
	*g = (struct remote_git){ 0 };
}

/* "ref:dir" behind the "#". */
static void split_fragment(const char *fragment, struct remote_git *g)
{
	const char *colon = strchrnul(fragment, ':');

	if (colon > fragment)
		g->ref = xstrndup(fragment, (size_t)(colon - fragment));
	if (*colon && colon[1])
		g->subdir = xstrdup(colon + 1);
}

int remote_git_parse(const char *context, struct remote_git *out, struct err *e)
{
	const char *hash = strchrnul(context, '#');
	_cleanup_(free_p) char *url = xstrndup(context, (size_t)(hash - context));

	*out = (struct remote_git){ 0 };
	if (!is_git(context))
		return 0;
	if (*hash)
		split_fragment(hash + 1, out);
	out->url = skip_prefix(url, "github.com/") ? xasprintf("https://%s", url) : TAKE_PTR(url);
	/* Neither may be taken for an option, by git or by ssh. */
	if ((out->ref && *out->ref == '-') || strstr(out->url, "://-") || strstr(out->url, "@-")) {
		remote_git_done(out);
		return err_set(e, EINVAL, "%s: not a git repository", context);
	}
	return 1;
}

/* ---- git(1) ------------------------------------------------------------------------ */
static bool needs_keys(const struct remote_git *g)
{
	return skip_prefix(g->url, "ssh://") || skip_prefix(g->url, "git@");
}

static int become_nobody(void)
{
	if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
			       setresuid(NOBODY, NOBODY, NOBODY) < 0))
		return -errno;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

/* /tmp, there, is @dir: it lies where nobody may not go. */
static int enter(const char *dir, bool privileged)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount(dir, "/tmp", NULL, MS_BIND, NULL) < 0 || chdir("/tmp") < 0)
		return -errno;
	return privileged ? 0 : become_nobody();
}

static char **git_env(bool keys)
{
	static const char *const of_keys[] = { "HOME", "SSH_AUTH_SOCK", "USER" };
	static const char *const of_all[] = { "PATH",          "http_proxy",  "https_proxy",
					      "HTTPS_PROXY",   "no_proxy",    "NO_PROXY",
					      "SSL_CERT_FILE", "SSL_CERT_DIR" };
	char **env = NULL;

	strv_env_set(&env, "HOME", "/nonexistent");
	for (size_t i = 0; i < ARRAY_SIZE(of_all); i++)
		if (getenv(of_all[i]))
			strv_env_set(&env, of_all[i], getenv(of_all[i]));
	for (size_t i = 0; keys && i < ARRAY_SIZE(of_keys); i++)
		if (getenv(of_keys[i]))
			strv_env_set(&env, of_keys[i], getenv(of_keys[i]));
	strv_env_set(&env, "LC_ALL", "C");
	strv_env_set(&env, "GIT_CONFIG_NOSYSTEM", "1");
	strv_env_set(&env, "GIT_CONFIG_GLOBAL", "/dev/null");
	strv_env_set(&env, "GIT_TERMINAL_PROMPT", "0");
	strv_env_set(&env, "GIT_ALLOW_PROTOCOL", keys ? "ssh:https:git" : "https:http:git");
	strv_env_set(&env, "GIT_SSH_COMMAND", "ssh -o BatchMode=yes");
	return env;
}

static _Noreturn void child(const struct remote_git *g, const char *dir, char *const *argv, int out)
{
	_cleanup_(strv_freep) char **env = git_env(needs_keys(g));
	sigset_t none;
	int r, null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)setsid(); /* all of git's children die as one group; no terminal to ask */
	for (int sig = 1; sig < NSIG; sig++)
		(void)signal(sig, SIG_DFL); /* KILL, STOP and libc's own say no, rightly */
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	umask(022);
	r = enter(dir, needs_keys(g));
	if (r < 0)
		dprintf(out, "cannot prepare for git: %s\n", strerror(-r));
	if (r < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0 ||
	    syscall(SYS_close_range, 3, ~0U, 0) < 0)
		_exit(1);
	/* Changing the uid has cleared it. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	execvpe("git", argv, env);
	_exit(errno == ENOENT ? NO_PROGRAM : 1);
}

/* What it says, until it closes its end or somebody gives up. */
static int collect(int fd, int cancel_fd, struct buf *out, struct err *e)
{
	char text[4096];

	for (;;) {
		struct pollfd p[] = { { .fd = fd, .events = POLLIN },
				      { .fd = cancel_fd, .events = POLLIN } };
		ssize_t n;

		if (poll(p, ARRAY_SIZE(p), -1) < 0 && errno != EINTR)
			return err_errno(e, errno, "poll");
		if (p[1].revents)
			return err_set(e, ECANCELED, "canceled");
		if (!p[0].revents)
			continue;
		n = retry_eintr(read(fd, text, sizeof(text)));
		if (n < 0)
			return err_errno(e, errno, "read what git says");
		if (n == 0)
			return 0;
		if (out->len < OUTPUT_MAX)
			buf_add(out, text, (size_t)n);
	}
}

/* What it says from "fatal:" on, else at last, on one line. */
static char *reason(const char *output)
{
	const char *fatal = strstr(output, "fatal: ");
	_cleanup_(strv_freep) char **lines = strv_split(fatal ? fatal + 7 : output, '\n', true);
	size_t n = strv_len(lines);

	if (n == 0)
		return xstrdup("it says nothing");
	return fatal ? strv_join(lines, " ") : xstrdup(lines[n - 1]);
}

/* Run git; its exit code, or -errno.  argv[0] is "git". */
static int run(const struct remote_git *g, const char *dir, char *const *argv, int cancel_fd,
	       struct buf *out, struct err *e)
{
	_cleanup_(fd_closep) int fd = -EBADF;
	pid_t pid;
	int code, r = spawn_fork(&pid, &fd, e);

	if (r < 0)
		return r;
	if (r == 0)
		child(g, dir, argv, fd);
	r = collect(fd, cancel_fd, out, e);
	if (r < 0)
		(void)kill(-pid, SIGKILL); /* the group that it leads; not reaped yet */
	code = spawn_wait(pid);
	if (r == 0 && code == NO_PROGRAM) {
		r = err_set(e, ENOENT, "%s: git is not installed", g->url);
		(void)err_hint(e, "install it (apt install git), or clone the repository yourself");
	}
	return r < 0 ? r : code;
}

/* Run git and want it to succeed. */
static int git(const struct remote_git *g, const char *dir, int cancel_fd, struct err *e,
	       const char *const *args)
{
	_cleanup_(strv_freep) char **argv = NULL;
	_cleanup_(buf_done) struct buf out = BUF_INIT;
	_cleanup_(free_p) char *why = NULL;
	int code;

	strv_add(&argv, "git");
	strv_add(&argv, "-c");
	strv_add(&argv, "core.hooksPath=/dev/null");
	strv_add(&argv, "-c");
	strv_add(&argv, "advice.detachedHead=false");
	for (; *args; args++)
		strv_add(&argv, *args);
	code = run(g, dir, argv, cancel_fd, &out, e);
	if (code <= 0)
		return code;
	why = reason(buf_str(&out));
	return err_set(e, ENOENT, "git: %s: %s", g->url, why);
}
#define GIT(...) git(g, dir, cancel_fd, e, (const char *const[]){ __VA_ARGS__, NULL })

static bool is_commit(const char *ref)
{
	return ref && strlen(ref) >= 7 && strspn(ref, "0123456789abcdef") == strlen(ref);
}

/* One revision.  Not every server gives out a commit by its id (uploadpack.allowAnySHA1InWant)
 * or less than all (plain files over HTTP), so then everything is fetched and looked for in
 * there. */
static int fetch_revision(const struct remote_git *g, const char *dir, int cancel_fd, struct err *e)
{
	const char *ref = g->ref ?: "HEAD";
	struct err shallow = ERR_INIT;
	int r = GIT("fetch", "-q", "--depth=1", "--no-tags", "--", g->url, ref);

	if (r == 0)
		return GIT("checkout", "-q", "FETCH_HEAD");
	if (r != -ENOENT || !e || (!is_commit(g->ref) && !strstr(e->msg, "shallow")))
		return r;
	shallow = *e;
	*e = ERR_INIT;
	if (!is_commit(g->ref)) {
		r = GIT("fetch", "-q", "--no-tags", "--", g->url, ref);
		return r == 0 ? GIT("checkout", "-q", "FETCH_HEAD") : r;
	}
	r = GIT("fetch", "-q", "--", g->url, "+refs/*:refs/remotes/origin/*");
	if (r == 0)
		r = GIT("checkout", "-q", g->ref, "--");
	if (r == -ENOENT)
		*e = shallow;
	return r;
}

static int read_commit(const struct remote_git *g, const char *dir, int cancel_fd, char **commit,
		       struct err *e)
{
	char *argv[] = { "git", "rev-parse", "HEAD", NULL };
	_cleanup_(buf_done) struct buf out = BUF_INIT;
	int code = run(g, dir, argv, cancel_fd, &out, e);

	if (code < 0)
		return code;
	if (code > 0)
		return err_set(e, EIO, "git: %s: cannot tell the commit", g->url);
	*commit = xstrndup(buf_str(&out), strcspn(buf_str(&out), "\n"));
	return 0;
}

int remote_git_fetch(const struct remote_git *g, const char *dir, bool keep_git_dir, int cancel_fd,
		     char **commit, struct err *e)
{
	_cleanup_(free_p) char *own = path_join(dir, ".git"),
			       *modules = path_join(dir, ".gitmodules");
	int r = 0;

	if (geteuid() == 0 && !needs_keys(g) && chown(dir, NOBODY, NOBODY) < 0)
		return err_errno(e, errno, "chown %s", dir);
	r = GIT("init", "-q", "--initial-branch=main", ".");
	if (r == 0)
		r = fetch_revision(g, dir, cancel_fd, e);
	if (r == 0 && access(modules, F_OK) == 0) {
		r = GIT("remote", "add", "origin", "--",
			g->url); /* relative ones are relative to it */
		if (r == 0)
			r = GIT("submodule", "-q", "update", "--init", "--recursive", "--depth=1");
	}
	if (r == 0 && commit)
		r = read_commit(g, dir, cancel_fd, commit, e);
	if (r == 0 && !keep_git_dir)
		r = rm_rf(AT_FDCWD, own, e);
	return r;
}

int remote_git_open(const char *dir, const char *subdir, struct err *e)
{
	struct open_how how = { .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
				.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
	_cleanup_(fd_closep) int root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd = root < 0 ? -1 : (int)syscall(SYS_openat2, root, subdir ?: ".", &how, sizeof(how));

	return fd < 0 ? err_errno(e, errno, "the repository has no directory \"%s\"", subdir ?: ".")
		      : fd;
}
