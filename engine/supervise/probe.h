/* engine/supervise/probe.h: health probes that need nothing in the image.
 *
 *	x-comp-probe: {tcp: 5432}
 *	x-comp-probe: {http: "http://:8080/healthz", status: 200}
 *
 * In a spec they are a health test of their own kind, beside CMD and CMD-SHELL:
 *
 *	TCP  "5432" or "10.0.0.1:5432" or "[::1]:5432"
 *	HTTP "http://[address][:port][/path][?query]" ["200"]
 *
 * TCP succeeds when a connection is accepted; HTTP when the status is the one
 * named, or from 200 to 399 when none is.  Without an address (or with
 * "localhost") 127.0.0.1 is asked and, where that refuses, ::1.  Names are not
 * resolved: a probe looks at this container, not at what it depends on.
 */
#ifndef ENGINE_SUPERVISE_PROBE_H
#define ENGINE_SUPERVISE_PROBE_H

#include <sys/types.h>

#include "base/err.h"

#define PROBE_ADDRESS_MAX 64

struct probe {
	bool http;
	char address[PROBE_ADDRESS_MAX]; /* "": 127.0.0.1, then ::1 */
	uint16_t port;
	const char *target; /* of the request line, "/" if none; borrowed from the test */
	int status;         /* 0: 200 to 399 */
};

/* Is this test one of ours? */
bool probe_is_ours(char *const *test);
/* Read a test; -EINVAL with what is wrong with it. */
int probe_parse(char *const *test, struct probe *out, struct err *e);
/* The code of "HTTP/1.1 200 OK", 0 when this is not the beginning of a response. */
int probe_status(const char *line, size_t n);

/**
 * probe_start() - ask, in a child process
 * @test:     checked with probe_parse() before; else the child fails
 * @netns_fd: where to ask from; -EBADF: here
 * @out_fd:   gets a line on how it went; stays the caller's
 *
 * The child leads its own process group, is nobody, and has no capabilities once it is
 * in the namespace: it reads what the container says.  It exits with 0 or 1 and
 * has no timeout of its own.
 */
int probe_start(char *const *test, int netns_fd, int out_fd, pid_t *pid, int *pidfd, struct err *e);

#endif
