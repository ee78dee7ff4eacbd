/* cli/machine.c: see machine.h. */
#include "cli/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/strv.h"
#include "cli/humanize.h"
#include "cli/rows.h"

/* ---- sizes ----------------------------------------------------------------------------- */

/* Blocks that files below take; a file with several names counts in parts. */
static uint64_t size_below(int dirfd, const char *name, dev_t dev)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_(dir_closep) DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	uint64_t sum = 0;

	if (!d) {
		fd_close(fd);
		return 0;
	}
	while ((entry = readdir(d))) {
		struct stat st;

		if (streq(entry->d_name, ".") || streq(entry->d_name, "..") ||
		    fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_dev != dev)
			continue;
		if (S_ISDIR(st.st_mode))
			sum += size_below(fd, entry->d_name, dev);
		else
			sum += (uint64_t)st.st_blocks * 512 / (st.st_nlink ? st.st_nlink : 1);
	}
	return sum;
}

uint64_t disk_size(const char *path)
{
	struct stat st;

	return lstat(path, &st) < 0 ? 0 : size_below(AT_FDCWD, path, st.st_dev);
}

uint64_t machine_container_size(struct context *ctx, const struct record *r)
{
	_cleanup_(free_p) char *dir = dirs_container(&ctx->dirs, r->project, r->id);

	return disk_size(dir);
}

/* ---- what there is ------------------------------------------------------------------------ */

static void note(struct map *m, const char *key, const char *container)
{
	char **names, **more;

	if (!key)
		return;
	names = map_get(m, key);
	if (strv_has(names, container))
		return;
	more = strv_copy(names);
	strv_add(&more, container);
	map_put(m, key, more);
}

static void add_container(struct context *ctx, struct machine *m, struct record *r)
{
	struct machine_container *c;

	(void)record_reconcile(r, &ctx->dirs); /* changed or not */
	m->containers = xreallocarray(m->containers, m->n_containers + 1, sizeof(*m->containers));
	c = &m->containers[m->n_containers++];
	*c = (struct machine_container){ .rec = r, .spec = record_spec(&ctx->dirs, r) };
	note(&m->images, r->image_id, r->name);
	for (size_t i = 0; i < r->n_networks; i++)
		note(&m->attached, r->networks[i].network, r->name);
	for (size_t i = 0; c->spec && i < c->spec->n_networks; i++)
		note(&m->attached, c->spec->networks[i].network, r->name);
	for (size_t i = 0; c->spec && i < c->spec->n_mounts; i++)
		note(&m->mounted, c->spec->mounts[i].volume, r->name);
}

static int load_containers(struct context *ctx, struct machine *m, struct err *e)
{
	size_t n;
	int r = 0;

	m->projects = dirs_list_projects(&ctx->dirs);
	n = strv_len(m->projects);
	m->records = xcalloc(n + 1, sizeof(*m->records));
	for (size_t i = 0; r == 0 && i < n; i++) {
		r = record_list_load(&ctx->dirs, m->projects[i], &m->records[i], e);
		STRV_FOREACH (p, m->records[i].problems)
			ctx_warn(ctx, "%s", *p);
		for (size_t k = 0; r == 0 && k < m->records[i].n; k++)
			add_container(ctx, m, m->records[i].items[k]);
	}
	return r;
}

static void load_networks(struct context *ctx, struct machine *m)
{
	_cleanup_(free_p) char *root = dirs_networks(&ctx->dirs);
	_cleanup_(dir_closep) DIR *d = opendir(root);
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		_cleanup_(free_p) char *path = xasprintf("%s/%s/network.json", root, entry->d_name);

		if (entry->d_name[0] != '.' && access(path, F_OK) == 0)
			strv_add(&m->networks, entry->d_name);
	}
	if (m->networks)
		strv_sort(m->networks);
}

int machine_load(struct context *ctx, struct machine *out, struct err *e)
{
	_cleanup_(free_p) char *volumes = NULL;
	int r = ctx_dirs(ctx, e);

	*out = (struct machine){ 0 };
	if (r < 0)
		return r;
	out->images = MAP_INIT_FREE(strv_free);
	out->mounted = MAP_INIT_FREE(strv_free);
	out->attached = MAP_INIT_FREE(strv_free);
	volumes = dirs_volumes(&ctx->dirs);
	r = load_containers(ctx, out, e);
	if (r == 0)
		r = volume_list(volumes, &out->volumes, &out->n_volumes, e);
	load_networks(ctx, out);
	return r;
}

void machine_done(struct machine *m)
{
	for (size_t i = 0; i < m->n_containers; i++)
		spec_free(m->containers[i].spec);
	free(m->containers);
	for (size_t i = 0; m->records && m->projects && m->projects[i]; i++)
		record_list_done(&m->records[i]);
	free(m->records);
	strv_free(m->projects);
	strv_free(m->networks);
	volume_list_free(m->volumes, m->n_volumes);
	map_done(&m->images);
	map_done(&m->mounted);
	map_done(&m->attached);
	*m = (struct machine){ 0 };
}

int machine_uses_image(void *data, const char *id, struct err *e)
{
	const struct machine *m = data;
	char **names = map_get(&m->images, id);

	if (!names)
		return 0;
	err_set(e, EBUSY, "container %s is using it", names[0]);
	return 1;
}

int machine_runs_image(void *data, const char *id, struct err *e)
{
	const struct machine *m = data;

	for (size_t i = 0; i < m->n_containers; i++)
		if (streq_null(m->containers[i].rec->image_id, id) &&
		    record_is_active(m->containers[i].rec))
			return 1;
	return 0;
}

/* ---- filters ------------------------------------------------------------------------------- */

void prune_filter_done(struct prune_filter *f)
{
	strv_free(f->labels);
	strv_free(f->not_labels);
	*f = (struct prune_filter){ 0 };
}

int prune_filter_parse(char *const *texts, bool until, struct prune_filter *out, struct err *e)
{
	*out = (struct prune_filter){ 0 };
	STRV_FOREACH (t, texts) {
		const char *value;

		if ((value = skip_prefix(*t, "label!="))) {
			strv_add(&out->not_labels, value);
		} else if ((value = skip_prefix(*t, "label="))) {
			strv_add(&out->labels, value);
		} else if (until && (value = skip_prefix(*t, "until="))) {
			int r = time_point_parse(value, now_real_ns(), &out->until, e);

			if (r < 0)
				return err_wrap(e, r, "invalid filter '%s'", *t);
		} else {
			return err_set(e, EINVAL, "invalid filter '%s'", *t);
		}
	}
	return 0;
}

static bool has_label(char *const *labels, const char *want)
{
	return strchr(want, '=') ? strv_has(labels, want) : strv_env_get(labels, want) != NULL;
}

bool prune_filter_passes(const struct prune_filter *f, uint64_t created, char *const *labels)
{
	if (f->until && created >= f->until)
		return false;
	STRV_FOREACH (l, f->labels)
		if (!has_label(labels, *l))
			return false;
	STRV_FOREACH (l, f->not_labels)
		if (has_label(labels, *l))
			return false;
	return true;
}

void print_reclaimed(struct context *ctx, uint64_t bytes)
{
	char size[HUMAN_MAX];

	fprintf(ctx->out, "Total reclaimed space: %s\n", human_size(bytes, size));
}
