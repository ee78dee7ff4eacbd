/* engine/build/plan.c: what a build starts from: its contexts, its Dockerfile, images. */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/strv.h"
#include "engine/build/add.h"
#include "engine/build/internal.h"
#include "engine/build/remote.h"
#include "engine/image/download.h"
#include "engine/image/extractor.h"
#include "engine/image/ref.h"

int plan_at(const struct build *b, int line, int r, struct err *e)
{
	if (r < 0 && e)
		(void)err_at(e, b->file.name, line, 0);
	return r;
}

void plan_event(const struct build *b, enum build_event_kind kind, unsigned int vertex,
		const char *text, uint64_t elapsed)
{
	const struct build_event ev = {
		.kind = kind, .vertex = vertex, .text = text, .n = strlen(text), .elapsed = elapsed
	};

	b->h->event(b->h->data, &ev);
}

bool plan_is_step(const struct instruction *i)
{
	return i->kind == INS_RUN || i->kind == INS_COPY || i->kind == INS_ADD ||
	       i->kind == INS_WORKDIR;
}

struct build_context *plan_context(struct build *b, const char *name)
{
	for (size_t i = 1; i < b->n_contexts; i++)
		if (streq(b->contexts[i].name, name))
			return &b->contexts[i];
	return NULL;
}

/* ---- contexts -------------------------------------------------------------------------- */

static int open_directory(struct build_context *c, const char *path, struct err *e)
{
	c->path = realpath(path, NULL);
	c->fd = c->path ? open(c->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -EBADF;
	if (c->fd >= 0)
		return 0;
	err_errno(e, errno, "unable to prepare context: path \"%s\"", path);
	return e ? -e->code : -ENOENT;
}

/* A tar on standard input. */
static int unpack_context(struct build *b, struct build_context *c, struct err *e)
{
	struct layer_source src = { .fd = b->o->context_fd,
				    .size = UINT64_MAX,
				    .what = "the context" };
	_cleanup_(free_p) char *dir = path_join(b->work, "context");
	struct layer_info info;
	int r = mkdir_p(AT_FDCWD, dir, 0755, e);

	c->foreign = true;
	if (r == 0)
		r = open_directory(c, dir, e);
	if (r == 0 && b->o->context_fd >= 0)
		r = extractor_layer(&src, c->fd, &info, NULL, e);
	return r;
}

static int open_inside(struct build_context *c, const char *dir, const char *subdir, struct err *e)
{
	char path[FD_PATH_MAX];

	c->fd = remote_git_open(dir, subdir, e);
	if (c->fd < 0)
		return c->fd;
	c->path = realpath(fd_path(c->fd, path), NULL);
	return c->path ? 0 : err_errno(e, errno, "%s", dir);
}

/* A tar to build from, or the text of a Dockerfile without a context. */
static int open_download(struct build *b, struct build_context *c, const char *url, const char *dir,
			 struct err *e)
{
	_cleanup_(fd_closep) int fd = open(b->work, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	struct layer_source src = { .fd = fd, .size = UINT64_MAX, .what = url };
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	struct layer_info info;
	struct download d;
	int r = fd < 0 ? err_errno(e, errno, "make a temporary file") : download(url, fd, &d, e);

	if (r == 0)
		r = open_directory(c, dir, e);
	if (r < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return r < 0 ? r : err_errno(e, errno, "seek");
	if (add_is_archive(fd))
		return extractor_layer(&src, c->fd, &info, NULL, e);
	if (c != &b->contexts[0])
		return err_set(e, EINVAL, "%s is not an archive", url);
	r = fd_read_all(fd, DOCKERFILE_MAX_SIZE, &text);
	b->remote_dockerfile = buf_take(&text);
	return r < 0 ? err_errno(e, -r, "read %s", url) : 0;
}

static int open_remote(struct build *b, struct build_context *c, const char *url, struct err *e)
{
	_cleanup_(free_p) char *title = xasprintf("[internal] load remote build context %s", url);
	_cleanup_(free_p) char *dir = xasprintf("%s/context-%zu", b->work,
						(size_t)(c - b->contexts));
	_cleanup_(remote_git_done) struct remote_git g = { 0 };
	unsigned int vertex = ++b->n_vertices;
	uint64_t began = now_mono_ns();
	int is_git, r = mkdir_p(AT_FDCWD, dir, 0755, e);

	c->foreign = true;
	plan_event(b, BUILD_STARTED, vertex, title, 0);
	is_git = r < 0 ? r : remote_git_parse(url, &g, e);
	if (is_git > 0) {
		r = remote_git_fetch(&g, dir, false, b->h->cancel_fd, NULL, e);
		if (r == 0)
			r = open_inside(c, dir, g.subdir, e);
	} else {
		r = is_git < 0 ? is_git : open_download(b, c, url, dir, e);
	}
	plan_event(b, r < 0 ? BUILD_FAILED : BUILD_DONE, vertex, r < 0 && e ? e->msg : "",
		   now_mono_ns() - began);
	return r;
}

static int open_named(struct build *b, struct build_context *c, const struct build_context_arg *a,
		      struct err *e)
{
	const char *image = skip_prefix(a->value, "docker-image://");

	c->name = a->name;
	if (image) {
		c->image = xstrdup(image);
		return 0;
	}
	return err_wrap(e,
			remote_is(a->value) ? open_remote(b, c, a->value, e)
					    : open_directory(c, a->value, e),
			"context %s", a->name);
}

/* A link in what somebody sent must not show a file of this machine. */
static int read_of_context(const struct build_context *c, const char *path, size_t max,
			   struct buf *text, struct err *e)
{
	_cleanup_(fd_closep) int fd = -EBADF;
	int r;

	if (!c->foreign)
		return file_read_follow(c->fd, path, max, text, e);
	fd = fd_open_in_root(c->fd, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0, e);
	r = fd < 0 ? fd : fd_read_all(fd, max, text);
	return fd >= 0 && r < 0 ? err_errno(e, -r, "read %s", path) : r;
}

/* NAME.dockerignore beside the Dockerfile, or the context's own. */
static int read_ignore(struct build_context *c, const char *dockerfile, struct err *e)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	_cleanup_(free_p) char *own = dockerfile ? xasprintf("%s.dockerignore", dockerfile) : NULL;
	int r = own ? read_of_context(c, own, IGNORE_MAX_SIZE, &text, NULL) : -ENOENT;

	c->ignore_name = r == 0 ? path_base(own) : xstrdup(".dockerignore");
	if (r < 0)
		r = read_of_context(c, ".dockerignore", IGNORE_MAX_SIZE, &text, e);
	if (r == -ENOENT || r == -ENOTDIR)
		return 0;
	return r < 0 ? r : ignore_parse(c->ignore_name, buf_str(&text), text.len, &c->ignore, e);
}

int plan_contexts(struct build *b, struct err *e)
{
	const struct build_options *o = b->o;
	int r;

	b->n_contexts = 1 + o->n_contexts;
	b->contexts = xcalloc(b->n_contexts, sizeof(*b->contexts));
	for (size_t i = 0; i < b->n_contexts; i++)
		b->contexts[i].fd = -EBADF;
	if (o->context && remote_is(o->context))
		r = open_remote(b, &b->contexts[0], o->context, e);
	else
		r = o->context ? open_directory(&b->contexts[0], o->context, e)
			       : unpack_context(b, &b->contexts[0], e);
	if (r == 0)
		r = read_ignore(&b->contexts[0],
				o->dockerfile_text ? NULL : o->dockerfile ?: "Dockerfile", e);
	for (size_t i = 0; r == 0 && i < o->n_contexts; i++) {
		struct build_context *c = &b->contexts[1 + i];

		r = open_named(b, c, &o->contexts[i], e);
		strv_add(&b->context_names, o->contexts[i].name);
		if (r == 0 && c->fd >= 0)
			r = read_ignore(c, NULL, e);
	}
	return r;
}

/* ---- the Dockerfile ---------------------------------------------------------------------- */

static int read_dockerfile(struct build *b, struct buf *text, char **name, struct err *e)
{
	const char *path = b->o->dockerfile ?: "Dockerfile";
	int r;

	if (b->o->dockerfile_text) {
		buf_adds(text, b->o->dockerfile_text);
		*name = xstrdup(b->o->dockerfile_name ?: "Dockerfile");
		return 0;
	}
	*name = xstrdup(b->o->dockerfile_name ?: path);
	if (b->remote_dockerfile) {
		buf_adds(text, b->remote_dockerfile);
		return 0;
	}
	r = read_of_context(&b->contexts[0], path, DOCKERFILE_MAX_SIZE, text, e);
	if (r == -ENOENT && !b->o->dockerfile) {
		if (read_of_context(&b->contexts[0], "dockerfile", DOCKERFILE_MAX_SIZE, text,
				    NULL) == 0)
			return 0;
		err_set(e, ENOENT, "failed to read dockerfile: no Dockerfile in %s",
			b->o->context ?: "the context");
		return err_hint(e, "name it with -f FILE");
	}
	return r < 0 ? err_wrap(e, r, "failed to read dockerfile") : 0;
}

int plan_dockerfile(struct build *b, struct err *e)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	_cleanup_(free_p) char *name = NULL;
	int r = read_dockerfile(b, &text, &name, e);

	if (r == 0)
		r = dockerfile_parse(name, buf_str(&text), text.len, &b->file, e);
	if (r < 0)
		return r;
	STRV_FOREACH (w, b->file.warnings)
		plan_event(b, BUILD_WARNING, 0, *w, 0);
	b->input = (struct build_input){ .args = b->o->args,
					 .platform = b->o->platform,
					 .target = b->o->target,
					 .escape = b->file.escape };
	return graph_init(&b->graph, &b->file, &b->input, b->context_names, b->o->target, e);
}

/* ---- images ------------------------------------------------------------------------------ */

static int need_image(struct build *b, const char *ref, struct err *e)
{
	_cleanup_(free_p) char *title = NULL;
	struct image *image = NULL;
	uint64_t began = now_mono_ns();
	unsigned int vertex;
	int r;

	if (map_has(&b->images, ref))
		return 0;
	title = xasprintf("[internal] load metadata for %s", ref);
	vertex = ++b->n_vertices;
	plan_event(b, BUILD_STARTED, vertex, title, 0);
	r = b->o->pull ? -ENOENT : store_resolve(b->store, ref, &image, e);
	if (r == -ENOENT && b->o->fetch) {
		if (e)
			*e = ERR_INIT;
		r = b->o->fetch(b->o->data, ref, e);
		if (r == 0)
			r = store_resolve(b->store, ref, &image, e);
	}
	if (r < 0) {
		plan_event(b, BUILD_FAILED, vertex, e ? e->msg : "", now_mono_ns() - began);
		return r;
	}
	map_put(&b->images, ref, image);
	plan_event(b, BUILD_DONE, vertex, "", now_mono_ns() - began);
	return 0;
}

/* Of COPY --from and RUN --mount=from, where it is neither stage nor context. */
static int need_source(struct build *b, size_t stage, const char *from, struct err *e)
{
	struct source_ref ref;
	int r = graph_source(&b->graph, stage, from, &ref, e);

	if (r < 0 || !from)
		return r;
	if (ref.kind == SOURCE_IMAGE)
		return need_image(b, ref.name, e);
	if (ref.kind == SOURCE_CONTEXT && plan_context(b, ref.name)->image)
		return need_image(b, plan_context(b, ref.name)->image, e);
	return 0;
}

static int need_of_instruction(struct build *b, size_t stage, const struct instruction *i,
			       struct err *e)
{
	int r = 0;

	if (i->kind == INS_COPY || i->kind == INS_ADD)
		r = need_source(b, stage, i->from, e);
	for (size_t n = 0; r == 0 && n < i->n_mounts; n++)
		r = need_source(b, stage, i->mounts[n].from, e);
	return plan_at(b, i->line, r, e);
}

static int need_of_stage(struct build *b, size_t stage, struct err *e)
{
	const struct build_stage *def = &b->file.stages[stage];
	const struct graph_node *node = &b->graph.nodes[stage];
	const struct build_context *c = node->base.kind == SOURCE_CONTEXT
						? plan_context(b, node->base.name)
						: NULL;
	int r = 0;

	if (node->base.kind == SOURCE_IMAGE)
		r = need_image(b, node->base.name, e);
	else if (c && c->image)
		r = need_image(b, c->image, e);
	r = plan_at(b, def->line, r, e);
	for (size_t i = 0; r == 0 && !node->replaced && i < def->n; i++)
		r = need_of_instruction(b, stage, &def->instructions[i], e);
	return r;
}

int plan_images(struct build *b, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < b->graph.n_order; i++)
		r = need_of_stage(b, b->graph.order[i], e);
	return r;
}
