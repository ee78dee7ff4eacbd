/* compose/translate_mounts.c: volumes, tmpfs, secrets and configs.
 *
 * A volume the image declares becomes an anonymous one where the service puts
 * nothing at that path.
 */
#include "compose/translate_internal.h"

#include <fcntl.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/strv.h"
#include "compose/values.h"
#include "compose/volumes_from.h"
#include "engine/state/names.h"

static void set_volume_source(const struct job *j, struct mount_spec *m, const char *name)
{
	m->volume = xstrdup(name);
	m->source = xasprintf("%s/volumes/%s/_data", j->dirs->root, name);
}

static int add_volume(struct job *j, const struct node *v)
{
	const char *type = node_get_str(v, "type"), *source = node_get_str(v, "source");
	const char *target = node_get_str(v, "target");
	const struct node *bind = node_get(v, "bind"), *volume = node_get(v, "volume");
	const struct node *tmpfs = node_get(v, "tmpfs");
	struct mount_spec *m;

	if (!target || !type)
		return diag_err(j->diag, v, EINVAL, "services.%s.volumes: a mount needs a target",
				j->name);
	if (streq(type, "bind")) {
		m = spec_add_mount(j->spec, MOUNT_BIND, target);
		m->source = xstrdup_null(source);
		m->create_source = node_get_bool(bind, "create_host_path", true);
		m->propagation = xstrdup_null(node_get_str(bind, "propagation"));
	} else if (streq(type, "volume")) {
		m = spec_add_mount(j->spec, MOUNT_VOLUME, target);
		m->anonymous = is_empty(source);
		if (!m->anonymous)
			set_volume_source(j, m, translate_full_name(j->p, "volumes", source));
		m->nocopy = node_get_bool(volume, "nocopy", false);
		m->subpath = xstrdup_null(node_get_str(volume, "subpath"));
	} else if (streq(type, "tmpfs")) {
		m = spec_add_mount(j->spec, MOUNT_TMPFS, target);
		m->tmpfs_size = (uint64_t)MAX(value_bytes(tmpfs, "size", 0), (int64_t)0);
		m->tmpfs_mode = value_mode(tmpfs, "mode", 0);
	} else {
		return diag_err(j->diag, v, ENOTSUP,
				"services.%s.volumes: mounts of type \"%s\" are not supported",
				j->name, type);
	}
	m->read_only = node_get_bool(v, "read_only", false);
	return 0;
}

/* "path[:options]" */
static void add_tmpfs(struct job *j, const char *text)
{
	_cleanup_(free_p) char *target = xstrndup(text, strcspn(text, ":"));
	const char *options = strchr(text, ':');

	spec_add_mount(j->spec, MOUNT_TMPFS, target)->tmpfs_options = options ? xstrdup(options + 1)
									      : NULL;
}

/* volumes_from: container:NAME; those of services are the plan's affair. */
static int take_from_containers(struct job *j)
{
	const struct node *list = node_get(j->service, "volumes_from");

	for (size_t i = 0; node_is(list, NODE_SEQ) && i < list->n; i++) {
		_cleanup_(volumes_from_done) struct volumes_from v = { 0 };
		_cleanup_(spec_freep) struct container_spec *from = NULL;
		_cleanup_(free_p) char *project = NULL, *id = NULL;
		struct err e = ERR_INIT;

		volumes_from_parse(list->items[i]->text, &v);
		if (!v.is_container)
			continue;
		if (names_find(j->dirs, v.name, &project, &id, &e) < 0)
			return diag_err(j->diag, list->items[i], ENOENT,
					"services.%s.volumes_from: %s", j->name, e.msg);
		from = translate_load(j->dirs, project, id);
		if (!from)
			return diag_err(j->diag, list->items[i], EBADMSG,
					"services.%s.volumes_from: the description of container "
					"%s is damaged",
					j->name, v.name);
		volumes_from_take(j->spec, from, v.read_only);
	}
	return 0;
}

int translate_mounts(struct job *j)
{
	const struct node *volumes = node_get(j->service, "volumes");
	_cleanup_(strv_freep) char **tmpfs = translate_strings_of(j, "tmpfs");
	int r;

	for (size_t i = 0; node_is(volumes, NODE_SEQ) && i < volumes->n; i++) {
		r = add_volume(j, volumes->items[i]);
		if (r < 0)
			return r;
	}
	STRV_FOREACH (t, tmpfs)
		add_tmpfs(j, *t);
	STRV_FOREACH (v, j->image->volumes)
		if (!spec_mount_at(j->spec, *v))
			spec_add_mount(j->spec, MOUNT_VOLUME, *v)->anonymous = true;
	r = take_from_containers(j);
	j->spec->shm_size = (uint64_t)MAX(value_bytes(j->service, "shm_size", 0), (int64_t)0);
	j->spec->read_only = node_get_bool(j->service, "read_only", false);
	return r;
}

/* ---- secrets and configs ---- */
static void add_file(struct job *j, const struct node *grant, const char *target,
		     const char *content, size_t n)
{
	struct container_spec *s = j->spec;
	struct file_spec *f;

	s->files = xreallocarray(s->files, s->n_files + 1, sizeof(*s->files));
	f = &s->files[s->n_files++];
	*f = (struct file_spec){ .target = xstrdup(target),
				 .content = xmemdup(content, n + 1),
				 .size = n,
				 .uid = (uint32_t)value_int(grant, "uid", 0),
				 .gid = (uint32_t)value_int(grant, "gid", 0),
				 .mode = value_mode(grant, "mode", 0444) };
}

/* A file without an owner or mode of its own is bind mounted, so that changes
 * to it show, as Docker Compose does it; else comp writes a copy that has them. */
static int grant_file(struct job *j, const struct node *grant, const char *file, const char *target)
{
	_cleanup_(buf_done) struct buf content = BUF_INIT;
	struct err e = ERR_INIT;
	struct mount_spec *m;

	if (!node_get(grant, "uid") && !node_get(grant, "gid") && !node_get(grant, "mode")) {
		m = spec_add_mount(j->spec, MOUNT_BIND, target);
		m->source = xstrdup(file);
		m->read_only = true;
		return 0;
	}
	if (file_read_follow(AT_FDCWD, file, TRANSLATE_FILE_MAX, &content, &e) < 0)
		return diag_err(j->diag, grant, e.code, "services.%s: %s", j->name, e.msg);
	add_file(j, grant, target, buf_str(&content), content.len);
	return 0;
}

static int add_grant(struct job *j, const char *section, const char *folder,
		     const struct node *grant)
{
	const char *source = node_get_str(grant, "source"), *target = node_get_str(grant, "target");
	const struct node *def = node_get(project_section(j->p, section), source ? source : "");
	const char *file = node_get_str(def, "file"), *content = node_get_str(def, "content");
	const char *variable = node_get_str(def, "environment");
	_cleanup_(free_p) char *path = path_join(folder, target ? target : source ? source : "");
	const struct project_var *var;

	if (node_get_bool(def, "external", false))
		return diag_err(j->diag, grant, ENOTSUP, "unsupported external %.*s %s",
				(int)strlen(section) - 1, section, source);
	if (file)
		return grant_file(j, grant, file, path);
	if (variable) {
		var = map_get(&j->p->environment, variable);
		if (!var)
			return diag_err(
				j->diag, grant, EINVAL,
				"environment variable \"%s\" required by %.*s \"%s\" is not set",
				variable, (int)strlen(section) - 1, section, source);
		content = var->value;
	}
	if (content)
		add_file(j, grant, path, content, strlen(content));
	return 0;
}

int translate_files(struct job *j)
{
	static const char *const kinds[][2] = { { "secrets", "/run/secrets" }, { "configs", "/" } };

	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		const struct node *grants = node_get(j->service, kinds[k][0]);

		for (size_t i = 0; node_is(grants, NODE_SEQ) && i < grants->n; i++) {
			int r = add_grant(j, kinds[k][0], kinds[k][1], grants->items[i]);

			if (r < 0)
				return r;
		}
	}
	return 0;
}
