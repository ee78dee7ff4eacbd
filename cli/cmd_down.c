/* cli/cmd_down.c: `up` backwards; works from what is on disk, with half a state or none. */
#include <errno.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "cli/command.h"
#include "cli/lifecycle.h"
#include "cli/images_view.h"
#include "cli/resources.h"
#include "compose/project.h"
#include "engine/image/store.h"

struct down_options {
	bool remove_orphans, volumes;
	const char *rmi;
	int64_t timeout;
};
#define D struct down_options

static const struct option_spec down_flags[] = {
	OPTION_BOOL("remove-orphans", 0, D, remove_orphans,
		    "Remove containers for services not defined in the Compose file"),
	OPTION_STRING("rmi", 0, D, rmi, NULL,
		      "Remove images used by services. \"local\" remove only images that don't "
		      "have a custom tag (\"local\"|\"all\")"),
	OPTION_INT("timeout", 't', D, timeout, "-1", "Specify a shutdown timeout in seconds"),
	OPTION_BOOL("volumes", 'v', D, volumes,
		    "Remove named volumes declared in the \"volumes\" section of the Compose file "
		    "and anonymous volumes attached to containers"),
	OPTION_END,
};

/* ---- images ----------------------------------------------------------------------- */
static int remove_one(struct context *ctx, struct store *store, struct progress *p,
		      const char *image, struct err *e)
{
	_cleanup_(removed_done) struct removed removed = { 0 };
	_cleanup_(free_p) char *id = xasprintf("Image %s", image);
	int r;

	if (ctx->global.dry_run) {
		progress_event(p, id, PROGRESS_DONE, "Removed", NULL);
		return 0;
	}
	progress_event(p, id, PROGRESS_WORKING, "Removing", NULL);
	r = store_remove(store, image, false, images_in_use, ctx, &removed, e);
	if (r == -ENOENT)
		progress_event(p, id, PROGRESS_WARNING, "No resource found to remove", NULL);
	else if (r == -EBUSY)
		progress_event(p, id, PROGRESS_WARNING, "Resource is still in use", NULL);
	else if (r == 0)
		progress_event(p, id, PROGRESS_DONE, "Removed", NULL);
	return r == -ENOENT || r == -EBUSY ? 0 : r;
}

/* --rmi: the images of @services (empty: all); @local: only those without a name of
 * their own in the compose file. */
static int remove_service_images(struct context *ctx, char *const *services, bool local,
				 struct err *e)
{
	_cleanup_(progress_freep) struct progress *progress = NULL;
	_cleanup_(free_p) char *path = dirs_images(&ctx->dirs);
	_cleanup_(store_closep) struct store *store = NULL;
	_cleanup_(free_p) const char **names = NULL;
	int r;

	if (!ctx->project)
		return err_set(e, EINVAL, "--rmi needs the compose file, which names the images");
	r = store_open(path, &store, e);
	if (r == 0)
		r = ctx_progress(ctx, "down", &progress, e);
	names = project_service_names(ctx->project);
	for (size_t i = 0; names[i] && r == 0; i++) {
		const struct node *service = project_service(ctx->project, names[i]);

		if (services && services[0] && !strv_has(services, names[i]))
			continue;
		if (!local || !node_get(service, "image"))
			r = remove_one(ctx, store, progress,
				       project_image_name(ctx->project, names[i]), e);
	}
	return r;
}

/* ---- down ------------------------------------------------------------------------- */
static int run_down(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct down_options *o = in->options;
	_cleanup_(strv_freep) char **networks = NULL, **volumes = NULL;
	struct plan_options po = PLAN_OPTIONS_INIT;
	const char *orphans = getenv("COMPOSE_REMOVE_ORPHANS");
	size_t n = 0;
	int r = 0;

	if (o->rmi && !streq(o->rmi, "all") && !streq(o->rmi, "local"))
		return err_set(e, EINVAL, "invalid value for --rmi: \"%s\"", o->rmi);
	ctx->global.all_resources = true; /* volumes that no service uses go, too */
	r = ctx_need_root(ctx, e);
	if (r == 0)
		r = ctx_load_project_or_name(ctx, e);
	if (r == 0)
		r = ctx_dirs(ctx, e);
	if (r < 0)
		return r;
	networks = project_networks(ctx);
	volumes = project_volumes(ctx);
	po.services = in->argv;
	po.timeout_ns = stop_timeout(o->timeout);
	po.volumes = o->volumes;
	po.remove_orphans = o->remove_orphans || (orphans && streq(orphans, "1"));
	po.networks = networks;
	po.volume_names = volumes;
	r = plan_and_apply(ctx, "down", plan_down, &po, &n, e);
	if (r == 0 && o->rmi)
		r = remove_service_images(ctx, in->argv, streq(o->rmi, "local"), e);
	if (r == 0 && !n && !networks && !(o->volumes && volumes) && !o->rmi)
		fprintf(ctx->err, "Warning: No resource found to remove for project \"%s\".\n",
			ctx->project_name);
	return r;
}

const struct command cmd_down = {
	.name = "down",
	.args = "[OPTIONS] [SERVICES]",
	.summary = "Stop and remove containers, networks",
	.options = down_flags,
	.options_size = sizeof(struct down_options),
	.max_args = ARGS_ANY,
	.run = run_down,
};
