#!/usr/bin/env bash
# Supervisor and all monitors killed at the same moment: nobody is left to notice.  What
# is promised then is in engine/supervise/monitor.h.
. "$(dirname "$0")/../lib/tap.sh"
plan 23

c() {
	comp -p "$P" --progress quiet "$@"
}
state() { # state SERVICE FIELD
	jq -r "select(.service == \"$1\") | .$2" "$COMP_ROOT/projects/$P"/containers/*/state.json
}
status() {
	comp -p "$P" ps -a --format 'table {{.Service}}\t{{.Status}}' | sed -n "s/^$1  *//p"
}
monitors() {
	jq .monitor_pid "$COMP_ROOT/projects/$P"/containers/*/state.json | grep -v '^0'
}
kill_all() {
	# Stopped first: one that lives a moment longer would start a successor.
	# shellcheck disable=SC2046
	kill -STOP $(monitors)
	# shellcheck disable=SC2046
	kill -9 "$(supervisor_pid)" $(monitors)
	until_true 5 bash -c "! kill -0 $(supervisor_pid)"
}
alive() { # alive PID: and no zombie
	[ -n "$(readlink "/proc/$1/exe")" ]
}
answers() {
	python3 - "$port" <<'E'
import sys, urllib.request, urllib.error
try:
    urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/none", timeout=3)
except urllib.error.HTTPError as e:
    sys.exit(e.code != 404)
E
}
lines() { # the numbers that talker said
	c logs --no-log-prefix --no-color talker | sed -n 's/^line //p'
}
gaps() { # where one is not one more than the last
	awk 'NR > 1 && $1 != last + 1 && $1 != 0 { print last " " $1 } { last = $1 }'
}

tiny_image tiny --change 'CMD ["sleep","1000"]'
port=$(free_port)
cat >compose.yaml <<E
services:
  talker:
    image: tiny
    restart: always
    stop_signal: SIGKILL
    command: ["sh", "-c", "i=0; while echo line \$\$i; do echo \$\$i >/tmp/said; i=\$\$((i+1)); sleep 0.03; done; sleep 1000"]
  web: {image: tiny, restart: always, command: ["httpd", "-f", "-p", "80"], ports: ["127.0.0.1:$port:80"]}
  plain: {image: tiny}
  brief: {image: tiny, command: ["sh", "-c", "trap 'exit 7' TERM; while :; do sleep 0.1; done"]}
E
ok "up" c up -d
ok "it talks" until_true 5 bash -c "[ \$('$COMP' -p $P logs talker | wc -l) -gt 3 ]"
talker=$(state talker pid) web=$(state web pid) brief=$(state brief pid) plain=$(state plain pid)
# From now on its lines stay in the pipe.
kill -STOP "$(state talker monitor_pid)"
sleep 0.5
kill_all
said=$(cat "/proc/$talker/root/tmp/said")
ok "their containers run on" alive "$talker"
ok "all of them" alive "$web"
like "ps: Up" "$(status talker)" '^Up '
ok "a published port answers" answers
like "logs: what was written" "$(lines | tail -1)" '^[0-9]+$'
ok "and no more: the pipe has the rest" test "$(lines | tail -1)" -lt "$said"
kill -TERM "$brief" # ends, and nobody sees how
until_true 5 bash -c "[ -z \"\$(readlink /proc/$brief/exe)\" ]"
is "an end that nobody saw is shown as one" "$(status brief)" "Exited (unknown)"
is "with Docker's code for it" "$(comp -p "$P" ps -a --format json brief | jq .ExitCode)" 255

# ---- the next command: start, which has nothing to do with talker -----------------------
ok "the next command takes the project up" c start brief
ok "what has a policy is restarted" until_true 10 bash -c "! kill -0 $talker"
ok "and runs" until_true 10 bash -c "'$COMP' -p $P ps talker --format '{{.Status}}' | grep -q ^Up"
is "no line is lost that the pipe still held" "$(lines | gaps)" ""
first_run=$(lines | awk 'NR > 1 && $1 == 0 { exit } { last = $1 } END { print last }')
ok "all that was said is there" test "$first_run" -ge "$said"
is "what has none stays down" "$(status plain | sed 's/ [0-9A-Za-z]* .*ago$//')" "Exited (137)"
ok "its process is gone" test ! -e "/proc/$plain/exe"
ok "the port answers again" until_true 5 answers

# ---- up, and down, as the next command -----------------------------------------------------
kill_all
ok "up converges" c up -d
is "to everything running" "$(comp -p "$P" ps --format '{{.Service}}' | sort | tr '\n' ' ')" \
	"brief plain talker web "
kill_all
comp boot >"$WORK/boot.out" 2>&1
ok "boot takes it up as well" until_true 10 bash -c "'$COMP' -p $P ps talker --format '{{.Status}}' | grep -q ^Up"
kill_all
ok "down takes everything down" c down -t 0
is "to the last process" "$(readlink "/proc/$(state web pid 2>/dev/null)/exe" 2>/dev/null)" ""
done_testing
