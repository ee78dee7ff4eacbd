/* compose/keys.h: the key table: the Compose schema, one row per key.
 *
 * Everything that must know about a key reads its row: validation and its
 * suggestions, the types that interpolation casts to, merging, uniqueness,
 * short forms, relative paths, the final type, the order and the omissions of
 * rendering, and `comp explain`.  Adding a key is adding a row to
 * compose/key_table.c; a new kind of rule is a new enum value here and a case
 * in the module that obeys it.
 *
 * Rows form a tree like the files do: a row whose value may be a mapping
 * points to the rows of its keys (@sub), one whose value may be a sequence to
 * the row of its items (@item).  Walk both trees side by side.
 */
#ifndef COMPOSE_KEYS_H
#define COMPOSE_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "compose/interpolate.h"
#include "compose/node.h"

/* What a file may say, as JSON schema types. */
enum {
	KT_STR = 1,
	KT_INT = 2,
	KT_FLOAT = 4,
	KT_NUM = KT_INT | KT_FLOAT,
	KT_BOOL = 8,
	KT_NULL = 16,
	KT_SEQ = 32,
	KT_MAP = 64,
	KT_ANY = 127
};

/* The final type (compose/bind.c) and how it is rendered. */
enum key_value {
	KV_ANY,  /* as it is: x-* and below */
	KV_DROP, /* checked, then left out of the model */
	KV_STR,
	KV_BOOL,
	KV_INT,
	KV_FLOAT,    /* 32 bits, as Docker Compose has it */
	KV_BYTES,    /* text of decimal digits */
	KV_DURATION, /* canonical text */
	KV_MODE,     /* text "0440" */
	KV_COUNT,    /* integer; "all" is -1 */
	KV_STRS,     /* sequence of strings; a string is one */
	KV_COMMAND,  /* the same; a string is split into words; null differs from empty */
	KV_TEST,     /* the same; a string is ["CMD-SHELL", it] */
	KV_MAPPING,  /* strings by name; null is "" */
	KV_ENV,      /* strings by name; null stays */
	KV_MULTI,    /* sequences of strings by name */
	KV_HOSTS,    /* sequence of "host=ip" */
	KV_SSH,      /* paths by id */
	KV_ULIMIT,   /* number, or { soft, hard } */
	KV_ENV_FILE, /* one file of env_file */
	KV_OBJECT,   /* mapping with known keys */
	KV_OBJECTS,  /* mapping of names to objects */
	KV_LIST,     /* sequence of @item */
};

/* compose/merge.c: an earlier and a later value of the same key. */
enum key_merge {
	MERGE_DEFAULT, /* mappings key by key, sequences appended, scalars replaced */
	MERGE_REPLACE,
	MERGE_PAIRS,   /* turned into "k=v" sequences, appended */
	MERGE_HOSTS,   /* the same without repeating an element */
	MERGE_BUILD,   /* a string is { context } */
	MERGE_DEPENDS, /* a sequence is a mapping to the default condition */
	MERGE_NAMES,   /* a sequence is a mapping to null */
	MERGE_LOGGING, /* replaced when the driver differs */
	MERGE_IPAM,    /* pools by their subnet */
};

/* compose/merge.c: which items of a sequence are the same thing; the later replaces. */
enum key_unique {
	UNIQUE_NONE,
	UNIQUE_PAIR, /* what is before '=' */
	UNIQUE_VOLUME,
	UNIQUE_DEVICE,
	UNIQUE_CONFIG,
	UNIQUE_SECRET,
	UNIQUE_ENV_FILE,
	UNIQUE_EXPOSE,
	UNIQUE_PORT,
};

/* compose/canonical.c: short forms written out. */
enum key_form {
	FORM_NONE,
	FORM_BUILD,
	FORM_MOUNT, /* secret or config: a string is { source } */
	FORM_TEXT,  /* booleans become "true" and "false" */
	FORM_PAIRS, /* "k=v" sequence to mapping */
	FORM_DEPENDS,
	FORM_ENV_FILE,
	FORM_LIST, /* a string is a sequence of one */
	FORM_EXTENDS,
	FORM_GPUS,
	FORM_NAMES, /* sequence to mapping to null */
	FORM_VOLUME,
	FORM_DEVICE,
	FORM_PORTS,
	FORM_SSH,
	FORM_ULIMIT,
	FORM_EXTERNAL, /* resource: external: { name } */
	FORM_INCLUDE,
};

/* Text after substitution becomes… */
enum key_cast { CAST_NONE, CAST_BOOL, CAST_INT, CAST_FLOAT };

/* compose/paths.c: relative to the file's folder. */
enum key_path {
	PATH_NONE,
	PATH_FILE,
	PATH_CONTEXT, /* but URLs and service:x stay */
	PATH_HOST,    /* but Windows paths stay */
	PATH_WATCH,   /* and symbolic links are followed */
	PATH_VOLUME,  /* source of a bind mount */
	PATH_DRIVER,  /* driver_opts.device of a local bind volume */
};

enum {
	KF_REQUIRED = 1,    /* its mapping must have it */
	KF_KEEP = 2,        /* 0, false and {} say something: rendered */
	KF_JSON_ALWAYS = 4, /* in JSON even when it says nothing */
	KF_UNIQUE_ITEMS = 8,
	KF_LATER = 16, /* accepted, but this version does not act on it */
	KF_MIN = 32,
	KF_MAX = 64,
	KF_INFO = 128,      /* nothing to act on: documentation for people */
	KF_SWARM = 256,     /* means something to a cluster only */
	KF_NO_X = 512,      /* x-* is not allowed in this mapping */
	KF_UNSIGNED = 1024, /* a number, never negative, never text that was not cast */
};

struct key;

struct keyset {
	const struct key *keys;
	size_t n;
	const struct key *other; /* row for any other name; NULL: refused */
	bool named;              /* those names must match ^[a-zA-Z0-9._-]+$ or are refused */
	bool lower;              /* those names must match ^[a-z]+$ to be checked */
	bool open;               /* names that nothing describes are let through */
};

struct key {
	const char *name; /* "*" for any name, "[]" for items */
	uint8_t types;    /* KT_* */
	uint8_t value, merge, unique, form, cast, path;
	uint16_t flags; /* KF_* */
	int32_t min, max;
	const char *want;    /* what to say when the type is wrong; NULL: from @types */
	const char *choices; /* "a|b|c" */
	const char *acts;    /* likewise: what this version acts on, when that is less */
	const char *pattern; /* extended regular expression, not anchored */
	const struct keyset *sub;
	const struct key *item;
	const char *json; /* its name in JSON when that differs */
	const char *dflt; /* what absence means, for people */
	const char *help;
};

extern const struct key key_root; /* the top of a Compose file */

/* The row of key @name in a value described by @k; NULL when unknown.  For x-* it
 * is &key_extension. */
const struct key *key_child(const struct key *k, const char *name);
/* The row of the items of a sequence; NULL when there is none. */
const struct key *key_item(const struct key *k);
extern const struct key key_extension;
static inline bool key_is_extension(const char *name)
{
	return name[0] == 'x' && name[1] == '-';
}
/* The row at interpolation's path ("[]" for items); NULL when unknown. */
const struct key *key_at(const struct interp_path *path);
/* interp_cast_fn; data: struct diag * for "not supported by YAML 1.2" warnings. */
int key_cast_node(struct arena *a, const struct interp_path *path, struct node *n,
		  struct node **out, void *data, struct err *e);

/* The cast alone, of a string. */
struct diag;
int key_cast(struct arena *a, enum key_cast cast, struct node *n, struct node **out,
	     struct diag *diag, struct err *e);

/* "boolean, number or string": the types for an error message; into @buf. */
const char *key_type_names(const struct key *k, char *buf, size_t n);
/* Is @text one of @choices, written "a|b|c"? */
bool key_choice_has(const char *choices, const char *text);

/* Call @fn for every row with its path ("services.*.ports.[].target"). */
typedef void (*key_walk_fn)(const char *path, const struct key *k, void *data);
void key_walk(key_walk_fn fn, void *data);

#endif
