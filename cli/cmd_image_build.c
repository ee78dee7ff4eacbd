/* cli/cmd_image_build.c: `comp image build`: docker build's flags, one image. */
#include <errno.h>
#include <fcntl.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/strv.h"
#include "cli/builder.h"
#include "cli/command.h"
#include "cli/images_view.h"
#include "compose/units.h"
#include "engine/build/dockerfile.h"
#include "engine/build/remote.h"

struct image_build_options {
	char **tags, **args, **labels, **secrets, **ssh, **hosts, **ulimits, **contexts;
	char **cache_from, **cache_to, **filters, **allow, **outputs;
	const char *file, *target, *network, *shm_size, *platform, *progress, *iidfile;
	bool no_cache, pull, quiet, check, load, rm, force_rm;
};
#define O struct image_build_options
static const struct option_spec flags[] = {
	OPTION_STRINGS("add-host", 0, O, hosts, "Add a custom host-to-IP mapping (host:ip)"),
	OPTION_STRINGS("allow", 0, O, allow,
		       "Allow extra privileged entitlement (\"security.insecure\")"),
	OPTION_STRINGS("build-arg", 0, O, args, "Set build-time variables"),
	OPTION_STRINGS("build-context", 0, O, contexts,
		       "Additional build contexts (e.g., name=path)"),
	OPTION_STRINGS("cache-from", 0, O, cache_from,
		       "External cache sources (type=local,src=path/to/dir)"),
	OPTION_STRINGS("cache-to", 0, O, cache_to,
		       "Cache export destinations (type=local,dest=path/to/dir)"),
	OPTION_BOOL("check", 0, O, check, "Check the Dockerfile, build nothing"),
	OPTION_STRING("file", 'f', O, file, NULL,
		      "Name of the Dockerfile (default: PATH/Dockerfile)"),
	OPTION_HIDDEN_BOOL("force-rm", 0, O, force_rm),
	OPTION_STRING("iidfile", 0, O, iidfile, NULL, "Write the image ID to a file"),
	OPTION_STRINGS("label", 0, O, labels, "Set metadata for an image"),
	OPTION_HIDDEN_BOOL("load", 0, O, load),
	OPTION_STRING(
		"network", 0, O, network, NULL,
		"Networking mode for the RUN instructions during build (default, none, host)"),
	OPTION_BOOL("no-cache", 0, O, no_cache, "Do not use cache when building the image"),
	OPTION_STRINGS("no-cache-filter", 0, O, filters, "Do not cache specified stages"),
	OPTION_STRING("platform", 0, O, platform, NULL, "Set target platform for build"),
	OPTION_STRING("progress", 0, O, progress, NULL,
		      "Set type of progress output (auto, plain, tty, rawjson, quiet)"),
	OPTION_STRINGS("output", 'o', O, outputs,
		       "Output destination (a directory, or type=local|tar|docker,dest=path)"),
	OPTION_BOOL("pull", 0, O, pull, "Always attempt to pull all referenced images"),
	OPTION_BOOL("quiet", 'q', O, quiet,
		    "Suppress the build output and print image ID on success"),
	OPTION_HIDDEN_BOOL("rm", 0, O, rm),
	OPTION_STRINGS("secret", 0, O, secrets,
		       "Secret to expose to the build (id=mysecret[,src=/local/secret])"),
	OPTION_STRING("shm-size", 0, O, shm_size, NULL, "Size of /dev/shm for RUN"),
	OPTION_STRINGS("ssh", 0, O, ssh,
		       "SSH agent socket or keys to expose to the build (default|<id>[=<socket>|<key>])"),
	OPTION_STRINGS("tag", 't', O, tags, "Name and optionally a tag (format: \"name:tag\")"),
	OPTION_STRING("target", 0, O, target, NULL, "Set the target build stage to build"),
	OPTION_STRINGS("ulimit", 0, O, ulimits, "Ulimit options (name=soft[:hard])"),
	OPTION_END,
};
#undef O

/* ---- flags -------------------------------------------------------------------------------- */

typedef int (*add_fn)(struct builder *b, const char *text, struct err *e);

static int add_all(struct builder *b, char *const *list, add_fn add, struct err *e)
{
	int r = 0;

	for (; r == 0 && list && *list; list++)
		r = add(b, *list, e);
	return r;
}

static int add_caches(struct builder *b, const struct image_build_options *o, struct err *e)
{
	int r = 0;

	for (char **c = o->cache_from; r == 0 && c && *c; c++)
		r = builder_add_cache(b, *c, false, e);
	for (char **c = o->cache_to; r == 0 && c && *c; c++)
		r = builder_add_cache(b, *c, true, e);
	return r;
}

static int add_flags(struct builder *b, const struct image_build_options *o, struct err *e)
{
	int64_t shm = 0;
	int r = add_all(b, o->tags, builder_add_tag, e);

	if (r == 0)
		r = add_all(b, o->secrets, builder_add_secret, e);
	if (r == 0)
		r = add_all(b, o->ssh, builder_add_ssh, e);
	if (r == 0)
		r = add_all(b, o->contexts, builder_add_context, e);
	if (r == 0)
		r = add_all(b, o->hosts, builder_add_host, e);
	if (r == 0)
		r = add_all(b, o->ulimits, builder_add_ulimit, e);
	if (r == 0)
		r = add_caches(b, o, e);
	if (r == 0 && o->shm_size)
		r = units_bytes(o->shm_size, &shm, e);
	STRV_FOREACH (a, o->args)
		builder_add_arg(b, *a);
	if (r == 0 && o->network && !streq(o->network, "default") && !streq(o->network, "none") &&
	    !streq(o->network, "host"))
		r = err_set(e, EINVAL, "network \"%s\": a build has default, none or host",
			    o->network);
	b->labels = strv_copy(o->labels);
	b->filters = strv_copy(o->filters);
	b->o.shm_size = (uint64_t)shm;
	b->o.target = o->target;
	b->o.network = o->network;
	b->o.platform = o->platform;
	b->o.no_cache = o->no_cache;
	b->o.pull = o->pull;
	b->o.check = o->check;
	b->o.allow_insecure = strv_has(o->allow, "security.insecure");
	return r;
}

/* ---- context and Dockerfile ---------------------------------------------------------------- */

/* Standard input is a tar (perhaps compressed) or a Dockerfile. */
static bool is_archive(const char *head, size_t n)
{
	return (n >= 262 && memcmp(head + 257, "ustar", 5) == 0) ||
	       (n >= 4 && (memcmp(head, "\x1f\x8b", 2) == 0 || memcmp(head, "BZh", 3) == 0 ||
			   memcmp(head,
				  "\xfd"
				  "7zX",
				  4) == 0 ||
			   memcmp(head, "\x28\xb5\x2f\xfd", 4) == 0));
}

/* All of it, in a file: a pipe cannot be looked at first. */
static int spool_stdin(struct err *e)
{
	_cleanup_(fd_closep) int fd = open("/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	_cleanup_(free_p) char *block = xmalloc(1 << 16);
	ssize_t n;
	int r = fd < 0 ? -errno : 0;

	while (r == 0 && (n = read(STDIN_FILENO, block, 1 << 16)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		r = n < 0 ? -errno : fd_write_all(fd, block, (size_t)n);
	}
	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	return r < 0 ? err_errno(e, -r, "read standard input") : TAKE_FD(fd);
}

static int read_text(struct builder *b, int fd, struct err *e)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	int r = fd_read_all(fd, DOCKERFILE_MAX_SIZE, &text);

	if (r < 0)
		return err_errno(e, -r, "read the Dockerfile from standard input");
	b->o.dockerfile_text = builder_keep(b, buf_str(&text));
	b->o.dockerfile_name = "Dockerfile (stdin)";
	return 0;
}

static int context_from_stdin(struct builder *b, int *fd, struct err *e)
{
	char head[512];
	ssize_t n;

	if (isatty(STDIN_FILENO))
		return err_set(e, EINVAL, "the build context is standard input, but that is empty");
	*fd = spool_stdin(e);
	if (*fd < 0)
		return *fd;
	n = pread(*fd, head, sizeof(head), 0);
	if (!is_archive(head, n < 0 ? 0 : (size_t)n))
		return read_text(b, *fd, e);
	b->o.context_fd = *fd;
	return 0;
}

/* "DIR", "-", "type=local,dest=DIR", "type=tar,dest=FILE"; docker and image are what
 * happens without. */
static int set_output(struct builder *b, char *const *outputs, int *fd, struct err *e)
{
	_cleanup_(strv_freep) char **fields = NULL;
	const char *type = "local", *dest;

	if (!outputs)
		return 0;
	if (outputs[1])
		return err_set(e, EOPNOTSUPP, "only one --output");
	dest = outputs[0];
	if (streq(dest, "-"))
		type = "tar";
	if (strchr(dest, '=')) {
		fields = strv_split(dest, ',', true);
		type = strv_env_get(fields, "type") ?: "local";
		dest = strv_env_get(fields, "dest");
	}
	if (streq(type, "docker") || streq(type, "image"))
		return 0;
	if (!streq(type, "local") && !streq(type, "tar"))
		return err_set(e, EOPNOTSUPP, "output type \"%s\" is not local, tar or docker",
			       type);
	if (streq(type, "local")) {
		if (is_empty(dest))
			return err_set(e, EINVAL, "--output type=local needs dest=DIR");
		b->o.output = builder_keep(b, dest);
		return 0;
	}
	*fd = is_empty(dest) || streq(dest, "-")
		      ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
		      : open(dest, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	b->o.output_fd = *fd;
	return *fd < 0 ? err_errno(e, errno, "open %s", dest ?: "standard output") : 0;
}

/* What errors are to call the default Dockerfile: where the user finds it. */
static char *default_name(const char *context)
{
	_cleanup_(free_p) char *clean = path_clean(context);

	return streq(clean, ".") ? xstrdup("Dockerfile") : path_join(clean, "Dockerfile");
}

static int find_file(struct builder *b, const char *context, const char *file, struct err *e)
{
	_cleanup_(free_p) char *cwd = path_cwd(), *path = NULL, *name = NULL;

	if (file && streq(file, "-"))
		return read_text(b, STDIN_FILENO, e);
	if (!file) {
		name = default_name(context);
		b->o.dockerfile_name = builder_keep(b, name);
		return 0;
	}
	path = path_absolute(cwd ?: "/", file);
	b->o.dockerfile_name = file;
	b->o.dockerfile = builder_keep(b, access(path, F_OK) == 0 ? path : file);
	return 0;
}

static int find_inputs(struct builder *b, const struct image_build_options *o, const char *context,
		       int *fd, struct err *e)
{
	if (streq(context, "-")) {
		if (o->file && streq(o->file, "-"))
			return err_set(e, EINVAL,
				       "can't use stdin for both build context and dockerfile");
		b->o.dockerfile = o->file;
		return context_from_stdin(b, fd, e);
	}
	b->o.context = context;
	if (remote_is(context) && (!o->file || !streq(o->file, "-"))) {
		b->o.dockerfile = o->file;
		return 0;
	}
	return find_file(b, context, o->file, e);
}

static int write_id(const char *path, const char *id, struct err *e)
{
	return path ? file_write_atomic(AT_FDCWD, path, id, strlen(id), 0644, false, e) : 0;
}

static int run_build(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct image_build_options *o = in->options;
	_cleanup_(build_result_done) struct build_result result = { 0 };
	_cleanup_(builder_done) struct builder b;
	_cleanup_(fd_closep) int fd = -EBADF, out = -EBADF;
	int r;

	builder_init(&b);
	r = add_flags(&b, o, e);
	if (r == 0)
		r = set_output(&b, o->outputs, &out, e);
	if (r == 0)
		r = find_inputs(&b, o, in->argv[0], &fd, e);
	if (r == 0)
		r = builder_run(ctx, &b, o->progress, o->quiet, &result, e);
	if (r < 0)
		return r;
	if (o->check) {
		fprintf(ctx->out, "Check complete, no warnings found.\n");
		return 0;
	}
	if (b.o.output || b.o.output_fd >= 0)
		return 0;
	if (o->quiet)
		fprintf(ctx->out, "%s\n", result.id);
	return write_id(o->iidfile, result.id, e);
}

const struct command cmd_image_build = {
	.name = "build",
	.args = "[OPTIONS] PATH | -",
	.summary = "Build an image from a Dockerfile",
	.options = flags,
	.options_size = sizeof(struct image_build_options),
	.min_args = 1,
	.max_args = 1,
	.run = run_build,
};
