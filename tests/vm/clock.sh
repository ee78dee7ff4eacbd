#!/usr/bin/env bash
# C4-19: the wall clock set a year ahead, back, and back by an hour, while checks and
# restarts are timed and logs are written.  For a machine of its own: tests/lib/vm.
. "$(dirname "$0")/../lib/tap.sh"
plan 8
[ -n "${COMP_IN_VM:-}" ] || { echo "sets the clock of the machine: run it by make check-vm" >&2; exit 1; }

c() {
	comp -p "$P" "$@"
}

tiny_image tiny
mkdir seen
cat >compose.yaml <<'E'
services:
  web:
    image: tiny
    command: sh -c 'i=0; while :; do i=$$((i + 1)); echo line $$i; sleep 0.2; done'
    volumes: [./seen:/seen]
    healthcheck: {test: "cat /proc/uptime >>/seen/probes", interval: 2s, timeout: 20s}
  crash:
    image: tiny
    command: sh -c 'cat /proc/uptime >>/seen/starts; sleep 1; exit 1'
    volumes: [./seen:/seen]
    restart: always
E

# The longest and shortest time between two lines' first numbers, as whole seconds: "2 2"
gaps() {
	awk '{ if (NR > 1) { d = int($1 - p + 0.5); if (NR == 2 || d < min) min = d; if (d > max) max = d } p = $1 }
		END { print min, max }' "$1"
}

# between LOW HIGH NUMBER
between() {
	[ "$3" -ge "$1" ] && [ "$3" -le "$2" ]
}

c up -d >/dev/null 2>&1
now=$(date +%s)
sleep 5
date -s "@$((now + 31536000))" >/dev/null
sleep 5
date -s "@$now" >/dev/null
sleep 5
date -s "@$((now - 3600))" >/dev/null
sleep 5
is "health checks went on" "$(($(wc -l <seen/probes) >= 7))" 1
read -r low high <<<"$(gaps seen/probes)"
ok "at their interval of 2 s, give or take one" between 1 3 "$low"
ok "none was late for the clock ($low to $high s)" between 1 4 "$high"
read -r low high <<<"$(gaps seen/starts)"
ok "restarts went on, none at once and none an hour late ($low to $high s)" between 1 20 "$high"
like "the service is healthy" "$(c ps web --format '{{.Status}}')" '\(healthy\)'
c stop -t 0 web >/dev/null 2>&1
c logs --no-log-prefix web | sed 's/line //' >lines
is "logs are in the order they were written" "$(sort -n lines | cmp lines - && echo same)" same
is "and whole" "$(wc -l <lines)" "$(tail -n 1 lines)"
date -s "@$((now + $(cut -d. -f1 /proc/uptime) - $(head -n 1 seen/starts | cut -d. -f1)))" >/dev/null
ok "down" c down -t 0
done_testing
