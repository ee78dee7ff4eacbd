/* engine/supervise/networks.c: networks on disk and in the kernel.
 *
 * A network is COMP_ROOT/networks/NAME/: network.json, written before the
 * bridge is made, and addr/, in which every address in use is a symbolic link to
 * the container's id: made in one step, with its content, or not at all.  symlink(2)
 * decides who gets an address, so several projects may share a network
 * (`external: true`) without asking each other, and a network with an entry in
 * addr/ is in use, whoever put it there.
 */
#include "engine/supervise/internal.h"

#include <dirent.h>
#include <fcntl.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "engine/state/lock.h"
#include "net/addr.h"
#include "net/link.h"

#define NETWORK_FILE_MAX (1 << 20)
#define PLAN_ATTEMPTS    8
#define PACKED_LEN       44 /* of an id in a link */

static char *network_dir(const struct supervisor *sv, const char *name)
{
	return xasprintf("%s/networks/%s", sv->dirs->root, name);
}

static char *address_path(const struct supervisor *sv, const char *name, const char *address)
{
	return xasprintf("%s/networks/%s/addr/%s", sv->dirs->root, name, address);
}

/* Two of each: the second is read when the first is damaged, since without its record
 * nobody knows which bridge is a network's, nor who has which address. */
#define RECORD "network.json"
#define COPY   ".network.json"

static int load_file(const char *path, struct network **out, struct err *e)
{
	_cleanup_(json_unrefp) json *j = NULL;
	int r = json_read_file(AT_FDCWD, path, NETWORK_FILE_MAX, &j, e);

	if (r < 0)
		return r;
	r = network_from_json(j, out, e);
	return r < 0 ? err_wrap(e, r, "%s", path) : 0;
}

static bool is_damage(int r)
{
	return r == -EBADMSG || r == -EFBIG || r == -EINVAL || r == -EISDIR || r == -ELOOP;
}

static int load(const struct dirs *d, const char *name, struct network **out, struct err *e)
{
	_cleanup_(free_p) char *path = xasprintf("%s/networks/%s/" RECORD, d->root, name);
	_cleanup_(free_p) char *copy = xasprintf("%s/networks/%s/" COPY, d->root, name);
	_cleanup_(json_unrefp) json *j = NULL;
	const char *text;
	int r = load_file(path, out, e);

	if (r == 0 || !is_damage(r) || load_file(copy, out, NULL) < 0)
		return r;
	if (e)
		*e = ERR_INIT;
	j = network_to_json(*out);
	text = json_text(j);
	(void)rm_rf(AT_FDCWD, path, NULL); /* should it not work, the next reader tries again */
	(void)file_write_atomic(AT_FDCWD, path, text, strlen(text), 0600, true, NULL);
	return 0;
}

static int save(const struct supervisor *sv, const struct network *n, struct err *e)
{
	_cleanup_(free_p) char *dir = network_dir(sv, n->config->name);
	_cleanup_(free_p) char *addr = path_join(dir, "addr");
	_cleanup_(free_p) char *path = path_join(dir, RECORD);
	_cleanup_(free_p) char *copy = path_join(dir, COPY);
	_cleanup_(json_unrefp) json *j = network_to_json(n);
	const char *text = json_text(j);
	int r = mkdir_p(AT_FDCWD, addr, 0700, e);

	if (r == 0)
		r = file_write_atomic(AT_FDCWD, copy, text, strlen(text), 0600, false, e);
	if (r < 0)
		return r;
	return file_write_atomic(AT_FDCWD, path, text, strlen(text), 0600, true, e);
}

int networks_get(struct supervisor *sv, const char *name, struct network **out, struct err *e)
{
	_cleanup_(network_freep) struct network *n = NULL;
	bool recreated = false;
	int r;

	*out = map_get(&sv->networks, name);
	if (*out)
		return 0;
	r = load(sv->dirs, name, &n, e);
	if (r == -ENOENT)
		return err_set(e, ENOENT, "network %s does not exist", name);
	if (r < 0)
		return r;
	r = network_adopt(sv->nl, n, &recreated, e);
	if (r < 0)
		return r;
	sv->firewall_dirty = true;
	*out = TAKE_PTR(n);
	map_put(&sv->networks, name, *out);
	return 0;
}

/* What the host uses, and every network comp knows, its bridge there or not. */
static int read_host(struct supervisor *sv, struct network_host *host, struct err *e)
{
	_cleanup_(free_p) char *path = dirs_networks(sv->dirs);
	_cleanup_(dir_closep) DIR *dir = NULL;
	struct dirent *entry;
	int r = network_host_read(sv->nl, host, e);

	if (r < 0)
		return r;
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		_cleanup_(network_freep) struct network *n = NULL;

		if (entry->d_name[0] != '.' && load(sv->dirs, entry->d_name, &n, NULL) == 0)
			network_host_add(host, n);
	}
	return 0;
}

/* Of a record that somebody deleted, or a removal cut short. */
static void remove_leftover(struct supervisor *sv, const char *name)
{
	_cleanup_(free_p) char *dir = network_dir(sv, name);
	_cleanup_(free_p) char *copy = path_join(dir, COPY);
	_cleanup_(network_freep) struct network *n = NULL;

	if (load_file(copy, &n, NULL) == 0)
		(void)network_remove(sv->nl, n, NULL); /* gone is as good */
}

static int plan_and_make(struct supervisor *sv, const struct network_config *config,
			 struct network **out, struct err *e)
{
	for (int attempt = 0;; attempt++) {
		_cleanup_(network_freep) struct network *n = NULL;
		struct network_host host = { 0 };
		int r = read_host(sv, &host, e);

		if (r == 0)
			r = network_plan(config, &host, &n, e);
		network_host_done(&host);
		if (r == 0)
			r = save(sv, n, e);
		if (r < 0)
			return r;
		r = network_create(sv->nl, n, e);
		if (r == 0) {
			*out = TAKE_PTR(n);
			return 0;
		}
		/* Somebody took the subnet between our look and our address. */
		if (r != -EADDRINUSE || attempt == PLAN_ATTEMPTS) {
			_cleanup_(free_p) char *nets = dirs_networks(sv->dirs);
			_cleanup_(free_p) char *dir = path_join(nets, config->name);

			(void)rm_rf(AT_FDCWD, dir, NULL); /* the failure itself is what to report */
			return r;
		}
	}
}

int networks_create(struct supervisor *sv, const char *name, json *config_json, bool *existed,
		    struct err *e)
{
	_cleanup_(network_config_freep) struct network_config *config = NULL;
	_cleanup_(free_p) char *dir = dirs_networks(sv->dirs), *lock_path = NULL;
	_cleanup_(fd_closep) int lock = -EBADF;
	struct network *n = NULL;
	int r;

	if (!name_is_valid(name, 200))
		return err_set(e, EINVAL, "\"%s\" is not a network name", name);
	r = network_config_from_json(config_json, &config, e);
	if (r < 0)
		return r;
	r = mkdir_p(AT_FDCWD, dir, 0700, e);
	if (r < 0)
		return r;
	/* One planner at a time in this root; other roots are caught by
	 * network_create()'s second look. */
	lock_path = path_join(dir, ".lock");
	lock = lock_take(lock_path, true, NULL, e);
	if (lock < 0)
		return lock;
	r = networks_get(sv, name, &n, e);
	*existed = r == 0;
	if (r == 0 || r != -ENOENT)
		return r;
	remove_leftover(sv, name);
	r = plan_and_make(sv, config, &n, e);
	if (r < 0)
		return r;
	map_put(&sv->networks, name, n);
	sv->firewall_dirty = true;
	return 0;
}

bool networks_any_of_project(const struct supervisor *sv)
{
	_cleanup_(free_p) char *path = dirs_networks(sv->dirs);
	_cleanup_(dir_closep) DIR *dir = opendir(path);
	struct dirent *entry;
	bool found = false;

	while (dir && !found && (entry = readdir(dir))) {
		_cleanup_(network_freep) struct network *n = NULL;

		found = entry->d_name[0] != '.' && load(sv->dirs, entry->d_name, &n, NULL) == 0 &&
			streq_null(n->config->project, sv->project);
	}
	return found;
}

static bool is_stale(const struct supervisor *sv, const char *network, int dir_fd,
		     const char *address);

static bool in_use(const struct supervisor *sv, const char *name)
{
	_cleanup_(free_p) char *path = xasprintf("%s/networks/%s/addr", sv->dirs->root, name);
	_cleanup_(dir_closep) DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.' && !is_stale(sv, name, dirfd(dir), entry->d_name))
			return true;
	return false;
}

static bool used_here(const struct supervisor *sv, const char *name)
{
	MAP_FOREACH (entry, &sv->containers) {
		const struct record *rec = ((const struct container *)entry->value)->rec;

		for (size_t i = 0; i < rec->n_networks; i++)
			if (streq(rec->networks[i].network, name))
				return true;
	}
	return false;
}

/* None of our containers is on it.  Others' may be, and their tables have it as well:
 * ours is not to outlive us.  Frees @n if so. */
static void forget_unused(struct supervisor *sv, const struct network *n)
{
	if (used_here(sv, n->config->name))
		return;
	map_remove(&sv->networks, n->config->name);
	sv->firewall_dirty = true;
}

void networks_forget_foreign(struct supervisor *sv)
{
	MAP_FOREACH (entry, &sv->networks) {
		const struct network *n = entry->value;

		if (!streq_null(n->config->project, sv->project))
			forget_unused(sv, n);
	}
}

/* The record last: while there is one, a later attempt knows what to do. */
static int remove_record(const struct supervisor *sv, const char *name, struct err *e)
{
	_cleanup_(free_p) char *dir = network_dir(sv, name);
	_cleanup_(free_p) char *addresses = path_join(dir, "addr");
	int r = rm_rf(AT_FDCWD, addresses, e);

	return r < 0 ? r : rm_rf(AT_FDCWD, dir, e);
}

int networks_remove(struct supervisor *sv, const char *name, struct err *e)
{
	struct network *n;
	int r = networks_get(sv, name, &n, e);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	if (in_use(sv, name)) {
		forget_unused(sv, n);
		return 1;
	}
	if (sv->collect_links) {
		strv_add(&sv->doomed_links, n->ifname);
		strv_add(&sv->doomed_networks, name);
	} else {
		r = network_remove(sv->nl, n, e);
		if (r < 0)
			return r;
		r = remove_record(sv, name, e);
		if (r < 0)
			return r;
	}
	map_remove(&sv->networks, name);
	sv->firewall_dirty = true;
	return r;
}

int networks_drop_links(struct supervisor *sv, const char *const *names, size_t n, struct err *e)
{
	if (!sv->collect_links)
		return link_delete_many(sv->nl, names, n, e);
	for (size_t i = 0; i < n; i++)
		strv_add(&sv->doomed_links, names[i]);
	return 0;
}

int networks_flush(struct supervisor *sv, struct err *e)
{
	size_t n = strv_len(sv->doomed_links);
	int r = n ? link_delete_many(sv->nl, (const char *const *)sv->doomed_links, n, e) : 0;

	STRV_FOREACH (name, sv->doomed_networks) {
		struct err e2 = ERR_INIT;

		/* With its bridge still there the record stays, for the next try. */
		if (r == 0)
			err_keep_first(&r, e, remove_record(sv, *name, &e2), &e2);
	}
	strv_free(sv->doomed_links);
	strv_free(sv->doomed_networks);
	sv->doomed_links = sv->doomed_networks = NULL;
	return r;
}

/* Addresses of @family that have a file. */
static struct ip_addr *read_used(const struct supervisor *sv, const char *name, int family,
				 size_t *n_used)
{
	_cleanup_(free_p) char *path = xasprintf("%s/networks/%s/addr", sv->dirs->root, name);
	_cleanup_(dir_closep) DIR *dir = opendir(path);
	struct ip_addr *used = NULL, a;
	struct dirent *entry;

	*n_used = 0;
	while (dir && (entry = readdir(dir))) {
		if (ip_parse(entry->d_name, &a, NULL) < 0 || a.family != family)
			continue;
		used = xreallocarray(used, *n_used + 1, sizeof(*used));
		used[(*n_used)++] = a;
	}
	return used;
}

/* Base 64, two digits for each three of the id: a link of less than 60 bytes has room in
 * its inode (ext4, xfs), a longer one takes a block of the disk. */
static const char digits64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void pack_id(const char *id, char packed[PACKED_LEN + 1])
{
	static const char hex[] = "0123456789abcdef";

	for (size_t i = 0; i < PACKED_LEN; i += 2) {
		unsigned int v = 0;

		for (size_t k = i / 2 * 3; k < i / 2 * 3 + 3; k++) {
			const char *at = k < CONTAINER_ID_LEN ? strchr(hex, id[k]) : NULL;

			v = v << 4 | (at ? (unsigned int)(at - hex) : 0);
		}
		packed[i] = digits64[v >> 6];
		packed[i + 1] = digits64[v & 63];
	}
	packed[PACKED_LEN] = '\0';
}

static bool unpack_id(const char packed[PACKED_LEN + 1], char id[CONTAINER_ID_LEN + 1])
{
	for (size_t i = 0; i < PACKED_LEN; i += 2) {
		const char *high = strchr(digits64, packed[i]), *low = strchr(digits64, packed[i + 1]);
		char three[4];

		if (!high || !low || !*high || !*low)
			return false;
		snprintf(three, sizeof(three), "%03x",
			 (unsigned int)((high - digits64) << 6 | (low - digits64)) & 0xfff);
		memcpy(id + i / 2 * 3, three, MIN((size_t)3, CONTAINER_ID_LEN - i / 2 * 3));
	}
	return true;
}

/* Claim the file of @a.  -EEXIST: somebody was faster. */
static int claim(const struct supervisor *sv, const char *network, const struct ip_addr *a,
		 const char *id, struct err *e)
{
	char text[IP_TEXT_MAX];
	_cleanup_(free_p) char *path = address_path(sv, network, ip_text(a, text));
	_cleanup_(free_p) char *dir = path_dir(path);
	char packed[PACKED_LEN + 1];

	pack_id(id, packed);
	/* Without a directory after a removal of the network that failed half-way. */
	if (symlink(packed, path) < 0 &&
	    (errno != ENOENT || mkdir(dir, 0700) < 0 || symlink(packed, path) < 0))
		return err_errno(e, errno, "take address %s of network %s", text, network);
	return 0;
}

int networks_take_address(struct supervisor *sv, struct network *n, int family, const char *id,
			  const char *want, struct ip_addr *taken, struct err *e)
{
	const struct ipam_pool *pool = family == AF_INET ? &n->ipv4 : &n->ipv6;
	const char *name = n->config->name;

	*taken = (struct ip_addr){ 0 };
	if (!pool->subnet.addr.family) {
		if (want)
			return err_set(e, EINVAL, "network %s has no subnet for %s", name, want);
		return 0;
	}
	for (int attempt = 0; attempt < 1000; attempt++) {
		_cleanup_(free_p) struct ip_addr *used = NULL;
		size_t n_used;
		int r;

		used = read_used(sv, name, family, &n_used);
		if (want) {
			r = ip_parse(want, taken, e);
			if (r == 0)
				r = ipam_check_static(pool, taken, used, n_used, e);
		} else {
			r = ipam_next(pool, used, n_used, NULL, taken, e);
		}
		if (r < 0)
			return err_wrap(e, r, "network %s", name);
		r = claim(sv, name, taken, id, e);
		if (r != -EEXIST)
			return r;
	}
	return err_set(e, EBUSY, "network %s: too many others take addresses", name);
}

void networks_release_address(struct supervisor *sv, const char *network, const char *address)
{
	_cleanup_(free_p) char *bare = xstrndup(address, strcspn(address, "/"));
	_cleanup_(free_p) char *path = address_path(sv, network, bare);

	(void)unlink(path); /* absent: released before a crash */
}

/* ---- what a crash left ----------------------------------------------------------- */
static bool names_address(const struct record *rec, const char *network, const char *address)
{
	size_t n = strlen(address);

	for (size_t i = 0; i < rec->n_networks; i++) {
		const struct attached_network *a = &rec->networks[i];

		if (streq(a->network, network) &&
		    ((a->ipv4 && strncmp(a->ipv4, address, n) == 0 && a->ipv4[n] == '/') ||
		     (a->ipv6 && strncmp(a->ipv6, address, n) == 0 && a->ipv6[n] == '/')))
			return true;
	}
	return false;
}

/* Has any project a container @id? */
static bool container_exists(const struct supervisor *sv, const char *id)
{
	_cleanup_(strv_freep) char **projects = dirs_list_projects(sv->dirs);

	STRV_FOREACH (p, projects) {
		_cleanup_(free_p) char *dir = dirs_container(sv->dirs, *p, id);

		if (access(dir, F_OK) == 0)
			return true;
	}
	return false;
}

/* The id behind an address.  Earlier versions left the id as it is, first in a file. */
static bool read_owner(int dir_fd, const char *address, char id[CONTAINER_ID_LEN + 1])
{
	char packed[PACKED_LEN + 1] = "";
	_cleanup_(fd_closep) int fd = -EBADF;
	ssize_t n = readlinkat(dir_fd, address, id, CONTAINER_ID_LEN);

	if (n == PACKED_LEN) {
		memcpy(packed, id, PACKED_LEN);
		n = unpack_id(packed, id) ? CONTAINER_ID_LEN : -1;
	}
	if (n < 0 && errno == EINVAL) {
		fd = openat(dir_fd, address, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		n = fd < 0 ? -1 : read(fd, id, CONTAINER_ID_LEN);
	}
	id[CONTAINER_ID_LEN] = '\0';
	return n == CONTAINER_ID_LEN && name_is_valid(id, CONTAINER_ID_LEN);
}

static bool is_stale(const struct supervisor *sv, const char *network, int dir_fd,
		     const char *address)
{
	char id[CONTAINER_ID_LEN + 1] = "";

	if (!read_owner(dir_fd, address, id))
		return true;
	MAP_FOREACH (entry, &sv->containers) {
		const struct container *c = entry->value;

		if (streq(c->rec->id, id))
			return !names_address(c->rec, network, address);
	}
	return !container_exists(sv, id);
}

void networks_sweep_addresses(struct supervisor *sv)
{
	_cleanup_(free_p) char *path = dirs_networks(sv->dirs);
	_cleanup_(dir_closep) DIR *dir = opendir(path);
	struct dirent *network, *address;

	while (dir && (network = readdir(dir))) {
		_cleanup_(free_p) char *name = xasprintf("%s/%s/addr", path, network->d_name);
		_cleanup_(dir_closep) DIR *addresses = NULL;

		if (network->d_name[0] != '.')
			addresses = opendir(name);
		while (addresses && (address = readdir(addresses)))
			if (address->d_name[0] != '.' &&
			    is_stale(sv, network->d_name, dirfd(addresses), address->d_name))
				(void)unlinkat(dirfd(addresses), address->d_name, 0);
	}
}

static void on_nethelper(struct nethelper *h, enum nethelper_event event, const struct err *e,
			 void *data)
{
	static const char *const what[] = {
		[NETHELPER_RESTARTED] = "nethelper was restarted",
		[NETHELPER_FAILED] = "nethelper cannot be started",
		[NETHELPER_REFUSED] = "nethelper refused a message",
	};

	supervisor_log(data, "%s: %s", what[event], e ? e->msg : "");
}

/* One that an earlier supervisor left may hold ports that nobody has any more. */
void networks_take_over_nethelper(struct supervisor *sv)
{
	struct err e = ERR_INIT;

	if (sv->nethelper)
		return;
	if (nethelper_take_over(sv->loop, sv->run_dir, on_nethelper, sv, &sv->nethelper, &e) < 0)
		supervisor_log(sv, "%s", e.msg);
}

int networks_nethelper(struct supervisor *sv, struct err *e)
{
	int r;

	if (sv->nethelper)
		return 0;
	r = nethelper_start(sv->loop, sv->run_dir, on_nethelper, sv, &sv->nethelper, e);
	if (r < 0)
		return err_wrap(e, r, "start comp-nethelper");
	return nethelper_upstreams_set(sv->nethelper, sv->host_resolv.nameservers, e);
}
