/* cli/notify.c: see notify.h. */
#include "cli/notify.h"

#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/fd.h"

static bool address(struct sockaddr_un *a, socklen_t *len)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t n = path ? strlen(path) : 0;

	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (n < 2 || n >= sizeof(a->sun_path) || (path[0] != '/' && path[0] != '@'))
		return false;
	memcpy(a->sun_path, path, n);
	if (path[0] == '@')
		a->sun_path[0] = '\0';
	*len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	return true;
}

bool notify(const char *fmt, ...)
{
	_cleanup_(fd_closep) int fd = -EBADF;
	_cleanup_(free_p) char *text = NULL;
	struct sockaddr_un a;
	socklen_t len;
	va_list ap;

	if (!address(&a, &len))
		return false;
	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return fd >= 0 &&
	       sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&a, len) >= 0;
}
