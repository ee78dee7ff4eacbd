/* cli/images_used.c: see images_used.h. */
#include "cli/images_used.h"

#include <errno.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "compose/project.h"
#include "engine/image/store.h"

int image_in_use(void *data, const char *id, struct err *e)
{
	const struct dirs *d = data;
	_cleanup_(strv_freep) char **projects = dirs_list_projects(d);

	STRV_FOREACH (p, projects) {
		_cleanup_(record_list_done) struct record_list l = { 0 };
		int r = record_list_load(d, *p, &l, e);

		if (r < 0)
			return r;
		for (size_t i = 0; i < l.n; i++) {
			if (!streq_null(l.items[i]->image_id, id))
				continue;
			err_set(e, EBUSY, "container %s is using it", l.items[i]->name);
			return 1;
		}
	}
	return 0;
}

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
	r = store_remove(store, image, false, image_in_use, &ctx->dirs, &removed, e);
	if (r == -ENOENT)
		progress_event(p, id, PROGRESS_WARNING, "No resource found to remove", NULL);
	else if (r == -EBUSY)
		progress_event(p, id, PROGRESS_WARNING, "Resource is still in use", NULL);
	else if (r == 0)
		progress_event(p, id, PROGRESS_DONE, "Removed", NULL);
	return r == -ENOENT || r == -EBUSY ? 0 : r;
}

int remove_service_images(struct context *ctx, char *const *services, bool local, struct err *e)
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
