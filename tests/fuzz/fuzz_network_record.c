/* networks/<id>.json: a damaged record must be refused or read, never crash;
 * what was read must survive another round. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "net/network.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct network *n = NULL, *back = NULL;
	json *j = NULL, *again;

	if (json_parse((const char *)data, size, &j, NULL) < 0)
		return 0;
	if (network_from_json(j, &n, NULL) == 0) {
		again = network_to_json(n);
		assert(network_from_json(again, &back, NULL) == 0);
		json_unref(again);
	}
	network_free(n);
	network_free(back);
	json_unref(j);
	return 0;
}
