/* engine/state/dirs.c: see dirs.h. */
#include "engine/state/dirs.h"

#include <dirent.h>
#include <fcntl.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/strv.h"

static char *from_env(const char *name, const char *fallback)
{
	const char *value = getenv(name);
	_cleanup_(free_p) char *cwd = NULL;

	if (is_empty(value))
		return xstrdup(fallback);
	cwd = path_cwd();
	return path_absolute(cwd ? cwd : "/", value);
}

static char *cgroup_name(const char *root)
{
	uint32_t h = 2166136261u; /* FNV-1a, 32 bits */

	if (streq(root, "/var/lib/comp"))
		return xstrdup("comp");
	for (const char *s = root; *s; s++)
		h = (h ^ (unsigned char)*s) * 16777619u;
	return xasprintf("comp-%08x", h);
}

int dirs_init(struct dirs *d, struct err *e)
{
	int r;

	d->root = from_env("COMP_ROOT", "/var/lib/comp");
	d->run = from_env("COMP_RUN", "/run/comp");
	d->cgroup = cgroup_name(d->root);
	r = mkdir_p(AT_FDCWD, d->root, 0700, e);
	if (r == 0)
		r = mkdir_p(AT_FDCWD, d->run, 0700, e);
	return r;
}

void dirs_done(struct dirs *d)
{
	free(d->root);
	free(d->run);
	free(d->cgroup);
	*d = (struct dirs){ 0 };
}

char *dirs_images(const struct dirs *d)
{
	return path_join(d->root, "images");
}

char *dirs_volumes(const struct dirs *d)
{
	return path_join(d->root, "volumes");
}

char *dirs_networks(const struct dirs *d)
{
	return path_join(d->root, "networks");
}

char *dirs_projects(const struct dirs *d)
{
	return path_join(d->root, "projects");
}

char *dirs_project(const struct dirs *d, const char *project)
{
	return xasprintf("%s/projects/%s", d->root, project);
}

char *dirs_containers(const struct dirs *d, const char *project)
{
	return xasprintf("%s/projects/%s/containers", d->root, project);
}

char *dirs_container(const struct dirs *d, const char *project, const char *id)
{
	return xasprintf("%s/projects/%s/containers/%s", d->root, project, id);
}

char *dirs_project_run(const struct dirs *d, const char *project)
{
	return xasprintf("%s/%s", d->run, project);
}

static void add_names(char ***names, const char *dir)
{
	_cleanup_(dir_closep) DIR *stream = opendir(dir);
	struct dirent *entry;

	while (stream && (entry = readdir(stream)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.' &&
		    !strv_has(*names, entry->d_name))
			strv_add(names, entry->d_name);
}

char **dirs_list_projects(const struct dirs *d)
{
	_cleanup_(free_p) char *projects = dirs_projects(d);
	char **names = xcalloc(1, sizeof(*names));

	add_names(&names, projects);
	add_names(&names, d->run);
	strv_sort(names);
	return names;
}
