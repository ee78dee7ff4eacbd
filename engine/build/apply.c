/* engine/build/apply.c: instructions that only change the image's configuration.
 *
 * The single settings are engine/image/change.c's, which also serves
 * `image import --change`; here is only which instruction sets what.
 */
#include "base/strv.h"
#include "engine/build/dockerfile.h"
#include "engine/image/change.h"

static void replace(char ***where, char **with)
{
	strv_free(*where);
	*where = with;
}

static char **command(const struct instruction *i, const struct image_config *c)
{
	return i->exec ? strv_copy(i->words) : change_with_shell(c, i->words[0]);
}

static void set_pairs(const struct instruction *i, char ***env)
{
	for (size_t k = 0; k < i->n_pairs; k++)
		strv_env_set(env, i->pairs[k].key, i->pairs[k].value);
}

static int each_word(const struct instruction *i, struct image_config *c,
		     int (*set)(struct image_config *c, const char *word, struct err *e),
		     struct err *e)
{
	int r = 0;

	for (char **w = i->words; w && *w && r == 0; w++)
		r = set(c, *w, e);
	return r;
}

static void set_health(const struct instruction *i, struct image_config *c)
{
	strv_free(c->health.test);
	c->health = i->health;
	c->health.test = strv_copy(i->health.test);
}

static int apply(const struct instruction *i, struct image_config *c, struct err *e)
{
	switch (i->kind) {
	case INS_CMD:
		replace(&c->cmd, command(i, c));
		return 0;
	case INS_ENTRYPOINT:
		replace(&c->entrypoint, command(i, c));
		return 0;
	case INS_ENV:
		set_pairs(i, &c->env);
		return 0;
	case INS_LABEL:
		set_pairs(i, &c->labels);
		return 0;
	case INS_EXPOSE:
		return each_word(i, c, change_expose, e);
	case INS_VOLUME:
		return each_word(i, c, change_add_volume, e);
	case INS_HEALTHCHECK:
		set_health(i, c);
		return 0;
	case INS_MAINTAINER:
		str_set(&c->author, i->text);
		return 0;
	case INS_ONBUILD:
		strv_add(&c->onbuild, i->text);
		return 0;
	case INS_SHELL:
		replace(&c->shell, strv_copy(i->words));
		return 0;
	case INS_STOPSIGNAL:
		return change_stop_signal(c, i->text, e);
	case INS_USER:
		str_set(&c->user, i->text);
		return 0;
	case INS_WORKDIR:
		change_workdir(c, i->text);
		return 0;
	default:
		return 0;
	}
}

bool instruction_is_config(const struct instruction *i)
{
	return i->kind != INS_RUN && i->kind != INS_COPY && i->kind != INS_ADD &&
	       i->kind != INS_ARG && i->kind != INS_FROM && i->kind != INS_WORKDIR;
}

int instruction_apply(const struct instruction *i, struct image_config *c, struct err *e)
{
	int r = apply(i, c, e);

	return r < 0 ? err_wrap(e, r, "%s", instruction_name(i->kind)) : 0;
}
