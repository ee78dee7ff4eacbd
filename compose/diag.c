/* compose/diag.c: errors and warnings of one run; see diag.h. */
#include "compose/diag.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

void diag_done(struct diag *d)
{
	free(d->warns);
	map_done(&d->seen);
	*d = DIAG_INIT;
}

/* The same complaint at the same place is one complaint: a service that others
 * extend is checked once for each of them. */
static bool known(const struct diag *d, const struct err *e)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->errs[i].line == e->line && d->errs[i].col == e->col &&
		    streq(d->errs[i].file, e->file) && streq(d->errs[i].msg, e->msg))
			return true;
	return false;
}

int diag_add(struct diag *d, const struct err *e)
{
	if (d && !known(d, e)) {
		if (d->n < DIAG_MAX_ERRORS)
			d->errs[d->n++] = *e;
		else
			d->n_more++;
	}
	return -e->code;
}

static int add_at(struct diag *d, const char *file, int line, int col, int code, const char *fmt,
		  va_list ap)
{
	_cleanup_(free_p) char *text = xvasprintf(fmt, ap);
	struct err e = ERR_INIT;

	err_set(&e, code, "%s", text);
	if (file)
		err_at(&e, file, line, col);
	return diag_add(d, &e);
}

int diag_err(struct diag *d, const struct node *at, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_at(d, at ? at->file : NULL, at ? at->line : 0, at ? at->col : 0, code, fmt, ap);
	va_end(ap);
	return -code;
}

int diag_err_key(struct diag *d, const struct node *map, const struct node_entry *key, int code,
		 const char *fmt, ...)
{
	const char *file = key->value && key->value->file ? key->value->file : map->file;
	va_list ap;

	va_start(ap, fmt);
	add_at(d, file, key->line, key->col, code, fmt, ap);
	va_end(ap);
	return -code;
}

void diag_hint(struct diag *d, const char *fmt, ...)
{
	va_list ap;

	if (!d || !d->n || d->n_more)
		return;
	va_start(ap, fmt);
	vsnprintf(d->errs[d->n - 1].hint, ERR_HINT_MAX, fmt, ap);
	va_end(ap);
}

void diag_warn(struct diag *d, const struct node *at, const char *fmt, ...)
{
	_cleanup_(free_p) char *text = NULL;
	struct err e = ERR_INIT;
	va_list ap;

	if (!d)
		return;
	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	if (map_has(&d->seen, text))
		return;
	map_put(&d->seen, text, NULL);
	err_set(&e, EINVAL, "%s", text);
	e.code = 0;
	if (at && at->file)
		err_at(&e, at->file, at->line, at->col);
	d->warns = xreallocarray(d->warns, d->n_warns + 1, sizeof(*d->warns));
	d->warns[d->n_warns++] = e;
}

void diag_suggest(struct diag *d, const char *word, const struct node *map)
{
	_cleanup_(free_p) const char **names = NULL;
	const char *near;

	if (!node_is(map, NODE_MAP) || !map->n)
		return;
	names = xcalloc(map->n, sizeof(*names));
	for (size_t i = 0; i < map->n; i++)
		names[i] = map->entries[i].key;
	near = nearest_word(word, names, map->n);
	if (near)
		diag_hint(d, "did you mean \"%s\"?", near);
}
