/* engine/supervise/nethelper_process.h: the process comp-nethelper: find it,
 * start it, speak to it, end it.  For nethelper.c, which is the interface.
 */
#ifndef ENGINE_SUPERVISE_NETHELPER_PROCESS_H
#define ENGINE_SUPERVISE_NETHELPER_PROCESS_H

#include "base/json.h"
#include "engine/supervise/nethelper.h"

#define NETHELPER_ANSWER_NS (2 * NSEC_PER_SEC) /* for a conversation at start */

struct nethelper_process {
	pid_t pid;
	int pidfd; /* -EBADF: no process */
	int sock;  /* connected, non-blocking */
};

#define NETHELPER_PROCESS_INIT ((struct nethelper_process){ .pidfd = -EBADF, .sock = -EBADF })

/* Connect to a running one and make sure who it is.  -ENOENT: there is none.
 * One that does not answer is killed, which is -ENOENT as well. */
int nethelper_process_find(const char *run_dir, struct nethelper_process *p, struct err *e);
/* Start one, and connect to it. */
int nethelper_process_spawn(const char *run_dir, struct nethelper_process *p, struct err *e);
/* Ask it to end; no waiting. */
void nethelper_process_quit(const struct nethelper_process *p);
/* quit, 1 s, SIGKILL.  Waits until it is gone. */
int nethelper_process_end(struct nethelper_process *p, struct err *e);
void nethelper_process_kill(const struct nethelper_process *p);
/* Take the exit status off a dead one, when it was our child: text such as "killed by
 * signal 9", for messages. */
void nethelper_process_reap(struct nethelper_process *p, char *text, size_t n);
/* Close our ends; it goes on. */
void nethelper_process_done(struct nethelper_process *p);
/* Remove the socket and the log. */
void nethelper_process_clean(const char *run_dir);

/**
 * nethelper_process_ask() - one request, one answer, waiting for it
 * @deadline: CLOCK_MONOTONIC, ns
 * @fds:      room for two; *n_fds becomes their number; may be NULL with n_fds NULL
 *
 * Only while nothing else is under way on the connection.  -ETIMEDOUT, -ECONNRESET,
 * or what the process answered.
 */
int nethelper_process_ask(const struct nethelper_process *p, json *request, uint64_t deadline,
			  json **answer, int *fds, size_t *n_fds, struct err *e);

#endif
