#!/usr/bin/env bash
# Upgrade in place: a newer comp takes a running project over, containers do not notice;
# versions that do not fit say so; files that an older version left are read.
. "$(dirname "$0")/../lib/tap.sh"
plan 39

(cd "$TOP" && make -s FLAVOR="${FLAVOR:-sanitize}" \
	build/"${FLAVOR:-sanitize}"/{next,proto}/comp) >"$WORK/make.log" 2>&1 ||
	echo "Bail out! $(tail -5 "$WORK/make.log")"
old=$WORK/old next=$WORK/next proto=$TOP/build/${FLAVOR:-sanitize}/proto
# Installed in places of their own, so that they can be taken away.
mkdir "$old" "$next"
for name in "$TOP/build/${FLAVOR:-sanitize}"/comp*; do
	[ -d "$name" ] || cp "$name" "$old/"
done
cp "$TOP/build/${FLAVOR:-sanitize}"/next/comp* "$next/"
COMP=$old/comp

c() {
	"$COMP" -p "$P" --progress quiet "$@"
}
n() {
	"$next/comp" -p "$P" --progress quiet "$@"
}
state() { # state SERVICE FIELD
	jq -r "select(.service == \"$1\") | .$2" "$COMP_ROOT/projects/$P"/containers/*/state.json
}
pids() {
	jq -r '"\(.service) \(.pid) \(.started_at)"' "$COMP_ROOT/projects/$P"/containers/*/state.json | sort
}
version() { # of the supervisor, as it says itself
	python3 - "$COMP_RUN/$P/control.sock" <<'E'
import json, socket, struct, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
def ask(m):
    m = json.dumps(m).encode()
    s.sendall(struct.pack("<I", len(m)) + m)
    n = struct.unpack("<I", s.recv(4, socket.MSG_WAITALL))[0]
    return json.loads(s.recv(n, socket.MSG_WAITALL))
print(ask({"v": 77, "op": "ping"})["version"])
print(ask({"v": 77, "op": "apply"})["error"]["msg"])
E
}
running() { # the supervisor's version
	version | sed -n 1p
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
replaced() { # replaced PID: there is another supervisor
	[ "$(supervisor_pid)" != "$1" ] && kill -0 "$(supervisor_pid)"
}

tiny_image tiny --change 'CMD ["sleep","1000"]'
port=$(free_port)
cat >compose.yaml <<E
services:
  web: {image: tiny, restart: always, command: ["httpd", "-f", "-p", "80"], ports: ["127.0.0.1:$port:80"]}
  talker:
    image: tiny
    restart: always
    stop_signal: SIGKILL
    command: ["sh", "-c", "i=0; while echo line \$\$i; do i=\$\$((i+1)); sleep 0.02; done"]
E
ok "up with the old version" c up -d
was=$(running) before=$(pids)
is "its supervisor says which it is" "$was" "$("$COMP" version | sed -n 's/^comp version //p')"
like "a protocol that it does not speak is refused in a sentence" "$(version | tail -1)" \
	"looked after by comp $was, which this comp cannot talk to"

# ---- SIGHUP -----------------------------------------------------------------------------
supervisor=$(supervisor_pid)
kill -HUP "$supervisor"
c exec -T web true </dev/null
is "SIGHUP does nothing to a supervisor" "$(supervisor_pid)" "$supervisor"

# ---- a newer one, while it is busy, and then ---------------------------------------------
c exec -T web sh -c 'touch /tmp/runs; until [ -e /tmp/done ]; do sleep 0.1; done' </dev/null &
session=$!
ok "an exec runs" until_true 5 test -e "/proc/$(state web pid)/root/tmp/runs"
ok "a newer comp works with an older supervisor" n exec -T web true </dev/null
is "which stays while it has an exec to finish" "$(supervisor_pid) $(running)" "$supervisor $was"
touch "/proc/$(state web pid)/root/tmp/done"
wait "$session"
is "which ends as it should" $? 0
t=$(date +%s%N)
while :; do answers || echo "no answer"; [ $(($(date +%s%N) - t)) -lt 2000000000 ] || break; done \
	>"$WORK/answers" &
asking=$!
idle() { n exec -T web true </dev/null && [ "$(running)" = 99.0 ]; }
ok "then it is replaced" until_true 10 idle
wait "$asking"
is "the port answered all the time" "$(cat "$WORK/answers")" ""
is "containers keep their processes" "$(pids)" "$before"
is "one supervisor is there" "$(pgrep -f -c "^comp supervise --project $P( |\$)")" 1
sleep 0.2
lines=$(c logs --no-log-prefix --no-color talker | sed -n 's/^line //p')
is "the log goes on without a gap" "$(awk 'NR > 1 && $1 != last + 1 { print } { last = $1 }' <<<"$lines")" ""
ok "an older comp works with the newer supervisor" c exec -T web true </dev/null
is "and leaves it there" "$(running)" 99.0

# ---- the old one is uninstalled --------------------------------------------------------
rm -rf "$old"
supervisor=$(supervisor_pid)
kill -9 "$supervisor"
ok "the supervisor killed, its monitors start one" until_true 10 replaced "$supervisor"
ok "it serves" until_true 10 running
is "of the new version: they are monitors of the old" "$(running)" 99.0
kill -9 "$(state web pid)"
restarted() { [ "$(state web pid)" != "$(sed -n 's/^web \([0-9]*\).*/\1/p' <<<"$before")" ] && [ "$(state web status)" = running ]; }
ok "which finds its helpers" until_true 10 restarted
ok "the port answers" until_true 5 answers
COMP=$TOP/build/${FLAVOR:-sanitize}/comp

# ---- another protocol -------------------------------------------------------------------
talker=$(state talker pid) supervisor=$(supervisor_pid)
ok "one with another protocol takes over" "$proto/comp" -p "$P" exec -T web true
is "its supervisor is there" "$(running)" 99.1
is "the containers still are" "$(state talker pid)" "$talker"
fails "a comp that cannot talk to it says so" 1 \
	"project $P is looked after by comp 99.1, which this comp \($was\) cannot talk to" \
	comp -p "$P" stop
like "and ps needs nobody" "$(comp -p "$P" ps)" talker
ok "down with the newest" "$proto/comp" -p "$P" --progress quiet down -t 0

# ---- files of the first version -------------------------------------------------------------
cp -r "$TOP"/tests/data/state-v1/{projects,networks,volumes} "$COMP_ROOT/"
ps=$(comp -p kept ps -a --format 'table {{.Service}}\t{{.Status}}')
like "records of version 1: what ran when the machine went down" "$ps" '^web +Exited \(lost\)'
like "what had completed" "$ps" '^once +Exited \(0\)'
like "and failed" "$ps" '^failed +Exited \(3\)'
logs=$(comp -p kept logs --no-color 2>&1)
like "logs" "$logs" '^web-1 +\| err$'
like "to the last line" "$logs" '^once-1 +\| no newline$'
like "project.json" "$(comp ls -a)" '^kept .*/srv/kept/p/compose.yaml'
like "spec.json, and the order of the graph" "$(comp -p kept --dry-run boot 2>&1)" 'kept-web-1 +Starting'
like "volumes" "$(comp volume ls)" kept_data
record=$(grep -l '"service":"failed"' "$COMP_ROOT"/projects/kept/containers/*/state.json)
jq -c 'del(.sum) | .version = 99' "$record" >"$WORK/newer"
cp "$record" "$WORK/kept.json"
cp "$WORK/newer" "$record"
fails "a record of a newer version: nothing is done to the project" 1 \
	"project kept was last changed by a newer comp" comp -p kept down
is "and the record stays" "$(jq .version "$record")" 99
like "ps shows the others" "$(comp -p kept ps -a 2>&1)" 'kept-web-1'
cp "$WORK/kept.json" "$record"
ok "down" comp -p kept --progress quiet down -v
is "takes all of it away" "$(ls "$COMP_ROOT/projects" "$COMP_ROOT/networks" 2>/dev/null)" ""
done_testing
