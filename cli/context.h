/* cli/context.h: what every command starts from: global flags, directories,
 * streams, and the project, each made when it is first asked for, because
 * `ps` must not pay for what only `up` needs.
 */
#ifndef CLI_CONTEXT_H
#define CLI_CONTEXT_H

#include <poll.h>
#include <stdio.h>

#include "base/err.h"
#include "cli/message.h"
#include "cli/progress.h"
#include "engine/state/dirs.h"
#include "engine/state/record.h"

struct project;
struct plan;
struct control_client;
struct diag;

/* Flags before the command; COMPOSE_* variables fill what was not given. */
struct global_options {
	char **files;          /* -f; COMPOSE_FILE is left to compose/ */
	const char *name;      /* -p, COMPOSE_PROJECT_NAME */
	const char *directory; /* --project-directory */
	char **env_files;
	char **profiles;
	const char *progress;     /* "auto", "tty", "plain", "json", "quiet" */
	const char *ansi;         /* "auto", "always", "never" */
	char **insecure_registry; /* accepted, not used */
	int64_t parallel;
	bool all_resources, compatibility, dry_run, no_ansi, verbose, version;
};

/* Something to look after while a plan is applied: the logs of `up` in the foreground. */
#define BESIDE_FDS 2
struct beside {
	/* What to poll(2), negative descriptors for nothing; ms until step() is due anyway. */
	int (*prepare)(void *data, struct pollfd p[BESIDE_FDS]);
	int (*step)(void *data, const struct pollfd p[BESIDE_FDS], struct err *e);
	void *data;
};

struct context {
	struct global_options global;
	const char *program; /* "comp", or "docker compose" for those personalities */
	FILE *out, *err;
	bool out_tty, err_tty;
	bool out_color, err_color; /* by tty, --ansi, NO_COLOR */
	struct dirs dirs;          /* ctx_dirs() first */
	bool dirs_ready;
	char *const *enable;     /* services named: their profiles are active; set before loading */
	struct project *project; /* ctx_load_project() first */
	char *project_name;      /* ctx_project_name() first */
	int64_t generation;      /* of what ctx_records() read; -1: plans are never too old */
	uint64_t started;        /* CLOCK_MONOTONIC ns */
	int cancel_fd;           /* ctx_cancel_fd() */
	bool json_errors;        /* --progress json */
	const struct beside *beside; /* NULL: nothing */
};

/* @program: what to call ourselves.  Streams are stdout and stderr. */
void context_init(struct context *ctx, const char *program);
void context_done(struct context *ctx);

/* Where state lives; makes the directories.  -EACCES when that takes root. */
int ctx_dirs(struct context *ctx, struct err *e);

/* One clear sentence when we are not root. */
int ctx_need_root(struct context *ctx, struct err *e);

/* Load the compose files; ctx->project and ctx->project_name are set, warnings
 * printed.  Loaded once: later calls return at once. */
int ctx_load_project(struct context *ctx, struct err *e);

/* The project's name, with the least work: -p or COMPOSE_PROJECT_NAME need no
 * compose file at all.  ctx->project stays NULL in that case. */
int ctx_project_name(struct context *ctx, struct err *e);

/* As ctx_load_project(), but where no compose file was named and none is found
 * while a name is known, only the name is set and that is no error: for down,
 * stop, … which work by name alone. */
int ctx_load_project_or_name(struct context *ctx, struct err *e);

/* After a crash of all that watched over the project the records tell of what was, and
 * containers may run that nobody looks after.  Have a supervisor take them up before a
 * plan is made.  That a process holds the project's lock is not enough: it may be one
 * that dies, or one that has only begun to look; one that answers has taken up all.
 * Not under --dry-run. */
int ctx_take_up(struct context *ctx, struct err *e);

/* The project's containers as they are now: ctx_dirs(), ctx_project_name() and
 * record_list_load() with every record reconciled.  Unreadable records are
 * warned about.  Waits, 200 ms at most, for a supervisor that is about to say what
 * becomes of a process that has just ended. */
int ctx_records(struct context *ctx, struct record_list *out, struct err *e);

/* Every name in @services must be a service of the loaded project, or, when
 * none is loaded, of @records: "no such service: X" otherwise. */
int ctx_check_services(struct context *ctx, char *const *services,
		       const struct record_list *records, struct err *e);

/* Carry out @plan: print it under --dry-run, else have the supervisor apply it
 * and render the progress on stderr.  @command: for the supervisor's log.
 * -ESTALE: another command came first; nothing was done, plan again.
 * Returns 0, or the error of the first action that failed, or -ECANCELED after
 * SIGINT or SIGTERM (exit code 130). */
int ctx_apply(struct context *ctx, const char *command, const struct plan *plan, struct err *e);

/* Ask on the terminal; false on no, on end of file and when stdin is no terminal. */
bool ctx_confirm(struct context *ctx, const char *question);

/* A SIGINT or SIGTERM from here on is read from the returned descriptor
 * (signalfd(2)) instead of ending us.  One per process; -errno. */
int ctx_cancel_fd(struct context *ctx, struct err *e);

/* How errors are to look. */
struct message_style ctx_message_style(const struct context *ctx);
/* Print the warnings of @d; of its errors all but one, which becomes @e.
 * Returns -e->code, or 0 when there is none. */
int ctx_diag(struct context *ctx, const struct diag *d, struct err *e);
/* A progress display as --progress wants it; @title as in "[+] up 1/2". */
int ctx_progress(struct context *ctx, const char *title, struct progress **out, struct err *e);

/* printf to stderr as a warning: "WARN[0000] …" on a terminal, logrus' text
 * form (time="…" level=warning msg="…") otherwise. */
void ctx_warn(struct context *ctx, const char *fmt, ...) _printf_(2, 3);

#endif
