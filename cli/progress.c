/* cli/progress.c: a list of things that happen, drawn as a picture or told as lines.
 *
 * The tty style keeps how many lines it last drew, moves the cursor up by that
 * many and writes the whole picture in one write, at most every 50 ms, so a
 * hundred containers cost twenty writes a second however many events they make.
 * Lines never wrap (they are cut to the terminal's width), otherwise the count
 * would be wrong; a picture higher than the screen shows what is unfinished.
 */
#include "cli/progress.h"

#include <errno.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/map.h"
#include "cli/humanize.h"
#include "cli/table.h"
#include "cli/term.h"

#define DRAW_EVERY (50 * NSEC_PER_MSEC)
#define TICK_MS    100

struct task {
	char *id, *text, *details;
	enum progress_status status;
	uint64_t started, finished; /* CLOCK_MONOTONIC; finished 0: under way */
	uint64_t current, total;
	uint64_t moved_at, moved_from; /* when the amount began to grow, and from where */
};

struct progress {
	FILE *out;
	struct progress_options o;
	struct map tasks; /* id -> struct task */
	size_t drawn;     /* lines on the screen that are ours */
	uint64_t drawn_at;
	bool dirty;
	unsigned int frame;
};

int progress_mode_parse(const char *text, enum progress_mode *mode, struct err *e)
{
	static const char *const names[] = {
		[PROGRESS_AUTO] = "auto", [PROGRESS_TTY] = "tty",     [PROGRESS_PLAIN] = "plain",
		[PROGRESS_JSON] = "json", [PROGRESS_QUIET] = "quiet",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (streq(text, names[i])) {
			*mode = (enum progress_mode)i;
			return 0;
		}
	err_set(e, EINVAL, "unsupported --progress value \"%s\"", text);
	return err_hint(e, "use auto, tty, plain, json or quiet");
}

enum progress_status progress_status_parse(const char *text)
{
	if (!text)
		return PROGRESS_WORKING;
	if (streq(text, "done"))
		return PROGRESS_DONE;
	if (streq(text, "warning"))
		return PROGRESS_WARNING;
	return streq(text, "error") ? PROGRESS_ERROR : PROGRESS_WORKING;
}

static void task_free(void *p)
{
	struct task *t = p;

	free(t->id);
	free(t->text);
	free(t->details);
	free(t);
}

struct progress *progress_new(FILE *out, const struct progress_options *o)
{
	struct progress *p = new0(struct progress);

	p->out = out;
	p->o = *o;
	if (p->o.mode == PROGRESS_AUTO)
		p->o.mode = o->tty ? PROGRESS_TTY : PROGRESS_PLAIN;
	p->tasks = MAP_INIT_FREE(task_free);
	return p;
}

/* ---- tty -------------------------------------------------------------------- */
static const char *const spinner[] = { "⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏" };

static void screen_size(const struct progress *p, unsigned int *rows, unsigned int *cols)
{
	if (p->o.size)
		p->o.size(rows, cols);
	else
		term_size(fileno(p->out), rows, cols);
}

static const char *mark(const struct progress *p, const struct task *t, const char **color)
{
	switch (t->status) {
	case PROGRESS_DONE:
		*color = "\033[32m";
		return "✔";
	case PROGRESS_WARNING:
		*color = "\033[33m";
		return "!";
	case PROGRESS_ERROR:
		*color = "\033[31m";
		return "✘";
	default:
		*color = "\033[36m";
		return spinner[p->frame % ARRAY_SIZE(spinner)];
	}
}

/* Bytes a second since it moves; 0 until that means something. */
static uint64_t rate_of(const struct task *t)
{
	uint64_t ns = t->moved_at ? now_mono_ns() - t->moved_at : 0;

	if (ns < 100 * NSEC_PER_MSEC || t->current < t->moved_from)
		return 0;
	return (uint64_t)((double)(t->current - t->moved_from) * 1e9 / (double)ns);
}

static void amount_text(const struct task *t, char *buf, size_t n)
{
	char a[HUMAN_MAX], b[HUMAN_MAX], c[HUMAN_MAX];

	buf[0] = '\0';
	if (t->total && rate_of(t))
		snprintf(buf, n, " %s/%s %s/s", human_size(t->current, a), human_size(t->total, b),
			 human_size(rate_of(t), c));
	else if (t->total)
		snprintf(buf, n, " %s/%s", human_size(t->current, a), human_size(t->total, b));
	else if (t->current)
		snprintf(buf, n, " %s", human_size(t->current, a));
}

/* "Container demo-web-1 Started", the part that is padded to one width. */
static char *label(const struct task *t)
{
	char amount[3 * HUMAN_MAX + 8];

	amount_text(t, amount, sizeof(amount));
	return xasprintf("%s %s%s%s%s", t->id, t->text, amount, is_empty(t->details) ? "" : " ",
			 t->details ? t->details : "");
}

/* Cut @s to @width columns, with an ellipsis when something was lost. */
static void cut(char *s, size_t width)
{
	size_t len = strlen(s);

	if (width < 2 || text_width(s) <= width)
		return;
	while (len && text_width(s) > width - 1) {
		while (len && (s[len - 1] & 0xc0) == 0x80)
			len--;
		if (len)
			len--;
		s[len] = '\0';
	}
	strcat(s, "…"); /* the caller left room for three more bytes */
}

static void draw_line(struct progress *p, const struct task *t, size_t width, struct buf *b)
{
	char *text = label(t);
	const char *color, *sign = mark(p, t, &color);
	double seconds = (double)((t->finished ? t->finished : now_mono_ns()) - t->started) / 1e9;
	char *room = xrealloc(text, strlen(text) + 4); /* cut() may add an ellipsis */

	cut(room, width);
	buf_printf(b, " %s%s%s %s%*s %s%.1fs%s\033[K\n", p->o.color ? color : "", sign,
		   p->o.color ? "\033[0m" : "", room, (int)(width - text_width(room)), "",
		   p->o.color ? "\033[34m" : "", seconds, p->o.color ? "\033[0m" : "");
	free(room);
}

static size_t label_width(const struct progress *p, size_t cols)
{
	size_t width = 0;

	MAP_FOREACH (entry, &p->tasks) {
		_cleanup_(free_p) char *text = label(entry->value);

		width = MAX(width, text_width(text));
	}
	return MIN(width, cols > 13 ? cols - 13 : (size_t)1); /* mark, blanks, "1234.5s" */
}

/* @room lines at most: the unfinished first choose, then the latest. */
static size_t draw_lines(struct progress *p, size_t room, size_t cols, struct buf *b)
{
	size_t open = 0, n = 0, width = label_width(p, cols), skip;

	MAP_FOREACH (entry, &p->tasks)
		open += !((struct task *)entry->value)->finished;
	skip = map_len(&p->tasks) > room ? map_len(&p->tasks) - room : 0;
	MAP_FOREACH (entry, &p->tasks) {
		struct task *t = entry->value;

		if (skip && (t->finished || open > room)) {
			skip--;
			open -= !t->finished;
			continue;
		}
		if (n == room)
			break;
		draw_line(p, t, width, b);
		n++;
	}
	return n;
}

static void draw(struct progress *p, bool final)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	unsigned int rows, cols;
	size_t done = 0;

	if (!map_len(&p->tasks))
		return;
	screen_size(p, &rows, &cols);
	MAP_FOREACH (entry, &p->tasks)
		done += ((struct task *)entry->value)->finished != 0;
	if (p->drawn)
		buf_printf(&b, "\033[%zuA\r", p->drawn);
	buf_printf(&b, "%s%s[+] %s %zu/%zu%s\033[K\n", p->o.color ? "\033[34m" : "",
		   p->o.dry_run ? "DRY-RUN MODE - " : "", p->o.title ? p->o.title : "Running", done,
		   map_len(&p->tasks), p->o.color ? "\033[0m" : "");
	p->drawn = 1 + draw_lines(p, final ? SIZE_MAX : MAX(rows, 4u) - 2, cols, &b);
	if (!final)
		buf_adds(&b, "\033[J");
	fwrite(b.data, 1, b.len, p->out);
	fflush(p->out);
	p->drawn_at = now_mono_ns();
	p->dirty = false;
}

/* ---- plain and json ----------------------------------------------------------- */
static void print_plain(struct progress *p, const struct task *t)
{
	fprintf(p->out, "%s %s %s %s\n", p->o.dry_run ? "DRY-RUN MODE - " : "", t->id, t->text,
		t->details ? t->details : "");
	fflush(p->out);
}

static void print_json(struct progress *p, const struct task *t)
{
	static const char *const names[] = {
		[PROGRESS_WORKING] = "Working",
		[PROGRESS_DONE] = "Done",
		[PROGRESS_WARNING] = "Warning",
		[PROGRESS_ERROR] = "Error",
	};
	_cleanup_(json_unrefp) json *j = json_new_object();

	if (p->o.dry_run)
		json_put_bool(j, "dry-run", true);
	json_put_str(j, "id", t->id);
	json_put_str(j, "status", names[t->status]);
	json_put_str(j, "text", t->text);
	if (!is_empty(t->details))
		json_put_str(j, "details", t->details);
	if (t->current || t->total) {
		json_put_u64(j, "current", t->current);
		json_put_u64(j, "total", t->total);
	}
	if (rate_of(t))
		json_put_u64(j, "rate", rate_of(t));
	if (t->total)
		json_put_u64(j, "percent", MIN(t->current * 100 / t->total, UINT64_C(100)));
	fprintf(p->out, "%s\n", json_text(j));
	fflush(p->out);
}

static void show(struct progress *p, const struct task *t)
{
	switch (p->o.mode) {
	case PROGRESS_TTY:
		p->dirty = true;
		if (now_mono_ns() - p->drawn_at >= DRAW_EVERY)
			draw(p, false);
		break;
	case PROGRESS_PLAIN:
		print_plain(p, t);
		break;
	case PROGRESS_JSON:
		print_json(p, t);
		break;
	default:
		break;
	}
}

/* ---- events --------------------------------------------------------------------- */
static struct task *task_of(struct progress *p, const char *id)
{
	struct task *t = map_get(&p->tasks, id);

	if (t)
		return t;
	t = new0(struct task);
	t->id = xstrdup(id);
	t->started = now_mono_ns();
	map_put(&p->tasks, id, t);
	return t;
}

void progress_event(struct progress *p, const char *id, enum progress_status status,
		    const char *text, const char *details)
{
	struct task *t = task_of(p, id);
	uint64_t now = now_mono_ns();

	/* Created … Starting: the clock shows the step at hand. */
	if (status == PROGRESS_WORKING && t->finished)
		t->started = now;
	t->finished = status == PROGRESS_WORKING ? 0 : now;
	t->status = status;
	t->current = t->total = t->moved_at = 0;
	str_set(&t->text, text);
	str_set(&t->details, details);
	show(p, t);
}

void progress_amount(struct progress *p, const char *id, const char *text, uint64_t current,
		     uint64_t total)
{
	struct task *t = task_of(p, id);
	bool new_text = !streq_null(t->text, text);

	str_set(&t->text, text);
	t->status = PROGRESS_WORKING;
	if (!t->moved_at && current) {
		t->moved_at = now_mono_ns();
		t->moved_from = current;
	}
	t->current = current;
	t->total = total;
	/* Lines would fill the screen with numbers: those are for the picture. */
	if (p->o.mode != PROGRESS_PLAIN || new_text)
		show(p, t);
}

void progress_tick(struct progress *p)
{
	if (p->o.mode != PROGRESS_TTY)
		return;
	p->frame++;
	draw(p, false);
}

int progress_interval(const struct progress *p)
{
	return p->o.mode == PROGRESS_TTY && map_len(&p->tasks) ? TICK_MS : -1;
}

void progress_free(struct progress *p)
{
	if (!p)
		return;
	if (p->o.mode == PROGRESS_TTY)
		draw(p, true);
	map_done(&p->tasks);
	free(p);
}
