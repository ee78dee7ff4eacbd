/* engine/image/extractor.c: the trusted side of comp-extract (extractor.h, pack.h).
 *
 * For a layer this process reads the source, hashes it, and feeds it through a
 * pipe, while the helper on the other core unpacks.  The hash of what was fed is
 * the blob's digest, and the diff id too if the tar was not compressed.  For a
 * compressed one the helper says the diff id, because decompressing is as
 * dangerous as unpacking; nothing is lost by that, since whoever controls the
 * helper controls what the files say anyway.
 *
 * The pipe is non-blocking and polled together with the socket: a helper that
 * waits for us to take a message must not wait for ever.
 */
#include "engine/image/extractor.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>

#include "base/fd.h"
#include "base/spawn.h"
#include "engine/image/extract.h"
#include "engine/image/tree.h"
#include "engine/image/unpack.h"

#define CHUNK     (256U << 10)
#define PIPE_SIZE (1 << 20)
#define RESERVE   (UINT64_C(1) << 30)
#define IMPLIED_MAX (4U << 20) /* bytes of paths */

struct helper {
	pid_t pid;
	int pidfd;
	int sock;
	int dirfd; /* borrowed: the directory it works in */
	extractor_entry_fn fn;
	void *data;
	int out; /* borrowed: where a packed archive goes; -EBADF: nowhere */
	bool done, failed;
	bool packing;
	struct map implied; /* layer: paths, as keys */
	size_t n_implied;   /* bytes of them */
	struct extract_done result;
	struct pack_result packed;
	struct err err;
};

void extractor_limits(int dirfd, uint64_t *max_bytes, uint64_t *max_files)
{
	uint64_t size, avail, reserve;
	struct statvfs st;

	*max_bytes = UINT64_MAX;
	*max_files = UNPACK_MAX_FILES;
	if (fstatvfs(dirfd, &st) < 0)
		return;
	size = (uint64_t)st.f_blocks * st.f_frsize;
	avail = (uint64_t)st.f_bavail * st.f_frsize;
	reserve = MIN(size / 20, RESERVE);
	*max_bytes = avail > reserve ? avail - reserve : 0;
	/* Some file systems have no fixed number of inodes and say 0. */
	if (st.f_files)
		*max_files = MIN(*max_files, st.f_favail > 1024 ? (uint64_t)st.f_favail - 1024 : 0);
}

static void helper_done(struct helper *h)
{
	if (h->pid > 0) {
		(void)kill(h->pid, SIGKILL); /* ours and not yet waited for: cannot be another */
		(void)spawn_wait(h->pid);
	}
	h->pid = 0;
	h->pidfd = fd_close(h->pidfd);
	h->sock = fd_close(h->sock);
	map_done(&h->implied);
}

static int helper_start(struct helper *h, char *const *argv, int input, struct err *e)
{
	_cleanup_(free_p) char *path = spawn_helper_path("comp-extract");
	_cleanup_(fd_closep) int theirs = -EBADF;
	struct spawn_opts o = SPAWN_OPTS_INIT;
	int pair[2], pass[3], r;

	r = fd_socketpair(SOCK_SEQPACKET, pair, e);
	if (r < 0)
		return r;
	h->sock = pair[0];
	theirs = pair[1];
	pass[0] = h->dirfd;
	pass[1] = theirs;
	pass[2] = h->out;
	o.path = path;
	o.argv = argv;
	o.stdin_fd = input;
	o.pass = pass;
	o.n_pass = h->out >= 0 ? 3 : 2;
	o.die_with_parent = true;
	r = spawn_start(&o, &h->pid, &h->pidfd, e);
	if (r < 0)
		h->pid = 0;
	return r;
}

/* ---- messages from the helper -------------------------------------------------- */

static int bad_message(struct err *e)
{
	return err_set(e, EPROTO, "comp-extract sent a message that makes no sense");
}

/* The mark that hides what lower layers have in this directory; Linux
 * Documentation/filesystems/overlayfs.rst.  The descriptor must be of a directory
 * in the file system of the layer. */
static int on_opaque(struct helper *h, int fd, struct err *e)
{
	struct stat st, root;

	if (fd < 0 || fstat(fd, &st) < 0 || fstat(h->dirfd, &root) < 0 || !S_ISDIR(st.st_mode) ||
	    st.st_dev != root.st_dev)
		return bad_message(e);
	if (fsetxattr(fd, "trusted.overlay.opaque", "y", 1, 0) < 0)
		return err_errno(e, errno, "mark an opaque directory");
	return 0;
}

/* Nobody but a hostile layer has so many; then what was made for want of them stays. */
static int on_implied(struct helper *h, const struct extract_message *m, size_t n, struct err *e)
{
	_cleanup_(free_p) char *path = NULL, *clean = NULL;

	if (h->fn || h->packing || n < offsetof(struct extract_message, text) ||
	    n - offsetof(struct extract_message, text) >= EXTRACT_MAX_NAME)
		return bad_message(e);
	path = xstrndup(m->text, n - offsetof(struct extract_message, text));
	clean = tree_clean(path, e);
	if (!clean || !streq(clean, path) || strlen(path) != n - offsetof(struct extract_message, text))
		return bad_message(e);
	h->n_implied += n;
	if (h->n_implied <= IMPLIED_MAX)
		map_put(&h->implied, path, NULL);
	return 0;
}

static int on_entry(struct helper *h, const struct extract_message *m, size_t n, struct err *e)
{
	char name[EXTRACT_MAX_NAME], link[EXTRACT_MAX_NAME];
	const struct extract_entry *x = &m->entry;
	struct archive_entry_info i = { .name = name, .link = x->is_link ? link : NULL };

	if (!h->fn || n < offsetof(struct extract_message, text) || x->n_name >= sizeof(name) ||
	    x->n_link >= sizeof(link) ||
	    n != offsetof(struct extract_message, text) + x->n_name + x->n_link)
		return bad_message(e);
	memcpy(name, m->text, x->n_name);
	name[x->n_name] = '\0';
	memcpy(link, m->text + x->n_name, x->n_link);
	link[x->n_link] = '\0';
	i.hardlink = x->is_link == 2;
	i.number = x->number && x->number <= EXTRACT_MAX_INDEX ? (int)x->number : -1;
	i.offset = x->offset;
	i.size = x->size;
	return h->fn(h->data, &i, e);
}

static bool digest_ends(char digest[DIGEST_MAX])
{
	return !digest[DIGEST_MAX - 1] && digest_is_valid(digest);
}

static int on_message(struct helper *h, struct extract_message *m, size_t n, int fd, struct err *e)
{
	if (n < sizeof(m->type) || h->done || h->failed)
		return bad_message(e);
	switch (m->type) {
	case EXTRACT_OPAQUE:
		return on_opaque(h, fd, e);
	case EXTRACT_IMPLIED:
		return on_implied(h, m, n, e);
	case EXTRACT_ENTRY:
		return on_entry(h, m, n, e);
	case EXTRACT_DONE:
		if (n != offsetof(struct extract_message, text) || h->packing)
			return bad_message(e);
		h->result = m->done;
		h->result.diff_id[DIGEST_MAX - 1] = '\0';
		h->done = true;
		return 0;
	case EXTRACT_PACKED:
		if (n != offsetof(struct extract_message, text) || !h->packing ||
		    !digest_ends(m->packed.diff_id) || !digest_ends(m->packed.digest))
			return bad_message(e);
		h->packed = m->packed;
		h->done = true;
		return 0;
	case EXTRACT_ERROR:
		if (n != offsetof(struct extract_message, text) || m->err.code <= 0)
			return bad_message(e);
		m->err.msg[ERR_MSG_MAX - 1] = '\0';
		err_set(&h->err, m->err.code, "%s", m->err.msg);
		h->failed = true;
		return 0;
	default:
		return bad_message(e);
	}
}

/* Take one message; 1, 0 when the helper has hung up, -errno. */
static int receive(struct helper *h, struct err *e)
{
	struct extract_message m = { 0 };
	size_t n_fds = 1;
	int fd = -EBADF, r;
	ssize_t n = fd_recv(h->sock, &m, sizeof(m), &fd, &n_fds);

	if (n < 0)
		return err_errno(e, (int)-n, "receive from comp-extract");
	if (n == 0)
		return 0;
	r = on_message(h, &m, (size_t)n, n_fds ? fd : -EBADF, e);
	if (n_fds)
		fd_close(fd);
	return r < 0 ? r : 1;
}

/* Everything was fed: take the rest of its messages, wait, and say how it went. */
static int helper_finish(struct helper *h, struct err *e)
{
	int r, code;

	while ((r = receive(h, e)) > 0)
		;
	if (r < 0)
		return r;
	code = spawn_wait(h->pid);
	h->pid = 0;
	if (h->failed)
		return err_set(e, h->err.code, "%s", h->err.msg);
	if (h->done && code == 0)
		return 0;
	if (code > 128)
		return err_set(e, EBADMSG, "comp-extract was killed by signal %d", code - 128);
	return err_set(e, EBADMSG, "comp-extract failed with exit code %d", code);
}

/* ---- feeding -------------------------------------------------------------------- */

struct feed {
	const struct layer_source *src;
	uint64_t done;
	struct hasher *hasher;
	int pipe;
};

static ssize_t feed_read(struct feed *f, char *p, size_t n)
{
	const struct layer_source *s = f->src;
	ssize_t r;

	if (s->size != UINT64_MAX)
		n = MIN(n, s->size - f->done);
	if (n == 0)
		return 0;
	do {
		r = s->size == UINT64_MAX ? read(s->fd, p, n)
					  : pread(s->fd, p, n, (off_t)(s->offset + f->done));
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

/* Until the pipe takes more, or the helper has something to say. */
static int wait_for_helper(struct helper *h, int pipe, struct err *e)
{
	struct pollfd p[] = { { .fd = pipe, .events = POLLOUT },
			      { .fd = h->sock, .events = POLLIN } };

	if (poll(p, ARRAY_SIZE(p), -1) < 0)
		return errno == EINTR ? 0 : err_errno(e, errno, "poll");
	/* Nothing to receive any more but the pipe still open cannot last: its
	 * end closes at the same exit. */
	return p[1].revents & POLLIN ? receive(h, e) : 0;
}

/* Returns 1 when the helper does not want any more. */
static int feed_write(struct helper *h, struct feed *f, const char *p, size_t n, struct err *e)
{
	while (n > 0) {
		ssize_t w = write(f->pipe, p, n);
		int r = 0;

		if (w > 0) {
			p += w;
			n -= (size_t)w;
		} else if (errno == EPIPE) {
			return 1;
		} else if (errno == EAGAIN) {
			r = wait_for_helper(h, f->pipe, e);
		} else if (errno != EINTR) {
			return err_errno(e, errno, "write to comp-extract");
		}
		if (r < 0)
			return r;
	}
	return 0;
}

static int feed_all(struct helper *h, struct feed *f, struct err *e)
{
	_cleanup_(free_p) char *chunk = xmalloc(CHUNK);
	int r = 0;

	while (r == 0) {
		ssize_t n = feed_read(f, chunk, CHUNK);

		if (n < 0)
			return err_errno(e, (int)-n, "read");
		if (n == 0)
			break;
		f->done += (uint64_t)n;
		hasher_add(f->hasher, chunk, (size_t)n);
		r = feed_write(h, f, chunk, (size_t)n, e);
	}
	if (r == 0 && f->src->size != UINT64_MAX && f->done < f->src->size)
		return err_set(e, EBADMSG, "the archive ends in the middle of it");
	return r < 0 ? r : 0;
}

static int compare(const char *what, const char *want, const char *got, struct err *e)
{
	if (!want || streq(want, got))
		return 0;
	return err_set(e, EBADMSG, "its %s is %s, and should be %s", what, got, want);
}

static int verify(const struct layer_source *src, const struct extract_done *done,
		  const char *digest, struct layer_info *out, struct err *e)
{
	const char *diff_id = done->compressed ? done->diff_id : digest;
	int r = compare("digest", src->digest, digest, e);

	if (r == 0 && !digest_is_valid(diff_id))
		r = bad_message(e);
	if (r == 0)
		r = compare("diff id", src->diff_id, diff_id, e);
	if (r < 0)
		return r;
	memcpy(out->diff_id, diff_id, DIGEST_MAX);
	memcpy(out->blob, digest, DIGEST_MAX);
	out->size = done->bytes;
	out->n_files = done->files;
	return 0;
}

static int run_layer(struct helper *h, const struct layer_source *src, struct layer_info *out,
		     struct err *e)
{
	_cleanup_(hasher_freep) struct hasher *hasher = hasher_new();
	_cleanup_(fd_closep) int rd = -EBADF, wr = -EBADF;
	char bytes[24], files[24], digest[DIGEST_MAX];
	char *argv[] = { "comp-extract", "layer", bytes, files, NULL };
	struct feed f = { .src = src, .hasher = hasher };
	uint64_t max_bytes, max_files;
	int p[2], r;

	extractor_limits(h->dirfd, &max_bytes, &max_files);
	snprintf(bytes, sizeof(bytes), "%ju", (uintmax_t)max_bytes);
	snprintf(files, sizeof(files), "%ju", (uintmax_t)max_files);
	r = fd_pipe(p, e);
	if (r < 0)
		return r;
	rd = p[0];
	f.pipe = wr = p[1];
	(void)fcntl(wr, F_SETPIPE_SZ, PIPE_SIZE); /* smaller is slower, no more */
	(void)fd_set_nonblock(wr, true);
	r = helper_start(h, argv, rd, e);
	rd = fd_close(rd);
	if (r == 0)
		r = feed_all(h, &f, e);
	wr = fd_close(wr);
	if (r == 0)
		r = helper_finish(h, e);
	if (r < 0)
		return r;
	hasher_end(hasher, digest);
	return verify(src, &h->result, digest, out, e);
}

int extractor_layer(const struct layer_source *src, int dirfd, struct layer_info *out,
		    struct map *implied, struct err *e)
{
	struct helper h = { .pidfd = -EBADF, .sock = -EBADF, .dirfd = dirfd, .out = -EBADF };
	int r = run_layer(&h, src, out, e);

	if (r == 0 && implied) {
		*implied = h.implied;
		h.implied = MAP_INIT;
	}
	helper_done(&h);
	return r < 0 ? err_wrap(e, r, "%s", src->what) : 0;
}

/* ---- in steps ------------------------------------------------------------------- */

struct extraction {
	struct helper h;
	struct layer_source src;
	int pipe; /* closed when all was fed, or the helper does not want more */
	uint64_t fed;
};

int extraction_start(const struct layer_source *src, int dirfd, struct extraction **out,
		     struct err *e)
{
	_cleanup_(extraction_freep) struct extraction *x = new0(struct extraction);
	char bytes[24], files[24];
	char *argv[] = { "comp-extract", "layer", bytes, files, NULL };
	uint64_t max_bytes, max_files;
	int p[2], r;

	x->src = *src;
	x->pipe = -EBADF;
	x->h = (struct helper){ .pidfd = -EBADF, .sock = -EBADF, .dirfd = dirfd, .out = -EBADF };
	extractor_limits(dirfd, &max_bytes, &max_files);
	snprintf(bytes, sizeof(bytes), "%ju", (uintmax_t)max_bytes);
	snprintf(files, sizeof(files), "%ju", (uintmax_t)max_files);
	r = fd_pipe(p, e);
	if (r < 0)
		return r;
	x->pipe = p[1];
	(void)fcntl(x->pipe, F_SETPIPE_SZ, PIPE_SIZE); /* smaller is slower, no more */
	(void)fd_set_nonblock(x->pipe, true);
	r = helper_start(&x->h, argv, p[0], e);
	fd_close(p[0]);
	if (r < 0)
		return r;
	(void)fd_set_nonblock(x->h.sock, true);
	*out = TAKE_PTR(x);
	return 0;
}

void extraction_free(struct extraction *x)
{
	if (!x)
		return;
	fd_close(x->pipe);
	helper_done(&x->h);
	free(x);
}

void extraction_poll(const struct extraction *x, uint64_t available, struct pollfd p[2])
{
	p[0] = (struct pollfd){ .fd = x->h.sock, .events = POLLIN };
	p[1] = (struct pollfd){ .fd = -1 };
	if (x->pipe >= 0 && x->fed < available)
		p[1] = (struct pollfd){ .fd = x->pipe, .events = POLLOUT };
}

const struct map *extraction_implied(const struct extraction *x)
{
	return &x->h.implied;
}

/* The pages of the file go into the pipe as they are: nothing is copied here. */
static int extraction_feed(struct extraction *x, uint64_t available, struct err *e)
{
	while (x->pipe >= 0 && x->fed < available) {
		off_t offset = (off_t)(x->src.offset + x->fed);
		ssize_t n = splice(x->src.fd, &offset, x->pipe, NULL,
				   MIN(available - x->fed, (uint64_t)PIPE_SIZE),
				   SPLICE_F_NONBLOCK | SPLICE_F_MOVE);

		if (n > 0) {
			x->fed += (uint64_t)n;
		} else if (n == 0) {
			return err_set(e, EIO, "%s became shorter", x->src.what);
		} else if (errno == EAGAIN) {
			return 0;
		} else if (errno == EPIPE) {
			x->pipe = fd_close(x->pipe); /* it will say why */
		} else if (errno != EINTR) {
			return err_errno(e, errno, "write to comp-extract");
		}
	}
	if (x->fed == x->src.size)
		x->pipe = fd_close(x->pipe);
	return 0;
}

static int extraction_finish(struct extraction *x, struct layer_info *out, struct err *e)
{
	int r;

	(void)fd_set_nonblock(x->h.sock, false); /* it has hung up: nothing waits any more */
	r = helper_finish(&x->h, e);
	if (r == 0)
		r = verify(&x->src, &x->h.result, x->src.digest, out, e);
	return r < 0 ? r : 1;
}

int extraction_step(struct extraction *x, uint64_t available, struct layer_info *out,
		    struct err *e)
{
	int r = extraction_feed(x, available, e);

	while (r == 0) {
		int n = receive(&x->h, e);

		if (n == -EAGAIN) {
			if (e)
				*e = ERR_INIT;
			return 0;
		}
		if (n > 0)
			continue;
		r = n < 0 ? n : extraction_finish(x, out, e);
	}
	return r < 0 ? err_wrap(e, r, "%s", x->src.what) : r;
}

/* ---- listing --------------------------------------------------------------------- */

static bool is_plain_file(int fd)
{
	struct stat st;
	unsigned char magic[6] = { 0 };

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || lseek(fd, 0, SEEK_CUR) != 0)
		return false;
	(void)!pread(fd, magic, sizeof(magic), 0);
	return !(magic[0] == 0x1f && magic[1] == 0x8b) &&
	       memcmp(magic, "\x28\xb5\x2f\xfd", 4) != 0 &&
	       memcmp(magic,
		      "\xfd"
		      "7zXZ",
		      6) != 0;
}

int extractor_list(int fd, int spool, extractor_entry_fn fn, void *data, struct err *e)
{
	struct helper h = {
		.pidfd = -EBADF, .sock = -EBADF, .dirfd = spool, .out = -EBADF, .fn = fn,
		.data = data
	};
	char bytes[24], files[24];
	char *in_place[] = { "comp-extract", "index", NULL };
	char *spooled[] = { "comp-extract", "spool", bytes, files, NULL };
	uint64_t max_bytes, max_files;
	int r;

	extractor_limits(spool, &max_bytes, &max_files);
	snprintf(bytes, sizeof(bytes), "%ju", (uintmax_t)max_bytes);
	snprintf(files, sizeof(files), "%ju", (uintmax_t)max_files);
	r = helper_start(&h, is_plain_file(fd) ? in_place : spooled, fd, e);
	if (r == 0)
		r = helper_finish(&h, e);
	helper_done(&h);
	return r;
}

/* ---- packing --------------------------------------------------------------------- */

static int pack(const char *mode, int dirfd, enum compression c, int out_fd,
		struct pack_result *out, struct err *e)
{
	struct helper h = { .pidfd = -EBADF,
			    .sock = -EBADF,
			    .dirfd = dirfd,
			    .out = out_fd,
			    .packing = true };
	char format[2] = { (char)('0' + c), '\0' };
	char *argv[] = { "comp-extract", (char *)mode, format, NULL };
	int r = helper_start(&h, argv, SPAWN_NULL, e);

	if (r == 0)
		r = helper_finish(&h, e);
	helper_done(&h);
	*out = h.packed;
	return r;
}

int pack_layer(int layer_dirfd, enum compression c, int out_fd, struct pack_result *out,
	       struct err *e)
{
	return pack("pack-layer", layer_dirfd, c, out_fd, out, e);
}

int pack_tree(int dirfd, enum compression c, int out_fd, struct pack_result *out, struct err *e)
{
	return pack("pack-tree", dirfd, c, out_fd, out, e);
}
