/* compose/short_form.c: "8000:80", "data:/var/lib:ro" and their kin; see units.h.
 *
 * All of them are fields between colons, and each has its own idea of which
 * colons count: ports give everything left of the last two to the address,
 * volumes do not split after a drive letter, hosts prefer "=".
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/strv.h"
#include "compose/units.h"

#define TEXT_MAX 200 /* of user text in a message */

/* ---- ports ------------------------------------------------------------------------------ */
struct range {
	uint16_t first, last;
};

static bool parse_port(const char *s, size_t n, uint16_t *out)
{
	unsigned int v = 0;

	if (!n)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!isdigit((unsigned char)s[i]))
			return false;
		v = v * 10 + (unsigned int)(s[i] - '0');
		if (v > UINT16_MAX)
			return false;
	}
	*out = (uint16_t)v;
	return true;
}

static bool parse_range(const char *s, struct range *out)
{
	const char *dash = strchr(s, '-');

	if (!dash) {
		if (!parse_port(s, strlen(s), &out->first))
			return false;
		out->last = out->first;
		return true;
	}
	return parse_port(s, (size_t)(dash - s), &out->first) &&
	       parse_port(dash + 1, strlen(dash + 1), &out->last) && out->first <= out->last;
}

/* Split "80/TCP" in place; *proto becomes "tcp", which is also the default. */
static int split_proto(char *s, const char **proto, struct err *e)
{
	static const char *const known[] = { "tcp", "udp", "sctp" };
	char *slash = strchr(s, '/');

	*proto = "tcp";
	if (!slash)
		return 0;
	*slash++ = '\0';
	if (!*slash)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (strcasecmp(slash, known[i]) == 0) {
			*proto = known[i];
			return 0;
		}
	}
	return err_set(e, EINVAL, "invalid proto: %.*s", TEXT_MAX, slash);
}

/* An address in place: brackets, which IPv6 needs here, are dropped. */
static int parse_host_ip(char **ip, struct err *e)
{
	unsigned char addr[16];
	char *s = *ip;
	size_t n = strlen(s);

	if (*s == '[') {
		if (s[n - 1] != ']')
			return err_set(
				e, EINVAL,
				"invalid ip address %.*s: missing ']' in address or port after it",
				TEXT_MAX, s);
		s[n - 1] = '\0';
		*ip = ++s;
	} else if (strchr(s, ':')) {
		(void)err_set(e, EINVAL, "invalid ip address %.*s: too many colons in address",
			      TEXT_MAX, s);
		(void)err_hint(e, "write an IPv6 address in brackets: [%.*s]", TEXT_MAX, s);
		return -EINVAL;
	}
	if (*s && inet_pton(AF_INET, s, addr) != 1 && inet_pton(AF_INET6, s, addr) != 1)
		return err_set(e, EINVAL, "invalid ip address: %.*s", TEXT_MAX, s);
	return 0;
}

/* Cut "ip:host:container" at the last two colons, in place. */
static void split_port(char *s, char **ip, char **host, char **container)
{
	static char nothing[1];
	char *colon = strrchr(s, ':');

	*ip = *host = nothing;
	*container = s;
	if (!colon)
		return;
	*colon = '\0';
	*container = colon + 1;
	*host = s;
	colon = strrchr(s, ':');
	if (!colon)
		return;
	*colon = '\0';
	*host = colon + 1;
	*ip = s;
}

static int by_port_text(const void *a, const void *b)
{
	const struct short_port *x = a, *y = b;
	char p[8], q[8];

	snprintf(p, sizeof(p), "%u/", x->target); /* '/' sorts before digits, as in "80/tcp" */
	snprintf(q, sizeof(q), "%u/", y->target);
	return strcmp(p, q);
}

static void fill_ports(struct arena *a, const struct short_port *like, struct range host,
		       struct range container, bool published, struct short_port *out)
{
	size_t n = (size_t)(container.last - container.first) + 1;

	for (size_t i = 0; i < n; i++) {
		out[i] = *like;
		out[i].target = (uint16_t)(container.first + i);
		out[i].published = "";
		if (!published)
			continue;
		if (n == 1 && host.first != host.last)
			out[i].published = arena_printf(a, "%u-%u", host.first, host.last);
		else
			out[i].published = arena_printf(a, "%zu", host.first + i);
	}
	qsort(out, n, sizeof(*out), by_port_text);
}

int units_ports(struct arena *a, const char *text, struct short_port **out, size_t *n,
		struct err *e)
{
	struct range ports = { 0 }, host_ports = { 0 };
	char *ip, *host, *container;
	struct short_port spec = { 0 };
	int r;

	split_port(arena_strdup(a, text), &ip, &host, &container);
	r = parse_host_ip(&ip, e);
	if (r < 0)
		return r;
	spec.host_ip = ip;
	if (!*container || *container == '/')
		return err_set(e, EINVAL, "no port specified: %.*s<empty>", TEXT_MAX, text);
	r = split_proto(container, &spec.protocol, e);
	if (!parse_range(container, &ports))
		return err_set(e, EINVAL, "invalid containerPort: %.*s", TEXT_MAX, container);
	if (*host && !parse_range(host, &host_ports))
		return err_set(e, EINVAL, "invalid hostPort: %.*s", TEXT_MAX, host);
	if (r < 0)
		return r;
	/* A range for one container port means "any of these". */
	if (*host && ports.first != ports.last &&
	    ports.last - ports.first != host_ports.last - host_ports.first)
		return err_set(e, EINVAL,
			       "invalid ranges specified for container and host Ports: %s and %s",
			       container, host);
	*n = (size_t)(ports.last - ports.first) + 1;
	*out = arena_alloc(a, *n * sizeof(**out));
	fill_ports(a, &spec, host_ports, ports, *host, *out);
	return 0;
}

int units_port_range(const char *text, uint16_t *first, uint16_t *last, struct err *e)
{
	char copy[32];
	const char *proto;
	struct range range;
	int r;

	if (strlen(text) >= sizeof(copy))
		return err_set(e, EINVAL, "invalid containerPort: %.*s", TEXT_MAX, text);
	memcpy(copy, text, strlen(text) + 1);
	r = split_proto(copy, &proto, e);
	if (r < 0)
		return r;
	if (!parse_range(copy, &range))
		return err_set(e, EINVAL, "invalid containerPort: %.*s", TEXT_MAX, copy);
	*first = range.first;
	*last = range.last;
	return 0;
}

/* ---- volumes ------------------------------------------------------------------------------ */
static bool is_drive(const char *s, size_t n)
{
	return n == 1 && isalpha((unsigned char)*s);
}

bool units_is_path(const char *source)
{
	if (!*source)
		return false;
	if (strchr("./~", *source) || strncmp(source, "\\\\", 2) == 0)
		return true;
	return is_drive(source, 1) && source[1] == ':';
}

/* Length of the field at @s: to the next colon that is not of a drive letter
 * or inside ${…}, which --no-interpolate leaves in place. */
static size_t volume_field(const char *s)
{
	size_t open = 0, n;

	for (n = 0; s[n]; n++) {
		if (s[n] == '$' && s[n + 1] == '{')
			open++;
		else if (s[n] == '}' && open)
			open--;
		else if (s[n] == ':' && !open && !is_drive(s, n))
			break;
	}
	return n;
}

static void volume_option(const char *option, size_t n, struct short_volume *v)
{
	static const char *const propagations[] = { "rprivate", "private", "rshared",
						    "shared",   "rslave",  "slave" };
	static const char *const labels[] = { "z", "Z" };

	if (n == 2 && memcmp(option, "ro", 2) == 0)
		v->read_only = true;
	else if (n == 2 && memcmp(option, "rw", 2) == 0)
		v->read_only = false;
	else if (n == 6 && memcmp(option, "nocopy", 6) == 0)
		v->nocopy = true;
	for (size_t i = 0; i < ARRAY_SIZE(propagations); i++)
		if (strlen(propagations[i]) == n && memcmp(option, propagations[i], n) == 0)
			v->propagation = propagations[i];
	for (size_t i = 0; i < ARRAY_SIZE(labels); i++)
		if (n == 1 && *option == *labels[i])
			v->selinux = labels[i];
	/* Docker Compose takes and ignores whatever else stands here. */
}

static void volume_options(const char *s, size_t n, struct short_volume *v)
{
	const char *end = s + n;

	while (s < end) {
		const char *comma = memchr(s, ',', (size_t)(end - s));
		size_t length = (size_t)((comma ? comma : end) - s);

		volume_option(s, length, v);
		s += length + 1;
	}
}

static int fail_volume(const char *text, const char *why, struct err *e)
{
	return err_set(e, EINVAL, "invalid spec: %.*s: %s", TEXT_MAX, text, why);
}

int units_volume(struct arena *a, const char *text, struct short_volume *out, struct err *e)
{
	const char *s = text;
	size_t n;

	*out = (struct short_volume){
		.source = "", .target = "", .propagation = "", .selinux = ""
	};
	if (!*text)
		return err_set(e, EINVAL, "invalid empty volume spec");
	if (strlen(text) <= 2) {
		out->target = arena_strdup(a, text);
		return 0;
	}
	for (;; s += n + 1) {
		n = volume_field(s);
		if (!n)
			return fail_volume(text, "empty section between colons", e);
		if (!*out->source && s[n])
			out->source = arena_strndup(a, s, n);
		else if (!*out->target)
			out->target = arena_strndup(a, s, n);
		else if (s[n])
			return fail_volume(text, "too many colons", e);
		else
			volume_options(s, n, out);
		if (!s[n])
			break;
	}
	out->bind = units_is_path(out->source);
	return 0;
}

/* ---- devices, hosts -------------------------------------------------------------------------- */
int units_device(struct arena *a, const char *text, struct short_device *out, struct err *e)
{
	char *source = arena_strdup(a, text), *target, *permissions = NULL;

	target = strchr(source, ':');
	if (target) {
		*target++ = '\0';
		permissions = strchr(target, ':');
		if (permissions)
			*permissions++ = '\0';
	}
	if (permissions && strchr(permissions, ':'))
		return err_set(e, EINVAL, "confusing device mapping, please use long syntax: %.*s",
			       TEXT_MAX, text);
	out->source = source;
	out->target = is_empty(target) ? source : target;
	out->permissions = permissions ? permissions : "rwm";
	return 0;
}

/* "[::1]" is the address ::1. */
static char *drop_brackets(char *ip)
{
	size_t n = strlen(ip);

	if (n <= 2 || ip[0] != '[' || ip[n - 1] != ']')
		return ip;
	ip[n - 1] = '\0';
	return ip + 1;
}

int units_extra_host(struct arena *a, const char *text, const char **host, const char ***ips,
		     struct err *e)
{
	char *name = arena_strdup(a, text), *ip = strchr(name, '='), *comma;
	size_t n = 0, max = 2;

	if (!ip)
		ip = strchr(name, ':');
	if (!ip)
		return err_set(e, EINVAL, "invalid additional host, missing IP: %.*s", TEXT_MAX,
			       text);
	*ip++ = '\0';
	if (!*name || strpbrk(name, ":="))
		return err_set(e, EINVAL, "bad host name '%.*s'", TEXT_MAX, name);
	for (const char *s = ip; *s; s++)
		max += *s == ',';
	*host = name;
	*ips = arena_alloc(a, max * sizeof(**ips));
	for (; (comma = strchr(ip, ',')); ip = comma + 1) {
		*comma = '\0';
		(*ips)[n++] = drop_brackets(ip);
	}
	(*ips)[n] = drop_brackets(ip);
	return 0;
}
