/* cli/process_row.c: see process_row.h.  proc_pid_stat(5), proc_pid_cmdline(5). */
#include "cli/process_row.h"

#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/strv.h"

#define PROC_FILE_MAX 65536
#define DAY           86400

bool process_times_parse(const char *stat, double now, long hz, struct process_times *out)
{
	const char *open = strchr(stat, '('), *close = strrchr(stat, ')');
	unsigned long long user, system, start;

	if (!open || !close || close < open ||
	    sscanf(close,
		   ") %*c %d %*d %*d %d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d "
		   "%*d %*d %llu",
		   &out->ppid, &out->tty_nr, &user, &system, &start) != 5)
		return false;
	snprintf(out->comm, sizeof(out->comm), "%.*s", (int)(close - open - 1), open + 1);
	out->cpu_seconds = (user + system) / (unsigned long long)hz;
	out->age = now - (double)start / (double)hz;
	out->percent = out->age >= 1 ? (unsigned int)((double)(user + system) / (double)hz * 100 /
						      out->age)
				     : 0;
	out->percent = MIN(out->percent, 99u);
	return true;
}

static bool read_proc(pid_t pid, const char *name, struct buf *text)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return file_read(AT_FDCWD, path, PROC_FILE_MAX, text, NULL) == 0;
}

/* The name, as the host knows it, or the number. */
static char *user_text(pid_t pid)
{
	uint64_t uid = 0;
	struct passwd *pw;

	if (proc_status_number(pid, "Uid", &uid, NULL) < 0)
		return xstrdup("?");
	pw = getpwuid((uid_t)uid);
	return pw ? xstrdup(pw->pw_name) : xasprintf("%u", (unsigned int)uid);
}

static char *tty_text(int nr)
{
	unsigned int major_nr = (unsigned int)nr >> 8 & 0xfff;
	unsigned int minor_nr = ((unsigned int)nr & 0xff) | ((unsigned int)nr >> 12 & 0xfff00);

	if (major_nr >= 136 && major_nr <= 143)
		return xasprintf("pts/%u", minor_nr + (major_nr - 136) * 256);
	return xstrdup("?");
}

/* "12:00" today, "Nov20" this year or so. */
static char *start_text(double age)
{
	time_t now = time(NULL), start = now - (time_t)age;
	struct tm a, b;
	char text[16];

	localtime_r(&start, &a);
	localtime_r(&now, &b);
	strftime(text, sizeof(text), a.tm_yday == b.tm_yday && now - start < DAY ? "%H:%M" : "%b%d",
		 &a);
	return xstrdup(text);
}

static char *time_text(uint64_t s)
{
	if (s >= DAY)
		return xasprintf("%llu-%02u:%02u:%02u", (unsigned long long)(s / DAY),
				 (unsigned int)(s / 3600 % 24), (unsigned int)(s / 60 % 60),
				 (unsigned int)(s % 60));
	return xasprintf("%02u:%02u:%02u", (unsigned int)(s / 3600), (unsigned int)(s / 60 % 60),
			 (unsigned int)(s % 60));
}

/* Words apart by blanks, what a terminal could take for a command as '?'. */
static char *command_text(pid_t pid, const char *comm)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT;

	if (!read_proc(pid, "cmdline", &text) || text.len == 0)
		return xasprintf("[%s]", comm);
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.data[i];

		if (c == '\0')
			text.data[i] = ' ';
		else if (c < ' ' || c == 0x7f)
			text.data[i] = '?';
	}
	while (text.len && text.data[text.len - 1] == ' ')
		buf_truncate(&text, text.len - 1);
	return xstrdup(buf_str(&text));
}

char **process_row(pid_t pid)
{
	_cleanup_(buf_done) struct buf stat = BUF_INIT;
	struct process_times t;
	struct timespec now;
	char **row = NULL;

	(void)clock_gettime(CLOCK_BOOTTIME, &now); /* always there */
	if (!read_proc(pid, "stat", &stat) ||
	    !process_times_parse(buf_str(&stat), (double)now.tv_sec + (double)now.tv_nsec / 1e9,
				 sysconf(_SC_CLK_TCK), &t))
		return NULL;
	strv_add_take(&row, user_text(pid));
	strv_addf(&row, "%d", pid);
	strv_addf(&row, "%d", t.ppid);
	strv_addf(&row, "%u", t.percent);
	strv_add_take(&row, start_text(t.age));
	strv_add_take(&row, tty_text(t.tty_nr));
	strv_add_take(&row, time_text(t.cpu_seconds));
	strv_add_take(&row, command_text(pid, t.comm));
	return row;
}
