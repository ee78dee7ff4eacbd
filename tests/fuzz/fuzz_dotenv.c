/* Any bytes as a dotenv file, in both formats. */
#include <assert.h>
#include <stdlib.h>

#include "compose/dotenv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct interp_value lookup(const char *name, void *data)
{
	(void)data;
	return (struct interp_value){ streq(name, "SET") ? "a value" : NULL, "environment" };
}

static void parse(const char *text, size_t n, enum dotenv_format format)
{
	const struct interp_vars vars = { .lookup = lookup };
	struct arena *a = arena_new();
	struct dotenv d = { 0 };
	struct err e = ERR_INIT;
	int line = 1;

	if (dotenv_parse(a, "fuzz.env", text, n, format, &vars, &d, &e) < 0)
		assert(e.msg[0] && e.line > 0 && e.col > 0);
	for (size_t i = 0; i < d.n; i++) {
		assert(d.entries[i].key[0] && d.entries[i].line >= line && d.entries[i].col > 0);
		assert(d.entries[i].value || d.entries[i].inherited || e.code);
		line = d.entries[i].line;
	}
	arena_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	parse((const char *)data, size, DOTENV_COMPOSE);
	parse((const char *)data, size, DOTENV_RAW);
	return 0;
}
