/* replay.c: run a fuzz target over files, without libFuzzer.
 *
 * Each argument is a file, or a directory whose files are all fed, one by one,
 * to LLVMFuzzerTestOneInput().  A crash names its input: the name is written
 * before the call.  Exit status 1 when something could not be read.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/fd.h"

#define INPUT_MAX (64u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
	_cleanup_(buf_done) struct buf content = BUF_INIT;
	_cleanup_(free_p) uint8_t *exact = NULL;
	struct err e = ERR_INIT;

	if (file_read_follow(AT_FDCWD, path, INPUT_MAX, &content, &e) < 0) {
		fprintf(stderr, "%s\n", e.msg);
		return 1;
	}
	fprintf(stderr, "%s\n", path);
	/* A copy of just this size, so that a sanitizer sees a read past its end. */
	exact = xmalloc(content.len ? content.len : 1);
	if (content.len)
		memcpy(exact, content.data, content.len);
	(void)LLVMFuzzerTestOneInput(exact, content.len); /* always 0 by its contract */
	return 0;
}

static int replay(const char *path)
{
	struct dirent **names;
	struct stat st;
	int n, r = 0;

	if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
		return replay_file(path);
	n = scandir(path, &names, NULL, alphasort);
	if (n < 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return 1;
	}
	for (int i = 0; i < n; i++) {
		_cleanup_(free_p) char *file = xasprintf("%s/%s", path, names[i]->d_name);

		if (names[i]->d_name[0] != '.')
			r |= replay(file);
		free(names[i]);
	}
	free(names);
	return r;
}

int main(int argc, char **argv)
{
	int r = 0;

	for (int i = 1; i < argc; i++)
		r |= replay(argv[i]);
	return r;
}
