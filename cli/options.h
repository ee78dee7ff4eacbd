/* cli/options.h: command-line flags as tables.
 *
 * A command describes its flags once; parsing, defaults and help come from the
 * table.  Values land in a struct of the command's own:
 *
 *	struct stop_options { int64_t timeout; };
 *	static const struct option_spec stop_flags[] = {
 *		OPTION_INT("timeout", 't', struct stop_options, timeout, "-1",
 *			   "Specify a shutdown timeout in seconds"),
 *		OPTION_END,
 *	};
 *
 * Syntax as in Docker's command line (pflag): --flag=value, --flag value,
 * -f value, -fvalue, -f=value, -abc for three booleans, --bool=false, `--` ends
 * flags.  Flags and positionals may mix, unless stop_at_first is asked for.
 *
 * Strings are borrowed from argv (or the table); only OPTION_STRINGS allocates,
 * which options_done() frees.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

enum option_kind {
	OPTION_KIND_BOOL,     /* bool */
	OPTION_KIND_STRING,   /* const char *; NULL when not given */
	OPTION_KIND_STRINGS,  /* char **: one entry per use; NULL when not given */
	OPTION_KIND_INT,      /* int64_t */
	OPTION_KIND_DURATION, /* int64_t, nanoseconds: "90", "1m30s" (a bare number is seconds) */
};

struct option_spec {
	const char *name; /* without the dashes; NULL ends a table */
	char letter;      /* one-letter form; 0: none */
	enum option_kind kind;
	size_t offset;        /* into the command's struct */
	const char *fallback; /* as if given; NULL: zero */
	const char *help;
	bool hidden; /* accepted, not shown in help */
};

/* The comparison makes the compiler object when the field has another type. */
#define OPTION_FIELD(T, field, type)                                                               \
	(offsetof(T, field) + 0 * sizeof(&((T *)0)->field == (type *)0))
#define OPTION_BOOL(n, l, T, f, h)                                                                 \
	{                                                                                          \
		n, l, OPTION_KIND_BOOL, OPTION_FIELD(T, f, bool), NULL, h, false                   \
	}
#define OPTION_STRING(n, l, T, f, d, h)                                                            \
	{                                                                                          \
		n, l, OPTION_KIND_STRING, OPTION_FIELD(T, f, const char *), d, h, false            \
	}
#define OPTION_STRINGS(n, l, T, f, h)                                                              \
	{                                                                                          \
		n, l, OPTION_KIND_STRINGS, OPTION_FIELD(T, f, char **), NULL, h, false             \
	}
#define OPTION_INT(n, l, T, f, d, h)                                                               \
	{                                                                                          \
		n, l, OPTION_KIND_INT, OPTION_FIELD(T, f, int64_t), d, h, false                    \
	}
#define OPTION_DURATION(n, l, T, f, d, h)                                                          \
	{                                                                                          \
		n, l, OPTION_KIND_DURATION, OPTION_FIELD(T, f, int64_t), d, h, false               \
	}
/* As OPTION_BOOL, with a default of true. */
#define OPTION_BOOL_TRUE(n, l, T, f, h)                                                            \
	{                                                                                          \
		n, l, OPTION_KIND_BOOL, OPTION_FIELD(T, f, bool), "true", h, false                 \
	}
/* Accepted and left out of the help. */
#define OPTION_HIDDEN_BOOL(n, l, T, f)                                                             \
	{                                                                                          \
		n, l, OPTION_KIND_BOOL, OPTION_FIELD(T, f, bool), NULL, "", true                   \
	}
#define OPTION_HIDDEN_STRING(n, l, T, f)                                                           \
	{                                                                                          \
		n, l, OPTION_KIND_STRING, OPTION_FIELD(T, f, const char *), NULL, "", true         \
	}
#define OPTION_END                                                                                 \
	{                                                                                          \
		NULL                                                                               \
	}

struct option_parser {
	const struct option_spec *own;    /* the command's table */
	void *values;                     /* its struct, defaults set by options_init() */
	const struct option_spec *shared; /* flags every command takes; NULL: none */
	void *shared_values;
	const struct option_spec *elsewhere; /* flags that belong before the command; for hints */
	bool stop_at_first;                  /* the first positional ends the flags */
	bool help;                           /* out: -h or --help was among them */
};

void options_init(const struct option_spec *specs, void *values);
void options_done(const struct option_spec *specs, void *values);

/* Take the flags out of argv[0..argc), leaving the positionals at its front in
 * their order and NULL behind them.  Returns how many those are, or -EINVAL
 * with Docker's words ("unknown flag: --x") and perhaps a hint. */
int options_parse(struct option_parser *p, int argc, char **argv, struct err *e);

/* The "Options:" part of a help text, at most 80 columns wide. */
void options_help(FILE *out, const struct option_spec *specs);

/* Put @text at @column, breaking at spaces before column 80; the cursor is at
 * @at.  Ends with a newline. */
void help_wrap(FILE *out, const char *text, size_t at, size_t column);

#endif
