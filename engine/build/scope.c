/* engine/build/scope.c: what variables there are at each line, and which parts of an
 * instruction they are put into.
 *
 * The line that came last decides: an ARG hides an ENV above it for the rest of the
 * stage, and an ENV takes an ARG away.  The reference only speaks of the latter ("ENV
 * always overrides ARG"); what Docker does is both.  The global scope is asked only
 * when a stage declares a name without a default.
 */
#include <strings.h>

#include "base/strv.h"
#include "engine/build/expand.h"
#include "engine/build/parse.h"
#include "engine/image/manifest.h"

static const char *const proxies[] = { "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY",
				       "ALL_PROXY" };

static bool is_proxy(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(proxies); i++)
		if (strcasecmp(name, proxies[i]) == 0)
			return true;
	return false;
}

/* ---- predefined arguments --------------------------------------------------------------- */

static void predefine(struct scope *s, const char *side, const char *what, const char *value)
{
	_cleanup_(free_p) char *name = xasprintf("%s%s", side, what);
	const char *given = strv_env_get(s->input->args, name);

	strv_env_set(&s->args, name, given ? given : value);
}

/* "linux/arm/v7" as SIDEPLATFORM, SIDEOS, SIDEARCH and SIDEVARIANT. */
static void predefine_platform(struct scope *s, const char *side, const char *platform)
{
	_cleanup_(strv_freep) char **part = strv_split(platform, '/', false);
	size_t n = strv_len(part);

	predefine(s, side, "PLATFORM", platform);
	predefine(s, side, "OS", n > 0 ? part[0] : "");
	predefine(s, side, "ARCH", n > 1 ? part[1] : "");
	predefine(s, side, "VARIANT", n > 2 ? part[2] : "");
}

void scope_init_global(struct scope *s, const struct build_input *input)
{
	_cleanup_(free_p) char *host = NULL;
	const char *arch, *variant;

	*s = (struct scope){ .escape = input->escape ? input->escape : '\\', .input = input };
	platform_of_host(&arch, &variant);
	/* Every arm64 is v8, which is therefore not said. */
	if (variant && streq(arch, "arm64"))
		variant = NULL;
	host = xasprintf("linux/%s%s%s", arch, variant ? "/" : "", variant ? variant : "");
	predefine_platform(s, "BUILD", host);
	predefine_platform(s, "TARGET", input->platform ? input->platform : host);
	predefine(s, "TARGET", "STAGE", is_empty(input->target) ? "default" : input->target);
}

void scope_init_stage(struct scope *s, const struct scope *global, char *const *env)
{
	*s = (struct scope){ .escape = global->escape,
			     .input = global->input,
			     .global = global,
			     .env = strv_copy(env) };
}

void scope_inherit(struct scope *s, const struct scope *base)
{
	STRV_FOREACH (arg, base->args) {
		_cleanup_(free_p) char *key = xstrndup(*arg, strcspn(*arg, "="));

		strv_env_set(&s->args, key, *arg + strlen(key) + 1);
	}
}

void scope_done(struct scope *s)
{
	strv_free(s->env);
	strv_free(s->args);
	strv_free(s->used);
	*s = (struct scope){ 0 };
}

const char *scope_get(const struct scope *s, const char *name)
{
	const char *value = strv_env_get(s->args, name);

	return value ? value : strv_env_get(s->env, name);
}

/* ---- ARG and ENV ------------------------------------------------------------------------- */

static int declare(struct scope *s, const struct pair *arg, struct err *e)
{
	const char *given = strv_env_get(s->input->args, arg->key);
	_cleanup_(free_p) char *value = NULL;
	int r;

	if (given) {
		if (!strv_has(s->used, arg->key))
			strv_add(&s->used, arg->key);
		value = xstrdup(given);
	} else if (arg->value) {
		r = expand_word(s, arg->value, &value, e);
		if (r < 0)
			return r;
	} else if (s->global) {
		value = xstrdup_null(strv_env_get(s->global->args, arg->key));
	}
	if (value)
		strv_env_set(&s->args, arg->key, value);
	return 0;
}

int scope_declare(struct scope *s, const struct instruction *arg, struct err *e)
{
	for (size_t i = 0; i < arg->n_pairs; i++) {
		_cleanup_(free_p) char *key = NULL;
		int r = expand_word(s, arg->pairs[i].key, &key, e);

		if (r == 0)
			r = declare(s, &(struct pair){ key, arg->pairs[i].value }, e);
		if (r < 0)
			return err_wrap(e, r, "ARG");
	}
	return 0;
}

void scope_set_env(struct scope *s, const struct instruction *env)
{
	for (size_t i = 0; i < env->n_pairs; i++) {
		strv_env_set(&s->env, env->pairs[i].key, env->pairs[i].value);
		strv_env_set(&s->args, env->pairs[i].key, NULL);
	}
}

/* ---- the environment of RUN ---------------------------------------------------------------- */

char **scope_run_args(const struct scope *s)
{
	return s->args ? strv_copy(s->args) : xcalloc(1, sizeof(char *));
}

/* Both spellings, whichever was given. */
static void add_proxy(char ***env, const char *key, const char *value)
{
	_cleanup_(free_p) char *other = xstrdup(key);

	for (char *p = other; *p; p++)
		*p ^= *p == '_' ? 0 : 0x20;
	if (!strv_env_get(*env, key))
		strv_env_set(env, key, value);
	if (!strv_env_get(*env, other))
		strv_env_set(env, other, value);
}

char **scope_run_env(const struct scope *s)
{
	_cleanup_(strv_freep) char **out = s->env ? strv_copy(s->env) : xcalloc(1, sizeof(*out));

	STRV_FOREACH (arg, s->args) {
		_cleanup_(free_p) char *key = xstrndup(*arg, strcspn(*arg, "="));

		strv_env_set(&out, key, *arg + strlen(key) + 1);
	}
	STRV_FOREACH (arg, s->input->args) {
		_cleanup_(free_p) char *key = xstrndup(*arg, strcspn(*arg, "="));

		if (is_proxy(key) && (*arg)[strlen(key)] == '=')
			add_proxy(&out, key, *arg + strlen(key) + 1);
	}
	return TAKE_PTR(out);
}

/* Needs no declaration, or is meant for the builder itself. */
static bool is_predefined(const char *key, const struct scope *global)
{
	return is_proxy(key) || skip_prefix(key, "BUILDKIT_") || streq(key, "SOURCE_DATE_EPOCH") ||
	       (global && strv_env_get(global->args, key));
}

char **scope_unused_args(const struct build_input *input, const struct scope *const *scopes,
			 size_t n)
{
	_cleanup_(strv_freep) char **out = xcalloc(1, sizeof(*out));

	STRV_FOREACH (arg, input->args) {
		_cleanup_(free_p) char *key = xstrndup(*arg, strcspn(*arg, "="));
		bool used = false;

		for (size_t i = 0; i < n && !used; i++)
			used = strv_has(scopes[i]->used, key) ||
			       is_predefined(key, scopes[i]->global ? NULL : scopes[i]);
		if (!used)
			strv_add(&out, key);
	}
	return TAKE_PTR(out);
}

/* ---- instructions -------------------------------------------------------------------------- */

static int in_place(const struct scope *s, char **word, struct err *e)
{
	char *out = NULL;
	int r;

	if (!*word)
		return 0;
	r = expand_word(s, *word, &out, e);
	if (r < 0)
		return r;
	free(*word);
	*word = out;
	return 0;
}

static int expand_list(const struct scope *s, char **words, struct err *e)
{
	int r = 0;

	for (; words && *words && r == 0; words++)
		r = in_place(s, words, e);
	return r;
}

static int expand_copy(const struct scope *s, struct instruction *i, struct err *e)
{
	int r = in_place(s, &i->chown, e);

	if (r == 0)
		r = in_place(s, &i->chmod, e);
	if (r == 0)
		r = in_place(s, &i->checksum, e);
	if (r == 0)
		r = expand_list(s, i->words, e);
	if (r == 0)
		r = in_place(s, &i->dest, e);
	for (size_t k = 0; k < i->n_heredocs && r == 0; k++) {
		struct heredoc *h = &i->heredocs[k];
		char *content = NULL;

		if (!h->expand)
			continue;
		r = expand_text(s, h->content, &content, e);
		if (r == 0) {
			free(h->content);
			h->content = content;
		}
	}
	return r;
}

static int expand_pairs(const struct scope *s, struct instruction *i, struct err *e)
{
	int r = 0;

	for (size_t k = 0; k < i->n_pairs && r == 0; k++) {
		r = in_place(s, &i->pairs[k].key, e);
		if (r == 0)
			r = in_place(s, &i->pairs[k].value, e);
		if (r == 0 && !*i->pairs[k].key)
			r = err_set(e, EINVAL, "a name cannot be empty");
	}
	return r;
}

static int expand_ports(const struct scope *s, struct instruction *i, struct err *e)
{
	_cleanup_(strv_freep) char **all = xcalloc(1, sizeof(*all));

	STRV_FOREACH (port, i->words) {
		_cleanup_(strv_freep) char **some = NULL;
		int r = expand_words(s, *port, &some, e);

		if (r < 0)
			return r;
		strv_extend(&all, some);
	}
	strv_free(i->words);
	i->words = TAKE_PTR(all);
	return 0;
}

static int expand_mounts(const struct scope *s, struct instruction *i, struct err *e)
{
	int r = 0;

	for (size_t k = 0; k < i->n_mounts && r == 0; k++) {
		struct run_mount m = { 0 };

		r = run_mount_parse(i->mounts[k].text, s, &m, e);
		if (r < 0)
			break;
		run_mount_done(&i->mounts[k]);
		i->mounts[k] = m;
	}
	return r;
}

static int expand_instruction(const struct scope *s, struct instruction *i, struct err *e)
{
	switch (i->kind) {
	case INS_ADD:
	case INS_COPY:
		return expand_copy(s, i, e);
	case INS_ENV:
	case INS_LABEL:
		return expand_pairs(s, i, e);
	case INS_EXPOSE:
		return expand_ports(s, i, e);
	case INS_RUN:
		return expand_mounts(s, i, e);
	case INS_STOPSIGNAL:
	case INS_USER:
	case INS_WORKDIR:
		return in_place(s, &i->text, e);
	case INS_VOLUME:
		return expand_list(s, i->words, e);
	default:
		return 0;
	}
}

int instruction_expand(const struct instruction *in, const struct scope *s, struct instruction *out,
		       struct err *e)
{
	int r;

	instruction_copy(in, out);
	r = expand_instruction(s, out, e);
	if (r < 0) {
		instruction_done(out);
		return err_wrap(e, r, "%s", instruction_name(in->kind));
	}
	return 0;
}
