/* cli/log_view.c: prefix, colour, print.
 *
 * Lines longer than LOG_LINE_MAX arrive in pieces; the pieces are put together
 * again on the screen as long as nothing else came between them.  Output is
 * written through large stdio buffers, flushed when the logs have nothing more.
 */
#include "cli/log_view.h"

#include <errno.h>
#include <fcntl.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/map.h"
#include "cli/table.h"
#include "engine/supervise/log_reader.h"
#include "engine/supervise/monitor.h"

#define LINES_PER_PUMP 5000

struct shown {
	char *name;
	const char *color;
};

struct log_view {
	struct log_view_options o;
	struct log_merge *merge;
	struct map containers; /* id → struct shown */
	size_t width;
	FILE *last;               /* the stream written to last */
	const struct shown *open; /* whose line has no end yet, or NULL */
	enum log_stream open_stream;
};

static const char *const colors[] = {
	"\033[36m",   "\033[33m",   "\033[32m",   "\033[35m",   "\033[34m",
	"\033[36;1m", "\033[33;1m", "\033[32;1m", "\033[35;1m", "\033[34;1m",
};

static void shown_free(void *p)
{
	struct shown *s = p;

	free(s->name);
	free(s);
}

struct log_view *log_view_new(const struct log_view_options *o)
{
	struct log_view *v = new0(struct log_view);

	v->o = *o;
	v->merge = log_merge_new(o->follow);
	v->containers = MAP_INIT_FREE(shown_free);
	v->last = o->out;
	return v;
}

void log_view_free(struct log_view *v)
{
	if (!v)
		return;
	log_merge_free(v->merge);
	map_done(&v->containers);
	free(v);
}

const char *log_view_name(const struct record *r)
{
	const char *rest = skip_prefix(r->name, r->project);

	return rest && (*rest == '-' || *rest == '_') && rest[1] ? rest + 1 : r->name;
}

void log_view_reserve(struct log_view *v, const struct record *r)
{
	size_t width = text_width(log_view_name(r));

	v->width = MAX(v->width, width);
}

/* A colour belongs to a container's place among those seen, as in Docker
 * Compose: replicas differ. */
static struct shown *shown_of(struct log_view *v, const struct record *r)
{
	struct shown *s = map_get(&v->containers, r->id);

	if (s)
		return s;
	s = new0(struct shown);
	s->name = xstrdup(log_view_name(r));
	s->color = colors[map_len(&v->containers) % ARRAY_SIZE(colors)];
	map_put(&v->containers, r->id, s);
	log_view_reserve(v, r);
	return s;
}

int log_view_add(struct log_view *v, const struct dirs *d, const struct record *r, uint64_t since,
		 struct err *e)
{
	struct log_reader_opts o = LOG_READER_OPTS_INIT;
	_cleanup_(free_p) char *dir = NULL;
	_cleanup_(fd_closep) int fd = -EBADF;
	int ret;

	if (map_has(&v->containers, r->id))
		return 0;
	dir = dirs_container(d, r->project, r->id);
	fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return 0; /* removed meanwhile */
	if (fd < 0)
		return err_errno(e, errno, "open %s", dir);
	o.follow = v->o.follow;
	o.tail = v->o.tail;
	o.since = since ? since : v->o.since;
	o.until = v->o.until;
	ret = log_merge_add(v->merge, fd, &o, shown_of(v, r), e);
	return ret < 0 ? ret : 1;
}

/* ---- printing ------------------------------------------------------------------- */
static FILE *switch_to(struct log_view *v, FILE *f)
{
	/* Both may be the same terminal: keep the order. */
	if (v->last != f) {
		fflush(v->last);
		v->last = f;
	}
	return f;
}

static void end_open_line(struct log_view *v)
{
	if (v->open)
		fputc('\n', v->last);
	v->open = NULL;
}

static void print_prefix(struct log_view *v, FILE *f, const struct shown *s, uint64_t real)
{
	char when[TIME_TEXT_MAX];
	int pad = (int)(v->width - text_width(s->name)) + 1;

	if (!v->o.no_prefix)
		fprintf(f, "%s%s%*s | %s", v->o.color ? s->color : "", s->name, pad, "",
			v->o.color ? "\033[0m" : "");
	if (v->o.timestamps)
		fprintf(f, "%s ", time_format(real, when));
}

static void print_line(struct log_view *v, const struct shown *s, const struct log_record *rec)
{
	FILE *f = rec->stream == LOG_STDOUT ? v->o.out : v->o.err;

	if (v->open != s || v->open_stream != rec->stream) {
		end_open_line(v);
		f = switch_to(v, f);
		print_prefix(v, f, s, rec->real);
	}
	fwrite(rec->data, 1, rec->len, f);
	v->open = rec->partial ? s : NULL;
	v->open_stream = rec->stream;
	if (!rec->partial)
		fputc('\n', f);
}

static void print_gap(struct log_view *v, const struct shown *s, const struct log_record *rec)
{
	FILE *f;

	end_open_line(v);
	f = switch_to(v, v->o.err);
	print_prefix(v, f, s, rec->real);
	fprintf(f, "[comp: %.*s]\n", (int)rec->len, rec->data);
}

static int flush(struct log_view *v, struct err *e)
{
	errno = 0;
	if (fflush(v->o.out) == 0 && fflush(v->o.err) == 0 && !ferror(v->o.out))
		return 0;
	return err_errno(e, errno ? errno : EPIPE, "write");
}

int log_view_pump(struct log_view *v, struct err *e)
{
	int r = 1;

	for (int i = 0; i < LINES_PER_PUMP; i++) {
		struct log_record rec;
		void *tag;

		r = log_merge_next(v->merge, &rec, &tag, e);
		if (r <= 0)
			break;
		if (rec.kind == LOG_REC_GAP)
			print_gap(v, tag, &rec);
		else if (rec.kind != LOG_REC_END)
			print_line(v, tag, &rec);
		if (ferror(v->o.out))
			break;
	}
	if (r == 0)
		end_open_line(v);
	if (flush(v, e) < 0)
		return -EPIPE;
	return r == -EAGAIN ? 1 : r == 1 ? 2 : r;
}

int log_view_fd(const struct log_view *v)
{
	return log_merge_fd(v->merge);
}

void log_view_status(struct log_view *v, const struct record *r, const char *text)
{
	const struct shown *s = shown_of(v, r);
	FILE *f;

	end_open_line(v);
	f = switch_to(v, v->o.out);
	fprintf(f, "%s%s %s%s\n", v->o.color ? s->color : "", s->name, text,
		v->o.color ? "\033[0m" : "");
	fflush(f);
}
