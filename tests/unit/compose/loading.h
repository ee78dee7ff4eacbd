/* loading.h: for tests of the loader: projects from text, in a folder of their own. */
#ifndef TESTS_LOADING_H
#define TESTS_LOADING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/strv.h"
#include "compose/project.h"
#include "compose/render.h"

struct folder {
	char path[64];
	struct diag diag;
	struct project *p;
};

static inline void folder_make(struct folder *f)
{
	*f = (struct folder){ .path = "/tmp/comp-test-XXXXXX" };
	assert_non_null(mkdtemp(f->path));
}

static inline void folder_write(struct folder *f, const char *name, const char *text)
{
	_cleanup_(free_p) char *path = path_join(f->path, name), *dir = path_dir(path);

	assert_int_equal(mkdir_p(AT_FDCWD, dir, 0755, NULL), 0);
	assert_int_equal(file_write_atomic(AT_FDCWD, path, text, strlen(text), 0644, false, NULL),
			 0);
}

static inline void folder_drop(struct folder *f)
{
	project_free(f->p);
	f->p = NULL;
	diag_done(&f->diag);
}

/* Load with @o, whose cwd is the folder. */
static inline int folder_load(struct folder *f, struct project_options o)
{
	folder_drop(f);
	o.cwd = f->path;
	o.stdin_fd = -EBADF;
	return project_load(&o, &f->p, &f->diag);
}

static inline void folder_done(struct folder *f)
{
	folder_drop(f);
	assert_int_equal(rm_rf(AT_FDCWD, f->path, NULL), 0);
}

#endif
