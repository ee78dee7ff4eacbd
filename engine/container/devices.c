/* engine/container/devices.c: see devices.h.
 *
 * The standard rules are what runc and Docker settled on: anything may be
 * made with mknod(2), but only the harmless ones may be opened.
 */
#include "engine/container/devices.h"

#include <ctype.h>
#include <dirent.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/strv.h"

#define DEPTH_MAX 4 /* of directories below a device directory */

static const struct device_rule standard[] = {
	{ 'c', DEVICE_ANY, DEVICE_ANY, DEVICE_MKNOD },
	{ 'b', DEVICE_ANY, DEVICE_ANY, DEVICE_MKNOD },
	{ 'c', 1, 3, DEVICE_ALL },            /* null */
	{ 'c', 1, 5, DEVICE_ALL },            /* zero */
	{ 'c', 1, 7, DEVICE_ALL },            /* full */
	{ 'c', 1, 8, DEVICE_ALL },            /* random */
	{ 'c', 1, 9, DEVICE_ALL },            /* urandom */
	{ 'c', 5, 0, DEVICE_ALL },            /* tty */
	{ 'c', 5, 1, DEVICE_ALL },            /* console */
	{ 'c', 5, 2, DEVICE_ALL },            /* ptmx */
	{ 'c', 136, DEVICE_ANY, DEVICE_ALL }, /* pts */
};

static void add_rule(struct device_list *l, struct device_rule r)
{
	l->rules = xreallocarray(l->rules, l->n_rules + 1, sizeof(*l->rules));
	l->rules[l->n_rules++] = r;
}

static void add_node(struct device_list *l, const char *path, const struct stat *st,
		     unsigned int access)
{
	l->nodes = xreallocarray(l->nodes, l->n_nodes + 1, sizeof(*l->nodes));
	l->nodes[l->n_nodes++] = (struct device_node){
		.path = xstrdup(path),
		.mode = st->st_mode,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.major = major(st->st_rdev),
		.minor = minor(st->st_rdev),
		.access = access,
	};
	add_rule(l, (struct device_rule){ S_ISBLK(st->st_mode) ? 'b' : 'c', major(st->st_rdev),
					  minor(st->st_rdev), access });
}

static int parse_access(const char *text, unsigned int *access, struct err *e)
{
	*access = 0;
	for (const char *p = text; *p; p++) {
		if (*p == 'r')
			*access |= DEVICE_READ;
		else if (*p == 'w')
			*access |= DEVICE_WRITE;
		else if (*p == 'm')
			*access |= DEVICE_MKNOD;
		else
			return err_set(e, EINVAL,
				       "device permissions \"%s\" are not made of r, w, m", text);
	}
	return *access ? 0 : err_set(e, EINVAL, "device permissions are empty");
}

/* Every device below @dir, under the same names below @target.  Links, ptys and
 * mounted directories of /dev that the container has its own of are left out. */
static int add_directory(struct device_list *l, int dirfd, const char *source, const char *target,
			 unsigned int access, int depth, struct err *e)
{
	static const char *const own[] = { "pts",    "shm",     "fd",   "mqueue",      "console",
					   "ptmx",   "tty",     "null", "zero",        "full",
					   "random", "urandom", ".lxc", ".lxd-mounts", ".udev" };
	_cleanup_(dir_closep) DIR *dir = fdopendir(dirfd);
	struct dirent *d;

	if (!dir) {
		fd_close(dirfd);
		return err_errno(e, ENOMEM, "open %s", source);
	}
	while ((d = readdir(dir))) {
		_cleanup_(free_p) char *from = NULL, *to = NULL;
		bool skip = streq(d->d_name, ".") || streq(d->d_name, "..");
		struct stat st;
		int fd, r;

		for (size_t i = 0; i < ARRAY_SIZE(own) && depth == 0 && streq(target, "/dev"); i++)
			skip |= streq(own[i], d->d_name);
		if (skip || fstatat(dirfd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		from = xasprintf("%s/%s", source, d->d_name);
		to = xasprintf("%s/%s", target, d->d_name);
		if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
			add_node(l, to, &st, access);
		if (!S_ISDIR(st.st_mode) || depth >= DEPTH_MAX)
			continue;
		fd = openat(dirfd, d->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			continue; /* gone meanwhile: devices come and go */
		r = add_directory(l, fd, from, to, access, depth + 1, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_device(struct device_list *l, const struct device_spec *d, struct err *e)
{
	const char *target = is_empty(d->target) ? d->source : d->target;
	unsigned int access;
	struct stat st;
	int fd, r;

	r = parse_access(is_empty(d->permissions) ? "rwm" : d->permissions, &access, e);
	if (r < 0)
		return r;
	if (target[0] != '/')
		return err_set(e, EINVAL, "device %s: the path in the container must be absolute",
			       d->source);
	if (stat(d->source, &st) < 0)
		return err_errno(e, errno, "device %s", d->source);
	if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) {
		add_node(l, target, &st, access);
		return 0;
	}
	if (!S_ISDIR(st.st_mode))
		return err_set(e, EINVAL, "device %s is not a device", d->source);
	fd = open(d->source, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, errno, "device %s", d->source);
	return add_directory(l, fd, d->source, target, access, 0, e);
}

int devices_from_spec(const struct container_spec *s, struct device_list *out, struct err *e)
{
	int r = 0;

	*out = (struct device_list){ .all = s->privileged };
	for (size_t i = 0; i < ARRAY_SIZE(standard); i++)
		add_rule(out, standard[i]);
	for (size_t i = 0; r == 0 && i < s->n_devices; i++)
		r = add_device(out, &s->devices[i], e);
	if (r == 0 && s->privileged) {
		int fd = open("/dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		r = fd < 0 ? err_errno(e, errno, "open /dev")
			   : add_directory(out, fd, "/dev", "/dev", DEVICE_ALL, 0, e);
	}
	STRV_FOREACH (text, s->device_cgroup_rules) {
		struct device_rule rule;

		if (r == 0)
			r = device_rule_parse(*text, &rule, e);
		if (r == 0)
			add_rule(out, rule);
	}
	if (r < 0)
		device_list_done(out);
	return r;
}

void device_list_done(struct device_list *l)
{
	for (size_t i = 0; i < l->n_nodes; i++)
		free(l->nodes[i].path);
	free(l->nodes);
	free(l->rules);
	*l = (struct device_list){ 0 };
}

static bool parse_number(const char *text, unsigned int *out)
{
	uint64_t v;

	if (streq(text, "*")) {
		*out = DEVICE_ANY;
		return true;
	}
	if (!parse_u64(text, &v) || v >= DEVICE_ANY)
		return false;
	*out = (unsigned int)v;
	return true;
}

int device_rule_parse(const char *text, struct device_rule *out, struct err *e)
{
	char type, major_text[12], minor_text[12], access[8], rest;

	if (sscanf(text, "%c %11[0-9*]:%11[0-9*] %7s %c", &type, major_text, minor_text, access,
		   &rest) != 4 ||
	    !strchr("abc", type) || !parse_number(major_text, &out->major) ||
	    !parse_number(minor_text, &out->minor))
		return err_set(e, EINVAL, "device rule \"%s\" does not look like \"c 10:200 rwm\"",
			       text);
	out->type = type;
	return parse_access(access, &out->access, e);
}

static void number_text(unsigned int n, char buf[12])
{
	if (n == DEVICE_ANY)
		strcpy(buf, "*");
	else
		snprintf(buf, 12, "%u", n);
}

const char *device_rule_text(const struct device_rule *r, char buf[DEVICE_RULE_MAX])
{
	char ma[12], mi[12];

	number_text(r->major, ma);
	number_text(r->minor, mi);
	snprintf(buf, DEVICE_RULE_MAX, "%c %s:%s %s%s%s", r->type, ma, mi,
		 r->access & DEVICE_READ ? "r" : "", r->access & DEVICE_WRITE ? "w" : "",
		 r->access & DEVICE_MKNOD ? "m" : "");
	return buf;
}
