/* base/path.h: path text, and directories made and removed through fds. */
#ifndef BASE_PATH_H
#define BASE_PATH_H

#include <sys/types.h>

#include "base/err.h"

/* "a/b" from "a" and "b"; an absolute @b wins.  Caller frees. */
char *path_join(const char *a, const char *b);
/* Absolute and without ".", ".." or doubled slashes, by text alone (as Go's
 * filepath.Clean does): links are not looked at.  @base: directory for a
 * relative @path, itself absolute.  Caller frees. */
char *path_absolute(const char *base, const char *path);
char *path_clean(const char *path);
/* Last component / everything before it, like Go's filepath.Base and Dir. Caller frees. */
char *path_base(const char *path);
char *path_dir(const char *path);

/* The current directory as a string the caller frees; NULL when it was deleted. */
char *path_cwd(void);

/* mkdir -p below @dirfd; existing directories keep their mode. */
int mkdir_p(int dirfd, const char *path, mode_t mode, struct err *e);
/* Open a directory (O_PATH|O_DIRECTORY), making it and its parents first. */
int open_dir_p(int dirfd, const char *path, mode_t mode, struct err *e);
/* Remove @name below @dirfd with all it holds.  Follows no link and crosses no
 * mount point; absent is success. */
int rm_rf(int dirfd, const char *name, struct err *e);

/* A name that is safe as one path component: [a-zA-Z0-9][a-zA-Z0-9_.-]{0,max-1}. */
bool name_is_valid(const char *name, size_t max);

#endif
