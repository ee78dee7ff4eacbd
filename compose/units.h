/* compose/units.h: the small languages inside Compose values.
 *
 * Every parser takes the text as written and fills plain values; strings are
 * put into the arena.  All return 0 or -EINVAL with Docker Compose's words in
 * @e; the caller adds position and path.
 */
#ifndef COMPOSE_UNITS_H
#define COMPOSE_UNITS_H

#include "base/err.h"
#include "compose/node.h"

/* ---- numbers ------------------------------------------------------------------ */

/* "64m", "1.5 GiB", "512", "-1": bytes; units are powers of 1024. */
int units_bytes(const char *text, int64_t *bytes, struct err *e);
/* "1h5m30s20ms", "1.5h", also d and w: nanoseconds. */
int units_duration(const char *text, int64_t *ns, struct err *e);
/* Canonical text, as Go prints it: "1m30s", "500ms", "0s". Returns @buf. */
#define DURATION_TEXT_MAX 64
char *units_duration_text(int64_t ns, char buf[DURATION_TEXT_MAX]);
/* File mode: octal with or without 0 / 0o in front, at most 07777. */
int units_mode(const char *text, uint32_t *mode, struct err *e);
/* Decimal CPUs ("0.5", "2") as billionths of a CPU; not negative. */
int units_cpus(const char *text, int64_t *nano, struct err *e);

/* ---- ports -------------------------------------------------------------------- */
struct short_port {
	const char *host_ip;   /* "" = none given; IPv6 without brackets */
	const char *published; /* "" = any free port, "8000", or "8000-8010": one of these */
	uint16_t target;
	const char *protocol; /* "tcp", "udp", "sctp" */
};

/* [ip:][host[-range]:]container[-range][/proto]; ranges become one entry per
 * container port, in Docker Compose's order (by "port/proto" as text).
 * *out is in @a. */
int units_ports(struct arena *a, const char *text, struct short_port **out, size_t *n,
		struct err *e);
/* "80", "80-82", "80/udp" as in `expose`. */
int units_port_range(const char *text, uint16_t *first, uint16_t *last, struct err *e);

/* ---- volumes ------------------------------------------------------------------ */
struct short_volume {
	bool bind;          /* type bind, else volume */
	const char *source; /* "" = anonymous */
	const char *target;
	bool read_only;
	bool nocopy;
	const char *propagation; /* "" or rprivate, private, rshared, shared, rslave, slave */
	const char *selinux;     /* "", "z" or "Z" */
};

/* [source:]target[:options]; C:\paths are one part. */
int units_volume(struct arena *a, const char *text, struct short_volume *out, struct err *e);
/* Does a short form's source mean a path (bind) rather than a volume's name? */
bool units_is_path(const char *source);

/* ---- other short forms ---------------------------------------------------------- */
struct short_device {
	const char *source, *target;
	const char *permissions; /* "rwm" by default */
};
/* host[:container[:permissions]]; a CDI name ("vendor.com/class=dev") is source and target. */
int units_device(struct arena *a, const char *text, struct short_device *out, struct err *e);

/* "host=ip" or "host:ip", several addresses with commas; brackets around an
 * address are dropped.  *ips: NULL-terminated, in @a. */
int units_extra_host(struct arena *a, const char *text, const char **host, const char ***ips,
		     struct err *e);

/* Split `command: string` into words as Docker Compose does: quotes and
 * backslash as a shell has them (and \t, \n), nothing is expanded, `…` and $(…)
 * stay as they are, and the first ; & | < or > outside quotes ends the command.
 * NULL-terminated, in @a. */
int units_words(struct arena *a, const char *text, char ***argv, struct err *e);

#endif
