/* cli/rows.h: a container as `ps` shows it. */
#ifndef CLI_ROWS_H
#define CLI_ROWS_H

#include "base/json.h"
#include "engine/container/spec.h"
#include "engine/state/record.h"

/* All fields of Docker Compose's `ps`.  @spec: its spec.json, or NULL when that
 * could not be read: labels, mounts and exposed ports are empty then. */
json *container_row(const struct record *r, const struct container_spec *spec, bool no_trunc);

/* "Up 5 seconds (healthy)"; the caller frees. */
char *status_text(const struct record *r);
/* "0.0.0.0:8000->80/tcp, 3306/tcp", neighbours merged to ranges; the caller frees.
 * @expose: "80/tcp", ports that are open but not published; NULL: none. */
char *ports_text(const struct record *r, char *const *expose);
/* At most @max characters, the last one "…" when something was cut; the caller frees. */
char *ellipsis(const char *s, size_t max);

/* spec.json of @r, NULL when it cannot be read. */
struct container_spec *record_spec(const struct dirs *d, const struct record *r);

#endif
