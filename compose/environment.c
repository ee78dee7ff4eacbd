/* compose/environment.c: where ${VARIABLES} get their values; see load.h.
 *
 * One map of names to values that remember their origin, so that `config
 * --explain` can say ".env:3".  The process environment is put in first and what
 * is there is never overwritten: that is the order of precedence.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/strv.h"
#include "compose/dotenv.h"
#include "compose/load.h"

static struct interp_value look_up(const char *name, void *data)
{
	const struct scope *s = data;
	const struct project_var *v = map_get(s->env, name);

	return v ? (struct interp_value){ v->value, v->origin } : (struct interp_value){ 0 };
}

static void warn(const char *name, const struct node *at, void *data)
{
	const struct scope *s = data;

	diag_warn(s->l->diag, at, "The \"%s\" variable is not set. Defaulting to a blank string.",
		  name);
}

struct interp_vars environment_vars(struct scope *s)
{
	return (struct interp_vars){ .lookup = look_up, .warn = warn, .data = s };
}

void environment_put(struct arena *a, struct map *env, const char *key, const char *value,
		     const char *origin)
{
	struct project_var *v = arena_alloc(a, sizeof(*v));

	v->value = arena_strdup(a, value);
	v->origin = origin;
	map_put(env, key, v);
}

int environment_read(struct loader *l, struct map *env, char *const *files, struct diag *diag)
{
	struct scope s = { .l = l, .env = env };
	struct interp_vars vars = environment_vars(&s);
	struct dotenv read = { 0 };
	struct map fresh = MAP_INIT;

	STRV_FOREACH (file, files) {
		const char *shown = load_display_name(l, *file);
		size_t first = read.n;
		struct err e = ERR_INIT;
		_cleanup_(buf_done) struct buf text = BUF_INIT;
		int r = load_read(l, *file, DOTENV_MAX_SIZE, &text, &e);

		if (r == -ENOENT)
			err_set(&e, ENOENT, "couldn't find env file: %s", *file);
		if (r == -EISDIR)
			err_set(&e, EISDIR, "%s is a directory", *file);
		if (r == 0)
			r = dotenv_parse(l->a, shown, buf_str(&text), text.len, DOTENV_COMPOSE,
					 &vars, &read, &e);
		if (r < 0) {
			map_done(&fresh);
			return diag_add(diag, &e);
		}
		for (size_t i = first; i < read.n; i++)
			if (read.entries[i].value && !map_has(env, read.entries[i].key))
				environment_put(
					l->a, &fresh, read.entries[i].key, read.entries[i].value,
					arena_printf(l->a, "%s:%d", shown, read.entries[i].line));
	}
	MAP_FOREACH (entry, &fresh)
		map_put(env, entry->key, entry->value);
	map_done(&fresh);
	return 0;
}
