/* engine/container/cgroup.c: see cgroup.h.
 *
 * Finding the hierarchies, making, opening, entering and removing directories is the
 * same on v1 and v2 and lives here; what is written into which file is in cgroup_v1.c and
 * cgroup_v2.c behind struct cgroup_ops.
 *
 * Our parent directory ("comp") is made on demand and removed by whoever removes the last
 * child.  Two processes may do that at once, so making a child tries again when
 * the parent has just gone.
 */
#include "engine/container/cgroup.h"

#include <ctype.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "engine/container/cgroup_impl.h"

#define MOUNTINFO_MAX (8u << 20)
#define CREATE_TRIES  16
#define DESTROY_WAIT  (50 * NSEC_PER_MSEC)
#define SWEEP_WAIT    (2 * NSEC_PER_SEC)
#define DEPTH_MAX     16 /* of cgroups the container made in its own */

/* ---- the machine -------------------------------------------------------------------- */
static unsigned int controllers_of(const char *options)
{
	static const struct {
		const char *name;
		unsigned int bit;
	} known[] = {
		{ "memory", CTL_MEMORY },   { "cpu", CTL_CPU },         { "pids", CTL_PIDS },
		{ "devices", CTL_DEVICES }, { "freezer", CTL_FREEZER }, { "cpuset", CTL_CPUSET },
		{ "blkio", CTL_BLKIO },     { "cpuacct", CTL_CPUACCT },
	};
	_cleanup_(strv_freep) char **words = strv_split(options, ',', true);
	unsigned int bits = 0;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strv_has(words, known[i].name))
			bits |= known[i].bit;
	return bits;
}

static void add_hierarchy(struct cgroup_host *h, const char *mount, unsigned int controllers)
{
	const char *slash = strrchr(mount, '/');

	for (size_t i = 0; i < h->n; i++)
		if (h->h[i].controllers & controllers)
			return; /* mounted a second time elsewhere */
	if (h->n == HIERARCHIES_MAX)
		return;
	h->h[h->n++] = (struct hierarchy){ .mount = xstrdup(mount),
					   .name = xstrdup(slash ? slash + 1 : mount),
					   .controllers = controllers };
}

/* One line of /proc/self/mountinfo, proc_pid_mountinfo(5): fields up to a lone "-", then type,
 * source and the options of the file system.  @v2: where cgroup2 is mounted. */
static void read_mount(struct cgroup_host *h, const char *line, char **v2)
{
	_cleanup_(strv_freep) char **f = strv_split(line, ' ', true);
	size_t n = strv_len(f), dash = 5;

	while (dash < n && !streq(f[dash], "-"))
		dash++;
	if (dash + 3 >= n || strchr(f[4], '\\'))
		return; /* a mount point with an escaped space is not where systems mount these */
	if (streq(f[dash + 1], "cgroup") && controllers_of(f[dash + 3]))
		add_hierarchy(h, f[4], controllers_of(f[dash + 3]));
	else if (streq(f[dash + 1], "cgroup2") && !*v2)
		*v2 = xstrdup(f[4]);
}

int cgroup_host_new(const char *parent, struct cgroup_host **out, struct err *e)
{
	_cleanup_(cgroup_host_freep) struct cgroup_host *h = new0(struct cgroup_host);
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(strv_freep) char **lines = NULL;
	_cleanup_(free_p) char *v2 = NULL;
	int r = file_read(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &b, e);

	if (r < 0)
		return r;
	if (!parent)
		parent = getenv("COMP_CGROUP");
	h->parent = xstrdup(is_empty(parent) ? "comp" : parent);
	lines = strv_split(buf_str(&b), '\n', true);
	STRV_FOREACH (line, lines)
		read_mount(h, *line, &v2);
	/* Hybrid: whatever v1 has, v2 has not. */
	h->unified = h->n == 0 && v2;
	if (h->unified)
		h->h[h->n++] = (struct hierarchy){ .mount = TAKE_PTR(v2),
						   .name = xstrdup(""),
						   .controllers = CTL_MEMORY | CTL_CPU | CTL_PIDS |
								  CTL_DEVICES | CTL_FREEZER |
								  CTL_CPUSET | CTL_BLKIO |
								  CTL_CPUACCT };
	if (h->n == 0)
		return err_set(e, ENOTSUP, "no cgroup hierarchy is mounted below /sys/fs/cgroup");
	*out = TAKE_PTR(h);
	return 0;
}

void cgroup_host_free(struct cgroup_host *h)
{
	if (!h)
		return;
	for (size_t i = 0; i < h->n; i++) {
		free(h->h[i].mount);
		free(h->h[i].name);
	}
	free(h->parent);
	free(h);
}

bool cgroup_host_is_unified(const struct cgroup_host *h)
{
	return h->unified;
}

/* ---- files ------------------------------------------------------------------------------ */
int cgroup_read_number(int dirfd, const char *file, uint64_t *out, struct err *e)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = file_read(dirfd, file, 64, &b, e);

	if (r < 0)
		return r;
	b.data[strcspn(b.data, "\n")] = '\0';
	if (streq(b.data, "max")) {
		*out = UINT64_MAX;
		return 0;
	}
	if (!parse_u64(b.data, out))
		return err_set(e, EBADMSG, "%s holds no number", file);
	if (*out >= INT64_MAX - 65535)
		*out = UINT64_MAX;
	return 0;
}

int cgroup_read_key(int dirfd, const char *file, const char *key, uint64_t *out, struct err *e)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(strv_freep) char **lines = NULL;
	int r = file_read(dirfd, file, 65536, &b, e);

	if (r < 0)
		return r;
	lines = strv_split(buf_str(&b), '\n', true);
	STRV_FOREACH (line, lines) {
		const char *rest = skip_prefix(*line, key);

		if (rest && *rest == ' ')
			return parse_u64(rest + 1, out)
				       ? 0
				       : err_set(e, EBADMSG, "%s: bad %s", file, key);
	}
	return err_set(e, ENOENT, "%s has no %s", file, key);
}

int cgroup_write(int dirfd, const char *file, const char *key, struct err *e, const char *fmt, ...)
{
	_cleanup_(free_p) char *text = NULL;
	va_list ap;
	int r;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	r = file_poke(dirfd, file, text, e);
	if (r == -ENOENT)
		return err_set(e, ENOTSUP, "%s: the kernel offers no cgroup controller for it",
			       key);
	return r < 0 ? err_wrap(e, r, "%s", key) : 0;
}

bool cgroup_quota(const struct resources_spec *r, int64_t *quota, int64_t *period)
{
	*period = r->cpu_period > 0 ? r->cpu_period : 100000;
	*quota = r->cpu_quota;
	if (r->nano_cpus > 0) {
		*period = 100000;
		*quota = MAX(r->nano_cpus / 10000, (int64_t)1000); /* 1 ms is the least */
	}
	return *quota > 0;
}

int cgroup_fd(const struct cgroup *cg, unsigned int c)
{
	for (size_t i = 0; i < cg->n; i++)
		if (cg->dirs[i].controllers & c)
			return cg->dirs[i].fd;
	return -EBADF;
}

/* ---- making and finding -------------------------------------------------------------------- */
static char *parent_path(const struct cgroup_host *h, const struct hierarchy *hier,
			 const char *cgroup_parent)
{
	const char *below = is_empty(cgroup_parent) ? h->parent : cgroup_parent;

	while (*below == '/')
		below++;
	return xasprintf("%s/%s", hier->mount, below);
}

static int check_names(const char *project, const char *id, const char *cgroup_parent,
		       struct err *e)
{
	if (is_empty(project) || is_empty(id) || strchr(project, '/') || strchr(id, '/') ||
	    project[0] == '.')
		return err_set(e, EINVAL, "\"%s.%s\" cannot name a cgroup", project ? project : "",
			       id ? id : "");
	if (cgroup_parent && (strstr(cgroup_parent, "..") || strlen(cgroup_parent) > 1024))
		return err_set(e, EINVAL, "cgroup_parent \"%s\" is not a plain path",
			       cgroup_parent);
	return 0;
}

/* Every directory of @path below the hierarchy's mount, with what each needs to pass on. */
static int make_parents(const struct cgroup_host *h, const struct hierarchy *hier, char *path,
			struct err *e)
{
	size_t root = strlen(hier->mount);

	for (char *slash = path + root; slash; slash = strchr(slash + 1, '/')) {
		char *end = strchr(slash + 1, '/');
		int r = 0;

		if (h->unified) {
			*slash = '\0';
			r = cgroup_v2_delegate(path, e);
			*slash = '/';
		}
		if (end)
			*end = '\0';
		if (r == 0 && mkdir(path, 0755) == 0) {
			if (!h->unified && hier->controllers & CTL_CPUSET) {
				*slash = '\0';
				_cleanup_(free_p) char *above = xstrdup(path);
				*slash = '/';
				r = cgroup_v1_init_cpuset(above, path, e);
			}
		} else if (r == 0 && errno != EEXIST) {
			r = err_errno(e, errno, "create cgroup %s", path);
		}
		if (end)
			*end = '/';
		if (r < 0)
			return r;
	}
	return h->unified ? cgroup_v2_delegate(path, e) : 0;
}

/* The directory itself, fresh: limits and device programs of a crashed predecessor
 * must not stay. */
static int make_child(const struct cgroup_host *h, const struct hierarchy *hier, char *parent,
		      const char *path, struct err *e)
{
	int r;

	for (int i = 0; i < CREATE_TRIES; i++) {
		if (mkdir(path, 0755) == 0)
			return !h->unified && hier->controllers & CTL_CPUSET
				       ? cgroup_v1_init_cpuset(parent, path, e)
				       : 0;
		if (errno == EEXIST) {
			if (rmdir(path) < 0 && errno != ENOENT)
				return err_errno(e, errno == EBUSY ? EBUSY : errno,
						 "cgroup %s is still in use", path);
			continue;
		}
		if (errno != ENOENT)
			return err_errno(e, errno, "create cgroup %s", path);
		r = make_parents(h, hier, parent, e);
		if (r < 0 && r != -ENOENT)
			return r;
	}
	return err_set(e, EAGAIN, "create cgroup %s: its parent keeps vanishing", path);
}

static int add_dir(struct cgroup *cg, const struct hierarchy *hier, const char *path)
{
	struct cgroup_dir *d = &cg->dirs[cg->n];
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	*d = (struct cgroup_dir){ .fd = fd,
				  .path = xstrdup(path),
				  .name = xstrdup(hier->name),
				  .controllers = hier->controllers };
	cg->n++;
	return 0;
}

static struct cgroup *new_cgroup(const struct cgroup_host *h)
{
	struct cgroup *cg = new0(struct cgroup);

	cg->ops = h->unified ? &cgroup_v2_ops : &cgroup_v1_ops;
	return cg;
}

static int make_dirs(const struct cgroup_host *h, const struct container_spec *s, struct cgroup *cg,
		     struct err *e)
{
	unsigned int want = CTL_MEMORY | CTL_CPU | CTL_PIDS | CTL_DEVICES | CTL_FREEZER;

	if (!is_empty(s->resources.cpuset))
		want |= CTL_CPUSET;
	for (size_t i = 0; i < h->n; i++) {
		_cleanup_(free_p) char *parent = parent_path(h, &h->h[i], s->cgroup_parent);
		_cleanup_(free_p) char *path = xasprintf("%s/%s.%s", parent, s->project, s->id);
		int r;

		if (!(h->h[i].controllers & want))
			continue;
		r = make_child(h, &h->h[i], parent, path, e);
		if (r < 0)
			return r;
		r = add_dir(cg, &h->h[i], path);
		if (r < 0)
			return err_errno(e, -r, "open cgroup %s", path);
	}
	return 0;
}

int cgroup_create(const struct cgroup_host *h, const struct container_spec *s, struct cgroup **out,
		  struct err *e)
{
	_cleanup_(cgroup_freep) struct cgroup *cg = new_cgroup(h);
	_cleanup_(device_list_done) struct device_list devices = { 0 };
	int r = check_names(s->project, s->id, s->cgroup_parent, e);

	if (r == 0)
		r = devices_from_spec(s, &devices, e);
	if (r < 0)
		return r;
	r = make_dirs(h, s, cg, e);
	if (r == 0)
		r = cg->ops->limits(cg, &s->resources, false, e);
	if (r == 0)
		r = cg->ops->devices(cg, &devices, e);
	if (r < 0) {
		(void)cgroup_destroy(h, cg, NULL); /* the first error is the one to show */
		return r;
	}
	*out = TAKE_PTR(cg);
	return 0;
}

int cgroup_open(const struct cgroup_host *h, const char *project, const char *id,
		const char *cgroup_parent, struct cgroup **out, struct err *e)
{
	_cleanup_(cgroup_freep) struct cgroup *cg = new_cgroup(h);
	int r = check_names(project, id, cgroup_parent, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < h->n; i++) {
		_cleanup_(free_p) char *parent = parent_path(h, &h->h[i], cgroup_parent);
		_cleanup_(free_p) char *path = xasprintf("%s/%s.%s", parent, project, id);

		r = add_dir(cg, &h->h[i], path);
		if (r < 0 && r != -ENOENT)
			return err_errno(e, -r, "open cgroup %s", path);
	}
	if (cg->n == 0)
		return err_set(e, ENOENT, "no cgroup %s.%s", project, id);
	*out = TAKE_PTR(cg);
	return 0;
}

void cgroup_free(struct cgroup *cg)
{
	if (!cg)
		return;
	for (size_t i = 0; i < cg->n; i++) {
		fd_close(cg->dirs[i].fd);
		free(cg->dirs[i].path);
		free(cg->dirs[i].name);
	}
	free(cg);
}

/* ---- using ------------------------------------------------------------------------------------
 */
/* On v1 a single-threaded process that writes 0 to `tasks` moves itself in 40 µs; through
 * cgroup.procs the kernel first waits for an RCU grace period, 15 ms and more,
 * to keep other threads from forking meanwhile. */
int cgroup_enter(const struct cgroup *cg, struct err *e)
{
	const char *file = cg->ops == &cgroup_v1_ops ? "tasks" : "cgroup.procs";

	for (size_t i = 0; i < cg->n; i++) {
		int r = file_poke(cg->dirs[i].fd, file, "0", e);

		if (r < 0)
			return err_wrap(e, r, "enter cgroup %s", cg->dirs[i].path);
	}
	return 0;
}

int cgroup_clone_fd(const struct cgroup *cg)
{
	return cg->ops == &cgroup_v2_ops ? cg->dirs[0].fd : -EBADF;
}

int cgroup_update(const struct cgroup *cg, const struct resources_spec *r, struct err *e)
{
	return cg->ops->limits(cg, r, true, e);
}

int cgroup_pids(const struct cgroup *cg, pid_t **pids, size_t *n, struct err *e)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(strv_freep) char **lines = NULL;
	int r = file_read(cg->dirs[0].fd, "cgroup.procs", MOUNTINFO_MAX, &b, e);

	if (r < 0)
		return r;
	lines = strv_split(buf_str(&b), '\n', true);
	*n = 0;
	*pids = xcalloc(strv_len(lines) + 1, sizeof(**pids));
	STRV_FOREACH (line, lines) {
		uint64_t pid;

		if (parse_u64(*line, &pid) && pid > 0 && pid <= INT32_MAX)
			(*pids)[(*n)++] = (pid_t)pid;
	}
	return 0;
}

int cgroup_signal_listed(int dirfd, int sig, size_t *n, struct err *e)
{
	const struct cgroup view = { .dirs = { { .fd = dirfd } }, .n = 1 };
	_cleanup_(free_p) pid_t *pids = NULL;
	int r = cgroup_pids(&view, &pids, n, e);

	for (size_t i = 0; r == 0 && i < *n; i++) {
		_cleanup_(fd_closep) int pidfd = pidfd_open(pids[i], 0);

		if (pidfd >= 0)
			(void)pidfd_send_signal(pidfd, sig, NULL, 0); /* gone is as good */
	}
	return r;
}

int cgroup_signal(const struct cgroup *cg, int sig, struct err *e)
{
	size_t n;

	return cgroup_signal_listed(cg->dirs[0].fd, sig, &n, e);
}

int cgroup_kill(const struct cgroup *cg, struct err *e)
{
	return cg->ops->kill(cg, e);
}

int cgroup_is_empty(const struct cgroup *cg)
{
	return cg->ops->is_empty(cg);
}

int cgroup_freeze(const struct cgroup *cg, bool frozen, struct err *e)
{
	return cg->ops->freeze(cg, frozen, e);
}

bool cgroup_is_frozen(const struct cgroup *cg)
{
	return cg->ops->is_frozen(cg);
}

int cgroup_stats(const struct cgroup *cg, struct cgroup_stats *st, struct err *e)
{
	*st = (struct cgroup_stats){ .memory_limit = UINT64_MAX, .pids_limit = UINT64_MAX };
	return cg->ops->stats(cg, st, e);
}

int cgroup_oom_kills(const struct cgroup *cg, uint64_t *n, struct err *e)
{
	return cg->ops->oom_kills(cg, n, e);
}

bool cgroup_hierarchy(const struct cgroup *cg, size_t i, const char **name, const char **path)
{
	if (i >= cg->n)
		return false;
	*name = cg->dirs[i].name;
	*path = cg->dirs[i].path;
	return true;
}

/* ---- removing
 * ------------------------------------------------------------------------------------ */
/* Cgroups hold no files of their own, only directories can be removed; a container
 * with a writable cgroup may have left some. */
static int remove_tree(const char *path, int depth)
{
	_cleanup_(dir_closep) DIR *dir = NULL;
	struct dirent *d;

	if (rmdir(path) == 0 || errno == ENOENT)
		return 0;
	if (errno != EBUSY || depth == DEPTH_MAX)
		return -errno;
	dir = opendir(path);
	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while ((d = readdir(dir))) {
		if (d->d_type == DT_DIR && d->d_name[0] != '.') {
			_cleanup_(free_p) char *below = xasprintf("%s/%s", path, d->d_name);
			int r = remove_tree(below, depth + 1);

			if (r < 0)
				return r;
		}
	}
	return rmdir(path) < 0 && errno != ENOENT ? -errno : 0;
}

static int remove_waiting(const char *path, uint64_t deadline)
{
	struct timespec pause = { .tv_nsec = 200000 };
	int r;

	while ((r = remove_tree(path, 0)) == -EBUSY && now_mono_ns() < deadline) {
		(void)nanosleep(&pause, NULL);
		pause.tv_nsec = MIN(pause.tv_nsec * 2, 5000000L);
	}
	return r;
}

int cgroup_destroy(const struct cgroup_host *h, const struct cgroup *cg, struct err *e)
{
	uint64_t deadline = now_mono_ns() + DESTROY_WAIT;
	int r = 0;

	for (size_t i = 0; i < cg->n; i++) {
		int r2 = remove_waiting(cg->dirs[i].path, deadline);
		struct err e2 = ERR_INIT;

		if (r2 < 0)
			err_keep_first(&r, e,
				       err_errno(&e2, -r2, "remove cgroup %s", cg->dirs[i].path),
				       &e2);
	}
	for (size_t i = 0; i < h->n; i++) {
		_cleanup_(free_p) char *parent = parent_path(h, &h->h[i], NULL);

		(void)rmdir(parent); /* not empty: others live there */
	}
	return r;
}

/* ---- sweeping
 * --------------------------------------------------------------------------------------- */
int cgroup_list(const struct cgroup_host *h, const char *project, char ***names, struct err *e)
{
	_cleanup_(free_p) char *prefix = project ? xasprintf("%s.", project) : xstrdup("");

	*names = NULL;
	for (size_t i = 0; i < h->n; i++) {
		_cleanup_(free_p) char *parent = parent_path(h, &h->h[i], NULL);
		_cleanup_(dir_closep) DIR *dir = opendir(parent);
		struct dirent *d;

		if (!dir && errno == ENOENT)
			continue;
		if (!dir) {
			strv_free(TAKE_PTR(*names));
			return err_errno(e, errno, "open %s", parent);
		}
		while ((d = readdir(dir)))
			if (d->d_type == DT_DIR && d->d_name[0] != '.' &&
			    skip_prefix(d->d_name, prefix) && strchr(d->d_name, '.') &&
			    !strv_has(*names, d->d_name))
				strv_add(names, d->d_name);
	}
	strv_sort(*names);
	return 0;
}

static int sweep_one(const struct cgroup_host *h, const struct cgroup *cg, struct err *e)
{
	uint64_t end = now_mono_ns() + SWEEP_WAIT;

	while (cgroup_is_empty(cg) == 0 && now_mono_ns() < end) {
		(void)cgroup_kill(cg, NULL); /* looked at again in the next round */
		(void)usleep(1000);
	}
	return cgroup_destroy(h, cg, e);
}

int cgroup_sweep(const struct cgroup_host *h, const char *project,
		 bool (*keep)(const char *id, void *data), void *data, struct err *e)
{
	_cleanup_(strv_freep) char **names = NULL;
	int r = cgroup_list(h, project, &names, e);

	STRV_FOREACH (name, names) {
		_cleanup_(cgroup_freep) struct cgroup *cg = NULL;
		char *dot = strrchr(*name, '.');
		struct err e2 = ERR_INIT;
		int r2;

		*dot = '\0';
		if (keep(dot + 1, data))
			continue;
		r2 = cgroup_open(h, *name, dot + 1, NULL, &cg, &e2);
		if (r2 == -ENOENT)
			continue;
		if (r2 == 0)
			r2 = sweep_one(h, cg, &e2);
		err_keep_first(&r, e, r2, &e2);
	}
	return r;
}
