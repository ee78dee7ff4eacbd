/* compose/volumes_from.c: see volumes_from.h. */
#include "compose/volumes_from.h"

#include "base/path.h"
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

static struct mount_spec *mount_at(const struct container_spec *s, const char *target)
{
	_cleanup_(free_p) char *clean = path_clean(target);

	for (size_t i = 0; i < s->n_mounts; i++) {
		_cleanup_(free_p) char *other = path_clean(s->mounts[i].target);

		if (streq(clean, other))
			return &s->mounts[i];
	}
	return NULL;
}

static struct mount_spec *new_mount(struct container_spec *s)
{
	s->mounts = xreallocarray(s->mounts, s->n_mounts + 1, sizeof(*s->mounts));
	s->mounts[s->n_mounts] = (struct mount_spec){ 0 };
	return &s->mounts[s->n_mounts++];
}

void volumes_from_take(struct container_spec *s, const struct container_spec *from,
		       bool read_only)
{
	for (size_t i = 0; i < from->n_mounts; i++) {
		const struct mount_spec *m = &from->mounts[i];
		struct mount_spec *mine = mount_at(s, m->target);

		if (m->type == MOUNT_TMPFS || (mine && !mine->anonymous))
			continue;
		if (!mine)
			mine = new_mount(s);
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
