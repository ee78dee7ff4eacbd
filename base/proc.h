/* base/proc.h: what /proc says about processes, and this boot's id. */
#ifndef BASE_PROC_H
#define BASE_PROC_H

#include <sys/types.h>

#include "base/err.h"

#define BOOT_ID_MAX 37

/* Clock ticks since boot at which @pid started: proc_pid_stat(5), field 22.
 * -ESRCH when there is no such process (a zombie still counts as there). */
int proc_start_ticks(pid_t pid, uint64_t *ticks, struct err *e);
/* State letter of proc_pid_stat(5) field 3 ('R', 'S', 'Z', …), or -errno. */
int proc_state(pid_t pid);
/* This boot's random id, /proc/sys/kernel/random/boot_id. */
int proc_boot_id(char buf[BOOT_ID_MAX], struct err *e);
/* A hexadecimal mask such as SigCgt from /proc/PID/status. */
int proc_status_mask(pid_t pid, const char *field, uint64_t *mask, struct err *e);
/* A decimal field such as PPid, or VmRSS in kB. */
int proc_status_number(pid_t pid, const char *field, uint64_t *n, struct err *e);
/* Command name, proc_pid_comm(5), into a buffer of 16 bytes; "?" when gone. */
const char *proc_comm(pid_t pid, char buf[16]);

#endif
