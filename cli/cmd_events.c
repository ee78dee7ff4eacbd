/* cli/cmd_events.c: `events`: the project's journal, and what is added to it.
 *
 * The journal on disk says what happened; the supervisor's word only says when to
 * look again.  So a supervisor that dies, or is not there yet, changes nothing.
 */
#include <errno.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "cli/command.h"
#include "cli/humanize.h"
#include "engine/state/event.h"
#include "engine/supervise/supervisor.h"

#define LOOK_WITHOUT_WORD 300 /* ms, while there is no supervisor to give it */
#define LOOK_ANYWAY       5000

struct events_options {
	bool json;
	const char *since, *until;
};
#define O struct events_options

static const struct option_spec flags[] = {
	OPTION_BOOL("json", 0, O, json, "Output events as a stream of json objects"),
	OPTION_STRING("since", 0, O, since, NULL, "Show all events created since timestamp"),
	OPTION_STRING("until", 0, O, until, NULL, "Stream events until this timestamp"),
	OPTION_END,
};

struct events {
	struct context *ctx;
	const struct events_options *o;
	char *const *services;
	uint64_t since, until; /* CLOCK_REALTIME ns; 0: no bound */
	struct event_reader *reader;
	struct control_client *word;
	bool over; /* an event after @until was met */
};

/* ---- one event ------------------------------------------------------------------ */
static int by_key(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *attributes_text(json *attributes)
{
	struct json_iter it = { 0 };
	_cleanup_(strv_freep) char **v = NULL;

	while (json_each(attributes, &it))
		strv_addf(&v, "%s=%s", it.key, json_str(it.value) ? json_str(it.value) : "");
	if (v)
		qsort(v, strv_len(v), sizeof(*v), by_key);
	return strv_join(v, ", ");
}

static void print_text(FILE *out, json *event, uint64_t time)
{
	_cleanup_(free_p) char *attributes = attributes_text(json_get(event, "attributes"));
	const char *action = json_get_str(event, "action"), *id = json_get_str(event, "id");
	time_t seconds = (time_t)(time / NSEC_PER_SEC);
	char text[32];
	struct tm tm;

	localtime_r(&seconds, &tm);
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
	fprintf(out, "%s.%06u container %s %s (%s)\n", text,
		(unsigned int)(time % NSEC_PER_SEC / NSEC_PER_USEC), action ? action : "",
		id ? id : "", attributes);
}

static void show(struct events *v, json *event)
{
	const char *when = json_get_str(event, "time"), *service = json_get_str(event, "service");
	uint64_t time;

	if (!when || time_parse(when, &time) < 0)
		return;
	if (v->until && time > v->until)
		v->over = true;
	if (v->over || time < v->since)
		return;
	if (v->services && v->services[0] && (!service || !strv_has(v->services, service)))
		return;
	if (v->o->json)
		fprintf(v->ctx->out, "%s\n", json_text(event));
	else
		print_text(v->ctx->out, event, time);
}

static int show_new(struct events *v, struct err *e)
{
	int r = 0;

	while (!v->over) {
		_cleanup_(json_unrefp) json *event = NULL;

		r = event_reader_next(v->reader, &event, e);
		if (r <= 0)
			break;
		show(v, event);
	}
	if (r >= 0 && fflush(v->ctx->out) < 0)
		r = err_errno(e, errno, "write the events");
	return r;
}

/* ---- waiting for more ---------------------------------------------------------------- */
static void listen_to_supervisor(struct events *v)
{
	_cleanup_(control_client_freep) struct control_client *c = NULL;
	_cleanup_(json_unrefp) json *m = NULL;

	if (v->word || supervisor_connect(&v->ctx->dirs, v->ctx->project_name, &c, NULL) < 0)
		return;
	m = json_new_object();
	json_put_int(m, "v", CONTROL_VERSION);
	json_put_str(m, "op", "events");
	if (control_send(c, m, NULL, 0, NULL) == 0)
		v->word = TAKE_PTR(c);
}

static void take_word(struct events *v)
{
	_cleanup_(json_unrefp) json *m = NULL;

	if (control_receive(v->word, &m, NULL, NULL, NULL) == 0)
		return;
	control_client_free(v->word); /* it left, or died */
	v->word = NULL;
}

static int timeout_ms(const struct events *v)
{
	int ms = v->word ? LOOK_ANYWAY : LOOK_WITHOUT_WORD;
	uint64_t now = now_real_ns();

	if (v->word && control_client_pending(v->word))
		return 0;
	if (v->until && v->until < now + (uint64_t)ms * NSEC_PER_MSEC)
		return v->until > now ? (int)((v->until - now) / NSEC_PER_MSEC) + 1 : 0;
	return ms;
}

/* 1: go on; 0: the end. */
static int wait_for_more(struct events *v, int signal_fd, struct err *e)
{
	struct pollfd p[] = { { .fd = signal_fd, .events = POLLIN },
			      { .fd = v->word ? control_client_fd(v->word) : -1,
				.events = POLLIN } };

	if (poll(p, ARRAY_SIZE(p), timeout_ms(v)) < 0 && errno != EINTR)
		return err_errno(e, errno, "poll");
	if (p[0].revents)
		return -ECANCELED; /* nothing to say about it */
	if (v->word && (p[1].revents || control_client_pending(v->word)))
		take_word(v);
	return !v->until || now_real_ns() <= v->until;
}

static int follow(struct events *v, struct err *e)
{
	int signal_fd = ctx_cancel_fd(v->ctx, e), r = signal_fd < 0 ? signal_fd : 1;

	while (r > 0) {
		listen_to_supervisor(v); /* before the look: what comes after it is told */
		r = show_new(v, e);
		if (r == 0 && !v->over)
			r = wait_for_more(v, signal_fd, e);
	}
	return r == 0 && !v->over ? show_new(v, e) : r;
}

static int run_events(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct events_options *o = in->options;
	struct events v = { .ctx = ctx, .o = o, .services = in->argv };
	uint64_t now = now_real_ns();
	int r = ctx_dirs(ctx, e);

	if (r == 0 && o->since)
		r = time_point_parse(o->since, now, &v.since, e);
	if (r == 0 && o->until)
		r = time_point_parse(o->until, now, &v.until, e);
	if (r == 0)
		r = ctx_project_name(ctx, e);
	if (r == 0)
		r = event_reader_open(&ctx->dirs, ctx->project_name, o->since != NULL, &v.reader,
				      e);
	if (r == 0)
		r = follow(&v, e);
	control_client_free(v.word);
	event_reader_free(v.reader);
	return r;
}

const struct command cmd_events = {
	.name = "events",
	.args = "[OPTIONS] [SERVICE...]",
	.summary = "Receive real time events from containers",
	.options = flags,
	.options_size = sizeof(struct events_options),
	.max_args = ARGS_ANY,
	.run = run_events,
};
