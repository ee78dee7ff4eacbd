/* engine/build/remote.h: a build context that is somewhere else.
 *
 *	https://host/repo.git[#ref[:dir]]	git, as with git://, ssh://, git@host:path and
 *	github.com/owner/repo			(short for https://github.com/…)
 *	https://host/context.tar.gz		a tar, or the text of a Dockerfile
 *
 * as in Docker's "Build context".  Repositories are fetched by git(1), which has to be
 * installed: one revision, its submodules, no history.
 */
#ifndef ENGINE_BUILD_REMOTE_H
#define ENGINE_BUILD_REMOTE_H

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

/* Does a context of this name have to be fetched? */
bool remote_is(const char *context);

struct remote_git {
	char *url;
	char *ref;    /* branch, tag or commit; NULL: the default branch */
	char *subdir; /* NULL: the whole */
};
void remote_git_done(struct remote_git *g);
/* 1: @context is a git repository; 0: it is not; -EINVAL: it is a bad one. */
int remote_git_parse(const char *context, struct remote_git *out, struct err *e);

/* Check it out into the empty directory @dir, which it may write to as nobody (over
 * http and git; over ssh it runs as the caller, with the caller's keys).  *commit (may be NULL):
 * 40 digits; caller frees.  Blocks, until @cancel_fd is readable (-EBADF: never): -ECANCELED.
 * -ENOENT: no git, or no such ref or repository, in git's own words. */
int remote_git_fetch(const struct remote_git *g, const char *dir, bool keep_git_dir, int cancel_fd,
		     char **commit, struct err *e);

/* @subdir (NULL: the whole) of the checkout, which no link leads out of; the caller closes. */
int remote_git_open(const char *dir, const char *subdir, struct err *e);

#endif
