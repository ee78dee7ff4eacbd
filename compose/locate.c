/* compose/locate.c: files, folders and variables; see locate.h.
 *
 * `.env` may say COMPOSE_FILE, and where the Compose file is says where `.env` is.
 * Docker Compose cuts the knot by reading `.env` twice: beside the first -f or in
 * the current directory, then, once the file is found, beside that.  What is
 * known already is never overwritten.
 */
#include "compose/locate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/path.h"
#include "base/strv.h"

static const char *const file_names[] = { "compose.yaml", "compose.yml", "docker-compose.yml",
					  "docker-compose.yaml" };
static const char *const override_names[] = { "compose.override.yml", "compose.override.yaml",
					      "docker-compose.override.yml",
					      "docker-compose.override.yaml" };

static const char *value(const struct located *loc, const char *name)
{
	const struct project_var *v = map_get(&loc->env, name);

	return v ? v->value : NULL;
}

static void read_environment(struct loader *l, const struct project_options *o, struct located *loc)
{
	STRV_FOREACH (s, o->environ) {
		const char *eq = strchr(*s, '=');
		_cleanup_(free_p) char *key = NULL;

		if (!eq || eq == *s)
			continue;
		key = xstrndup(*s, (size_t)(eq - *s));
		environment_put(l->a, &loc->env, key, eq + 1, "environment");
	}
	if (!map_has(&loc->env, "PWD"))
		environment_put(l->a, &loc->env, "PWD", loc->cwd, "the current directory");
}

/* The folder that relative things start from, as far as is known. */
static char *folder(const struct project_options *o, const struct located *loc)
{
	if (!is_empty(o->project_directory))
		return path_absolute(loc->cwd, o->project_directory);
	STRV_FOREACH (file, loc->files)
		if (!streq(*file, "-"))
			return path_dir(*file);
	return xstrdup(loc->cwd);
}

/* ---- env files --------------------------------------------------------------------------- */

static bool truth(const char *text, bool *v)
{
	static const char *const yes[] = { "1", "t", "T", "TRUE", "true", "True" };
	static const char *const no[] = { "0", "f", "F", "FALSE", "false", "False" };

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
		if (streq(text, yes[i]) || streq(text, no[i])) {
			*v = streq(text, yes[i]);
			return true;
		}
	return false;
}

static int default_env_file(struct loader *l, const struct project_options *o, struct located *loc,
			    char ***out)
{
	const char *disable = strv_env_get(o->environ, "COMPOSE_DISABLE_ENV_FILE");
	_cleanup_(free_p) char *dir = NULL, *path = NULL;
	struct stat st;
	bool off;

	if (disable) {
		if (!truth(disable, &off))
			return diag_err(l->diag, NULL, EINVAL,
					"COMPOSE_DISABLE_ENV_FILE: \"%s\" is no boolean", disable);
		if (off)
			return 0;
	}
	dir = folder(o, loc);
	path = path_join(dir, ".env");
	if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
		strv_add(out, path);
	return 0;
}

static int read_env_files(struct loader *l, const struct project_options *o, struct located *loc)
{
	const char *list = strv_env_get(o->environ, "COMPOSE_ENV_FILES");
	_cleanup_(strv_freep) char **given = NULL, **files = NULL;
	int r = 0;

	given = o->env_files && *o->env_files ? strv_copy(o->env_files)
					      : strv_split(list ? list : "", ',', true);
	STRV_FOREACH (name, given)
		strv_add_take(&files, path_absolute(loc->cwd, *name));
	if (!files)
		r = default_env_file(l, o, loc, &files);
	if (r < 0)
		return r;
	STRV_FOREACH (file, files)
		if (!strv_has(loc->env_files, *file))
			strv_add(&loc->env_files, *file);
	return environment_read(l, &loc->env, files, l->diag);
}

/* ---- Compose files -------------------------------------------------------------------------- */

static int files_from_list(struct loader *l, struct located *loc, char *const *names)
{
	int r = 0;

	STRV_FOREACH (name, names) {
		char *path = streq(*name, "-") ? xstrdup("-") : path_absolute(loc->cwd, *name);

		if (!streq(path, "-") && access(path, F_OK) < 0)
			r = diag_err(l->diag, NULL, errno, "stat %s: %s", path,
				     errno == ENOENT ? "no such file or directory"
						     : strerror(errno));
		strv_add_take(&loc->files, path);
	}
	return r;
}

/* The first of @names in @dir; a warning when there are several. */
static char *pick(struct loader *l, const char *dir, const char *const *names, size_t n,
		  const char *what)
{
	_cleanup_(strv_freep) char **found = NULL;
	_cleanup_(free_p) char *list = NULL;

	for (size_t i = 0; i < n; i++) {
		char *path = path_join(dir, names[i]);

		if (access(path, F_OK) == 0)
			strv_add(&found, path);
		free(path);
	}
	if (strv_len(found) > 1) {
		list = strv_join(found, ", ");
		diag_warn(l->diag, NULL, "Found multiple %s files with supported names: %s", what,
			  list);
		diag_warn(l->diag, NULL, "Using %s", found[0]);
	}
	return found ? xstrdup(found[0]) : NULL;
}

static void search(struct loader *l, const struct project_options *o, struct located *loc)
{
	_cleanup_(free_p) char *dir = folder(o, loc);

	for (;;) {
		char *file = pick(l, dir, file_names, ARRAY_SIZE(file_names), "config"), *parent;

		if (file) {
			strv_add_take(&loc->files, file);
			file = pick(l, dir, override_names, ARRAY_SIZE(override_names), "override");
			if (file)
				strv_add_take(&loc->files, file);
			return;
		}
		if (streq(dir, "/"))
			return;
		parent = path_dir(dir);
		free(dir);
		dir = parent;
	}
}

static int find_files(struct loader *l, const struct project_options *o, struct located *loc)
{
	const char *list = value(loc, "COMPOSE_FILE"), *sep = value(loc, "COMPOSE_PATH_SEPARATOR");
	_cleanup_(strv_freep) char **names = NULL;
	const char *p;
	size_t n;

	if (loc->files)
		return 0;
	if (!list) {
		search(l, o, loc);
		return 0;
	}
	sep = is_empty(sep) ? ":" : sep;
	n = strlen(sep);
	for (; (p = strstr(list, sep)); list = p + n)
		strv_add_take(&names, xstrndup(list, (size_t)(p - list)));
	strv_add(&names, list);
	return files_from_list(l, loc, names);
}

/* ---- profiles ----------------------------------------------------------------------------------
 */

static void find_profiles(const struct project_options *o, struct located *loc)
{
	const char *list = value(loc, "COMPOSE_PROFILES");
	_cleanup_(strv_freep) char **names = NULL;

	if (o->profiles && *o->profiles) {
		loc->profiles = strv_copy(o->profiles);
		return;
	}
	names = strv_split(list ? list : "", ',', true);
	STRV_FOREACH (name, names) {
		const char *start = *name + strspn(*name, " \t");
		size_t len = strlen(start);

		while (len && (start[len - 1] == ' ' || start[len - 1] == '\t'))
			len--;
		if (len)
			strv_add_take(&loc->profiles, xstrndup(start, len));
	}
}

/* Where relative paths start.  That the current directory was deleted matters only to
 * who starts from it: not where every file is named from the root. */
static char *start(const struct project_options *o)
{
	char *cwd = o->cwd ? xstrdup(o->cwd) : path_cwd();

	if (cwd || !o->files || !o->files[0])
		return cwd;
	STRV_FOREACH (name, o->files)
		if (**name != '/')
			return NULL;
	return xstrdup("/");
}

int locate(struct loader *l, const struct project_options *o, struct located *loc)
{
	int r;

	*loc = (struct located){ 0 };
	loc->cwd = start(o);
	if (!loc->cwd)
		return diag_err(l->diag, NULL, ENOENT, "the current directory was deleted");
	l->cwd = loc->cwd;
	read_environment(l, o, loc);
	l->home = value(loc, "HOME");
	STRV_FOREACH (name, o->files)
		strv_add_take(&loc->files,
			      streq(*name, "-") ? xstrdup("-") : path_absolute(loc->cwd, *name));
	r = read_env_files(l, o, loc);
	if (r == 0)
		r = find_files(l, o, loc);
	if (r == 0)
		r = read_env_files(l, o, loc);
	find_profiles(o, loc);
	loc->working_dir = folder(o, loc);
	return r;
}

void located_done(struct located *loc)
{
	free(loc->cwd);
	free(loc->working_dir);
	strv_free(loc->files);
	strv_free(loc->env_files);
	strv_free(loc->profiles);
	map_done(&loc->env);
}
