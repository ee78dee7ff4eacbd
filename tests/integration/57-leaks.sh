#!/usr/bin/env bash
# Crash and restart for long, supervisors killed under load: what is open, mapped, mounted
# or waiting afterwards is what was before.
#
#	LEAK_CYCLES=1000 LEAK_KILLS=200 bash tests/integration/57-leaks.sh	the long run
. "$(dirname "$0")/../lib/tap.sh"
plan 19
# A sanitizer keeps what was freed for a while; here that would look like a leak.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}quarantine_size_mb=1:thread_local_quarantine_size_kb=64"
CYCLES=${LEAK_CYCLES:-100}
KILLS=${LEAK_KILLS:-20}

c() {
	comp -p "$P" "$@"
}

nethelper_pid() { # of this COMP_RUN
	pgrep -x comp-nethelper | while read -r pid; do
		tr '\0' '\n' 2>/dev/null <"/proc/$pid/environ" | grep -qx "COMP_RUN=$COMP_RUN" && echo "$pid"
	done
}

# sum_of_restarts: of all containers together
sum_of_restarts() {
	cat "$COMP_ROOT/projects/$P/containers"/*/state.json | jq -s 'map(.restart_count) | add'
}

restarts_reach() {
	[ "$(sum_of_restarts)" -ge "$1" ]
}

all_run() {
	[ "$(cat "$COMP_ROOT/projects/$P/containers"/*/state.json | jq -s 'map(select(.status == "running")) | length')" = "$1" ] &&
		[ "$(pgrep -c -f "^comp-monitor $P-")" = "$1" ]
}

pss() {
	awk '/^Pss:/ {print $2}' "/proc/$1/smaps_rollup" 2>/dev/null || echo 0
}

# What there is of each kind, as "KIND NUMBER" lines.  Descriptors of the supervisor and of
# nethelper; links, mounts and cgroups of the machine that carry our names; zombies and
# other children of the supervisor; files of the project.
count() {
	local s n
	s=$(supervisor_pid)
	n=$(nethelper_pid)
	echo "supervisor-fds $(find "/proc/$s/fd" -mindepth 1 2>/dev/null | wc -l)"
	echo "nethelper-fds $(find "/proc/$n/fd" -mindepth 1 2>/dev/null | wc -l)"
	echo "nethelpers $(wc -w <<<"$n")"
	echo "bridge-ports $(ip -o link show type veth | grep -c "master $(jq -r .interface "$COMP_ROOT/networks/${P}_default/network.json" 2>/dev/null)")"
	echo "mounts $(grep -cE " ($COMP_ROOT|$COMP_RUN)/" /proc/self/mountinfo)"
	echo "cgroups $(find /sys/fs/cgroup -type d -name "$P.*" 2>/dev/null | wc -l)"
	echo "zombies $(ps -o stat= --ppid "$s" | grep -c Z)"
	echo "monitors $(pgrep -c -f "^comp-monitor $P-")"
	echo "run-files $(find "$COMP_RUN/$P" ! -name monitors.lock | wc -l)" # of an election
	echo "containers $(find "$COMP_ROOT/projects/$P/containers" -mindepth 1 -maxdepth 1 | wc -l)"
	echo "addresses $(find "$COMP_ROOT/networks/${P}_default/addr" -type l | wc -l)"
}

# settled FILE: count until two looks in a row agree
settled() {
	local i
	for i in $(seq 20); do
		count >"$1"
		sleep 0.3
		count >"$1.again"
		cmp -s "$1" "$1.again" && return
	done
	return 1
}

# same WHAT: every number after is at most what it was before
same() {
	join before after | awk '$3 > $2 {print $1 ": " $2 " before, " $3 " after"}' >more
	if [ -s more ]; then
		fail "$1" "$(cat more)"
	else
		pass "$1"
	fi
}

tiny_image tiny
port=$(free_port)
cat >compose.yaml <<E
services:
  a: {image: tiny, command: "sh -c 'echo up; sleep 0.02; exit 1'", deploy: {restart_policy: {condition: any, delay: 1ms}}}
  b: {image: tiny, command: "sh -c 'echo up; sleep 0.03; exit 1'", deploy: {restart_policy: {condition: any, delay: 1ms}}}
  c: {image: tiny, command: "sh -c 'echo up; sleep 0.02'", tty: true, deploy: {restart_policy: {condition: any, delay: 1ms}}}
  steady: {image: tiny, init: true, command: sleep 1000, ports: ["127.0.0.1:$port:80"]}
  checked:
    image: tiny
    init: true
    command: sleep 1000
    healthcheck: {test: ["CMD", "true"], interval: 200ms}
E

# ---- crash and restart ----------------------------------------------------------------------
c up -d >/dev/null 2>&1
until_true 10 restarts_reach 10
c stop -t 0 a b c >/dev/null 2>&1
settled before
supervisor=$(supervisor_pid)
memory=$(pss "$supervisor")
begun=$SECONDS
c start a b c >/dev/null 2>&1
is "$CYCLES crashes and restarts" "$(until_true $((CYCLES / 5 + 30)) restarts_reach "$CYCLES" && echo yes)" yes
echo "# $(sum_of_restarts) restarts in $((SECONDS - begun)) s"
c stop -t 0 a b c >/dev/null 2>&1
is "by one supervisor" "$(supervisor_pid)" "$supervisor"
ok "things settle" settled after
same "descriptors, links, mounts, cgroups, zombies and files are as before"
echo "# before: $(xargs <before)"
echo "# after:  $(xargs <after)"
now=$(pss "$supervisor")
echo "# supervisor's memory: $memory kB before, $now kB after"
# A restart that kept 1 kB would show in the long run; the short one sees blunders.
limit=$((memory + 256 + CYCLES / 4))
[ "${FLAVOR:-sanitize}" = sanitize ] && limit=$((memory + 16384 + CYCLES * 100)) # quarantine
is "and the supervisor's memory, nearly" "$((now <= limit))" 1
echo "# per restart: $(((now - memory) * 1024 / CYCLES)) bytes of the supervisor's"
is "the container beside them never restarted" "$(jq -s 'map(select(.service == "steady"))[0].restart_count' "$COMP_ROOT/projects/$P/containers"/*/state.json)" 0
c logs --no-log-prefix a >out 2>/dev/null
is "each run said its word" "$(($(grep -c '^up$' out) >= CYCLES / 10))" 1
c down -t 0 >/dev/null 2>&1

# ---- exec, and health checks beside it -------------------------------------------------------
c up -d steady checked >/dev/null 2>&1
for _ in 1 2 3; do c exec -T steady true </dev/null; done
settled before
for _ in $(seq $((CYCLES / 2))); do c exec -T steady true </dev/null; done
ok "exec, often" settled after
same "leaves nothing"

# ---- recreation ---------------------------------------------------------------------------------
for _ in $(seq $((CYCLES / 10))); do
	c up -d --force-recreate -t 0 steady checked >/dev/null 2>&1 || echo failed
done >out
is "recreation, often" "$(cat out)" ""
settled after
same "leaves nothing, either"
c down -t 0 >/dev/null 2>&1

# ---- supervisors killed under load ---------------------------------------------------------------
cat >compose.yaml <<E
services:
  crash: {image: tiny, command: "sh -c 'sleep 0.1; exit 1'", deploy: {replicas: 3, restart_policy: {condition: any, delay: 50ms}}}
  talk: {image: tiny, command: "sh -c 'i=0; while :; do i=\$\$((i + 1)); echo \$\$i; [ \$\$((i % 100)) != 0 ] || sleep 0.01; done'", restart: always, logging: {options: {max-size: 20m}}}
  steady:
    image: tiny
    init: true
    command: sleep 1000
    ports: ["127.0.0.1:$port:80"]
    healthcheck: {test: ["CMD", "true"], interval: 200ms}
E
c up -d >/dev/null 2>&1
until_true 10 restarts_reach 6
settled before
steady=$(pid_of steady) talk=$(pid_of talk)
killed=0 elected=0 slowest=0
for i in $(seq "$KILLS"); do
	old=$(supervisor_pid)
	[ -n "$old" ] || continue
	# Now and then a client is in the middle of something.
	if [ $((i % 4)) = 0 ]; then
		"$COMP" -p "$P" restart -t 0 crash >/dev/null 2>&1 &
		client=$!
		sleep "0.0$((i % 10))"
	else
		client=
	fi
	kill -9 "$old" && killed=$((killed + 1))
	begun=$(date +%s%N)
	until_true 15 bash -c "[ -s '$COMP_RUN/$P/lock' ] && [ \$(cat '$COMP_RUN/$P/lock') != $old ] && [ -d /proc/\$(cat '$COMP_RUN/$P/lock') ]" && elected=$((elected + 1))
	took=$((($(date +%s%N) - begun) / 1000000))
	[ "$took" -le "$slowest" ] || slowest=$took
	[ -z "$client" ] || wait "$client"
	sleep "0.$((i % 3))"
done
echo "# $killed supervisors killed, the slowest succession took $slowest ms"
is "$KILLS supervisors killed under load: each has a successor" "$elected" "$KILLS"
is "who did not crash was not touched" "$(pid_of steady) $(pid_of talk)" "$steady $talk"
n=$(sum_of_restarts)
is "restarts go on" "$(until_true 20 restarts_reach $((n + 6)) && echo yes)" yes
c logs --no-log-prefix talk 2>/dev/null | head -n -1 | awk '$1 != NR {print "line " NR " is " $0; exit}' >out
is "no line of the log was lost" "$(cat out)" ""
ok "an up converges" timeout 60 "$COMP" -p "$P" up -d
settled after
# The containers that crash come and go: their monitors and descriptors with them.
awk '!/^(monitors|supervisor-fds|zombies)/' before >b && awk '!/^(monitors|supervisor-fds|zombies)/' after >a && mv b before && mv a after
same "links, mounts, cgroups and files are as before"
echo "# before: $(xargs <before)"
echo "# after:  $(xargs <after)"
echo "# supervisor $(pss "$(supervisor_pid)") kB, $(find "/proc/$(supervisor_pid)/fd" -mindepth 1 | wc -l) descriptors"
c stop -t 0 crash >/dev/null 2>&1
ok "two monitors stay for the two that run" until_true 10 all_run 2
ok "down" comp -p "$P" down -t 0

done_testing
