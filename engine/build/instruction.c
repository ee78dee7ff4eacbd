/* engine/build/instruction.c: one line of a Dockerfile, its keyword, flags and
 * arguments.
 *
 * Two tables say it all: which keyword is which kind and how its arguments are
 * read, and which flags belong to which kind.  Words keep their quotes here, because
 * they are only taken away together with the variables (engine/build/expand.h).
 */
#include <ctype.h>
#include <strings.h>

#include "base/strv.h"
#include "engine/build/parse.h"
#include "engine/image/change.h"

#define ONLY(kind) (1u << (kind))

/* What a line is taken apart into before its arguments are looked at. */
struct line {
	const char *args; /* behind keyword and flags, trimmed */
	char **flags;     /* "--name=value", unquoted */
	char escape;
	char ***warnings;
};

typedef int (*args_fn)(struct instruction *i, const struct line *l, struct err *e);

/* ---- splitting ---------------------------------------------------------------------------- */

static const char *skip_blanks(const char *s)
{
	return s + strspn(s, DOCKERFILE_BLANKS "\n");
}

static bool is_blank(char c)
{
	return c && strchr(DOCKERFILE_BLANKS "\n", c);
}

/* Take a flag off *p: quotes and escapes are gone in it. */
static char *take_flag(const char **p, char escape)
{
	struct buf out = BUF_INIT;
	char quote = '\0';

	for (; **p; (*p)++) {
		char c = **p;

		if (!quote && is_blank(c))
			break;
		if (c == quote) {
			quote = '\0';
			continue;
		}
		if (!quote && (c == '"' || c == '\'')) {
			quote = c;
			continue;
		}
		if (c == escape) {
			if (!(*p)[1])
				continue;
			c = *++*p;
		}
		buf_addc(&out, c);
	}
	return buf_take(&out);
}

/* Flags up to the first word that is none; "--" ends them. */
static void take_flags(struct line *l)
{
	size_t n = 0;

	for (l->args = skip_blanks(l->args);
	     skip_prefix(l->args, "--") && n++ <= DOCKERFILE_MAX_WORDS;
	     l->args = skip_blanks(l->args)) {
		_cleanup_(free_p) char *flag = take_flag(&l->args, l->escape);

		if (streq(flag, "--")) {
			l->args = skip_blanks(l->args);
			return;
		}
		strv_add(&l->flags, flag);
	}
}

/* Words, which keep their quotes and escapes; one too many at most. */
static char **split_words(const char *s, char escape)
{
	char **words = xcalloc(1, sizeof(*words));
	size_t n = 0;
	struct buf word = BUF_INIT;

	for (s = skip_blanks(s); *s && n++ <= DOCKERFILE_MAX_WORDS; s = skip_blanks(s)) {
		char quote = '\0';

		for (; *s && (quote || !is_blank(*s)); s++) {
			if (*s == quote)
				quote = '\0';
			else if (!quote && (*s == '"' || *s == '\''))
				quote = *s;
			if (*s == escape && quote != '\'') {
				if (!s[1])
					continue;
				buf_addc(&word, *s++);
			}
			buf_addc(&word, *s);
		}
		if (word.len)
			strv_add(&words, buf_str(&word));
		buf_truncate(&word, 0);
	}
	buf_done(&word);
	return words;
}

/* At blanks alone: quotes mean nothing. */
static char **split_blanks(const char *s)
{
	char **words = xcalloc(1, sizeof(*words));
	size_t n = 0;

	for (s = skip_blanks(s); *s && n++ <= DOCKERFILE_MAX_WORDS; s = skip_blanks(s)) {
		size_t len = strcspn(s, DOCKERFILE_BLANKS "\n");

		strv_add_take(&words, xstrndup(s, len));
		s += len;
	}
	return words;
}

static int check_words(char *const *words, struct err *e)
{
	if (strv_len(words) > DOCKERFILE_MAX_WORDS)
		return err_set(e, E2BIG, "more than %d words", DOCKERFILE_MAX_WORDS);
	return 0;
}

/* ---- arguments ----------------------------------------------------------------------------- */

static int needs_argument(struct err *e)
{
	return err_set(e, EINVAL, "requires at least one argument");
}

static int args_text(struct instruction *i, const struct line *l, struct err *e)
{
	if (!*l->args)
		return needs_argument(e);
	i->text = xstrdup(l->args);
	return 0;
}

/* A list in JSON; what only looks like one is a command, but perhaps not on purpose. */
static int exec_form(const struct line *l, const char *text, char ***out, struct err *e)
{
	int r = change_exec_form(text, out, e);

	if (r < 0)
		return err_hint(e, "\"quote\" every part of the list");
	if (r == 0 && skip_prefix(text, "['"))
		strv_add(l->warnings, "['…'] is no list but a command for the shell; a list has "
				      "double quotes");
	return r;
}

static int args_command(struct instruction *i, const struct line *l, struct err *e)
{
	int r;

	if (!*l->args)
		return needs_argument(e);
	r = exec_form(l, l->args, &i->words, e);
	if (r < 0)
		return r;
	i->exec = r > 0;
	if (!i->exec)
		strv_add(&i->words, l->args);
	if (i->exec && !i->words[0] && i->kind == INS_RUN)
		return needs_argument(e);
	return 0;
}

static int args_shell(struct instruction *i, const struct line *l, struct err *e)
{
	int r = exec_form(l, l->args, &i->words, e);

	if (r < 0)
		return r;
	if (r == 0 || !i->words[0])
		return err_set(e, EINVAL, "needs a list in JSON form: [\"/bin/bash\", \"-c\"]");
	return 0;
}

static int args_list(struct instruction *i, const struct line *l, struct err *e)
{
	int r = exec_form(l, l->args, &i->words, e);

	if (r < 0)
		return r;
	i->exec = r > 0;
	if (r == 0)
		i->words = split_blanks(l->args);
	if (!i->words[0])
		return needs_argument(e);
	STRV_FOREACH (w, i->words)
		if (i->kind == INS_VOLUME && !(*w)[strspn(*w, DOCKERFILE_BLANKS)])
			return err_set(e, EINVAL, "a volume cannot be an empty string");
	return check_words(i->words, e);
}

static int args_ports(struct instruction *i, const struct line *l, struct err *e)
{
	i->words = split_blanks(l->args);
	return i->words[0] ? check_words(i->words, e) : needs_argument(e);
}

static void add_pair(struct instruction *i, char *key, char *value)
{
	i->pairs = xreallocarray(i->pairs, i->n_pairs + 1, sizeof(*i->pairs));
	i->pairs[i->n_pairs++] = (struct pair){ key, value };
}

/* ENV and LABEL: a=b c=d, or the old "key all the rest". */
static int args_pairs(struct instruction *i, const struct line *l, struct err *e)
{
	_cleanup_(strv_freep) char **words = split_words(l->args, l->escape);

	if (!words[0])
		return needs_argument(e);
	if (check_words(words, e) < 0)
		return -E2BIG;
	if (!strchr(words[0], '=')) {
		size_t n = strcspn(l->args, DOCKERFILE_BLANKS);
		const char *rest = skip_blanks(l->args + n);

		if (!*rest)
			return err_set(e, EINVAL, "\"%.100s\" needs a value: KEY=VALUE", words[0]);
		add_pair(i, xstrndup(l->args, n), xstrdup(rest));
		return 0;
	}
	STRV_FOREACH (w, words) {
		const char *eq = strchr(*w, '=');

		if (!eq)
			return err_set(
				e, EINVAL,
				"\"%.100s\" is not KEY=VALUE (a value with blanks needs quotes)",
				*w);
		if (eq == *w)
			return err_set(e, EINVAL, "a name cannot be empty");
		add_pair(i, xstrndup(*w, (size_t)(eq - *w)), xstrdup(eq + 1));
	}
	return 0;
}

static int args_arg(struct instruction *i, const struct line *l, struct err *e)
{
	_cleanup_(strv_freep) char **words = split_words(l->args, l->escape);

	if (!words[0])
		return needs_argument(e);
	if (check_words(words, e) < 0)
		return -E2BIG;
	STRV_FOREACH (w, words) {
		const char *eq = strchr(*w, '=');

		if (eq == *w)
			return err_set(e, EINVAL, "a name cannot be empty");
		add_pair(i, xstrndup(*w, eq ? (size_t)(eq - *w) : strlen(*w)),
			 eq ? xstrdup(eq + 1) : NULL);
	}
	return 0;
}

/* The last word is the destination; heredocs among the others leave the list. */
static int args_copy(struct instruction *i, const struct line *l, struct err *e)
{
	struct heredoc h;
	size_t n;
	int r = args_list(i, l, e);

	if (r < 0)
		return r;
	n = strv_len(i->words);
	if (n < 2) {
		err_set(e, EINVAL, "requires at least two arguments: sources and a destination");
		return err_hint(e, "%s SOURCE… DESTINATION", instruction_name(i->kind));
	}
	i->dest = xstrdup(i->words[n - 1]);
	strv_remove(&i->words, n - 1);
	if (i->exec)
		return 0;
	if (heredoc_parse(i->dest, &h)) {
		heredoc_done(&h);
		return err_set(e, EINVAL, "cannot accept a heredoc as a destination");
	}
	for (size_t k = 0; i->words[k];) {
		if (!heredoc_parse(i->words[k], &h)) {
			k++;
			continue;
		}
		heredoc_done(&h);
		strv_remove(&i->words, k);
	}
	return 0;
}

static int args_from(struct instruction *i, const struct line *l, struct err *e)
{
	_cleanup_(strv_freep) char **words = split_blanks(l->args);
	size_t n = strv_len(words);

	if (n != 1 && (n != 3 || strcasecmp(words[1], "as") != 0)) {
		err_set(e, EINVAL, "requires either one or three arguments");
		return err_hint(e, "FROM IMAGE, or FROM IMAGE AS NAME");
	}
	strv_add(&i->words, words[0]);
	if (n == 1)
		return 0;
	for (char *p = words[2]; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	if (!islower((unsigned char)words[2][0]) ||
	    words[2][strspn(words[2], "abcdefghijklmnopqrstuvwxyz0123456789-_.")])
		return err_set(e, EINVAL,
			       "invalid stage name \"%.100s\": a letter, then letters, digits, "
			       "-, _ and .",
			       words[2]);
	strv_add(&i->words, words[2]);
	return 0;
}

static int args_health(struct instruction *i, const struct line *l, struct err *e)
{
	_cleanup_(strv_freep) char **words = NULL;
	size_t n = strcspn(l->args, DOCKERFILE_BLANKS);
	const char *rest = skip_blanks(l->args + n);
	int r;

	if (n == 4 && strncasecmp(l->args, "NONE", n) == 0) {
		strv_add(&i->health.test, "NONE");
		return *rest ? err_set(e, EINVAL, "NONE takes no arguments") : 0;
	}
	if (n != 3 || strncasecmp(l->args, "CMD", n) != 0) {
		err_set(e, EINVAL, "unknown type \"%.*s\"", (int)MIN(n, (size_t)60), l->args);
		return err_hint(e, "HEALTHCHECK [FLAGS] CMD command, or HEALTHCHECK NONE");
	}
	r = exec_form(l, rest, &words, e);
	if (r < 0)
		return r;
	if (!*rest || (r > 0 && !words[0]))
		return err_set(e, EINVAL, "missing command after CMD");
	i->exec = r > 0;
	strv_add(&i->health.test, i->exec ? "CMD" : "CMD-SHELL");
	if (i->exec)
		strv_extend(&i->health.test, words);
	else
		strv_add(&i->health.test, rest);
	return 0;
}

static int args_onbuild(struct instruction *i, const struct line *l, struct err *e)
{
	_cleanup_(instruction_done) struct instruction trigger = { 0 };
	int r;

	if (!*l->args)
		return needs_argument(e);
	r = instruction_parse_line(l->args, l->escape, true, &trigger, l->warnings, e);
	if (r == 0)
		i->text = xstrdup(l->args);
	return r;
}

static const struct {
	const char *name;
	args_fn args;
} kinds[N_INSTRUCTIONS] = {
	[INS_ADD] = { "ADD", args_copy },
	[INS_ARG] = { "ARG", args_arg },
	[INS_CMD] = { "CMD", args_command },
	[INS_COPY] = { "COPY", args_copy },
	[INS_ENTRYPOINT] = { "ENTRYPOINT", args_command },
	[INS_ENV] = { "ENV", args_pairs },
	[INS_EXPOSE] = { "EXPOSE", args_ports },
	[INS_HEALTHCHECK] = { "HEALTHCHECK", args_health },
	[INS_LABEL] = { "LABEL", args_pairs },
	[INS_MAINTAINER] = { "MAINTAINER", args_text },
	[INS_ONBUILD] = { "ONBUILD", args_onbuild },
	[INS_RUN] = { "RUN", args_command },
	[INS_SHELL] = { "SHELL", args_shell },
	[INS_STOPSIGNAL] = { "STOPSIGNAL", args_text },
	[INS_USER] = { "USER", args_text },
	[INS_VOLUME] = { "VOLUME", args_list },
	[INS_WORKDIR] = { "WORKDIR", args_text },
	[INS_FROM] = { "FROM", args_from },
};

const char *instruction_name(enum instruction_kind kind)
{
	return kinds[kind].name;
}

/* ---- flags ---------------------------------------------------------------------------------- */

enum flag_type { STRING, BOOL, LIST, MOUNT, HEALTH };

static const struct flag {
	const char *name;
	enum flag_type type;
	unsigned int kinds;
	size_t offset; /* of the field in struct instruction */
} flags[] = {
#define FIELD(f) offsetof(struct instruction, f)
	{ "from", STRING, ONLY(INS_COPY), FIELD(from) },
	{ "chown", STRING, ONLY(INS_COPY) | ONLY(INS_ADD), FIELD(chown) },
	{ "chmod", STRING, ONLY(INS_COPY) | ONLY(INS_ADD), FIELD(chmod) },
	{ "checksum", STRING, ONLY(INS_ADD), FIELD(checksum) },
	{ "link", BOOL, ONLY(INS_COPY) | ONLY(INS_ADD), FIELD(link) },
	{ "parents", BOOL, ONLY(INS_COPY), FIELD(parents) },
	{ "exclude", LIST, ONLY(INS_COPY) | ONLY(INS_ADD), FIELD(excludes) },
	{ "keep-git-dir", BOOL, ONLY(INS_ADD), FIELD(keep_git_dir) },
	{ "unpack", BOOL, ONLY(INS_ADD), 0 },
	{ "platform", STRING, ONLY(INS_FROM), FIELD(text) },
	{ "mount", MOUNT, ONLY(INS_RUN) },
	{ "network", STRING, ONLY(INS_RUN), FIELD(network) },
	{ "security", STRING, ONLY(INS_RUN), FIELD(security) },
	{ "interval", HEALTH, ONLY(INS_HEALTHCHECK) },
	{ "timeout", HEALTH, ONLY(INS_HEALTHCHECK) },
	{ "start-period", HEALTH, ONLY(INS_HEALTHCHECK) },
	{ "start-interval", HEALTH, ONLY(INS_HEALTHCHECK) },
	{ "retries", HEALTH, ONLY(INS_HEALTHCHECK) },
#undef FIELD
};

static int unknown_flag(enum instruction_kind kind, const char *name, struct err *e)
{
	const char *names[ARRAY_SIZE(flags)], *near;
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (flags[i].kinds & ONLY(kind))
			names[n++] = flags[i].name;
	near = nearest_word(name, names, n);
	err_set(e, EINVAL, "unknown flag: --%.100s", name);
	return near ? err_hint(e, "did you mean --%s?", near) : -EINVAL;
}

static int set_bool(struct instruction *i, const struct flag *f, const char *value, struct err *e)
{
	bool yes = !value || strcasecmp(value, "true") == 0;

	if (!yes && strcasecmp(value, "false") != 0)
		return err_set(e, EINVAL, "--%s=%.100s: neither true nor false", f->name, value);
	if (f->offset)
		*(bool *)((char *)i + f->offset) = yes;
	else
		i->unpack = yes;
	return 0;
}

static int add_mount(struct instruction *i, const char *value, struct err *e)
{
	struct run_mount m;
	int r = run_mount_parse(value, NULL, &m, e);

	if (r < 0)
		return r;
	i->mounts = xreallocarray(i->mounts, i->n_mounts + 1, sizeof(m));
	i->mounts[i->n_mounts++] = m;
	return 0;
}

static int set_flag(struct instruction *i, const struct flag *f, const char *text,
		    const char *value, struct err *e)
{
	if (f->type == BOOL)
		return set_bool(i, f, value, e);
	if (!value)
		return err_set(e, EINVAL, "missing a value on flag: --%s", f->name);
	switch (f->type) {
	case MOUNT:
		return add_mount(i, value, e);
	case HEALTH:
		return *value ? change_health_flag(&i->health, text, e) : 0;
	case LIST:
		strv_add((char ***)((char *)i + f->offset), value);
		return 0;
	default:
		str_set((char **)((char *)i + f->offset), value);
		return 0;
	}
}

/* "--name", "--name=value" */
static int one_flag(struct instruction *i, const char *text, unsigned int *seen, struct err *e)
{
	const char *eq = strchr(text, '=');
	_cleanup_(free_p) char *name = xstrndup(text + 2,
						eq ? (size_t)(eq - text) - 2 : strlen(text) - 2);
	size_t k;

	for (k = 0; k < ARRAY_SIZE(flags); k++)
		if ((flags[k].kinds & ONLY(i->kind)) && streq(flags[k].name, name))
			break;
	if (k == ARRAY_SIZE(flags))
		return unknown_flag(i->kind, name, e);
	if ((*seen & 1u << k) && flags[k].type != LIST && flags[k].type != MOUNT)
		return err_set(e, EINVAL, "duplicate flag specified: --%s", name);
	*seen |= 1u << k;
	return set_flag(i, &flags[k], text, eq ? eq + 1 : NULL, e);
}

static int known_value(const char *flag, const char *value, const char *const *known, size_t n,
		       struct err *e)
{
	const char *near;

	for (size_t i = 0; i < n; i++)
		if (!value || streq(value, known[i]))
			return 0;
	near = nearest_word(value, known, n);
	err_set(e, EINVAL, "--%s=%.100s is not known", flag, value);
	return near ? err_hint(e, "did you mean %s?", near) : -EINVAL;
}

static int all_flags(struct instruction *i, char *const *list, struct err *e)
{
	static const char *const networks[] = { "default", "none", "host" };
	static const char *const securities[] = { "sandbox", "insecure" };
	unsigned int seen = 0;
	int r = check_words(list, e);

	if (r < 0)
		return r;

	STRV_FOREACH (f, list) {
		r = one_flag(i, *f, &seen, e);
		if (r < 0)
			return r;
	}
	if (i->kind == INS_COPY && i->from && strchr(i->from, '$')) {
		err_set(e, EINVAL, "--from=%.100s: variables cannot be used here", i->from);
		return err_hint(e, "give it a stage: FROM %.100s AS name", i->from);
	}
	r = known_value("network", i->network, networks, ARRAY_SIZE(networks), e);
	if (r == 0)
		r = known_value("security", i->security, securities, ARRAY_SIZE(securities), e);
	return r;
}

/* ---- the line -------------------------------------------------------------------------------- */

static int unknown_instruction(const char *word, struct err *e)
{
	const char *names[N_INSTRUCTIONS], *near;
	_cleanup_(free_p) char *upper = xstrndup(word, 32);

	for (char *p = upper; *p; p++)
		*p = (char)toupper((unsigned char)*p);
	for (size_t i = 0; i < N_INSTRUCTIONS; i++)
		names[i] = kinds[i].name;
	near = nearest_word(upper, names, N_INSTRUCTIONS);
	err_set(e, EINVAL, "unknown instruction: %.32s", word);
	return near ? err_hint(e, "did you mean %s?", near) : -EINVAL;
}

static int find_kind(const char *word, bool trigger, enum instruction_kind *kind, struct err *e)
{
	size_t k;

	for (k = 0; k < N_INSTRUCTIONS && strcasecmp(word, kinds[k].name) != 0; k++)
		;
	if (k == N_INSTRUCTIONS)
		return unknown_instruction(word, e);
	*kind = (enum instruction_kind)k;
	if (trigger && (k == INS_FROM || k == INS_MAINTAINER || k == INS_ONBUILD))
		return err_set(e, EINVAL, "%s is not allowed as a trigger", kinds[k].name);
	return 0;
}

static int parse(struct instruction *i, struct line *l, struct err *e)
{
	int r;

	take_flags(l);
	r = all_flags(i, l->flags, e);
	if (r == 0)
		r = kinds[i->kind].args(i, l, e);
	strv_free(l->flags);
	return r < 0 ? err_wrap(e, r, "%s", kinds[i->kind].name) : 0;
}

int instruction_parse_line(const char *line, char escape, bool trigger, struct instruction *out,
			   char ***warnings, struct err *e)
{
	_cleanup_(free_p) char *text = xstrdup(skip_blanks(line)), *word = NULL;
	struct line l = { .escape = escape, .warnings = warnings };
	size_t end = strlen(text);
	int r;

	while (end > 0 && is_blank(text[end - 1]))
		text[--end] = '\0';
	*out = (struct instruction){ .unpack = -1 };
	word = xstrndup(text, strcspn(text, DOCKERFILE_BLANKS));
	l.args = text + strlen(word);
	r = find_kind(word, trigger, &out->kind, e);
	if (r == 0) {
		out->original = xstrdup(text);
		r = parse(out, &l, e);
	}
	if (r < 0)
		instruction_done(out);
	return r;
}

/* ---- values ---------------------------------------------------------------------------------- */

void heredoc_done(struct heredoc *h)
{
	free(h->name);
	free(h->content);
	*h = (struct heredoc){ 0 };
}

void instruction_done(struct instruction *i)
{
	free(i->original);
	strv_free(i->words);
	free(i->text);
	for (size_t k = 0; k < i->n_pairs; k++) {
		free(i->pairs[k].key);
		free(i->pairs[k].value);
	}
	free(i->pairs);
	free(i->dest);
	for (size_t k = 0; k < i->n_heredocs; k++)
		heredoc_done(&i->heredocs[k]);
	free(i->heredocs);
	strv_free(i->health.test);
	free(i->from);
	free(i->chown);
	free(i->chmod);
	free(i->checksum);
	strv_free(i->excludes);
	for (size_t k = 0; k < i->n_mounts; k++)
		run_mount_done(&i->mounts[k]);
	free(i->mounts);
	free(i->network);
	free(i->security);
	*i = (struct instruction){ 0 };
}

static void copy_arrays(const struct instruction *from, struct instruction *to)
{
	to->pairs = xcalloc(from->n_pairs + 1, sizeof(*to->pairs));
	for (size_t k = 0; k < from->n_pairs; k++)
		to->pairs[k] = (struct pair){ xstrdup(from->pairs[k].key),
					      xstrdup_null(from->pairs[k].value) };
	to->heredocs = xcalloc(from->n_heredocs + 1, sizeof(*to->heredocs));
	for (size_t k = 0; k < from->n_heredocs; k++) {
		to->heredocs[k] = from->heredocs[k];
		to->heredocs[k].name = xstrdup(from->heredocs[k].name);
		to->heredocs[k].content = xstrdup_null(from->heredocs[k].content);
	}
	to->mounts = xcalloc(from->n_mounts + 1, sizeof(*to->mounts));
	for (size_t k = 0; k < from->n_mounts; k++)
		run_mount_copy(&from->mounts[k], &to->mounts[k]);
}

void instruction_copy(const struct instruction *from, struct instruction *to)
{
	*to = *from;
	to->original = xstrdup_null(from->original);
	to->words = strv_copy(from->words);
	to->text = xstrdup_null(from->text);
	to->dest = xstrdup_null(from->dest);
	to->health.test = strv_copy(from->health.test);
	to->from = xstrdup_null(from->from);
	to->chown = xstrdup_null(from->chown);
	to->chmod = xstrdup_null(from->chmod);
	to->checksum = xstrdup_null(from->checksum);
	to->excludes = strv_copy(from->excludes);
	to->network = xstrdup_null(from->network);
	to->security = xstrdup_null(from->security);
	copy_arrays(from, to);
}
