/* What stands in a container's directory after a crash, a full disk or a newer comp: state.json
 * and the project's exits, through the readers that `ps` and the supervisor use.  The first byte says which
 * file the rest is. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/path.h"
#include "engine/state/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char root[] = "/tmp/comp-fuzz-XXXXXX";

static void remove_root(void)
{
	(void)rm_rf(AT_FDCWD, root, NULL); /* a folder of the fuzzer's in /tmp */
}

static void fuzz_state(const char *text, size_t n)
{
	struct record *r = NULL, *again = NULL;
	json *j = NULL, *a, *b;

	if (json_parse(text, n, &j, NULL) < 0)
		return;
	if (record_from_json(j, &r, NULL) == 0) {
		a = record_to_json(r);
		assert(record_from_json(a, &again, NULL) == 0);
		b = record_to_json(again);
		assert(streq(json_text(a), json_text(b)));
		record_free(again);
		record_free(r);
		json_unref(a);
		json_unref(b);
	}
	json_unref(j);
}

static void fuzz_files(const char *name, const uint8_t *data, size_t size)
{
	struct dirs d = { .root = root };
	_cleanup_(free_p) char *project = dirs_project(&d, "p"), *dir = dirs_container(&d, "p", "i");
	_cleanup_(free_p) char *path = path_join(dir, name);
	struct record_list l;
	struct exit_record x;

	assert(mkdir_p(AT_FDCWD, dir, 0700, NULL) == 0);
	assert(file_write_atomic(AT_FDCWD, path, data, size, 0600, false, NULL) == 0);
	assert(record_list_load(&d, "p", &l, NULL) == 0);
	for (size_t i = 0; i < l.n; i++)
		(void)record_reconcile(l.items[i], &d); /* any answer will do */
	record_list_done(&l);
	(void)exit_record_load(&d, "p", "i", &x, NULL); /* likewise */
	assert(rm_rf(AT_FDCWD, project, NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool ready;

	if (!ready) {
		ready = mkdtemp(root) != NULL;
		assert(ready);
		(void)atexit(remove_root); /* else it stays, which is harmless */
	}
	if (size < 1 || size > 65536)
		return 0;
	if (*data == 's')
		fuzz_state((const char *)data + 1, size - 1);
	fuzz_files(*data == 's' ? "state.json" : "../../exits", data + 1, size - 1);
	return 0;
}
