/* base/proc.c: see proc.h. */
#include "base/proc.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"

static int read_proc(pid_t pid, const char *name, struct buf *out, struct err *e)
{
	char path[64];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	r = file_read(AT_FDCWD, path, 65536, out, e);
	if (r == -ENOENT || r == -ESRCH)
		return err_set(e, ESRCH, "no process %d", pid);
	return r;
}

/* What follows the command name in /proc/PID/stat: the name may hold spaces
 * and parentheses, so its end is the last ')'. */
static int stat_fields(pid_t pid, struct buf *b, const char **rest, struct err *e)
{
	int r = read_proc(pid, "stat", b, e);

	if (r < 0)
		return r;
	*rest = strrchr(buf_str(b), ')');
	if (!*rest || (*rest)[1] != ' ')
		return err_set(e, EBADMSG, "cannot read /proc/%d/stat", pid);
	*rest += 2;
	return 0;
}

int proc_start_ticks(pid_t pid, uint64_t *ticks, struct err *e)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	const char *rest;
	char *end;
	int r = stat_fields(pid, &b, &rest, e);

	if (r < 0)
		return r;
	for (int field = 3; field < 22 && rest; field++) {
		rest = strchr(rest, ' ');
		if (rest)
			rest++;
	}
	if (!rest)
		return err_set(e, EBADMSG, "cannot read /proc/%d/stat", pid);
	*ticks = strtoull(rest, &end, 10);
	return end == rest ? err_set(e, EBADMSG, "cannot read /proc/%d/stat", pid) : 0;
}

int proc_state(pid_t pid)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	const char *rest;
	int r = stat_fields(pid, &b, &rest, NULL);

	return r < 0 ? r : *rest;
}

int proc_boot_id(char buf[BOOT_ID_MAX], struct err *e)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = file_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, &b, e);

	if (r < 0)
		return r;
	snprintf(buf, BOOT_ID_MAX, "%.36s", buf_str(&b));
	return 0;
}

static int status_field(pid_t pid, const char *field, struct buf *b, const char **value,
			struct err *e)
{
	_cleanup_(free_p) char *key = xasprintf("\n%s:", field);
	const char *at;
	int r = read_proc(pid, "status", b, e);

	if (r < 0)
		return r;
	at = strstr(buf_str(b), key);
	if (!at)
		return err_set(e, ENOENT, "no %s in /proc/%d/status", field, pid);
	at += strlen(key);
	*value = at + strspn(at, " \t");
	return 0;
}

int proc_status_mask(pid_t pid, const char *field, uint64_t *mask, struct err *e)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	const char *value;
	int r = status_field(pid, field, &b, &value, e);

	if (r == 0)
		*mask = strtoull(value, NULL, 16);
	return r;
}

int proc_status_number(pid_t pid, const char *field, uint64_t *n, struct err *e)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	const char *value;
	int r = status_field(pid, field, &b, &value, e);

	if (r == 0)
		*n = strtoull(value, NULL, 10);
	return r;
}

const char *proc_comm(pid_t pid, char buf[16])
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	if (read_proc(pid, "comm", &b, NULL) < 0)
		return strcpy(buf, "?");
	snprintf(buf, 16, "%.*s", (int)strcspn(buf_str(&b), "\n"), buf_str(&b));
	return buf;
}
