/* cli/table.c: as Go's text/tabwriter with Docker's parameters lays columns out:
 * a cell is its text and three blanks, at least ten wide, and a column is as
 * wide as its widest cell.
 */
#include "cli/table.h"

#include <wchar.h>

#include "base/strv.h"

#define PADDING   3
#define MIN_WIDTH 10

void table_row_take(struct table *t, char **cells)
{
	if (t->n == t->cap) {
		t->cap = t->cap ? t->cap * 2 : 16;
		t->rows = xreallocarray(t->rows, t->cap, sizeof(*t->rows));
	}
	t->rows[t->n++] = cells;
}

void table_row(struct table *t, const char *const *cells)
{
	table_row_take(t, strv_copy((char *const *)cells));
}

void table_done(struct table *t)
{
	for (size_t i = 0; i < t->n; i++)
		strv_free(t->rows[i]);
	free(t->rows);
	*t = TABLE_INIT;
}

/* Decode one character; malformed bytes count as one each.  The C locale is not
 * set, so mbrtowc(3) would not do. */
static uint32_t next_char(const char **s)
{
	const unsigned char *p = (const unsigned char *)*s;
	size_t n = *p < 0x80 ? 1 : *p < 0xc0 ? 1 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;
	uint32_t c = n == 1 ? *p : *p & (0xffu >> (n + 1));

	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80) {
			(*s)++;
			return 0xfffd;
		}
		c = c << 6 | (p[i] & 0x3f);
	}
	*s += n;
	return c;
}

static size_t char_width(uint32_t c)
{
	if ((c >= 0x300 && c <= 0x36f) || c == 0x200b || (c >= 0xfe00 && c <= 0xfe0f))
		return 0;
	if ((c >= 0x1100 && c <= 0x115f) || (c >= 0x2e80 && c <= 0xa4cf) ||
	    (c >= 0xac00 && c <= 0xd7a3) || (c >= 0xf900 && c <= 0xfaff) ||
	    (c >= 0xfe30 && c <= 0xfe6f) || (c >= 0xff00 && c <= 0xff60) ||
	    (c >= 0x1f300 && c <= 0x1faff))
		return 2;
	return 1;
}

size_t text_width(const char *s)
{
	size_t n = 0;

	while (*s)
		n += char_width(next_char(&s));
	return n;
}

static size_t cell_width(size_t so_far, const char *cell, size_t least)
{
	size_t width = text_width(cell) + PADDING;

	width = MAX(width, least);
	return MAX(width, so_far);
}

void table_print(const struct table *t, FILE *out)
{
	_cleanup_(free_p) size_t *widths = NULL;
	size_t n_cols = 0, least = t->min_width ? t->min_width : MIN_WIDTH;

	for (size_t i = 0; i < t->n; i++)
		n_cols = MAX(n_cols, strv_len(t->rows[i]));
	widths = xcalloc(n_cols + 1, sizeof(*widths));
	for (size_t i = 0; i < t->n; i++)
		for (size_t j = 0; t->rows[i] && t->rows[i][j]; j++)
			widths[j] = cell_width(widths[j], t->rows[i][j], least);
	for (size_t i = 0; i < t->n; i++) {
		for (size_t j = 0; t->rows[i] && t->rows[i][j]; j++) {
			const char *cell = t->rows[i][j];
			bool last = !t->rows[i][j + 1];

			fprintf(out, "%s%*s", cell, last ? 0 : (int)(widths[j] - text_width(cell)),
				"");
		}
		fputc('\n', out);
	}
}
