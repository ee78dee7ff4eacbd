/* compose/canonical.c: short to long forms; see canonical.h.
 *
 * One function per form of the key table, each from one node to one node.  The
 * new nodes take the position of the text they were made of, so that later
 * errors still point there.
 */
#include "compose/canonical.h"

#include <errno.h>
#include <stdio.h>

#include "base/path.h"
#include "compose/merge.h"
#include "compose/units.h"

struct form {
	struct arena *a;
	const struct key *key;
	const struct spot *at;
	bool lenient;
	struct diag *diag;
};

static void put_text(struct form *f, struct node *map, const char *key, const char *text,
		     const struct node *from)
{
	struct node *n = node_at(node_str(f->a, text), from);

	n->origin = from->origin;
	node_put(f->a, map, key, n);
}

static void put_bool(struct form *f, struct node *map, const char *key, bool v,
		     const struct node *from)
{
	node_put(f->a, map, key, node_at(node_bool(f->a, v), from));
}

static struct node *new_map(struct form *f, const struct node *from)
{
	struct node *map = node_at(node_map(f->a), from);

	map->replaced = from->replaced;
	return map;
}

static int bad_type(struct form *f, const struct node *n, const char *what)
{
	char path[SPOT_TEXT_MAX];

	return diag_err(f->diag, n, EINVAL, "%s: invalid type %s for %s", spot_text(f->at, path),
			node_kind_name(n->kind), what);
}

/* An error of compose/units.h at the node it was about. */
static int bad_text(struct form *f, const struct node *n, struct err *e)
{
	char path[SPOT_TEXT_MAX];

	err_wrap(e, -e->code, "%s", spot_text(f->at, path));
	if (n->file)
		err_at(e, n->file, n->line, n->col);
	return diag_add(f->diag, e);
}

/* A string as the only value of a mapping. */
static int form_string_as(struct form *f, struct node *n, const char *key, const char *what,
			  struct node **out)
{
	if (n->kind == NODE_MAP)
		return 0;
	if (n->kind != NODE_STRING)
		return bad_type(f, n, what);
	*out = new_map(f, n);
	put_text(f, *out, key, n->text, n);
	return 0;
}

static int form_text(struct form *f, struct node *n, struct node **out)
{
	if (n->kind != NODE_STRING && n->kind != NODE_MAP && n->kind != NODE_SEQ)
		*out = node_at(node_str(f->a, merge_scalar_text(f->a, n)), n);
	return 0;
}

static int form_list(struct form *f, struct node *n, struct node **out)
{
	if (n->kind == NODE_STRING) {
		*out = node_at(node_seq(f->a), n);
		node_push(f->a, *out, n);
	}
	return 0;
}

static int form_pairs(struct form *f, struct node *n, struct node **out)
{
	char path[SPOT_TEXT_MAX];
	struct node *map;

	if (n->kind == NODE_MAP)
		return 0;
	if (n->kind != NODE_SEQ)
		return bad_type(f, n, f->key->name);
	map = new_map(f, n);
	for (size_t i = 0; i < n->n; i++) {
		struct node *item = n->items[i];
		const char *eq = node_is(item, NODE_STRING) ? strchr(item->text, '=') : NULL;

		if (!eq && f->lenient)
			return 0;
		if (!eq)
			return diag_err(f->diag, item, EINVAL,
					"%s: invalid value %s, expected key=value",
					spot_text(f->at, path), merge_scalar_text(f->a, item));
		put_text(f, map, arena_strndup(f->a, item->text, (size_t)(eq - item->text)), eq + 1,
			 item);
	}
	*out = map;
	return 0;
}

static void default_dependency(struct form *f, struct node *d, const struct node *from)
{
	if (!node_get(d, "condition"))
		put_text(f, d, "condition", "service_started", from);
	if (!node_get(d, "required"))
		put_bool(f, d, "required", true, from);
}

static int form_depends(struct form *f, struct node *n, struct node **out)
{
	char path[SPOT_TEXT_MAX];

	if (n->kind == NODE_SEQ) {
		*out = new_map(f, n);
		for (size_t i = 0; i < n->n; i++) {
			struct node *d = new_map(f, n->items[i]);
			struct node_entry like = { .line = d->line, .col = d->col };

			if (!node_is(n->items[i], NODE_STRING))
				return bad_type(f, n->items[i], "depends_on");
			default_dependency(f, d, n->items[i]);
			node_put_at(f->a, *out, n->items[i]->text, d, &like);
		}
		return 0;
	}
	if (n->kind != NODE_MAP)
		return bad_type(f, n, "depends_on");
	for (size_t i = 0; i < n->n; i++) {
		if (!node_is(n->entries[i].value, NODE_MAP))
			return diag_err(f->diag, n->entries[i].value, EINVAL,
					"%s.%s: unsupported value", spot_text(f->at, path),
					n->entries[i].key);
		default_dependency(f, n->entries[i].value, n->entries[i].value);
	}
	return 0;
}

static struct node *env_file(struct form *f, struct node *n)
{
	struct node *map = n;

	if (n->kind == NODE_STRING) {
		map = new_map(f, n);
		put_text(f, map, "path", n->text, n);
	}
	if (map->kind == NODE_MAP && !node_get(map, "required"))
		put_bool(f, map, "required", true, n);
	return map;
}

static int form_env_file(struct form *f, struct node *n, struct node **out)
{
	if (n->kind == NODE_STRING) {
		*out = node_at(node_seq(f->a), n);
		node_push(f->a, *out, env_file(f, n));
		return 0;
	}
	if (n->kind != NODE_SEQ)
		return bad_type(f, n, "env_file");
	for (size_t i = 0; i < n->n; i++)
		n->items[i] = env_file(f, n->items[i]);
	return 0;
}

static int form_gpus(struct form *f, struct node *n, struct node **out)
{
	struct node *all;

	if (n->kind == NODE_SEQ)
		return 0;
	if (n->kind != NODE_STRING)
		return bad_type(f, n, "gpus");
	*out = node_at(node_seq(f->a), n);
	all = new_map(f, n);
	put_text(f, all, "count", "all", n);
	node_push(f->a, *out, all);
	return 0;
}

static int form_names(struct form *f, struct node *n, struct node **out)
{
	struct node *map;

	if (n->kind != NODE_SEQ)
		return 0;
	map = new_map(f, n);
	for (size_t i = 0; i < n->n; i++) {
		struct node *item = n->items[i];
		struct node_entry like = { .line = item->line, .col = item->col };

		if (item->kind != NODE_STRING)
			return bad_type(f, item, f->key->name);
		node_put_at(f->a, map, item->text, node_at(node_null(f->a), item), &like);
	}
	*out = map;
	return 0;
}

static void put_some(struct form *f, struct node *map, const char *key, const char *text,
		     const struct node *from)
{
	if (*text)
		put_text(f, map, key, text, from);
}

static int form_volume(struct form *f, struct node *n, struct node **out)
{
	struct short_volume v = { 0 };
	struct err e = ERR_INIT;
	struct node *map, *sub;
	char *target;

	if (n->kind == NODE_MAP)
		return 0;
	if (n->kind != NODE_STRING)
		return bad_type(f, n, "service volume mount");
	if (units_volume(f->a, n->text, &v, &e) < 0)
		return f->lenient ? 0 : bad_text(f, n, &e);
	map = new_map(f, n);
	put_text(f, map, "type", v.bind ? "bind" : "volume", n);
	put_some(f, map, "source", v.source, n);
	target = *v.target ? path_clean(v.target) : xstrdup("");
	put_some(f, map, "target", target, n);
	free(target);
	if (v.read_only)
		put_bool(f, map, "read_only", true, n);
	if (v.bind || *v.propagation || *v.selinux) {
		sub = new_map(f, n);
		put_some(f, sub, "selinux", v.selinux, n);
		put_some(f, sub, "propagation", v.propagation, n);
		if (v.bind)
			put_bool(f, sub, "create_host_path", true, n);
		node_put(f->a, map, "bind", sub);
	}
	/* One or two characters alone are a target without a `volume` part. */
	if (v.nocopy || (!v.bind && strlen(n->text) > 2)) {
		sub = new_map(f, n);
		if (v.nocopy)
			put_bool(f, sub, "nocopy", true, n);
		node_put(f->a, map, "volume", sub);
	}
	*out = map;
	return 0;
}

static int form_device(struct form *f, struct node *n, struct node **out)
{
	struct short_device d = { 0 };
	struct err e = ERR_INIT;

	if (n->kind == NODE_MAP)
		return 0;
	if (n->kind != NODE_STRING)
		return bad_type(f, n, "device mapping");
	if (units_device(f->a, n->text, &d, &e) < 0)
		return f->lenient ? 0 : bad_text(f, n, &e);
	*out = new_map(f, n);
	put_text(f, *out, "source", d.source, n);
	put_text(f, *out, "target", d.target, n);
	put_text(f, *out, "permissions", d.permissions, n);
	return 0;
}

static int push_ports(struct form *f, struct node *n, struct node *seq)
{
	struct short_port *p;
	struct err e = ERR_INIT;
	size_t n_ports;

	if (units_ports(f->a, merge_scalar_text(f->a, n), &p, &n_ports, &e) < 0)
		return f->lenient ? -EINVAL : bad_text(f, n, &e);
	for (size_t i = 0; i < n_ports; i++) {
		struct node *map = new_map(f, n);

		put_text(f, map, "mode", "ingress", n);
		put_some(f, map, "host_ip", p[i].host_ip, n);
		node_put(f->a, map, "target", node_at(node_int(f->a, p[i].target), n));
		put_some(f, map, "published", p[i].published, n);
		put_text(f, map, "protocol", p[i].protocol, n);
		node_push(f->a, seq, map);
	}
	return 0;
}

static int form_ports(struct form *f, struct node *n, struct node **out)
{
	struct node *seq;
	int r = 0;

	if (n->kind != NODE_SEQ)
		return bad_type(f, n, "port");
	seq = node_at(node_seq(f->a), n);
	for (size_t i = 0; i < n->n; i++) {
		struct spot sub = SPOT_ITEM(f->at, i);
		struct form item = *f;
		int r2 = 0;

		item.at = &sub;
		if (n->items[i]->kind == NODE_MAP)
			node_push(f->a, seq, n->items[i]);
		else if (n->items[i]->kind == NODE_INT || n->items[i]->kind == NODE_STRING)
			r2 = push_ports(&item, n->items[i], seq);
		else
			r2 = bad_type(&item, n->items[i], "port");
		if (r2 < 0 && f->lenient)
			return 0;
		if (r2 < 0)
			r = r2;
	}
	*out = seq;
	return r;
}

static int form_ssh(struct form *f, struct node *n, struct node **out)
{
	struct node *map;

	if (n->kind == NODE_MAP)
		return 0;
	if (n->kind != NODE_SEQ)
		return bad_type(f, n, "ssh");
	map = new_map(f, n);
	for (size_t i = 0; i < n->n; i++) {
		struct node *item = n->items[i];
		const char *eq;

		if (item->kind != NODE_STRING)
			return bad_type(f, item, "ssh key");
		eq = strchr(item->text, '=');
		if (!eq && !streq(item->text, "default"))
			return diag_err(f->diag, item, EINVAL, "invalid ssh key \"%s\"",
					item->text);
		if (eq)
			put_text(f, map, arena_strndup(f->a, item->text, (size_t)(eq - item->text)),
				 eq + 1, item);
		else
			node_put(f->a, map, item->text, node_at(node_null(f->a), item));
	}
	*out = map;
	return 0;
}

static int form_ulimit(struct form *f, struct node *n)
{
	if (n->kind == NODE_MAP || n->kind == NODE_INT || f->lenient)
		return 0;
	return bad_type(f, n, "ulimit");
}

static int form_external(struct form *f, struct node *n)
{
	struct node *external = node_get(n, "external"), *old = node_get(external, "name");
	struct node *name = node_get(n, "name");
	char path[SPOT_TEXT_MAX];

	if (node_is_null(n))
		return 0;
	if (n->kind != NODE_MAP)
		return bad_type(f, n, "resource");
	if (!node_is(external, NODE_MAP))
		return 0;
	node_put(f->a, n, "external", node_at(node_bool(f->a, true), external));
	if (!old)
		return 0;
	diag_warn(f->diag, old,
		  "%s: external.name is deprecated. Please set name and external: true",
		  spot_text(f->at, path));
	if (name && !node_equal(name, old))
		return diag_err(f->diag, old, EINVAL,
				"%s: name and external.name conflict; only use name",
				spot_text(f->at, path));
	if (!name)
		node_put(f->a, n, "name", old);
	return 0;
}

static int apply(struct form *f, struct node **n)
{
	switch ((enum key_form)f->key->form) {
	case FORM_NONE:
		return 0;
	case FORM_BUILD:
		return form_string_as(f, *n, "context", "build", n);
	case FORM_MOUNT:
		return form_string_as(f, *n, "source", "file mount", n);
	case FORM_EXTENDS:
		return form_string_as(f, *n, "service", "extends", n);
	case FORM_INCLUDE:
		return form_string_as(f, *n, "path", "include", n);
	case FORM_TEXT:
		return form_text(f, *n, n);
	case FORM_PAIRS:
		return form_pairs(f, *n, n);
	case FORM_DEPENDS:
		return form_depends(f, *n, n);
	case FORM_ENV_FILE:
		return form_env_file(f, *n, n);
	case FORM_LIST:
		return form_list(f, *n, n);
	case FORM_GPUS:
		return form_gpus(f, *n, n);
	case FORM_NAMES:
		return form_names(f, *n, n);
	case FORM_VOLUME:
		return form_volume(f, *n, n);
	case FORM_DEVICE:
		return form_device(f, *n, n);
	case FORM_PORTS:
		return form_ports(f, *n, n);
	case FORM_SSH:
		return form_ssh(f, *n, n);
	case FORM_ULIMIT:
		return form_ulimit(f, *n);
	case FORM_EXTERNAL:
		return form_external(f, *n);
	}
	return 0;
}

int canonicalize(struct arena *a, struct node **tree, const struct key *key, const struct spot *at,
		 bool lenient, struct diag *diag)
{
	struct form f = { a, key, at, lenient, diag };
	struct node *n;
	int r, r2;

	if (!key || key == &key_extension)
		return 0;
	r = apply(&f, tree);
	n = *tree;
	for (size_t i = 0; n->kind == NODE_MAP && key->sub && i < n->n; i++) {
		struct spot sub = SPOT_KEY(at, n->entries[i].key);

		r2 = canonicalize(a, &n->entries[i].value, key_child(key, n->entries[i].key), &sub,
				  lenient, diag);
		r = r2 < 0 ? r2 : r;
	}
	for (size_t i = 0; n->kind == NODE_SEQ && key->item && i < n->n; i++) {
		struct spot sub = SPOT_ITEM(at, i);

		r2 = canonicalize(a, &n->items[i], key->item, &sub, lenient, diag);
		r = r2 < 0 ? r2 : r;
	}
	return r;
}

/* ---- defaults ------------------------------------------------------------------------- */

static void default_text(struct arena *a, struct node *map, const char *key, const char *text)
{
	if (node_is(map, NODE_MAP) && !node_get(map, key))
		node_put(a, map, key, node_at(node_str(a, text), map));
}

static void default_count(struct arena *a, struct node *requests)
{
	for (size_t i = 0; node_is(requests, NODE_SEQ) && i < requests->n; i++)
		if (!node_get(requests->items[i], "device_ids"))
			default_text(a, requests->items[i], "count", "all");
}

static void default_service(struct arena *a, struct node *service)
{
	struct node *ports = node_get(service, "ports"), *secrets = node_get(service, "secrets");

	default_text(a, node_get(service, "build"), "context", ".");
	for (size_t i = 0; node_is(ports, NODE_SEQ) && i < ports->n; i++) {
		default_text(a, ports->items[i], "protocol", "tcp");
		default_text(a, ports->items[i], "mode", "ingress");
	}
	for (size_t i = 0; node_is(secrets, NODE_SEQ) && i < secrets->n; i++) {
		const char *source = node_get_str(secrets->items[i], "source");

		default_text(a, secrets->items[i], "target",
			     arena_printf(a, "/run/secrets/%s", source ? source : ""));
	}
	default_count(a,
		      node_path(service, "deploy", "resources", "reservations", "devices", NULL));
	default_count(a, node_get(service, "gpus"));
}

void set_defaults(struct arena *a, struct node *root)
{
	struct node *services = node_get(root, "services");

	for (size_t i = 0; node_is(services, NODE_MAP) && i < services->n; i++)
		default_service(a, services->entries[i].value);
}
