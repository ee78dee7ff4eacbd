/* compose/diag.h: what a run found wrong.
 *
 * Nobody in compose/ prints.  Errors (the first DIAG_MAX_ERRORS, each with its
 * position) and warnings (each text once) are collected here and the command
 * line shows them.  A warning is never a reason to fail.
 */
#ifndef COMPOSE_DIAG_H
#define COMPOSE_DIAG_H

#include "base/err.h"
#include "base/map.h"
#include "compose/node.h"

#define DIAG_MAX_ERRORS 10

struct diag {
	struct err errs[DIAG_MAX_ERRORS];
	size_t n;          /* used in @errs */
	size_t n_more;     /* further errors that found no room */
	struct err *warns; /* in order of appearance; code is 0 */
	size_t n_warns;
	struct map seen; /* texts of the warnings */
};

#define DIAG_INIT ((struct diag){ 0 })

void diag_done(struct diag *d); /* d may be used again after */

/* All of these take NULL for @d, and diag_err*() return -code. */
int diag_add(struct diag *d, const struct err *e); /* copies; returns -e->code */
int diag_err(struct diag *d, const struct node *at, int code, const char *fmt, ...) _printf_(4, 5);
/* As diag_err() at the position of a key rather than of its value. */
int diag_err_key(struct diag *d, const struct node *map, const struct node_entry *key, int code,
		 const char *fmt, ...) _printf_(5, 6);
/* The hint of the error added last. */
void diag_hint(struct diag *d, const char *fmt, ...) _printf_(2, 3);
void diag_warn(struct diag *d, const struct node *at, const char *fmt, ...) _printf_(3, 4);
/* "did you mean X?" as the hint, when one of the keys of @map is near to @word. */
void diag_suggest(struct diag *d, const char *word, const struct node *map);

static inline bool diag_failed(const struct diag *d)
{
	return d && d->n > 0;
}

#endif
