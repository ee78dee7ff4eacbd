/* cli/cmd_export.c: `comp export` and `comp commit`: what became of a container's files. */
#include <errno.h>
#include <poll.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "cli/command.h"
#include "cli/find.h"
#include "cli/images_view.h"
#include "cli/output.h"
#include "compose/plan.h"
#include "engine/container/launch.h"
#include "engine/container/merged.h"
#include "engine/image/pack.h"
#include "engine/image/ref.h"
#include "engine/supervise/control.h"
#include "engine/supervise/supervisor.h"

/* ---- export ------------------------------------------------------------------------------- */

struct export_options {
	int64_t index;
	const char *output;
};
#define O struct export_options
static const struct option_spec export_flags[] = {
	OPTION_INT("index", 0, O, index, NULL,
		   "Index of the container if service has multiple replicas"),
	OPTION_STRING("output", 'o', O, output, NULL, "Write to a file, instead of STDOUT"),
	OPTION_END,
};
#undef O

static int export_container(struct context *ctx, const struct machine_container *c, int out,
			    struct err *e)
{
	_cleanup_(free_p) char *dir = dirs_container(&ctx->dirs, c->rec->project, c->rec->id);
	_cleanup_(free_p) char *init_layer = NULL;
	_cleanup_(fd_closep) int root = -EBADF;
	struct pack_result packed;
	int r = launch_init_layer(ctx->dirs.root, &init_layer, e);

	if (r < 0)
		return r;
	root = merged_root_open(dir, c->spec, init_layer, e);
	return root < 0 ? root : pack_tree(root, COMPRESSION_NONE, out, &packed, e);
}

static int no_spec(const struct machine_container *c, struct err *e)
{
	return err_set(e, EBADMSG, "the record of container %s is damaged", c->rec->name);
}

static int run_export(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct export_options *o = in->options;
	_cleanup_(output_done) struct output out = OUTPUT_INIT;
	_cleanup_(machine_done) struct machine m = { 0 };
	const struct machine_container *c = NULL;
	int r = ctx_need_root(ctx, e);

	if (r == 0)
		r = machine_load(ctx, &m, e);
	if (r == 0)
		r = find_container(ctx, &m, in->argv[0], o->index, &c, e);
	if (r == 0 && !c->spec)
		r = no_spec(c, e);
	if (r == 0)
		r = output_open(&out, o->output, e);
	if (r < 0)
		return r;
	r = export_container(ctx, c, out.fd, e);
	if (r < 0)
		return err_wrap(e, r, "export container %s", c->rec->name);
	return output_commit(&out, e);
}

const struct command cmd_export = {
	.name = "export",
	.args = "[OPTIONS] SERVICE|CONTAINER",
	.summary = "Export a service container's filesystem as a tar archive",
	.options = export_flags,
	.options_size = sizeof(struct export_options),
	.min_args = 1,
	.max_args = 1,
	.run = run_export,
};

/* ---- commit ------------------------------------------------------------------------------- */

struct commit_flags {
	const char *author, *message;
	char **changes;
	int64_t index;
	bool pause;
};
#define O struct commit_flags
static const struct option_spec commit_specs[] = {
	OPTION_STRING("author", 'a', O, author, NULL,
		      "Author (e.g., \"John Hannibal Smith <hannibal@a-team.com>\")"),
	OPTION_STRINGS("change", 'c', O, changes,
		       "Apply Dockerfile instruction to the created image"),
	OPTION_INT("index", 0, O, index, NULL,
		   "Index of the container if service has multiple replicas"),
	OPTION_STRING("message", 'm', O, message, NULL, "Commit message"),
	OPTION_BOOL_TRUE("pause", 'p', O, pause, "Pause container during commit"),
	OPTION_END,
};
#undef O

/* Its supervisor pauses it for as long as *held is open: whatever ends us, it goes on. */
static int hold_container(struct context *ctx, const struct record *r, struct control_client **held,
			  struct err *e)
{
	_cleanup_(json_unrefp) json *request = json_new_object(), *answer = NULL;
	int code = supervisor_connect(&ctx->dirs, r->project, held, e);

	if (code < 0)
		return code;
	json_put_int(request, "v", CONTROL_VERSION);
	json_put_str(request, "op", "hold");
	json_put_str(request, "container", r->name);
	code = control_send(*held, request, NULL, 0, e);
	if (code == 0)
		code = control_receive(*held, &answer, NULL, NULL, e);
	if (code < 0)
		return code;
	if (streq_null(json_get_str(answer, "op"), "held"))
		return 0;
	control_err_from_json(json_get(answer, "error"), e);
	return e->code ? -e->code : err_set(e, EPROTO, "its supervisor gave no answer");
}

static int commit_paused(struct context *ctx, struct store *store,
			 const struct machine_container *c, const struct commit_options *co,
			 bool pause, char id[DIGEST_MAX], char ***moved, struct err *e)
{
	_cleanup_(free_p) char *dir = dirs_container(&ctx->dirs, c->rec->project, c->rec->id);
	_cleanup_(control_client_freep) struct control_client *held = NULL;
	struct pollfd p = { .events = POLLIN };
	int r = 0;

	if (pause && c->rec->status == CONTAINER_RUNNING)
		r = hold_container(ctx, c->rec, &held, e);
	if (r == 0)
		r = container_commit(store, dir, c->spec, co, id, moved, e);
	p.fd = held ? control_client_fd(held) : -1;
	if (r == 0 && poll(&p, 1, 0) > 0)
		fprintf(ctx->err,
			"Warning: container %s was not paused to the end: its supervisor ended\n",
			c->rec->name);
	return r;
}

static int canonical_name(const char *text, char **out, struct err *e)
{
	struct image_ref ref;
	int r;

	if (!text)
		return 0;
	r = ref_parse(text, &ref, e);
	if (r == 0 && ref.digest)
		r = err_set(e, EINVAL, "cannot commit under a digest: %s", text);
	if (r == 0)
		*out = ref_canonical(&ref);
	ref_done(&ref);
	return r;
}

static int run_commit(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct commit_flags *o = in->options;
	_cleanup_(machine_done) struct machine m = { 0 };
	_cleanup_(store_closep) struct store *store = NULL;
	_cleanup_(free_p) char *ref = NULL;
	_cleanup_(strv_freep) char **moved = NULL;
	struct commit_options co = { .author = o->author,
				     .message = o->message,
				     .changes = o->changes };
	const struct machine_container *c = NULL;
	char id[DIGEST_MAX];
	int r = canonical_name(in->argc > 1 ? in->argv[1] : NULL, &ref, e);

	if (r == 0)
		r = images_open(ctx, true, &store, e);
	if (r == 0)
		r = machine_load(ctx, &m, e);
	if (r == 0)
		r = find_container(ctx, &m, in->argv[0], o->index, &c, e);
	if (r == 0 && !c->spec)
		r = no_spec(c, e);
	if (r < 0)
		return r;
	if (ctx->global.dry_run) {
		fprintf(ctx->err, "DRY-RUN MODE -  Container %s Committed\n", c->rec->name);
		return 0;
	}
	co.ref = ref;
	r = commit_paused(ctx, store, c, &co, o->pause, id, &moved, e);
	if (r < 0)
		return err_wrap(e, r, "commit container %s", c->rec->name);
	images_print_moved(ctx, moved);
	fprintf(ctx->out, "%s\n", id);
	return 0;
}

const struct command cmd_commit = {
	.name = "commit",
	.args = "[OPTIONS] SERVICE|CONTAINER [REPOSITORY[:TAG]]",
	.summary = "Create a new image from a service container's changes",
	.options = commit_specs,
	.options_size = sizeof(struct commit_flags),
	.min_args = 1,
	.max_args = 2,
	.run = run_commit,
};
