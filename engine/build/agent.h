/* engine/build/agent.h: key files for RUN --mount=type=ssh.
 *
 * A step gets no key but the socket of an agent that has it.  For a key file that is
 * OpenSSH's ssh-agent(1), for as long as the build; ssh-add(1) reads the file, as the caller.
 */
#ifndef ENGINE_BUILD_AGENT_H
#define ENGINE_BUILD_AGENT_H

#include <sys/types.h>

#include "base/err.h"

/* Start an agent with the key @file, listening at @socket (absent).  -ENOENT: not installed;
 * -EACCES: a key that ssh-add does not take.  Blocks, for 2 s at most for each of both.  The agent
 * dies with the process that started it. */
int agent_start(const char *socket, const char *file, pid_t *pid, struct err *e);
void agent_stop(pid_t pid);

#endif
