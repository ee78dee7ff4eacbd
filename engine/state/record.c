/* engine/state/record.c: the record as JSON, one file per container.
 *
 * Readers trust nothing: a field of the wrong type reads as absent, and only
 * the fields without which a record means nothing (version, id, name, project,
 * status) are insisted on.
 */
#include "engine/state/record.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/strv.h"
#include "engine/state/lock.h"

#define RECORD_FILE_MAX (1 << 20)

static const char *const status_names[] = {
	[CONTAINER_CREATED] = "created",
	[CONTAINER_STARTING] = "starting",
	[CONTAINER_RUNNING] = "running",
	[CONTAINER_PAUSED] = "paused",
	[CONTAINER_RESTARTING] = "restarting",
	[CONTAINER_STOPPING] = "stopping",
	[CONTAINER_EXITED] = "exited",
	[CONTAINER_REMOVING] = "removing",
	[CONTAINER_DEAD] = "dead",
};
static_assert(ARRAY_SIZE(status_names) == CONTAINER_STATUS_MAX, "one name per status");

static const char *const health_names[] = {
	[HEALTH_NONE] = "",
	[HEALTH_STARTING] = "starting",
	[HEALTH_HEALTHY] = "healthy",
	[HEALTH_UNHEALTHY] = "unhealthy",
};

static const char *const again_names[] = {
	[AGAIN_NO] = "no",
	[AGAIN_FOLLOW] = "follow",
	[AGAIN_UNHEALTHY] = "unhealthy",
	[AGAIN_BOOT] = "boot",
};

const char *container_status_name(enum container_status s)
{
	return status_names[s];
}

enum container_status record_status_shown(const struct record *r)
{
	switch (r->status) {
	case CONTAINER_STARTING:
		return r->finished_at ? CONTAINER_RESTARTING : CONTAINER_CREATED;
	case CONTAINER_STOPPING:
		return CONTAINER_RUNNING;
	default:
		return r->status;
	}
}

const char *health_status_name(enum health_status s)
{
	return health_names[s];
}

static int find_name(const char *const *names, size_t n, const char *name)
{
	for (size_t i = 0; name && i < n; i++)
		if (streq(names[i], name))
			return (int)i;
	return -1;
}

bool record_is_active(const struct record *r)
{
	switch (r->status) {
	case CONTAINER_STARTING:
	case CONTAINER_RUNNING:
	case CONTAINER_PAUSED:
	case CONTAINER_RESTARTING:
	case CONTAINER_STOPPING:
		return true;
	default:
		return false;
	}
}

struct record *record_new(void)
{
	return new0(struct record);
}

void record_clear_networks(struct record *r)
{
	for (size_t i = 0; i < r->n_networks; i++) {
		struct attached_network *n = &r->networks[i];

		free(n->network);
		free(n->ipv4);
		free(n->ipv6);
		free(n->gateway4);
		free(n->gateway6);
		free(n->mac);
		free(n->ifname);
		free(n->host_ifname);
		strv_free(n->names);
	}
	free(r->networks);
	r->networks = NULL;
	r->n_networks = 0;
}

void record_clear_ports(struct record *r)
{
	for (size_t i = 0; i < r->n_ports; i++) {
		free(r->ports[i].host_ip);
		free(r->ports[i].protocol);
	}
	free(r->ports);
	r->ports = NULL;
	r->n_ports = 0;
}

void record_free(struct record *r)
{
	if (!r)
		return;
	free(r->id);
	free(r->name);
	free(r->project);
	free(r->service);
	free(r->image);
	free(r->image_id);
	free(r->config_hash);
	free(r->command);
	free(r->error);
	record_clear_networks(r);
	record_clear_ports(r);
	free(r);
}

static json *network_to_json(const struct attached_network *n)
{
	json *o = json_new_object();

	json_put_str(o, "network", n->network);
	json_put_str(o, "ipv4", n->ipv4);
	json_put_str(o, "ipv6", n->ipv6);
	json_put_str(o, "gateway4", n->gateway4);
	json_put_str(o, "gateway6", n->gateway6);
	json_put_str(o, "mac", n->mac);
	json_put_str(o, "ifname", n->ifname);
	json_put_str(o, "host_ifname", n->host_ifname);
	json_put_strv(o, "names", n->names);
	return o;
}

static void network_from_json(json *o, struct attached_network *n)
{
	n->network = xstrdup_null(json_get_str(o, "network"));
	n->ipv4 = xstrdup_null(json_get_str(o, "ipv4"));
	n->ipv6 = xstrdup_null(json_get_str(o, "ipv6"));
	n->gateway4 = xstrdup_null(json_get_str(o, "gateway4"));
	n->gateway6 = xstrdup_null(json_get_str(o, "gateway6"));
	n->mac = xstrdup_null(json_get_str(o, "mac"));
	n->ifname = xstrdup_null(json_get_str(o, "ifname"));
	n->host_ifname = xstrdup_null(json_get_str(o, "host_ifname"));
	n->names = json_get_strv(o, "names");
}

static json *port_to_json(const struct published_port *p)
{
	json *o = json_new_object();

	json_put_str(o, "host_ip", p->host_ip);
	json_put_int(o, "host_port", p->host_port);
	json_put_int(o, "container_port", p->container_port);
	json_put_str(o, "protocol", p->protocol);
	return o;
}

static void port_from_json(json *o, struct published_port *p)
{
	const char *ip = json_get_str(o, "host_ip"), *protocol = json_get_str(o, "protocol");

	p->host_ip = xstrdup(ip ? ip : "0.0.0.0");
	p->host_port = (uint16_t)json_get_int(o, "host_port", 0);
	p->container_port = (uint16_t)json_get_int(o, "container_port", 0);
	p->protocol = xstrdup(protocol ? protocol : "tcp");
}

json *record_to_json(const struct record *r)
{
	json *o = json_new_object(), *networks = json_new_array(), *ports = json_new_array();

	json_put_int(o, "version", RECORD_VERSION);
	json_put_str(o, "id", r->id);
	json_put_str(o, "name", r->name);
	json_put_str(o, "project", r->project);
	json_put_str(o, "service", r->service);
	json_put_str(o, "image", r->image);
	json_put_str(o, "image_id", r->image_id);
	json_put_str(o, "config_hash", r->config_hash);
	json_put_str(o, "command", r->command);
	json_put_int(o, "number", r->number);
	json_put_bool(o, "oneoff", r->oneoff);
	if (r->pre_start)
		json_put_int(o, "pre_start", r->pre_start);
	json_put_u64(o, "created", r->created);
	json_put_str(o, "status", status_names[r->status]);
	json_put_str(o, "boot_id", r->boot_id);
	json_put_int(o, "pid", r->pid);
	json_put_int(o, "monitor_pid", r->monitor_pid);
	json_put_u64(o, "start_ticks", r->start_ticks);
	json_put_u64(o, "monitor_ticks", r->monitor_ticks);
	json_put_u64(o, "started_at", r->started_at);
	json_put_u64(o, "finished_at", r->finished_at);
	json_put_int(o, "exit_code", r->exit_code);
	json_put_bool(o, "oom_killed", r->oom_killed);
	json_put_bool(o, "user_stopped", r->user_stopped);
	json_put_str(o, "error", r->error);
	json_put_u64(o, "restart_count", r->restart_count);
	json_put_int(o, "failures", r->failures);
	json_put_u64(o, "restart_at", r->restart_at);
	json_put_str(o, "health", health_names[r->health]);
	if (r->again)
		json_put_str(o, "again", again_names[r->again]);
	if (r->follows)
		json_put_bool(o, "follows", true);
	if (r->post_start_due)
		json_put_bool(o, "post_start_due", true);
	if (r->held)
		json_put_bool(o, "held", true);
	if (r->unseen)
		json_put_bool(o, "unseen", true);
	if (r->lost)
		json_put_bool(o, "lost", true);
	for (size_t i = 0; i < r->n_networks; i++)
		json_push(networks, network_to_json(&r->networks[i]));
	json_put(o, "networks", networks);
	for (size_t i = 0; i < r->n_ports; i++)
		json_push(ports, port_to_json(&r->ports[i]));
	json_put(o, "ports", ports);
	return o;
}

static void read_lists(json *j, struct record *r)
{
	json *networks = json_get(j, "networks"), *ports = json_get(j, "ports");

	r->n_networks = json_len(networks);
	r->networks = xcalloc(r->n_networks, sizeof(*r->networks));
	for (size_t i = 0; i < r->n_networks; i++)
		network_from_json(json_at(networks, i), &r->networks[i]);
	r->n_ports = json_len(ports);
	r->ports = xcalloc(r->n_ports, sizeof(*r->ports));
	for (size_t i = 0; i < r->n_ports; i++)
		port_from_json(json_at(ports, i), &r->ports[i]);
}

int record_from_json(json *j, struct record **out, struct err *e)
{
	_cleanup_(record_freep) struct record *r = record_new();
	int64_t version;
	int status, health, again, ret;
	const char *id, *name, *project, *boot = json_get_str(j, "boot_id");

	ret = json_need_int(j, "version", &version, e);
	if (ret < 0)
		return ret;
	if (version > RECORD_VERSION)
		return err_set(e, EPROTO, "written by a newer comp (version %d)", (int)version);
	if ((ret = json_need_str(j, "id", &id, e)) < 0 ||
	    (ret = json_need_str(j, "name", &name, e)) < 0 ||
	    (ret = json_need_str(j, "project", &project, e)) < 0)
		return ret;
	status = find_name(status_names, CONTAINER_STATUS_MAX, json_get_str(j, "status"));
	if (status < 0)
		return err_set(e, EBADMSG, "field \"status\" is missing or unknown");
	health = find_name(health_names, ARRAY_SIZE(health_names), json_get_str(j, "health"));
	r->id = xstrdup(id);
	r->name = xstrdup(name);
	r->project = xstrdup(project);
	r->service = xstrdup_null(json_get_str(j, "service"));
	r->image = xstrdup_null(json_get_str(j, "image"));
	r->image_id = xstrdup_null(json_get_str(j, "image_id"));
	r->config_hash = xstrdup_null(json_get_str(j, "config_hash"));
	r->command = xstrdup_null(json_get_str(j, "command"));
	r->number = (int)json_get_int(j, "number", 1);
	r->oneoff = json_get_bool(j, "oneoff", false);
	r->pre_start = (int)json_get_int(j, "pre_start", 0);
	r->created = json_get_u64(j, "created", 0);
	r->saved = json_get_u64(j, "saved", 0);
	r->status = (enum container_status)status;
	snprintf(r->boot_id, sizeof(r->boot_id), "%s", boot ? boot : "");
	r->pid = (pid_t)json_get_int(j, "pid", 0);
	r->monitor_pid = (pid_t)json_get_int(j, "monitor_pid", 0);
	r->start_ticks = json_get_u64(j, "start_ticks", 0);
	r->monitor_ticks = json_get_u64(j, "monitor_ticks", 0);
	r->started_at = json_get_u64(j, "started_at", 0);
	r->finished_at = json_get_u64(j, "finished_at", 0);
	r->exit_code = (int)json_get_int(j, "exit_code", 0);
	r->oom_killed = json_get_bool(j, "oom_killed", false);
	r->user_stopped = json_get_bool(j, "user_stopped", false);
	r->error = xstrdup_null(json_get_str(j, "error"));
	r->restart_count = json_get_u64(j, "restart_count", 0);
	r->failures = (int)json_get_int(j, "failures", 0);
	r->restart_at = json_get_u64(j, "restart_at", 0);
	r->health = health < 0 ? HEALTH_NONE : (enum health_status)health;
	again = find_name(again_names, ARRAY_SIZE(again_names), json_get_str(j, "again"));
	r->again = again < 0 ? AGAIN_NO : (enum again)again;
	r->follows = json_get_bool(j, "follows", false);
	r->post_start_due = json_get_bool(j, "post_start_due", false);
	r->lost = json_get_bool(j, "lost", false);
	r->held = json_get_bool(j, "held", false);
	r->unseen = json_get_bool(j, "unseen", false);
	read_lists(j, r);
	*out = TAKE_PTR(r);
	return 0;
}

static char *file_of(const struct dirs *d, const char *project, const char *id, const char *name)
{
	_cleanup_(free_p) char *dir = dirs_container(d, project, id);

	return path_join(dir, name);
}

/* ---- the file ------------------------------------------------------------------ */
/* Two files take turns: the next state is written over the older one, then they
 * change places (rename(2), RENAME_EXCHANGE).  A reader by name finds a whole record, as
 * with a temporary file, but no inode and no block is made or given back for each
 * change, which is what costs.  Who opened the file just before two changes may
 * read a mixture; the sum at its end tells, and so it does after a power failure.
 */
#define NAME  "state.json"
#define OTHER ".state.json"

/* Nothing of that waits for the disk: after a power failure both may be torn, or as they
 * were some changes ago.  So when a command has ended record_settle syncs the current
 * one, and before that is written over again it becomes KEPT, a third file in turn.
 * NEW is a link that says in which boot the container was made, until it was settled
 * the first time: a link has no data that could be lost.
 */
#define KEPT ".kept.json"
#define NEW  ".new"

#define SUM_KEY ",\"sum\":\""

static uint64_t sum_of(const char *text, size_t n)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

	for (size_t i = 0; i < n; i++)
		h = (h ^ (uint8_t)text[i]) * UINT64_C(0x100000001b3);
	return h;
}

static void add_text(struct buf *b, json *j)
{
	const char *text = json_text(j);
	size_t n = strlen(text) - 1; /* up to the closing brace */

	buf_add(b, text, n);
	buf_printf(b, SUM_KEY "%016llx\"}", (unsigned long long)sum_of(text, n));
}

/* A text without a sum, from another hand, is as good. */
static bool sum_is_right(const struct buf *b)
{
	const char *at = memmem(buf_str(b), b->len, SUM_KEY, strlen(SUM_KEY));
	char want[20];

	if (!at)
		return true;
	snprintf(want, sizeof(want), "%016llx",
		 (unsigned long long)sum_of(b->data, (size_t)(at - b->data)));
	return strncmp(at + strlen(SUM_KEY), want, strlen(want)) == 0;
}

static int write_over(int dir, const struct buf *b, bool durable)
{
	_cleanup_(fd_closep) int fd = retry_eintr(
		openat(dir, OTHER, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
	int r = fd < 0 ? -errno : fd_write_all(fd, b->data, b->len);

	/* Not O_TRUNC: a file system may take that for a replacement, and flush it. */
	if (r == 0 && (retry_eintr(ftruncate(fd, (off_t)b->len)) < 0 || (durable && fsync(fd) < 0)))
		r = -errno;
	return r;
}

static int change_places(int dir, bool durable)
{
	if (renameat2(dir, OTHER, dir, NAME, RENAME_EXCHANGE) < 0 &&
	    ((errno != ENOENT && errno != EINVAL) || renameat(dir, OTHER, dir, NAME) < 0))
		return -errno; /* ENOENT: the first one; EINVAL: not all file systems can */
	return durable && fsync(dir) < 0 ? -errno : 0;
}

static const char *this_boot(void)
{
	static char boot[BOOT_ID_MAX];

	if (!*boot && proc_boot_id(boot, NULL) < 0)
		*boot = '\0';
	return boot;
}

/* The file that was synced is OTHER now, the next to be written over. */
static int keep(int dir)
{
	if (renameat2(dir, OTHER, dir, KEPT, RENAME_EXCHANGE) < 0 &&
	    ((errno != ENOENT && errno != EINVAL) || renameat(dir, OTHER, dir, KEPT) < 0) &&
	    errno != ENOENT)
		return -errno;
	return 0;
}

static int mark_new(int dir)
{
	if (faccessat(dir, NAME, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	return symlinkat(this_boot(), dir, NEW) < 0 && errno != EEXIST ? -errno : 0;
}

/* Was it made in a boot that ended before the first record_settle? */
static bool was_cut_short(const char *dir)
{
	_cleanup_(free_p) char *path = path_join(dir, NEW);
	char boot[BOOT_ID_MAX];
	ssize_t n = readlink(path, boot, sizeof(boot) - 1);

	if (n < 0)
		return false;
	boot[n] = '\0';
	return !streq(boot, this_boot());
}

int record_save(struct record *r, const struct dirs *d, bool durable, struct err *e)
{
	_cleanup_(free_p) char *path = dirs_container(d, r->project, r->id);
	_cleanup_(fd_closep) int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(json_unrefp) json *j = record_to_json(r);
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	uint64_t now = now_real_ns();
	int ret = dir < 0 ? -errno : 0;

	r->saved = now > r->saved ? now : r->saved + 1;
	json_put_u64(j, "saved", r->saved);
	add_text(&b, j);
	if (ret == 0)
		ret = mark_new(dir);
	if (ret == 0)
		ret = write_over(dir, &b, durable);
	if (ret == 0)
		ret = change_places(dir, durable);
	if (ret == 0 && r->settled)
		ret = keep(dir);
	if (ret == 0)
		r->settled = false;
	return ret < 0 ? err_errno(e, -ret, "write %s/" NAME, path) : 0;
}

void record_settle_start(const struct record *r, const struct dirs *d)
{
	static const char *const names[] = { NAME, "spec.json" };

	for (size_t i = 0; i < ARRAY_SIZE(names) && !r->settled; i++) {
		_cleanup_(free_p) char *path = file_of(d, r->project, r->id, names[i]);
		_cleanup_(fd_closep) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

		if (fd >= 0)
			(void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	}
}

static int sync_file(int dir, const char *name)
{
	_cleanup_(fd_closep) int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* The mark goes after what it vouches for: should that fail, the next one tries again. */
static int settle_new(int dir)
{
	int r;

	if (faccessat(dir, NEW, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	r = sync_file(dir, "spec.json");
	return r == 0 && unlinkat(dir, NEW, 0) < 0 ? -errno : r;
}

int record_settle(struct record *r, const struct dirs *d, struct err *e)
{
	_cleanup_(free_p) char *path = dirs_container(d, r->project, r->id);
	_cleanup_(fd_closep) int dir = -EBADF;
	int ret;

	if (r->settled)
		return 0;
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ret = dir < 0 ? -errno : sync_file(dir, NAME);
	if (ret == 0)
		ret = settle_new(dir);
	if (ret == 0 && fsync(dir) < 0)
		ret = -errno;
	r->settled = ret == 0;
	return ret < 0 ? err_errno(e, -ret, "sync %s", path) : 0;
}

static int load_one(const char *path, struct record **out, struct err *e)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(json_unrefp) json *j = NULL;
	int r = file_read(AT_FDCWD, path, RECORD_FILE_MAX, &b, e);

	if (r < 0)
		return r;
	if (!sum_is_right(&b))
		return err_set(e, EBADMSG, "%s: is damaged", path);
	r = json_parse(buf_str(&b), b.len, &j, e);
	if (r == 0)
		r = record_from_json(j, out, e);
	return r < 0 ? err_wrap(e, r, "%s", path) : 0;
}

/* Not the file's content but we, or now, are the reason: it may well be read later,
 * or by a newer comp. */
static bool may_be_good(int r)
{
	switch (r) {
	case -EBADMSG: /* torn, or somebody else's */
	case -EFBIG:
	case -EINVAL: /* no regular file */
	case -EISDIR:
	case -ELOOP: /* a link */
		return false;
	default:
		return true;
	}
}

/* After another boot, of all that is whole the last; @r: what loading NAME to @out gave. */
static int load_last(const struct dirs *d, const char *project, const char *id, int r,
		     struct record **out)
{
	static const char *const names[] = { OTHER, KEPT };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_(free_p) char *path = file_of(d, project, id, names[i]);
		_cleanup_(record_freep) struct record *more = NULL;

		if (load_one(path, &more, NULL) < 0 || (r == 0 && more->saved <= (*out)->saved))
			continue;
		if (r == 0)
			record_free(*out);
		*out = TAKE_PTR(more);
		r = 0;
	}
	return r;
}

int record_load(const struct dirs *d, const char *project, const char *id, struct record **out,
		struct err *e)
{
	_cleanup_(free_p) char *path = file_of(d, project, id, NAME);
	_cleanup_(free_p) char *other = file_of(d, project, id, OTHER);
	int r = load_one(path, out, e);

	if (r == 0 && !streq((*out)->boot_id, this_boot()))
		r = load_last(d, project, id, r, out);

	for (int tries = 0; r < 0 && !may_be_good(r) && tries < 3; tries++) {
		/* Read while it was written, or damaged for good: then what it was before. */
		if (load_one(tries < 2 ? path : other, out, NULL) == 0)
			r = 0;
	}
	if (r < 0 && !may_be_good(r))
		r = load_last(d, project, id, r, out);
	if (r < 0)
		return r;
	if (!streq((*out)->id, id) || !streq((*out)->project, project)) {
		record_free(*out);
		*out = NULL;
		return err_set(e, EBADMSG, "%s: belongs to another container", path);
	}
	return 0;
}

/* Move an unreadable record out of the way, keeping it for a person to look at. */
void record_quarantine(const struct dirs *d, const char *project, const char *id, char ***problems,
		       const struct err *why)
{
	_cleanup_(free_p) char *from = file_of(d, project, id, NAME);
	_cleanup_(free_p) char *to = xasprintf("%s" RECORD_CORRUPT "%llu", from,
					       (unsigned long long)(now_real_ns() / NSEC_PER_SEC));

	if (rename(from, to) == 0)
		strv_addf(problems, "%s; moved to %s", why->msg, to);
	else
		strv_addf(problems, "%s", why->msg);
}

static int by_name(const void *a, const void *b)
{
	const struct record *x = *(struct record *const *)a, *y = *(struct record *const *)b;

	return strverscmp(x->name, y->name);
}

/* Power was lost while it was made: it never was, and the supervisor sweeps it. */
static bool cut_short(const struct dirs *d, const char *project, const char *id)
{
	_cleanup_(free_p) char *path = dirs_container(d, project, id);
	_cleanup_(free_p) char *state = path_join(path, NAME);

	return was_cut_short(path) && unlink(state) == 0;
}

uint64_t record_generation(const struct dirs *d, const char *project)
{
	_cleanup_(free_p) char *dir = dirs_project_run(d, project);
	_cleanup_(free_p) char *path = path_join(dir, RECORD_GENERATION_NAME);
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	int64_t n;

	if (file_read(AT_FDCWD, path, 32, &text, NULL) < 0 || !parse_i64(buf_str(&text), &n))
		return 0;
	return n > 0 ? (uint64_t)n : 0;
}

int record_list_load(const struct dirs *d, const char *project, struct record_list *out,
		     struct err *e)
{
	_cleanup_(free_p) char *path = dirs_containers(d, project);
	_cleanup_(dir_closep) DIR *dir = opendir(path);
	struct dirent *entry;
	size_t cap = 0;

	*out = (struct record_list){ 0 };
	if (!dir)
		return errno == ENOENT ? 0 : err_errno(e, errno, "open %s", path);
	while ((entry = readdir(dir))) {
		struct err why = ERR_INIT;
		struct record *r;
		int ret;

		if (entry->d_name[0] == '.')
			continue;
		ret = record_load(d, project, entry->d_name, &r, &why);
		if (ret < 0 && !may_be_good(ret) && cut_short(d, project, entry->d_name))
			continue;
		if (ret < 0) {
			out->newer |= ret == -EPROTO;
			/* Without a record: made up to its directory and no further; the
			 * supervisor sweeps those. */
			if (ret != -ENOENT && may_be_good(ret))
				strv_add(&out->problems, why.msg);
			else if (ret != -ENOENT)
				record_quarantine(d, project, entry->d_name, &out->problems, &why);
			continue;
		}
		if (out->n == cap) {
			cap = cap ? cap * 2 : 16;
			out->items = xreallocarray(out->items, cap, sizeof(*out->items));
		}
		out->items[out->n++] = r;
	}
	if (out->n)
		qsort(out->items, out->n, sizeof(*out->items), by_name);
	return 0;
}

void record_list_done(struct record_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		record_free(l->items[i]);
	free(l->items);
	strv_free(l->problems);
	*l = (struct record_list){ 0 };
}

struct record *record_list_find(const struct record_list *l, const char *name_or_id)
{
	for (size_t i = 0; i < l->n; i++)
		if (streq(l->items[i]->name, name_or_id) || streq(l->items[i]->id, name_or_id))
			return l->items[i];
	return NULL;
}

bool record_process_alive(const struct record *r, pid_t pid, uint64_t ticks)
{
	char boot[BOOT_ID_MAX];
	uint64_t now;

	if (pid <= 0 || proc_boot_id(boot, NULL) < 0 || !streq(boot, r->boot_id))
		return false;
	return proc_start_ticks(pid, &now, NULL) == 0 && now == ticks && proc_state(pid) != 'Z';
}

static bool of_another_boot(const struct record *r)
{
	char boot[BOOT_ID_MAX];

	return *r->boot_id && proc_boot_id(boot, NULL) == 0 && !streq(boot, r->boot_id);
}

/* It has no process yet, and somebody is about to give it one. */
static bool is_being_started(const struct record *r, const struct dirs *d)
{
	_cleanup_(free_p) char *lock = NULL;

	if (r->status != CONTAINER_STARTING || r->pid || of_another_boot(r))
		return false;
	lock = xasprintf("%s/%s/lock", d->run, r->project);
	return lock_holder(lock) > 0;
}

bool record_reconcile(struct record *r, const struct dirs *d)
{
	struct exit_record exit_record;

	switch (r->status) {
	case CONTAINER_RUNNING:
	case CONTAINER_PAUSED:
	case CONTAINER_STOPPING:
	case CONTAINER_STARTING:
		break;
	case CONTAINER_RESTARTING: /* the last run is over, and on record */
		if (!of_another_boot(r))
			return false;
		r->status = CONTAINER_EXITED;
		r->lost = r->corrected = true;
		return true;
	default:
		return false;
	}
	if (record_process_alive(r, r->pid, r->start_ticks))
		return false;
	/* The monitor writes its exit record after the process is gone: give it the
	 * benefit of the doubt while it is still there. */
	if (r->pid && record_process_alive(r, r->monitor_pid, r->monitor_ticks))
		return false;
	if (is_being_started(r, d))
		return false;
	r->corrected = true;
	r->lost = of_another_boot(r) && (r->status != CONTAINER_STOPPING || r->again);
	if (r->status == CONTAINER_STARTING && !r->pid) {
		r->status = r->finished_at ? CONTAINER_EXITED : CONTAINER_CREATED;
		return true;
	}
	r->status = CONTAINER_EXITED;
	r->exit_code = EXIT_UNSEEN; /* ended after its monitor, or by a reboot */
	r->unseen = true;
	r->health = HEALTH_NONE;
	if (exit_record_load(d, r->project, r->id, &exit_record, NULL) == 0 &&
	    exit_record.started_at >= r->started_at) {
		r->exit_code = exit_record.code;
		r->unseen = false;
		r->finished_at = exit_record.finished_at;
	}
	r->pid = 0;
	return true;
}
