/* records.h: for tests of records: a place to keep them, which goes with the test. */
#ifndef TESTS_RECORDS_H
#define TESTS_RECORDS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/strv.h"
#include "engine/state/record.h"

struct place {
	char root[32];
	struct dirs dirs;
};

static inline int setup(void **state)
{
	struct place *p = new0(struct place);

	strcpy(p->root, "/tmp/comp-test-XXXXXX");
	assert_non_null(mkdtemp(p->root));
	p->dirs.root = p->dirs.run = p->root;
	*state = p;
	return 0;
}

static inline int teardown(void **state)
{
	struct place *p = *state;

	assert_int_equal(rm_rf(AT_FDCWD, p->root, NULL), 0);
	free(p);
	return 0;
}

static inline void put(const struct place *p, const char *id, const char *file, const char *text)
{
	_cleanup_(free_p) char *dir = dirs_container(&p->dirs, "t", id),
			       *path = path_join(dir, file);
	struct err e = ERR_INIT;

	assert_int_equal(mkdir_p(AT_FDCWD, dir, 0700, NULL), 0);
	if (file_write_atomic(AT_FDCWD, path, text, strlen(text), 0600, false, &e) < 0)
		fail_msg("%s", e.msg);
}

static inline struct record *new_record(const char *id, const char *name)
{
	struct record *r = record_new();

	r->id = xstrdup(id);
	r->name = xstrdup(name);
	r->project = xstrdup("t");
	r->service = xstrdup("web");
	r->number = 1;
	return r;
}

static inline void save(const struct place *p, struct record *r)
{
	_cleanup_(free_p) char *dir = dirs_container(&p->dirs, r->project, r->id);
	struct err e = ERR_INIT;

	assert_int_equal(mkdir_p(AT_FDCWD, dir, 0700, NULL), 0);
	if (record_save(r, &p->dirs, false, &e) < 0)
		fail_msg("%s", e.msg);
}

/* How many of the container's files have a name that starts with @prefix. */
static inline size_t count(const struct place *p, const char *id, const char *prefix)
{
	_cleanup_(free_p) char *path = dirs_container(&p->dirs, "t", id);
	_cleanup_(dir_closep) DIR *dir = opendir(path);
	struct dirent *entry;
	size_t n = 0;

	while (dir && (entry = readdir(dir)))
		n += skip_prefix(entry->d_name, prefix) != NULL;
	return n;
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
