/* What registries, credential helpers and config.json say.  The first byte chooses. */
#include <assert.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "engine/image/challenge.h"
#include "engine/image/credentials.h"
#include "engine/image/platform.h"
#include "engine/image/registry_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_challenge(const char *text)
{
	struct challenge c = { 0 };
	int r = challenge_parse(text, &c, NULL);

	if (r == 0 && c.kind == CHALLENGE_NONE)
		assert(!c.realm && !c.service && !c.scope);
	/* what goes into a request must not end a line of it */
	assert(!c.realm || !strpbrk(c.realm, "\r\n"));
	assert(!c.service || !strpbrk(c.service, "\r\n"));
	assert(!c.scope || !strpbrk(c.scope, "\r\n"));
	challenge_done(&c);
}

static void check_retry_after(const char *text)
{
	uint64_t wait;

	if (retry_after_parse(text, NSEC_PER_SEC, &wait) == 0)
		assert(wait <= (UINT64_C(1) << 31) * NSEC_PER_SEC);
}

static void check_config(const char *text, size_t n)
{
	_cleanup_(free_p) char *helper = NULL;
	_cleanup_(json_unrefp) json *o = NULL;
	struct credentials c;
	int r;

	if (json_parse(text, n, &o, NULL) < 0)
		return;
	r = credentials_lookup(o, "docker.io", &c, &helper, NULL);
	assert(!helper || !strchr(helper, '/'));
	if (r == 0)
		assert(helper || c.user || c.identity || c.token);
	credentials_done(&c);
}

static void check_helper(const char *text, size_t n)
{
	struct credentials c;

	if (credentials_from_helper(text, n, &c, NULL) == 0)
		assert(c.identity || c.secret);
	credentials_done(&c);
}

static void check_registries(const char *text, size_t n)
{
	struct registry_config c;
	struct registry_endpoints l;

	if (registry_config_parse(text, n, &c, NULL) < 0)
		return;
	registry_config_endpoints(&c, "docker.io", &l);
	assert(l.n >= 1 && !l.items[l.n - 1].mirror);
	registry_endpoints_done(&l);
	registry_config_done(&c);
}

static void check_platform(const char *text)
{
	struct platform p, again;
	char *name;

	if (platform_parse(text, &p, NULL) < 0)
		return;
	name = platform_text(&p);
	assert(platform_parse(name, &again, NULL) == 0);
	assert(streq(p.architecture, again.architecture) && streq_null(p.variant, again.variant));
	free(name);
	platform_done(&p);
	platform_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(free_p) char *text = NULL;

	if (size < 1)
		return 0;
	text = xstrndup((const char *)data + 1, size - 1);
	switch (data[0]) {
	case 'w':
		check_challenge(text);
		break;
	case 'r':
		check_retry_after(text);
		break;
	case 'c':
		check_config((const char *)data + 1, size - 1);
		break;
	case 'h':
		check_helper((const char *)data + 1, size - 1);
		break;
	case 'm':
		check_registries((const char *)data + 1, size - 1);
		break;
	case 'p':
		check_platform(text);
		break;
	}
	return 0;
}
