/* tests/bench/floor.c: the least that N containers can cost on this machine.
 *
 * usage: floor LOWER N
 *
 * For each container, with nothing in between, the system calls that any
 * implementation needs for the same result: cgroups, a clone with all
 * namespaces, a veth pair into it with an address and a default route, an
 * overlay root with the usual mounts, pivot_root, exec of `sleep` from LOWER (a
 * busybox root file system).  Two workers, as the machine has two cores.  Then
 * the teardown: SIGKILL, wait, rmdir, delete the bridge.  No state on disk, no
 * logs, no supervision, no names: it is a floor, not a program one could use.
 *
 * Prints "up_ms teardown_ms".
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <arpa/inet.h>

#define WORKERS 2
#define MAX_N   1000

static const char *const hierarchies[] = { "memory", "cpu", "pids", "devices", "freezer" };
static char base[64];
static bool v2;

static void die(const char *what)
{
	fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die(path);
	close(fd);
}

/* ---- rtnetlink ------------------------------------------------------------- */
struct request {
	struct nlmsghdr h;
	char room[1024];
};

static void *put(struct request *r, int type, const void *data, size_t n)
{
	struct rtattr *a = (struct rtattr *)((char *)r + NLMSG_ALIGN(r->h.nlmsg_len));

	a->rta_type = (unsigned short)type;
	a->rta_len = (unsigned short)RTA_LENGTH(n);
	if (n)
		memcpy(RTA_DATA(a), data, n);
	r->h.nlmsg_len = NLMSG_ALIGN(r->h.nlmsg_len) + RTA_ALIGN(a->rta_len);
	return a;
}

static void end_nest(struct request *r, struct rtattr *a)
{
	a->rta_len = (unsigned short)((char *)r + r->h.nlmsg_len - (char *)a);
}

static void *begin(struct request *r, int type, int flags, size_t header)
{
	memset(r, 0, sizeof(*r));
	r->h.nlmsg_len = NLMSG_LENGTH(header);
	r->h.nlmsg_type = (unsigned short)type;
	r->h.nlmsg_flags = (unsigned short)(NLM_F_REQUEST | NLM_F_ACK | flags);
	return NLMSG_DATA(&r->h);
}

static int netlink(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0)
		die("netlink");
	return fd;
}

static void talk(int fd, struct request *r, const char *what)
{
	char answer[4096];
	struct nlmsghdr *h = (struct nlmsghdr *)answer;
	struct nlmsgerr *e = NLMSG_DATA(h);

	if (send(fd, r, r->h.nlmsg_len, 0) < 0 || recv(fd, answer, sizeof(answer), 0) < 0)
		die(what);
	if (h->nlmsg_type == NLMSG_ERROR && e->error) {
		errno = -e->error;
		die(what);
	}
}

static void link_up(int fd, int index)
{
	struct request r;
	struct ifinfomsg *i = begin(&r, RTM_NEWLINK, 0, sizeof(*i));

	i->ifi_index = index;
	i->ifi_flags = i->ifi_change = IFF_UP;
	talk(fd, &r, "link up");
}

static void add_address(int fd, int index, uint32_t address)
{
	struct request r;
	struct ifaddrmsg *a = begin(&r, RTM_NEWADDR, NLM_F_CREATE, sizeof(*a));

	a->ifa_family = AF_INET;
	a->ifa_prefixlen = 16;
	a->ifa_index = (unsigned int)index;
	put(&r, IFA_LOCAL, &address, 4);
	put(&r, IFA_ADDRESS, &address, 4);
	talk(fd, &r, "address");
}

static void make_bridge(int fd, const char *name)
{
	struct request r;
	struct rtattr *info;

	begin(&r, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ifinfomsg));
	put(&r, IFLA_IFNAME, name, strlen(name) + 1);
	info = put(&r, IFLA_LINKINFO, NULL, 0);
	put(&r, IFLA_INFO_KIND, "bridge", 6);
	end_nest(&r, info);
	talk(fd, &r, "bridge");
	add_address(fd, (int)if_nametoindex(name), htonl(0xc6134001)); /* 198.19.64.1 */
	link_up(fd, (int)if_nametoindex(name));
}

static void make_veth(int fd, int i, int bridge, pid_t pid)
{
	struct request r;
	struct rtattr *info, *data, *peer;
	char name[IFNAMSIZ];

	/* The last run's may still be on their way out. */
	snprintf(name, sizeof(name), "flr%x-%d", getppid() & 0xffff, i);
	begin(&r, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ifinfomsg));
	put(&r, IFLA_IFNAME, name, strlen(name) + 1);
	put(&r, IFLA_MASTER, &bridge, 4);
	info = put(&r, IFLA_LINKINFO, NULL, 0);
	put(&r, IFLA_INFO_KIND, "veth", 4);
	data = put(&r, IFLA_INFO_DATA, NULL, 0);
	peer = put(&r, VETH_INFO_PEER, NULL, 0);
	r.h.nlmsg_len += sizeof(struct ifinfomsg);
	put(&r, IFLA_IFNAME, "eth0", 5);
	put(&r, IFLA_NET_NS_PID, &pid, 4);
	end_nest(&r, peer);
	end_nest(&r, data);
	end_nest(&r, info);
	talk(fd, &r, "veth");
	link_up(fd, (int)if_nametoindex(name));
}

static void configure_inside(int i)
{
	int fd = netlink(), index = (int)if_nametoindex("eth0");
	uint32_t gateway = htonl(0xc6134001);
	struct request r;
	struct rtmsg *m;

	link_up(fd, 1);
	add_address(fd, index, htonl(0xc6134002 + (uint32_t)i));
	link_up(fd, index);
	m = begin(&r, RTM_NEWROUTE, NLM_F_CREATE, sizeof(*m));
	m->rtm_family = AF_INET;
	m->rtm_table = RT_TABLE_MAIN;
	m->rtm_type = RTN_UNICAST;
	m->rtm_protocol = RTPROT_STATIC;
	put(&r, RTA_GATEWAY, &gateway, 4);
	talk(fd, &r, "route");
	close(fd);
}

/* ---- one container ------------------------------------------------------------ */
static void cgroup_path(char *path, size_t n, const char *hierarchy, int i)
{
	snprintf(path, n, "/sys/fs/cgroup/%s%sfloor/%d", v2 ? "" : hierarchy, v2 ? "" : "/", i);
}

static void each_cgroup(int i, void (*fn)(const char *path))
{
	char path[128];

	for (size_t h = 0; h < (v2 ? 1 : sizeof(hierarchies) / sizeof(*hierarchies)); h++) {
		cgroup_path(path, sizeof(path), hierarchies[h], i);
		fn(path);
	}
}

static void make_cgroup(const char *path)
{
	if (mkdir(path, 0755) < 0)
		die(path);
}

static void enter_cgroup(const char *path)
{
	char procs[160];

	snprintf(procs, sizeof(procs), "%s/cgroup.procs", path);
	write_file(procs, "0");
}

static void remove_cgroup(const char *path)
{
	for (int tries = 0; rmdir(path) < 0 && errno == EBUSY && tries < 1000; tries++)
		usleep(100);
}

static void mount_or_die(const char *source, const char *target, const char *type,
			 unsigned long flags, const char *data)
{
	if (mount(source, target, type, flags, data) < 0)
		die(target);
}

static void bind_device(const char *name)
{
	char from[64], to[64];

	snprintf(from, sizeof(from), "/dev/%s", name);
	snprintf(to, sizeof(to), "dev/%s", name);
	close(open(to, O_CREAT | O_WRONLY | O_CLOEXEC, 0666));
	mount_or_die(from, to, NULL, MS_BIND, NULL);
}

static void child(int i, const char *lower, int go)
{
	static const char *const devices[] = { "null", "zero", "full", "random", "urandom", "tty" };
	static const char *const masks[] = { "proc/kcore", "proc/keys", "proc/timer_list" };
	static const char *const read_only[] = { "proc/bus", "proc/fs", "proc/irq", "proc/sys" };
	char options[512], root[128], byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL); /* a worker that fails takes its containers along */
	mount_or_die(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	snprintf(root, sizeof(root), "%s/%d/m", base, i);
	snprintf(options, sizeof(options), "lowerdir=%s,upperdir=%s/%d/u,workdir=%s/%d/w", lower,
		 base, i, base, i);
	mount_or_die("overlay", root, "overlay", MS_NODEV, options);
	if (chdir(root) < 0)
		die(root);
	mkdir("proc", 0755), mkdir("sys", 0755), mkdir("dev", 0755);
	mount_or_die("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	mount_or_die("sysfs", "sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, NULL);
	mount_or_die("tmpfs", "dev", "tmpfs", MS_NOSUID, "mode=755");
	mkdir("dev/pts", 0755), mkdir("dev/shm", 01777), mkdir("dev/mqueue", 01777);
	mount_or_die("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
		     "newinstance,ptmxmode=0666");
	mount_or_die("shm", "dev/shm", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=64m");
	mount_or_die("mqueue", "dev/mqueue", "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	for (size_t k = 0; k < sizeof(devices) / sizeof(*devices); k++)
		bind_device(devices[k]);
	for (size_t k = 0; k < sizeof(masks) / sizeof(*masks); k++)
		(void)!mount("/dev/null", masks[k], NULL, MS_BIND, NULL);
	for (size_t k = 0; k < sizeof(read_only) / sizeof(*read_only); k++) {
		mount_or_die(read_only[k], read_only[k], NULL, MS_BIND | MS_REC, NULL);
		mount_or_die(NULL, read_only[k], NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL);
	}
	if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0)
		die("pivot_root");
	if (sethostname("floor", 5) < 0)
		die("sethostname");
	if (read(go, &byte, 1) != 1) /* the veth is there */
		exit(1);
	configure_inside(i);
	execl("/bin/sleep", "sleep", "1000", (char *)NULL);
	die("exec");
}

static pid_t start(int i, const char *lower, int nl, int bridge)
{
	char path[128];
	int go[2], done[2];
	struct clone_args {
		uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
	} args = { .flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS |
			    CLONE_NEWNET | CLONE_NEWCGROUP,
		   .exit_signal = SIGCHLD };
	static const char *const dirs[] = { "", "/u", "/w", "/m" };
	pid_t pid;
	char byte;

	for (size_t k = 0; k < 4; k++) {
		snprintf(path, sizeof(path), "%s/%d%s", base, i, dirs[k]);
		mkdir(path, 0755);
	}
	each_cgroup(i, make_cgroup);
	if (pipe2(go, O_CLOEXEC) < 0 || pipe2(done, O_CLOEXEC) < 0)
		die("pipe");
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0)
		die("clone3");
	if (pid == 0) {
		close(go[1]);
		close(done[0]);
		each_cgroup(i, enter_cgroup);
		child(i, lower, go[0]);
	}
	close(done[1]);
	make_veth(nl, i, bridge, pid);
	if (write(go[1], "", 1) != 1)
		die("go");
	if (read(done[0], &byte, 1) != 0) /* closed by exec */
		die("exec");
	close(go[0]), close(go[1]), close(done[0]);
	return pid;
}

static void work(int worker, int n, const char *lower, int bridge, int up, int stop)
{
	pid_t pids[MAX_N];
	int nl = netlink(), count = 0;
	char byte;

	for (int i = worker; i < n; i += WORKERS)
		pids[count++] = start(i, lower, nl, bridge);
	if (write(up, "", 1) != 1 || read(stop, &byte, 1) != 1)
		die("worker");
	for (int k = 0; k < count; k++)
		kill(pids[k], SIGKILL);
	for (int k = 0; k < count; k++) {
		waitpid(pids[k], NULL, 0);
		each_cgroup(worker + k * WORKERS, remove_cgroup);
	}
	exit(0);
}

static void each_parent(void (*fn)(const char *path))
{
	char path[128];

	for (size_t h = 0; h < (v2 ? 1 : sizeof(hierarchies) / sizeof(*hierarchies)); h++) {
		snprintf(path, sizeof(path), "/sys/fs/cgroup/%s%sfloor", v2 ? "" : hierarchies[h],
			 v2 ? "" : "/");
		fn(path);
	}
}

static void delete_link(int fd, int index)
{
	struct request r;
	struct ifinfomsg *i = begin(&r, RTM_DELLINK, 0, sizeof(*i));

	i->ifi_index = index;
	talk(fd, &r, "delete link");
}

int main(int argc, char **argv)
{
	int n = argc == 3 ? atoi(argv[2]) : 0, up[2], stop[2], nl, bridge;
	double begun, upped, downed;
	char byte, remove[128];

	if (n < 1 || n > MAX_N) {
		fprintf(stderr, "usage: floor LOWER N\n");
		return 2;
	}
	v2 = access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0;
	strcpy(base, "/tmp/comp-floor.XXXXXX");
	if (!mkdtemp(base) || pipe2(up, O_CLOEXEC) < 0 || pipe2(stop, O_CLOEXEC) < 0)
		die("set-up");
	each_parent(make_cgroup);
	begun = now_ms();
	nl = netlink();
	make_bridge(nl, "flrbr");
	bridge = (int)if_nametoindex("flrbr");
	for (int w = 0; w < WORKERS; w++)
		if (fork() == 0)
			work(w, n, argv[1], bridge, up[1], stop[0]);
	close(up[1]); /* a worker that dies shows as end of file */
	for (int w = 0; w < WORKERS; w++)
		if (read(up[0], &byte, 1) != 1)
			die("worker");
	upped = now_ms();
	if (write(stop[1], "xx", WORKERS) != WORKERS)
		die("stop");
	for (int w = 0; w < WORKERS; w++)
		wait(NULL);
	delete_link(nl, bridge);
	downed = now_ms();
	each_parent(remove_cgroup);
	snprintf(remove, sizeof(remove), "rm -rf %s", base);
	if (system(remove) != 0)
		return 1;
	printf("%.1f %.1f\n", upped - begun, downed - upped);
	return 0;
}
