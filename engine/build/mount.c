/* engine/build/mount.c: RUN --mount=KEY=VALUE,…
 *
 * The value is one line of CSV, so a value with a comma is written "in quotes".
 * Which keys a type takes is a table; what is left out gets its default at the end,
 * because type= may come last.
 */
#include <strings.h>

#include "base/strv.h"
#include "engine/build/expand.h"
#include "engine/build/parse.h"

static const char *const type_names[] = { "bind", "cache", "tmpfs", "secret", "ssh" };
static const char *const sharing_names[] = { "shared", "private", "locked" };

#define BIND   (1u << RUN_MOUNT_BIND)
#define CACHE  (1u << RUN_MOUNT_CACHE)
#define TMPFS  (1u << RUN_MOUNT_TMPFS)
#define SECRET (1u << RUN_MOUNT_SECRET)
#define SSH    (1u << RUN_MOUNT_SSH)
#define ALL    (BIND | CACHE | TMPFS | SECRET | SSH)

enum key { TYPE, FROM, SOURCE, TARGET, ID, ENV, RO, RW, REQUIRED, SHARING, SIZE, MODE, UID, GID };

static const struct {
	const char *name;
	enum key key;
	unsigned int types;
	bool flag; /* may stand without a value */
} keys[] = {
	{ "type", TYPE, ALL },
	{ "from", FROM, BIND | CACHE },
	{ "source", SOURCE, BIND | CACHE | SECRET },
	{ "src", SOURCE, BIND | CACHE | SECRET },
	{ "target", TARGET, ALL },
	{ "dst", TARGET, ALL },
	{ "destination", TARGET, ALL },
	{ "id", ID, ALL },
	{ "env", ENV, SECRET },
	{ "readonly", RO, ALL, true },
	{ "ro", RO, ALL, true },
	{ "readwrite", RW, ALL, true },
	{ "rw", RW, ALL, true },
	{ "required", REQUIRED, SECRET | SSH, true },
	{ "sharing", SHARING, CACHE },
	{ "size", SIZE, TMPFS },
	{ "mode", MODE, CACHE | SECRET | SSH },
	{ "uid", UID, CACHE | SECRET | SSH },
	{ "gid", GID, CACHE | SECRET | SSH },
};

/* What was said, before the defaults. */
struct state {
	struct run_mount *m;
	unsigned int seen; /* bit per enum key */
	bool deferred;     /* some value holds variables: judge later */
};

/* ---- values ----------------------------------------------------------------------------- */

static int one_of(const char *what, const char *value, const char *const *names, size_t n,
		  struct err *e)
{
	const char *near;

	for (size_t i = 0; i < n; i++)
		if (strcasecmp(value, names[i]) == 0)
			return (int)i;
	near = nearest_word(value, names, n);
	err_set(e, EINVAL, "unsupported %s \"%.100s\"", what, value);
	return near ? err_hint(e, "did you mean %s?", near) : -EINVAL;
}

static int set_flag(bool *flag, bool meaning, const char *key, const char *value, struct err *e)
{
	static const char *const yes[] = { "1", "t", "T", "true", "TRUE", "True" };
	static const char *const no[] = { "0", "f", "F", "false", "FALSE", "False" };

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		if (value && !streq(value, yes[i]) && !streq(value, no[i]))
			continue;
		*flag = (!value || streq(value, yes[i])) == meaning;
		return 0;
	}
	return err_set(e, EINVAL, "%s=%.100s is neither true nor false", key, value);
}

static int set_number(int64_t *n, int base, const char *key, const char *value, struct err *e)
{
	char *end;
	unsigned long long v;

	errno = 0;
	v = strtoull(value, &end, base);
	if (errno || *end || !*value || strchr("+- ", *value) || v > UINT32_MAX)
		return err_set(e, EINVAL, "%s=%.100s is not %s", key, value,
			       base == 8 ? "an octal mode" : "an id");
	*n = (int64_t)v;
	return 0;
}

/* "64m", "1.5g", "1048576", "10MiB". */
static int set_size(uint64_t *bytes, const char *value, struct err *e)
{
	static const char units[] = "bkmgtp";
	char *end;
	double v = strtod(value, &end);
	const char *unit;
	double scale = 1;

	if (end == value || v < 0 || v > 1e18 || strchr("+- \tiInN", *value))
		goto bad;
	end += *end == ' ';
	if (*end) {
		unit = strchr(units, *end | 0x20);
		if (!unit)
			goto bad;
		for (const char *u = units; u < unit; u++)
			scale *= 1024;
		end++;
		if (unit > units && (*end == 'i' || *end == 'I'))
			end++;
		if (unit > units && (*end == 'b' || *end == 'B'))
			end++;
	}
	if (*end || v * scale >= 9.2e18)
		goto bad;
	*bytes = (uint64_t)(v * scale);
	return 0;
bad:
	return err_set(e, EINVAL, "size=%.100s is not a size such as 64m", value);
}

static int set_value(struct state *s, enum key key, const char *name, const char *value,
		     struct err *e)
{
	struct run_mount *m = s->m;
	int r = 0;

	switch (key) {
	case TYPE:
		r = one_of("mount type", value, type_names, ARRAY_SIZE(type_names), e);
		if (r >= 0)
			m->type = (enum run_mount_type)r;
		break;
	case SHARING:
		r = one_of("sharing", value, sharing_names, ARRAY_SIZE(sharing_names), e);
		if (r >= 0)
			m->sharing = (enum cache_sharing)r;
		break;
	case FROM:
		str_set(&m->from, value);
		break;
	case SOURCE:
		str_set(&m->source, value);
		break;
	case TARGET:
		str_set(&m->target, value);
		break;
	case ID:
		str_set(&m->id, value);
		break;
	case ENV:
		str_set(&m->env, value);
		break;
	case RO:
		return set_flag(&m->readonly, true, name, value, e);
	case RW:
		return set_flag(&m->readonly, false, name, value, e);
	case REQUIRED:
		return set_flag(&m->required, true, name, value, e);
	case SIZE:
		return set_size(&m->size, value, e);
	case MODE:
		return set_number(&m->mode, 8, name, value, e);
	case UID:
		return set_number(&m->uid, 10, name, value, e);
	case GID:
		return set_number(&m->gid, 10, name, value, e);
	}
	return r < 0 ? r : 0;
}

/* ---- fields ------------------------------------------------------------------------------ */

static int unknown_key(const char *key, struct err *e)
{
	const char *names[ARRAY_SIZE(keys)], *near;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		names[i] = keys[i].name;
	near = nearest_word(key, names, ARRAY_SIZE(names));
	err_set(e, EINVAL, "unexpected key \"%.100s\"", key);
	return near ? err_hint(e, "did you mean %s?", near) : -EINVAL;
}

static int field(struct state *st, const char *text, const struct scope *s, struct err *e)
{
	const char *eq = strchr(text, '=');
	_cleanup_(free_p) char *name = xstrndup(text, eq ? (size_t)(eq - text) : strlen(text));
	_cleanup_(free_p) char *value = eq ? xstrdup(eq + 1) : NULL;
	size_t i;
	int r;

	for (i = 0; i < ARRAY_SIZE(keys) && strcasecmp(name, keys[i].name) != 0; i++)
		;
	if (i == ARRAY_SIZE(keys))
		return unknown_key(name, e);
	if (!value && !keys[i].flag)
		return err_set(e, EINVAL, "%s needs a value: %s=…", keys[i].name, keys[i].name);
	if (value && keys[i].key == FROM) {
		const char *var = strchr(value, '$');

		/* The stages that are needed must be known before any is built. */
		if (var && var[1]) {
			err_set(e, EINVAL, "from=%.100s: variables cannot be used here", value);
			return err_hint(e, "give it a stage: FROM %.100s AS name", value);
		}
	} else if (value && strpbrk(value, "$'\"\\`")) {
		if (!s) {
			st->deferred = true;
			return 0;
		}
		_cleanup_(free_p) char *raw = TAKE_PTR(value);

		r = expand_word(s, raw, &value, e);
		if (r < 0)
			return r;
	}
	st->seen |= 1u << keys[i].key;
	return set_value(st, keys[i].key, keys[i].name, value, e);
}

/* One CSV field off *p. */
static int take_field(const char **p, char **out, struct err *e)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	const char *s = *p;

	if (*s != '"') {
		size_t n = strcspn(s, ",");

		buf_add(&text, s, n);
		s += n;
	} else {
		for (s++; *s && (*s != '"' || s[1] == '"'); s++) {
			s += *s == '"';
			buf_addc(&text, *s);
		}
		if (*s != '"' || (s[1] && s[1] != ','))
			return err_set(e, EINVAL, "a quote without its end");
		s++;
	}
	*p = s + (*s == ',');
	*out = buf_take(&text);
	return 0;
}

/* ---- the whole ----------------------------------------------------------------------------- */

static int judge(const struct state *st, struct err *e)
{
	const struct run_mount *m = st->m;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if ((st->seen & 1u << keys[i].key) && !(keys[i].types & 1u << m->type))
			return err_set(e, EINVAL, "%s is not for mounts of type %s", keys[i].name,
				       type_names[m->type]);
	if (m->type == RUN_MOUNT_SECRET && !m->source && !m->target && !m->id && !m->env)
		return err_set(e, EINVAL, "a secret needs id=…");
	if (m->type == RUN_MOUNT_SECRET && m->source && m->id)
		return err_set(e, EINVAL, "a secret has either source or id");
	if (!is_empty(m->target))
		return 0;
	if (m->type == RUN_MOUNT_CACHE || m->type == RUN_MOUNT_TMPFS || m->type == RUN_MOUNT_BIND)
		return err_set(e, EINVAL, "a mount of type %s needs target=…", type_names[m->type]);
	return 0;
}

static void add_defaults(const struct state *st)
{
	struct run_mount *m = st->m;

	if (!(st->seen & (1u << RO | 1u << RW)))
		m->readonly = m->type != RUN_MOUNT_CACHE && m->type != RUN_MOUNT_TMPFS;
	if (m->type == RUN_MOUNT_SECRET && !m->id)
		m->id = m->source ? TAKE_PTR(m->source) : NULL;
}

int run_mount_parse(const char *text, const struct scope *s, struct run_mount *m, struct err *e)
{
	struct state st = { .m = m };
	int r = 0;

	*m = (struct run_mount){ .text = xstrdup(text), .mode = -1, .uid = -1, .gid = -1 };
	for (const char *p = text; r == 0 && *p;) {
		_cleanup_(free_p) char *f = NULL;

		r = take_field(&p, &f, e);
		if (r == 0)
			r = field(&st, f, s, e);
	}
	if (r == 0 && !st.deferred)
		r = judge(&st, e);
	if (r < 0) {
		run_mount_done(m);
		return err_wrap(e, r, "--mount=%.200s", text);
	}
	add_defaults(&st);
	return 0;
}

void run_mount_done(struct run_mount *m)
{
	free(m->text);
	free(m->from);
	free(m->source);
	free(m->target);
	free(m->id);
	free(m->env);
	*m = (struct run_mount){ 0 };
}

void run_mount_copy(const struct run_mount *from, struct run_mount *to)
{
	*to = *from;
	to->text = xstrdup_null(from->text);
	to->from = xstrdup_null(from->from);
	to->source = xstrdup_null(from->source);
	to->target = xstrdup_null(from->target);
	to->id = xstrdup_null(from->id);
	to->env = xstrdup_null(from->env);
}
