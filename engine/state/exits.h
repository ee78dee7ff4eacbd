/* engine/state/exits.h: how runs of containers ended.
 *
 * One file per project, projects/PROJECT/exits, cut into slots of 512 bytes: one
 * for each container, written by its monitor when the run is over.  The
 * slot was there, allocated and written, before the run began, so that recording an
 * exit is one write in place and one fdatasync(2): nothing is created or
 * renamed, no directory and no journal has to reach the disk, a full disk does
 * not matter, and a hundred containers that end together share a few flushes.
 * 512 bytes are a sector, and a checksum tells a torn one.
 *
 * A slot is a line of text, padded with spaces:
 *
 *	1 ID run STARTED SUM			taken; the run goes on
 *	1 ID end STARTED FINISHED CODE SIGNAL LOG_LOST SUM
 *
 * Times are CLOCK_REALTIME ns, CODE is 0..255 (128 + SIGNAL when killed), LOG_LOST
 * are bytes of output that could not be written.  Nothing in it means anything
 * without the container of that ID.
 */
#ifndef ENGINE_STATE_EXITS_H
#define ENGINE_STATE_EXITS_H

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "engine/state/dirs.h"

#define EXIT_SLOT   512
#define EXIT_ID_MAX 65

struct exit_record {
	int code;   /* 0..255 */
	int signal; /* 0: exited by itself */
	uint64_t started_at, finished_at;
	uint64_t log_lost;
};

/* ---- a slot; nothing allocates, the monitor uses these --------------------- */
/* @ended false: only started_at is used. */
void exit_slot_put(char slot[EXIT_SLOT], const char *id, const struct exit_record *r, bool ended);
/* False: not a slot in use.  *ended as above. */
bool exit_slot_get(const char slot[EXIT_SLOT], char id[EXIT_ID_MAX], struct exit_record *r,
		   bool *ended);
/* Write it, so that it is on disk when this returns. */
int exit_slot_save(int fd, uint32_t slot, const char *id, const struct exit_record *r);

/* ---- reading, by anybody --------------------------------------------------- */
/* The end of the last run of container @id.  -ENOENT: none, or it runs. */
int exit_record_load(const struct dirs *d, const char *project, const char *id,
		     struct exit_record *out, struct err *e);

/* ---- the supervisor's side ------------------------------------------------- */
struct exits;

/* Open the project's file, made when missing.  Slots of containers that @exists (with
 * @data) does not know are free. */
int exits_open(const struct dirs *d, const char *project,
	       bool (*exists)(const char *id, void *data), void *data, struct exits **out,
	       struct err *e);
void exits_free(struct exits *x);
DEFINE_CLEANUP(struct exits *, exits_free, exits_freep);
int exits_fd(const struct exits *x); /* O_RDWR; borrowed, for the monitor */
/* A slot for the run of @id that begins: its former one, or a free one, or a new one. */
int exits_take(struct exits *x, const char *id, uint64_t started_at, uint32_t *slot, struct err *e);
/* How the run of @id ended.  -ENOENT: it has not, as far as its slot says. */
int exits_load(const struct exits *x, const char *id, struct exit_record *out, struct err *e);
/* The container is gone. */
void exits_release(struct exits *x, const char *id);

#endif
