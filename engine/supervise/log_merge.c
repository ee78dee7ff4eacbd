/* engine/supervise/log_merge.c: see log_reader.h: several logs as one.
 *
 * Each log shows its next record, the head; the smallest goes out.  Since one
 * frame holds many lines with one order key, the log that won keeps the word
 * until its key passes that of the best of the others (`rival`), and only then
 * all heads are compared again.  All logs share one inotify descriptor (a user
 * may have only 128), whose events say which logs are worth another look.
 */
#include <sys/inotify.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "engine/supervise/log_reader.h"

#define LOOK_EVERY 1024 /* records, between looks for news while there is plenty */

struct member {
	struct log_reader *reader; /* NULL: ended */
	void *tag;
	int wd;
	bool has_head, maybe_more;
	struct log_record head;
	struct err failure; /* why it ended; code 0: it did not fail */
};

struct log_merge {
	int inotify; /* -EBADF when not following */
	bool follow, idle;
	struct member **members; /* in the order added */
	size_t n;
	struct member *given;   /* whose head the caller has */
	struct member *speaker; /* who may go on; NULL: compare all */
	uint64_t rival;         /* smallest key among the others; UINT64_MAX: none */
	unsigned int since_look;
};

struct log_merge *log_merge_new(bool follow)
{
	struct log_merge *m = new0(struct log_merge);

	m->follow = follow;
	m->inotify = follow ? inotify_init1(IN_CLOEXEC | IN_NONBLOCK) : -EBADF;
	return m;
}

static void member_free(struct member *b)
{
	log_reader_free(b->reader);
	free(b);
}

void log_merge_free(struct log_merge *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->n; i++)
		member_free(m->members[i]);
	free(m->members);
	fd_close(m->inotify);
	free(m);
}

int log_merge_add(struct log_merge *m, int dirfd, const struct log_reader_opts *o, void *tag,
		  struct err *e)
{
	struct log_reader_opts opts = *o;
	struct member *b;
	int r;

	if (m->follow && m->inotify < 0)
		return err_set(e, EMFILE, "cannot follow logs: no inotify instance left");
	b = new0(struct member);
	opts.follow = m->follow;
	b->tag = tag;
	b->maybe_more = true;
	r = log_reader_open_shared(dirfd, &opts, m->inotify, &b->wd, &b->reader, e);
	if (r < 0) {
		free(b);
		return r;
	}
	m->members = xreallocarray(m->members, m->n + 1, sizeof(struct member *));
	m->members[m->n++] = b;
	m->speaker = NULL;
	return 0;
}

static void remove_at(struct log_merge *m, size_t i)
{
	int wd = m->members[i]->wd;
	bool shared = false;

	if (m->given == m->members[i])
		m->given = NULL;
	member_free(m->members[i]);
	memmove(m->members + i, m->members + i + 1, (m->n - i - 1) * sizeof(struct member *));
	m->n--;
	m->speaker = NULL;
	/* Two readers of one directory share a watch. */
	for (size_t k = 0; k < m->n; k++)
		shared |= m->members[k]->wd == wd;
	if (m->inotify >= 0 && !shared)
		(void)inotify_rm_watch(m->inotify, wd); /* gone with its directory perhaps */
}

void log_merge_remove(struct log_merge *m, void *tag)
{
	for (size_t i = m->n; i-- > 0;)
		if (m->members[i]->tag == tag)
			remove_at(m, i);
}

/* ---- news ------------------------------------------------------------------------ */
static void mark(struct log_merge *m, int wd, bool all)
{
	for (size_t i = 0; i < m->n; i++)
		if (all || m->members[i]->wd == wd)
			m->members[i]->maybe_more = true;
}

static void look_for_news(struct log_merge *m)
{
	_Alignas(struct inotify_event) char buf[8192];
	ssize_t n;

	m->since_look = 0;
	if (m->inotify < 0)
		return;
	while ((n = read(m->inotify, buf, sizeof(buf))) > 0) {
		for (char *at = buf; at < buf + n;) {
			struct inotify_event *ev = (void *)at;

			mark(m, ev->wd, ev->mask & IN_Q_OVERFLOW);
			at += sizeof(*ev) + ev->len;
		}
		m->speaker = NULL;
	}
}

/* ---- heads ------------------------------------------------------------------------ */
/* Fetch @b's next record.  False when it has ended and can be removed. */
static bool advance(struct member *b)
{
	int n;

	if (b->failure.code)
		return false;
	b->has_head = false;
	if (!b->maybe_more)
		return true;
	n = log_reader_next(b->reader, &b->head, &b->failure);
	if (n == -EAGAIN) {
		b->maybe_more = false;
		return true;
	}
	if (n < 0) { /* say so where its next record would have been, then end */
		b->head.kind = LOG_REC_GAP;
		b->head.stream = LOG_SYSTEM;
		b->head.data = b->failure.msg;
		b->head.len = strlen(b->failure.msg);
		b->head.bytes = 0;
	}
	b->has_head = n != 0;
	return n != 0;
}

static void fetch_heads(struct log_merge *m)
{
	for (size_t i = 0; i < m->n;) {
		struct member *b = m->members[i];

		if (b->has_head || advance(b))
			i++;
		else
			remove_at(m, i);
	}
}

/* Choose the smallest head and note the key of the second. */
static struct member *choose(struct log_merge *m)
{
	struct member *best = NULL;

	m->rival = UINT64_MAX;
	for (size_t i = 0; i < m->n; i++) {
		struct member *b = m->members[i];

		if (!b->has_head)
			continue;
		if (!best || b->head.order < best->head.order) {
			m->rival = best ? best->head.order : UINT64_MAX;
			best = b;
		} else if (b->head.order < m->rival) {
			m->rival = b->head.order;
		}
	}
	return best;
}

/* May the speaker go on without asking the others? */
static bool keeps_word(struct log_merge *m)
{
	struct member *b = m->speaker;

	if (!b || !b->has_head || ++m->since_look >= LOOK_EVERY)
		return false;
	return b->head.order < m->rival;
}

/* The head given by the last call was the caller's until now. */
static void drop_given(struct log_merge *m)
{
	struct member *b = m->given;

	m->given = NULL;
	if (!b || advance(b))
		return;
	for (size_t i = 0; i < m->n; i++)
		if (m->members[i] == b) {
			remove_at(m, i);
			return;
		}
}

int log_merge_next(struct log_merge *m, struct log_record *rec, void **tag, struct err *e)
{
	(void)e; /* failures of single logs become records */
	if (m->idle || m->since_look >= LOOK_EVERY)
		look_for_news(m);
	m->idle = false;
	drop_given(m);
	if (!keeps_word(m)) {
		fetch_heads(m);
		m->speaker = choose(m);
	}
	m->given = m->speaker;
	if (m->given) {
		*rec = m->given->head;
		*tag = m->given->tag;
		return 1;
	}
	m->idle = m->n > 0;
	return m->n > 0 ? -EAGAIN : 0;
}

int log_merge_fd(const struct log_merge *m)
{
	return m->inotify;
}
