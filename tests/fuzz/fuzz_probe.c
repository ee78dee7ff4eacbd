/* Probes: no address or status line is read beyond its end, and what is accepted fits. */
#include <assert.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "engine/supervise/probe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse(char *kind, char *text)
{
	char *test[] = { kind, text, NULL };
	struct probe p;

	if (probe_parse(test, &p, NULL) < 0)
		return;
	assert(p.port && strlen(p.address) < sizeof(p.address));
	assert(!p.http || p.target[0] == '/');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char tcp[] = "TCP", http[] = "HTTP";
	_cleanup_(free_p) char *text = xstrndup(size ? (const char *)data : "", size);
	/* Without a terminator, for what comes over the network. */
	_cleanup_(free_p) char *bytes = xmemdup(data ? (const void *)data : "", size);
	int code = probe_status(bytes, size);

	assert(code == 0 || (code >= 0 && code <= 999));
	parse(tcp, text);
	parse(http, text);
	return 0;
}
