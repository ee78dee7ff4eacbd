/* cli/prune.c: first a list of everything that would go, with sizes; what is then removed is
 * decided again, object by object, by who owns it: a container by its project's supervisor
 * (which refuses when it was started meanwhile), images under the store's lock.
 *
 * What becomes unused by one step is seen by the next: containers go first, so their
 * networks, volumes and images are free.
 */
#include "cli/prune.h"

#include <errno.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "cli/humanize.h"
#include "cli/images_view.h"
#include "cli/lifecycle.h"
#include "cli/machine.h"
#include "cli/resources.h"
#include "engine/build/runner.h"
#include "net/network.h"

struct pruner {
	struct context *ctx;
	const struct prune_request *q;
	struct prune_filter filter;
	struct machine machine;
	struct store *store;
	/* Chosen, by the first look: */
	const struct record **containers;
	size_t n_containers;
	char **networks, **volumes;
	struct removed images; /* a dry run's */
	uint64_t bytes;        /* of all that */
	uint64_t freed;
};

/* ---- choosing ------------------------------------------------------------------------------ */

static bool is_chosen(const struct pruner *p, const char *container)
{
	for (size_t i = 0; i < p->n_containers; i++)
		if (streq(p->containers[i]->name, container))
			return true;
	return false;
}

static void choose_containers(struct pruner *p)
{
	for (size_t i = 0; p->q->containers && i < p->machine.n_containers; i++) {
		const struct machine_container *c = &p->machine.containers[i];

		/* A build's are its own to remove, once their layer is taken. */
		if (skip_prefix(c->rec->project ?: "", RUNNER_PREFIX))
			continue;
		if (record_is_active(c->rec) || c->rec->status == CONTAINER_REMOVING ||
		    !prune_filter_passes(&p->filter, c->rec->created,
					 c->spec ? c->spec->labels : NULL))
			continue;
		p->containers = xreallocarray(p->containers, p->n_containers + 1,
					      sizeof(*p->containers));
		p->containers[p->n_containers++] = c->rec;
		p->bytes += machine_container_size(p->ctx, c->rec);
	}
}

/* Only by containers that go as well, or by none. */
static bool is_free(const struct pruner *p, const struct map *users, const char *name)
{
	STRV_FOREACH (c, (char **)map_get(users, name))
		if (!is_chosen(p, *c))
			return false;
	return true;
}

static void choose_networks(struct pruner *p)
{
	for (char **n = p->q->networks ? p->machine.networks : NULL; n && *n; n++) {
		_cleanup_(network_freep) struct network *net = network_read(p->ctx, *n);

		if (net && net->config->project &&
		    !skip_prefix(net->config->project, RUNNER_PREFIX) &&
		    is_free(p, &p->machine.attached, *n) &&
		    prune_filter_passes(&p->filter, net->created, net->config->labels))
			strv_add(&p->networks, *n);
	}
}

static void choose_volumes(struct pruner *p)
{
	for (size_t i = 0; p->q->volumes && i < p->machine.n_volumes; i++) {
		const struct volume *v = p->machine.volumes[i];

		if ((!v->anonymous && !p->q->all_volumes) ||
		    !is_free(p, &p->machine.mounted, v->name) ||
		    !prune_filter_passes(&p->filter, 0, v->labels))
			continue;
		strv_add(&p->volumes, v->name);
		p->bytes += disk_size(v->path);
	}
}

static int image_is_used(void *data, const char *id, struct err *e)
{
	const struct pruner *p = data;

	return !is_free(p, &p->machine.images, id);
}

static struct prune_options image_options(const struct pruner *p, bool dry_run)
{
	return (struct prune_options){ .all = p->q->all_images,
				       .cache = p->q->cache,
				       .dry_run = dry_run,
				       .until = p->filter.until,
				       .labels = p->filter.labels,
				       .not_labels = p->filter.not_labels };
}

static int choose(struct pruner *p, struct err *e)
{
	const struct prune_options o = image_options(p, true);
	int r;

	choose_containers(p);
	choose_networks(p);
	choose_volumes(p);
	if (!p->q->images)
		return 0;
	r = store_prune(p->store, &o, image_is_used, p, &p->images, e);
	p->bytes += p->images.freed;
	return r;
}

/* ---- showing --------------------------------------------------------------------------------- */

static void show_all(const struct pruner *p)
{
	FILE *out = p->ctx->err;

	for (size_t i = 0; i < p->n_containers; i++)
		fprintf(out, "      container %s\n", p->containers[i]->name);
	STRV_FOREACH (n, p->networks)
		fprintf(out, "      network %s\n", *n);
	STRV_FOREACH (v, p->volumes)
		fprintf(out, "      volume %s\n", *v);
	STRV_FOREACH (i, p->images.untagged)
		fprintf(out, "      image %s\n", *i);
}

static bool is_nothing(const struct pruner *p)
{
	return !p->n_containers && !p->networks && !p->volumes && !p->images.deleted &&
	       !p->images.freed;
}

/* Docker's words, and under them what there really is. */
static void show_plan(const struct pruner *p)
{
	const struct prune_request *q = p->q;
	FILE *out = p->ctx->err;
	char size[HUMAN_MAX];

	fprintf(out, "WARNING! This will remove:\n");
	if (q->containers)
		fprintf(out, "  - all stopped containers\n");
	if (q->networks)
		fprintf(out, "  - all networks not used by at least one container\n");
	if (q->volumes)
		fprintf(out, "  - all %svolumes not used by at least one container\n",
			q->all_volumes ? "" : "anonymous ");
	if (q->images)
		fprintf(out, "  - all %s\n",
			q->all_images ? "images without at least one container associated to them"
				      : "dangling images");
	if (q->cache)
		fprintf(out, "  - all build cache\n");
	if (is_nothing(p)) {
		fprintf(out, "\nThere is nothing to remove.\n");
		return;
	}
	fprintf(out, "\n  That is:\n");
	show_all(p);
	fprintf(out, "\n  This frees %s.\n\n", human_size(p->bytes, size));
}

/* ---- doing --------------------------------------------------------------------------------------
 */

static void add_action(struct plan *plan, enum action_kind kind, const char *object,
		       const char *service)
{
	size_t i = action_add(&plan->actions, kind, object);

	plan->actions.items[i].service = xstrdup_null(service);
}

static char *network_project(struct context *ctx, const char *name)
{
	_cleanup_(network_freep) struct network *n = network_read(ctx, name);

	return n ? xstrdup_null(n->config->project) : NULL;
}

/* What goes of one project is a plan for its supervisor, as for `rm` and `down`. */
static int prune_project(struct pruner *p, const char *project, struct err *e)
{
	_cleanup_(plan_done) struct plan plan = { 0 };
	int r;

	for (size_t i = 0; i < p->n_containers; i++)
		if (streq(p->containers[i]->project, project))
			add_action(&plan, ACTION_REMOVE, p->containers[i]->name,
				   p->containers[i]->service);
	for (char **n = p->networks; n && *n; n++) {
		_cleanup_(free_p) char *owner = network_project(p->ctx, *n);
		size_t containers = plan.actions.n;

		if (!streq_null(owner, project))
			continue;
		add_action(&plan, ACTION_NETWORK_REMOVE, *n, NULL);
		for (size_t k = 0; k < containers; k++)
			if (plan.actions.items[k].kind == ACTION_REMOVE)
				action_need(&plan.actions, containers, k);
	}
	if (!plan.actions.n)
		return 0;
	str_set(&p->ctx->project_name, project);
	p->ctx->generation = -1; /* the supervisor refuses what has changed, action by action */
	r = ctx_take_up(p->ctx, e);
	return r < 0 ? r : ctx_apply(p->ctx, "prune", &plan, e);
}

static char **projects_of(struct pruner *p)
{
	char **projects = NULL;

	for (size_t i = 0; i < p->n_containers; i++)
		if (!strv_has(projects, p->containers[i]->project))
			strv_add(&projects, p->containers[i]->project);
	STRV_FOREACH (n, p->networks) {
		char *owner = network_project(p->ctx, *n);

		if (owner && !strv_has(projects, owner))
			strv_add(&projects, owner);
		free(owner);
	}
	return projects;
}

static int prune_projects(struct pruner *p, struct err *e)
{
	_cleanup_(strv_freep) char **projects = projects_of(p);
	_cleanup_(free_p) uint64_t *sizes = xcalloc(p->n_containers + 1, sizeof(*sizes));
	int failed = 0;

	for (size_t i = 0; i < p->n_containers; i++)
		sizes[i] = machine_container_size(p->ctx, p->containers[i]);
	STRV_FOREACH (project, projects) {
		struct err why = ERR_INIT;
		int r = prune_project(p, *project, &why);

		if (r < 0)
			err_wrap(&why, r, "project %s", *project);
		err_keep_first(&failed, e, r, &why);
	}
	for (size_t i = 0; i < p->n_containers; i++) {
		_cleanup_(free_p) char *dir = dirs_container(
			&p->ctx->dirs, p->containers[i]->project, p->containers[i]->id);

		if (access(dir, F_OK) == 0)
			continue;
		if (p->freed == 0 && i == 0)
			fprintf(p->ctx->out, "Deleted Containers:\n");
		fprintf(p->ctx->out, "%s\n", p->containers[i]->id);
		p->freed += sizes[i];
	}
	if (p->n_containers)
		fprintf(p->ctx->out, "\n");
	for (char **n = p->networks; n && *n; n++)
		fprintf(p->ctx->out, "%s%s\n%s", n == p->networks ? "Deleted Networks:\n" : "", *n,
			n[1] ? "" : "\n");
	return failed;
}

/* A container may have come meanwhile: look again. */
static int prune_volumes(struct pruner *p, struct err *e)
{
	_cleanup_(machine_done) struct machine now = { 0 };
	_cleanup_(free_p) char *root = dirs_volumes(&p->ctx->dirs);
	bool any = false;
	int r = p->volumes ? machine_load(p->ctx, &now, e) : 0;

	for (char **v = p->volumes; r == 0 && v && *v; v++) {
		_cleanup_(free_p) char *path = xasprintf("%s/%s", root, *v);
		uint64_t size = disk_size(path);

		if (map_has(&now.mounted, *v))
			continue;
		r = volume_remove(root, *v, e);
		if (r < 0 && r != -ENOENT)
			break;
		r = 0;
		fprintf(p->ctx->out, "%s%s\n", any ? "" : "Deleted Volumes:\n", *v);
		any = true;
		p->freed += size;
	}
	if (any)
		fprintf(p->ctx->out, "\n");
	return r;
}

static int prune_images(struct pruner *p, struct err *e)
{
	const struct prune_options o = image_options(p, false);
	_cleanup_(removed_done) struct removed gone = { 0 };
	int r = store_prune(p->store, &o, images_in_use, p->ctx, &gone, e);

	if (gone.untagged || gone.deleted)
		fprintf(p->ctx->out, "Deleted Images:\n");
	STRV_FOREACH (s, gone.untagged)
		fprintf(p->ctx->out, "untagged: %s\n", *s);
	STRV_FOREACH (s, gone.deleted)
		fprintf(p->ctx->out, "deleted: %s\n", *s);
	if (gone.untagged || gone.deleted)
		fprintf(p->ctx->out, "\n");
	p->freed += gone.freed;
	return r;
}

static int prune(struct pruner *p, struct err *e)
{
	int failed = prune_projects(p, e);
	struct err why = ERR_INIT;

	err_keep_first(&failed, e, prune_volumes(p, &why), &why);
	if (p->q->images) {
		why = ERR_INIT;
		err_keep_first(&failed, e, prune_images(p, &why), &why);
	}
	if (p->q->containers || p->q->images || p->q->volumes)
		print_reclaimed(p->ctx, p->freed);
	return failed;
}

static int ask_and_prune(struct pruner *p, struct err *e)
{
	int r = choose(p, e);

	if (r < 0)
		return r;
	if (!p->q->force || p->ctx->global.dry_run)
		show_plan(p);
	if (p->ctx->global.dry_run)
		return 0;
	if (!p->q->force && !is_nothing(p) &&
	    !ctx_confirm(p->ctx, "Are you sure you want to continue?"))
		return 0;
	return prune(p, e);
}

int prune_run(struct context *ctx, const struct prune_request *q, char *const *filters,
	      struct err *e)
{
	struct pruner p = { .ctx = ctx, .q = q };
	int r = prune_filter_parse(filters, !q->volumes, &p.filter, e);

	if (r == 0)
		r = images_open(ctx, true, &p.store, e);
	if (r == 0)
		r = machine_load(ctx, &p.machine, e);
	if (r == 0)
		r = ask_and_prune(&p, e);
	prune_filter_done(&p.filter);
	machine_done(&p.machine);
	store_close(p.store);
	free(p.containers);
	strv_free(p.networks);
	strv_free(p.volumes);
	removed_done(&p.images);
	return r;
}
