/* engine/supervise/supervisor.c: start, requests, and the end of a supervisor.
 *
 * The project lock decides who is the supervisor; all else follows from it.
 * Whoever comes second leaves without a word, so starting one more is always
 * safe.  A supervisor leaves by itself when no container needs it and no client
 * is connected: there is nothing in its memory that is not on disk.
 */
#include "engine/supervise/supervisor.h"

#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/version.h"
#include "engine/state/lock.h"
#include "engine/state/names.h"
#include "engine/supervise/internal.h"

#define LOCK_TRIES   1000 /* a millisecond apart */
#define LINGER       (200 * NSEC_PER_MSEC)
#define SETTLE_AFTER (5 * NSEC_PER_SEC) /* as the journals of file systems do */

/* ---- log and events ------------------------------------------------------------------------ */
void supervisor_log(struct supervisor *sv, const char *fmt, ...)
{
	char now[TIME_TEXT_MAX];
	_cleanup_(free_p) char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	dprintf(STDERR_FILENO, "%s %s\n", time_format(now_real_ns(), now), text);
}

/* The user's labels; those of ours say what is there already. */
static void put_labels(json *attributes, const struct container *c)
{
	STRV_FOREACH (label, c->spec->labels) {
		_cleanup_(free_p) char *key = xstrndup(*label, strcspn(*label, "="));

		if (!skip_prefix(key, "com.docker.compose."))
			json_put_str(attributes, key,
				     (*label)[strlen(key)] ? *label + strlen(key) + 1 : "");
	}
}

static json *event_json(const struct container *c, const char *action, const char *key,
			const char *value)
{
	json *o = json_new_object(), *attributes = json_new_object();
	char now[TIME_TEXT_MAX];

	put_labels(attributes, c);
	json_put_str(attributes, "image", c->rec->image);
	json_put_str(attributes, "name", c->rec->name);
	if (streq(action, "die")) {
		_cleanup_(free_p) char *code = xasprintf("%d", c->rec->exit_code);

		json_put_str(attributes, "exitCode", code);
	}
	if (key)
		json_put_str(attributes, key, value);
	json_put_str(o, "time", time_format(now_real_ns(), now));
	json_put_str(o, "type", "container");
	json_put_str(o, "service", c->rec->service);
	json_put_str(o, "id", c->rec->id);
	json_put_str(o, "action", action);
	json_put(o, "attributes", attributes);
	return o;
}

static json *notice(json *event)
{
	json *o = json_new_object();

	json_put_str(o, "type", "event");
	json_put(o, "event", json_ref(event));
	return o;
}

void supervisor_event_with(struct supervisor *sv, const struct container *c, const char *action,
			   const char *key, const char *value)
{
	_cleanup_(json_unrefp) json *event = event_json(c, action, key, value);
	struct err e = ERR_INIT;

	if (event_journal_add(sv->journal, event, &e) < 0)
		supervisor_log(sv, "%s", e.msg);
	/* From the end: a subscriber that is dropped for not reading leaves the array. */
	for (size_t i = sv->n_subscribers; i-- > 0;)
		control_reply(sv->subscribers[i], notice(event), NULL, 0);
}

void supervisor_event(struct supervisor *sv, const struct container *c, const char *action)
{
	_cleanup_(free_p) char *text = streq(action, "health_status")
					       ? xasprintf("health_status: %s",
							   health_status_name(c->rec->health))
					       : xstrdup(action);

	supervisor_event_with(sv, c, text, NULL, NULL);
}

static void subscribe(struct supervisor *sv, struct control_conn *conn)
{
	sv->subscribers = xreallocarray(sv->subscribers, sv->n_subscribers + 1,
					sizeof(*sv->subscribers));
	sv->subscribers[sv->n_subscribers++] = conn;
}

static void unsubscribe(struct supervisor *sv, const struct control_conn *conn)
{
	for (size_t i = 0; i < sv->n_subscribers; i++)
		if (sv->subscribers[i] == conn)
			sv->subscribers[i--] = sv->subscribers[--sv->n_subscribers];
}

/* ---- requests ---------------------------------------------------------------------------------
 */
static void pong(struct control_conn *conn)
{
	json *o = json_new_object();

	json_put_str(o, "type", "pong");
	json_put_int(o, "pid", getpid());
	json_put_int(o, "v", CONTROL_VERSION);
	json_put_str(o, "version", COMP_VERSION);
	control_reply(conn, o, NULL, 0);
}

static void refuse(struct control_conn *conn, int code, const char *why)
{
	json *o = json_new_object();
	struct err e = ERR_INIT;

	err_set(&e, code, "%s", why);
	json_put_str(o, "type", "end");
	json_put(o, "error", control_err_to_json(&e));
	control_reply(conn, o, NULL, 0);
}

static bool runs_hooks(const struct supervisor *sv)
{
	MAP_FOREACH (entry, &sv->containers) {
		const struct container *c = entry->value;

		if (c->hook)
			return true;
	}
	return false;
}

/* As if we were killed: whatever we look after goes on, and the next one adopts it. */
static void leave(struct supervisor *sv, struct control_conn *conn)
{
	json *o;

	if (sv->applies || sv->sessions || runs_hooks(sv)) {
		refuse(conn, EBUSY, "something is under way");
		return;
	}
	sv->hands_over = true;
	o = json_new_object();
	json_put_str(o, "type", "end");
	control_reply(conn, o, NULL, 0);
	control_finish(conn);
}

static void on_message(struct control_conn *conn, json *message, int *fds, size_t n_fds, void *data)
{
	struct supervisor *sv = data;
	const char *op = json_get_str(message, "op");

	source_clear(&sv->idle);
	if (sv->leaving || sv->hands_over) {
		control_finish(conn); /* it came too late, and will find or start another one */
	} else if (op && streq(op, "ping")) {
		pong(conn);
	} else if (json_get_int(message, "v", 0) != CONTROL_VERSION || !op) {
		refuse(conn, EPROTO,
		       "this project is looked after by comp " COMP_VERSION
		       ", which this comp cannot talk to: use that one");
	} else if (streq(op, "exec")) {
		session_request(sv, conn, message, fds, n_fds);
		return; /* it closed the descriptors */
	} else if (streq(op, "apply")) {
		apply_request(sv, conn, message);
	} else if (streq(op, "cancel")) {
		apply_cancel(sv, conn);
	} else if (streq(op, "hold")) {
		hold_request(sv, conn, message);
	} else if (streq(op, "events")) {
		subscribe(sv, conn);
	} else if (streq(op, "leave")) {
		leave(sv, conn);
	} else {
		refuse(conn, EPROTO, "unknown request");
	}
	for (size_t i = 0; i < n_fds; i++)
		fd_close(fds[i]);
}

static void on_closed(struct control_conn *conn, void *data)
{
	struct supervisor *sv = data;

	unsubscribe(sv, conn);
	apply_conn_closed(sv, conn);
	session_conn_closed(sv, conn);
	hold_conn_closed(sv, conn);
	if (sv->leaving || sv->hands_over)
		loop_quit(sv->loop, 0);
	else
		supervisor_check_idle(sv);
}

/* ---- leaving
 * ------------------------------------------------------------------------------------- */
static bool is_needed(const struct supervisor *sv)
{
	if (sv->applies || sv->sessions || control_server_connections(sv->server) > 0)
		return true;
	MAP_FOREACH (entry, &sv->containers)
		if (container_is_active(entry->value))
			return true;
	return false;
}

static void on_idle(struct source *s, void *data)
{
	struct supervisor *sv = data;

	if (is_needed(sv)) {
		/* A client has gone: a plan of megabytes has been through the heap, and
		 * glibc keeps what lies below the last live chunk; malloc_trim(3). */
		(void)malloc_trim(0);
		return;
	}
	sv->leaving = true;
	loop_quit(sv->loop, 0);
}

void supervisor_check_idle(struct supervisor *sv)
{
	if (sv->leaving || !sv->server)
		return;
	/* Always by timer: the connection that just closed is still counted. */
	if (!sv->idle)
		sv->idle = loop_add_timer(sv->loop, LINGER, on_idle, sv);
	else
		source_set_timer(sv->idle, LINGER);
}

static bool owns_networks(const struct supervisor *sv)
{
	MAP_FOREACH (entry, &sv->networks) {
		const struct network *n = entry->value;

		if (streq_null(n->config->project, sv->project))
			return true;
	}
	return networks_any_of_project(sv);
}

bool supervisor_sweep(struct supervisor *sv)
{
	_cleanup_(free_p) char *project_dir = dirs_project(sv->dirs, sv->project);
	_cleanup_(free_p) char *networks = dirs_networks(sv->dirs);
	_cleanup_(free_p) char *projects = dirs_projects(sv->dirs);
	_cleanup_(free_p) char *lock = path_join(networks, ".lock");

	if (map_len(&sv->containers) || sv->sessions || owns_networks(sv))
		return false;
	sv->leaving = true;
	(void)nethelper_stop(sv->nethelper, NULL); /* killed at the worst */
	sv->nethelper = NULL;
	(void)rm_rf(AT_FDCWD, project_dir, NULL); /* swept again by the next supervisor */
	(void)rm_rf(AT_FDCWD, sv->run_dir, NULL);
	if (rmdir(projects) == 0) { /* no project left: nor is a lock needed */
		(void)unlink(lock);
		(void)rmdir(networks); /* another root's owner may have networks: stays */
		names_sweep(sv->dirs);
	}
	return true;
}

/* What went and came below them; one whose names did not change costs nothing. */
static int sync_names(const struct supervisor *sv, struct err *e)
{
	_cleanup_(free_p) char *containers = dirs_containers(sv->dirs, sv->project);
	_cleanup_(free_p) char *networks = dirs_networks(sv->dirs);
	_cleanup_(free_p) char *projects = dirs_projects(sv->dirs);
	const char *const dirs[] = { containers, networks, projects, sv->dirs->root };

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		_cleanup_(fd_closep) int fd = open(dirs[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (fd < 0 ? errno != ENOENT : fsync(fd) < 0)
			return err_errno(e, errno, "sync %s", dirs[i]);
	}
	return 0;
}

int supervisor_settle(struct supervisor *sv, struct err *e)
{
	struct err e2 = ERR_INIT;
	int r = 0;

	MAP_FOREACH (entry, &sv->containers) {
		const struct container *c = entry->value;

		record_settle_start(c->rec, sv->dirs);
	}
	MAP_FOREACH (entry, &sv->containers) {
		struct container *c = entry->value;

		err_keep_first(&r, e, record_settle(c->rec, sv->dirs, &e2), &e2);
	}
	err_keep_first(&r, e, sync_names(sv, &e2), &e2);
	source_clear(&sv->settle_timer);
	return r;
}

static void on_settle_timer(struct source *s, void *data)
{
	struct supervisor *sv = data;
	struct err e = ERR_INIT;

	if (supervisor_settle(sv, &e) < 0)
		supervisor_log(sv, "%s", e.msg);
}

void supervisor_settle_soon(struct supervisor *sv)
{
	if (!sv->settle_timer)
		sv->settle_timer = loop_add_timer(sv->loop, SETTLE_AFTER, on_settle_timer, sv);
}

/* ---- start
 * ----------------------------------------------------------------------------------------- */
static int open_resources(struct supervisor *sv, struct err *e)
{
	_cleanup_(free_p) char *pins = path_join(sv->run_dir, "netns");
	_cleanup_(free_p) char *records = path_join(sv->run_dir, MONITOR_RECORDS);
	_cleanup_(free_p) char *monitor = spawn_helper_path("comp-monitor");
	_cleanup_(free_p) char *init = spawn_helper_path("comp-init");
	_cleanup_(free_p) char *nft = spawn_helper_path("comp-nft");
	_cleanup_(fd_closep) int tiny = -EBADF;
	int r;

	sv->run_fd = open(sv->run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	sv->comp_fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (sv->run_fd < 0 || sv->comp_fd < 0)
		return err_errno(e, errno, "open %s",
				 sv->run_fd < 0 ? sv->run_dir : "/proc/self/exe");
	sv->monitor_fd = open(monitor, O_PATH | O_CLOEXEC);
	tiny = open(init, O_RDONLY | O_CLOEXEC);
	if (sv->monitor_fd < 0 || tiny < 0)
		return err_errno(e, errno, "open %s", sv->monitor_fd < 0 ? monitor : init);
	/* Without it all else can still be taken down; the rule set will say what it misses. */
	sv->nft_fd = open(nft, O_PATH | O_CLOEXEC);
	sv->tiny_fd = memfd_sealed_copy("comp-init", tiny, e);
	if (sv->tiny_fd < 0)
		return sv->tiny_fd;
	r = mkdir_p(AT_FDCWD, pins, 0700, e);
	if (r == 0)
		r = mkdir_p(AT_FDCWD, records, 0700, e);
	if (r == 0)
		r = netlink_open(&sv->nl, e);
	if (r == 0)
		r = cgroup_host_new(sv->dirs->cgroup, &sv->cgroups, e);
	if (r == 0)
		r = launch_init_layer(sv->dirs->root, &sv->init_layer, e);
	if (r == 0)
		r = loop_new(&sv->loop, e);
	sv->seccomp = seccomp_cache_new();
	(void)resolv_read_host(&sv->host_resolv, NULL); /* none: local names still resolve */
	return r;
}

static int serve(struct supervisor *sv, struct err *e)
{
	_cleanup_(free_p) char *path = supervisor_socket(sv->dirs, sv->project);
	struct control_handler h = { .message = on_message, .closed = on_closed, .data = sv };

	return control_listen(sv->loop, path, &h, &sv->server, e);
}

static void free_containers(struct supervisor *sv)
{
	MAP_FOREACH (entry, &sv->containers)
		container_free(entry->value);
	map_done(&sv->containers);
}

static void supervisor_done(struct supervisor *sv)
{
	apply_free_all(sv);
	control_server_free(sv->server);
	free_containers(sv);
	if (sv->nethelper && sv->leaving)
		(void)nethelper_stop(sv->nethelper, NULL); /* nothing runs that needs it */
	else
		nethelper_free(sv->nethelper);
	map_done(&sv->networks);
	mend_done(sv);
	source_free(sv->firewall_source);
	source_free(sv->firewall_due);
	fd_close(sv->firewall_watch);
	source_free(sv->idle);
	source_free(sv->follow_timer);
	netlink_free(sv->nl);
	exits_free(sv->exits);
	cgroup_host_free(sv->cgroups);
	seccomp_cache_free(sv->seccomp);
	resolv_done(&sv->host_resolv);
	loop_free(sv->loop);
	json_unref(sv->model);
	event_journal_free(sv->journal);
	free(sv->subscribers);
	strv_free(sv->doomed_links);
	strv_free(sv->doomed_networks);
	strv_free(sv->doomed_dirs);
	free(sv->init_layer);
	fd_close(sv->run_fd);
	fd_close(sv->comp_fd);
	fd_close(sv->monitor_fd);
	fd_close(sv->tiny_fd);
	fd_close(sv->nft_fd);
	free(sv->project);
	free(sv->table);
	free(sv->run_dir);
	fd_close(sv->lock_fd); /* last: now the next one may come */
}

static void tell_ready(int fd, const struct err *e)
{
	if (fd < 0)
		return;
	if (e->code)
		(void)fd_write_all(fd, e, sizeof(*e)); /* the starter gave up: nobody to tell */
	else
		(void)fd_write_all(fd, "", 1);
	fd_close(fd);
}

static int take_project(struct supervisor *sv, struct err *e)
{
	_cleanup_(free_p) char *lock = path_join(sv->run_dir, MONITOR_LOCK_NAME);
	int r = mkdir_p(AT_FDCWD, sv->run_dir, 0700, e);
	pid_t holder = 0;

	if (r < 0)
		return r;
	sv->lock_fd = lock_take(lock, false, &holder, e);
	/* The pid of a supervisor that is gone: either somebody only looks
	 * (lock_holder()), or the next one has the lock and is about to write its
	 * own.  Both take microseconds. */
	for (int i = 0;
	     i < LOCK_TRIES && sv->lock_fd == -EWOULDBLOCK && (holder == 0 || kill(holder, 0) < 0);
	     i++) {
		(void)poll(NULL, 0, 1);
		sv->lock_fd = lock_take(lock, false, &holder, e);
	}
	if (sv->lock_fd >= 0)
		*e = ERR_INIT; /* of an earlier try; it would be told to our starter */
	return sv->lock_fd < 0 ? sv->lock_fd : 0;
}

/* Two roots may have a project of the same name; the nft tables are the host's. */
static char *table_name(const struct dirs *d, const char *project)
{
	const char *hash = skip_prefix(d->cgroup, "comp-");

	return hash ? xasprintf("%s-%s", project, hash) : xstrdup(project);
}

/* Where the helpers are.  Who was started by a command has it from there, and leaves it for
 * those that monitors start: a monitor of before an upgrade would tell them the old place. */
static void settle_libexec(struct supervisor *sv, bool by_command)
{
	_cleanup_(free_p) char *path = path_join(sv->run_dir, "libexec");
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	const char *place = getenv("COMP_LIBEXEC");
	struct err e = ERR_INIT;

	if (!by_command) {
		if (file_read(AT_FDCWD, path, PATH_MAX, &text, NULL) == 0 && text.len)
			(void)setenv("COMP_LIBEXEC", buf_str(&text), 1); /* fails without memory */
	} else if (place &&
		   file_write_atomic(AT_FDCWD, path, place, strlen(place), 0600, false, &e) < 0) {
		supervisor_log(sv, "%s", e.msg);
	}
}

/* We could not begin.  Whoever started us is told why; of a project that does not exist yet
 * nothing stays. */
static void leave_nothing(struct supervisor *sv)
{
	_cleanup_(free_p) char *dir = dirs_project(sv->dirs, sv->project);

	if (sv->lock_fd >= 0 && access(dir, F_OK) < 0 && errno == ENOENT)
		(void)rm_rf(AT_FDCWD, sv->run_dir, NULL); /* the first error is the one to show */
}

int supervisor_main(const struct dirs *d, const char *project, int ready_fd)
{
	struct supervisor sv = { .dirs = d,
				 .project = xstrdup(project),
				 .table = table_name(d, project),
				 .journal = event_journal_new(d, project),
				 .run_dir = dirs_project_run(d, project),
				 .run_fd = -EBADF,
				 .lock_fd = -EBADF,
				 .comp_fd = -EBADF,
				 .monitor_fd = -EBADF,
				 .tiny_fd = -EBADF,
				 .nft_fd = -EBADF,
				 .firewall_watch = -EBADF,
				 .link_watch = -EBADF,
				 .networks = MAP_INIT_FREE(network_free) };
	struct err e = ERR_INIT;
	int r;

	(void)prctl(PR_SET_DUMPABLE, 0);        /* CVE-2016-9962; cannot fail */
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1); /* for containers whose monitor is killed */
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	umask(077);
	if (chdir("/") < 0)
		return 1;
	r = take_project(&sv, &e);
	if (r == -EWOULDBLOCK) {
		e = ERR_INIT; /* there is one, which is all that was wanted */
		tell_ready(ready_fd, &e);
		supervisor_done(&sv);
		return 0;
	}
	if (r == 0)
		settle_libexec(&sv, ready_fd >= 0);
	if (r == 0)
		r = open_resources(&sv, &e);
	if (r == 0)
		r = adopt_project(&sv, &e);
	if (r == 0)
		apply_adopt_generation(&sv);
	if (r == 0)
		r = serve(&sv, &e);
	if (r < 0)
		leave_nothing(&sv);
	tell_ready(ready_fd, &e);
	if (r == 0) {
		supervisor_check_idle(&sv);
		r = loop_run(sv.loop, &e);
		control_server_drain(sv.server); /* the end of a plan may still be on its way */
	}
	if (r < 0)
		supervisor_log(&sv, "%s", e.msg);
	supervisor_done(&sv);
	return r < 0;
}
