/* engine/supervise/control.h: how the CLI talks to a project's supervisor.
 *
 * A unix stream socket, COMP_RUN/PROJECT/control.sock, 0600 in a 0700
 * directory; the peer must be uid 0 or our own uid (SO_PEERCRED).  Frames: four
 * bytes of length (little-endian) and that much JSON; descriptors ride on the
 * frame's first byte.  A client frame is at most CONTROL_REQUEST_MAX long.
 *
 * Requests ("v": CONTROL_VERSION, "op": …) and what comes back:
 *
 *  apply   {command, project:{name, working_dir, config_files, environment_files},
 *           services:{NAME:{depends_on:{NAME:{condition,restart,required,via}}}},
 *           actions:[…], generation, keep_going}            see action.h
 *          The plan was made from the records of that generation (record.h); when
 *          it is not the present one, end says ESTALE and nothing was done.
 *          Without one the plan is taken as it is.  keep_going: a failed action
 *          ends what needs it and nothing else.
 *          → waiting {holder, pid}   another apply of this project runs first
 *          → progress {id, status, text, details}           any number; see below
 *          → end {error: null | {code,msg,hint,file,line,col}}
 *  cancel  {}     start no further action of the apply of this connection
 *  exec    {container, argv, env, user, cwd, tty, privileged, rows, cols, attached}
 *          + descriptors stdin, stdout, stderr when tty is false
 *          → started {pid} + the pty master when tty is true
 *          → end {error, exit_code}
 *  hold    {container}   pause it until this connection is closed, however that happens
 *          → held {}, or end {error}
 *  events  {}     → event {event} for ever, each as in the journal (engine/state/event.h)
 *  ping    {}     → pong {pid, v, version}        understood whatever "v" of the request
 *  leave   {}     → end {error}   go without stopping anything: a newer comp takes over.
 *          Refused (EBUSY) while an apply, an exec or a hook is under way.
 *
 * progress: id is "Container demo-web-1", "Network demo_default", "Volume …";
 * status is working, done, warning or error; text the verb ("Starting",
 * "Started").  The supervisor goes on with an apply when its client goes away.
 */
#ifndef ENGINE_SUPERVISE_CONTROL_H
#define ENGINE_SUPERVISE_CONTROL_H

#include "base/fd.h"
#include "base/json.h"
#include "base/loop.h"

#ifndef CONTROL_VERSION
#	define CONTROL_VERSION 1
#endif
#define CONTROL_REQUEST_MAX (64u << 20)
#define CONTROL_OUTPUT_MAX  (16u << 20) /* a client that reads no more is dropped */

/* ---- both ends ------------------------------------------------------------ */
/* A struct err as JSON and back; the code keeps its number. */
json *control_err_to_json(const struct err *e);
void control_err_from_json(json *j, struct err *e);

/* ---- client: blocking ----------------------------------------------------- */
struct control_client;

/* Connect to @path.  -ENOENT or -ECONNREFUSED: no supervisor there. */
int control_connect(const char *path, struct control_client **out, struct err *e);
void control_client_free(struct control_client *c);
DEFINE_CLEANUP(struct control_client *, control_client_free, control_client_freep);
int control_client_fd(const struct control_client *c); /* to poll(2) for input */
/* A whole message was read already: control_receive() will not block, and poll(2)
 * would not know. */
bool control_client_pending(const struct control_client *c);
int control_send(struct control_client *c, json *message, const int *fds, size_t n_fds,
		 struct err *e);
/* The next message; json_unref() it.  *n_fds: room in, count out (NULL: none
 * wanted).  -EPIPE when the supervisor went away; -EINTR when a signal came. */
int control_receive(struct control_client *c, json **message, int *fds, size_t *n_fds,
		    struct err *e);

/* ---- server: on a loop ---------------------------------------------------- */
struct control_server;
struct control_conn;

struct control_handler {
	/* A complete request; @fds are the handler's to close.  @message is borrowed. */
	void (*message)(struct control_conn *c, json *message, int *fds, size_t n_fds, void *data);
	/* The peer is gone; @c is freed after the call. */
	void (*closed)(struct control_conn *c, void *data);
	void *data;
};

/* Listen on @path; a stale socket there is replaced (the caller holds the
 * project lock, so nobody else can be serving it). */
int control_listen(struct loop *loop, const char *path, const struct control_handler *h,
		   struct control_server **out, struct err *e);
/* Before the end: send what is queued; waits for each peer, but not for one that does not read. */
void control_server_drain(struct control_server *s);
void control_server_free(struct control_server *s); /* closes connections, removes the socket */
size_t control_server_connections(const struct control_server *s);

/* Queue a message; takes @message, duplicates the descriptors it keeps.  A peer
 * that does not read is closed once CONTROL_OUTPUT_MAX is queued. */
void control_reply(struct control_conn *c, json *message, const int *fds, size_t n_fds);
/* Send what is queued, then close. */
void control_finish(struct control_conn *c);
pid_t control_conn_pid(const struct control_conn *c);
/* Room for the server's own pointer. */
void control_conn_set_data(struct control_conn *c, void *data);
void *control_conn_data(const struct control_conn *c);

#endif
