/* net/link_watch.c: a netlink socket of its own, since what struct netlink reads are
 * answers; with a filter (socket(7), SO_ATTACH_FILTER) on the message's type.
 */
#include "net/link_watch.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/util.h"

/* The filter loads in network byte order, and the field is in the host's.  Messages come one
 * to a datagram: the kernel multicasts each change by itself. */
static int let_through_deletions(int fd)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_type)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELLINK), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = { .len = ARRAY_SIZE(code), .filter = code };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

int link_watch_open(struct err *e)
{
	_cleanup_(fd_closep) int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
					     NETLINK_ROUTE);
	struct sockaddr_nl any = { .nl_family = AF_NETLINK };
	int group = RTNLGRP_LINK;

	if (fd < 0 || let_through_deletions(fd) < 0 ||
	    bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0 ||
	    setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		return err_errno(e, errno, "watch the links");
	return TAKE_FD(fd);
}

static const char *link_name(struct nlmsghdr *h)
{
	struct ifinfomsg *info = NLMSG_DATA(h);
	int left;

	if (h->nlmsg_type != RTM_DELLINK || h->nlmsg_len < NLMSG_LENGTH(sizeof(*info)))
		return NULL;
	left = (int)IFLA_PAYLOAD(h);
	for (struct rtattr *a = IFLA_RTA(info); RTA_OK(a, left); a = RTA_NEXT(a, left))
		if (a->rta_type == IFLA_IFNAME && RTA_PAYLOAD(a) > 0 &&
		    memchr(RTA_DATA(a), '\0', RTA_PAYLOAD(a)))
			return RTA_DATA(a);
	return NULL;
}

int link_watch_read(int fd, void (*gone)(const char *name, void *data), void *data, struct err *e)
{
	_Alignas(struct nlmsghdr) char in[16384];
	int lost = 0;

	for (;;) {
		ssize_t n = recv(fd, in, sizeof(in), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == ENOBUFS) {
			lost = 1;
			continue;
		}
		if (n < 0 && errno == EAGAIN)
			return lost;
		if (n < 0)
			return err_errno(e, errno, "watch the links");
		for (struct nlmsghdr *h = (struct nlmsghdr *)in; NLMSG_OK(h, (size_t)n);
		     h = NLMSG_NEXT(h, n)) {
			const char *name = link_name(h);

			if (name)
				gone(name, data);
		}
	}
}
