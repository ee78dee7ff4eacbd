# tests/lib/machine.sh: a machine that can lose its power.
#
#	machine NUMBER SCRIPT		run SCRIPT (bash) as its boot NUMBER
#
# Namespaces of pids, network and mounts with a boot id of their own and an empty
# COMP_RUN.  When SCRIPT ends the kernel kills every process in it at the same moment, and
# bridges, pins and sockets are gone: what is left is what a reboot leaves.  SCRIPT has
# tap.sh's comp, until_true, pid_of, supervisor_pid and free_port, and prints what it
# finds.  Nothing may be frozen at its end: on cgroup v1 that cannot be killed.
# shellcheck shell=bash

machine() {
	printf '%s\n' "$2" >"$WORK/machine.sh"
	printf '00000000-0000-4000-8000-%012d\n' "$1" >"$WORK/boot-id"
	export WORK P COMP
	timeout -k 1 60 unshare --mount --net --pid --fork --kill-child --mount-proc \
		bash -c '
			mount --bind "$WORK/boot-id" /proc/sys/kernel/random/boot_id
			mount -t tmpfs tmpfs "$COMP_RUN"
			ip link set lo up
			'"$(declare -f comp until_true pid_of supervisor_pid free_port)"'
			. "$WORK/machine.sh"' </dev/null
}
