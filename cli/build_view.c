/* cli/build_view.c: see build_view.h.
 *
 * The picture of the tty style is drawn over itself: cursor up by the number of lines
 * drawn last, each line cleared to its end.  Whatever does not fit the terminal's
 * height is left out at the top: what has long been done.
 */
#include "cli/build_view.h"

#include <ctype.h>

#include "base/strv.h"
#include "cli/term.h"

#define LAST_LINES 20 /* of a step's output kept for the excerpt */
#define SHOWN      6  /* of them below a running step on a terminal */
#define FRAME_NS   (80 * NSEC_PER_MSEC)

enum vertex_state { VERTEX_RUNNING, VERTEX_DONE, VERTEX_CACHED, VERTEX_FAILED, VERTEX_CANCELED };

struct vertex {
	char *name;
	enum vertex_state state;
	uint64_t began, elapsed;
	char *lines[LAST_LINES]; /* a ring */
	size_t n_lines;
};

struct build_view {
	struct context *ctx;
	FILE *out;
	enum progress_mode mode;
	struct vertex *vertices; /* by number */
	size_t n;
	unsigned int last; /* plain: whose line came last */
	uint64_t began, drawn_at;
	unsigned int drawn; /* tty: lines on the screen */
};

int build_view_new(struct context *ctx, const char *mode, bool quiet,
		   struct build_view **out, struct err *e)
{
	struct build_view *v = new0(struct build_view);
	const char *text = mode ?: ctx->global.progress ?: "auto";
	int r = streq(text, "rawjson") ? (v->mode = PROGRESS_JSON, 0)
				       : progress_mode_parse(text, &v->mode, e);

	if (r < 0) {
		free(v);
		return r;
	}
	v->ctx = ctx;
	v->out = ctx->err;
	v->began = now_mono_ns();
	if (v->mode == PROGRESS_AUTO)
		v->mode = ctx->err_tty ? PROGRESS_TTY : PROGRESS_PLAIN;
	if (quiet)
		v->mode = PROGRESS_QUIET;
	*out = v;
	return 0;
}

static struct vertex *vertex_of(struct build_view *v, unsigned int number)
{
	if (number >= v->n) {
		v->vertices = xreallocarray(v->vertices, number + 1, sizeof(*v->vertices));
		memset(v->vertices + v->n, 0, (number + 1 - v->n) * sizeof(*v->vertices));
		v->n = number + 1;
	}
	return &v->vertices[number];
}

static double seconds(uint64_t ns)
{
	return (double)ns / (double)NSEC_PER_SEC;
}

/* ---- plain ------------------------------------------------------------------------------- */

static void plain_turn(struct build_view *v, unsigned int number)
{
	if (v->last != number && v->last)
		fputc('\n', v->out);
	if (v->last != number && vertex_of(v, number)->n_lines)
		fprintf(v->out, "#%u ...\n", number);
	v->last = number;
}

static void plain(struct build_view *v, const struct build_event *ev)
{
	const struct vertex *x = vertex_of(v, ev->vertex);

	if (ev->kind == BUILD_WARNING) {
		ctx_warn(v->ctx, "%.*s", (int)ev->n, ev->text);
		return;
	}
	plain_turn(v, ev->vertex);
	switch (ev->kind) {
	case BUILD_STARTED:
		fprintf(v->out, "#%u %s\n", ev->vertex, x->name);
		break;
	case BUILD_OUTPUT:
		fprintf(v->out, "#%u %.3f %.*s\n", ev->vertex, seconds(ev->elapsed), (int)ev->n,
			ev->text);
		break;
	case BUILD_CACHED:
		fprintf(v->out, "#%u CACHED\n", ev->vertex);
		break;
	case BUILD_DONE:
		fprintf(v->out, "#%u DONE %.1fs\n", ev->vertex, seconds(ev->elapsed));
		break;
	case BUILD_FAILED:
		fprintf(v->out, "#%u ERROR: %.*s\n", ev->vertex, (int)ev->n, ev->text);
		break;
	case BUILD_CANCELED:
		fprintf(v->out, "#%u CANCELED\n", ev->vertex);
		break;
	case BUILD_WARNING:
		break;
	}
	fflush(v->out);
}

/* ---- json -------------------------------------------------------------------------------- */

static void as_json(struct build_view *v, const struct build_event *ev)
{
	static const char *const kinds[] = { "started", "output",   "cached", "done",
					     "error",   "canceled", "warning" };
	_cleanup_(json_unrefp) json *o = json_new_object();
	_cleanup_(free_p) char *text = xstrndup(ev->text, ev->n);

	json_put_int(o, "vertex", ev->vertex);
	json_put_str(o, "event", kinds[ev->kind]);
	json_put_str(o, "name", vertex_of(v, ev->vertex)->name);
	if (*text)
		json_put_str(o, "text", text);
	json_put_u64(o, "elapsed", ev->elapsed);
	fprintf(v->out, "%s\n", json_text(o));
}

/* ---- tty --------------------------------------------------------------------------------- */

struct screen {
	struct build_view *v;
	unsigned int rows, cols, lines;
};

static void put_line(struct screen *s, const char *left, const char *right, const char *color)
{
	int width = (int)s->cols - 1, n = (int)strlen(right);
	int room = MAX(width - n - 1, 10);

	fprintf(s->v->out, "\r\033[K%s%-*.*s%s%s%s\n", s->v->ctx->err_color ? color : "", room,
		room, left, n ? " " : "", right, s->v->ctx->err_color ? "\033[0m" : "");
	s->lines++;
}

static void draw_vertex(struct screen *s, const struct vertex *x)
{
	static const char *const colors[] = { "", "\033[34m", "\033[34m", "\033[31m", "\033[33m" };
	static const char *const marks[] = { "", "", "CACHED ", "ERROR ", "CANCELED " };
	uint64_t ns = x->state == VERTEX_RUNNING ? now_mono_ns() - x->began : x->elapsed;
	_cleanup_(free_p) char *left = xasprintf(" => %s%s", marks[x->state], x->name);
	char time[32];

	snprintf(time, sizeof(time), "%.1fs", seconds(ns));
	put_line(s, left, time, colors[x->state]);
	if (x->state != VERTEX_RUNNING)
		return;
	for (size_t i = x->n_lines > SHOWN ? x->n_lines - SHOWN : 0; i < x->n_lines; i++) {
		_cleanup_(free_p) char *line = xasprintf(" => => # %s", x->lines[i % LAST_LINES]);

		for (char *p = line; *p; p++)
			if (iscntrl((unsigned char)*p))
				*p = ' ';
		put_line(s, line, "", "\033[2m");
	}
}

static unsigned int height_of(const struct vertex *x)
{
	return 1 + (x->state == VERTEX_RUNNING ? (unsigned int)MIN(x->n_lines, (size_t)SHOWN) : 0);
}

static void draw(struct build_view *v, bool all)
{
	struct screen s = { .v = v };
	_cleanup_(free_p) char *head = NULL;
	unsigned int height = 1, done = 0, total = 0;
	size_t first = v->n;

	term_size(fileno(v->out), &s.rows, &s.cols);
	while (first > 1 && (all || height + height_of(&v->vertices[first - 1]) < s.rows))
		height += height_of(&v->vertices[--first]);
	for (size_t i = 1; i < v->n; i++) {
		total += v->vertices[i].name != NULL;
		done += v->vertices[i].name && v->vertices[i].state != VERTEX_RUNNING;
	}
	if (v->drawn)
		fprintf(v->out, "\033[%uA", v->drawn);
	head = xasprintf("[+] Building %.1fs (%u/%u)", seconds(now_mono_ns() - v->began), done,
			 total);
	put_line(&s, head, "", "");
	for (size_t i = first; i < v->n; i++)
		if (v->vertices[i].name)
			draw_vertex(&s, &v->vertices[i]);
	fputs("\033[J", v->out);
	fflush(v->out);
	v->drawn = s.lines;
	v->drawn_at = now_mono_ns();
}

/* ---- events ------------------------------------------------------------------------------ */

static void keep_line(struct vertex *x, const char *text, size_t n)
{
	char **line = &x->lines[x->n_lines++ % LAST_LINES];

	free(*line);
	*line = xstrndup(text, n);
}

/* "[web 2/3] RUN make", "[web] exporting to image" */
static char *name_of(const char *label, const char *text, size_t n)
{
	if (!label)
		return xstrndup(text, n);
	return *text == '[' ? xasprintf("[%s %.*s", label, (int)n - 1, text + 1)
			    : xasprintf("[%s] %.*s", label, (int)n, text);
}

static void note(struct build_view *v, const char *label, const struct build_event *ev)
{
	struct vertex *x = vertex_of(v, ev->vertex);

	x->elapsed = ev->elapsed;
	switch (ev->kind) {
	case BUILD_STARTED:
		x->began = now_mono_ns();
		x->name = name_of(label, ev->text, ev->n);
		break;
	case BUILD_OUTPUT:
		keep_line(x, ev->text, ev->n);
		break;
	case BUILD_DONE:
		x->state = VERTEX_DONE;
		break;
	case BUILD_CACHED:
		x->state = VERTEX_CACHED;
		break;
	case BUILD_FAILED:
		x->state = VERTEX_FAILED;
		x->elapsed = now_mono_ns() - x->began;
		break;
	case BUILD_CANCELED:
		x->state = VERTEX_CANCELED;
		x->elapsed = now_mono_ns() - x->began;
		break;
	case BUILD_WARNING:
		break;
	}
}

void build_view_event(struct build_view *v, const char *label, const struct build_event *ev)
{
	if (v->mode == PROGRESS_PLAIN && ev->kind != BUILD_STARTED)
		plain(v, ev);
	if (v->mode == PROGRESS_JSON)
		as_json(v, ev);
	note(v, label, ev);
	if (v->mode == PROGRESS_PLAIN && ev->kind == BUILD_STARTED)
		plain(v, ev);
	if (v->mode == PROGRESS_TTY && now_mono_ns() - v->drawn_at > FRAME_NS)
		draw(v, false);
}

static void on_event(void *data, const struct build_event *ev)
{
	build_view_event(data, NULL, ev);
}

static void on_tick(void *data)
{
	struct build_view *v = data;

	if (v->mode == PROGRESS_TTY && now_mono_ns() - v->drawn_at > FRAME_NS)
		draw(v, false);
}

struct build_handler build_view_handler(struct build_view *v, int cancel_fd)
{
	return (struct build_handler){ .event = on_event,
				       .cancel_fd = cancel_fd,
				       .tick = v->mode == PROGRESS_TTY ? on_tick : NULL,
				       .data = v };
}

void build_view_break(struct build_view *v)
{
	v->drawn = 0;
}

void build_view_excerpt(struct build_view *v, unsigned int number)
{
	const struct vertex *x;

	if (number == 0)
		return;
	if (v->mode == PROGRESS_TTY)
		draw(v, true);
	v->drawn = 0;
	x = vertex_of(v, number);
	fprintf(v->out, "------\n > %s:\n", x->name);
	for (size_t i = x->n_lines > LAST_LINES ? x->n_lines - LAST_LINES : 0; i < x->n_lines; i++)
		fprintf(v->out, "%s\n", x->lines[i % LAST_LINES]);
	fprintf(v->out, "------\n");
	fflush(v->out);
}

void build_view_free(struct build_view *v)
{
	if (!v)
		return;
	if (v->mode == PROGRESS_TTY && (v->drawn || !v->drawn_at) && v->n)
		draw(v, true);
	for (size_t i = 0; i < v->n; i++) {
		free(v->vertices[i].name);
		for (size_t k = 0; k < LAST_LINES; k++)
			free(v->vertices[i].lines[k]);
	}
	free(v->vertices);
	free(v);
}
