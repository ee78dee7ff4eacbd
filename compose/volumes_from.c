/* compose/volumes_from.c: see volumes_from.h. */
#include "compose/volumes_from.h"

#include "base/util.h"

void volumes_from_parse(const char *text, struct volumes_from *out)
{
	const char *name = skip_prefix(text, "container:"), *mode;

	out->is_container = name != NULL;
	name = name ?: text;
	mode = strchrnul(name, ':');
	out->name = xstrndup(name, (size_t)(mode - name));
	out->read_only = streq(mode, ":ro");
}

void volumes_from_done(struct volumes_from *v)
{
	free(v->name);
	*v = (struct volumes_from){ 0 };
}

void volumes_from_take(struct container_spec *s, const struct container_spec *from, bool read_only)
{
	for (size_t i = 0; i < from->n_mounts; i++) {
		const struct mount_spec *m = &from->mounts[i];
		struct mount_spec *mine = spec_mount_at(s, m->target);

		if (m->type == MOUNT_TMPFS || (mine && !mine->anonymous))
			continue;
		if (!mine)
			mine = spec_add_mount(s, m->type, m->target);
		mine->type = m->type;
		str_set(&mine->source, m->source);
		str_set(&mine->volume, m->volume);
		str_set(&mine->target, m->target);
		str_set(&mine->subpath, m->subpath);
		str_set(&mine->propagation, m->propagation);
		mine->read_only = m->read_only || read_only;
		mine->create_source = m->create_source;
		mine->nocopy = true;     /* its owner's image fills it */
		mine->anonymous = false; /* its owner's to remove */
	}
}
