/* volumes/options.c: see options.h.  fsopen(2) reports errors as text read from
 * the context's descriptor; that text is far better than EINVAL, so it is kept. */
#include "volumes/options.h"

#include <sys/mount.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/strv.h"

static const struct {
	const char *word;
	uint64_t set, clear;
} attributes[] = {
	{ "ro", MOUNT_ATTR_RDONLY, 0 },
	{ "rw", 0, MOUNT_ATTR_RDONLY },
	{ "nosuid", MOUNT_ATTR_NOSUID, 0 },
	{ "suid", 0, MOUNT_ATTR_NOSUID },
	{ "nodev", MOUNT_ATTR_NODEV, 0 },
	{ "dev", 0, MOUNT_ATTR_NODEV },
	{ "noexec", MOUNT_ATTR_NOEXEC, 0 },
	{ "exec", 0, MOUNT_ATTR_NOEXEC },
	{ "noatime", MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME },
	{ "atime", 0, MOUNT_ATTR__ATIME },
	{ "relatime", 0, MOUNT_ATTR__ATIME },
	{ "strictatime", MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME },
	{ "nodiratime", MOUNT_ATTR_NODIRATIME, 0 },
	{ "diratime", 0, MOUNT_ATTR_NODIRATIME },
	{ "defaults", 0, 0 },
};

static const char *const propagations[] = { "private", "rprivate", "shared",
					    "rshared", "slave",    "rslave" };

static bool parse_word(struct mount_options *o, const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(attributes); i++)
		if (streq(word, attributes[i].word)) {
			o->set = (o->set & ~attributes[i].clear) | attributes[i].set;
			o->clear = (o->clear & ~attributes[i].set) | attributes[i].clear;
			return true;
		}
	for (size_t i = 0; i < ARRAY_SIZE(propagations); i++)
		if (streq(word, propagations[i])) {
			o->propagation = propagations[i];
			return true;
		}
	if (streq(word, "bind") || streq(word, "rbind")) {
		o->bind = true;
		o->recursive = word[0] == 'r';
		return true;
	}
	return false;
}

void mount_options_parse(struct mount_options *o, const char *text)
{
	_cleanup_(strv_freep) char **words = text ? strv_split(text, ',', true) : NULL;

	STRV_FOREACH (word, words)
		if (!parse_word(o, *word))
			strv_add(&o->data, *word);
}

void mount_options_done(struct mount_options *o)
{
	strv_free(o->data);
	*o = (struct mount_options){ 0 };
}

/* Messages come as "e tmpfs: Bad value for 'size'", one per read. */
static int context_err(int fs, int code, const char *what, struct err *e)
{
	char text[256];
	ssize_t n = read(fs, text, sizeof(text) - 1);

	if (n <= 2)
		return err_errno(e, code, "%s", what);
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return err_set(e, code, "%s: %s", what, text + 2);
}

static int apply(int fs, char *word, struct err *e)
{
	char *value = strchr(word, '=');
	int r;

	if (value) {
		*value = '\0';
		r = fsconfig(fs, FSCONFIG_SET_STRING, word, value + 1, 0);
		*value = '=';
	} else {
		r = fsconfig(fs, FSCONFIG_SET_FLAG, word, NULL, 0);
	}
	return r < 0 ? context_err(fs, errno, word, e) : 0;
}

int mount_options_create(const char *type, const char *source, const struct mount_options *o,
			 struct err *e)
{
	_cleanup_(fd_closep) int fs = fsopen(type, FSOPEN_CLOEXEC);
	int fd;

	if (fs < 0)
		return err_errno(e, errno, "file system type \"%s\"", type);
	if (source && fsconfig(fs, FSCONFIG_SET_STRING, "source", source, 0) < 0)
		return context_err(fs, errno, source, e);
	STRV_FOREACH (word, o->data) {
		int r = apply(fs, *word, e);

		if (r < 0)
			return r;
	}
	if (o->set & MOUNT_ATTR_RDONLY && !streq(type, "tmpfs"))
		(void)fsconfig(fs, FSCONFIG_SET_FLAG, "ro", NULL, 0); /* the mount is ro anyway */
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return context_err(fs, errno, source ? source : type, e);
	fd = fsmount(fs, FSMOUNT_CLOEXEC, (unsigned int)o->set);
	if (fd < 0)
		return context_err(fs, errno, source ? source : type, e);
	return fd;
}
