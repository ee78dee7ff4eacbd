/* compose/values.h: numbers out of canonical nodes.
 *
 * project_load() has checked these values already, so a text that cannot be
 * read counts as absent here. */
#ifndef COMPOSE_VALUES_H
#define COMPOSE_VALUES_H

#include "compose/node.h"

/* Bytes of "64m", "67108864" or a number; @fallback when absent. */
int64_t value_bytes(const struct node *map, const char *key, int64_t fallback);
/* Nanoseconds of "1m30s". */
uint64_t value_duration(const struct node *map, const char *key, uint64_t fallback);
/* Billionths of a CPU of 0.5 or "0.5". */
int64_t value_cpus(const struct node *map, const char *key);
/* A number, or text that is one. */
int64_t value_int(const struct node *map, const char *key, int64_t fallback);
/* An octal mode "0440", or a number. */
uint32_t value_mode(const struct node *map, const char *key, uint32_t fallback);

#endif
