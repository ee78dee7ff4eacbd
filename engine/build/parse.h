/* engine/build/parse.h: what the parts of the parser share; not for others. */
#ifndef ENGINE_BUILD_PARSE_H
#define ENGINE_BUILD_PARSE_H

#include "engine/build/dockerfile.h"

struct scope;

/* Blanks between an instruction's parts (newlines cannot be there any more). */
#define DOCKERFILE_BLANKS " \t\v\f\r"

/* --mount's value.  Without @s options are only looked at as far as they hold no
 * variables (see struct run_mount); *m is the caller's on success. */
int run_mount_parse(const char *text, const struct scope *s, struct run_mount *m, struct err *e);
void run_mount_done(struct run_mount *m);
void run_mount_copy(const struct run_mount *from, struct run_mount *to);

/* One joined line into @out; kind, line numbers and heredoc bodies are for the
 * caller to fill in.  INS_FROM: words is {base} or {base, name}, text the platform. */
int instruction_parse_line(const char *line, char escape, bool trigger, struct instruction *out,
			   char ***warnings, struct err *e);

/* <<NAME and the like in a word: 1 and *h without content; 0 when it is none. */
int heredoc_parse(const char *word, struct heredoc *h);
/* All heredocs that a line of RUN, COPY or ADD begins. */
void heredocs_of_line(const char *line, struct heredoc **out, size_t *n);
void heredoc_done(struct heredoc *h);

#endif
