/* volumes/local.c: see local.h. */
#include "volumes/local.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/mount.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "volumes/bind.h"
#include "volumes/options.h"

bool local_has_options(const struct volume *v)
{
	return !is_empty(strv_env_get(v->options, "type")) ||
	       !is_empty(strv_env_get(v->options, "device"));
}

int local_check_options(char *const *options, struct err *e)
{
	static const char *const known[] = { "type", "o", "device" };
	const char *type = strv_env_get(options, "type"), *o = strv_env_get(options, "o"),
		   *device = strv_env_get(options, "device");

	STRV_FOREACH (option, options) {
		_cleanup_(free_p) char *key = xstrndup(*option, strcspn(*option, "="));
		bool good = false;

		for (size_t i = 0; i < ARRAY_SIZE(known); i++)
			good |= streq(key, known[i]);
		if (!good) {
			err_set(e, EINVAL, "invalid option: \"%s\"", key);
			return err_hint(e, "driver local knows type, o and device");
		}
	}
	if (!is_empty(o) && is_empty(device) && is_empty(type))
		return err_set(e, EINVAL, "missing device in volume options");
	if (!is_empty(type) && is_empty(device))
		return err_set(e, EINVAL, "missing device in volume options");
	if (is_empty(type) && !is_empty(device))
		return err_set(e, EINVAL, "missing type in volume options");
	return 0;
}

static int resolve(const char *host, char *out, size_t size, struct err *e)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;
	int code = getaddrinfo(host, NULL, &hints, &list);

	if (code != 0)
		return err_set(e, EHOSTUNREACH, "server %s: %s", host, gai_strerror(code));
	code = getnameinfo(list->ai_addr, list->ai_addrlen, out, (socklen_t)size, NULL, 0,
			   NI_NUMERICHOST);
	freeaddrinfo(list);
	return code ? err_set(e, EHOSTUNREACH, "server %s: %s", host, gai_strerror(code)) : 0;
}

/* The kernel wants a number in addr=; mount.nfs(8) would look the name up, so we do.  Without addr=
 * it is the server of HOST:/PATH. */
static int fix_nfs_address(struct mount_options *o, const char *device, struct err *e)
{
	const char *given = strv_env_get(o->data, "addr");
	_cleanup_(free_p) char *host = given ? xstrdup(given)
					     : xstrndup(device, strcspn(device, ":"));
	char number[INET6_ADDRSTRLEN + 16];
	int r;

	if (is_empty(host))
		return err_set(e, EINVAL, "device %s is not HOST:/PATH", device);
	r = resolve(host, number, sizeof(number), e);
	if (r == 0)
		strv_env_set(&o->data, "addr", number);
	return r;
}

static int open_bind(const char *device, const struct mount_options *o, struct err *e)
{
	_cleanup_(fd_closep) int fd = bind_open(device, false, o->set & MOUNT_ATTR_RDONLY,
						o->propagation, e);
	int r;

	if (fd < 0)
		return fd;
	r = o->set ? bind_setattr(fd, o->set, 0, true, e) : 0;
	return r < 0 ? r : TAKE_FD(fd);
}

int local_open(const struct volume *v, struct err *e)
{
	const char *type = strv_env_get(v->options, "type");
	const char *device = strv_env_get(v->options, "device");
	_cleanup_(mount_options_done) struct mount_options o = { 0 };
	int r = 0;

	mount_options_parse(&o, strv_env_get(v->options, "o"));
	if (is_empty(device))
		return err_set(e, EINVAL, "volume %s: missing device in volume options", v->name);
	if (o.bind || is_empty(type) || streq(type, "none") || streq(type, "bind")) {
		r = open_bind(device, &o, e);
	} else {
		if (skip_prefix(type, "nfs"))
			r = fix_nfs_address(&o, device, e);
		if (r == 0)
			r = mount_options_create(type, device, &o, e);
	}
	return r < 0 ? err_wrap(e, r, "volume %s", v->name) : r;
}
