/* compose/hash.c: configuration hashes; see hash.h. */
#include "compose/hash.h"

#include "base/buf.h"
#include "compose/render.h"
#include "engine/image/digest.h"

static char *digest(const struct buf *text, char out[CONFIG_HASH_MAX])
{
	char text_digest[DIGEST_MAX];

	digest_of(buf_str(text), text->len, text_digest);
	strcpy(out, digest_hex(text_digest));
	return out;
}

char *service_hash(const struct node *service, char out[CONFIG_HASH_MAX])
{
	static const char *const ignored[] = { "build", "pull_policy", "scale", "depends_on",
					       "profiles" };
	_cleanup_(arena_freep) struct arena *a = arena_new();
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	struct node *copy = node_copy(a, service);

	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
		node_remove(copy, ignored[i]);
	if (node_is(node_get(copy, "deploy"), NODE_MAP))
		node_remove(node_get(copy, "deploy"), "replicas");
	render_service_json(copy, &text);
	return digest(&text, out);
}

char *resource_hash(const struct node *resource, char out[CONFIG_HASH_MAX])
{
	_cleanup_(buf_done) struct buf text = BUF_INIT;

	render_node_json(resource, 0, &text);
	return digest(&text, out);
}
