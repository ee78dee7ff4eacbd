/* compose/keys.c: looking things up in the key table; see keys.h. */
#include "compose/keys.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"
#include "compose/diag.h"

static bool is_name(const char *s)
{
	if (!*s)
		return false;
	for (; *s; s++)
		if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
		      (*s >= '0' && *s <= '9') || *s == '.' || *s == '_' || *s == '-'))
			return false;
	return true;
}

static bool is_lower(const char *s)
{
	if (!*s)
		return false;
	for (; *s; s++)
		if (*s < 'a' || *s > 'z')
			return false;
	return true;
}

const struct key *key_child(const struct key *k, const char *name)
{
	const struct keyset *set = k ? k->sub : NULL;

	if (!set)
		return NULL;
	for (size_t i = 0; i < set->n; i++) { /* two letters settle most of them */
		const char *s = set->keys[i].name;

		if (s[0] == name[0] && s[1] == name[1] && streq(s, name))
			return &set->keys[i];
	}
	if (set->other) {
		if ((set->named && !is_name(name)) || (!*name && !set->open))
			return NULL;
		if (set->lower && !is_lower(name))
			return &key_extension;
		return set->other;
	}
	return key_is_extension(name) && !(k->flags & KF_NO_X) ? &key_extension : NULL;
}

bool key_choice_has(const char *choices, const char *text)
{
	size_t n = strlen(text);

	for (const char *p = choices; p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL)
		if (strncmp(p, text, n) == 0 && (p[n] == '|' || !p[n]))
			return true;
	return false;
}

const struct key *key_item(const struct key *k)
{
	return k ? k->item : NULL;
}

const struct key *key_at(const struct interp_path *path)
{
	const struct key *k = &key_root;

	for (size_t i = 0; i < path->n && k; i++)
		k = streq(path->parts[i], "[]") ? key_item(k) : key_child(k, path->parts[i]);
	return k;
}

/* http://yaml.org/type/bool.html, as Docker Compose reads booleans from text. */
static int cast_bool(struct arena *a, const struct node *n, struct node **out, struct diag *diag,
		     struct err *e)
{
	static const char *const yes[] = { "y", "yes", "on" }, *const no[] = { "n", "no", "off" };

	if (!strcasecmp(n->text, "true") || !strcasecmp(n->text, "false")) {
		*out = node_bool(a, n->text[0] == 't' || n->text[0] == 'T');
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		bool v = !strcasecmp(n->text, yes[i]);

		if (!v && strcasecmp(n->text, no[i]) != 0)
			continue;
		diag_warn(diag, n,
			  "\"%s\" for boolean is not supported by YAML 1.2, please use `%s`",
			  n->text, v ? "true" : "false");
		*out = node_bool(a, v);
		return 0;
	}
	return err_set(e, EINVAL, "invalid boolean: %s", n->text);
}

static int cast_int(struct arena *a, const struct node *n, struct node **out, struct err *e)
{
	const char *s = n->text[0] == '+' ? n->text + 1 : n->text;
	int64_t v;

	if (!parse_i64(s, &v) || (s != n->text && !(*s >= '0' && *s <= '9')))
		return err_set(e, EINVAL, "strconv.ParseInt: parsing \"%s\": invalid syntax",
			       n->text);
	*out = node_int(a, v);
	return 0;
}

static int cast_float(struct arena *a, const struct node *n, struct node **out, struct err *e)
{
	char *end;
	double v = strtod(n->text, &end);

	if (end == n->text || *end || n->text[0] == ' ' || n->text[0] == '\t')
		return err_set(e, EINVAL, "strconv.ParseFloat: parsing \"%s\": invalid syntax",
			       n->text);
	*out = node_float(a, v);
	return 0;
}

int key_cast(struct arena *a, enum key_cast cast, struct node *n, struct node **out,
	     struct diag *diag, struct err *e)
{
	switch (cast) {
	case CAST_BOOL:
		return cast_bool(a, n, out, diag, e);
	case CAST_INT:
		return cast_int(a, n, out, e);
	case CAST_FLOAT:
		return cast_float(a, n, out, e);
	case CAST_NONE:
		break;
	}
	*out = n;
	return 0;
}

int key_cast_node(struct arena *a, const struct interp_path *path, struct node *n,
		  struct node **out, void *data, struct err *e)
{
	const struct key *k;

	*out = n;
	if (path->n && key_is_extension(path->parts[0]))
		return 0;
	k = key_at(path);
	return k ? key_cast(a, k->cast, n, out, data, e) : 0;
}

const char *key_type_names(const struct key *k, char *buf, size_t size)
{
	static const struct {
		int type;
		const char *name;
	} types[] = { { KT_SEQ, "array" },   { KT_BOOL, "boolean" }, { KT_INT, "integer" },
		      { KT_MAP, "mapping" }, { KT_NULL, "null" },    { KT_NUM, "number" },
		      { KT_STR, "string" } };
	const char *names[ARRAY_SIZE(types)];
	size_t n = 0, len = 0;

	if (k->want)
		return k->want;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		bool is_int = types[i].type == KT_INT;

		if ((k->types & types[i].type) != types[i].type ||
		    (is_int && (k->types & KT_FLOAT)))
			continue;
		names[n++] = types[i].name;
	}
	buf[0] = '\0';
	for (size_t i = 0; i < n && len < size; i++)
		len += (size_t)snprintf(buf + len, size - len, "%s%s",
					i == 0 ? "" : (i + 1 == n ? " or " : ", "), names[i]);
	return buf;
}

static void walk(const struct key *k, const char *path, int depth, key_walk_fn fn, void *data)
{
	if (depth > 12 || k == &key_extension)
		return;
	if (*path)
		fn(path, k, data);
	for (size_t i = 0; k->sub && i <= k->sub->n; i++) {
		const struct key *child = i < k->sub->n ? &k->sub->keys[i] : k->sub->other;
		_cleanup_(free_p) char *sub = NULL;

		if (!child)
			continue;
		sub = xasprintf("%s%s%s", path, *path ? "." : "", child->name);
		walk(child, sub, depth + 1, fn, data);
	}
	if (k->item && (k->item->sub || k->item->path)) {
		_cleanup_(free_p) char *sub = xasprintf("%s.[]", path);

		walk(k->item, sub, depth + 1, fn, data);
	}
}

void key_walk(key_walk_fn fn, void *data)
{
	walk(&key_root, "", 0, fn, data);
}
