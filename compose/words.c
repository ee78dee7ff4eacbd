/* compose/words.c: `command: string` into words; see units_words().
 *
 * A small state machine over the bytes: what kind of quote is open, and whether
 * the word at hand exists yet (an empty pair of quotes makes an empty word).
 * `…` and $(…) are kept as they are, but hold a word together.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/strv.h"
#include "compose/units.h"

enum { SINGLE = 1, DOUBLE = 2, BACKTICK = 4, DOLLAR = 8 };

struct words {
	struct buf word;
	bool has_word;
	unsigned int open; /* quotes; a backtick may hold other quotes */
	char **list;
};

static void end_word(struct words *w)
{
	if (w->has_word)
		strv_add(&w->list, buf_str(&w->word));
	buf_truncate(&w->word, 0);
	w->has_word = false;
}

static void add(struct words *w, char c)
{
	buf_addc(&w->word, c);
	w->has_word = true;
}

/* A quote opens or closes unless one of @blocked is open, where it is a letter. */
static bool toggle(struct words *w, unsigned int quote, unsigned int blocked)
{
	if (w->open & blocked)
		return false;
	w->has_word |= w->open & quote; /* "" is a word */
	w->open ^= quote;
	return true;
}

/* Parentheses outside quotes only make sense as $(…). */
static int parenthesis(struct words *w, char c)
{
	bool after_dollar = w->word.len && w->word.data[w->word.len - 1] == '$';

	if (!(w->open & (SINGLE | DOUBLE | BACKTICK))) {
		bool inside = w->open & DOLLAR;

		if (c == ')' ? !inside : inside || !after_dollar)
			return -EINVAL;
		w->open ^= DOLLAR;
	}
	add(w, c);
	return 0;
}

/* An operator of the shell ends the command; "2>" belongs to the operator. */
static bool ends_command(struct words *w, char c)
{
	if (w->open || !strchr(";&|<>", c))
		return false;
	if (c == '>' && w->word.len && w->word.data[0] >= '0' && w->word.data[0] <= '9')
		w->has_word = false;
	return true;
}

static int split(struct words *w, const char *s)
{
	for (; *s; s++) {
		char c = *s;

		if (c == '\\' && !(w->open & SINGLE)) {
			if (!*++s)
				return -EINVAL;
			add(w, *s == 't' ? '\t' : *s == 'n' ? '\n' : *s);
		} else if (strchr(" \t\r\n", c)) {
			if (!w->open)
				end_word(w);
			else
				buf_addc(&w->word, c);
		} else if (c == '(' || c == ')') {
			if (parenthesis(w, c) < 0)
				return -EINVAL;
		} else if (ends_command(w, c)) {
			break;
		} else if ((c == '"' && toggle(w, DOUBLE, SINGLE | DOLLAR)) ||
			   (c == '\'' && toggle(w, SINGLE, DOUBLE | DOLLAR))) {
			continue;
		} else {
			if (c == '`')
				(void)toggle(w, BACKTICK,
					     SINGLE | DOUBLE | DOLLAR); /* stays in the word */
			add(w, c);
		}
	}
	end_word(w);
	return w->open ? -EINVAL : 0;
}

int units_words(struct arena *a, const char *text, char ***argv, struct err *e)
{
	struct words w = { .word = BUF_INIT };
	size_t n = 0;
	int r = split(&w, text);

	if (r == 0) {
		*argv = arena_alloc(a, (strv_len(w.list) + 1) * sizeof(**argv));
		STRV_FOREACH (word, w.list)
			(*argv)[n++] = arena_strdup(a, *word);
	} else {
		(void)err_set(e, EINVAL, "invalid command line string");
	}
	buf_done(&w.word);
	strv_free(w.list);
	return r;
}
