#!/usr/bin/env bash
# The graph is kept while the project lives: dependants follow a crash, one-shots count as
# done, a namespace outlives its owner, restart policies with delays and limits.
. "$(dirname "$0")/../lib/tap.sh"
plan 23

c() {
	comp -p "$P" --progress quiet "$@"
}

# started SERVICE: when its container was last started, in ns
started() {
	local id
	id=$(c ps -a -q --no-trunc "$1")
	jq .started_at "$COMP_ROOT/projects/$P/containers/$id/state.json"
}

state() {
	local id
	id=$(c ps -a -q --no-trunc "$1")
	jq -r ".$2" "$COMP_ROOT/projects/$P/containers/$id/state.json"
}

# crash SERVICE: its main process dies
crash() {
	kill -9 "$(pid_of "$1")"
}

later() { # later SERVICE NS: started after NS, and running
	[ "$(started "$1")" -gt "$2" ] && [ "$(state "$1" status)" = running ]
}

tiny_image tiny --change 'CMD ["sleep","1000"]'

# ---- restart: true on a crash -----------------------------------------------------
cat >compose.yaml <<'E'
services:
  db:
    image: tiny
    restart: always
    command: ["sh", "-c", "rm -f /tmp/up; sleep 0.3; touch /tmp/up; exec sleep 1000"]
    healthcheck: {test: "test -f /tmp/up", interval: 200ms, retries: 1000}
  plain: {image: tiny, depends_on: [db]}
  follows:
    image: tiny
    depends_on: {db: {condition: service_started, restart: true}}
  waits:
    image: tiny
    depends_on: {db: {condition: service_healthy, restart: true}}
  second:
    image: tiny
    depends_on: {waits: {condition: service_started, restart: true}}
E
ok "up --wait" comp -p "$P" --progress quiet up --wait
t0=$(date +%s%N) plain=$(started plain)
crash db
ok "the crashed service is back" until_true 5 later db "$t0"
ok "who depends on it with restart: true follows" until_true 5 later follows "$t0"
ok "and who wants it healthy" until_true 5 later waits "$t0"
ok "and who depends on those" until_true 5 later second "$t0"
is "but not who only depends on it" "$(started plain)" "$plain"
ok "condition service_healthy is waited for" \
	test $(($(started waits) - $(started db))) -ge 300000000
ok "a dependant starts after what it follows" test "$(started second)" -gt "$(started waits)"
is "following is no failure of its own" "$(state follows restart_count)" 0
t1=$(date +%s%N)
kill -9 "$(supervisor_pid)"
crash db
ok "the same when the supervisor was killed first" until_true 10 later waits "$t1"
c stop follows
t1=$(date +%s%N)
crash db
ok "a later crash" until_true 10 later waits "$t1"
is "does not bring back what the user stopped" "$(state follows status)" exited
c down -t 0

# ---- one-shots ----------------------------------------------------------------------
cat >compose.yaml <<'E'
services:
  migrate: {image: tiny, command: "true"}
  seed: {image: tiny, command: "true", restart: on-failure}
  web:
    image: tiny
    depends_on: {migrate: {condition: service_completed_successfully}}
E
ok "one-shots count as done for up --wait" comp -p "$P" --progress quiet up --wait
c down -t 0

# ---- network_mode: service:x over a crash ---------------------------------------------
cat >compose.yaml <<'E'
services:
  x: {image: tiny, restart: always, command: ["httpd", "-f", "-p", "80"]}
  child:
    image: tiny
    network_mode: "service:x"
    command: ["httpd", "-f", "-p", "81"]
  peer: {image: tiny}
E
c up -d
address() {
	c exec -T "$1" ip -4 -o addr show eth0 </dev/null | grep -oE 'inet [0-9.]+'
}
before=$(address child) child=$(started child)
t0=$(date +%s%N)
crash x
ok "x is back after a crash" until_true 5 later x "$t0"
is "its child was not touched" "$(started child)" "$child"
is "and has the same network" "$(address child)" "$before"
is "which is x's" "$(address x)" "$before"
reaches() { # reaches PORT: peer gets an answer from x
	c exec -T peer wget -q -O - "http://x:$1/etc/none" </dev/null 2>&1 | grep -q 404
}
ok "neighbours reach x" until_true 5 reaches 80
ok "and its child" reaches 81
c down -t 0

# ---- deploy.restart_policy ----------------------------------------------------------------
cat >compose.yaml <<'E'
services:
  limited:
    image: tiny
    command: "sh -c 'exit 4'"
    deploy: {restart_policy: {condition: on-failure, max_attempts: 3, delay: 100ms}}
  windowed:
    image: tiny
    command: "sh -c 'sleep 0.3; exit 4'"
    deploy: {restart_policy: {condition: on-failure, max_attempts: 2, delay: 50ms, window: 200ms}}
E
t0=$(date +%s%N)
c up -d
given_up() {
	[ "$(state limited status)" = exited ]
}
ok "max_attempts is a limit" until_true 10 given_up
is "reached by that many restarts" "$(state limited restart_count)" 3
ok "with the delay between them" test $(($(state limited finished_at) - t0)) -ge 300000000
sleep 1.2
ok "a run as long as the window counts anew" test "$(state windowed status)" != exited
c down -t 0

done_testing
