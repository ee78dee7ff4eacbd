/* engine/supervise/hold.c: a container that is paused for as long as a client is there.
 *
 * `commit` wants nothing to change while it reads.  The pause belongs to its connection:
 * however the client ends, the connection closes and the container goes on.  The record
 * says so before the container is frozen, so that whoever adopts it knows that the one
 * it was paused for is gone.
 */
#include "engine/supervise/internal.h"

static int hold(struct supervisor *sv, struct control_conn *conn, const char *name, struct err *e)
{
	struct container *c = name ? container_find(sv, name) : NULL;
	int r;

	if (!c)
		return err_set(e, ENOENT, "no such container: %s", name ? name : "");
	if (c->rec->status != CONTAINER_RUNNING)
		return err_set(e, EBUSY, "container %s is not running any more", name);
	c->rec->held = true;
	container_save(c, false);
	r = container_pause(c, true, e);
	if (r < 0) {
		c->rec->held = false;
		container_save(c, false);
		return r;
	}
	c->holder = conn;
	return 0;
}

void hold_request(struct supervisor *sv, struct control_conn *conn, json *message)
{
	_cleanup_(json_unrefp) json *m = json_new_object();
	struct err e = ERR_INIT;

	if (hold(sv, conn, json_get_str(message, "container"), &e) < 0) {
		json_put_str(m, "op", "end");
		json_put(m, "error", control_err_to_json(&e));
	} else {
		json_put_str(m, "op", "held");
	}
	control_reply(conn, json_ref(m), NULL, 0);
}

void hold_end(struct container *c)
{
	struct err e = ERR_INIT;

	c->holder = NULL;
	if (!c->rec->held)
		return; /* somebody has unpaused or stopped it meanwhile */
	if (c->rec->status != CONTAINER_PAUSED || container_pause(c, false, &e) < 0) {
		if (e.code)
			supervisor_log(c->sv, "%s", e.msg);
		c->rec->held = false;
		container_save(c, false);
	}
}

void hold_conn_closed(struct supervisor *sv, struct control_conn *conn)
{
	MAP_FOREACH (entry, &sv->containers) {
		struct container *c = entry->value;

		if (c->holder == conn)
			hold_end(c);
	}
}
