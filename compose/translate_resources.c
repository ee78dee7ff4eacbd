/* compose/translate_resources.c: networks and volumes of the project.
 *
 * Each becomes the JSON that its create action wants.  External ones must be
 * there, and nothing is made for them.
 */
#include "compose/translate_internal.h"

#include <fcntl.h>

#include "base/strv.h"
#include "net/network.h"
#include "volumes/volume.h"

#define NETWORK_FILE_MAX (1 << 20)

static json *labels_json(const struct project *p, const char *kind, const char *key,
			 const struct node *n)
{
	json *array = json_new_array();
	_cleanup_(strv_freep) char **labels = translate_pairs(node_get(n, "labels"));
	_cleanup_(free_p) char *project = xasprintf("com.docker.compose.project=%s", p->name);
	_cleanup_(free_p) char *own = xasprintf("com.docker.compose.%s=%s", kind, key);

	STRV_FOREACH (l, labels)
		json_push_str(array, *l);
	json_push_str(array, project);
	json_push_str(array, own);
	return array;
}

static json *ipam_json(const struct node *n)
{
	const struct node *configs = node_path(n, "ipam", "config", NULL);
	json *array = json_new_array();

	for (size_t i = 0; node_is(configs, NODE_SEQ) && i < configs->n; i++) {
		const struct node *c = configs->items[i];
		_cleanup_(strv_freep) char **aux = translate_pairs(node_get(c, "aux_addresses"));
		json *o = json_new_object();

		json_put_str(o, "subnet", node_get_str(c, "subnet"));
		json_put_str(o, "gateway", node_get_str(c, "gateway"));
		json_put_str(o, "ip_range", node_get_str(c, "ip_range"));
		json_put_strv(o, "aux", aux);
		json_push(array, o);
	}
	return array;
}

static json *network_json(const struct project *p, const char *key, const char *name,
			  const struct node *n)
{
	_cleanup_(strv_freep) char **opts = translate_pairs(node_get(n, "driver_opts"));
	json *o = json_new_object();

	json_put_str(o, "name", name);
	json_put_str(o, "project", p->name);
	json_put_str(o, "driver", node_get_str(n, "driver"));
	json_put_bool(o, "internal", node_get_bool(n, "internal", false));
	json_put_bool(o, "enable_ipv4", node_get_bool(n, "enable_ipv4", true));
	json_put_bool(o, "enable_ipv6", node_get_bool(n, "enable_ipv6", false));
	json_put(o, "ipam", ipam_json(n));
	json_put(o, "labels", labels_json(p, "network", key, n));
	json_put_strv(o, "driver_opts", opts);
	return o;
}

static json *volume_json(const struct project *p, const char *key, const char *name,
			 const struct node *n)
{
	_cleanup_(strv_freep) char **opts = translate_pairs(node_get(n, "driver_opts"));
	json *o = json_new_object();

	json_put_str(o, "name", name);
	json_put_str(o, "project", p->name);
	json_put_str(o, "driver", node_get_str(n, "driver"));
	json_put_strv(o, "options", opts);
	json_put(o, "labels", labels_json(p, "volume", key, n));
	return o;
}

static char *network_path(const struct translation *t, const char *name)
{
	return xasprintf("%s/networks/%s/network.json", t->dirs->root, name);
}

static int check_external_network(const struct translation *t, const char *name,
				  const struct node *at, struct diag *diag)
{
	_cleanup_(free_p) char *path = network_path(t, name);

	if (access(path, F_OK) == 0)
		return 0;
	return diag_err(diag, at, ENOENT, "network %s declared as external, but could not be found",
			name);
}

static int check_external_volume(const struct translation *t, const char *name,
				 const struct node *at, struct diag *diag)
{
	_cleanup_(free_p) char *root = dirs_volumes(t->dirs);

	if (volume_load(root, name, NULL, NULL) == 0)
		return 0;
	return diag_err(diag, at, ENOENT, "external volume \"%s\" not found", name);
}

/* A network of this name that another project made is used, as Docker Compose does,
 * but not without a word; under another key it is meant to be another network. */
static int check_network_owner(const struct translation *t, const char *key, const char *name,
			       const struct node *at, struct diag *diag)
{
	_cleanup_(free_p) char *path = network_path(t, name);
	_cleanup_(json_unrefp) json *j = NULL;
	_cleanup_(network_freep) struct network *n = NULL;
	const char *owner, *label;

	/* One that cannot be read is for the supervisor to put right. */
	if (json_read_file(AT_FDCWD, path, NETWORK_FILE_MAX, &j, NULL) < 0 ||
	    network_from_json(j, &n, NULL) < 0)
		return 0;
	owner = n->config->project;
	if (!owner) {
		diag_warn(diag, at,
			  "a network with name %s exists but was not created by compose. "
			  "Set `external: true` to use an existing network",
			  name);
		return 0;
	}
	if (streq(owner, t->project))
		return 0;
	label = strv_env_get(n->config->labels, "com.docker.compose.network");
	if (!streq_null(label, key)) {
		diag_err(diag, at, EEXIST,
			 "network %s was found but has incorrect label com.docker.compose.network "
			 "set to \"%s\" (expected: \"%s\"): it was created for project \"%s\"",
			 name, label ?: "", key, owner);
		diag_hint(diag, "set `external: true` to use it, or another name");
		return -EEXIST;
	}
	diag_warn(diag, at,
		  "a network with name %s exists but was not created for project \"%s\": it was "
		  "created for project \"%s\". Set `external: true` to use an existing network",
		  name, t->project, owner);
	return 0;
}

static void check_volume_owner(const struct translation *t, const char *name, const struct node *at,
			       struct diag *diag)
{
	_cleanup_(free_p) char *root = dirs_volumes(t->dirs);
	_cleanup_(volume_freep) struct volume *v = NULL;

	if (volume_load(root, name, &v, NULL) < 0)
		return;
	if (!v->project)
		diag_warn(diag, at,
			  "volume \"%s\" already exists but was not created by compose. Use "
			  "`external: true` to use an existing volume",
			  name);
	else if (!streq(v->project, t->project))
		diag_warn(diag, at,
			  "volume \"%s\" already exists but was created for project \"%s\" "
			  "(expected \"%s\"). Use `external: true` to use an existing volume",
			  name, v->project, t->project);
}

static int add_network(struct translation *t, const struct project *p, const char *key,
		       struct diag *diag)
{
	const struct node *n = node_get(project_section(p, "networks"), key);
	const char *name = translate_full_name(p, "networks", key),
		   *driver = node_get_str(n, "driver");

	if (map_has(&t->networks, name))
		return 0;
	if (node_get_bool(n, "external", false))
		return check_external_network(t, name, n, diag);
	if (driver && !streq(driver, "bridge"))
		return diag_err(diag, node_get(n, "driver"), ENOTSUP,
				"networks.%s.driver: \"%s\" is not supported, only bridge is", key,
				driver);
	map_put(&t->networks, name, network_json(p, key, name, n));
	return check_network_owner(t, key, name, n, diag);
}

static int add_volume_of(struct translation *t, const struct project *p, const char *key,
			 struct diag *diag)
{
	const struct node *n = node_get(project_section(p, "volumes"), key);
	const char *name = translate_full_name(p, "volumes", key);

	if (map_has(&t->volumes, name))
		return 0;
	if (node_get_bool(n, "external", false))
		return check_external_volume(t, name, n, diag);
	map_put(&t->volumes, name, volume_json(p, key, name, n));
	check_volume_owner(t, name, n, diag);
	return 0;
}

int translate_resources(struct translation *t, const struct project *p, const char *service,
			struct diag *diag)
{
	const struct node *s = project_service(p, service);
	const struct node *networks = node_get(s, "networks"), *volumes = node_get(s, "volumes");
	int r = 0;

	if (translate_uses_bridge(s))
		r = add_network(t, p, "default", diag);
	else if (!node_get(s, "network_mode"))
		for (size_t i = 0; r == 0 && node_is(networks, NODE_MAP) && i < networks->n; i++)
			r = add_network(t, p, networks->entries[i].key, diag);
	for (size_t i = 0; r == 0 && node_is(volumes, NODE_SEQ) && i < volumes->n; i++) {
		const char *type = node_get_str(volumes->items[i], "type");
		const char *source = node_get_str(volumes->items[i], "source");

		if (type && streq(type, "volume") && !is_empty(source))
			r = add_volume_of(t, p, source, diag);
	}
	return r;
}
