/* engine/build/exec_copy.c: COPY, ADD and WORKDIR: files come into a stage.
 *
 * First everything to be copied is found and hashed; only when no step with the same key
 * was done before, the layers are mounted and the copy is made.  Of a stage or an image a
 * cheaper key is tried before: its layers and the paths asked for.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/strv.h"
#include "engine/build/add.h"
#include "engine/build/history.h"
#include "engine/build/internal.h"
#include "engine/build/key.h"
#include "engine/build/place.h"
#include "engine/build/remote.h"
#include "engine/container/user.h"

/* ---- sources --------------------------------------------------------------------------- */

static int layers_of_image(struct run *r, const char *ref, struct exec_source *out, struct err *e)
{
	struct image *image = map_get(&r->b->images, ref);
	_cleanup_(image_freep) struct image *own = NULL;

	if (!image) { /* named by a trigger: not known before */
		int code = store_resolve(r->b->store, ref, &own, e);

		if (code < 0)
			return code;
		image = own;
	}
	out->diff_ids = strv_copy(image->config.diff_ids) ?: xcalloc(1, sizeof(char *));
	out->label = xasprintf("image %s", ref);
	return 0;
}

static void use_context(struct run *r, const struct build_context *c, struct exec_source *out)
{
	out->label = c->name ? xasprintf("context %s", c->name) : xstrdup("the build context");
	out->s = (struct source){ .root = c->fd,
				  .ignore = c->ignore,
				  .ignore_name = c->ignore_name,
				  .is_context = true,
				  .digests = r->digests };
}

int exec_source_init(struct run *r, const char *from, struct exec_source *out, struct err *e)
{
	struct source_ref ref;
	int code = graph_source(&r->b->graph, r->index, from, &ref, e);

	*out = (struct exec_source){ .s = { .root = -EBADF } };
	if (code < 0)
		return code;
	switch (ref.kind) {
	case SOURCE_MAIN:
		use_context(r, &r->b->contexts[0], out);
		break;
	case SOURCE_CONTEXT: {
		const struct build_context *c = plan_context(r->b, ref.name);

		if (c->image)
			code = layers_of_image(r, c->image, out, e);
		else
			use_context(r, c, out);
		break;
	}
	case SOURCE_STAGE:
		out->diff_ids = strv_copy(r->b->results[ref.stage].config.diff_ids)
					?: xcalloc(1, sizeof(char *));
		out->label = xasprintf("stage %s", r->b->graph.nodes[ref.stage].name);
		break;
	case SOURCE_IMAGE:
		code = layers_of_image(r, ref.name, out, e);
		break;
	case SOURCE_SCRATCH:
		out->diff_ids = xcalloc(1, sizeof(char *));
		out->label = xstrdup("scratch");
		break;
	}
	out->s.label = out->label;
	return code;
}

int exec_source_open(struct run *r, struct exec_source *x, struct err *e)
{
	int code;

	if (!x->diff_ids || x->root)
		return 0;
	code = workroot_mount(r, x->diff_ids, &x->root, e);
	if (code == 0)
		x->s.root = x->root->root;
	return code;
}

void exec_source_done(struct exec_source *x)
{
	workroot_discard(x->root);
	strv_free(x->diff_ids);
	free(x->label);
	*x = (struct exec_source){ .s = { .root = -EBADF } };
}

/* ---- one COPY or ADD --------------------------------------------------------------------- */

struct copy {
	struct run *r;
	const struct instruction *i;
	struct exec_source source;
	struct source_items items;
	struct ignore *exclude;
	char *dest;              /* absolute, with its '/' at the end if it is a directory */
	struct fetched *fetched; /* ADD of an address */
	size_t n_fetched;
};

static void copy_done(struct copy *c)
{
	source_items_done(&c->items);
	exec_source_done(&c->source);
	ignore_free(c->exclude);
	free(c->dest);
	for (size_t i = 0; i < c->n_fetched; i++) {
		fd_close(c->fetched[i].fd);
		fd_close(c->fetched[i].dir);
		free(c->fetched[i].name);
		free(c->fetched[i].digest);
	}
	free(c->fetched);
}

static bool is_url(const struct instruction *i, const char *word)
{
	return i->kind == INS_ADD &&
	       (skip_prefix(word, "http://") || skip_prefix(word, "https://"));
}

static bool is_git(const struct instruction *i, const char *word)
{
	_cleanup_(remote_git_done) struct remote_git g = { 0 };

	return i->kind == INS_ADD && remote_git_parse(word, &g, NULL) != 0;
}

/* Relative to the working directory; "." means it as a directory. */
static char *destination(const struct run *r, const char *dest)
{
	const char *cwd = is_empty(r->config.workdir) ? "/" : r->config.workdir;
	_cleanup_(free_p) char *whole = *dest == '/' ? xstrdup(dest)
						     : xasprintf("%s/%s", cwd, dest);
	_cleanup_(free_p) char *clean = path_clean(whole);
	bool dir = has_suffix(dest, "/") || streq(dest, ".") || has_suffix(dest, "/.");

	return dir && !streq(clean, "/") ? xasprintf("%s/", clean) : TAKE_PTR(clean);
}

/* With --parents, what of the source's path comes below the destination. */
static char *dest_of(const struct copy *c, const struct source_item *it, const char *word)
{
	_cleanup_(free_p) char *path = xstrdup(it->path), *dir = NULL;
	const char *pivot, *below = path;

	if (!c->i->parents)
		return xstrdup(c->dest);
	pivot = strstr(word, "/./");
	if (pivot) {
		_cleanup_(free_p) char *head = xstrndup(word, (size_t)(pivot - word));
		_cleanup_(free_p) char *rooted = xasprintf("/%s", head),
				       *clean = path_clean(rooted);
		size_t depth = 0;

		for (const char *p = clean; *p; p++)
			depth += *p == '/' && p[1];
		for (; depth > 0 && strchr(below, '/'); depth--)
			below = strchr(below, '/') + 1;
	}
	if (S_ISDIR(it->spot.st.st_mode))
		return xasprintf("%s/%s/", c->dest, below);
	dir = path_dir(below);
	return xasprintf("%s/%s/", c->dest, dir);
}

static int fetch(struct copy *c, const char *url, struct err *e)
{
	c->fetched = xreallocarray(c->fetched, c->n_fetched + 1, sizeof(*c->fetched));
	return is_git(c->i, url) ? add_clone(c->r, c->i, url, &c->fetched[c->n_fetched++], e)
				 : add_fetch(c->r, c->i, url, has_suffix(c->dest, "/"),
					     &c->fetched[c->n_fetched++], e);
}

static int find_all(struct copy *c, struct err *e)
{
	int code = 0;

	for (char **w = c->i->words; code == 0 && w && *w; w++) {
		if (is_git(c->i, *w) || is_url(c->i, *w))
			code = fetch(c, *w, e);
		else
			code = source_find(&c->source.s, *w, c->i->parents, &c->items, e);
	}
	return code;
}

static void add_flags(const struct copy *c, struct key *k)
{
	const struct instruction *i = c->i;

	key_add(k, "dest", c->dest);
	key_add(k, "chown", i->chown);
	key_add(k, "chmod", i->chmod);
	key_add_strv(k, "exclude", i->excludes);
	key_add_int(k, "parents", i->parents);
	key_add_int(k, "unpack", i->unpack);
	key_add_int(k, "epoch", c->r->b->o->has_epoch ? (int64_t)c->r->b->o->epoch : -1);
}

static void begin_key(const struct copy *c, const char *kind, struct key *k)
{
	char *const none[] = { NULL };

	key_init(k, kind, c->i->link ? (char *const *)none : c->r->config.diff_ids);
	key_add(k, "op", instruction_name(c->i->kind));
	add_flags(c, k);
}

/* Is all that is copied known without looking: of layers, or by a checksum? */
static bool is_known(const struct copy *c)
{
	if (c->i->n_heredocs)
		return false;
	if (c->source.diff_ids)
		return true;
	STRV_FOREACH (w, c->i->words)
		if (!is_url(c->i, *w) || is_git(c->i, *w))
			return false;
	return c->i->checksum && digest_is_valid(c->i->checksum);
}

/* The paths asked for of these very layers. */
static char *cheap_key(const struct copy *c)
{
	struct key k;

	begin_key(c, "copy-from", &k);
	key_add_strv(&k, "source", c->source.diff_ids);
	key_add_strv(&k, "words", c->i->words);
	key_add(&k, "checksum", c->i->checksum);
	return key_end(&k);
}

static int content_key(struct copy *c, char **out, struct err *e)
{
	struct key k;
	int code = 0;

	begin_key(c, "copy", &k);
	for (size_t n = 0; code == 0 && n < c->items.n; n++) {
		if (c->i->parents)
			key_add(&k, "path", c->items.items[n].path);
		key_add(&k, "item", "");
		code = source_hash(&c->source.s, &c->items.items[n], c->exclude, k.h, e);
	}
	for (size_t n = 0; n < c->i->n_heredocs; n++) {
		key_add(&k, "file", c->i->heredocs[n].name);
		key_add(&k, "text", c->i->heredocs[n].content);
	}
	for (size_t n = 0; n < c->n_fetched; n++) {
		key_add(&k, "url", c->fetched[n].name);
		key_add(&k, "digest", c->fetched[n].digest);
		key_add_int(&k, "mtime", (int64_t)c->fetched[n].mtime);
	}
	*out = key_end(&k);
	return code;
}

/* ---- making it -------------------------------------------------------------------------- */

static int set_owner(struct copy *c, int root, struct place *p, struct err *e)
{
	const char *text = c->i->chown;
	struct user u = { 0 };
	int code;

	p->owned = c->source.s.is_context || c->i->n_heredocs;
	if (!text)
		return 0;
	code = user_lookup(root, text, NULL, &u, e);
	if (code < 0)
		return err_wrap(e, code, "--chown=%s", text);
	p->owned = true;
	p->uid = u.uid;
	/* Without a group it is the user's number, as docker's reference has it. */
	p->gid = strchr(text, ':') ? u.gid : u.uid;
	if (!strchr(text, ':') && strspn(text, "0123456789") != strlen(text))
		p->gid = u.gid;
	user_done(&u);
	return 0;
}

static int set_mode(struct copy *c, struct place *p, struct err *e)
{
	const char *text = c->i->chmod;
	uint32_t unused;
	char *end;

	p->mode = -1;
	if (!text)
		return 0;
	if (*text >= '0' && *text <= '7') {
		p->mode = strtol(text, &end, 8);
		if (*end || p->mode > 07777)
			return err_set(e, EINVAL, "invalid chmod: %s", text);
		return 0;
	}
	p->symbolic = text;
	return place_symbolic_mode(text, 0644, false, &unused, e);
}

static int place_item(struct copy *c, struct place *p, const struct source_item *it,
		      const char *word, struct err *e)
{
	_cleanup_(free_p) char *dest = dest_of(c, it, word), *base = source_base(it);
	struct walk_filter filters[2];
	size_t n = source_filters(&c->source.s, it, c->exclude, filters);

	if (c->i->kind == INS_ADD && S_ISREG(it->spot.st.st_mode) && c->i->unpack != 0) {
		_cleanup_(fd_closep) int fd = openat(it->spot.dirfd, it->spot.name,
						     O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		int code = fd < 0 ? err_errno(e, errno, "open %s", it->path)
				  : add_unpack(c->r, p, fd, dest, c->i->chown != NULL, e);

		if (code != 0)
			return MIN(code, 0);
	}
	return place_tree(p, dest, it->spot.dirfd, it->spot.name, base, filters, n, e);
}

/* `COPY a b /app` needs no '/' at the end if /app is there; without it the second file
 * would silently take the first one's place, which no one wants. */
static int check_dir(const struct copy *c, const struct place *p, struct err *e)
{
	_cleanup_(spot_done) struct spot spot = SPOT_INIT;

	if (has_suffix(c->dest, "/"))
		return 0;
	if (spot_find(p->root, c->dest, NULL, &spot, NULL) == 0 && spot.exists &&
	    S_ISDIR(spot.st.st_mode))
		return 0;
	return err_set(e, EINVAL,
		       "with more than one source, the destination must be a directory and end "
		       "with a /");
}

static int place_all(struct copy *c, struct place *p, struct err *e)
{
	const char *word = c->i->words && c->i->words[0] ? c->i->words[0] : "";
	uint64_t now = c->r->b->o->has_epoch ? c->r->b->o->epoch : c->r->b->now;
	int code = 0;

	for (size_t n = 0; code == 0 && n < c->items.n; n++) {
		if (c->i->words[0] && c->items.n == strv_len(c->i->words))
			word = c->i->words[n];
		code = n > 0 ? check_dir(c, p, e) : 0;
		if (code == 0)
			code = place_item(c, p, &c->items.items[n], word, e);
	}
	if (code == 0 && c->items.n + c->i->n_heredocs + c->n_fetched > MAX(c->items.n, (size_t)1))
		code = check_dir(c, p, e);
	for (size_t n = 0; code == 0 && n < c->i->n_heredocs; n++) {
		const struct heredoc *h = &c->i->heredocs[n];

		code = place_bytes(p, c->dest, h->name, h->content, strlen(h->content), 0644, now,
				   e);
	}
	for (size_t n = 0; code == 0 && n < c->n_fetched; n++) {
		struct place mine = *p;

		mine.owned = true;
		if (c->fetched[n].dir >= 0) {
			code = add_tree(&mine, c->fetched[n].dir, c->dest, e);
			continue;
		}
		code = lseek(c->fetched[n].fd, 0, SEEK_SET) < 0 ? -errno : 0;
		if (code == 0 && c->i->unpack == 1)
			code = add_unpack(c->r, &mine, c->fetched[n].fd, c->dest,
					  c->i->chown != NULL, e);
		if (code == 0)
			code = place_fd(&mine, c->dest, c->fetched[n].name, c->fetched[n].fd, 0600,
					c->fetched[n].mtime, e);
		code = MIN(code, 0);
	}
	return code;
}

/* --chown names are looked up in the stage's own root, even when --link writes elsewhere. */
static int resolve_options(struct copy *c, int root, struct place *p, struct err *e)
{
	_cleanup_(workroot_discardp) struct workroot *stage = NULL;
	int code = set_mode(c, p, e);

	if (code == 0 && c->i->link && c->i->chown) {
		code = workroot_mount(c->r, c->r->config.diff_ids, &stage, e);
		root = stage ? stage->root : root;
	}
	return code < 0 ? code : set_owner(c, root, p, e);
}

static int make_layer(struct copy *c, const char *key, struct err *e)
{
	char *const none[] = { NULL };
	_cleanup_(workroot_discardp) struct workroot *w = NULL;
	_cleanup_(free_p) char *dir = NULL;
	struct place p = { 0 };
	int code = workroot_mount(c->r, c->i->link ? (char *const *)none : c->r->config.diff_ids,
				  &w, e);

	if (code < 0)
		return code;
	p.root = w->root;
	code = resolve_options(c, w->root, &p, e);
	if (code == 0)
		code = place_all(c, &p, e);
	if (code < 0)
		return code;
	dir = xstrdup(w->dir);
	workroot_unmount(TAKE_PTR(w));
	code = layer_adopt(c->r, dir, key, c->i->original, e);
	(void)rm_rf(AT_FDCWD, dir, NULL); /* else with the build */
	return code;
}

/* Another way to the same result, for next time. */
static void remember_as(struct run *r, const char *key, const char *what)
{
	size_t n = strv_len(r->config.diff_ids);
	struct step_record rec = { .created = r->created, .what = (char *)what };

	memcpy(rec.diff_id, r->config.diff_ids[n - 1], DIGEST_MAX);
	(void)steps_put(r->b->store, key, &rec, NULL); /* costs a hash next time */
	layer_note(r, key, what);
}

static int copy_step(struct copy *c, bool *cached, struct err *e)
{
	_cleanup_(free_p) char *cheap = NULL, *key = NULL;
	int code;

	if (is_known(c)) {
		cheap = cheap_key(c);
		*cached = layer_cached(c->r, cheap);
		if (*cached)
			return 0;
	}
	code = exec_source_open(c->r, &c->source, e);
	if (code == 0)
		code = find_all(c, e);
	if (code == 0)
		code = content_key(c, &key, e);
	if (code < 0)
		return code;
	*cached = layer_cached(c->r, key);
	if (!*cached)
		code = make_layer(c, key, e);
	if (code == 0 && cheap)
		remember_as(c->r, cheap, c->i->original);
	return code;
}

int exec_copy(struct run *r, struct err *e)
{
	struct copy c = { .r = r, .i = r->ins };
	_cleanup_(free_p) char *title = history_title(r->ins), *text = NULL;
	bool cached = false;
	int code;

	exec_begin_step(r, title);
	c.dest = destination(r, r->ins->dest);
	code = exec_source_init(r, r->ins->from, &c.source, e);
	if (code == 0 && r->ins->excludes)
		code = ignore_new(r->ins->excludes, &c.exclude, e);
	if (code == 0)
		code = copy_step(&c, &cached, e);
	copy_done(&c);
	if (code < 0)
		return code;
	text = history_text(r->ins, &r->config, NULL);
	exec_history(r, text, false);
	exec_end_step(r, cached);
	return 0;
}

/* ---- WORKDIR ---------------------------------------------------------------------------- */

static int make_workdir(struct run *r, const char *key, struct err *e)
{
	_cleanup_(workroot_discardp) struct workroot *w = NULL;
	_cleanup_(free_p) char *dir = NULL;
	struct place p = { .mode = -1, .owned = true };
	struct user u = { 0 };
	int fd, code = workroot_mount(r, r->config.diff_ids, &w, e);

	if (code < 0)
		return code;
	p.root = w->root;
	if (!is_empty(r->config.user)) {
		code = user_lookup(w->root, r->config.user, NULL, &u, e);
		if (code < 0)
			return err_wrap(e, code, "user %s", r->config.user);
		p.uid = u.uid;
		p.gid = u.gid;
		user_done(&u);
	}
	fd = place_dir(&p, r->config.workdir, e);
	if (fd < 0)
		return fd;
	fd_close(fd);
	dir = xstrdup(w->dir);
	workroot_unmount(TAKE_PTR(w));
	code = layer_adopt(r, dir, key, r->ins->original, e);
	(void)rm_rf(AT_FDCWD, dir, NULL); /* else with the build */
	return code;
}

/* The configuration has it; now the directory. */
int exec_workdir(struct run *r, struct err *e)
{
	_cleanup_(free_p) char *title = history_title(r->ins), *text = NULL, *key = NULL;
	bool cached, root = streq(r->config.workdir, "/");
	struct key k;
	int code = 0;

	exec_begin_step(r, title);
	key_init(&k, "workdir", r->config.diff_ids);
	key_add(&k, "path", r->config.workdir);
	key_add(&k, "user", r->config.user);
	key_add_int(&k, "epoch", r->b->o->has_epoch ? (int64_t)r->b->o->epoch : -1);
	key = key_end(&k);
	cached = root || layer_cached(r, key);
	if (!cached)
		code = make_workdir(r, key, e);
	if (code < 0)
		return code;
	text = history_text(r->ins, &r->config, NULL);
	exec_history(r, text, root);
	exec_end_step(r, cached);
	return 0;
}
