/* compose/project.h: a Compose project, loaded.
 *
 *	_cleanup_(project_freep) struct project *p = NULL;
 *	struct diag diag = DIAG_INIT;
 *	r = project_load(&(struct project_options){ .environ = environ }, &p, &diag);
 *
 * The model is one tree in canonical form: every short form is written out,
 * paths are absolute, names and defaults are filled in, variables replaced,
 * values have the type that the key table (compose/keys.h) gives them:
 *
 *	command, entrypoint	sequence of strings; null or absent: the image's
 *	environment		mapping to strings (env_file merged in); null: unset
 *	labels, annotations, sysctls, options	mapping to strings
 *	ports		sequence of { target int, published str, protocol, host_ip, mode, name }
 *	volumes		sequence of { type, source, target, read_only, bind, volume, tmpfs, image }
 *	depends_on	mapping to { condition, restart, required }
 *	networks	mapping to null or { aliases, ipv4_address, ipv6_address, … }
 *	healthcheck	test: ["CMD"|"CMD-SHELL"|"NONE", …]; durations as Go text "1m30s"
 *	bytes		strings of decimal digits ("1073741824")
 *	durations	strings that units_duration() reads
 *	extra_hosts	sequence of "host=ip", sorted
 *
 * Absent means not given: defaults that the engine knows are not written in.
 * Where in a file a value came from stays on each node.
 */
#ifndef COMPOSE_PROJECT_H
#define COMPOSE_PROJECT_H

#include "base/map.h"
#include "compose/diag.h"
#include "compose/node.h"

struct project_options {
	char **files;            /* -f; NULL: COMPOSE_FILE, then the default names upwards */
	char *project_directory; /* NULL: the folder of the first file */
	char *name;              /* -p */
	char **env_files;        /* --env-file; NULL: COMPOSE_ENV_FILES, then .env */
	char **profiles;         /* --profile; NULL: COMPOSE_PROFILES */
	char **services;         /* keep these and what they depend on; NULL: all */
	char **enable;           /* services whose profiles become active; NULL: @services */
	bool all_resources;      /* keep networks, volumes, … that no service uses */
	bool no_interpolate, no_normalize, no_path_resolution, no_env_resolution, no_consistency;
	char *const *environ; /* the process environment, "KEY=value"; NULL: none */
	char *cwd;            /* NULL: the current directory */
	int stdin_fd;         /* read for `-f -`; 0 is the usual one */
};

/* A value of the interpolation environment and where it came from. */
struct project_var {
	const char *value;
	const char *origin; /* "environment", ".env:3", … */
};

struct project {
	struct arena *arena;
	const char *name;
	const char *working_dir; /* absolute */
	char **config_files;     /* absolute, "-" for standard input */
	char **env_files;        /* those read for interpolation; absolute */
	struct node *model;      /* root map: name, services, networks, volumes, secrets,
				  * configs, models, x-*; only what is enabled and used */
	struct node *disabled;   /* services that no active profile enables; a map */
	char **profiles;         /* active ones */
	struct map environment;  /* name -> struct project_var *, in the arena */
	bool raw;                /* loaded with no_interpolate: short forms may remain */
};

/* Load, check and resolve.  0, or -EINVAL and the like with at least one error in
 * @diag; *out is then NULL.  No file found: -ENOENT. */
int project_load(const struct project_options *o, struct project **out, struct diag *diag);
/* Only find out the project's name: from -p or COMPOSE_PROJECT_NAME without looking
 * for a compose file, else from the file's `name` or its folder.  *name is the caller's.
 * Neither a name nor a file: -ENOENT. */
int project_find_name(const struct project_options *o, char **name, struct diag *diag);
void project_free(struct project *p); /* NULL is allowed */
static inline void project_freep(struct project **p)
{
	project_free(*p);
}

/* The service's map, or NULL. */
struct node *project_service(const struct project *p, const char *name);
/* The same with "no such service: X" and a suggestion. */
int project_need_service(const struct project *p, const char *name, struct node **out,
			 struct err *e);
/* Enabled services in order of their names.  NULL-terminated, strings borrowed, vector owned. */
const char **project_service_names(const struct project *p);
/* "image", or what a service that builds is called: <project>-<service>.  In the arena. */
const char *project_image_name(const struct project *p, const char *service);
/* scale, deploy.replicas, or 1. */
int64_t service_scale(const struct node *service);

/* lower case, [a-z0-9_-] only, no leading '_' or '-'; the caller's. */
char *project_normalize_name(const char *name);

/* The model's sub-maps; NULL when there is none. */
static inline struct node *project_section(const struct project *p, const char *section)
{
	return node_get(p->model, section);
}

#endif
