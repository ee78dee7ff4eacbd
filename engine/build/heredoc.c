/* engine/build/heredoc.c: finding <<NAME in a line.
 *
 * The line is split as a shell would, quotes kept; a word of the form
 * [fd]<<[-]NAME begins a heredoc, `<<<` does not.  A quoted NAME means that the body
 * is taken as it is.
 */
#include <ctype.h>

#include "base/strv.h"
#include "engine/build/expand.h"
#include "engine/build/parse.h"

#define HEREDOCS_MAX 100

int heredoc_parse(const char *word, struct heredoc *h)
{
	static const struct build_input nothing = { .escape = '\\' };
	struct scope empty = { .escape = '\\', .input = &nothing };
	_cleanup_(strv_freep) char **names = NULL;
	const char *p = word;

	*h = (struct heredoc){ 0 };
	for (; isdigit((unsigned char)*p); p++)
		h->fd = h->fd * 10 + (unsigned int)(*p - '0');
	p = skip_prefix(p, "<<");
	if (!p)
		return 0;
	h->chomp = *p == '-';
	p += h->chomp;
	p += strspn(p, DOCKERFILE_BLANKS);
	if (!*p || strpbrk(p, "<$") || expand_words(&empty, p, &names, NULL) < 0 ||
	    strv_len(names) != 1)
		return 0;
	h->name = xstrdup(names[0]);
	h->expand = !strpbrk(p, "'\"");
	return 1;
}

/* One word off *p, as it is written. */
static char *take_word(const char **p)
{
	struct buf out = BUF_INIT;
	char quote = '\0';

	for (; **p; (*p)++) {
		char c = **p;

		if (!quote && isspace((unsigned char)c))
			break;
		if (!quote && c == '<' && (*p)[1] == '<' && (*p)[2] != '<') {
			buf_adds(&out, "<<");
			*p += 2;
			if (**p == '-')
				buf_addc(&out, *(*p)++);
			*p += strspn(*p, DOCKERFILE_BLANKS);
			(*p)--;
			continue;
		}
		if (c == '\\' && quote != '\'' && (*p)[1]) {
			buf_addc(&out, c);
			c = *++*p;
		} else if (c == quote) {
			quote = '\0';
		} else if (!quote && (c == '"' || c == '\'')) {
			quote = c;
		}
		buf_addc(&out, c);
	}
	return buf_take(&out);
}

void heredocs_of_line(const char *line, struct heredoc **out, size_t *n)
{
	*out = NULL;
	*n = 0;
	while (*(line += strspn(line, DOCKERFILE_BLANKS "\n"))) {
		_cleanup_(free_p) char *word = take_word(&line);
		struct heredoc h;

		if (*n == HEREDOCS_MAX || !heredoc_parse(word, &h))
			continue;
		*out = xreallocarray(*out, *n + 1, sizeof(h));
		(*out)[(*n)++] = h;
	}
}

/* ---- RUN ---------------------------------------------------------------------------------- */

char *instruction_script(const struct instruction *run)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	struct heredoc only;

	if (run->n_heredocs == 0)
		return xstrdup(run->words[0]);
	if (run->n_heredocs == 1 && heredoc_parse(run->words[0], &only)) {
		const char *content = run->heredocs[0].content;

		heredoc_done(&only);
		return skip_prefix(content, "#!") ? NULL : xstrdup(content);
	}
	buf_adds(&text, run->words[0]);
	for (size_t i = 0; i < run->n_heredocs; i++)
		buf_printf(&text, "\n%s%s", run->heredocs[i].content, run->heredocs[i].name);
	return buf_take(&text);
}
