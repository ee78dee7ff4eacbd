/* cli/find.c: see find.h. */
#include "cli/find.h"

#include <errno.h>

#define ID_PREFIX_MIN 4

static const struct machine_container *of_service(const struct machine *m, const char *project,
						  const char *service, int64_t index)
{
	const struct machine_container *best = NULL;

	for (size_t i = 0; i < m->n_containers; i++) {
		const struct machine_container *c = &m->containers[i];

		if (!streq_null(c->rec->project, project) || c->rec->oneoff || c->rec->pre_start ||
		    !streq_null(c->rec->service, service) || (index > 0 && c->rec->number != index))
			continue;
		if (!best || (!record_is_active(best->rec) && record_is_active(c->rec)))
			best = c;
	}
	return best;
}

static int by_name_or_id(const struct machine *m, const char *name,
			 const struct machine_container **out, struct err *e)
{
	const struct machine_container *found = NULL;

	for (size_t i = 0; i < m->n_containers; i++) {
		const struct record *r = m->containers[i].rec;

		if (streq(r->name, name)) {
			*out = &m->containers[i];
			return 0;
		}
		if (strlen(name) < ID_PREFIX_MIN || !skip_prefix(r->id, name))
			continue;
		if (found)
			return err_set(e, EINVAL,
				       "several containers have an id that starts with %s", name);
		found = &m->containers[i];
	}
	*out = found;
	return found ? 0 : -ENOENT;
}

int find_container(struct context *ctx, const struct machine *m, const char *name, int64_t index,
		   const struct machine_container **out, struct err *e)
{
	struct err no_project = ERR_INIT;
	int r = ctx_load_project_or_name(ctx, &no_project);

	*out = r == 0 ? of_service(m, ctx->project_name, name, index) : NULL;
	if (*out)
		return 0;
	r = by_name_or_id(m, name, out, e);
	if (r != -ENOENT)
		return r;
	if (index > 0)
		return err_set(e, ENOENT, "service \"%s\" has no container #%lld", name,
			       (long long)index);
	err_set(e, ENOENT, "no such service or container: %s", name);
	return no_project.code ? err_hint(e, "%s", no_project.msg) : -ENOENT;
}
