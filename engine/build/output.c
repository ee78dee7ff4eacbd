/* engine/build/output.c: what was built as plain files: `--output`.
 *
 * A child with a mount namespace of its own mounts the layers and copies or packs them;
 * it tells what went wrong as a struct err through a pipe.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/spawn.h"
#include "engine/build/internal.h"
#include "engine/build/place.h"
#include "engine/image/pack.h"

static int copy_to(const char *path, int root, struct err *e)
{
	_cleanup_(fd_closep) int dir = -EBADF;
	struct place p = { .mode = -1 };
	int r = mkdir_p(AT_FDCWD, path, 0755, e);

	if (r < 0)
		return r;
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_errno(e, errno, "open %s", path);
	p.root = dir;
	return place_tree(&p, "/", root, ".", "", NULL, 0, e);
}

static int write_tree(struct build *b, struct err *e)
{
	struct run r = { .b = b, .work = xasprintf("%s/output", b->work) };
	_cleanup_(workroot_discardp) struct workroot *w = NULL;
	_cleanup_(fd_closep) int root = -EBADF;
	struct pack_result packed;
	int code = mkdir_p(AT_FDCWD, r.work, 0700, e);

	if (code == 0)
		code = workroot_mount(&r, b->results[b->graph.target].config.diff_ids, &w, e);
	if (code < 0)
		return code;
	root = openat(w->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_errno(e, errno, "open the result");
	return b->o->output ? copy_to(b->o->output, root, e)
			    : pack_tree(root, COMPRESSION_NONE, b->o->output_fd, &packed, e);
}

static int in_child(struct build *b, struct err *e)
{
	_cleanup_(fd_closep) int fd = -EBADF;
	struct err told = ERR_INIT;
	pid_t pid;
	int r = spawn_fork(&pid, &fd, e);

	if (r < 0)
		return r;
	if (r == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		umask(0);
		r = write_tree(b, &told);
		if (r < 0)
			(void)fd_write_all(fd, &told, sizeof(told));
		_exit(r < 0);
	}
	r = read(fd, &told, sizeof(told)) == sizeof(told) ? -told.code : 0;
	if (spawn_wait(pid) != 0 && r == 0)
		return err_set(e, EIO, "the process that writes the output died");
	if (r < 0 && e)
		*e = told;
	return r;
}

int output_write(struct build *b, struct err *e)
{
	uint64_t began = now_mono_ns();
	unsigned int vertex = ++b->n_vertices;
	int r;

	plan_event(b, BUILD_STARTED, vertex,
		   b->o->output ? "exporting to client directory" : "exporting to client tarball",
		   0);
	r = in_child(b, e);
	plan_event(b, r < 0 ? BUILD_FAILED : BUILD_DONE, vertex, r < 0 && e ? e->msg : "",
		   now_mono_ns() - began);
	return r;
}
