/* base/buf.h: a growing byte buffer.  Always NUL-terminated once written to,
 * so @data can be used as a string; the NUL is not counted in @len. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/cleanup.h"
#include "base/util.h"

struct buf {
	char *data; /* NULL until the first write */
	size_t len;
	size_t cap;
};

#define BUF_INIT ((struct buf){ 0 })

void buf_done(struct buf *b); /* frees; the buffer is empty and usable after */
void buf_reserve(struct buf *b, size_t more);
void buf_add(struct buf *b, const void *p, size_t n);
void buf_adds(struct buf *b, const char *s);
void buf_addc(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) _printf_(2, 3);
void buf_vprintf(struct buf *b, const char *fmt, va_list ap) _printf_(2, 0);
void buf_consume(struct buf *b, size_t n); /* drop @n bytes from the front */
void buf_truncate(struct buf *b, size_t len);
/* The bytes as a string the caller frees; the buffer is empty after. */
char *buf_take(struct buf *b);
/* The bytes as a borrowed string, "" when nothing was written. */
static inline const char *buf_str(const struct buf *b)
{
	return b->data ? b->data : "";
}

#endif
