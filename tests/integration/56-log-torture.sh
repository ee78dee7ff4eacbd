#!/usr/bin/env bash
# Logs under load: every line once and in order, whatever rotates, dies, follows, reads
# slowly or is full.  Lines carry their number, and a checker reads them.
. "$(dirname "$0")/../lib/tap.sh"
plan 44
LINES_ALL=${LOG_LINES:-1000000}
LINES_SLOW=${LOG_LINES_SLOW:-300000}

c() {
	comp -p "$P" "$@"
}

# A line is its number in 99 digits.  check_lines FIRST LAST <TEXT: "ok", or what is
# wrong where.
check_lines() {
	python3 -c '
import sys
first, last = int(sys.argv[1]), int(sys.argv[2])
want = first
for line in sys.stdin.buffer:
    if len(line) != 100 or line[:99] != b"%099d" % want:
        sys.exit(f"line {want - first + 1} should be {want} and is {line[:120]!r}")
    want += 1
sys.exit(0 if want == last + 1 else f"{want - first} lines instead of {last - first + 1}")
' "$1" "$2" 2>&1 && echo ok
}

state() {
	jq -r ".$2" "$COMP_ROOT/projects/$P/containers/$(c ps -a -q "$1")/state.json"
}

has_ended() {
	[ "$(state "$1" status)" = exited ]
}

# peak PID: the most memory it ever had, in kB
peak() {
	awk '/^VmHWM/ {print $2}' "/proc/$1/status" 2>/dev/null || echo 0
}

log_files() {
	find "$COMP_ROOT/projects/$P/containers/$(c ps -a -q "$1")" -maxdepth 1 -name '*.log' | wc -l
}

# An image with what the containers run.
busybox_rootfs "$WORK/tiny"
cat >"$WORK/tiny/bin/lines" <<'E'
#!/bin/sh
# lines FIRST LAST
exec awk -v first="$1" -v last="$2" 'BEGIN { for (i = first; i <= last; i++) printf "%099d\n", i }'
E
cat >"$WORK/tiny/bin/wait-lines" <<'E'
#!/bin/sh
until [ -e /tmp/go ]; do sleep 0.05; done
exec lines "$@"
E
cat >"$WORK/tiny/bin/long" <<'E'
#!/bin/sh
for n in 16383 16384 16385 40000 300000; do head -c $n /dev/zero | tr '\0' x; echo; done
E
cat >"$WORK/tiny/bin/parts" <<'E'
#!/bin/sh
for i in 1 2 3 4 5 6; do printf "part$i "; sleep 0.05; done
echo end
E
cat >"$WORK/tiny/bin/both" <<'E'
#!/bin/sh
i=0
while [ $i -lt 500 ]; do i=$((i + 1)); echo "out $i"; echo "err $i" >&2; done
E
cat >"$WORK/tiny/bin/mixed" <<'E'
#!/bin/sh
printf 'out half '; printf 'err half ' >&2
sleep 0.1
echo rest of out; echo rest of err >&2
E
cat >"$WORK/tiny/bin/bytes" <<'E'
#!/bin/sh
printf 'a\000b\377\033[1mc\r\n\n\nd\n'
E
cat >"$WORK/tiny/bin/full" <<'E'
#!/bin/sh
trap 'echo after the gap; exit 7' USR1
echo before the gap
lines 1 200000
: >/dev/shm/written
while :; do sleep 0.05; done
E
chmod +x "$WORK"/tiny/bin/{lines,wait-lines,long,parts,both,mixed,bytes,full}
tar -C "$WORK/tiny" -cf "$WORK/tiny.tar" .
rm -rf "$WORK/tiny"
tiny_image tiny

# ---- rotating, following, the supervisor killed ------------------------------------------
# Files of 1 MiB of which none is removed; the writer waits until the follower is there.
cat >compose.yaml <<E
services:
  many:
    image: tiny
    command: wait-lines 1 $LINES_ALL
    logging: {driver: json-file, options: {max-size: 1m, max-file: "1000"}}
  few:
    image: tiny
    command: wait-lines 1 $LINES_ALL
    logging: {options: {max-size: 1m, max-file: "3"}}
E
c up -d >/dev/null 2>&1
monitor=$(state many monitor_pid)
c logs -f --no-log-prefix many >followed 2>follow.err &
follower=$!
c exec -T many touch /tmp/go </dev/null
kills=0 monitor_peak=0
for _ in $(seq 300); do
	has_ended many && break
	pid=$(supervisor_pid 2>/dev/null)
	if [ -n "$pid" ] && [ $kills -lt 20 ] && kill -9 "$pid" 2>/dev/null; then
		kills=$((kills + 1))
	fi
	sleep 0.2
	now=$(peak "$monitor")
	[ "${now:-0}" -le "$monitor_peak" ] || monitor_peak=$now
done
echo "# $LINES_ALL lines of 100 bytes, supervisor killed $kills times, $(log_files many) files, monitor at most $monitor_peak kB"
is "the supervisor was killed while lines came" "$((kills >= 1))" 1
until_true 30 bash -c "! kill -0 $follower" || kill "$follower"
is "following, rotating, killing: every line once, in order" "$(grep -v '^many-1 exited' followed | check_lines 1 "$LINES_ALL")" ok
is "and how it ended" "$(tail -n 1 followed)" "many-1 exited with code 0"
is "without a word on stderr" "$(cat follow.err)" ""
is "reading afterwards: the same" "$(c logs --no-log-prefix many | check_lines 1 "$LINES_ALL")" ok
is "it did rotate" "$(($(log_files many) > LINES_ALL / 12000))" 1
is "the exit code came through all that" "$(state many exit_code)" 0
is "the monitor's memory is bounded" "$((monitor_peak > 0 && monitor_peak < 65536))" 1
is "tail finds the end over many files" "$(c logs --no-log-prefix --tail 20000 many | check_lines $((LINES_ALL - 19999)) "$LINES_ALL")" ok
rm -f followed

# Files are removed while somebody reads: what is left is whole and in order.
c exec -T few touch /tmp/go </dev/null
until_true 60 has_ended few
is "three files stay" "$(log_files few)" 3
c logs --no-log-prefix few >rest 2>/dev/null
first=$(head -n 1 rest | sed 's/^0*//')
is "of 1 MiB" "$(($(wc -l <rest) > 20000 && $(wc -l <rest) < 32000))" 1
is "that hold the last lines, whole and in order" "$(check_lines "$first" "$LINES_ALL" <rest)" ok
c down -t 0 >/dev/null 2>&1

# ---- a slow reader ------------------------------------------------------------------------
cat >compose.yaml <<E
services:
  a:
    image: tiny
    command: wait-lines 1 $LINES_SLOW
    logging: {options: {max-size: 20m}}
E
"$COMP" -p "$P" up -d >/dev/null 2>&1
mkfifo pipe
"$COMP" -p "$P" logs -f --no-log-prefix a >pipe &
reader=$!
cat >slow.py <<'E'
import sys, time
# 64 KiB at a time with a pause: some 6 MB/s, while the container wrote at full speed.
names, peaks = ("logs", "monitor", "supervisor"), {}
with open("pipe", "rb", buffering=0) as pipe, open("slow.txt", "wb") as out:
    n = 0
    while chunk := pipe.read(65536):
        out.write(chunk)
        n += 1
        if n % 16 == 0:
            time.sleep(0.05)
            for name, pid in zip(names, sys.argv[1:]):
                try:
                    with open(f"/proc/{pid}/status") as f:
                        peaks[name] = int(next(l for l in f if l.startswith("VmHWM")).split()[1])
                except (OSError, StopIteration):
                    pass
print(*(f"{name} {kb}" for name, kb in peaks.items()), sep="\n")
E
{ sleep 0.5 && c exec -T a touch /tmp/go </dev/null; } & # when it is being followed
timeout 120 python3 slow.py "$reader" "$(state a monitor_pid)" "$(supervisor_pid)" >peaks
echo "# $LINES_SLOW lines to a slow reader: at most (kB): $(xargs <peaks)"
is "a slow reader loses nothing" "$(grep -v '^a-1 exited' slow.txt | check_lines 1 "$LINES_SLOW")" ok
limit=32768
[ "${FLAVOR:-sanitize}" = sanitize ] && limit=524288 # ASan keeps what was freed
is "nobody's memory grows with what waits" "$(awk -v limit=$limit '$2 > limit' peaks)" ""
is "it was looked at" "$(grep -c '^logs ' peaks)" 1
c down -t 0 >/dev/null 2>&1
rm -f slow.txt

# Somebody who follows and does not read at all holds up nobody.
"$COMP" -p "$P" create >/dev/null 2>&1
exec 7<>pipe
"$COMP" -p "$P" logs -f a >&7 2>/dev/null &
reader=$!
"$COMP" -p "$P" start >/dev/null 2>&1
c exec -T a touch /tmp/go </dev/null
ok "one who does not read holds up nobody" until_true 20 has_ended a
kill "$reader" 2>/dev/null
exec 7>&-
c down -t 0 >/dev/null 2>&1

# ---- lines of all kinds ---------------------------------------------------------------------
cat >compose.yaml <<E
services:
  last: {image: tiny, command: ["printf", "one\\ntwo\\nno newline"]}
  killed: {image: tiny, command: ["sh", "-c", "printf 'said before the end'; exit 3"]}
  long: {image: tiny, command: long}
  parts: {image: tiny, command: parts}
  both: {image: tiny, command: both}
  mixed: {image: tiny, command: mixed}
  bytes: {image: tiny, command: bytes}
  tty: {image: tiny, tty: true, command: ["sh", "-c", "echo out; echo err >&2; printf half"]}
  none:
    image: tiny
    command: lines 1 50000
    logging: {driver: none}
E
c up -d >/dev/null 2>&1
for s in last killed long parts both mixed bytes tty none; do
	until_true 20 has_ended $s
done
c logs --no-log-prefix last >out 2>/dev/null
is "the last line without newline is there" "$(xxd -p out)" "$(printf 'one\ntwo\nno newline\n' | xxd -p)"
is "also of one that fails" "$(c logs --no-log-prefix killed)" "said before the end"
c logs --no-log-prefix long >out 2>/dev/null
is "lines longer than 16 KiB come out whole" "$(awk '{print length($0)}' out | xargs)" "16383 16384 16385 40000 300000"
is "of the bytes they had" "$(tr -d 'x\n' <out | wc -c)" 0
is "with one prefix each" "$(c logs --no-color long | grep -oE 'long-1 +\| ' | wc -l)" 5
is "and one time" "$(c logs -t --no-log-prefix long | awk '{print NF}' | xargs)" "2 2 2 2 2"
is "a line that comes in parts is one" "$(c logs --no-log-prefix parts)" "part1 part2 part3 part4 part5 part6 end"
c logs --no-log-prefix both >out 2>err
is "stdout is what went to stdout" "$(cat out)" "$(seq -f 'out %g' 500)"
is "stderr is what went to stderr" "$(cat err)" "$(seq -f 'err %g' 500)"
c logs --no-log-prefix mixed >out 2>err
is "halves of both streams find their rest" "$(cat out)/$(cat err)" "out half rest of out/err half rest of err"
is "every byte is kept" "$(c logs --no-log-prefix bytes | xxd -p)" "$(printf 'a\000b\377\033[1mc\r\n\n\nd\n' | xxd -p)"
is "a terminal's output is on stdout" "$(c logs --no-log-prefix tty 2>/dev/null | tr -d '\r' | xargs)" "out err half"
is "logging: none: nothing is kept" "$(c logs --no-log-prefix none 2>/dev/null | wc -l)" 0
c logs >/dev/null 2>all.err
is "and logs says so, once, for it alone" \
	"$(grep -o "Can't retrieve logs for .*" all.err | tr -d '\\')" \
	"Can't retrieve logs for \"$P-none-1\": configured logging driver does not support reading\""
ok "which is no failure, as in Docker Compose" c logs none
c logs -f none >/dev/null 2>follow.err
is "nor said again by each look at a log that is followed" "$(grep -c "does not support" follow.err)" 1
is "no file either" "$(log_files none 2>/dev/null)" 0
is "and the container got to its end" "$(state none exit_code)" 0
c down -t 0 >/dev/null 2>&1

# ---- a full disk --------------------------------------------------------------------------------
SMALL=$WORK/small
mkdir "$SMALL"
mount -t tmpfs -o size=40m,mode=0700 comp-test "$SMALL"
full_down() {
	(cd / && COMP_ROOT=$SMALL "$COMP" -p "$P" down -v -t 0 >>"$WORK/down.log" 2>&1)
	umount "$SMALL"
}
trap 'full_down; finish' EXIT
WIDE=$COMP_ROOT
COMP_ROOT=$SMALL
tiny_image tiny
cat >compose.yaml <<E
services:
  a:
    image: tiny
    command: full
    stop_grace_period: 1s
    logging: {options: {max-size: 100m}}
  other: {image: tiny, init: true, command: sleep 1000, restart: always}
E
c up -d >/dev/null 2>&1
dd if=/dev/zero of="$SMALL/filler" bs=64k count=$(($(df --output=avail "$SMALL" | tail -n 1) / 64 - 32)) 2>/dev/null
is_full() {
	[ "$(df --output=avail "$SMALL" | tail -n 1)" -lt 64 ]
}
until_true 20 is_full
has_written() {
	c exec -T a test -e /dev/shm/written </dev/null
}
ok "the disk is full: the container writes on to its end" until_true 30 has_written
is "it runs" "$(c ps --format '{{.Status}}' a | cut -c 1-2)" Up
like "logs shows what there is" "$(c logs --no-log-prefix a 2>/dev/null | head -n 1)" 'before the gap'
kill -9 "$(supervisor_pid)"
ok "a supervisor that is killed meanwhile is replaced" until_true 20 c ps -q a
rm "$SMALL/filler"
c kill -s USR1 a >/dev/null 2>&1
until_true 20 has_ended a
c logs --no-log-prefix a >out 2>err
like "the gap is shown, with its size and reason" "$(cat err)" '^\[comp: [0-9]+ bytes of output lost: No space left on device\]$'
is "what came after it is there" "$(tail -n 1 out)" "after the gap"
lost=$(grep -oE '[0-9]+ bytes' err | awk '{n += $1} END {print n}')
shown=$(($(wc -c <out) - $(printf 'before the gap\nafter the gap\n' | wc -c)))
echo "# 20000000 bytes were written, $shown shown, $lost lost in $(wc -l <err) gaps"
# Where the gap cuts a line in two, each part is shown as a line of its own.
is "shown and lost are all that was written" "$((shown + lost - 20000000 <= $(wc -l <err) && shown + lost >= 20000000))" 1
is "some was shown and some was lost" "$((shown > 100000 && lost > 100000))" 1
is "the exit code is right" "$(state a exit_code)" 7
ok "down" comp -p "$P" down -t 0
COMP_ROOT=$WIDE
trap finish EXIT
full_down

done_testing
