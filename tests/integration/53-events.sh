#!/usr/bin/env bash
# What can be seen and awaited while a project lives: events, wait, top, stats, attach,
# pause and unpause.
. "$(dirname "$0")/../lib/tap.sh"
plan 57

c() {
	comp -p "$P" --progress quiet "$@"
}

tiny_image tiny --change 'CMD ["sleep","1000"]'

# ---- events --------------------------------------------------------------------------
cat >compose.yaml <<'E'
services:
  web:
    image: tiny
    init: true
    labels: {tier: front}
    healthcheck: {test: "test -e /ready", interval: 100ms, retries: 1000}
  job: {image: tiny, command: "sh -c 'exit 3'"}
E
"$COMP" -p "$P" events --json >"$WORK/live" 2>/dev/null &
live=$!
"$COMP" -p "$P" events job >"$WORK/job" 2>/dev/null &
job=$!
sleep 0.5
c up -d
c exec -T web touch /ready </dev/null
seen() { # seen SERVICE ACTION: in the live stream
	jq -es "any(.service == \"$1\" and .action == \"$2\")" "$WORK/live"
}
ok "events: create, before there was a project" until_true 5 seen web create
ok "start" until_true 5 seen web start
ok "health" until_true 5 seen web 'health_status: healthy'
ok "die" until_true 5 seen job die
kill -9 "$(supervisor_pid)"
c pause web
c unpause web
ok "pause, from the next supervisor" until_true 5 seen web pause
c kill -s WINCH web
c stop -t 1 web
ok "stop" until_true 5 seen web stop
c down -t 0
ok "destroy, though the journal is gone" until_true 5 seen web destroy
sleep 0.3
kill -TERM $live $job
wait $live
is "a signal ends it with 130" $? 130
wait $job
is "each once, in order" "$(jq -r 'select(.service == "web") | .action' "$WORK/live" | xargs)" \
	"create start health_status: healthy pause unpause kill kill die stop destroy"
like "one object per line" "$(head -n 1 "$WORK/live")" \
	'^\{"time":"[^"]*","type":"container","service":"(web|job)","id":"[0-9a-f]{64}","action":"create","attributes":\{.*\}\}$'
is "attributes: the user's labels, image and name" \
	"$(jq -c 'select(.service == "web" and .action == "start") | .attributes' "$WORK/live")" \
	"{\"tier\":\"front\",\"image\":\"tiny\",\"name\":\"$P-web-1\"}"
is "exit code and signal" \
	"$(jq -r '.attributes | .exitCode // .signal // empty' "$WORK/live" | sort -u | xargs)" "143 15 28 3"
like "as text, of one service" "$(head -n 1 "$WORK/job")" \
	"^[0-9-]{10} [0-9:]{8}\.[0-9]{6} container create [0-9a-f]{64} \(image=tiny, name=$P-job-1\)\$"
is "and no other" "$(grep -vc "name=$P-job-1" "$WORK/job")" 0
c up -d job
c wait job >/dev/null 2>&1
before=$(date -u +%FT%T.%NZ)
sleep 0.1
c up -d web
is "--since and --until" "$(timeout 5 "$COMP" -p "$P" events --json --since "$before" --until 0s | jq -r .action | grep -v health | xargs)" \
	"create start"
is "--since with the project named only" \
	"$(cd / && timeout 5 "$COMP" -p "$P" events --since 10m --until 0s job | awk '{ print $4 }' | xargs)" "create start die"
t0=$(date +%s%N)
timeout 5 "$COMP" -p "$P" events --until "$(date -u -d '+1 sec' +%FT%T.%NZ)" >/dev/null
is "--until in a moment waits for it" $? 0
ok "and no longer" test $(($(date +%s%N) - t0)) -lt 3000000000
fails "a bad time" 1 'failed to parse value as time' comp -p "$P" events --since yesterdayish
c down -t 0

# ---- wait ----------------------------------------------------------------------------------
cat >compose.yaml <<'E'
services:
  three: {image: tiny, command: "sh -c 'sleep 0.5; exit 3'"}
  seven: {image: tiny, command: "sh -c 'sleep 1; exit 7'"}
  loop: {image: tiny, command: "sh -c 'sleep 0.2; exit 1'", restart: "on-failure:2"}
  stays: {image: tiny, init: true}
E
c up -d
out=$(c wait three seven)
is "wait: the code of the last" $? 7
like "each is told" "$out" '^container "[0-9a-f]{64}" exited with status code 3$'
is "in the order of their ends" "$(grep -oE '[0-9]+$' <<<"$out" | xargs)" "3 7"
c wait loop >/dev/null
is "a restart is no end" "$(c ps -a loop --format '{{.State}}')" exited
fails "nothing to wait for" 1 "no containers for project \"$P\"" comp -p "$P" wait three
fails "an unknown service" 1 'no such service: nope' comp -p "$P" wait nope
c up -d three seven
c wait --down-project three seven stays >/dev/null 2>&1
is "--down-project: the code of the first" $? 3
is "and all is gone" "$(c ps -a -q)" ""

# ---- top and stats ---------------------------------------------------------------------------
cat >compose.yaml <<'E'
services:
  web: {image: tiny, user: "1000", command: ["sh", "-c", "sleep 1001 & exec sleep 1002"], mem_limit: 64m}
  busy: {image: tiny, init: true, command: ["sh", "-c", "while :; do :; done"]}
  gone: {image: tiny, command: "true"}
E
c up -d
until_true 5 bash -c "'$COMP' -p $P top | grep -q '  sleep 1001\$'" # its child has exec'd
out=$(c top)
like "top: the columns" "$(head -n 1 <<<"$out")" '^SERVICE +# +UID +PID +PPID +C +STIME +TTY +TIME +CMD$'
like "a process" "$out" "^web +1 +[a-z0-9]+ +$(pid_of web) +[0-9]+ +[0-9]+ +[0-9:]+ +\? +00:00:00 +sleep 1002\$"
like "and its child" "$out" "^web +1 +[a-z0-9]+ +[0-9]+ +$(pid_of web) .* sleep 1001\$"
is "top of one service" "$(c top web | tail -n +2 | awk '{ print $1 }' | sort -u)" web
is "of none that runs" "$(c top gone)" ""
out=$(c stats --no-stream)
like "stats: the columns" "$(head -n 1 <<<"$out")" \
	'^CONTAINER ID +NAME +CPU % +MEM USAGE / LIMIT +MEM % +NET I/O +BLOCK I/O +PIDS$'
like "a row" "$out" "^[0-9a-f]{12} +$P-web-1 +0\.[0-9]{2}% +[0-9.]+[KMi]*B / 64MiB +[0-9.]+% +[0-9.]+k?B / [0-9.]+k?B +[0-9.]+[kM]?B / [0-9.]+[kM]?B +2\$"
ok "who is busy is seen to be" test "$(c stats --no-stream --format '{{.CPUPerc}}' busy | cut -d . -f 1)" -ge 10
is "the stopped are left out" "$(c stats --no-stream --format '{{.Name}}' | xargs)" "$P-busy-1 $P-web-1"
is "but with --all" "$(c stats --all --no-stream --format json | jq -r 'select(.PIDs == "0") | .Name')" "$P-gone-1"
ok "the stream goes on" test "$(timeout 3 "$COMP" -p "$P" stats --format '{{.Name}}' web | wc -l)" -ge 2
c pause busy
is "pause" "$(c ps busy --format '{{.State}} {{.Status}}' | grep -o 'paused.*(Paused)' | sed 's/Up .*(/(/')" "paused (Paused)"
one=$(c stats --no-stream --format '{{.CPUPerc}}' busy)
is "stands still" "$one" "0.00%"
c unpause
is "unpause" "$(c ps busy --format '{{.State}}')" running
c down -t 0

# ---- up in the foreground --------------------------------------------------------------------------
# What is started is heard at once, not when all the rest is up as well.
c down -t 0
cat >compose.yaml <<'E'
services:
  job: {image: tiny, command: ["sh", "-c", "echo working; until [ -e /tmp/go ]; do sleep 0.05; done; echo worked"]}
  after:
    image: tiny
    command: ["sh", "-c", "echo after; exit 4"]
    depends_on: {job: {condition: service_completed_successfully}}
E
"$COMP" -p "$P" up --abort-on-container-failure >"$WORK/out" 2>"$WORK/err" &
client=$!
ok "up: what is started first is heard while the rest waits" until_true 10 grep -q 'job-1 .*| working' "$WORK/out"
unlike "the rest is not there yet" "$(cat "$WORK/err")" 'after-1 Start'
like "attaching is said before" "$(head -n 1 "$WORK/out")" '^Attaching to after-1, job-1$'
c exec -T job touch /tmp/go </dev/null
wait "$client"
is "the code of what failed is up's" $? 4
is "each line and each end is told once" "$(sed 's/ *|/:/' "$WORK/out" | tail -n +2)" "job-1: working
job-1: worked
job-1 exited with code 0
after-1: after
after-1 exited with code 4"
# One that runs already, and one whose replaced run ends while we look.
sed -i 's/exit 4/sleep 1000/; s/until .*done;/true;/' compose.yaml
c up -d
sed -i 's/echo after/echo anew/' compose.yaml
"$COMP" -p "$P" up -t 0 >"$WORK/out" 2>"$WORK/err" &
client=$!
ok "up: a recreated one is heard" until_true 10 grep -q 'after-1 .*| anew' "$WORK/out"
unlike "the end of the run it replaces is not" "$(cat "$WORK/out")" 'after-1 exited'
kill -INT "$client"
wait "$client"
is "^C ends it" $? 130
like "and what ran" "$(cat "$WORK/out")" 'after-1 exited with code'
c down -t 0

# ---- attach ----------------------------------------------------------------------------------------
cat >compose.yaml <<'E'
services:
  cat:
    image: tiny
    stdin_open: true
    command: ["sh", "-c", "echo early; while read l; do echo \"got $$l\"; echo \"err $$l\" >&2; [ $$l = quit ] && exit 5; done"]
  tty: {image: tiny, tty: true, stdin_open: true, command: ["sh"]}
  trap:
    image: tiny
    command: ["sh", "-c", "trap 'echo USR1' USR1; trap 'exit 9' TERM; while :; do sleep 0.05; done"]
E
c up -d
out=$( (echo a; sleep 0.3; echo quit; sleep 2) | timeout 5 "$COMP" -p "$P" attach cat 2>"$WORK/err")
is "attach: the container's code" $? 5
is "input, and output from now on" "$out" $'got a\ngot quit'
is "stderr is stderr" "$(cat "$WORK/err")" $'err a\nerr quit'
"$COMP" -p "$P" attach trap >"$WORK/out" 2>&1 &
pid=$!
sleep 0.7
kill -USR1 $pid
until_true 3 grep -q USR1 "$WORK/out"
kill -TERM $pid
wait $pid
is "signals are passed on" "$? $(cat "$WORK/out")" "9 USR1"
cat >"$WORK/terminal.py" <<'E'
import os, pty, select, sys, time
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
seen = b""
def until(what):
    global seen
    end = time.time() + 5
    while what not in seen and time.time() < end:
        if select.select([fd], [], [], 0.1)[0]:
            try: seen += os.read(fd, 4096)
            except OSError: break
    return what in seen
time.sleep(0.7)
os.write(fd, b"echo $((40 + 2)); stty size\n")
ok = until(b"42")
os.write(fd, b"\x10\x11")
until(b"read escape sequence")
print("42" if ok else "no answer", "detached" if b"read escape sequence" in seen else "stuck", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
E
is "a terminal answers, and is left by its keys" "$(timeout 20 python3 "$WORK/terminal.py" "$COMP" -p "$P" attach tty)" "42 detached 0"
is "and runs on" "$(c ps tty --format '{{.State}}')" running
fails "attach to what does not run" 1 'service "cat" is not running' comp -p "$P" attach cat

done_testing
