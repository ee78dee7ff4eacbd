/* cli/resources.c: see resources.h. */
#include "cli/resources.h"

#include <dirent.h>
#include <fcntl.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "compose/graph.h"
#include "compose/project.h"
#include "net/network.h"
#include "volumes/volume.h"

#define PROJECT_FILE_MAX (16u << 20)
#define NETWORK_FILE_MAX (1u << 20)

json *project_file(struct context *ctx, const char *project)
{
	_cleanup_(free_p) char *dir = dirs_project(&ctx->dirs, project);
	_cleanup_(free_p) char *path = xasprintf("%s/project.json", dir);
	json *j = NULL;

	(void)json_read_file(AT_FDCWD, path, PROJECT_FILE_MAX, &j, NULL); /* NULL then */
	return j;
}

struct network *network_read(struct context *ctx, const char *name)
{
	_cleanup_(free_p) char *root = dirs_networks(&ctx->dirs);
	_cleanup_(free_p) char *path = xasprintf("%s/%s/network.json", root, name);
	_cleanup_(json_unrefp) json *j = NULL;
	struct network *n = NULL;

	if (json_read_file(AT_FDCWD, path, NETWORK_FILE_MAX, &j, NULL) < 0 ||
	    network_from_json(j, &n, NULL) < 0)
		return NULL;
	return n;
}

static bool network_is_of(struct context *ctx, const char *name, const char *project)
{
	_cleanup_(network_freep) struct network *n = network_read(ctx, name);

	return n && streq_null(n->config->project, project);
}

char **project_networks(struct context *ctx)
{
	_cleanup_(free_p) char *root = dirs_networks(&ctx->dirs);
	_cleanup_(dir_closep) DIR *dir = opendir(root);
	char **names = NULL;
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.' &&
		    network_is_of(ctx, entry->d_name, ctx->project_name))
			strv_add(&names, entry->d_name);
	if (names)
		strv_sort(names);
	return names;
}

static bool is_declared(const struct project *p, const char *full_name)
{
	const struct node *volumes = p ? project_section(p, "volumes") : NULL;

	if (!p)
		return true;
	for (size_t i = 0; node_is(volumes, NODE_MAP) && i < volumes->n; i++)
		if (streq_null(node_get_str(volumes->entries[i].value, "name"), full_name))
			return true;
	return false;
}

char **project_volumes(struct context *ctx)
{
	_cleanup_(free_p) char *root = dirs_volumes(&ctx->dirs);
	struct volume **list = NULL;
	char **names = NULL;
	size_t n = 0;

	if (volume_list(root, &list, &n, NULL) < 0)
		return NULL;
	for (size_t i = 0; i < n; i++)
		if (streq_null(list[i]->project, ctx->project_name) && !list[i]->anonymous &&
		    is_declared(ctx->project, list[i]->name))
			strv_add(&names, list[i]->name);
	volume_list_free(list, n);
	return names;
}

int service_closure(struct context *ctx, char *const *services, bool alone, char ***out,
		    struct err *e)
{
	_cleanup_(diag_done) struct diag diag = DIAG_INIT;
	_cleanup_(graph_freep) struct graph *g = NULL;
	_cleanup_(free_p) bool *set = NULL;
	int r;

	*out = NULL;
	if (!services || !*services)
		return 0;
	if (alone) {
		*out = strv_copy(services);
		return 0;
	}
	r = graph_new(ctx->project, &g, &diag);
	if (ctx_diag(ctx, &diag, e) < 0 || r < 0)
		return r;
	set = xcalloc(g->n + 1, sizeof(*set));
	graph_closure(g, services, false, set);
	for (size_t i = 0; i < g->n; i++)
		if (set[i])
			strv_add(out, g->nodes[i].name);
	return 0;
}
