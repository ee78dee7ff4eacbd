/* tests/unit/cli/capture.h: what a function prints, as a string. */
#ifndef TESTS_UNIT_CLI_CAPTURE_H
#define TESTS_UNIT_CLI_CAPTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

struct capture {
	FILE *f;
	char *text;
	size_t n;
};

static inline FILE *capture_open(struct capture *c)
{
	*c = (struct capture){ 0 };
	c->f = open_memstream(&c->text, &c->n);
	assert_non_null(c->f);
	return c->f;
}

/* Compare what was printed and free it. */
#define capture_expect(c, expected)                                                                \
	do {                                                                                       \
		fclose((c)->f);                                                                    \
		assert_string_equal((c)->text, (expected));                                        \
		free((c)->text);                                                                   \
	} while (0)

#endif
