/* Seccomp profiles in JSON, as a compose file names them: compile or refuse, with a reason. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "engine/container/caps.h"
#include "engine/container/seccomp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seccomp_program *p = NULL;
	struct err e = ERR_INIT;
	char *text;

	if (size > 16384)
		return 0;
	text = xstrndup((const char *)data, size);
	if (seccomp_compile_json(text, caps_default(), &p, &e) == 0)
		assert(p && p->n > 0);
	else
		assert(!p && e.code && *e.msg);
	free(p);
	free(text);
	return 0;
}
