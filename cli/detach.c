/* cli/detach.c: see detach.h. */
#include "cli/detach.h"

#include <errno.h>

#include "base/strv.h"

static int parse_key(const char *text, unsigned char *key, struct err *e)
{
	const char *control = skip_prefix(text, "ctrl-");

	if (control && control[0] && !control[1]) {
		if (control[0] >= 'a' && control[0] <= 'z') {
			*key = (unsigned char)(control[0] - 'a' + 1);
			return 0;
		}
		if (strchr("@[\\]^_", control[0])) {
			*key = (unsigned char)control[0] & 0x1f;
			return 0;
		}
	}
	if (text[0] && !text[1]) {
		*key = (unsigned char)text[0];
		return 0;
	}
	return err_set(e, EINVAL, "Unknown character: '%s'", text);
}

int detach_keys_parse(const char *text, struct detach_keys *out, struct err *e)
{
	_cleanup_(strv_freep) char **words = strv_split(text, ',', false);

	*out = (struct detach_keys){ 0 };
	STRV_FOREACH (w, words) {
		int r;

		if (out->n == DETACH_KEYS_MAX)
			return err_set(e, EINVAL, "too many detach keys");
		r = parse_key(*w, &out->keys[out->n], e);
		if (r < 0)
			return r;
		out->n++;
	}
	return 0;
}

/* After a key that does not go on with what was matched: the longest beginning of
 * the keys that the held-back ones and this one end with stays held back. */
static size_t mismatch(struct detach_keys *d, unsigned char c, char *out)
{
	unsigned char typed[DETACH_KEYS_MAX + 1];
	size_t n = d->matched;

	memcpy(typed, d->keys, n);
	typed[n++] = c;
	for (size_t drop = 1; drop <= n; drop++) {
		if (memcmp(typed + drop, d->keys, n - drop) != 0)
			continue;
		memcpy(out, typed, drop);
		d->matched = n - drop;
		return drop;
	}
	return 0; /* not reached: dropping all always fits */
}

size_t detach_filter(struct detach_keys *d, const char *in, size_t n, char *out, bool *detached)
{
	size_t len = 0;

	*detached = false;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)in[i];

		if (d->n && c == d->keys[d->matched]) {
			if (++d->matched < d->n)
				continue;
			d->matched = 0;
			*detached = true;
			return len;
		}
		len += mismatch(d, c, out + len);
	}
	return len;
}
