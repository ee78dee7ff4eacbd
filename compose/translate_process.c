/* compose/translate_process.c: what a service runs, and what keeps it running.
 *
 * The image's word counts where the service is silent, part by part: a service
 * that only changes the interval of a health check keeps the image's test.
 */
#include "compose/translate_internal.h"

#include "base/signals.h"
#include "base/strv.h"
#include "compose/values.h"
#include "engine/supervise/probe.h"

#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static int set_argv(struct job *j)
{
	const struct node *entrypoint = node_get(j->service, "entrypoint");
	const struct node *command = node_get(j->service, "command");
	char **argv = node_is_null(entrypoint) ? strv_copy(j->image->entrypoint)
					       : translate_strings(entrypoint);
	_cleanup_(strv_freep) char **rest = NULL;

	if (!node_is_null(command))
		rest = translate_strings(command);
	else if (node_is_null(entrypoint))
		rest = strv_copy(j->image->cmd); /* an own entrypoint drops the image's CMD */
	strv_extend(&argv, rest);
	j->spec->argv = argv;
	if (!argv || !argv[0])
		return diag_err(j->diag, j->service, EINVAL,
				"services.%s: no command specified: neither the service nor its "
				"image says what to run",
				j->name);
	return 0;
}

static void set_env(struct job *j)
{
	const struct node *own = node_get(j->service, "environment");
	char **env = strv_copy(j->image->env);

	if (!strv_env_get(env, "PATH")) {
		char **with_path = NULL;

		strv_add(&with_path, DEFAULT_PATH);
		strv_extend(&with_path, env);
		strv_free(env);
		env = with_path;
	}
	for (size_t i = 0; node_is(own, NODE_MAP) && i < own->n; i++)
		strv_env_set(&env, own->entries[i].key, own->entries[i].value->text);
	j->spec->env = env;
}

int translate_process(struct job *j)
{
	struct container_spec *s = j->spec;
	const char *signal = node_get_str(j->service, "stop_signal");
	int r = set_argv(j);

	if (r < 0)
		return r;
	set_env(j);
	s->cwd = translate_string_of(j, "working_dir");
	if (!s->cwd)
		s->cwd = xstrdup_null(j->image->workdir);
	s->user = translate_string_of(j, "user");
	if (!s->user)
		s->user = xstrdup_null(j->image->user);
	s->group_add = translate_strings_of(j, "group_add");
	s->hostname = translate_string_of(j, "hostname");
	s->domainname = translate_string_of(j, "domainname");
	s->tty = node_get_bool(j->service, "tty", false);
	s->stdin_open = node_get_bool(j->service, "stdin_open", false);
	s->init = node_get_bool(j->service, "init", false);
	s->stop_grace = value_duration(j->service, "stop_grace_period", UINT64_MAX);
	if (!signal)
		signal = j->image->stop_signal;
	s->stop_signal = signal ? signal_parse(signal) : 0;
	if (s->stop_signal < 0)
		return diag_err(j->diag, node_get(j->service, "stop_signal"), EINVAL,
				"services.%s.stop_signal: invalid signal: %s", j->name, signal);
	return 0;
}

int translate_restart(struct job *j)
{
	const struct node *policy = node_path(j->service, "deploy", "restart_policy", NULL);
	const struct node *node = node_get(j->service, "restart");
	const char *restart = node_get_str(j->service, "restart");
	const char *condition = node_get_str(policy, "condition"), *count;
	struct restart_spec *r = &j->spec->restart;

	if (policy) {
		r->mode = !condition || streq(condition, "any") ? RESTART_ALWAYS
			  : streq(condition, "on-failure")      ? RESTART_ON_FAILURE
								: RESTART_NO;
		r->max_attempts = value_int(policy, "max_attempts", 0);
		r->delay = value_duration(policy, "delay", 0);
		r->window = value_duration(policy, "window", 0);
		return 0;
	}
	if (!restart || streq(restart, "no") || !*restart) {
		r->mode = RESTART_NO;
	} else if (streq(restart, "always")) {
		r->mode = RESTART_ALWAYS;
	} else if (streq(restart, "unless-stopped")) {
		r->mode = RESTART_UNLESS_STOPPED;
	} else if ((count = skip_prefix(restart, "on-failure"))) {
		r->mode = RESTART_ON_FAILURE;
		if (*count && (*count != ':' || !parse_i64(count + 1, &r->max_attempts)))
			return diag_err(
				j->diag, node, EINVAL,
				"services.%s.restart: invalid restart policy: maximum retry "
				"count must be an integer: %s",
				j->name, restart);
	} else {
		return diag_err(j->diag, node, EINVAL,
				"services.%s.restart: invalid restart policy: unknown policy '%s'; "
				"use one of 'no', 'always', 'on-failure', or 'unless-stopped'",
				j->name, restart);
	}
	return 0;
}

/* x-comp-probe as a health test; see engine/supervise/probe.h. */
static int set_probe(struct job *j, const struct node *probe)
{
	struct health_spec *h = &j->spec->health;
	const char *tcp = node_get_str(probe, "tcp"), *http = node_get_str(probe, "http");
	int64_t status = value_int(probe, "status", 0);
	struct err e = ERR_INIT;
	struct probe parsed;

	strv_add(&h->test, tcp ? "TCP" : "HTTP");
	strv_add(&h->test, tcp ? tcp : http ? http : "");
	if (status)
		strv_addf(&h->test, "%lld", (long long)status);
	if (probe_parse(h->test, &parsed, &e) == 0)
		return 0;
	diag_err(j->diag, node_get(probe, tcp ? "tcp" : "http"), EINVAL,
		 "services.%s.x-comp-probe: %s", j->name, e.msg);
	if (e.hint[0])
		diag_hint(j->diag, "%s", e.hint);
	return -EINVAL;
}

int translate_health(struct job *j)
{
	const struct node *n = node_get(j->service, "healthcheck");
	const struct node *probe = node_get(j->service, "x-comp-probe");
	const char *unhealthy = node_get_str(j->service, "x-comp-on-unhealthy");
	const struct image_health *image = &j->image->health;
	struct health_spec *h = &j->spec->health;
	int r;

	h->restart_unhealthy = unhealthy && streq(unhealthy, "restart");
	if (node_get_bool(n, "disable", false)) {
		strv_add(&h->test, "NONE");
		return 0;
	}
	if (node_is(probe, NODE_MAP)) {
		r = set_probe(j, probe);
		if (r < 0)
			return r;
	} else {
		h->test = translate_strings(node_get(n, "test"));
	}
	/* Each part that the service leaves open is the image's. */
	if (!h->test || !h->test[0]) {
		strv_free(h->test);
		h->test = strv_copy(image->test);
	}
	h->interval = value_duration(n, "interval", image->interval);
	h->timeout = value_duration(n, "timeout", image->timeout);
	h->start_period = value_duration(n, "start_period", image->start_period);
	h->start_interval = value_duration(n, "start_interval", image->start_interval);
	h->retries = value_int(n, "retries", image->retries);
	return 0;
}

/* ---- hooks and log ---- */
static struct hook_spec *hooks(const struct node *seq, size_t *n)
{
	struct hook_spec *list;

	*n = 0;
	if (!node_is(seq, NODE_SEQ) || !seq->n)
		return NULL;
	list = xcalloc(seq->n, sizeof(*list));
	for (size_t i = 0; i < seq->n; i++) {
		const struct node *h = seq->items[i];

		list[(*n)++] = (struct hook_spec){
			.argv = translate_strings(node_get(h, "command")),
			.env = translate_pairs(node_get(h, "environment")),
			.user = xstrdup_null(node_get_str(h, "user")),
			.cwd = xstrdup_null(node_get_str(h, "working_dir")),
			.privileged = node_get_bool(h, "privileged", false),
		};
	}
	return list;
}

void translate_hooks(struct job *j)
{
	struct container_spec *s = j->spec;

	s->post_start = hooks(node_get(j->service, "post_start"), &s->n_post_start);
	s->pre_stop = hooks(node_get(j->service, "pre_stop"), &s->n_pre_stop);
}

void translate_log(struct job *j)
{
	const struct node *logging = node_get(j->service, "logging");
	const struct node *options = node_get(logging, "options");
	const char *driver = node_get_str(logging, "driver");

	j->spec->log.driver = xstrdup_null(driver);
	j->spec->log.max_size = (uint64_t)MAX(value_bytes(options, "max-size", 0), (int64_t)0);
	j->spec->log.max_file = value_int(options, "max-file", 0);
}
