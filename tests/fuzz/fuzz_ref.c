/* Image references and Dockerfile instructions: a reference that is accepted has
 * one normal form, and its parts are safe as parts of a name. */
#include <assert.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "engine/image/change.h"
#include "engine/image/ref.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void reference(const char *text)
{
	_cleanup_(free_p) char *canonical = NULL, *again = NULL, *familiar = NULL;
	struct image_ref r, r2;

	if (ref_parse(text, &r, NULL) < 0)
		return;
	canonical = ref_canonical(&r);
	familiar = ref_familiar(&r);
	assert(!strstr(r.path, "..") && r.path[0] != '/' && !strstr(r.domain, ".."));
	assert(ref_parse(canonical, &r2, NULL) == 0);
	again = ref_canonical(&r2);
	assert(streq(canonical, again));
	ref_done(&r2);
	assert(ref_parse(familiar, &r2, NULL) == 0);
	free(again);
	again = ref_canonical(&r2);
	assert(streq(canonical, again));
	ref_done(&r2);
	ref_done(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(free_p) char *text = xstrndup(size ? (const char *)data : "", size);
	_cleanup_(image_config_done) struct image_config c = { 0 };
	_cleanup_(strv_freep) char **lines = strv_split(text, '\n', true);

	reference(text);
	STRV_FOREACH (l, lines)
		(void)change_apply(&c, *l, NULL);
	return 0;
}
