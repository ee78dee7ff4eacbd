/* net/resolv.c: line by line, word by word.  The host's file is untrusted only
 * in so far as its words end up in a container's file: control characters
 * cannot, since words are separated by them. */
#include "net/resolv.h"

#include <fcntl.h>

#include "base/fd.h"
#include "net/addr.h"

#define MAX_SERVERS 16
#define MAX_WORDS   32
#define FILE_MAX    (64 * 1024)

void resolv_done(struct resolv_conf *r)
{
	strv_free(r->nameservers);
	strv_free(r->search);
	strv_free(r->options);
	*r = (struct resolv_conf){ 0 };
}

static bool is_blank(char c)
{
	return (unsigned char)c <= ' ' || c == 0x7f;
}

/* The next word of the line [*p, end); NULL at its end.  Caller frees. */
static char *next_word(const char **p, const char *end)
{
	const char *start;

	while (*p < end && is_blank(**p))
		(*p)++;
	start = *p;
	while (*p < end && !is_blank(**p))
		(*p)++;
	return *p > start ? xstrndup(start, (size_t)(*p - start)) : NULL;
}

static bool is_server(const char *text)
{
	_cleanup_(free_p) char *bare = xstrndup(text, strcspn(text, "%"));
	struct ip_addr a;

	return ip_parse(bare, &a, NULL) == 0 && bare[0] != '[' &&
	       (a.family == AF_INET6 || streq(bare, text));
}

static void add_words(char ***to, const char **p, const char *end)
{
	char *word;

	while (strv_len(*to) < MAX_WORDS && (word = next_word(p, end)))
		strv_add_take(to, word);
}

static void parse_line(const char *p, const char *end, struct resolv_conf *out)
{
	_cleanup_(free_p) char *key = next_word(&p, end), *server = NULL;

	if (!key || key[0] == '#' || key[0] == ';')
		return;
	if (streq(key, "nameserver")) {
		server = next_word(&p, end);
		if (server && is_server(server) && strv_len(out->nameservers) < MAX_SERVERS)
			strv_add(&out->nameservers, server);
	} else if (streq(key, "search") || streq(key, "domain")) {
		/* The last of these lines counts: resolv.conf(5). */
		strv_free(out->search);
		out->search = NULL;
		add_words(&out->search, &p, end);
	} else if (streq(key, "options")) {
		add_words(&out->options, &p, end);
	}
}

void resolv_parse(const char *text, size_t n, struct resolv_conf *out)
{
	const char *end = text + n;

	*out = (struct resolv_conf){ 0 };
	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));

		parse_line(text, newline ? newline : end, out);
		text = newline ? newline + 1 : end;
	}
}

bool resolv_is_stub(const struct resolv_conf *r)
{
	return strv_len(r->nameservers) == 1 && streq(r->nameservers[0], "127.0.0.53");
}

static int read_conf(const char *path, struct resolv_conf *out, struct err *e)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	int r = file_read_follow(AT_FDCWD, path, FILE_MAX, &text, e);

	if (r < 0 && r != -ENOENT)
		return r;
	resolv_parse(buf_str(&text), text.len, out);
	return 0;
}

int resolv_read_host(struct resolv_conf *out, struct err *e)
{
	_cleanup_(resolv_done) struct resolv_conf real = { 0 };
	int r = read_conf("/etc/resolv.conf", out, e);

	if (r < 0 || !resolv_is_stub(out))
		return r;
	/* Ask the servers behind the stub, if it lets us know them. */
	if (read_conf("/run/systemd/resolve/resolv.conf", &real, NULL) == 0 && real.nameservers) {
		strv_free(out->nameservers);
		out->nameservers = TAKE_PTR(real.nameservers);
	}
	return 0;
}

static bool has_ndots(char *const *options)
{
	STRV_FOREACH (option, options)
		if (skip_prefix(*option, "ndots:"))
			return true;
	return false;
}

static void add_line(struct buf *out, const char *key, char *const *words, const char *last)
{
	if (!strv_len(words) && !last)
		return;
	buf_adds(out, key);
	STRV_FOREACH (word, words)
		buf_printf(out, " %s", *word);
	if (last)
		buf_printf(out, " %s", last);
	buf_addc(out, '\n');
}

void resolv_container_text(const struct resolv_container *c, struct buf *out)
{
	char *const *search = c->search ? c->search : c->host ? c->host->search : NULL;
	char *const *options = c->options ? c->options : c->host ? c->host->options : NULL;
	bool own = !strv_len(c->nameservers);

	buf_adds(out, "# Written by comp at every start; edits are lost.\n");
	if (own)
		buf_adds(out, "nameserver " RESOLV_DNS_ADDRESS "\n");
	STRV_FOREACH (server, c->nameservers)
		buf_printf(out, "nameserver %s\n", *server);
	if (strv_len(search) == 1 && streq(search[0], "."))
		search = NULL;
	add_line(out, "search", search, NULL);
	add_line(out, "options", options, own && !has_ndots(options) ? "ndots:0" : NULL);
}

/* ---- hosts ------------------------------------------------------------------- */

static int add_extra_host(struct buf *out, const char *entry, const char *gateway, struct err *e)
{
	size_t n = strcspn(entry, "=:"); /* '=' or, for IPv4 and names, ':' */
	_cleanup_(free_p) char *name = xstrndup(entry, n);
	const char *value = entry[n] ? entry + n + 1 : "";
	struct ip_addr a;
	char text[IP_TEXT_MAX];

	for (const char *c = name; *c; c++)
		if (is_blank(*c) || *c == '#')
			n = 0;
	if (n == 0 || !*value)
		return err_set(e, EINVAL, "extra_hosts: \"%s\" is not of the form name=address",
			       entry);
	if (streq(value, "host-gateway")) {
		if (is_empty(gateway))
			return err_set(e, EINVAL,
				       "extra_hosts: \"%s\": there is no host gateway without a "
				       "network that has one",
				       entry);
		buf_printf(out, "%s\t%s\n", gateway, name);
		return 0;
	}
	if (ip_parse(value, &a, NULL) < 0)
		return err_set(e, EINVAL, "extra_hosts: \"%s\": \"%s\" is not an IP address", entry,
			       value);
	buf_printf(out, "%s\t%s\n", ip_text(&a, text), name);
	return 0;
}

static void add_own_line(struct buf *out, const char *address, const struct hosts_container *c)
{
	const char *dot = strchr(c->hostname, '.');

	buf_printf(out, "%s\t", address);
	if (!is_empty(c->domainname))
		buf_printf(out, "%s.%s ", c->hostname, c->domainname);
	buf_adds(out, c->hostname);
	if (dot && dot > c->hostname && is_empty(c->domainname))
		buf_printf(out, " %.*s", (int)(dot - c->hostname), c->hostname);
	STRV_FOREACH (name, c->names)
		if (!streq(*name, c->hostname))
			buf_printf(out, " %s", *name);
	buf_addc(out, '\n');
}

int hosts_container_text(const struct hosts_container *c, struct buf *out, struct err *e)
{
	int r;

	buf_adds(out, "127.0.0.1\tlocalhost\n");
	if (!c->no_ipv6)
		buf_adds(out, "::1\tlocalhost ip6-localhost ip6-loopback\n"
			      "fe00::\tip6-localnet\n"
			      "ff00::\tip6-mcastprefix\n"
			      "ff02::1\tip6-allnodes\n"
			      "ff02::2\tip6-allrouters\n");
	STRV_FOREACH (entry, c->extra_hosts) {
		r = add_extra_host(out, *entry, c->host_gateway, e);
		if (r < 0)
			return r;
	}
	if (c->hostname)
		STRV_FOREACH (address, c->addresses)
			add_own_line(out, *address, c);
	return 0;
}
