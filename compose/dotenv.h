/* compose/dotenv.h: `.env`, --env-file, env_file and label_file.
 *
 *	KEY=value	KEY: value	export KEY=value	KEY
 *
 * Unquoted values end at the line's end or at " #"; "double" quoted ones know
 * escapes, 'single' quoted ones do not; both may span lines.  Unquoted and
 * double-quoted values are interpolated (compose/interpolate.h) against the
 * caller's lookup first and earlier keys of the file after that: the process
 * environment wins, as in Docker Compose.  A KEY alone takes its value from the
 * lookup and is absent where that knows none.
 *
 * DOTENV_RAW is `format: raw`, the rules of `docker run --env-file`: no quotes, no
 * interpolation, the value is the rest of the line as it is.
 *
 * Not as in Docker Compose: a bare KEY on a last line without newline is a key
 * all the same, and an empty key is refused.
 */
#ifndef COMPOSE_DOTENV_H
#define COMPOSE_DOTENV_H

#include "base/err.h"
#include "compose/interpolate.h"
#include "compose/node.h"

#define DOTENV_MAX_SIZE    (4u << 20)  /* bytes of one file */
#define DOTENV_MAX_ENTRIES 65536       /* keys in one file */
#define DOTENV_MAX_VALUES  (32u << 20) /* bytes of all values together */

enum dotenv_format { DOTENV_COMPOSE, DOTENV_RAW };

struct dotenv_entry {
	const char *key;
	const char *value; /* NULL: a bare KEY that the lookup does not know; skip it */
	bool inherited;    /* written as a bare KEY */
	int line, col;     /* of the key */
};

/* In order of the file's lines.  A key given twice is here twice, the last one
 * counts: use dotenv_get() or put them into a map in order. */
struct dotenv {
	struct dotenv_entry *entries; /* in the arena */
	size_t n, cap;
};

/* Add what @text holds to @out, which starts zeroed; entries already in it count as earlier
 * keys, so that several files can be read one after another.
 * @file:   shown in errors; copied into @a
 * @lookup: may be NULL; its @warn is called for variables that nobody sets
 * Return: 0, or -EINVAL with "failed to read FILE: line N: …" (DOTENV_RAW: "failed
 * to parse env_file FILE: …") and the position.
 */
int dotenv_parse(struct arena *a, const char *file, const char *text, size_t n,
		 enum dotenv_format format, const struct interp_vars *lookup, struct dotenv *out,
		 struct err *e);

/* The same from a file below @dirfd (or AT_FDCWD).  -ENOENT: "couldn't find env file: PATH";
 * -EISDIR: "PATH is a directory". */
int dotenv_read(struct arena *a, int dirfd, const char *path, enum dotenv_format format,
		const struct interp_vars *lookup, struct dotenv *out, struct err *e);

/* "" and "raw", as env_file's `format` has them.  -EINVAL: unsupported env_file format "F". */
int dotenv_format_parse(const char *name, enum dotenv_format *out, struct err *e);

/* The last entry of @key that has a value, or NULL. */
const struct dotenv_entry *dotenv_get(const struct dotenv *d, const char *key);

#endif
