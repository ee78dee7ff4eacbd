#!/usr/bin/env bash
# A system call that fails once: every kind of call that changes something, of every
# role, fails with an error that it can have (ENOMEM, ENOSPC, EMFILE, EIO, EINTR, …) while
# up, down, restart, a recreation and an import are at work.  Nobody crashes or
# hangs; the command succeeds, or fails with one clear error; a signal (EINTR) is never
# an error.  After each, one plain `up -d` converges and one `down -v` leaves nothing.
#
# FAULT_POINTS=all: every call with each of its errors (make check-faults); otherwise
# some of every call of every role, chosen by FAULT_SEED.  FAULT_PART as in 70.
. "$(dirname "$0")/../lib/tap.sh"
. "$LIB/faults.sh"
plan 7

WIDE=
commands="up down restart recreate import"
declare -A each=([up]=2 [down]=1 [restart]=1 [recreate]=1 [import]=2)
faults_begin
: >"$WORK/list"
for command in $commands; do
	faults_calls "$command" >"$WORK/calls"
	faults_errors "$command" "${FAULT_POINTS:-${each[$command]}}" <"$WORK/calls" >>"$WORK/list"
done
begun=$SECONDS
faults_run "$WORK/list"
for command in $commands; do
	tried=$(cat "$WORK"/tried.* | grep -c "^$command ")
	bad=$(cat "$WORK"/found.[0-9] | grep "^$command ")
	is "$command: $tried calls that failed" "$bad" ""
done
tried=$(cat "$WORK"/tried.* | wc -l) bad=$(cat "$WORK"/found.[0-9] | wc -l)
echo "# by role: $(faults_roles)"
echo "# by error: $(awk '{ print $NF }' "$WORK"/tried.* | sort | uniq -c | awk '{ printf "%s%s %s", sep, $2, $1; sep = ", " }')"
echo "# $tried calls that failed, $((tried - bad)) as they should, $((SECONDS - begun)) s, seed ${FAULT_SEED:-1}"
is "at least 250 were hit" "$((tried >= ${FAULT_PART:+-}250))" 1
faults_done
