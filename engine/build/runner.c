/* engine/build/runner.c: see runner.h.
 *
 * Two connections to the supervisor: one for plans, one for events.  The events are
 * asked for before the container is created, so its end cannot be missed; its log is
 * complete on disk before that is told.
 */
#include "engine/build/runner.h"

#include <fcntl.h>
#include <poll.h>

#include "base/path.h"
#include "base/strv.h"
#include "engine/state/record.h"
#include "engine/supervise/action.h"
#include "engine/supervise/control.h"
#include "engine/supervise/log_reader.h"
#include "engine/supervise/supervisor.h"
#include "net/network.h"

#define CONNECT_TRIES 3
#define QUIET_PASSES  3 /* until nothing can be under way any more */
#define CLEAN_PASSES  8

struct runner {
	const struct dirs *dirs;
	char *project;
	struct control_client *control, *events;
	char *name, *id, *dir; /* of the container at hand */
	unsigned int serial;
	runner_output_fn output;
	void *data;
};

/* A supervisor that has nothing left to look after leaves, connected or not: between two
 * RUNs without a network. */
static int reconnect(struct runner *r, struct err *e)
{
	_cleanup_(json_unrefp) json *subscribe = json_new_object();
	int code;

	control_client_free(TAKE_PTR(r->events));
	control_client_free(TAKE_PTR(r->control));
	code = supervisor_ensure(r->dirs, r->project, &r->events, e);
	json_put_int(subscribe, "v", CONTROL_VERSION);
	json_put_str(subscribe, "op", "events");
	if (code == 0)
		code = control_send(r->events, subscribe, NULL, 0, e);
	return code < 0 ? code : supervisor_ensure(r->dirs, r->project, &r->control, e);
}

int runner_new(const struct dirs *d, const char *project, struct runner **out, struct err *e)
{
	_cleanup_(runner_freep) struct runner *r = new0(struct runner);
	int code;

	r->dirs = d;
	r->project = xstrdup(project);
	code = reconnect(r, e);
	if (code == 0)
		*out = TAKE_PTR(r);
	return code;
}

void runner_free(struct runner *r)
{
	if (!r)
		return;
	control_client_free(r->control);
	control_client_free(r->events);
	free(r->project);
	free(r->name);
	free(r->id);
	free(r->dir);
	free(r);
}

const char *runner_dir(const struct runner *r)
{
	return r->dir;
}

/* ---- plans ---------------------------------------------------------------------------- */

static int apply(struct control_client *c, const struct action_list *l, struct err *e)
{
	_cleanup_(json_unrefp) json *message = json_new_object();
	int r;

	json_put_int(message, "v", CONTROL_VERSION);
	json_put_str(message, "op", "apply");
	json_put_str(message, "command", "build");
	json_put(message, "actions", action_list_to_json(l));
	r = control_send(c, message, NULL, 0, e);
	while (r == 0) {
		_cleanup_(json_unrefp) json *m = NULL;
		struct err told = ERR_INIT;

		r = control_receive(c, &m, NULL, NULL, e);
		if (r < 0 || !streq_null(json_get_str(m, "type"), "end"))
			continue;
		control_err_from_json(json_get(m, "error"), &told);
		if (told.code && e)
			*e = told;
		return -told.code;
	}
	return err_wrap(e, r, "the build's supervisor");
}

static json *network_json(const struct runner *r, const char *name)
{
	_cleanup_(network_config_freep) struct network_config *c = network_config_new();

	c->name = xstrdup(name);
	c->project = xstrdup(r->project);
	return network_config_to_json(c);
}

/* A network that is there already is no error. */
static size_t add_network(const struct runner *r, struct container_spec *spec,
			  struct action_list *l)
{
	_cleanup_(free_p) char *name = xasprintf("%s_default", r->project);
	size_t at = action_add(l, ACTION_NETWORK_CREATE, name);

	l->items[at].config = network_json(r, name);
	spec->networks = xcalloc(1, sizeof(*spec->networks));
	spec->n_networks = 1;
	spec->networks[0].network = TAKE_PTR(name);
	return at;
}

static void name_container(struct runner *r, struct container_spec *spec)
{
	char id[CONTAINER_ID_LEN + 1];

	random_hex(id, CONTAINER_ID_LEN / 2);
	str_set(&r->id, id);
	free(r->name);
	r->name = xasprintf("%s-%.12s", r->project, id);
	free(r->dir);
	r->dir = dirs_container(r->dirs, r->project, id);
	str_set(&spec->id, id);
	str_set(&spec->name, r->name);
	str_set(&spec->project, r->project);
	str_set(&spec->service, "run");
	spec->number = (int)++r->serial;
	spec->created = now_real_ns();
}

/* It left before it heard of us. */
static bool is_gone(int code)
{
	return code == -EPIPE || code == -ECONNRESET;
}

static int start(struct runner *r, struct container_spec *spec, bool bridge, struct err *e)
{
	_cleanup_(action_list_done) struct action_list l = { 0 };
	size_t network = bridge ? add_network(r, spec, &l) : ACTION_NO_NEED, create, at;
	int code;

	create = action_add(&l, ACTION_CREATE, r->name);
	l.items[create].service = xstrdup(spec->service);
	l.items[create].spec = spec_copy(spec);
	action_need(&l, create, network);
	at = action_add(&l, ACTION_START, r->name);
	l.items[at].service = xstrdup(spec->service);
	action_need(&l, at, create);
	code = apply(r->control, &l, e);
	for (int tries = 0; tries < CONNECT_TRIES && is_gone(code); tries++) {
		code = reconnect(r, e);
		if (code == 0)
			code = apply(r->control, &l, e);
	}
	return code;
}

/* ---- the run --------------------------------------------------------------------------- */

static int read_log(struct runner *r, struct log_reader *log, bool *ended, struct err *e)
{
	struct log_record rec;
	int n;

	while ((n = log_reader_next(log, &rec, e)) > 0) {
		if (rec.kind == LOG_REC_LINE || rec.kind == LOG_REC_GAP)
			r->output(r->data, rec.stream == LOG_STDERR, rec.data, rec.len);
		*ended |= rec.kind == LOG_REC_END;
	}
	return n == -EAGAIN ? 0 : n;
}

/* 1 when our container has died. */
static int read_event(struct runner *r, int *code, struct err *e)
{
	_cleanup_(json_unrefp) json *m = NULL;
	json *event;
	const char *text;
	int64_t n = 0;
	int c = control_receive(r->events, &m, NULL, NULL, e);

	if (c < 0)
		return err_wrap(e, c, "the build's supervisor");
	event = json_get(m, "event");
	if (!streq_null(json_get_str(event, "id"), r->id) ||
	    !streq_null(json_get_str(event, "action"), "die"))
		return 0;
	text = json_get_str(json_get(event, "attributes"), "exitCode");
	if (!text || !parse_i64(text, &n))
		return err_set(e, EPROTO, "an exit without a code");
	*code = (int)n;
	return 1;
}

static int follow(struct runner *r, struct log_reader *log, int *code, struct err *e)
{
	bool dead = false, ended = false;
	int n = read_log(r, log, &ended, e);

	while (n == 0 && !dead) {
		struct pollfd p[] = { { .fd = control_client_fd(r->events), .events = POLLIN },
				      { .fd = log_reader_fd(log), .events = POLLIN } };
		bool pending = control_client_pending(r->events);

		if (poll(p, ARRAY_SIZE(p), pending ? 0 : -1) < 0 && errno != EINTR)
			return err_errno(e, errno, "poll");
		if (p[1].revents)
			n = read_log(r, log, &ended, e);
		if (n == 0 && (pending || p[0].revents)) {
			n = read_event(r, code, e);
			dead = n > 0;
			n = MIN(n, 0);
		}
	}
	return n < 0 ? n : read_log(r, log, &ended, e);
}

/* "container build.…: exec: …" names what no user knows. */
static int forget_name(const struct runner *r, int code, struct err *e)
{
	_cleanup_(free_p) char *prefix = xasprintf("container %s: ", r->name);
	const char *rest = e ? skip_prefix(e->msg, prefix) : NULL;

	if (rest)
		memmove(e->msg, rest, strlen(rest) + 1);
	return code;
}

int runner_run(struct runner *r, struct container_spec *spec, bool bridge, runner_output_fn output,
	       void *data, int *code, struct err *e)
{
	struct log_reader_opts opts = LOG_READER_OPTS_INIT;
	_cleanup_(fd_closep) int dir = -EBADF;
	struct log_reader *log = NULL;
	int n;

	r->output = output;
	r->data = data;
	name_container(r, spec);
	n = start(r, spec, bridge, e);
	if (n < 0)
		return forget_name(r, n, e);
	dir = open(r->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_errno(e, errno, "open %s", r->dir);
	opts.follow = true;
	n = log_reader_open(dir, &opts, &log, e);
	if (n == 0)
		n = follow(r, log, code, e);
	log_reader_free(log);
	return n;
}

int runner_remove(struct runner *r, struct err *e)
{
	_cleanup_(action_list_done) struct action_list l = { 0 };
	size_t at = action_add(&l, ACTION_REMOVE, r->name);

	l.items[at].service = xstrdup("run");
	l.items[at].with_volumes = true;
	return apply(r->control, &l, e);
}

/* ---- the end --------------------------------------------------------------------------- */

static void add_removal(struct action_list *l, const struct record *rec)
{
	size_t kill = ACTION_NO_NEED, at;

	if (record_is_active(rec)) {
		kill = action_add(l, ACTION_STOP, rec->name);
		l->items[kill].service = xstrdup_null(rec->service);
		l->items[kill].timeout = 0;
	}
	at = action_add(l, ACTION_REMOVE, rec->name);
	l->items[at].service = xstrdup_null(rec->service);
	l->items[at].with_volumes = true;
	action_need(l, at, kill);
}

static int clean_once(const struct dirs *d, const char *project, size_t *found, struct err *e)
{
	_cleanup_(control_client_freep) struct control_client *c = NULL;
	_cleanup_(record_list_done) struct record_list records = { 0 };
	_cleanup_(action_list_done) struct action_list l = { 0 };
	_cleanup_(free_p) char *network = xasprintf("%s_default", project);
	size_t n, at;
	int r = record_list_load(d, project, &records, e);

	if (r < 0)
		return r;
	*found = records.n;
	for (size_t i = 0; i < records.n; i++)
		add_removal(&l, records.items[i]);
	n = l.n;
	at = action_add(&l, ACTION_NETWORK_REMOVE, network);
	for (size_t i = 0; i < n; i++)
		action_need(&l, at, i);
	r = supervisor_ensure(d, project, &c, e);
	return r < 0 ? r : apply(c, &l, e);
}

static bool is_there(const struct dirs *d, const char *project)
{
	_cleanup_(free_p) char *dir = dirs_project(d, project), *run = dirs_project_run(d, project);

	return access(dir, F_OK) == 0 || access(run, F_OK) == 0;
}

/* A plan that a killed stage had sent is carried out all the same, before ours or after
 * it; a look after that shows what it made.  Plans of a project wait for each other. */
int runner_clean(const struct dirs *d, const char *project, bool interrupted, struct err *e)
{
	int r = 0;

	for (int pass = 0; pass < CLEAN_PASSES && is_there(d, project); pass++) {
		size_t found = 0;

		if (e)
			*e = ERR_INIT;
		r = clean_once(d, project, &found, e);
		if (is_gone(r))
			continue;
		if (r == 0 && !found && pass + 1 >= (interrupted ? QUIET_PASSES : 1))
			break;
	}
	return r;
}
