/* tests/lib/faultstep.c: stop comp at its n-th system call that changes something.
 *
 *	faultstep [OPTION]... count COMP ARG...
 *	faultstep [OPTION]... kill N self|all COMP ARG...
 *	faultstep [OPTION]... errno N CODE COMP ARG...
 *	faultstep codes
 *
 * Everything comp starts is followed with ptrace(2) through forks and execs: the
 * CLI, supervisor, monitors, nethelper, extractor, nft, and a container's init up
 * to the execve of the workload.  What ran before under the same COMP_ROOT is
 * attached to.  One counter runs over all of them.  `count` says how far it
 * gets; `kill` sends SIGKILL to the process that is about to make call N (self), or
 * to all of comp's at that moment (all); the call is not made.  `errno` lets call N
 * fail with CODE: a name such as ENOSPC, or "fit:K", the K-th (modulo their number) of
 * those that make sense for that call; `codes` prints them, a call a line.
 *
 *	-o FILE     what happened, as assignments for a shell
 *	-t SECONDS  how long COMP may take (30)
 *	-w          count every call that can fail, reading ones and mmap(2) too
 *	-v          print each counted call
 *	-r DIR      count only what changes names or contents on the file system of DIR
 *	-x COMMAND  `sh -c COMMAND N CALL` before each counted call, while it waits
 *
 * In the file: calls (counted), hit (the call, empty when N was not reached),
 * status (of COMP, 128 + signal), hang (1: COMP did not end in time and was killed),
 * crashed (processes that got SIGSEGV, SIGABRT and the like).  Exit status 0, or
 * 125 when faultstep itself failed.
 *
 * A tracer is seen by nobody it traces but through time, and through EINTR from an
 * epoll_wait(2) that it interrupts when it attaches.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/elf.h>
#include <linux/ptrace.h>

#include "tests/lib/faultstep_calls.h"

#define SETTLE_MS     300 /* without a counted call, after the command has ended */
#define SETTLE_MAX_MS 3000
#define TRACE_OPTIONS                                                                              \
	(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |  \
	 PTRACE_O_TRACEEXEC)

/* ---- state ------------------------------------------------------------------------ */
enum mode { COUNT, KILL, FAIL };

struct tracee {
	pid_t pid;
	bool ours;    /* has executed a program of comp's, or was forked by one that has */
	bool foreign; /* in a pid namespace of its own: a container's init or a workload */
	bool in_call; /* between the entry and the exit of a call */
	int inject;   /* errno to return at the exit of this call */
	uint64_t first_arg; /* of the call that does not happen */
	bool stopped; /* known to us by its first stop */
	char role[32];
};

static struct tracee *tracees;
static size_t n_tracees, cap_tracees;
static enum mode mode;
static unsigned long target;
static bool all, wide, verbose, leaving;
static const char *wanted_code;
static const char *hook;
static dev_t only_device;
static unsigned long counted;
static char hit[512], crashed[256], code_used[16];
static ino_t own_pidns;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "faultstep: %s: %s\n", what, strerror(errno));
	exit(125);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static struct tracee *find(pid_t pid)
{
	for (size_t i = 0; i < n_tracees; i++)
		if (tracees[i].pid == pid)
			return &tracees[i];
	return NULL;
}

static struct tracee *add(pid_t pid)
{
	struct tracee *t = find(pid);

	if (t)
		return t;
	if (n_tracees == cap_tracees) {
		cap_tracees = cap_tracees ? cap_tracees * 2 : 64;
		tracees = realloc(tracees, cap_tracees * sizeof(*tracees));
		if (!tracees)
			die("memory");
	}
	t = &tracees[n_tracees++];
	*t = (struct tracee){ .pid = pid };
	return t;
}

static void forget(pid_t pid)
{
	struct tracee *t = find(pid);

	if (t)
		*t = tracees[--n_tracees];
}

static ssize_t link_of(pid_t pid, const char *what, char *out, size_t n)
{
	char path[64];
	ssize_t got;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, what);
	got = readlink(path, out, n - 1);
	out[got < 0 ? 0 : got] = '\0';
	return got;
}

static ino_t pidns_of(pid_t pid)
{
	char text[64];

	return link_of(pid, "ns/pid", text, sizeof(text)) < 0
		       ? 0
		       : (ino_t)strtoull(text + strcspn(text, "0123456789"), NULL, 10);
}

/* "comp", "comp-monitor", …, or NULL when the program of @pid is not comp's. */
static const char *program_of(pid_t pid, char *buf, size_t n)
{
	char *base, *end;

	if (link_of(pid, "exe", buf, n) < 0)
		return NULL;
	end = strstr(buf, " (deleted)");
	if (end)
		*end = '\0';
	base = strrchr(buf, '/');
	base = base ? base + 1 : buf;
	if (strncmp(base, "memfd:", 6) == 0)
		base += 6;
	return strcmp(base, "comp") == 0 || strncmp(base, "comp-", 5) == 0 ? base : NULL;
}

static size_t proc_file(pid_t pid, const char *name, char *buf, size_t n)
{
	char path[64];
	ssize_t got = 0;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		got = read(fd, buf, n - 1);
	if (fd >= 0)
		close(fd);
	got = got < 0 ? 0 : got;
	buf[got] = '\0';
	return (size_t)got;
}

static void set_role(struct tracee *t, const char *program)
{
	char cmdline[256];
	size_t n = proc_file(t->pid, "cmdline", cmdline, sizeof(cmdline));
	size_t first = strlen(cmdline);

	if (strcmp(program, "comp") == 0 && first + 1 < n &&
	    strcmp(cmdline + first + 1, "supervise") == 0)
		program = "supervisor";
	snprintf(t->role, sizeof(t->role), "%s", program);
}

/* ---- the memory and the registers of a stopped tracee --------------------------------- */
static void read_string(pid_t pid, uint64_t at, char *out, size_t n)
{
	struct iovec to = { out, n - 1 }, from = { (void *)(uintptr_t)at, n - 1 };
	ssize_t got = process_vm_readv(pid, &to, 1, &from, 1, 0);

	if (got <= 0) { /* near the end of a mapping */
		from.iov_len = to.iov_len = 4096 - at % 4096 < n - 1 ? 4096 - at % 4096 : n - 1;
		got = process_vm_readv(pid, &to, 1, &from, 1, 0);
	}
	out[got < 0 ? 0 : got] = '\0';
	for (char *p = out; *p; p++)
		if (!isprint((unsigned char)*p) || *p == '\'')
			*p = '?';
}

/* At the entry: make the kernel do nothing: read(-1, …).  Not call number -1, which a
 * seccomp filter does not allow. */
static void cancel_call(struct tracee *t)
{
#if defined(__x86_64__)
	struct user_regs_struct r;

	if (ptrace(PTRACE_GETREGS, t->pid, NULL, &r) < 0)
		return;
	t->first_arg = r.rdi;
	r.orig_rax = SYS_read;
	r.rdi = (unsigned long long)-1;
	(void)ptrace(PTRACE_SETREGS, t->pid, NULL, &r);
#elif defined(__aarch64__)
	struct user_regs_struct r;
	struct iovec regs = { &r, sizeof(r) };
	int nr = SYS_read;
	struct iovec v = { &nr, sizeof(nr) };

	if (ptrace(PTRACE_GETREGSET, t->pid, NT_PRSTATUS, &regs) < 0)
		return;
	r.regs[0] = (unsigned long long)-1;
	(void)ptrace(PTRACE_SETREGSET, t->pid, NT_PRSTATUS, &regs);
	(void)ptrace(PTRACE_SETREGSET, t->pid, NT_ARM_SYSTEM_CALL, &v);
#else
#	error "the way to replace a system call is not known for this architecture"
#endif
}

/* At the exit: let the call have returned -@code. */
static void set_result(const struct tracee *t, int code)
{
	struct user_regs_struct r;
	struct iovec v = { &r, sizeof(r) };

	if (ptrace(PTRACE_GETREGSET, t->pid, NT_PRSTATUS, &v) < 0)
		return;
#if defined(__x86_64__)
	r.rax = (unsigned long long)-code;
	r.rdi = t->first_arg; /* a program may rely on the kernel to leave it alone */
#else
	r.regs[0] = (unsigned long long)-code;
#endif
	(void)ptrace(PTRACE_SETREGSET, t->pid, NT_PRSTATUS, &v);
}

/* ---- does a call count? --------------------------------------------------------------- */
static const struct call *call_of(uint64_t nr)
{
	static const struct call *by_nr[1024];
	static bool filled;

	if (!filled)
		for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
			by_nr[calls[i].nr] = &calls[i];
	filled = true;
	return nr < 1024 ? by_nr[nr] : NULL;
}

static bool is_named_file(pid_t pid, uint64_t fd)
{
	char what[32], target_name[256];

	snprintf(what, sizeof(what), "fd/%d", (int)fd);
	if (link_of(pid, what, target_name, sizeof(target_name)) < 0)
		return false;
	return target_name[0] == '/' && strncmp(target_name, "/dev/", 5) != 0 &&
	       strncmp(target_name, "/memfd:", 7) != 0;
}

static bool counts(const struct tracee *t, const struct call *c, const __u64 *args)
{
	struct open_how how = { 0 };
	struct iovec to = { &how, sizeof(how) }, from = { (void *)(uintptr_t)args[2], sizeof(how) };

	if (wide)
		return true;
	switch (c->counts) {
	case ALWAYS:
		return true;
	case IF_CREATES:
		return args[c->at] & (O_CREAT | O_TRUNC);
	case IF_CREATES2:
		return process_vm_readv(t->pid, &to, 1, &from, 1, 0) > 0 &&
		       how.flags & (O_CREAT | O_TRUNC);
	case IF_FILE:
		return is_named_file(t->pid, args[0]);
	default:
		return false;
	}
}

/* -r: is what the call changes on that file system? */
static bool on_device(const struct tracee *t, const struct call *c, const __u64 *args)
{
	char at[64], path[200] = "";
	struct stat st;

	if (!only_device)
		return true;
	if (!changes_files(c->nr))
		return false;
	if (c->path >= 0)
		read_string(t->pid, args[c->path], path, sizeof(path));
	if (path[0] == '/') { /* as the process sees it, without its last component */
		char whole[300];

		*(strrchr(path + 1, '/') ?: path + 1) = '\0';
		snprintf(whole, sizeof(whole), "/proc/%d/root%s", t->pid, path);
		return stat(whole, &st) == 0 && st.st_dev == only_device;
	}
	if (c->path >= 0 && (c->path == 0 || (int)args[c->path - 1] == AT_FDCWD))
		snprintf(at, sizeof(at), "/proc/%d/cwd", t->pid);
	else
		snprintf(at, sizeof(at), "/proc/%d/fd/%d", t->pid,
			 (int)args[c->path > 0 ? c->path - 1 : 0]);
	return stat(at, &st) == 0 && st.st_dev == only_device;
}

static void run_hook(const char *text)
{
	char n[24];
	pid_t pid;

	snprintf(n, sizeof(n), "%lu", counted);
	pid = vfork();
	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", hook, n, text, NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, NULL, 0) < 0)
		die("run the command of -x");
}

static void describe(const struct tracee *t, const struct call *c, const __u64 *args, char *out,
		     size_t n)
{
	char detail[200] = "", what[32];

	if (c->path >= 0) {
		read_string(t->pid, args[c->path], detail, sizeof(detail));
	} else if (c->path == -1) {
		snprintf(what, sizeof(what), "fd/%d", (int)args[0]);
		(void)link_of(t->pid, what, detail, sizeof(detail));
	}
	for (char *p = detail; *p; p++)
		if (*p == '\'')
			*p = '?';
	snprintf(out, n, "%s%s[%d] %s %s", t->role, t->foreign ? "+init" : "", t->pid, c->name,
		 detail);
}

/* ---- going on, and letting go ------------------------------------------------------------ */
static void go_on(struct tracee *t, int sig)
{
	(void)ptrace(mode == FAIL && leaving ? PTRACE_CONT : PTRACE_SYSCALL, t->pid, NULL,
		     (void *)(long)sig);
}

static void let_go(struct tracee *t, int sig)
{
	(void)ptrace(PTRACE_DETACH, t->pid, NULL, (void *)(long)sig);
	forget(t->pid);
}

/* From now on only the end of the command is of interest. */
static void leave(void)
{
	leaving = true;
	if (mode == FAIL)
		return; /* they are still watched for crashes */
	for (size_t i = 0; i < n_tracees; i++)
		(void)ptrace(PTRACE_INTERRUPT, tracees[i].pid, NULL, NULL);
}

static void strike_all(void)
{
	for (size_t i = 0; i < n_tracees; i++)
		if (tracees[i].ours)
			(void)kill(tracees[i].pid, SIGKILL);
}

/* The n-th call: returns false when the tracee is dead now. */
static bool strike(struct tracee *t, const struct call *c)
{
	const char *word = wanted_code;
	size_t n = word ? strlen(word) : 0;

	if (mode == KILL) {
		if (all)
			strike_all();
		else
			(void)kill(t->pid, SIGKILL);
		leave();
		return false;
	}
	if (strncmp(word, "fit:", 4) == 0)
		word = pick_word(c->codes, strtoul(word + 4, NULL, 10), &n);
	snprintf(code_used, sizeof(code_used), "%.*s", (int)n, word);
	t->inject = code_value(word, n);
	if (!t->inject) {
		errno = EINVAL;
		die(word);
	}
	cancel_call(t);
	return true;
}

static void on_entry(struct tracee *t, const struct ptrace_syscall_info *info)
{
	const struct call *c = call_of(info->entry.nr);
	char text[400];

	if (!c || !t->ours || !counts(t, c, info->entry.args) || !on_device(t, c, info->entry.args))
		return;
	counted++;
	if (verbose || hook)
		describe(t, c, info->entry.args, text, sizeof(text));
	if (verbose)
		fprintf(stderr, "%lu %s\n", counted, text);
	if (hook)
		run_hook(text);
	if (mode != COUNT && counted == target) {
		describe(t, c, info->entry.args, hit, sizeof(hit));
		if (!strike(t, c))
			t->in_call = false;
	}
}

static void on_syscall(struct tracee *t)
{
	struct ptrace_syscall_info info;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, t->pid, (void *)sizeof(info), &info) < 0)
		return; /* killed meanwhile */
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
		t->in_call = true;
		on_entry(t, &info);
	} else if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
		t->in_call = false;
		if (t->inject) {
			set_result(t, t->inject);
			t->inject = 0;
			leave();
		}
	}
}

/* ---- births ---------------------------------------------------------------------------- */
static void on_birth(struct tracee *t)
{
	unsigned long child = 0;
	struct tracee *c, parent = *t;

	if (ptrace(PTRACE_GETEVENTMSG, t->pid, NULL, &child) < 0 || !child)
		return;
	c = add((pid_t)child); /* may move the table: @t is not used any more */
	c->ours = parent.ours;
	c->foreign = parent.foreign || (pidns_of(c->pid) && pidns_of(c->pid) != own_pidns);
	memcpy(c->role, parent.role, sizeof(c->role));
}

/* Workload: it is let go, and with it what else of comp's is left in its
 * container (the pid 1 that comp provides). */
static void let_go_container(struct tracee *t)
{
	ino_t ns = pidns_of(t->pid);
	pid_t pid = t->pid;

	if (ns && ns != own_pidns)
		for (size_t i = 0; i < n_tracees; i++)
			if (tracees[i].pid != pid && pidns_of(tracees[i].pid) == ns) {
				tracees[i].ours = false;
				tracees[i].foreign = true;
				(void)ptrace(PTRACE_INTERRUPT, tracees[i].pid, NULL, NULL);
			}
	let_go(t, 0);
}

/* Returns false when @t is gone from the table. */
static bool on_exec(struct tracee *t)
{
	char buf[256];
	const char *program = program_of(t->pid, buf, sizeof(buf));

	if (!program) {
		let_go_container(t);
		return false;
	}
	t->ours = true;
	set_role(t, program);
	return true;
}

/* ---- events ------------------------------------------------------------------------------ */
static bool is_crash(int sig)
{
	return sig == SIGSEGV || sig == SIGABRT || sig == SIGBUS || sig == SIGFPE ||
	       sig == SIGILL || sig == SIGSYS;
}

static void note_crash(const struct tracee *t, int sig)
{
	size_t n = strlen(crashed);

	if (t->ours && is_crash(sig))
		snprintf(crashed + n, sizeof(crashed) - n, "%s[%d]:%d ", t->role, t->pid, sig);
}

static void on_stop(struct tracee *t, int status)
{
	int sig = WSTOPSIG(status), event = status >> 16;
	bool stop_signal = sig == SIGSTOP || sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU;

	if (sig == (SIGTRAP | 0x80)) {
		if (!leaving || mode == FAIL)
			on_syscall(t);
		sig = 0;
	} else if (event == PTRACE_EVENT_EXEC) {
		if (!on_exec(t))
			return;
		sig = 0;
	} else if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK ||
		   event == PTRACE_EVENT_CLONE) {
		pid_t pid = t->pid;

		on_birth(t);
		t = find(pid);
		sig = 0;
	} else if (event == PTRACE_EVENT_STOP) {
		if (stop_signal && !leaving) {
			(void)ptrace(PTRACE_LISTEN, t->pid, NULL, NULL);
			return;
		}
		sig = 0;
	} else {
		note_crash(t, sig);
	}
	if (leaving && mode == KILL && all && t->ours)
		(void)kill(t->pid, SIGKILL); /* born while the others were being killed */
	if ((leaving && mode != FAIL) || (!t->ours && t->foreign))
		let_go(t, sig);
	else
		go_on(t, sig);
}

static int command_status = -1;

static void on_wait(pid_t pid, int status, pid_t command)
{
	struct tracee *t = find(pid);

	if (!WIFSTOPPED(status)) {
		if (pid == command)
			command_status = WIFSIGNALED(status) ? 128 + WTERMSIG(status)
							     : WEXITSTATUS(status);
		forget(pid);
		return;
	}
	if (!t)
		t = add(pid); /* its first stop came before its parent's event */
	if (!t->stopped) {
		t->stopped = true;
		if (!t->role[0] && pid != command) {
			char buf[256];
			const char *program = program_of(pid, buf, sizeof(buf));

			t->ours = program;
			t->foreign = pidns_of(pid) != own_pidns;
			if (program)
				set_role(t, program);
		}
	}
	on_stop(t, status);
}

/* ---- the run -------------------------------------------------------------------------------- */
static void attach(pid_t pid)
{
	if (ptrace(PTRACE_SEIZE, pid, NULL, (void *)TRACE_OPTIONS) < 0)
		return; /* it has just gone */
	add(pid);
	(void)ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
}

/* The supervisor and all that belongs to it, from before. */
static void attach_running(void)
{
	static char environment[1 << 17];
	const char *root = getenv("COMP_ROOT");
	struct dirent *entry;
	char mark[300], buf[256];
	DIR *dir = opendir("/proc");
	int n = snprintf(mark, sizeof(mark), "COMP_ROOT=%s", root ? root : "");

	while (root && dir && (entry = readdir(dir))) {
		pid_t pid = atoi(entry->d_name);
		size_t got;

		if (pid <= 0 || pid == getpid() || !program_of(pid, buf, sizeof(buf)) ||
		    pidns_of(pid) != own_pidns)
			continue;
		got = proc_file(pid, "environ", environment, sizeof(environment));
		for (char *p = environment; p < environment + got; p += strlen(p) + 1)
			if (strncmp(p, mark, (size_t)n + 1) == 0) {
				attach(pid);
				break;
			}
	}
	if (dir)
		closedir(dir);
}

static pid_t start(char **argv)
{
	int go[2];
	pid_t pid;

	if (pipe2(go, O_CLOEXEC) < 0)
		die("pipe");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		sigset_t none;
		char byte;

		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		if (read(go[0], &byte, 1) != 1)
			_exit(125);
		execvp(argv[0], argv);
		perror(argv[0]);
		_exit(127);
	}
	if (ptrace(PTRACE_SEIZE, pid, NULL, (void *)TRACE_OPTIONS) < 0)
		die("ptrace");
	add(pid);
	if (write(go[1], "", 1) != 1)
		die("start the command");
	close(go[0]);
	close(go[1]);
	return pid;
}

/* Handle all events there are; then wait for more, at most @ms. */
static void step(pid_t command, uint64_t ms)
{
	struct timespec limit = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };
	sigset_t chld;
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, __WALL | WNOHANG)) > 0)
		on_wait(pid, status, command);
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	(void)sigtimedwait(&chld, NULL, &limit);
}

/* After the command's end its helpers go on for a while. */
static void settle(pid_t command)
{
	uint64_t quiet_since = now_ms(), end = quiet_since + SETTLE_MAX_MS, now;
	uint64_t quiet = mode == FAIL && leaving ? 100 : SETTLE_MS;
	unsigned long seen = counted;

	while (n_tracees > 0 && !(leaving && mode != FAIL) && (now = now_ms()) < end &&
	       now - quiet_since < quiet) {
		step(command, 20);
		if (counted != seen)
			quiet_since = now_ms();
		seen = counted;
	}
}

/* Nobody may stay stopped; what does not stop within a second has no need of us. */
static void detach_all(pid_t command)
{
	uint64_t end = now_ms() + 1000;

	if (mode == FAIL)
		mode = COUNT; /* crashes are not waited for any more */
	leave();
	while (n_tracees > 0 && now_ms() < end)
		step(command, 20);
}

static bool run(char **argv, uint64_t seconds)
{
	uint64_t end = now_ms() + seconds * 1000;
	enum mode asked = mode;
	bool hang;
	pid_t command;

	attach_running();
	command = start(argv);
	while (command_status < 0 && now_ms() < end)
		step(command, 50);
	hang = command_status < 0;
	if (!hang)
		settle(command);
	detach_all(command);
	mode = asked;
	if (hang) {
		(void)kill(command, SIGKILL);
		(void)waitpid(command, NULL, __WALL);
		command_status = 124;
	}
	return hang;
}

static void report(const char *path, bool hang)
{
	FILE *f = path ? fopen(path, "we") : stdout;

	if (!f)
		die(path);
	fprintf(f, "calls=%lu\nhit='%s'\ncode='%s'\nstatus=%d\nhang=%d\ncrashed='%s'\n", counted,
		hit, code_used, command_status, hang, crashed);
	if (path)
		fclose(f);
}

static int parse(int argc, char **argv)
{
	int at = optind;

	if (at >= argc)
		return -1;
	if (strcmp(argv[at], "count") == 0) {
		mode = COUNT;
		return at + 1;
	}
	if (at + 3 >= argc)
		return -1;
	target = strtoul(argv[at + 1], NULL, 10);
	if (strcmp(argv[at], "kill") == 0) {
		mode = KILL;
		all = strcmp(argv[at + 2], "all") == 0;
	} else if (strcmp(argv[at], "errno") == 0) {
		mode = FAIL;
		wanted_code = argv[at + 2];
	} else {
		return -1;
	}
	return at + 3;
}

int main(int argc, char **argv)
{
	const char *out = NULL;
	uint64_t seconds = 30;
	struct stat st;
	sigset_t chld;
	int o, at;

	while ((o = getopt(argc, argv, "+o:t:wvr:x:")) != -1) {
		if (o == 'o')
			out = optarg;
		else if (o == 't')
			seconds = strtoul(optarg, NULL, 10);
		else if (o == 'w')
			wide = true;
		else if (o == 'v')
			verbose = true;
		else if (o == 'x')
			hook = optarg;
		else if (o == 'r' && stat(optarg, &st) == 0)
			only_device = st.st_dev;
	}
	if (optind == argc - 1 && strcmp(argv[optind], "codes") == 0) {
		for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
			printf("%s %s\n", calls[i].name, calls[i].codes);
		return 0;
	}
	at = parse(argc, argv);
	if (at < 0 || at >= argc) {
		fprintf(stderr, "usage: faultstep [-o FILE] [-t SECONDS] [-wv] [-r DIR] [-x COMMAND] "
				"count | kill N self|all | errno N CODE  COMP ARG... | codes\n");
		return 125;
	}
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	own_pidns = pidns_of(getpid());
	report(out, run(argv + at, seconds));
	return 0;
}
