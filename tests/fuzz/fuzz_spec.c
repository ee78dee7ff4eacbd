/* containers/ID/spec.json as a crash, an older or a newer comp may have left it: what is accepted
 * survives a round trip unchanged. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/json.h"
#include "engine/container/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct container_spec *s = NULL, *copy, *again = NULL;
	json *j = NULL, *a, *b;

	if (size > 65536 || json_parse((const char *)data, size, &j, NULL) < 0)
		return 0;
	if (spec_from_json(j, &s, NULL) == 0) {
		copy = spec_copy(s);
		a = spec_to_json(s);
		spec_free(s);
		b = spec_to_json(copy);
		assert(streq(json_text(a), json_text(b)));
		assert(spec_from_json(b, &again, NULL) == 0);
		spec_free(again);
		spec_free(copy);
		json_unref(a);
		json_unref(b);
	}
	json_unref(j);
	return 0;
}
