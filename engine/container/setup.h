/* engine/container/setup.h: what init does between clone and execve, as named steps.
 *
 * Each step is a function over one struct; setup_run() goes through the table in
 * setup.c and puts the step's name in front of an error.  There is no undo:
 * everything a step makes lives in namespaces and mounts of init's own, and
 * goes when init does.
 */
#ifndef ENGINE_CONTAINER_SETUP_H
#define ENGINE_CONTAINER_SETUP_H

#include "engine/container/launch.h"

struct setup {
	const struct launch *l;
	const struct container_spec *spec;
	bool entered_cgroup; /* by CLONE_INTO_CGROUP */

	int dir_fd;    /* the container's state directory, in our mount namespace */
	int null_fd;   /* the host's /dev/null, checked */
	int *sources;  /* detached mounts, one per spec->mounts */
	int shm_fd;    /* a detached /dev/shm of the host or another container; or -EBADF */
	int mqueue_fd; /* the host's /dev/mqueue; or -EBADF */
	int root_fd;   /* the container's root */
	int proc_fd;   /* root of its /proc, never covered by anything */
	int dev_fd;    /* root of its /dev */
	int ptmx_fd;   /* from its own devpts, with spec->tty */
};

int setup_run(struct setup *s, struct err *e);

/* rootfs.c */
int setup_rootfs(struct setup *s, struct err *e);
int setup_read_only(struct setup *s, struct err *e);
int setup_pivot(struct setup *s, struct err *e);

/* mounts.c: what the spec asks for */
int setup_sources(struct setup *s, struct err *e);
int setup_etc(struct setup *s, struct err *e);
int setup_mounts(struct setup *s, struct err *e);
int setup_files(struct setup *s, struct err *e);
int setup_directory(struct setup *s, struct err *e);

/* system.c: what every container has */
int setup_proc(struct setup *s, struct err *e);
int setup_sysctls(struct setup *s, struct err *e);
int setup_sys(struct setup *s, struct err *e);
int setup_cgroup_mount(struct setup *s, struct err *e);
int setup_dev(struct setup *s, struct err *e);
int setup_ipc(struct setup *s, struct err *e);
int setup_terminal(struct setup *s, struct err *e);
int setup_masks(struct setup *s, struct err *e);

/* target.c: a place to mount on, O_PATH, resolved once inside the root and made when missing (a
 * directory or an empty file; in a writable image that shows, as under Docker). */
int target_open(int root_fd, const char *path, bool directory, struct err *e);

#endif
