/* engine/build/exec_run.c: RUN.
 *
 * The step becomes the spec of a container (the same sandbox as a service's), whose
 * upper directory is the layer when it has exited with 0.  What mounts needed as
 * mount points and nobody else wrote to is taken out of it again.
 */
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/strv.h"
#include "engine/build/history.h"
#include "engine/build/internal.h"
#include "engine/build/key.h"
#include "engine/build/place.h"

#define PIPES       "/dev/pipes/"
#define CACHE_TRIES 100

struct running {
	struct run *r;
	const struct instruction *i;
	struct container_spec *spec;
	char **argv;
	char **stubs; /* "first missing\ttarget" */
	int *locks;   /* of cache mounts */
	size_t n_locks;
	struct exec_source *sources; /* of bind mounts, one per mount */
	struct source_items *items;
};

/* ---- the command -------------------------------------------------------------------------- */

static bool is_whole_heredoc(const struct instruction *i)
{
	const char *text = i->words ? i->words[0] : NULL;

	return i->n_heredocs == 1 && text && skip_prefix(text, "<<") && !strpbrk(text, " \t");
}

/* One that is all there is to run: with "#!" a program, else what the shell runs.  Others
 * are put together again and left to the shell. */
static char *command_text(struct running *x)
{
	const struct heredoc *h = x->i->heredocs;
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	if (is_whole_heredoc(x->i))
		return skip_prefix(h->content, "#!") ? xasprintf(PIPES "%s", h->name)
						     : xstrdup(h->content);
	buf_adds(&b, x->i->words && x->i->words[0] ? x->i->words[0] : "");
	for (size_t n = 0; n < x->i->n_heredocs; n++)
		buf_printf(&b, "\n%s%s", h[n].content, h[n].name);
	return buf_take(&b);
}

static void set_argv(struct running *x)
{
	if (x->i->exec) {
		x->argv = strv_copy(x->i->words);
		return;
	}
	if (x->r->config.shell) {
		x->argv = strv_copy(x->r->config.shell);
	} else {
		strv_add(&x->argv, "/bin/sh");
		strv_add(&x->argv, "-c");
	}
	strv_add_take(&x->argv, command_text(x));
}

/* `process "/bin/sh -c false" did not complete …` */
static int exit_error(const struct running *x, int code, struct err *e)
{
	_cleanup_(free_p) char *line = strv_join(x->argv, " ");

	return err_set(e, EIO, "process \"%.600s\" did not complete successfully: exit code: %d",
		       line, code);
}

static int start_error(const struct running *x, int code, struct err *e)
{
	_cleanup_(free_p) char *line = strv_join(x->argv, " ");

	return err_wrap(e, code, "process \"%.300s\"", line);
}

/* ---- mounts -------------------------------------------------------------------------------- */

static char *target_of(const struct running *x, const struct run_mount *m)
{
	const char *cwd = is_empty(x->r->config.workdir) ? "/" : x->r->config.workdir;

	return path_absolute(cwd, m->target ?: "/");
}

static void add_file(struct running *x, const char *target, const void *content, size_t n,
		     const struct run_mount *m, uint32_t mode)
{
	struct container_spec *s = x->spec;
	struct file_spec *f;

	s->files = xreallocarray(s->files, s->n_files + 1, sizeof(*s->files));
	f = &s->files[s->n_files++];
	*f = (struct file_spec){ .target = xstrdup(target), .size = n };
	f->content = memcpy(xcalloc(1, n + 1), content, n);
	f->mode = m && m->mode >= 0 ? (uint32_t)m->mode : mode;
	f->uid = m && m->uid >= 0 ? (uint32_t)m->uid : 0;
	f->gid = m && m->gid >= 0 ? (uint32_t)m->gid : 0;
}

/* A copy of what a bind mount shows, since .dockerignore and layers have to be looked
 * through; the RUN may write to it, and nobody sees that. */
static int copy_source(struct running *x, const struct source *s, const struct source_item *it,
		       char **out, struct err *e)
{
	_cleanup_(free_p) char *dir = xasprintf("%s/%u", x->r->work, x->r->serial++);
	_cleanup_(fd_closep) int fd = -EBADF;
	struct place p = { .mode = -1, .owned = s->is_context };
	struct walk_filter filters[2];
	size_t n = source_filters(s, it, NULL, filters);
	int code;

	if (mkdir(dir, 0755) < 0)
		return err_errno(e, errno, "create %s", dir);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, errno, "open %s", dir);
	p.root = fd;
	code = place_tree(&p, S_ISDIR(it->spot.st.st_mode) ? "/" : "/file", it->spot.dirfd,
			  it->spot.name, "file", filters, n, e);
	if (code == 0)
		*out = S_ISDIR(it->spot.st.st_mode) ? TAKE_PTR(dir) : xasprintf("%s/file", dir);
	return code;
}

static int add_bind(struct running *x, size_t at, struct err *e)
{
	const struct run_mount *m = &x->i->mounts[at];
	_cleanup_(free_p) char *target = target_of(x, m), *source = NULL;
	struct mount_spec *spec;
	int code = copy_source(x, &x->sources[at].s, &x->items[at].items[0], &source, e);

	if (code < 0)
		return err_wrap(e, code, "mount %s", target);
	spec = spec_add_mount(x->spec, MOUNT_BIND, target);
	spec->source = TAKE_PTR(source);
	spec->read_only = m->readonly;
	return 0;
}

/* COMP_ROOT/build/mounts/<digest>[.n], with a lock file beside it. */
static int open_cache(struct running *x, const struct run_mount *m, const char *id, char **dir,
		      bool *fresh, struct err *e)
{
	_cleanup_(free_p) char *top = xasprintf("%s/build/mounts", x->r->b->o->dirs->root);
	char digest[DIGEST_MAX];
	int code = mkdir_p(AT_FDCWD, top, 0700, e);

	digest_of(id, strlen(id), digest);
	for (int n = 0; code == 0 && n < CACHE_TRIES; n++) {
		_cleanup_(free_p) char *name = n ? xasprintf("%s/%s.%d", top, digest_hex(digest), n)
						 : xasprintf("%s/%s", top, digest_hex(digest));
		_cleanup_(free_p) char *lock = xasprintf("%s.lock", name);
		int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		int op = m->sharing == CACHE_SHARED   ? LOCK_SH
			 : m->sharing == CACHE_LOCKED ? LOCK_EX
						      : LOCK_EX | LOCK_NB;

		if (fd < 0)
			return err_errno(e, errno, "open %s", lock);
		if (flock(fd, op) < 0) {
			code = errno == EWOULDBLOCK ? 0 : err_errno(e, errno, "lock %s", lock);
			fd_close(fd);
			continue;
		}
		x->locks = xreallocarray(x->locks, x->n_locks + 1, sizeof(int));
		x->locks[x->n_locks++] = fd;
		*fresh = mkdir(name, 0755) == 0;
		if (!*fresh && errno != EEXIST)
			return err_errno(e, errno, "create %s", name);
		*dir = TAKE_PTR(name);
		return 0;
	}
	return code < 0 ? code : err_set(e, EBUSY, "all cache mounts \"%s\" are in use", id);
}

static int fill_cache(struct running *x, size_t at, const char *dir, struct err *e)
{
	const struct run_mount *m = &x->i->mounts[at];
	_cleanup_(fd_closep) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct place p = { .mode = -1 };
	const struct source_item *it;
	struct walk_filter filters[2];

	if (fd < 0)
		return err_errno(e, errno, "open %s", dir);
	if (fchown(fd, m->uid >= 0 ? (uid_t)m->uid : 0, m->gid >= 0 ? (gid_t)m->gid : 0) < 0 ||
	    fchmod(fd, m->mode >= 0 ? (mode_t)m->mode : 0755) < 0)
		return err_errno(e, errno, "prepare %s", dir);
	if (!m->from || !x->items[at].n)
		return 0;
	it = &x->items[at].items[0];
	p.root = fd;
	return place_tree(&p, "/", it->spot.dirfd, it->spot.name, "file", filters,
			  source_filters(&x->sources[at].s, it, NULL, filters), e);
}

static int add_cache(struct running *x, size_t at, struct err *e)
{
	const struct run_mount *m = &x->i->mounts[at];
	_cleanup_(free_p) char *target = target_of(x, m), *dir = NULL;
	struct mount_spec *spec;
	bool fresh = false;
	int code = open_cache(x, m, m->id ?: target, &dir, &fresh, e);

	if (code == 0 && fresh)
		code = fill_cache(x, at, dir, e);
	if (code < 0)
		return err_wrap(e, code, "mount %s", target);
	spec = spec_add_mount(x->spec, MOUNT_BIND, target);
	spec->source = TAKE_PTR(dir);
	spec->read_only = m->readonly;
	return 0;
}

static int add_secret(struct running *x, const struct run_mount *m, struct err *e)
{
	const struct build_options *o = x->r->b->o;
	const char *id = m->id ?: "";

	for (size_t i = 0; i < o->n_secrets; i++) {
		const struct build_secret *s = &o->secrets[i];

		if (!streq(s->id, id))
			continue;
		if (m->env)
			strv_env_set(&x->spec->env, *m->env ? m->env : id, s->content);
		if (m->target || !m->env) {
			_cleanup_(free_p) char *under = xasprintf("/run/secrets/%s", id);
			_cleanup_(free_p) char *target = m->target ? target_of(x, m)
								   : TAKE_PTR(under);

			add_file(x, target, s->content, s->size, m, 0400);
		}
		return 0;
	}
	if (!m->required)
		return 0;
	err_set(e, ENOENT, "secret %s: not found", id);
	return err_hint(e, "give it with --secret id=%s,src=FILE", id);
}

static int add_ssh(struct running *x, const struct run_mount *m, size_t n, struct err *e)
{
	const char *id = m->id ?: "default", *socket = strv_env_get(x->r->b->ssh, id);
	_cleanup_(free_p) char *target = m->target ? target_of(x, m)
						   : xasprintf("/run/buildkit/ssh_agent.%zu", n);
	struct mount_spec *spec;

	if (!socket) {
		if (!m->required)
			return 0;
		err_set(e, ENOENT, "ssh key or agent \"%s\": not found", id);
		return err_hint(e, "give it with --ssh %s", id);
	}
	spec = spec_add_mount(x->spec, MOUNT_BIND, target);
	spec->source = xstrdup(socket);
	strv_env_set(&x->spec->env, "SSH_AUTH_SOCK", target);
	return 0;
}

static int add_mounts(struct running *x, struct err *e)
{
	size_t n_ssh = 0;
	int code = 0;

	for (size_t n = 0; code == 0 && n < x->i->n_mounts; n++) {
		const struct run_mount *m = &x->i->mounts[n];
		_cleanup_(free_p) char *target = target_of(x, m);
		struct mount_spec *spec;

		switch (m->type) {
		case RUN_MOUNT_BIND:
			code = add_bind(x, n, e);
			break;
		case RUN_MOUNT_CACHE:
			code = add_cache(x, n, e);
			break;
		case RUN_MOUNT_TMPFS:
			spec = spec_add_mount(x->spec, MOUNT_TMPFS, target);
			spec->tmpfs_size = m->size;
			spec->read_only = m->readonly;
			break;
		case RUN_MOUNT_SECRET:
			code = add_secret(x, m, e);
			break;
		case RUN_MOUNT_SSH:
			code = add_ssh(x, m, n_ssh++, e);
			break;
		}
	}
	return code;
}

/* ---- what mounts are made of ----------------------------------------------------------------- */

/* Find it, for the key and for the mount. */
static int find_source(struct running *x, size_t n, struct err *e)
{
	const struct run_mount *m = &x->i->mounts[n];
	int code;

	if (m->type != RUN_MOUNT_BIND && !(m->type == RUN_MOUNT_CACHE && m->from))
		return 0;
	code = exec_source_init(x->r, m->from, &x->sources[n], e);
	if (code == 0)
		code = exec_source_open(x->r, &x->sources[n], e);
	if (code == 0)
		code = source_find(&x->sources[n].s, m->source ?: "/", false, &x->items[n], e);
	return code < 0 ? err_wrap(e, code, "--mount=%s", m->text) : 0;
}

static int add_mount_keys(struct running *x, struct key *k, struct err *e)
{
	int code = 0;

	for (size_t n = 0; code == 0 && n < x->i->n_mounts; n++) {
		const struct run_mount *m = &x->i->mounts[n];

		key_add_int(k, "mount", m->type);
		key_add(k, "target", m->target);
		key_add(k, "id", m->id);
		key_add(k, "env", m->env);
		key_add_int(k, "readonly", m->readonly);
		/* What a cache holds is not to matter, nor is a secret. */
		if (m->type == RUN_MOUNT_BIND)
			code = source_hash(&x->sources[n].s, &x->items[n].items[0], NULL, k->h, e);
	}
	return code;
}

static int step_key(struct running *x, char **out, struct err *e)
{
	const struct build_options *o = x->r->b->o;
	_cleanup_(strv_freep) char **args = scope_run_args(&x->r->scope);
	struct key k;
	int code;

	key_init(&k, "run", x->r->config.diff_ids);
	key_add_strv(&k, "argv", x->argv);
	key_add_strv(&k, "env", x->r->config.env);
	key_add_strv(&k, "args", args);
	key_add(&k, "cwd", x->r->config.workdir);
	key_add(&k, "user", x->r->config.user);
	key_add(&k, "network", x->i->network ?: o->network);
	key_add(&k, "security", x->i->security);
	key_add_strv(&k, "hosts", o->extra_hosts);
	for (size_t n = 0; n < x->i->n_heredocs; n++)
		key_add(&k, "file", x->i->heredocs[n].content);
	key_add_int(&k, "epoch", o->has_epoch ? (int64_t)o->epoch : -1);
	code = add_mount_keys(x, &k, e);
	*out = key_end(&k);
	return code;
}

/* ---- mount points that are not the image's --------------------------------------------------- */

/* Note what is missing of each target before the run. */
static int note_stubs(struct running *x, struct err *e)
{
	struct workroot *w = NULL;
	int code;

	if (!x->spec->n_mounts && !x->spec->n_files)
		return 0;
	code = workroot_mount(x->r, x->r->config.diff_ids, &w, e);
	for (size_t n = 0; code == 0 && n < x->spec->n_mounts + x->spec->n_files; n++) {
		const char *target = n < x->spec->n_mounts
					     ? x->spec->mounts[n].target
					     : x->spec->files[n - x->spec->n_mounts].target;
		_cleanup_(strv_freep) char **parts = strv_split(target, '/', true);
		_cleanup_(buf_done) struct buf at = BUF_INIT;

		for (char **p = parts; p && *p; p++) {
			_cleanup_(fd_closep) int fd = -EBADF;

			buf_printf(&at, "/%s", *p);
			fd = fd_open_in_root(w->root, buf_str(&at), O_PATH | O_NOFOLLOW, 0, NULL);
			if (fd == -ENOENT) {
				strv_addf(&x->stubs, "%s\t%s", buf_str(&at), target);
				break;
			}
		}
	}
	workroot_discard(w);
	return code;
}

/* Remove @path in the upper directory if nothing was put there; then its parents, up to
 * the first that was missing. */
static void remove_stub(int upper, const char *first, const char *target)
{
	_cleanup_(free_p) char *at = xstrdup(target);

	while (strlen(at) >= strlen(first)) {
		_cleanup_(free_p) char *dir = path_dir(at), *name = path_base(at);
		_cleanup_(fd_closep) int fd = fd_open_in_root(upper, dir, O_PATH, 0, NULL);
		struct stat st;

		if (fd >= 0 && fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
			if (S_ISREG(st.st_mode) && st.st_size == 0 && streq(at, target))
				(void)unlinkat(fd, name, 0);
			else if (!S_ISDIR(st.st_mode) || unlinkat(fd, name, AT_REMOVEDIR) < 0)
				return; /* somebody uses it */
		}
		free(at);
		at = TAKE_PTR(dir);
	}
}

static void remove_stubs(struct running *x, const char *dir)
{
	_cleanup_(free_p) char *path = path_join(dir, "upper");
	_cleanup_(fd_closep) int upper = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	STRV_FOREACH (s, x->stubs) {
		_cleanup_(free_p) char *first = xstrndup(*s, strcspn(*s, "\t"));

		if (upper >= 0)
			remove_stub(upper, first, *s + strlen(first) + 1);
	}
}

/* ---- the container ----------------------------------------------------------------------------
 */

static void set_limits(struct running *x)
{
	const struct build_options *o = x->r->b->o;
	struct container_spec *s = x->spec;

	s->shm_size = o->shm_size;
	s->extra_hosts = strv_copy(o->extra_hosts);
	s->ulimits = xcalloc(o->n_ulimits + 1, sizeof(*s->ulimits));
	for (size_t i = 0; i < o->n_ulimits; i++) {
		s->ulimits[i] = o->ulimits[i];
		s->ulimits[i].name = xstrdup(o->ulimits[i].name);
	}
	s->n_ulimits = o->n_ulimits;
}

static int set_security(struct running *x, struct err *e)
{
	const struct build_options *o = x->r->b->o;
	bool insecure = x->i->security && streq(x->i->security, "insecure");

	if (insecure && !o->allow_insecure && !o->privileged) {
		err_set(e, EPERM, "RUN --security=insecure is not allowed");
		return err_hint(e, "allow it with --allow security.insecure, or `entitlements:`");
	}
	x->spec->privileged = insecure || o->privileged;
	return 0;
}

/* True: the build's bridge. */
static bool set_network(struct running *x)
{
	const char *mode = x->i->network && !streq(x->i->network, "default") ? x->i->network
									     : x->r->b->o->network;

	if (mode && streq(mode, "host"))
		x->spec->net.mode = NAMESPACE_HOST;
	else if (mode && streq(mode, "none"))
		x->spec->net.mode = NAMESPACE_NONE;
	return x->spec->net.mode == NAMESPACE_PRIVATE;
}

/* The heredoc as a program: a bind, since files of ours lie where nothing can be executed. */
static int add_script(struct running *x, const struct heredoc *h, struct err *e)
{
	_cleanup_(free_p) char *path = xasprintf("%s/%u", x->r->work, x->r->serial++);
	_cleanup_(free_p) char *target = xasprintf(PIPES "%s", h->name);
	struct mount_spec *m;
	int r = file_write_atomic(AT_FDCWD, path, h->content, strlen(h->content), 0755, false, e);

	if (r < 0)
		return r;
	m = spec_add_mount(x->spec, MOUNT_BIND, target);
	m->source = TAKE_PTR(path);
	m->read_only = true;
	return 0;
}

static int make_spec(struct running *x, struct err *e)
{
	struct run *r = x->r;
	struct container_spec *s = x->spec = spec_new();
	const struct heredoc *h = x->i->heredocs;
	int code;

	s->image = xstrdup(r->node->base_name ?: "build");
	s->layers = store_chain_dirs(r->b->store, r->config.diff_ids);
	if (!s->layers[0]) { /* FROM scratch, and nothing copied yet */
		_cleanup_(free_p) char *empty = xasprintf("%s/empty", r->work);

		if (mkdir(empty, 0755) < 0 && errno != EEXIST)
			return err_errno(e, errno, "create %s", empty);
		strv_add(&s->layers, empty);
	}
	s->argv = strv_copy(x->argv);
	s->env = scope_run_env(&r->scope);
	if (!strv_env_get(s->env, "PATH"))
		strv_env_set(&s->env, "PATH", EXEC_DEFAULT_PATH);
	s->cwd = xstrdup(is_empty(r->config.workdir) ? "/" : r->config.workdir);
	s->user = xstrdup_null(r->config.user);
	s->hostname = xstrdup("buildkitsandbox");
	s->stop_grace = 0;
	set_limits(x);
	code = set_security(x, e);
	if (code == 0)
		code = add_mounts(x, e);
	if (code == 0 && is_whole_heredoc(x->i) && skip_prefix(h->content, "#!"))
		code = add_script(x, h, e);
	return code;
}

static void on_output(void *data, bool is_stderr, const char *p, size_t n)
{
	exec_output(data, is_stderr, p, n);
}

static int run_container(struct running *x, const char *key, struct err *e)
{
	struct run *r = x->r;
	bool bridge = set_network(x);
	struct err gone = ERR_INIT;
	int code = 0, exit_code = 0, code2;

	if (!r->runner)
		code = runner_new(r->b->o->dirs, r->b->project, &r->runner, e);
	if (code < 0)
		return code;
	code = runner_run(r->runner, x->spec, bridge, on_output, r, &exit_code, e);
	if (code < 0)
		(void)start_error(x, code, e);
	if (code == 0 && exit_code)
		code = exit_error(x, exit_code, e);
	if (code == 0) {
		remove_stubs(x, runner_dir(r->runner));
		code = layer_adopt(r, runner_dir(r->runner), key, x->i->original, e);
	}
	code2 = runner_remove(r->runner, &gone);
	err_keep_first(&code, e, code2 == -ENOENT ? 0 : code2, &gone);
	return code;
}

static int run_step(struct running *x, bool *cached, struct err *e)
{
	_cleanup_(free_p) char *key = NULL;
	int code = 0;

	for (size_t n = 0; code == 0 && n < x->i->n_mounts; n++)
		code = find_source(x, n, e);
	if (code == 0)
		code = step_key(x, &key, e);
	if (code < 0)
		return code;
	*cached = layer_cached(x->r, key);
	if (*cached)
		return 0;
	code = make_spec(x, e);
	if (code == 0)
		code = note_stubs(x, e);
	return code < 0 ? code : run_container(x, key, e);
}

static void running_done(struct running *x)
{
	for (size_t n = 0; n < x->i->n_mounts; n++) {
		source_items_done(&x->items[n]);
		exec_source_done(&x->sources[n]);
	}
	for (size_t n = 0; n < x->n_locks; n++)
		fd_close(x->locks[n]);
	free(x->locks);
	free(x->items);
	free(x->sources);
	spec_free(x->spec);
	strv_free(x->argv);
	strv_free(x->stubs);
}

int exec_run(struct run *r, struct err *e)
{
	struct running x = { .r = r, .i = r->ins };
	_cleanup_(free_p) char *title = history_title(r->ins), *text = NULL;
	_cleanup_(strv_freep) char **args = scope_run_args(&r->scope);
	bool cached = false;
	int code;

	x.sources = xcalloc(r->ins->n_mounts + 1, sizeof(*x.sources));
	x.items = xcalloc(r->ins->n_mounts + 1, sizeof(*x.items));
	for (size_t n = 0; n < r->ins->n_mounts; n++)
		x.sources[n].s.root = -EBADF;
	exec_begin_step(r, title);
	set_argv(&x);
	code = run_step(&x, &cached, e);
	running_done(&x);
	if (code < 0)
		return code;
	text = history_text(r->ins, &r->config, args);
	exec_history(r, text, false);
	exec_end_step(r, cached);
	return 0;
}
