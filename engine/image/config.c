/* engine/image/config.c: the OCI image config document, both ways.  Reading is a
 * table of typed getters; keys of other producers (container_config,
 * docker_version, …) are ignored. */
#include "engine/image/config.h"

#include "base/strv.h"
#include "engine/image/digest.h"
#include "engine/image/document.h"

void image_config_done(struct image_config *c)
{
	if (!c)
		return;
	char **lists[] = { c->entrypoint, c->cmd,   c->env,     c->exposed,  c->volumes,
			   c->labels,     c->shell, c->onbuild, c->diff_ids, c->health.test };
	char *texts[] = { c->user, c->workdir, c->stop_signal, c->architecture,
			  c->os,   c->variant, c->author };

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		strv_free(lists[i]);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		free(texts[i]);
	json_unref(c->history);
	*c = (struct image_config){ 0 };
}

/* A duration in ns: absent, zero and nonsense are "not stated". */
static uint64_t get_ns(json *o, const char *key)
{
	int64_t v = json_get_int(o, key, 0);

	return v > 0 ? (uint64_t)v : 0;
}

static int parse_health(json *o, struct image_health *h, struct err *e)
{
	if (!o)
		return 0;
	if (!json_is_object(o))
		return err_set(e, EBADMSG, "\"Healthcheck\" is not an object");
	h->interval = get_ns(o, "Interval");
	h->timeout = get_ns(o, "Timeout");
	h->start_period = get_ns(o, "StartPeriod");
	h->start_interval = get_ns(o, "StartInterval");
	h->retries = (int64_t)get_ns(o, "Retries");
	return document_strv(o, "Test", &h->test, e);
}

static int parse_runtime(json *o, struct image_config *c, struct err *e)
{
	const struct {
		const char *key;
		char **out;
	} texts[] = {
		{ "User", &c->user },
		{ "WorkingDir", &c->workdir },
		{ "StopSignal", &c->stop_signal },
	};
	const struct {
		const char *key;
		char ***out;
		int (*get)(json *o, const char *key, char ***out, struct err *e);
	} lists[] = {
		{ "Entrypoint", &c->entrypoint, document_strv },
		{ "Cmd", &c->cmd, document_strv },
		{ "Env", &c->env, document_strv },
		{ "ExposedPorts", &c->exposed, document_keys },
		{ "Volumes", &c->volumes, document_keys },
		{ "Labels", &c->labels, document_map },
		{ "Shell", &c->shell, document_strv },
		{ "OnBuild", &c->onbuild, document_strv },
	};

	if (!o)
		return 0;
	if (!json_is_object(o))
		return err_set(e, EBADMSG, "\"config\" is not an object");
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (document_str(o, texts[i].key, texts[i].out, e) < 0)
			return -EBADMSG;
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		if (lists[i].get(o, lists[i].key, lists[i].out, e) < 0)
			return -EBADMSG;
	return parse_health(json_get(o, "Healthcheck"), &c->health, e);
}

static int parse_rootfs(json *doc, struct image_config *c, struct err *e)
{
	json *rootfs = json_get(doc, "rootfs");

	if (!json_is_object(rootfs))
		return err_set(e, EBADMSG, "there is no \"rootfs\"");
	if (!streq_null(json_get_str(rootfs, "type"), "layers"))
		return err_set(e, EBADMSG, "\"rootfs.type\" is not \"layers\"");
	if (document_strv(rootfs, "diff_ids", &c->diff_ids, e) < 0)
		return -EBADMSG;
	if (strv_len(c->diff_ids) > CONFIG_MAX_LAYERS)
		return err_set(e, EBADMSG, "%zu layers are more than overlayfs can stack",
			       strv_len(c->diff_ids));
	STRV_FOREACH (id, c->diff_ids)
		if (!digest_is_valid(*id))
			return err_set(e, EBADMSG, "\"%.100s\" is not a sha256 diff id", *id);
	return 0;
}

static int parse_document(json *doc, struct image_config *c, struct err *e)
{
	json *history = json_get(doc, "history");
	const char *created = json_get_str(doc, "created");

	/* A config has none of these; a document that is two things at once
	 * is refused (CVE-2021-41190). */
	if (json_get(doc, "layers") || json_get(doc, "manifests"))
		return err_set(e, EBADMSG, "it is a manifest or index as well");
	if (document_str(doc, "architecture", &c->architecture, e) < 0 ||
	    document_str(doc, "os", &c->os, e) < 0 ||
	    document_str(doc, "variant", &c->variant, e) < 0 ||
	    document_str(doc, "author", &c->author, e) < 0)
		return -EBADMSG;
	/* Some builders write year 1 here: before 1970 is "not stated". */
	if (created && time_parse(created, &c->created) < 0)
		c->created = 0;
	if (json_is_array(history))
		c->history = json_ref(history);
	if (parse_rootfs(doc, c, e) < 0)
		return -EBADMSG;
	return parse_runtime(json_get(doc, "config"), c, e);
}

int image_config_parse(const char *text, size_t n, struct image_config *out, struct err *e)
{
	_cleanup_(json_unrefp) json *doc = NULL;
	int r;

	*out = (struct image_config){ 0 };
	r = document_parse(text, n, false, &doc, e);
	if (r == 0)
		r = parse_document(doc, out, e);
	if (r < 0) {
		image_config_done(out);
		return err_wrap(e, r, "image config");
	}
	return 0;
}

static void put_keys(json *o, const char *key, char *const *v)
{
	json *set;

	if (!v)
		return;
	set = json_new_object();
	STRV_FOREACH (s, v)
		json_put(set, *s, json_new_object());
	json_put(o, key, set);
}

static void put_map(json *o, const char *key, char *const *v)
{
	json *map;

	if (!v)
		return;
	map = json_new_object();
	STRV_FOREACH (s, v) {
		const char *eq = strchr(*s, '=');
		_cleanup_(free_p) char *name = eq ? xstrndup(*s, (size_t)(eq - *s)) : xstrdup(*s);

		json_put_str(map, name, eq ? eq + 1 : "");
	}
	json_put(o, key, map);
}

static void put_ns(json *o, const char *key, uint64_t ns)
{
	if (ns)
		json_put_u64(o, key, ns);
}

static json *health_json(const struct image_health *h)
{
	json *o = json_new_object();

	json_put_strv(o, "Test", h->test);
	put_ns(o, "Interval", h->interval);
	put_ns(o, "Timeout", h->timeout);
	put_ns(o, "StartPeriod", h->start_period);
	put_ns(o, "StartInterval", h->start_interval);
	put_ns(o, "Retries", (uint64_t)h->retries);
	return o;
}

json *image_config_runtime_json(const struct image_config *c)
{
	json *o = json_new_object();

	json_put_str(o, "User", c->user);
	put_keys(o, "ExposedPorts", c->exposed);
	json_put_strv(o, "Env", c->env);
	json_put_strv(o, "Entrypoint", c->entrypoint);
	json_put_strv(o, "Cmd", c->cmd);
	put_keys(o, "Volumes", c->volumes);
	json_put_str(o, "WorkingDir", c->workdir);
	put_map(o, "Labels", c->labels);
	json_put_str(o, "StopSignal", c->stop_signal);
	json_put_strv(o, "Shell", c->shell);
	json_put_strv(o, "OnBuild", c->onbuild);
	if (c->health.test)
		json_put(o, "Healthcheck", health_json(&c->health));
	return o;
}

json *image_config_to_json(const struct image_config *c)
{
	json *o = json_new_object(), *rootfs = json_new_object();
	static char *const none[] = { NULL };
	char created[TIME_TEXT_MAX];

	if (c->created)
		json_put_str(o, "created", time_format(c->created, created));
	json_put_str(o, "author", c->author);
	json_put_str(o, "architecture", c->architecture);
	json_put_str(o, "variant", c->variant);
	json_put_str(o, "os", c->os);
	json_put(o, "config", image_config_runtime_json(c));
	json_put_str(rootfs, "type", "layers");
	json_put_strv(rootfs, "diff_ids", c->diff_ids ? c->diff_ids : (char **)none);
	json_put(o, "rootfs", rootfs);
	if (c->history)
		json_put(o, "history", json_ref(c->history));
	return o;
}
