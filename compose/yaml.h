/* compose/yaml.h: a Compose file's text as node trees.
 *
 * One tree per YAML document.  Every node knows file, line and column, every
 * key its own.  Anchors share sub-trees, `<<` is resolved here (local keys win,
 * and of several merged mappings the first), and the tags !reset and !override
 * stay on the node for the merge to act on, also where `<<` brought it in.
 *
 * Scalars read as Docker Compose's YAML library reads them: the YAML 1.2 core
 * schema plus 0-prefixed octal, 0b binary and `_` in numbers; yes/no/on/off,
 * 22:22 and dates stay strings; quoted and block scalars are strings.  A
 * NODE_INT or NODE_FLOAT keeps its spelling in @text; an integer beyond int64
 * is a NODE_FLOAT.
 *
 * Refused, each with one sentence and a position: syntax errors, a document
 * that is no mapping, a key twice in one mapping, keys that are not strings,
 * aliases into themselves, more than YAML_MAX_* of anything.
 */
#ifndef COMPOSE_YAML_H
#define COMPOSE_YAML_H

#include "compose/node.h"

#define YAML_MAX_SIZE    (16u << 20) /* bytes of one file */
#define YAML_MAX_DEPTH   100         /* mappings and sequences inside each other */
#define YAML_MAX_NODES   150000      /* written in one file */
#define YAML_MAX_ANCHORS 20000       /* likewise */
#define YAML_MAX_ALIAS   200000      /* nodes that aliases and `<<` repeat, per file */

struct yaml_docs {
	struct node **roots; /* each a NODE_MAP; in the arena */
	size_t n;            /* at least 1 after success */
};

/* Parse all documents of one file.
 * @file: its name as error messages shall show it; copied into @a
 * @text: need not be terminated; UTF-8 or UTF-16 as its BOM says; nothing keeps
 *        a pointer into it
 * Documents that are empty or null are skipped when another has content, as
 * a trailing `---` leaves one.
 * Return: 0; -EINVAL with text and position in @e (-E2BIG past a limit).  The
 * text of a YAML error starts with "failed to parse FILE: ", as Docker
 * Compose's does; the others are "empty compose file", "top-level object must
 * be a mapping" and "non-string key in PATH: KEY" / "non-string key at top
 * level: KEY".
 */
int yaml_load(struct arena *a, const char *file, const char *text, size_t n, struct yaml_docs *out,
	      struct err *e);

/* One plain scalar read by the same rules, as interpolation results and values
 * from the command line are.  The result has no position. */
struct node *yaml_scalar(struct arena *a, const char *text);

/* True when a plain (unquoted) scalar of this text would be read back as this
 * very string, by us and by YAML 1.1 readers (which take 22:22, 2001-01-01 and
 * yes for something else): no quotes needed when writing it.  Knows types only,
 * not the indicators and line breaks of YAML syntax. */
bool yaml_plain_is_string(const char *text);

#endif
