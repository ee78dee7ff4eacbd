/* engine/build/exec.c: one stage, in a process of its own.
 *
 * It is a fork of the builder, so everything that was planned is there to read; what
 * comes out goes through the socket.  It has a mount namespace, umask 0, and dies with
 * the builder.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "base/path.h"
#include "base/strv.h"
#include "engine/build/history.h"
#include "engine/build/internal.h"
#include "engine/image/manifest.h"

/* ---- telling -------------------------------------------------------------------------- */

static uint64_t elapsed(const struct run *r)
{
	return now_mono_ns() - r->step_began;
}

void exec_begin_step(struct run *r, const char *text)
{
	const char *name = r->b->graph.nodes[r->index].name;
	_cleanup_(free_p) char *prefix = NULL, *title = NULL;

	r->step++;
	r->step_began = now_mono_ns();
	prefix = r->b->graph.n == 1 && !r->b->file.stages[0].name ? xstrdup("")
								  : xasprintf("%s ", name);
	title = xasprintf("[%s%u/%u] %s", prefix, r->step, r->n_steps, text);
	link_send(r->sock, BUILD_STARTED, r->step, false, title, strlen(title), 0);
}

void exec_end_step(struct run *r, bool cached)
{
	step_unlock(r);
	link_send(r->sock, cached ? BUILD_CACHED : BUILD_DONE, r->step, false, "", 0, elapsed(r));
}

void exec_output(struct run *r, bool is_stderr, const char *p, size_t n)
{
	link_send(r->sock, BUILD_OUTPUT, r->step, is_stderr, p, n, elapsed(r));
}

void exec_say(struct run *r, const char *fmt, ...)
{
	_cleanup_(free_p) char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	exec_output(r, true, text, strlen(text));
}

void exec_history(struct run *r, const char *created_by, bool empty)
{
	json *entry = json_new_object();
	char created[TIME_TEXT_MAX];

	if (!r->config.history)
		r->config.history = json_new_array();
	if (r->created)
		json_put_str(entry, "created", time_format(r->created, created));
	json_put_str(entry, "created_by", created_by);
	json_put_str(entry, "comment", "buildkit.dockerfile.v0");
	if (empty)
		json_put_bool(entry, "empty_layer", true);
	json_push(r->config.history, entry);
}

/* ---- instructions ------------------------------------------------------------------------ */

static int set_config(struct run *r, struct err *e)
{
	_cleanup_(free_p) char *text = NULL;
	int code = instruction_apply(r->ins, &r->config, e);

	if (code < 0)
		return code;
	/* A command that the base image has is meant for its own entrypoint. */
	r->own_cmd |= r->ins->kind == INS_CMD;
	if (r->ins->kind == INS_ENTRYPOINT && !r->own_cmd) {
		strv_free(r->config.cmd);
		r->config.cmd = NULL;
	}
	if (r->ins->kind == INS_ENV)
		scope_set_env(&r->scope, r->ins);
	if (r->ins->kind == INS_WORKDIR)
		return exec_workdir(r, e);
	text = history_text(r->ins, &r->config, NULL);
	exec_history(r, text, true);
	return 0;
}

static int declare(struct run *r, const struct instruction *arg, struct err *e)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int code = scope_declare(&r->scope, arg, e);

	if (code < 0)
		return code;
	buf_adds(&b, "ARG");
	for (size_t i = 0; i < arg->n_pairs; i++) {
		const char *value = scope_get(&r->scope, arg->pairs[i].key);

		buf_printf(&b, " %s%s%s", arg->pairs[i].key, value ? "=" : "", value ?: "");
	}
	exec_history(r, buf_str(&b), true);
	return 0;
}

static int execute_expanded(struct run *r, struct err *e)
{
	switch (r->ins->kind) {
	case INS_RUN:
		return exec_run(r, e);
	case INS_COPY:
	case INS_ADD:
		return exec_copy(r, e);
	default:
		return set_config(r, e);
	}
}

static int execute(struct run *r, const struct instruction *ins, struct err *e)
{
	struct instruction expanded = { 0 };
	int code;

	if (ins->kind == INS_ARG)
		return declare(r, ins, e);
	code = instruction_expand(ins, &r->scope, &expanded, e);
	r->ins = &expanded;
	if (code == 0)
		code = execute_expanded(r, e);
	instruction_done(&expanded);
	return code;
}

/* ---- where it begins ------------------------------------------------------------------ */

static int take_config(struct run *r, const struct image_config *c, struct err *e)
{
	_cleanup_(json_unrefp) json *doc = image_config_to_json(c);
	const char *text = json_text(doc);
	int code = image_config_parse(text, strlen(text), &r->config, e);

	r->created = r->config.created;
	return code;
}

static void empty_config(struct run *r)
{
	const char *architecture, *variant;

	platform_of_host(&architecture, &variant);
	r->config.architecture = xstrdup(architecture);
	r->config.variant = xstrdup_null(variant);
	r->config.os = xstrdup("linux");
	strv_add(&r->config.env, "PATH=" EXEC_DEFAULT_PATH);
	r->config.workdir = xstrdup("/");
}

/* The image that base or context stands for; NULL: none. */
static const struct image *base_image(const struct run *r)
{
	const struct source_ref *base = &r->node->base;
	const char *ref = base->name;

	if (base->kind == SOURCE_CONTEXT)
		ref = plan_context(r->b, base->name)->image;
	return ref && (base->kind == SOURCE_IMAGE || base->kind == SOURCE_CONTEXT)
		       ? map_get(&r->b->images, ref)
		       : NULL;
}

static int begin(struct run *r, struct err *e)
{
	const struct source_ref *base = &r->node->base;
	const struct image *image = base_image(r);
	int code = 0;

	if (base->kind == SOURCE_STAGE) {
		struct scope from = { .args = r->b->results[base->stage].args };

		code = take_config(r, &r->b->results[base->stage].config, e);
		scope_init_stage(&r->scope, &r->b->graph.global, r->config.env);
		scope_inherit(&r->scope, &from);
		return code;
	}
	if (image)
		code = take_config(r, &image->config, e);
	else if (base->kind == SOURCE_SCRATCH)
		empty_config(r);
	else
		code = err_set(e, EINVAL,
			       "context \"%s\" is a directory, not an image to build from",
			       base->name);
	if (r->b->o->has_epoch)
		r->created = MIN(r->created, r->b->o->epoch);
	scope_init_stage(&r->scope, &r->b->graph.global, r->config.env);
	return code;
}

/* Out of the base image's ONBUILD; they are carried out once. */
static int parse_triggers(struct run *r, struct instruction **out, size_t *n, struct err *e)
{
	size_t have = strv_len(r->config.onbuild);
	int code = 0;

	*out = xcalloc(have + 1, sizeof(**out));
	for (*n = 0; code == 0 && *n < have;) {
		code = instruction_parse(r->config.onbuild[*n], true, &(*out)[*n], e);
		if (code == 0)
			(*n)++;
		else
			err_wrap(e, code, "trigger of %s", r->node->base_name);
	}
	strv_free(r->config.onbuild);
	r->config.onbuild = NULL;
	return code;
}

static int run_triggers(struct run *r, struct err *e)
{
	const struct build_stage *stage = &r->b->file.stages[r->index];
	struct instruction *triggers = NULL;
	size_t n = 0;
	int code = parse_triggers(r, &triggers, &n, e);

	for (size_t i = 0; i < n; i++)
		r->n_steps += plan_is_step(&triggers[i]);
	exec_begin_step(r, stage->original);
	if (code == 0)
		exec_end_step(r, r->node->base.kind != SOURCE_SCRATCH && !r->b->o->no_cache);
	for (size_t i = 0; i < n; i++) {
		if (code == 0) {
			code = execute(r, &triggers[i], e);
			if (code < 0)
				(void)err_wrap(e, code, "ONBUILD %s", triggers[i].original);
		}
		instruction_done(&triggers[i]);
	}
	free(triggers);
	return plan_at(r->b, stage->line, code, e);
}

static int run_stage(struct run *r, struct err *e)
{
	const struct build_stage *stage = &r->b->file.stages[r->index];
	int code = begin(r, e);
	size_t n;

	if (code < 0)
		return plan_at(r->b, stage->line, code, e);
	r->n_steps = 1;
	n = r->node->replaced ? 0 : stage->n; /* a named context stands for it */
	for (size_t i = 0; i < n; i++)
		r->n_steps += plan_is_step(&stage->instructions[i]);
	code = run_triggers(r, e);
	for (size_t i = 0; code == 0 && i < n; i++) {
		code = execute(r, &stage->instructions[i], e);
		code = plan_at(r->b, stage->instructions[i].line, code, e);
	}
	return code;
}

/* ---- the process ---------------------------------------------------------------------- */

/* A mount namespace of our own, when the first mount is to be made: a stage that is all
 * in the cache is done before the kernel would have copied the host's mounts. */
int exec_private(struct run *r, struct err *e)
{
	_cleanup_(free_p) char *path = NULL;

	if (r->private)
		return 0;
	if (unshare(CLONE_NEWNS) < 0)
		return err_errno(e, errno, "unshare the mount namespace");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_errno(e, errno, "make mounts private");
	r->private = true;
	/* A descriptor opened before is of the former namespace's mount, and rename(2)
	 * does not cross mounts even where both show the same. */
	path = xstrdup(store_path(r->b->store));
	store_close(TAKE_PTR(r->b->store));
	return store_open(path, &r->b->store, e);
}

static bool without_cache(const struct run *r)
{
	const struct build_options *o = r->b->o;

	return o->no_cache || strv_has(o->no_cache_filter, r->node->name);
}

_Noreturn void exec_stage(struct build *b, size_t index, int sock)
{
	struct run r = { .b = b,
			 .index = index,
			 .node = &b->graph.nodes[index],
			 .sock = sock,
			 .lock_fd = -EBADF };
	struct err e = ERR_INIT;
	int code;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)signal(SIGINT, SIG_IGN); /* the builder has it, and ends us */
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	umask(0);
	r.no_cache = without_cache(&r);
	r.work = xasprintf("%s/%zu", b->work, index);
	code = mkdir_p(AT_FDCWD, r.work, 0700, &e);
	if (code == 0)
		code = digests_open(b->digests, &r.digests, &e);
	if (code == 0)
		code = run_stage(&r, &e);
	digests_save(r.digests);
	if (code == 0) {
		r.config.created = r.created;
		code = link_send_result(&r, &e);
	}
	if (code < 0)
		link_send_error(sock, r.step, &e);
	_exit(code < 0 ? 1 : 0);
}
