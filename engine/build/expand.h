/* engine/build/expand.h: variables in a Dockerfile.
 *
 *   $x ${x} ${x:-w} ${x-w} ${x:+w} ${x+w} ${x:?w} ${x?w}
 *   ${x#p} ${x##p} ${x%p} ${x%%p} ${x/p/w} ${x//p/w}
 *
 * with '…', "…" and the escape character quoting.  A scope is what the
 * instructions of one stage have said so far.  Of ARG and ENV of the same name the
 * later one counts; what the image keeps is always ENV's.  An ARG counts only from its line on, and only in its
 * stage; a stage sees a global ARG once it says `ARG name`.
 *
 *	scope_init_global(&global, &input);
 *	each global ARG:	scope_declare(&global, ins)
 *	FROM:			expand_word(&global, …)		(graph.h does both)
 *	each stage:		scope_init_stage(&s, &global, config.env)
 *	each instruction:	instruction_expand(ins, &s, &out)
 *				ARG: scope_declare(&s, ins); ENV: scope_set_env(&s, &out)
 *	RUN:			scope_run_env(&s)
 */
#ifndef ENGINE_BUILD_EXPAND_H
#define ENGINE_BUILD_EXPAND_H

#include "engine/build/dockerfile.h"

#define EXPAND_MAX (1U << 20) /* bytes of one expanded word: replacements can bomb */

/* What the caller of the build says; borrowed. */
struct build_input {
	char *const *args;    /* --build-arg: "KEY=value" */
	const char *platform; /* of the result, "linux/arm/v7"; NULL: the host's */
	const char *target;   /* TARGETSTAGE; NULL: "default" */
	char escape;          /* the Dockerfile's */
};

struct scope {
	char escape;
	const struct build_input *input;
	const struct scope *global; /* NULL in the global scope itself */
	char **env;                 /* KEY=value: the base image's and ENV */
	char **args;                /* KEY=value: ARGs declared here that no later ENV took
				     * the place of; in the global scope, predefined ones */
	char **used;                /* build arguments that a declaration took up */
};

/* The predefined BUILDPLATFORM BUILDOS BUILDARCH BUILDVARIANT TARGETPLATFORM
 * TARGETOS TARGETARCH TARGETVARIANT TARGETSTAGE; --build-arg overrides them. */
void scope_init_global(struct scope *s, const struct build_input *input);
/* @global stays the caller's; @env is copied. */
void scope_init_stage(struct scope *s, const struct scope *global, char *const *env);
/* A stage built FROM another one of the file also inherits that one's ARGs. */
void scope_inherit(struct scope *s, const struct scope *base);
void scope_done(struct scope *s);

/* ARG, not expanded before: a build argument wins over the default; no default
 * takes the global ARG's or predefined value. */
int scope_declare(struct scope *s, const struct instruction *arg, struct err *e);
/* ENV, expanded. */
void scope_set_env(struct scope *s, const struct instruction *env);
/* NULL: not set.  Borrowed. */
const char *scope_get(const struct scope *s, const char *name);
/* The environment of a RUN: ENV, over it the declared ARGs, and the
 * proxy arguments (HTTP_PROXY http_proxy HTTPS_PROXY https_proxy FTP_PROXY
 * ftp_proxy NO_PROXY no_proxy ALL_PROXY all_proxy) given by --build-arg, which
 * need no declaration.  Caller frees. */
char **scope_run_env(const struct scope *s);
/* The part of it that belongs in history and the cache key: declared ARGs that
 * have a value, "KEY=value", without undeclared proxies.  Caller frees. */
char **scope_run_args(const struct scope *s);
/* Build arguments that nothing in the file took up (Docker warns of them): names.
 * @scopes: those of all stages and the global one.  Caller frees. */
char **scope_unused_args(const struct build_input *input, const struct scope *const *scopes,
			 size_t n);

/* @in with variables replaced and quotes taken away, as the reference says for its
 * kind: ADD COPY ENV EXPOSE LABEL STOPSIGNAL USER VOLUME WORKDIR, RUN --mount, and
 * heredoc bodies of COPY and ADD; the others are copied as they are.  ARG is copied
 * too: scope_declare() expands.  @out is done with instruction_done(). */
int instruction_expand(const struct instruction *in, const struct scope *s, struct instruction *out,
		       struct err *e);

/* One word: *out is freed by the caller.  -EINVAL: bad substitution, open quote,
 * ${x:?…} of an unset variable. */
int expand_word(const struct scope *s, const char *word, char **out, struct err *e);
/* The text split at blanks that stand outside quotes, after replacement. */
int expand_words(const struct scope *s, const char *text, char ***out, struct err *e);
/* A heredoc body: variables and escapes are replaced, quotes are text. */
int expand_text(const struct scope *s, const char *text, char **out, struct err *e);

#endif
