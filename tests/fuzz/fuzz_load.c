/* Any bytes as a project: one Compose file, or several with a line "%%" between
 * them.  Nothing crashes, an error has words, and what `config` writes loads
 * again to the same text. */
#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/strv.h"
#include "compose/explain.h"
#include "compose/graph.h"
#include "compose/hash.h"
#include "compose/render.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *environment[] = { "HOME=/root", "SET=value", "EMPTY=", "NUM=8080", NULL };

/* Bytes as a file that can be opened by name. */
static int put_file(const void *p, size_t n, char ***files)
{
	int fd = memfd_sealed("compose.yaml", p, n, NULL);

	assert(fd >= 0);
	strv_addf(files, "/proc/self/fd/%d", fd);
	return fd;
}

static size_t put_files(const uint8_t *data, size_t size, char ***files, int fds[3])
{
	size_t n = 0;

	while (n < 2) {
		const uint8_t *cut = memmem(data, size, "\n%%\n", 4);

		if (!cut)
			break;
		fds[n++] = put_file(data, (size_t)(cut - data) + 1, files);
		size -= (size_t)(cut - data) + 4;
		data = cut + 4;
	}
	fds[n++] = put_file(data, size, files);
	return n;
}

static struct project *load(char **files, bool raw)
{
	struct project_options o = { .files = files,
				     .project_directory = "/nonexistent",
				     .name = "fuzz",
				     .environ = environment,
				     .no_interpolate = raw,
				     .cwd = "/nonexistent",
				     .stdin_fd = -EBADF };
	struct diag diag = DIAG_INIT;
	struct project *p;
	int r = project_load(&o, &p, &diag);

	assert((r < 0) == (p == NULL));
	assert(r == 0 || diag.n > 0);
	for (size_t i = 0; i < diag.n; i++)
		assert(diag.errs[i].msg[0] && diag.errs[i].code > 0);
	diag_done(&diag);
	return p;
}

static void use(struct project *p)
{
	const struct node *services = project_section(p, "services");
	_cleanup_(graph_freep) struct graph *g = NULL;
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	char hash[CONFIG_HASH_MAX], again[CONFIG_HASH_MAX];

	assert(graph_new(p, &g, NULL) == 0);
	for (size_t i = 0; i < services->n; i++) {
		assert(streq(service_hash(services->entries[i].value, hash),
			     service_hash(services->entries[i].value, again)));
		(void)service_scale(services->entries[i].value);
	}
	(void)explain_value(p, "services", &text, NULL);
	render_project(p, &(struct render_opts){ .json = true }, &text);
}

/* Text of `config` must load to the same text.  Left out: a `$` in a key, which
 * Docker Compose escapes as well although it reads keys as they are, services
 * that are not there any more, and an empty network_mode, which is not shown but
 * keeps the default network away. */
static void reload(const struct project *p)
{
	const struct node *services = project_section(p, "services");
	_cleanup_(buf_done) struct buf text = BUF_INIT, again = BUF_INIT;
	_cleanup_(strv_freep) char **files = NULL;
	struct project *second;
	int fd;

	render_project(p, &(struct render_opts){ 0 }, &text);
	if (p->disabled->n || memchr(buf_str(&text), '$', text.len))
		return;
	for (size_t i = 0; i < services->n; i++) {
		const char *mode = node_get_str(services->entries[i].value, "network_mode");

		if (mode && !*mode)
			return;
	}
	fd = put_file(buf_str(&text), text.len, &files);
	second = load(files, false);
	close(fd);
	if (!second)
		return;
	render_project(second, &(struct render_opts){ 0 }, &again);
	assert(streq(buf_str(&text), buf_str(&again)));
	project_free(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(strv_freep) char **files = NULL;
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	struct project *p;
	int fds[3];
	size_t n;

	n = put_files(data, size, &files, fds);
	p = load(files, false);
	if (p) {
		use(p);
		reload(p);
	}
	project_free(p);
	p = load(files, true);
	if (p)
		render_project(p, &(struct render_opts){ 0 }, &text);
	project_free(p);
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
	return 0;
}
