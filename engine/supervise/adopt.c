/* engine/supervise/adopt.c: what a new supervisor finds.
 *
 * There is no special start-up after a crash: every start reads the records,
 * takes up what runs, finishes what was being removed, and sweeps what no
 * record names.  An empty project is the simplest case of that.
 */
#include "engine/supervise/internal.h"

#include <dirent.h>
#include <fcntl.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/version.h"
#include "engine/state/names.h"
#include "net/netns.h"

/* It has a record, be it one that could not be read and is kept for a person. */
static bool has_record(int containers, const char *id)
{
	int fd = openat(containers, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_(dir_closep) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir)
		fd_close(fd);
	while (dir && (entry = readdir(dir)))
		if (streq(entry->d_name, "state.json") ||
		    skip_prefix(entry->d_name, "state.json" RECORD_CORRUPT))
			return true;
	return false;
}

/* Directories that hold no record: of a creation or a removal cut short. */
static void sweep_directories(struct supervisor *sv)
{
	_cleanup_(free_p) char *path = dirs_containers(sv->dirs, sv->project);
	_cleanup_(dir_closep) DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		struct err e = ERR_INIT;
		bool doomed = skip_prefix(entry->d_name, DIRS_DOOMED) != NULL;

		if (!doomed && (entry->d_name[0] == '.' || has_record(dirfd(dir), entry->d_name)))
			continue;
		if (rm_rf(dirfd(dir), entry->d_name, &e) < 0)
			supervisor_log(sv, "sweep: %s", e.msg);
	}
}

static bool has_container(const char *id, void *data)
{
	struct supervisor *sv = data;

	MAP_FOREACH (entry, &sv->containers) {
		struct container *c = entry->value;

		if (streq(c->rec->id, id))
			return true;
	}
	return false;
}

/* The machine was booted since its last run: nothing of it is left, and starting it
 * again is for whoever asks (`boot`, `up`). */
static bool is_of_another_boot(struct container *c)
{
	char boot[BOOT_ID_MAX];

	if (!*c->rec->boot_id || proc_boot_id(boot, NULL) < 0 || streq(boot, c->rec->boot_id))
		return false;
	if (record_reconcile(c->rec, c->sv->dirs)) {
		c->rec->again = AGAIN_NO;
		c->rec->follows = false;
		record_clear_ports(c->rec);
		container_save(c, false);
	}
	return !container_is_active(c);
}

static void adopt(struct supervisor *sv, struct container *c)
{
	struct err e = ERR_INIT;
	uint64_t now = now_real_ns();

	if (is_of_another_boot(c))
		record_clear_ports(c->rec);
	switch (c->rec->status) {
	case CONTAINER_STARTING:
	case CONTAINER_RUNNING:
	case CONTAINER_PAUSED:
	case CONTAINER_STOPPING:
		container_readopt(c);
		break;
	case CONTAINER_RESTARTING:
		connect_adopt(c);
		container_await_restart(c, c->rec->restart_at > now ? c->rec->restart_at - now : 0);
		break;
	case CONTAINER_REMOVING:
	case CONTAINER_DEAD:
		if (container_remove(c, false, &e) < 0)
			supervisor_log(sv, "%s", e.msg);
		break;
	default:
		record_clear_ports(c->rec);
		break;
	}
}

/* Its processes are not ours to end: it is one of ours, or has a record that a newer
 * comp wrote or that cannot be opened just now. */
static bool is_known(const char *id, void *data)
{
	struct supervisor *sv = data;
	_cleanup_(free_p) char *dir = dirs_container(sv->dirs, sv->project, id);
	_cleanup_(free_p) char *state = path_join(dir, "state.json");

	return has_container(id, sv) || access(state, F_OK) == 0;
}

/* Neither can it be looked after nor removed without its description, so it goes to
 * the damaged ones, unless that may be read another time. */
static void give_up(struct supervisor *sv, const struct record *rec, int r, const struct err *why)
{
	_cleanup_(strv_freep) char **problems = NULL;

	if (r == -EBADMSG || r == -ENOENT || r == -EFBIG || r == -EINVAL || r == -EISDIR ||
	    r == -ELOOP)
		record_quarantine(sv->dirs, sv->project, rec->id, &problems, why);
	else
		strv_add(&problems, why->msg);
	STRV_FOREACH (problem, problems)
		supervisor_log(sv, "%s: %s", rec->name, *problem);
}

/* Its creation was cut short before that, or an older comp made it. */
static void claim_name(struct supervisor *sv, const struct container *c)
{
	struct err e = ERR_INIT;

	if (c->rec->status != CONTAINER_REMOVING && c->rec->status != CONTAINER_DEAD &&
	    names_claim(sv->dirs, c->rec->name, sv->project, c->rec->id, &e) < 0)
		supervisor_log(sv, "%s", e.msg);
}

static bool joins_another(const struct container *c)
{
	return c->spec->net.mode == NAMESPACE_CONTAINER;
}

int adopt_project(struct supervisor *sv, struct err *e)
{
	_cleanup_(free_p) char *pins = path_join(sv->run_dir, "netns");
	_cleanup_(strv_freep) char **names = NULL;
	struct err swept = ERR_INIT;
	struct record_list list;
	int r = record_list_load(sv->dirs, sv->project, &list, e);

	if (r < 0)
		return r;
	STRV_FOREACH (problem, list.problems)
		supervisor_log(sv, "%s", *problem);
	if (list.newer) { /* sweeping what we cannot read would take away what runs */
		record_list_done(&list);
		err_set(e, EPROTO, "project %s was last changed by a newer comp than this (%s)",
			sv->project, COMP_VERSION);
		return err_hint(e, "use the newer one");
	}
	for (size_t i = 0; i < list.n; i++) {
		struct container *c;
		struct err e2 = ERR_INIT;

		r = container_load(sv, list.items[i], &c, &e2);
		if (r < 0) {
			give_up(sv, list.items[i], r, &e2);
			continue;
		}
		list.items[i] = NULL; /* the container's now */
		claim_name(sv, c);
	}
	record_list_done(&list);
	follow_load_model(sv);
	sweep_directories(sv);
	/* Above all: no second instance beside one whose record is lost. */
	if (cgroup_sweep(sv->cgroups, sv->project, is_known, sv, &swept) < 0)
		supervisor_log(sv, "sweep: %s", swept.msg);
	r = exits_open(sv->dirs, sv->project, has_container, sv, &sv->exits, e);
	if (r < 0)
		return r;
	r = netns_sweep(pins, is_known, sv, e);
	if (r < 0)
		return r;
	networks_sweep_addresses(sv);
	/* Owners of a namespace before those that join it. */
	for (int pass = 0; pass < 2; pass++)
		MAP_FOREACH (entry, &sv->containers)
			if (joins_another(entry->value) == (pass == 1))
				adopt(sv, entry->value);
	follow_poke(sv);
	networks_take_over_nethelper(sv);
	if (sv->nethelper)
		nethelper_drop_unclaimed(sv->nethelper);
	return connect_firewall(sv, e);
}
