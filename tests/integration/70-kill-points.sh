#!/usr/bin/env bash
# Kill anything, lose nothing: SIGKILL at the n-th state-changing system call of
# up, down, restart, a recreation and an import, to the process that makes it (CLI,
# supervisor, monitor, nethelper, nft, extractor, a container's init) or to all of
# comp's at once.  After
# each, one plain `up -d` converges within 10 s, everything runs exactly once and
# answers, and one `down -v` leaves nothing.
#
# FAULT_POINTS=all does every n (make check-faults); otherwise they are sampled
# evenly, 350 in all.  FAULT_PART=2/5 does the second of five parts.
. "$(dirname "$0")/../lib/tap.sh"
. "$LIB/faults.sh"
plan 12

WIDE=
declare -A samples=([up,self]=100 [down,self]=45 [restart,self]=55 [recreate,self]=60
	[import,self]=20 [import,all]=5
	[up,all]=25 [down,all]=10 [restart,all]=15 [recreate,all]=20)
faults_begin
: >"$WORK/list"
for command in up down restart recreate import; do
	total=$(faults_count "$command")
	echo "# $command makes $total calls"
	for who in self all; do
		faults_points "$command" kill "$who" "$total" "${FAULT_POINTS:-${samples[$command,$who]}}" >>"$WORK/list"
	done
done
begun=$SECONDS
faults_run "$WORK/list"
for command in up down restart recreate import; do
	for who in self all; do
		tried=$(awk -v c="$command" -v w="$who" '$1 == c && $4 == w' "$WORK/list" | wc -l)
		bad=$(cat "$WORK"/found.[0-9] | grep "^$command kill [0-9]* $who:")
		is "$command: $tried kill points, killing $who" "$bad" ""
	done
done
tried=$(cat "$WORK"/tried.* | wc -l) bad=$(cat "$WORK"/found.[0-9] | wc -l)
slowest=$(cat "$WORK"/found.*.ms | sort -n | tail -n 1)
is "at least 300 were hit" "$((tried >= ${FAULT_PART:+-}300))" 1
echo "# by role: $(faults_roles)"
echo "# $tried kill points, $((tried - bad)) converged, the slowest \`up -d\` in $slowest ms, $((SECONDS - begun)) s"
[ ! -s "$WORK/faults.log" ] || sed 's/^/# /' "$WORK/faults.log"
faults_done
