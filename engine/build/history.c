/* engine/build/history.c: see history.h.  Go's %v and %q, where BuildKit uses them. */
#include "engine/build/history.h"

#include "base/buf.h"
#include "base/strv.h"

static void add_quoted(struct buf *b, const char *s)
{
	buf_addc(b, '"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			buf_printf(b, "\\%c", *s);
		else if (*s == '\n')
			buf_adds(b, "\\n");
		else if (*s == '\t')
			buf_adds(b, "\\t");
		else
			buf_addc(b, *s);
	}
	buf_addc(b, '"');
}

/* ["a" "b"] */
static void add_list(struct buf *b, char *const *v, bool quoted)
{
	buf_addc(b, '[');
	STRV_FOREACH (s, v) {
		if (s != v)
			buf_addc(b, ' ');
		if (quoted)
			add_quoted(b, *s);
		else
			buf_adds(b, *s);
	}
	buf_addc(b, ']');
}

static void add_pairs(struct buf *b, const struct instruction *i)
{
	for (size_t n = 0; n < i->n_pairs; n++)
		buf_printf(b, " %s%s%s", i->pairs[n].key, i->pairs[n].value ? "=" : "",
			   i->pairs[n].value ?: "");
}

static void add_run(struct buf *b, const struct instruction *i, const struct image_config *c,
		    char *const *args)
{
	size_t n = strv_len(args);

	if (n)
		buf_printf(b, " |%zu", n);
	STRV_FOREACH (a, args)
		buf_printf(b, " %s", *a);
	if (!i->exec) {
		_cleanup_(free_p) char *shell = c->shell ? strv_join(c->shell, " ")
							 : xstrdup("/bin/sh -c");

		buf_printf(b, " %s", shell);
	}
	STRV_FOREACH (w, i->words)
		buf_printf(b, " %s", *w);
	for (size_t h = 0; h < i->n_heredocs; h++)
		buf_printf(b, "%s%s%s", h ? "" : "\n", i->heredocs[h].content, i->heredocs[h].name);
}

static void add_ports(struct buf *b, const struct instruction *i)
{
	buf_adds(b, " map[");
	STRV_FOREACH (w, i->words)
		buf_printf(b, "%s%s%s:{}", w == i->words ? "" : " ", *w,
			   strchr(*w, '/') ? "" : "/tcp");
	buf_addc(b, ']');
}

static void add_copy(struct buf *b, const struct instruction *i)
{
	STRV_FOREACH (w, i->words)
		buf_printf(b, " %s", *w);
	for (size_t h = 0; h < i->n_heredocs; h++)
		buf_printf(b, " <<%s", i->heredocs[h].name);
	buf_printf(b, " %s", i->dest ?: "");
}

char *history_text(const struct instruction *i, const struct image_config *c, char *const *args)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	buf_adds(&b, instruction_name(i->kind));
	switch (i->kind) {
	case INS_RUN:
		add_run(&b, i, c, args);
		break;
	case INS_ADD:
	case INS_COPY:
		add_copy(&b, i);
		break;
	case INS_ARG:
	case INS_ENV:
	case INS_LABEL:
		add_pairs(&b, i);
		break;
	case INS_CMD:
		buf_addc(&b, ' ');
		add_list(&b, c->cmd, true);
		break;
	case INS_ENTRYPOINT:
		buf_addc(&b, ' ');
		add_list(&b, c->entrypoint, true);
		break;
	case INS_SHELL:
		buf_addc(&b, ' ');
		add_list(&b, c->shell, false);
		break;
	case INS_VOLUME:
		buf_addc(&b, ' ');
		add_list(&b, i->words, false);
		break;
	case INS_EXPOSE:
		add_ports(&b, i);
		break;
	case INS_HEALTHCHECK:
		buf_adds(&b, " ");
		add_list(&b, i->health.test, true);
		break;
	case INS_WORKDIR:
		buf_printf(&b, " %s", c->workdir ?: "/");
		break;
	default:
		buf_printf(&b, " %s", i->text ?: "");
		break;
	}
	if (i->kind == INS_RUN || i->kind == INS_ADD || i->kind == INS_COPY)
		buf_adds(&b, " # buildkit");
	return buf_take(&b);
}

char *history_title(const struct instruction *i)
{
	char *text = xstrdup(i->original ?: instruction_name(i->kind));

	for (char *p = text; *p; p++)
		if (*p == '\n' || *p == '\t' || *p == '\r')
			*p = ' ';
	return text;
}
