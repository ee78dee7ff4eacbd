/* engine/supervise/mend.c: links that somebody else took away, or down.
 *
 * A bridge deleted by hand or by another program takes nothing along but the traffic:
 * its containers run on, with their ends of the links, and nobody hears them.  So the
 * supervisor listens for deletions, and `up` looks at each network anyway; what is not
 * as it should be is made again, under the containers that run, by the same calls that
 * made it.  Only links of active containers count: those of the others are made at their
 * start, and a network that nobody uses may just be on its way out.
 */
#include "engine/supervise/internal.h"

#include "net/link.h"
#include "net/link_watch.h"

#define LINGER (50 * NSEC_PER_MSEC) /* with a bridge go its ports, one after the other */
#define PAUSE  NSEC_PER_SEC         /* between two tries, should somebody insist */

static bool is_connected(const struct container *c)
{
	return container_is_active(c) && c->netns_fd >= 0 && c->rec->n_networks > 0 &&
	       c->spec->net.mode == NAMESPACE_PRIVATE;
}

static bool is_on(const struct container *c, const char *network)
{
	for (size_t i = 0; i < c->rec->n_networks; i++)
		if (streq(c->rec->networks[i].network, network))
			return true;
	return false;
}

static bool is_used(const struct supervisor *sv, const struct network *n)
{
	MAP_FOREACH (entry, &sv->containers) {
		const struct container *c = entry->value;

		if (is_connected(c) && is_on(c, n->config->name))
			return true;
	}
	return false;
}

/* Is the host's end of each of its links a port of its bridge, and up? */
static bool is_whole(const struct container *c)
{
	for (size_t i = 0; i < c->rec->n_networks; i++) {
		const struct attached_network *a = &c->rec->networks[i];
		const struct network *n = map_get(&c->sv->networks, a->network);
		struct link_info l;

		if (!n || !a->host_ifname)
			continue;
		if (link_get(c->sv->nl, a->host_ifname, &l, NULL) < 0 || !l.up ||
		    l.master != n->ifindex)
			return false;
	}
	return true;
}

/* @only: the network to look at, NULL: all.  Returns how many links were made again. */
static int mend_endpoints(struct supervisor *sv, const char *only, struct err *e)
{
	int mended = 0, r = 0;

	MAP_FOREACH (entry, &sv->containers) {
		struct container *c = entry->value;
		struct err e2 = ERR_INIT;
		int r2;

		if (!is_connected(c) || (only && !is_on(c, only)) || is_whole(c))
			continue;
		r2 = connect_again(c, &e2);
		if (r2 == 0) {
			mended++;
			supervisor_log(sv,
				       "%s: its link to the network was cut by somebody else; "
				       "made again",
				       c->rec->name);
		}
		err_keep_first(&r, e, r2, &e2);
	}
	return r < 0 ? r : mended;
}

static int mend_bridge(struct supervisor *sv, struct network *n, struct err *e)
{
	bool recreated = false;
	int r = network_adopt(sv->nl, n, &recreated, e);

	if (r > 0)
		supervisor_log(sv, "network %s was %s by somebody else; put back", n->config->name,
			       recreated ? "deleted" : "changed");
	if (recreated)
		sv->firewall_dirty = true;
	return r;
}

int mend_network(struct supervisor *sv, struct network *n, struct err *e)
{
	int bridge = mend_bridge(sv, n, e), links;

	links = bridge < 0 ? 0 : mend_endpoints(sv, n->config->name, e);
	return bridge < 0 ? bridge : links < 0 ? links : bridge || links;
}

static void mend_all(struct supervisor *sv)
{
	struct err e = ERR_INIT;
	int r = 0;

	MAP_FOREACH (entry, &sv->networks) {
		struct err e2 = ERR_INIT;

		if (is_used(sv, entry->value))
			err_keep_first(&r, &e, mend_bridge(sv, entry->value, &e2), &e2);
	}
	if (r >= 0)
		r = mend_endpoints(sv, NULL, &e);
	if (r >= 0)
		r = connect_firewall(sv, &e);
	if (r < 0)
		supervisor_log(sv, "mend: %s", e.msg);
}

static void on_mend_due(struct source *s, void *data)
{
	struct supervisor *sv = data;

	sv->mended_at = now_mono_ns();
	mend_all(sv);
}

static void mend_soon(struct supervisor *sv)
{
	uint64_t now = now_mono_ns(), next = sv->mended_at + PAUSE;
	uint64_t delay = sv->mended_at && next > now + LINGER ? next - now : LINGER;

	if (!sv->mend_due)
		sv->mend_due = loop_add_timer(sv->loop, delay, on_mend_due, sv);
	else
		source_set_timer(sv->mend_due, delay);
}

static void on_link_gone(const char *name, void *data)
{
	struct supervisor *sv = data;

	MAP_FOREACH (entry, &sv->networks) {
		const struct network *n = entry->value;

		if (streq(n->ifname, name) && is_used(sv, n))
			mend_soon(sv);
	}
	MAP_FOREACH (entry, &sv->containers) {
		const struct container *c = entry->value;

		for (size_t i = 0; i < c->rec->n_networks; i++)
			if (streq_null(c->rec->networks[i].host_ifname, name) && is_connected(c))
				mend_soon(sv);
	}
}

static void on_links_changed(struct source *s, int fd, uint32_t events, void *data)
{
	struct supervisor *sv = data;
	struct err e = ERR_INIT;
	int r = link_watch_read(fd, on_link_gone, sv, &e);

	if (r < 0)
		supervisor_log(sv, "%s", e.msg);
	else if (r > 0)
		mend_soon(sv);
}

void mend_watch(struct supervisor *sv)
{
	struct err e = ERR_INIT;

	if (sv->link_watch >= 0)
		return;
	sv->link_watch = link_watch_open(&e);
	if (sv->link_watch < 0 || loop_add_fd(sv->loop, sv->link_watch, EPOLLIN, on_links_changed,
					      sv, &sv->link_source, &e) < 0)
		supervisor_log(sv, "cannot watch links: %s", e.msg); /* `up` looks all the same */
}

void mend_done(struct supervisor *sv)
{
	source_free(sv->link_source);
	source_free(sv->mend_due);
	fd_close(sv->link_watch);
}
