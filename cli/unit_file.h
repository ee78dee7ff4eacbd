/* cli/unit_file.h: the systemd unit of a project, as text.  Pure.
 *
 * What it promises, and why it is as it is:
 *
 *  Type=notify	The main process is `comp systemd run` (cli/attend.h), not the
 *		supervisor: that one may be killed, or be replaced by a newer one, without
 *		systemd taking the unit for failed.  READY=1 comes when the stack is ready.
 *  KillMode=process	Crash-only reaches as far as here: should the main process die, the
 *		supervisor, the monitors and with them the containers live on (as with
 *		docker.service), and the next main process finds them.
 *  Restart=on-failure	brings that next one.
 *  no ExecStop	SIGTERM to the main process stops the containers in reverse graph order,
 *		before or after the unit became ready; it asks for the time that takes
 *		(EXTEND_TIMEOUT_USEC).  Records stay: the next start brings the same
 *		containers back.
 *  ExecReload	the main process becomes the binary that is installed now, and has its
 *		supervisor replaced; containers do not notice.
 *  Delegate=yes, OOMPolicy=continue	what happens in cgroups is for comp to judge.
 *		Containers are in cgroups of comp's own (engine/container/cgroup.h),
 *		not in the unit's.
 *  TimeoutStartSec=infinity	How long a health check may take is for the compose file to say;
 *		what is waited for is in the unit's status line.
 */
#ifndef CLI_UNIT_FILE_H
#define CLI_UNIT_FILE_H

#include "base/buf.h"

#define UNIT_MARK "# Written by comp; `comp -p "

struct unit_file {
	const char *project;
	const char *program;      /* absolute path of comp */
	const char *root;         /* where the state is */
	char *const *environment; /* NAME=VALUE; NULL: none */
};

/* "comp-demo.service"; the caller frees. */
char *unit_file_name(const char *project);
void unit_file_write(const struct unit_file *u, struct buf *out);

#endif
