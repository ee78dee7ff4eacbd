/* cli/watch.c: see watch.h. */
#include "cli/watch.h"

#include <errno.h>
#include <poll.h>

#include "base/cleanup.h"
#include "engine/supervise/supervisor.h"

#define LOOK_WITHOUT_EVENTS 300 /* ms */
#define LOOK_ANYWAY         5000

struct watch {
	const struct dirs *dirs;
	const char *project;
	struct watch_handler handler;
	struct control_client *events;
	struct record_list records;
};

static void subscribe(struct watch *w)
{
	_cleanup_(control_client_freep) struct control_client *c = NULL;
	_cleanup_(json_unrefp) json *m = NULL;

	if (w->events || supervisor_connect(w->dirs, w->project, &c, NULL) < 0)
		return;
	m = json_new_object();
	json_put_int(m, "v", CONTROL_VERSION);
	json_put_str(m, "op", "events");
	if (control_send(c, m, NULL, 0, NULL) == 0)
		w->events = TAKE_PTR(c);
}

static int load(struct watch *w, struct record_list *out, struct err *e)
{
	int r = record_list_load(w->dirs, w->project, out, e);

	for (size_t i = 0; r == 0 && i < out->n; i++)
		(void)record_reconcile(out->items[i], w->dirs); /* changed or not */
	return r;
}

int watch_new(const struct dirs *d, const char *project, const struct watch_handler *h,
	      struct watch **out, struct err *e)
{
	_cleanup_(watch_freep) struct watch *w = new0(struct watch);
	int r;

	w->dirs = d;
	w->project = project;
	w->handler = *h;
	/* Events first: what changes between the two shows as an event. */
	subscribe(w);
	r = load(w, &w->records, e);
	if (r < 0)
		return r;
	*out = TAKE_PTR(w);
	return 0;
}

void watch_free(struct watch *w)
{
	if (!w)
		return;
	control_client_free(w->events);
	record_list_done(&w->records);
	free(w);
}

int watch_fd(const struct watch *w)
{
	return w->events ? control_client_fd(w->events) : -EBADF;
}

int watch_timeout(const struct watch *w)
{
	return w->events ? LOOK_ANYWAY : LOOK_WITHOUT_EVENTS;
}

bool watch_pending(const struct watch *w)
{
	return w->events && control_client_pending(w->events);
}

static bool readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

/* All events that came so far: one look answers them all. */
static void drain_events(struct watch *w)
{
	while (w->events &&
	       (control_client_pending(w->events) || readable(control_client_fd(w->events)))) {
		_cleanup_(json_unrefp) json *m = NULL;

		if (control_receive(w->events, &m, NULL, NULL, NULL) == 0)
			continue;
		control_client_free(w->events);
		w->events = NULL;
	}
}

static const struct record *find_id(const struct record_list *l, const char *id)
{
	for (size_t i = 0; i < l->n; i++)
		if (streq(l->items[i]->id, id))
			return l->items[i];
	return NULL;
}

/* Did a run end between @old and @now?  A run and its successor may both have
 * come and gone, so the end time counts as well as the status. */
static bool run_ended(const struct record *old, const struct record *now)
{
	if (now->finished_at > (old ? old->finished_at : 0))
		return true;
	return old && record_is_active(old) && !record_is_active(now) &&
	       old->status != CONTAINER_RESTARTING;
}

static void compare(struct watch *w, const struct record_list *before,
		    const struct record_list *after)
{
	for (size_t i = 0; i < after->n; i++) {
		const struct record *now = after->items[i], *old = find_id(before, now->id);

		if (!old && w->handler.appeared)
			w->handler.appeared(now, w->handler.data);
		if (run_ended(old, now))
			w->handler.exited(now, record_is_active(now), w->handler.data);
	}
}

int watch_update(struct watch *w, struct err *e)
{
	struct record_list before = w->records, after;
	int r;

	drain_events(w);
	subscribe(w);
	r = load(w, &after, e);
	if (r < 0)
		return r;
	w->records = after;
	compare(w, &before, &after);
	record_list_done(&before);
	return 0;
}

const struct record_list *watch_records(const struct watch *w)
{
	return &w->records;
}
