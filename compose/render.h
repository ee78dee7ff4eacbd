/* compose/render.h: the model as text that Docker Compose and comp read back.
 *
 * Keys come in the key table's order, names sorted, values that say nothing
 * left out; `$` is written `$$` unless @keep_dollar.  JSON and YAML agree but
 * for what Docker Compose does differently itself: x-* below the top and
 * `models` are in the YAML only.
 */
#ifndef COMPOSE_RENDER_H
#define COMPOSE_RENDER_H

#include "base/buf.h"
#include "compose/project.h"

struct render_opts {
	bool json;
	bool images_only; /* --lock-image-digests: services with their image */
	bool keep_dollar;
};

void render_project(const struct project *p, const struct render_opts *o, struct buf *out);
/* Any node, mappings in sorted order. */
void render_node_yaml(const struct node *n, struct buf *out);
/* @indent: 0 for one line without spaces. */
void render_node_json(const struct node *n, int indent, struct buf *out);
/* A service as JSON in one line, in the key table's order. */
void render_service_json(const struct node *service, struct buf *out);
/* "text" with JSON escapes, as Go writes them. */
void render_json_string(const char *s, struct buf *out);

#endif
