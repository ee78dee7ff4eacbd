/* engine/build/dockerfile.h: a Dockerfile, parsed.
 *
 * Pure: text in, stages with typed instructions out; nothing is opened and no
 * variable is replaced (engine/build/expand.h does that, one instruction at a
 * time, because what $x is depends on the instructions before it and on the base
 * image).  The language is that of the Dockerfile reference of BuildKit's
 * built-in frontend; `# syntax=` is read and not acted on.
 *
 * Errors point at NAME:LINE, name what is wrong and hint at the instruction or
 * flag that was probably meant.
 */
#ifndef ENGINE_BUILD_DOCKERFILE_H
#define ENGINE_BUILD_DOCKERFILE_H

#include "base/cleanup.h"
#include "base/err.h"
#include "engine/image/config.h"

#define DOCKERFILE_MAX_SIZE         (4U << 20) /* bytes */
#define DOCKERFILE_MAX_LINE         (1U << 20) /* bytes of one instruction, continuations joined */
#define DOCKERFILE_MAX_WORDS        5000       /* of one instruction */
#define DOCKERFILE_MAX_INSTRUCTIONS 10000
#define DOCKERFILE_MAX_STAGES       1000

enum instruction_kind {
	INS_ADD,
	INS_ARG,
	INS_CMD,
	INS_COPY,
	INS_ENTRYPOINT,
	INS_ENV,
	INS_EXPOSE,
	INS_HEALTHCHECK,
	INS_LABEL,
	INS_MAINTAINER,
	INS_ONBUILD,
	INS_RUN,
	INS_SHELL,
	INS_STOPSIGNAL,
	INS_USER,
	INS_VOLUME,
	INS_WORKDIR,
	INS_FROM, /* never in a stage's list: it begins one */
	N_INSTRUCTIONS
};

/* "COPY"; static. */
const char *instruction_name(enum instruction_kind kind);

/* <<NAME, <<-NAME, <<"NAME": text that follows the instruction's line. */
struct heredoc {
	char *name;
	char *content;   /* as in the file, each line with its newline; leading tabs are
			  * already gone where chomp is set, for COPY and ADD and RUN alike */
	bool expand;     /* the name was not quoted.  COPY, ADD: instruction_expand()
			  * replaces variables in content.  RUN: the shell does. */
	bool chomp;      /* <<- */
	unsigned int fd; /* RUN: 3<<NAME; 0 unless stated */
};

enum run_mount_type {
	RUN_MOUNT_BIND,
	RUN_MOUNT_CACHE,
	RUN_MOUNT_TMPFS,
	RUN_MOUNT_SECRET,
	RUN_MOUNT_SSH
};
enum cache_sharing { CACHE_SHARED, CACHE_PRIVATE, CACHE_LOCKED };

/* RUN --mount=…  In an instruction that was not expanded only @text, @type and
 * @from are set when an option holds a variable; after instruction_expand() all
 * is.  NULL: not stated. */
struct run_mount {
	char *text; /* as written behind --mount= */
	enum run_mount_type type;
	char *from;    /* stage, context or image; never holds variables */
	char *source;  /* bind, cache: path inside @from */
	char *target;  /* as stated, possibly relative to the working directory */
	char *id;      /* cache: defaults to the target; secret (whose source= is another
			* spelling): to the target's last component; ssh: "default" */
	char *env;     /* secret: variable to set; "" for the secret's own name */
	bool readonly; /* bind, secret, ssh: by default; cache, tmpfs: when asked for */
	bool required; /* secret, ssh */
	enum cache_sharing sharing;
	uint64_t size;          /* tmpfs: bytes, 0: no limit */
	int64_t mode, uid, gid; /* cache, secret, ssh; -1: not stated */
};

struct pair {
	char *key;
	char *value; /* NULL: ARG without a default */
};

/* One instruction.  Which fields are set is said per kind; others are NULL or 0.
 *
 *  ADD COPY     words: sources (paths, URLs); heredocs: inline sources, which come
 *               after the words; dest; flags from chown chmod checksum link parents
 *               keep_git_dir unpack excludes
 *  RUN          exec, words: {text} in shell form (run by the stage's shell), argv in
 *               exec form; heredocs; mounts network security
 *  CMD ENTRYPOINT  exec, words as RUN; words is {} for [] (which clears)
 *  SHELL        words
 *  ENV LABEL ARG   pairs
 *  EXPOSE VOLUME   words
 *  HEALTHCHECK  health (test[0] is NONE, CMD or CMD-SHELL)
 *  USER WORKDIR STOPSIGNAL MAINTAINER   text
 *  ONBUILD      text: the trigger, heredocs included, as the image records it
 */
struct instruction {
	enum instruction_kind kind;
	int line, end_line; /* 1-based, in the Dockerfile; heredocs included */
	char *original;     /* the instruction on one line as it was written, keyword
			     * included, continuations joined, heredoc bodies left out */
	char **words;
	char *text;
	bool exec; /* JSON form */
	struct pair *pairs;
	size_t n_pairs;
	char *dest;
	struct heredoc *heredocs;
	size_t n_heredocs;
	struct image_health health;
	/* ADD, COPY */
	char *from, *chown, *chmod, *checksum;
	char **excludes;
	bool link, parents, keep_git_dir;
	int unpack; /* ADD --unpack: 1 or 0; -1: not stated */
	/* RUN */
	struct run_mount *mounts;
	size_t n_mounts;
	char *network;  /* "default", "none", "host"; NULL: not stated */
	char *security; /* "sandbox", "insecure"; NULL: not stated */
};

struct build_stage {
	char *name;     /* lower case; NULL: unnamed, known by its number */
	char *base;     /* as written, not expanded: an image, a stage, "scratch" */
	char *platform; /* --platform as written, or NULL */
	char *original; /* the FROM line */
	int line, end_line;
	struct instruction *instructions;
	size_t n;
};

/* A plain value; everything in it is owned. */
struct dockerfile {
	char *name;                  /* for errors: the path as the user would name it */
	char **lines;                /* the file, line by line, for excerpts in messages */
	char *syntax;                /* # syntax=…, NULL: none.  Not acted on. */
	char *check;                 /* # check=… */
	char escape;                 /* '\\' or '`' */
	struct instruction *globals; /* ARG before the first FROM */
	size_t n_globals;
	struct build_stage *stages; /* in the order of the file; at least one */
	size_t n_stages;
	char **warnings; /* "NAME:LINE: text" */
};

/* Parse @n bytes.  @name is what errors call the file.  -EINVAL with @e at the
 * line; -EFBIG past a limit. */
int dockerfile_parse(const char *name, const char *text, size_t n, struct dockerfile *out,
		     struct err *e);
void dockerfile_done(struct dockerfile *d);
/* Line @n (1-based), borrowed; NULL when there is none. */
const char *dockerfile_line(const struct dockerfile *d, int n);

/* One instruction from text that may hold heredocs: an ONBUILD trigger out of an
 * image, or `--change`.  FROM and (as in triggers) ONBUILD are refused when
 * @trigger. */
int instruction_parse(const char *text, bool trigger, struct instruction *out, struct err *e);
void instruction_done(struct instruction *i);
void instruction_copy(const struct instruction *from, struct instruction *to);

/* RUN in shell form: the text for the stage's shell, heredocs put back; caller frees.
 * NULL when it is one heredoc alone whose content begins with "#!": that is a
 * program (i->heredocs[0]), to be put at /dev/pipes/NAME, mode 0755, and run without
 * arguments and without the shell. */
char *instruction_script(const struct instruction *run);

/* Does what the instruction says change the config alone?  Then
 * instruction_apply() is all there is to do for it (WORKDIR also makes the
 * directory; ARG is a matter of the scope, RUN COPY ADD are the builder's). */
bool instruction_is_config(const struct instruction *i);
/* Carry out CMD ENTRYPOINT ENV EXPOSE HEALTHCHECK LABEL MAINTAINER ONBUILD SHELL
 * STOPSIGNAL USER VOLUME WORKDIR on @c.  @i was expanded. */
int instruction_apply(const struct instruction *i, struct image_config *c, struct err *e);

#endif
