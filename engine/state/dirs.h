/* engine/state/dirs.h: where comp keeps things.
 *
 *	COMP_ROOT (/var/lib/comp)	survives a reboot
 *	  images/			the image store
 *	  volumes/NAME/			_data, volume.json
 *	  networks/NAME.json		one record per network, whoever made it
 *	  names/NAME			whose container's name it is; see names.h
 *	  projects/PROJECT/project.json	what `up` was last asked for
 *	  projects/PROJECT/exits	how runs ended; see exits.h
 *	  projects/PROJECT/containers/ID/   spec.json state.json log* upper work …
 *	COMP_RUN (/run/comp)		gone after a reboot
 *	  PROJECT/lock			flock(2)ed by the project's supervisor
 *	  PROJECT/control.sock		its socket
 *	  PROJECT/nethelper.sock, netns/ID
 *	  PROJECT/monitors/ID		who runs it; see engine/supervise/monitor.h
 *
 * Containers sit below their project so that `ps` and `down` read one directory
 * however many projects the machine has.  Every directory is 0700.
 */
#ifndef ENGINE_STATE_DIRS_H
#define ENGINE_STATE_DIRS_H

#include "base/err.h"

/* A directory that is being taken apart is called this and its former name. */
#define DIRS_DOOMED ".removing-"

struct dirs {
	char *root, *run;
	char *cgroup; /* our directory in each cgroup hierarchy: "comp", or with COMP_ROOT
		       * set "comp-<hash of it>", so that two roots never meet */
};

/* From COMP_ROOT and COMP_RUN, or the defaults; makes both directories. */
int dirs_init(struct dirs *d, struct err *e);
void dirs_done(struct dirs *d);

/* Path texts; the caller frees.  Nothing is made. */
char *dirs_images(const struct dirs *d);
char *dirs_volumes(const struct dirs *d);
char *dirs_networks(const struct dirs *d);
char *dirs_projects(const struct dirs *d);
char *dirs_project(const struct dirs *d, const char *project);
char *dirs_containers(const struct dirs *d, const char *project);
char *dirs_container(const struct dirs *d, const char *project, const char *id);
char *dirs_project_run(const struct dirs *d, const char *project);

/* Names of the projects that have a directory under either root, sorted. */
char **dirs_list_projects(const struct dirs *d);

#endif
