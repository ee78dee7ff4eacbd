/* A layer's bytes, unpacked into a directory of its own with a sibling beside it
 * that must stay as it is. */
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "engine/image/tar_stream.h"
#include "engine/image/unpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char top[64];

static void clean_up(void)
{
	(void)rm_rf(AT_FDCWD, top, NULL);
}

static int top_dir(void)
{
	static int fd = -EBADF;

	if (fd >= 0)
		return fd;
	strcpy(top,
	       access("/dev/shm", W_OK) == 0 ? "/dev/shm/fuzz_tar.XXXXXX" : "/tmp/fuzz_tar.XXXXXX");
	if (!mkdtemp(top))
		abort();
	atexit(clean_up);
	umask(0);
	fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert(fd >= 0 && file_write_atomic(fd, "canary", "x", 1, 0600, false, NULL) == 0);
	return fd;
}

static void check_canary(int fd)
{
	struct stat st;

	assert(fstatat(fd, "canary", &st, AT_SYMLINK_NOFOLLOW) == 0);
	assert(st.st_mode == (S_IFREG | 0600) && st.st_size == 1 && st.st_nlink == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(tar_stream_freep) struct tar_stream *t = NULL;
	_cleanup_(fd_closep) int tar = -EBADF, root = -EBADF;
	struct unpack u = { .max_bytes = 1 << 20, .max_files = 1000 };
	char diff_id[DIGEST_MAX];
	int fd = top_dir();

	assert(rm_rf(fd, "root", NULL) == 0 && mkdirat(fd, "root", 0755) == 0);
	u.root = root = openat(fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	tar = memfd_create("tar", MFD_CLOEXEC);
	assert(root >= 0 && tar >= 0 && fd_write_all(tar, data, size) == 0 &&
	       lseek(tar, 0, SEEK_SET) == 0);
	if (tar_stream_open(tar, true, true, &t, NULL) == 0 && unpack_layer(&u, t, NULL) == 0)
		(void)tar_stream_finish(t, diff_id, NULL);
	check_canary(fd);
	return 0;
}
