/* compose/validate.c: checking a tree against the key table; see validate.h.
 *
 * The tree and the table are walked side by side.  Nothing stops at the first
 * complaint: the value that is wrong is not descended into, its neighbours are.
 */
#include "compose/validate.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <regex.h>
#include <stdio.h>

#include "base/strv.h"

struct check {
	struct diag *diag;
	bool failed;
};

static int type_bit(const struct node *n)
{
	switch (n->kind) {
	case NODE_NULL:
		return KT_NULL;
	case NODE_BOOL:
		return KT_BOOL;
	case NODE_INT:
		return KT_INT;
	case NODE_FLOAT:
		/* JSON knows no difference between 1 and 1.0. */
		return n->real == floor(n->real) && !isinf(n->real) ? KT_NUM : KT_FLOAT;
	case NODE_STRING:
		return KT_STR;
	case NODE_SEQ:
		return KT_SEQ;
	case NODE_MAP:
		return KT_MAP;
	}
	return 0;
}

/* ---- single values ------------------------------------------------------------------- */

static void bad_choice(struct check *c, const struct node *n, const struct key *k, const char *path)
{
	_cleanup_(buf_done) struct buf list = BUF_INIT;
	char **words = strv_split(k->choices, '|', true);

	STRV_FOREACH (w, words)
		buf_printf(&list, "%s'%s'", list.len ? ", " : "", *w);
	diag_err(c->diag, n, EINVAL, "%s value must be%s %s", path,
		 words && words[1] ? " one of" : "", buf_str(&list));
	if (strv_len(words)) {
		const char *near = nearest_word(n->text, (const char *const *)words,
						strv_len(words));
		if (near)
			diag_hint(c->diag, "did you mean \"%s\"?", near);
	}
	strv_free(words);
	c->failed = true;
}

static bool matches(const char *pattern, const char *text)
{
	regex_t re;
	bool ok;

	if (regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB) != 0)
		return true;
	ok = regexec(&re, text, 0, NULL, 0) == 0;
	regfree(&re);
	return ok;
}

static void check_text(struct check *c, const struct node *n, const struct key *k,
		       const struct spot *at)
{
	char path[SPOT_TEXT_MAX];

	if (k->choices && !key_choice_has(k->choices, n->text))
		bad_choice(c, n, k, spot_text(at, path));
	if (k->pattern && !matches(k->pattern, n->text)) {
		diag_err(c->diag, n, EINVAL, "%s '%s' does not match pattern '%s'",
			 spot_text(at, path), n->text, k->pattern);
		c->failed = true;
	}
}

static void check_number(struct check *c, const struct node *n, const struct key *k,
			 const struct spot *at)
{
	double v = n->kind == NODE_INT ? (double)n->integer : n->real;
	char path[SPOT_TEXT_MAX];

	if ((k->flags & KF_MIN) && v < k->min) {
		diag_err(c->diag, n, EINVAL, "%s must be greater than or equal to %d",
			 spot_text(at, path), k->min);
		c->failed = true;
	}
	if ((k->flags & KF_MAX) && v > k->max) {
		diag_err(c->diag, n, EINVAL, "%s must be less than or equal to %d",
			 spot_text(at, path), k->max);
		c->failed = true;
	}
}

/* ---- mappings and sequences ------------------------------------------------------------- */

static void check_node(struct check *c, const struct node *n, const struct key *k,
		       const struct spot *at);

static void suggest_key(struct check *c, const char *word, const struct key *k)
{
	const struct keyset *set = k->sub;
	_cleanup_(free_p) const char **names = xcalloc(set->n + 1, sizeof(*names));
	const char *near;

	for (size_t i = 0; i < set->n; i++)
		names[i] = set->keys[i].name;
	near = nearest_word(word, names, set->n);
	if (near)
		diag_hint(c->diag, "did you mean \"%s\"?", near);
}

static void check_map(struct check *c, const struct node *n, const struct key *k,
		      const struct spot *at)
{
	const struct keyset *set = k->sub;
	char path[SPOT_TEXT_MAX];

	for (size_t i = 0; set && i < n->n; i++) {
		const struct node_entry *e = &n->entries[i];
		const struct key *child = key_child(k, e->key);
		struct spot sub = SPOT_KEY(at, e->key);

		if (child) {
			check_node(c, e->value, child, &sub);
		} else if (!set->open) {
			diag_err_key(c->diag, n, e, EINVAL,
				     "%s%sadditional properties '%s' not allowed",
				     spot_text(at, path), at->up ? " " : "", e->key);
			suggest_key(c, e->key, k);
			c->failed = true;
		}
	}
	for (size_t i = 0; set && i < set->n; i++) {
		if (!(set->keys[i].flags & KF_REQUIRED) || node_get(n, set->keys[i].name))
			continue;
		diag_err(c->diag, n, EINVAL, "%s missing property '%s'", spot_text(at, path),
			 set->keys[i].name);
		c->failed = true;
	}
}

static bool all_text(const struct node *seq)
{
	for (size_t i = 0; i < seq->n; i++)
		if (seq->items[i]->kind != NODE_STRING)
			return false;
	return true;
}

/* Index of an earlier item equal to item @i, or -1. */
static ssize_t repeated(const struct node *seq, size_t i, struct map *seen, bool text)
{
	if (text) {
		uintptr_t j = (uintptr_t)map_get(seen, seq->items[i]->text);

		if (!j)
			map_put(seen, seq->items[i]->text, (void *)(uintptr_t)(i + 1));
		return (ssize_t)j - 1;
	}
	for (size_t j = 0; j < i; j++)
		if (node_equal(seq->items[i], seq->items[j]))
			return (ssize_t)j;
	return -1;
}

static void check_seq(struct check *c, const struct node *n, const struct key *k,
		      const struct spot *at)
{
	_cleanup_(map_done) struct map seen = MAP_INIT;
	bool unique = k->flags & KF_UNIQUE_ITEMS, text = unique && all_text(n);
	char path[SPOT_TEXT_MAX];

	for (size_t i = 0; i < n->n; i++) {
		struct spot sub = SPOT_ITEM(at, i);
		ssize_t j = unique ? repeated(n, i, &seen, text) : -1;

		if (j >= 0) {
			diag_err(c->diag, n->items[i], EINVAL, "%s items at %zd and %zu are equal",
				 spot_text(at, path), j, i);
			c->failed = true;
		}
		if (k->item)
			check_node(c, n->items[i], k->item, &sub);
	}
}

/* Docker Compose's YAML library makes a time of an unquoted date, and its schema
 * has no such type. */
static bool is_date(const struct node *n)
{
	int len = 0, year, month, day;

	return n->kind == NODE_STRING && !n->quoted && !n->origin && n->text[0] >= '0' &&
	       n->text[0] <= '9' && strlen(n->text) == 10 &&
	       sscanf(n->text, "%4d-%2d-%2d%n", &year, &month, &day, &len) == 3 && len == 10 &&
	       month >= 1 && month <= 12 && day >= 1 && day <= 31;
}

static void check_node(struct check *c, const struct node *n, const struct key *k,
		       const struct spot *at)
{
	char path[SPOT_TEXT_MAX], types[128];

	if (k == &key_extension)
		return;
	if (!(type_bit(n) & k->types) || is_date(n)) {
		if (is_date(n))
			diag_err(c->diag, n, EINVAL, "%s is a date; write it in quotes",
				 spot_text(at, path));
		else
			diag_err(c->diag, n, EINVAL, "%s must be a %s", spot_text(at, path),
				 key_type_names(k, types, sizeof(types)));
		c->failed = true;
		return;
	}
	if (n->kind == NODE_STRING)
		check_text(c, n, k, at);
	else if (n->kind == NODE_INT || n->kind == NODE_FLOAT)
		check_number(c, n, k, at);
	else if (n->kind == NODE_MAP)
		check_map(c, n, k, at);
	else if (n->kind == NODE_SEQ)
		check_seq(c, n, k, at);
}

int validate_part(const struct node *n, const struct key *key, const struct spot *at,
		  struct diag *diag)
{
	struct check c = { .diag = diag };

	check_node(&c, n, key, at);
	return c.failed ? -EINVAL : 0;
}

int validate_schema(const struct node *root, struct diag *diag)
{
	struct spot top = SPOT_TOP;

	return validate_part(root, &key_root, &top, diag);
}

/* ---- beyond the schema -------------------------------------------------------------------- */

static void complain(struct check *c, const struct node *n, const char *fmt, ...) _printf_(3, 4);
static void complain(struct check *c, const struct node *n, const char *fmt, ...)
{
	_cleanup_(free_p) char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	diag_err(c->diag, n, EINVAL, "%s", text);
	c->failed = true;
}

static void check_volume(struct check *c, const char *name, const struct node *v)
{
	if (!node_get_bool(v, "external", false))
		return;
	for (size_t i = 0; i < v->n; i++) {
		const char *key = v->entries[i].key;

		if (streq(key, "name") || streq(key, "external") || key_is_extension(key))
			continue;
		complain(c, v->entries[i].value,
			 "volumes.%s: conflicting parameters \"external\" and \"%s\" specified",
			 name, key);
		return;
	}
}

static void check_file_object(struct check *c, const char *section, const char *name,
			      const struct node *n, bool content)
{
	const char *const keys[] = { "file", "environment", "content" };
	const char *list = content ? "file|environment|content" : "file|environment";
	size_t n_set = 0;

	if (!node_is(n, NODE_MAP))
		return;
	for (size_t i = 0; i < (content ? 3u : 2u); i++)
		n_set += node_get(n, keys[i]) != NULL;
	if (n_set > 1)
		complain(c, n, "%s.%s: %s attributes are mutually exclusive", section, name, list);
	else if (!n_set && !node_get(n, "driver") && !node_get(n, "external"))
		complain(c, n, "%s.%s: one of %s must be set", section, name, list);
}

static bool is_address(const char *text)
{
	unsigned char addr[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, text, addr) == 1 || inet_pton(AF_INET6, text, addr) == 1;
}

static void check_requests(struct check *c, const struct node *seq, const char *service,
			   const char *what)
{
	for (size_t i = 0; node_is(seq, NODE_SEQ) && i < seq->n; i++)
		if (node_get(seq->items[i], "count") && node_get(seq->items[i], "device_ids"))
			complain(c, seq->items[i],
				 "services.%s.%s[%zu]: \"count\" and \"device_ids\" attributes are "
				 "exclusive",
				 service, what, i);
}

static void check_service(struct check *c, const char *name, const struct node *s)
{
	const struct node *ports = node_get(s, "ports"),
			  *watch = node_path(s, "develop", "watch", NULL);

	for (size_t i = 0; node_is(ports, NODE_SEQ) && i < ports->n; i++) {
		const struct node *ip = node_get(ports->items[i], "host_ip");

		if (node_is(ip, NODE_STRING) && !is_address(ip->text))
			complain(c, ip, "services.%s.ports[%zu]: invalid ip address: %s", name, i,
				 ip->text);
	}
	for (size_t i = 0; node_is(watch, NODE_SEQ) && i < watch->n; i++) {
		const struct node *path = node_get(watch->items[i], "path");

		if (node_is(path, NODE_STRING) && !*path->text)
			complain(c, path,
				 "services.%s.develop.watch[%zu].path: value can't be blank", name,
				 i);
	}
	check_requests(c, node_path(s, "deploy", "resources", "reservations", "devices", NULL),
		       name, "deploy.resources.reservations.devices");
	check_requests(c, node_get(s, "gpus"), name, "gpus");
}

int validate_values(const struct node *root, struct diag *diag)
{
	struct check c = { .diag = diag };
	const struct node *m;

	m = node_get(root, "services");
	for (size_t i = 0; node_is(m, NODE_MAP) && i < m->n; i++)
		check_service(&c, m->entries[i].key, m->entries[i].value);
	m = node_get(root, "volumes");
	for (size_t i = 0; node_is(m, NODE_MAP) && i < m->n; i++)
		check_volume(&c, m->entries[i].key, m->entries[i].value);
	m = node_get(root, "configs");
	for (size_t i = 0; node_is(m, NODE_MAP) && i < m->n; i++)
		check_file_object(&c, "configs", m->entries[i].key, m->entries[i].value, true);
	m = node_get(root, "secrets");
	for (size_t i = 0; node_is(m, NODE_MAP) && i < m->n; i++)
		check_file_object(&c, "secrets", m->entries[i].key, m->entries[i].value, false);
	return c.failed ? -EINVAL : 0;
}
