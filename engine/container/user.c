/* engine/container/user.c: see user.h.  Lines of passwd(5) and group(5) that do not parse are
 * skipped, as libc does. */
#include "engine/container/user.h"

#include <ctype.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/strv.h"

#define ID_MAX        INT32_MAX
#define FILE_SIZE_MAX (1u << 20)

void user_done(struct user *u)
{
	free(u->groups);
	free(u->home);
	*u = (struct user){ 0 };
}

static bool all_digits(const char *s)
{
	return *s && !s[strspn(s, "0123456789")];
}

static bool parse_id(const char *s, uint32_t *id)
{
	uint64_t v;

	if (!all_digits(s) || !parse_u64(s, &v) || v > ID_MAX)
		return false;
	*id = (uint32_t)v;
	return true;
}

/* A word that looks like a number must be a good one. */
static int word_id(const char *word, const char *what, bool *numeric, uint32_t *id, struct err *e)
{
	const char *digits = *word == '-' || *word == '+' ? word + 1 : word;

	*numeric = all_digits(digits);
	if (*numeric && !parse_id(word, id))
		return err_set(e, ERANGE, "%s \"%.64s\" is out of range: 0 to %d", what, word,
			       ID_MAX);
	return 0;
}

/* The next line of *text split at colons; NULL at the end.  strv_free() it. */
static char **next_entry(const char **text)
{
	while (**text) {
		size_t n = strcspn(*text, "\n");
		_cleanup_(free_p) char *line = xstrndup(*text, n);

		*text += n + ((*text)[n] == '\n');
		if (*line && *line != '#')
			return strv_split(line, ':', false);
	}
	return NULL;
}

struct entry {
	char *name, *home;
	uint32_t uid, gid;
};

static bool find_passwd(const char *passwd, const char *name, bool numeric, uint32_t uid,
			struct entry *out)
{
	for (;;) {
		_cleanup_(strv_freep) char **f = next_entry(&passwd);
		struct entry it = { 0 };

		if (!f)
			return false;
		if (strv_len(f) < 6 || !*f[0] || !parse_id(f[2], &it.uid) ||
		    !parse_id(f[3], &it.gid))
			continue;
		if (numeric ? it.uid != uid : !streq(f[0], name))
			continue;
		it.name = xstrdup(f[0]);
		it.home = xstrdup(*f[5] ? f[5] : "/");
		*out = it;
		return true;
	}
}

static bool find_group(const char *group, const char *name, uint32_t *gid)
{
	for (;;) {
		_cleanup_(strv_freep) char **f = next_entry(&group);

		if (!f)
			return false;
		if (strv_len(f) >= 3 && streq(f[0], name) && parse_id(f[2], gid))
			return true;
	}
}

static int add_group(struct user *u, gid_t gid, struct err *e)
{
	for (size_t i = 0; i < u->n_groups; i++)
		if (u->groups[i] == gid)
			return 0;
	if (u->n_groups == USER_GROUPS_MAX)
		return err_set(e, E2BIG, "more than %d groups", USER_GROUPS_MAX);
	u->groups = xreallocarray(u->groups, u->n_groups + 1, sizeof(gid_t));
	u->groups[u->n_groups++] = gid;
	return 0;
}

static bool is_member(const char *list, const char *name)
{
	_cleanup_(strv_freep) char **names = strv_split(list, ',', true);

	return strv_has(names, name);
}

static int add_memberships(struct user *u, const char *group, const char *name, struct err *e)
{
	for (;;) {
		_cleanup_(strv_freep) char **f = next_entry(&group);
		uint32_t gid;
		int r = 0;

		if (!f)
			return 0;
		if (strv_len(f) >= 4 && parse_id(f[2], &gid) && is_member(f[3], name))
			r = add_group(u, gid, e);
		if (r < 0)
			return r;
	}
}

/* A group by name or number. */
static int group_id(const char *word, const char *group, uint32_t *gid, struct err *e)
{
	bool numeric;
	int r = word_id(word, "group", &numeric, gid, e);

	if (r < 0 || numeric)
		return r;
	if (!find_group(group, word, gid))
		return err_set(e, ENOENT,
			       "unable to find group %.64s: no matching entries in group file",
			       word);
	return 0;
}

static int parse_user(const char *name, const char *passwd, struct user *u, struct entry *entry,
		      struct err *e)
{
	bool numeric = true;
	uint32_t uid = 0;
	int r = *name ? word_id(name, "user", &numeric, &uid, e) : 0;

	if (r < 0)
		return r;
	if (find_passwd(passwd, name, numeric, uid, entry)) {
		u->uid = entry->uid;
		u->gid = entry->gid;
	} else if (numeric) {
		u->uid = uid;
	} else {
		return err_set(e, ENOENT,
			       "unable to find user %.64s: no matching entries in passwd file",
			       name);
	}
	u->home = xstrdup(entry->home ? entry->home : "/");
	return 0;
}

static int parse_groups(const char *word, char *const *group_add, const char *group, struct user *u,
			const struct entry *entry, struct err *e)
{
	int r = is_empty(word) ? 0 : group_id(word, group, &u->gid, e);

	if (r == 0)
		r = add_group(u, u->gid, e);
	if (r == 0 && is_empty(word) && entry->name)
		r = add_memberships(u, group, entry->name, e);
	STRV_FOREACH (extra, group_add) {
		uint32_t gid;

		if (r == 0)
			r = group_id(*extra, group, &gid, e);
		if (r == 0)
			r = add_group(u, gid, e);
	}
	return r;
}

int user_parse(const char *text, char *const *group_add, const char *passwd, const char *group,
	       struct user *out, struct err *e)
{
	const char *colon = strchr(text ? text : "", ':');
	_cleanup_(free_p) char *name = NULL;
	struct entry entry = { 0 };
	int r;

	*out = (struct user){ 0 };
	if (!text)
		text = "";
	name = xstrndup(text, colon ? (size_t)(colon - text) : strlen(text));
	r = parse_user(name, passwd, out, &entry, e);
	if (r == 0)
		r = parse_groups(colon ? colon + 1 : "", group_add, group, out, &entry, e);
	free(entry.name);
	free(entry.home);
	if (r < 0)
		user_done(out);
	return r;
}

static int read_in_root(int rootfd, const char *path, struct buf *out, struct err *e)
{
	struct err e2 = ERR_INIT;
	_cleanup_(fd_closep) int fd = -EBADF;
	struct stat st;
	int r;

	fd = fd_open_in_root(rootfd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, &e2);
	if (fd == -ENOENT || fd == -ENOTDIR)
		return 0;
	if (fd < 0) {
		if (e)
			*e = e2;
		return fd;
	}
	if (fstat(fd, &st) < 0)
		return err_errno(e, errno, "stat %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "%s in the image is not a regular file", path);
	r = fd_read_all(fd, FILE_SIZE_MAX, out);
	if (r == -EFBIG)
		return err_set(e, EFBIG, "%s in the image is larger than %u bytes", path,
			       FILE_SIZE_MAX);
	return r < 0 ? err_errno(e, -r, "read %s", path) : 0;
}

int user_lookup(int rootfd, const char *text, char *const *group_add, struct user *out,
		struct err *e)
{
	_cleanup_(buf_done) struct buf passwd = BUF_INIT, group = BUF_INIT;
	int r = read_in_root(rootfd, "/etc/passwd", &passwd, e);

	if (r == 0)
		r = read_in_root(rootfd, "/etc/group", &group, e);
	if (r < 0)
		return r;
	return user_parse(text, group_add, buf_str(&passwd), buf_str(&group), out, e);
}
