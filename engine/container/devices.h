/* engine/container/devices.h: which device nodes a container gets, and which it may use.
 *
 * Read twice: by the supervisor to set the cgroup's rules, and by init to make
 * the nodes.  Both look at the host's own /dev.
 */
#ifndef ENGINE_CONTAINER_DEVICES_H
#define ENGINE_CONTAINER_DEVICES_H

#include <sys/stat.h>

#include "base/err.h"
#include "engine/container/spec.h"

struct device_node {
	char *path;  /* in the container, absolute */
	mode_t mode; /* type and permissions */
	uid_t uid;
	gid_t gid;
	unsigned int major, minor;
	unsigned int access; /* DEVICE_READ | … */
};

/* Values as in bpf_cgroup_dev_ctx, linux/bpf.h. */
#define DEVICE_MKNOD 1
#define DEVICE_READ  2
#define DEVICE_WRITE 4
#define DEVICE_ALL   7
#define DEVICE_ANY   UINT32_MAX

struct device_rule {
	char type;                 /* 'b', 'c', 'a' for both */
	unsigned int major, minor; /* DEVICE_ANY: all */
	unsigned int access;
};

struct device_list {
	struct device_node *nodes;
	size_t n_nodes;
	struct device_rule *rules; /* all allow; what matches none is denied */
	size_t n_rules;
	bool all; /* privileged: no rules at all */
};

/* The nodes beyond the standard ones (null, zero, …), from spec->devices or, privileged, the
 * host's whole /dev; and the rules, the standard ones included. */
int devices_from_spec(const struct container_spec *s, struct device_list *out, struct err *e);
void device_list_done(struct device_list *l);

/* "c 1:3 mr", "a *:* rwm". */
int device_rule_parse(const char *text, struct device_rule *out, struct err *e);
/* As the v1 files want it; returns @buf. */
#define DEVICE_RULE_MAX 48
const char *device_rule_text(const struct device_rule *r, char buf[DEVICE_RULE_MAX]);

#endif
