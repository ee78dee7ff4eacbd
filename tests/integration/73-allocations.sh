#!/usr/bin/env bash
# Memory that is not there, once: every place in comp, or in a library that it uses, which
# allocates during up, down, restart, a recreation and an import gets NULL for an
# answer.  What cannot go on without ends with one clear line, no code of ours crashes and
# nobody hangs; one plain `up -d` converges then and one `down -v` leaves nothing.
#
# FAULT_POINTS=all: every place (make check-faults); otherwise some of each program,
# chosen by FAULT_SEED.
. "$(dirname "$0")/../lib/tap.sh"
. "$LIB/faults.sh"
plan 7

commands="up down restart recreate import"
declare -A samples=([up]=70 [down]=15 [restart]=15 [recreate]=20 [import]=20)
WIDE=
faults_allocations
faults_begin
: >"$WORK/list"
for command in $commands; do
	faults_sites "$command" | sort -n >"$WORK/sites"
	echo "# $command: $(wc -l <"$WORK/sites") places"
	# Those that one command has for itself are tried with that.
	python3 - "$command" "${FAULT_POINTS:-${samples[$command]}}" "${FAULT_SEED:-1}" "$WORK" <<'Y' >>"$WORK/list"
import os, random, sys
command, n, seed, work = sys.argv[1:]
random.seed(f"{seed} {command}")
sites = [l.split()[0] for l in open(f"{work}/sites")]
known = set(open(f"{work}/known").read().split()) if os.path.exists(f"{work}/known") else set()
new = [s for s in sites if s not in known]
open(f"{work}/known", "a").write("".join(s + "\n" for s in new))
if n != "all":
    new = random.sample(new, min(int(n), len(new)))
for s in new:
    print(command, "alloc", s)
Y
done
begun=$SECONDS
faults_run "$WORK/list"
for command in $commands; do
	tried=$(cat "$WORK"/tried.* | grep -c "^$command ")
	bad=$(cat "$WORK"/found.[0-9] | grep "^$command ")
	is "$command: $tried allocations that failed" "$bad" ""
done
tried=$(cat "$WORK"/tried.* | wc -l) bad=$(cat "$WORK"/found.[0-9] | wc -l)
echo "# by program: $(faults_roles)"
echo "# $tried of $(wc -l <"$WORK/list") places hit, $((tried - bad)) as they should, $((SECONDS - begun)) s, seed ${FAULT_SEED:-1}"
[ ! -s "$WORK/library-crashes" ] ||
	echo "# ended inside a library that did not look: $(sort "$WORK/library-crashes" | uniq -c | awk '{ printf "%s%s", sep, $0; sep = ", " }' | tr -s ' ')"
is "at least 120 were hit" "$((tried >= 120))" 1
faults_done
