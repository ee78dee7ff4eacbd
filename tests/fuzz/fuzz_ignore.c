/* The first line is a path, the rest a .dockerignore.  Asking for the path at once and
 * walking down to it must give one answer. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "engine/build/ignore.h"
#include "engine/build/wildcard.h"

static bool walk(const struct ignore *i, char *path)
{
	struct ignore_state *parent = NULL;
	bool hidden;

	for (size_t n = strcspn(path, "/");; n += 1 + strcspn(path + n + 1, "/")) {
		struct ignore_state *below;
		char c = path[n];

		path[n] = '\0';
		hidden = ignore_match_below(i, parent, path, &below);
		ignore_state_free(parent);
		parent = below;
		path[n] = c;
		if (!c)
			break;
	}
	ignore_state_free(parent);
	return hidden;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *newline = size ? memchr(data, '\n', size) : NULL;
	size_t n = newline ? (size_t)(newline - data) : 0;
	_cleanup_(ignore_freep) struct ignore *i = NULL;
	_cleanup_(free_p) char *path = xstrndup((const char *)data, n);
	_cleanup_(free_p) char *quoted = wildcard_quote(path);

	if (!wildcard_match(quoted, path))
		abort();
	if (!newline || ignore_parse("f", (const char *)newline + 1, size - n - 1, &i, NULL) < 0)
		return 0;
	if (ignore_match(i, path) != walk(i, path))
		abort();
	if (ignore_match(i, path) != (ignore_culprit(i, path) != NULL))
		abort();
	(void)ignore_may_hold_wanted(i, path);
	return 0;
}
