#!/usr/bin/env bash
# A container's life: stop, start, restart, kill, pause, rm; restart policies; and
# the sudden death of every process that has to do with it.
. "$(dirname "$0")/../lib/tap.sh"
plan 83

c() {
	comp -p "$P" "$@"
}

status() {
	c ps -a --format '{{.Status}}' "$1"
}

# state SERVICE KEY: of its record
state() {
	jq -r ".$2" "$COMP_ROOT/projects/$P/containers/$(c ps -a -q "$1")/state.json"
}

state_is() {
	[ "$(state "$1" "$2")" = "$3" ]
}

new_pid() {
	local pid
	pid=$(state "$1" pid)
	[ "$pid" != "$2" ] && [ "$pid" -gt 0 ] && state_is "$1" status running
}

# timed COMMAND...: prints the milliseconds it took
timed() {
	local begun
	begun=$(date +%s%N)
	"$@" >/dev/null 2>&1
	echo $((($(date +%s%N) - begun) / 1000000))
}

tiny_image tiny
port=$(free_port)
cat >compose.yaml <<E
services:
  web:
    image: tiny
    command: sh -c 'echo started; hostname >/tmp/index.html; exec httpd -f -p 80 -h /tmp'
    ports: ["$port:80"]
    restart: always
  trapper:
    image: tiny
    command: ["sh", "-c", "trap 'echo got TERM; exit 3' TERM; trap 'echo got HUP' HUP; echo ready; while :; do sleep 0.05; done"]
  guarded:
    image: tiny
    init: true
    command: ["sh", "-c", "trap 'sleep 0.5; exit 4' TERM; echo ready; while :; do sleep 0.05; done"]
  deaf: {image: tiny, command: sleep 1000, stop_grace_period: 20s}
  slow:
    image: tiny
    command: ["sh", "-c", "trap : TERM; echo ready; while :; do sleep 0.05; done"]
    stop_grace_period: 1s
  other:
    image: tiny
    command: ["sh", "-c", "trap 'exit 9' USR1; echo ready; while :; do sleep 0.05; done"]
    stop_signal: SIGUSR1
  follower:
    image: tiny
    command: sleep 1000
    depends_on: {deaf: {condition: service_started, restart: true}}
E
ok "up" comp -p "$P" up -d
# These install their handlers first.
for s in trapper slow other guarded; do
	until_true 10 bash -c "'$COMP' -p $P logs $s | grep ready"
done

# ---- by hand --------------------------------------------------------------------
out=$(c stop trapper 2>&1)
is "stop succeeds" $? 0
like "and says so" "$out" "Container $P-trapper-1 Stopped"
like "the process could react to the stop signal" "$(c logs trapper)" 'got TERM'
like "ps shows its exit code" "$(status trapper)" '^Exited \(3\)'
like "init: true adds a pid 1" "$(c exec -T guarded cat /proc/1/comm)" comp-init
c stop guarded >/dev/null 2>&1
like "which gives its child the time it needs" "$(status guarded)" '^Exited \(4\)'
is "it is listed with -a only" "$(c ps --services | grep -c trapper)" 0
ok "a second stop succeeds" comp -p "$P" stop trapper
ok "start" comp -p "$P" start trapper
like "it is up" "$(status trapper)" '^Up '
ok "start of what runs succeeds" comp -p "$P" start trapper
out=$(timed c stop deaf)
is "a process that ignores the signal is not waited for" "$((out < 10000))" 1
like "and is killed" "$(status deaf)" '^Exited \(137\)'
c start deaf >/dev/null 2>&1
like "of which the user is told" "$(c stop deaf 2>&1)" 'ignores SIGTERM, so it was killed without waiting'
out=$(timed c stop slow)
is "one that could react gets its grace period" "$((out >= 1000))" 1
like "and is killed then" "$(status slow)" '^Exited \(137\)'
c start slow >/dev/null 2>&1
out=$(timed c stop -t 0 slow)
is "stop -t 0 kills at once" "$((out < 1000))" 1
c stop other >/dev/null 2>&1
like "stop_signal" "$(status other)" '^Exited \(9\)'
c start deaf slow >/dev/null 2>&1
before=$(state deaf pid) follower=$(state follower pid)
c restart -t 0 deaf >/dev/null 2>&1
is "restart makes a new process" "$(new_pid deaf "$before" && echo yes)" yes
is "and one for who depends on it with restart: true" "$(new_pid follower "$follower" && echo yes)" yes
is "no other" "$(status trapper | cut -c 1-3)" "Up "
until_true 10 bash -c "'$COMP' -p $P logs trapper | grep -c ready | grep 2"
c kill -s HUP trapper >/dev/null 2>&1
is "kill -s sends a signal" "$(until_true 5 bash -c "'$COMP' -p $P logs trapper | grep 'got HUP'" && echo yes)" yes
fails "an unknown signal" 1 'invalid signal: NONE' comp -p "$P" kill -s NONE trapper
c kill trapper >/dev/null 2>&1
is "kill kills" "$(until_true 5 bash -c "'$COMP' -p $P ps -a trapper | grep -F 'Exited (137)'" && echo yes)" yes
before=$(state web pid)
c kill web >/dev/null 2>&1
is "for good, even with restart: always" "$(until_true 5 state_is web status exited && echo yes)" yes
fails "exec in what does not run" 1 'service "web" is not running' comp -p "$P" exec -T web true
c start web >/dev/null 2>&1

ok "pause" comp -p "$P" pause web
like "ps shows it" "$(status web)" '\(Paused\)'
fails "exec in what is paused" 125 'is paused' comp -p "$P" exec -T web true
ok "unpause" comp -p "$P" unpause web
is "it answers again" "$(curl -s -m 5 "http://127.0.0.1:$port/")" "$(c ps --format '{{.ID}}' web)"
c pause web >/dev/null 2>&1
ok "stop of what is paused" comp -p "$P" stop -t 1 web
like "stops it" "$(status web)" '^Exited'
c rm -f >/dev/null 2>&1
is "rm removes what is stopped and nothing else" "$(c ps -a --services | sort | xargs)" "deaf follower slow"
c rm -sf slow >/dev/null 2>&1
is "rm -s stops first" "$(c ps -a --services | sort | xargs)" "deaf follower"
fails "an unknown service" 1 'no such service: nobody' comp -p "$P" stop nobody
ok "down" comp -p "$P" down -t 0

# ---- policies -------------------------------------------------------------------
cat >compose.yaml <<E
services:
  no: {image: tiny, command: "sh -c 'exit 5'"}
  failure: {image: tiny, command: "sh -c 'exit 6'", restart: "on-failure:2"}
  success: {image: tiny, command: "true", restart: on-failure}
  always: {image: tiny, command: "true", restart: always}
  unless: {image: tiny, command: sleep 1000, restart: unless-stopped}
E
c up -d >/dev/null 2>&1
is "no: it stays down" "$(until_true 5 state_is no status exited && state no restart_count)" 0
like "with its exit code" "$(status no)" '^Exited \(5\)'
is "on-failure:2: two restarts" "$(until_true 10 state_is failure status exited && state failure restart_count)" 2
like "and then down" "$(status failure)" '^Exited \(6\)'
is "on-failure: success is none" "$(until_true 5 state_is success status exited && state success restart_count)" 0
is "always: success too" "$(until_true 10 bash -c "[ \$(jq .restart_count '$COMP_ROOT/projects/$P/containers/$(c ps -a -q always)/state.json') -ge 2 ]" && echo yes)" yes
ok "stop of what waits for its restart" comp -p "$P" stop always
is "ends it" "$(state always status)" exited
before=$(state unless pid)
kill -9 "$before"
is "unless-stopped: it runs again after a kill" "$(until_true 5 new_pid unless "$before" && echo yes)" yes
like "ps shows the restart" "$(status unless)" 'restarted 1 time'
c up -d --force-recreate unless >/dev/null 2>&1
like "a recreated one begins anew" "$(status unless)" '^Up [a-zA-Z0-9 ]+$'
c stop unless >/dev/null 2>&1
is "stopped, it stays down" "$(state unless status)" exited
c down -t 0 >/dev/null 2>&1

# ---- what cannot be executed ----------------------------------------------------
cat >compose.yaml <<E
services:
  missing: {image: tiny, command: /not/there, restart: always}
  barred: {image: tiny, command: /etc/passwd}
  nowhere: {image: tiny, command: nonesuch}
E
fails "a missing program" 1 "$P-missing-1: exec: \"/not/there\": .* no such file" comp -p "$P" --progress quiet up -d missing
like "is 127" "$(status missing)" '^Exited \(127\)'
fails "one that may not be executed" 1 "$P-barred-1: exec: \"/etc/passwd\": permission denied" comp -p "$P" --progress quiet up -d barred
like "is 126" "$(status barred)" '^Exited \(126\)'
fails "one that is not in PATH" 1 'nonesuch' comp -p "$P" --progress quiet up -d nowhere
like "is 127, too" "$(status nowhere)" '^Exited \(127\)'
c down >/dev/null 2>&1

# ---- sudden deaths ----------------------------------------------------------------
cat >compose.yaml <<E
services:
  web:
    image: tiny
    command: sh -c 'echo started; hostname >/tmp/index.html; exec httpd -f -p 80 -h /tmp'
    ports: ["$port:80"]
    restart: always
  once: {image: tiny, command: sleep 1000}
E
c up -d >/dev/null 2>&1
answers() {
	[ "$(curl -s -m 2 "http://$1:$port/")" = "$(c ps --format '{{.ID}}' web)" ]
}
resolves() {
	c exec -T once nslookup web </dev/null | grep -q "Name:.*web"
}
replaced() {
	[ -s "$COMP_RUN/$P/lock" ] && [ "$(supervisor_pid)" != "$1" ] && c ps >/dev/null
}

is "the port answers" "$(until_true 5 answers 127.0.0.1 && echo yes)" yes
kill -9 "$(pgrep -P "$(supervisor_pid)" -x comp-nethelper)"
is "nethelper killed: names resolve again" "$(until_true 10 resolves && echo yes)" yes
is "and the port answers again" "$(until_true 10 answers '[::1]' && echo yes)" yes

web=$(state web pid) once=$(state once pid) supervisor=$(supervisor_pid)
kill -9 "$supervisor"
is "supervisor killed: the port answers" "$(answers 127.0.0.1 && echo yes)" yes
is "there is a new supervisor" "$(until_true 10 replaced "$supervisor" && echo yes)" yes
is "containers keep their processes" "$(state web pid) $(state once pid)" "$web $once"
like "ps" "$(status web)" '^Up '
like "logs" "$(c logs web)" started
is "names resolve" "$(resolves && echo yes)" yes
is "the port answers by proxy" "$(answers '[::1]' && echo yes)" yes
c exec -T once sh -c 'exit 42' </dev/null
is "exec passes the exit code on" $? 42

# ---- the client of an exec is killed: its process is hung up ---------------------------
runs() { # runs NUMBER: a sleep of so many seconds, which is how these are told apart
	pgrep -f "^sleep $1\$" >/dev/null
}
ended() {
	! runs "$1"
}
n=1$$
cut_off() { # cut_off NUMBER COMMAND: kill the client once the sleep is there
	"$COMP" -p "$P" exec -T once sh -c "$2" </dev/null >/dev/null 2>&1 &
	until_true 10 runs "$1"
	kill -9 $!
	wait $! 2>/dev/null
}
comp -p "$P" exec -d once sleep "${n}0"
cut_off "${n}1" "trap 'echo hup >/tmp/hup; exit' HUP; sleep ${n}1 & wait"
is "exec, client killed: the process gets SIGHUP" "$(until_true 5 c exec -T once cat /tmp/hup </dev/null && echo yes)" yes
ok "so does what it had started" until_true 5 ended "${n}1"
cut_off "${n}2" "trap '' HUP; sleep ${n}2 & wait"
ok "who ignores that is killed, with all its group" until_true 20 ended "${n}2"
script -qfc "exec '$COMP' -p '$P' exec once sh -c 'sleep ${n}3; true'" /dev/null </dev/null >/dev/null 2>&1 &
until_true 10 runs "${n}3"
pkill -9 -P $!
ok "with a terminal it is hung up" until_true 5 ended "${n}3"
ok "exec -d is left alone" runs "${n}0"
ok "and the container was all the time" state_is once status running

supervisor=$(supervisor_pid)
kill -9 "$supervisor" "$web"
is "a death that nobody saw is followed by a restart" "$(until_true 10 new_pid web "$web" && echo yes)" yes
is "the port answers the new one" "$(until_true 5 answers 127.0.0.1 && echo yes)" yes

web=$(state web pid) once=$(state once pid)
kill -9 "$(state web monitor_pid)" "$(state once monitor_pid)"
is "monitor killed: the container is restarted" "$(until_true 10 new_pid web "$web" && echo yes)" yes
like "or not, as its policy says" "$(until_true 10 state_is once status exited; status once)" '^Exited \(137\)'
is "its processes are gone" "$(readlink "/proc/$once/exe" || echo gone)" gone

cat >compose.yaml <<E
services:
  web: {image: tiny, command: sleep 1000}
  job: {image: tiny, command: "sh -c 'until [ -e /tmp/go ]; do sleep 0.05; done'"}
  after: {image: tiny, command: sleep 1000, depends_on: {job: {condition: service_completed_successfully}}}
E
"$COMP" -p "$P" up -d --remove-orphans >first 2>&1 &
client=$!
until_true 10 bash -c "'$COMP' -p $P ps job --format '{{.Status}}' | grep Up"
kill -9 "$(supervisor_pid)"
wait "$client"
like "supervisor killed in the middle of an up: the client is told" "$? $(cat first)" 'went away before'
c exec -T job touch /tmp/go </dev/null
ok "the next up does the rest" timeout 30 "$COMP" -p "$P" up -d
is "all of it" "$(c ps --format '{{.Service}}' | sort | xargs)" "after web"

supervisor=$(supervisor_pid)
kill -9 "$supervisor" "$(state web monitor_pid)"
ok "down after supervisor and monitor were killed" comp -p "$P" down -t 1
is "takes all away" "$(c ps -a -q)$(ls "$COMP_RUN")" ""

done_testing
