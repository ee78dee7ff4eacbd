/* compose/translate_internal.h: the parts of translate.c, one per group of keys.
 *
 * Each part reads keys of one canonical service and fills its fields of the
 * spec.  Those that return int report to job->diag and return -errno.
 */
#ifndef COMPOSE_TRANSLATE_INTERNAL_H
#define COMPOSE_TRANSLATE_INTERNAL_H

#include "compose/translate.h"

#define TRANSLATE_FILE_MAX (1 << 20) /* bytes of a secret, config or seccomp profile */

/* One service on its way; everything is borrowed but what the spec gets. */
struct job {
	const struct project *p;
	const struct dirs *dirs;
	const char *name; /* of the service */
	const struct node *service;
	const struct image_config *image;
	struct container_spec *spec;
	struct diag *diag;
};

/* translate_read.c: copies for the spec; the caller owns them. */
char **translate_strings(const struct node *seq); /* a string alone is split into words */
char **translate_strings_of(const struct job *j, const char *key);
char **translate_pairs(const struct node *map); /* {a: b} as "a=b"; null values are left out */
char *translate_string_of(const struct job *j, const char *key);
/* Full name of networks.KEY or volumes.KEY; lives as long as the project. */
const char *translate_full_name(const struct project *p, const char *section, const char *key);

/* translate.c: of a container that is there; NULL when it cannot be read. */
struct container_spec *translate_load(const struct dirs *d, const char *project, const char *id);

/* translate_process.c */
int translate_process(struct job *j);
int translate_restart(struct job *j);
int translate_health(struct job *j);
void translate_hooks(struct job *j);
void translate_log(struct job *j);

/* translate_mounts.c */
int translate_mounts(struct job *j);
int translate_files(struct job *j); /* secrets and configs */

/* translate_networks.c: namespaces, networks, ports and names. */
int translate_connections(struct job *j);
bool translate_uses_bridge(const struct node *service);

/* translate_limits.c */
void translate_limits(struct job *j);
int translate_security(struct job *j);

/* translate_resources.c: the networks and volumes that @service uses, into @t. */
int translate_resources(struct translation *t, const struct project *p, const char *service,
			struct diag *diag);

#endif
