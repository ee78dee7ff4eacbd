/* engine/image/platform.c: names are normalised as containerd does it, so that
 * "linux/aarch64" and "linux/arm64/v8" are the same thing.  Of the 32-bit ARM
 * variants a lower one runs on a higher machine; of others the variant is a wish. */
#include "engine/image/platform.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/strv.h"

void platform_done(struct platform *p)
{
	free(p->os);
	free(p->architecture);
	free(p->variant);
	*p = (struct platform){ 0 };
}

static void normalize(struct platform *p)
{
	static const char *const other[][3] = {
		{ "x86_64", "amd64", NULL },  { "x86-64", "amd64", NULL },
		{ "i386", "386", NULL },      { "i686", "386", NULL },
		{ "aarch64", "arm64", NULL }, { "armhf", "arm", "v7" },
		{ "armel", "arm", "v6" },     { "armv7l", "arm", "v7" },
		{ "armv6l", "arm", "v6" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(other); i++) {
		if (!streq(p->architecture, other[i][0]))
			continue;
		str_set(&p->architecture, other[i][1]);
		if (other[i][2] && !p->variant)
			p->variant = xstrdup(other[i][2]);
		break;
	}
	if (streq(p->architecture, "arm64") && streq_null(p->variant, "v8"))
		str_set(&p->variant, NULL);
	if (streq(p->architecture, "arm") && !p->variant)
		p->variant = xstrdup("v7");
}

static bool is_os(const char *s)
{
	static const char *const known[] = { "linux",   "windows", "darwin",  "freebsd",
					     "openbsd", "netbsd",  "solaris", "wasip1" };

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (streq(s, known[i]))
			return true;
	return false;
}

static void host(struct platform *out)
{
	const char *architecture, *variant;

	platform_of_host(&architecture, &variant);
	*out = (struct platform){ .os = xstrdup("linux"),
				  .architecture = xstrdup(architecture),
				  .variant = xstrdup_null(variant) };
	normalize(out);
}

int platform_parse(const char *text, struct platform *out, struct err *e)
{
	_cleanup_(strv_freep) char **parts = NULL;
	size_t n, at;

	*out = (struct platform){ 0 };
	if (is_empty(text)) {
		host(out);
		return 0;
	}
	parts = strv_split(text, '/', false);
	n = strv_len(parts);
	STRV_FOREACH (p, parts)
		if (!**p || strspn(*p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "0123456789_.-") != strlen(*p))
			n = 0;
	if (n == 0 || n > 3 || (n == 1 && is_os(parts[0]))) {
		err_set(e, EINVAL, "invalid platform \"%.100s\"", text);
		return err_hint(e, "write it as os/arch or os/arch/variant: linux/arm64");
	}
	at = is_os(parts[0]) ? 1 : 0;
	if (n - at > 2 || n == at)
		return err_set(e, EINVAL, "unknown operating system in platform \"%.100s\"", text);
	out->os = xstrdup(at ? parts[0] : "linux");
	out->architecture = xstrdup(parts[at]);
	out->variant = xstrdup_null(parts[at + 1]);
	normalize(out);
	return 0;
}

char *platform_text(const struct platform *p)
{
	return xasprintf("%s/%s%s%s", p->os, p->architecture, p->variant ? "/" : "",
			 p->variant ? p->variant : "");
}

int platform_suits(const struct platform *want, const char *os, const char *architecture,
		   const char *variant)
{
	struct platform have = { 0 };
	int suits = 2;

	if (is_empty(architecture))
		return 1;
	have.os = xstrdup(is_empty(os) ? "linux" : os);
	have.architecture = xstrdup(architecture);
	have.variant = is_empty(variant) ? NULL : xstrdup(variant);
	normalize(&have);
	if (!streq(have.os, want->os) || !streq(have.architecture, want->architecture))
		suits = 0;
	else if (streq_null(have.variant, want->variant))
		suits = 3;
	else if (streq(have.architecture, "arm"))
		suits = strcmp(have.variant, want->variant ? want->variant : "v7") < 0 ? 2 : 0;
	platform_done(&have);
	return suits;
}

const struct descriptor *platform_choose(const struct platform *want, const struct image_index *x)
{
	const struct descriptor *best = NULL;
	int best_suits = 0;

	for (size_t i = 0; i < x->n; i++) {
		const struct descriptor *d = &x->items[i];
		int suits = d->attestation
				    ? 0
				    : platform_suits(want, d->os, d->architecture, d->variant);

		/* Of several lower ARM variants the highest. */
		if (suits > best_suits ||
		    (suits && suits == best_suits && d->variant && best->variant &&
		     strcmp(d->variant, best->variant) > 0)) {
			best = d;
			best_suits = suits;
		}
	}
	return best;
}

int platform_none(const struct platform *want, const struct image_index *x, struct err *e)
{
	_cleanup_(free_p) char *text = platform_text(want);
	_cleanup_(buf_done) struct buf have = BUF_INIT;

	for (size_t i = 0; i < x->n && have.len < 400; i++) {
		const struct descriptor *d = &x->items[i];

		if (!d->architecture || d->attestation || streq(d->architecture, "unknown"))
			continue;
		buf_printf(&have, "%s%.32s/%.32s%s%.32s", have.len ? ", " : "",
			   d->os ? d->os : "linux", d->architecture, d->variant ? "/" : "",
			   d->variant ? d->variant : "");
	}
	return err_set(e, ENOENT, "no image for %s; there are: %s", text,
		       have.len ? buf_str(&have) : "none");
}
