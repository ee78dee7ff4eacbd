/* volumes/bind.c: see bind.h.
 *
 * open_tree(OPEN_TREE_CLONE) copies a mount without attaching it; attributes
 * are set while nobody can see it, and move_mount(2) puts it in place by
 * descriptor, so neither end is ever looked up twice (CVE-2021-30465).
 */
#include "volumes/bind.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "volumes/options.h"

int bind_setattr(int mount_fd, uint64_t set, uint64_t clear, bool recursive, struct err *e)
{
	struct mount_attr attr = { .attr_set = set, .attr_clr = clear };
	unsigned int flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);

	if (mount_setattr(mount_fd, "", flags, &attr, sizeof(attr)) < 0)
		return err_errno(e, errno, "set mount attributes");
	return 0;
}

/* Sources start out in the peer groups they have on the host. */
static int set_propagation(int fd, const char *name, struct err *e)
{
	static const struct {
		const char *name;
		uint64_t type;
	} types[] = { { "private", MS_PRIVATE }, { "slave", MS_SLAVE }, { "shared", MS_SHARED } };
	const char *word = name && *name ? name : "rprivate";
	bool recursive = word[0] == 'r';

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		struct mount_attr attr = { .propagation = types[i].type };

		if (!streq(word + recursive, types[i].name))
			continue;
		if (mount_setattr(fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attr,
				  sizeof(attr)) < 0)
			return err_errno(e, errno, "set propagation %s", word);
		return 0;
	}
	return err_set(e, EINVAL, "unknown propagation \"%s\"", word);
}

static int finish(int tree, bool read_only, const char *propagation, struct err *e)
{
	int r = set_propagation(tree, propagation, e);

	/* Recursive, unlike MS_BIND|MS_REMOUNT|MS_RDONLY, which left submounts writable. */
	if (r == 0 && read_only)
		r = bind_setattr(tree, MOUNT_ATTR_RDONLY, 0, true, e);
	return r;
}

int bind_open(const char *source, bool create, bool read_only, const char *propagation,
	      struct err *e)
{
	const unsigned int flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE;
	_cleanup_(fd_closep) int fd = open_tree(AT_FDCWD, source, flags);
	int r;

	if (fd < 0 && errno == ENOENT && create) {
		r = mkdir_p(AT_FDCWD, source, 0755, e);
		if (r < 0)
			return r;
		fd = open_tree(AT_FDCWD, source, flags);
	}
	if (fd < 0 && errno == ENOENT) {
		err_set(e, ENOENT, "bind source path does not exist: %s", source);
		return err_hint(e, "create it, or use the short syntax, which does");
	}
	if (fd < 0)
		return err_errno(e, errno, "bind source %s", source);
	r = finish(fd, read_only, propagation, e);
	return r < 0 ? r : TAKE_FD(fd);
}

int bind_open_fd(int from, bool read_only, const char *propagation, struct err *e)
{
	_cleanup_(fd_closep) int fd = open_tree(
		from, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_EMPTY_PATH);
	int r;

	if (fd < 0)
		return err_errno(e, errno, "copy the mount");
	r = finish(fd, read_only, propagation, e);
	return r < 0 ? r : TAKE_FD(fd);
}

int bind_tmpfs(uint64_t size, uint32_t mode, const char *options, bool read_only, struct err *e)
{
	_cleanup_(mount_options_done) struct mount_options o = {
		.set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
	};
	char text[64];

	snprintf(text, sizeof(text), "mode=%o", mode ? mode & 07777 : 01777);
	mount_options_parse(&o, text);
	if (size) {
		snprintf(text, sizeof(text), "size=%llu", (unsigned long long)size);
		mount_options_parse(&o, text);
	}
	mount_options_parse(&o, options);
	if (read_only)
		o.set |= MOUNT_ATTR_RDONLY;
	return mount_options_create("tmpfs", "tmpfs", &o, e);
}

int bind_attach(int mount_fd, int target, struct err *e)
{
	if (move_mount(mount_fd, "", target, "",
		       MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return err_errno(e, errno, "attach the mount");
	return 0;
}
