/* cli/pick.c: see pick.h. */
#include "cli/pick.h"

#include <errno.h>

int pick_container(struct context *ctx, const char *service, int64_t index, struct record_list *l,
		   const struct record **out, struct err *e)
{
	char *services[] = { (char *)service, NULL };
	int r = ctx_load_project_or_name(ctx, e);

	if (r == 0)
		r = ctx_records(ctx, l, e);
	if (r == 0)
		r = ctx_check_services(ctx, services, l, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < l->n; i++) {
		const struct record *c = l->items[i];
		bool up = c->status == CONTAINER_RUNNING || c->status == CONTAINER_PAUSED;

		if (c->oneoff || !streq_null(c->service, service) ||
		    (index > 0 ? c->number != index : !up))
			continue;
		*out = c;
		return 0;
	}
	if (index > 0)
		return err_set(e, ENOENT, "service \"%s\" is not running container #%lld", service,
			       (long long)index);
	return err_set(e, ESRCH, "service \"%s\" is not running", service);
}
