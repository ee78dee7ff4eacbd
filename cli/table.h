/* cli/table.h: columns as Docker prints them: three blanks between, at least
 * ten wide, the last one unpadded.  Width counts characters of UTF-8, not bytes.
 */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stdio.h>

#include "base/util.h"

struct table {
	char ***rows;
	size_t n, cap;
	size_t min_width; /* 0: Docker's 10 */
};

#define TABLE_INIT ((struct table){ 0 })

void table_row(struct table *t, const char *const *cells); /* NULL-terminated; copied */
void table_row_take(struct table *t, char **cells);        /* owns the vector */
void table_print(const struct table *t, FILE *out);
void table_done(struct table *t);

/* Columns that @s takes on a terminal: characters of UTF-8, wide ones as two. */
size_t text_width(const char *s);

#endif
