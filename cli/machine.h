/* cli/machine.h: what is on the machine, whatever the project: for commands that count
 * or clean up. */
#ifndef CLI_MACHINE_H
#define CLI_MACHINE_H

#include "base/map.h"
#include "cli/context.h"
#include "engine/container/spec.h"
#include "engine/state/record.h"
#include "volumes/volume.h"

struct machine_container {
	const struct record *rec;    /* in the machine's lists, reconciled */
	struct container_spec *spec; /* NULL: could not be read */
};

struct machine {
	char **projects;
	struct record_list *records; /* of each project */
	struct machine_container *containers;
	size_t n_containers;
	struct volume **volumes;
	size_t n_volumes;
	char **networks;     /* names */
	struct map images;   /* id → its containers as char **: names */
	struct map mounted;  /* volume → names of containers */
	struct map attached; /* network → names of containers */
};

/* Reads all records and specs.  What cannot be read is warned about, and counts as in use
 * where that can be told. */
int machine_load(struct context *ctx, struct machine *out, struct err *e);
void machine_done(struct machine *m);

/* store_in_use_fn: is there a container of the image?  @data: the machine. */
int machine_uses_image(void *data, const char *id, struct err *e);
/* The same for one that runs. */
int machine_runs_image(void *data, const char *id, struct err *e);

/* Bytes on disk of a container's own directory (its changes and logs), or any other. */
uint64_t machine_container_size(struct context *ctx, const struct record *r);
uint64_t disk_size(const char *path);

/* --filter of the prune commands: until=TIME, label=KEY[=VALUE], label!=KEY[=VALUE]. */
struct prune_filter {
	uint64_t until; /* CLOCK_REALTIME ns; 0: not given */
	char **labels, **not_labels;
};
void prune_filter_done(struct prune_filter *f);
/* @until: whether that one makes sense. */
int prune_filter_parse(char *const *texts, bool until, struct prune_filter *out, struct err *e);
bool prune_filter_passes(const struct prune_filter *f, uint64_t created, char *const *labels);

/* "Total reclaimed space: 16.43MB" */
void print_reclaimed(struct context *ctx, uint64_t bytes);

#endif
