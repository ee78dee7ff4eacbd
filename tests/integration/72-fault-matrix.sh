#!/usr/bin/env bash
# The fault matrix: what happens to a machine, one row after the other, and what comp
# makes of it.  Each row is named C4-n; rows that another test drives are listed with its
# name at the end, rows that cannot be driven here are skipped with the reason.
. "$(dirname "$0")/../lib/tap.sh"
plan 78

PORT=$(free_port)
export PORT
c() {
	timeout 60 "$COMP" -p "$P" --progress quiet "$@" </dev/null
}
state() { # state SERVICE FIELD
	jq -r ".$2" "$COMP_ROOT/projects/$P/containers/$(c ps -a -q "$1")"*/state.json
}
dir_of() {
	echo "$COMP_ROOT/projects/$P/containers/$(c ps -a -q "$1")"*
}
all_run() {
	[ "$(c ps --format '{{.Service}}' | sort | xargs)" = "${1:-db web}" ]
}
answers() {
	[ "$(curl -s -m 2 "http://127.0.0.1:$PORT/")" = works ]
}
is_gone() {
	! kill -0 "$1" 2>/dev/null
}
# Every process of comp's under this root: supervisor, monitors, nethelper.
ours() {
	grep -lsaz "^COMP_ROOT=$COMP_ROOT\$" /proc/[0-9]*/environ | cut -d / -f 3 | while read -r pid; do
		case $(readlink "/proc/$pid/exe") in */comp | */comp-[mn]* | /memfd:comp\ *) echo "$pid" ;; esac
	done
}
# All at the same moment: a monitor that lived a moment longer would start a supervisor.
kill_ours() { # kill_ours [PID...]
	local pids
	pids=$(ours)
	# shellcheck disable=SC2086
	kill -STOP $pids 2>/dev/null
	# shellcheck disable=SC2086
	kill -9 $pids "$@" 2>/dev/null
}
group_of() {
	python3 -c '
import os
h = 2166136261
for b in os.environ["COMP_ROOT"].encode(): h = (h ^ b) * 16777619 & 0xffffffff
print(f"comp-{h:08x}")'
}
in_containers() {
	find "/sys/fs/cgroup/pids/$(group_of)" "/sys/fs/cgroup/$(group_of)" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u
}

has_four() { # the two of the stack, each with comp's pid 1
	[ "$(in_containers | wc -l)" = 4 ]
}

tiny_image tiny
stack() {
	cat >compose.yaml <<'Y'
services:
  db: {image: tiny, init: true, command: sleep 86400, stop_grace_period: 1s}
  web:
    image: tiny
    init: true
    command: sh -c 'echo works >/data/index.html; exec httpd -f -p 80 -h /data'
    stop_grace_period: 1s
    restart: always
    depends_on: [db]
    ports: ["127.0.0.1:${PORT}:80"]
    volumes: ["data:/data"]
volumes: {data: }
Y
}

# ---- processes ----------------------------------------------------------------------------
stack
c up -d
until_true 5 answers
web=$(state web pid) db=$(state db pid)
kill_ours
is "C4-6 all of comp's processes killed: ps within a second" "$(timeout 1 "$COMP" -p "$P" ps -a --format '{{.Service}}' | sort | xargs)" "db web"
ok "C4-6 up converges" c up -d
ok "C4-6 and everything runs once" until_true 10 all_run
ok "C4-6 in its own processes only" until_true 5 has_four
ok "C4-6 and works" until_true 5 answers

supervisor=$(supervisor_pid)
kill -STOP "$supervisor"
is "C4-7 supervisor stopped: ps" "$(c ps --services | sort | xargs)" "db web"
begun=$SECONDS
fails "C4-7 what needs it says so" 1 "supervisor of project $P .*does not answer" c restart db
ok "C4-7 within ten seconds" test $((SECONDS - begun)) -le 10
kill -CONT "$supervisor"
ok "C4-7 afterwards all is normal" c restart -t 0 db
is "C4-7 with the same supervisor" "$(supervisor_pid)" "$supervisor"

# Pids that mean somebody else now.  A process is known by pid and start time, and that
# is in ticks of 10 ms: this one must not be as old as those it stands in for.
sleep 0.1
sleep 86400 &
innocent=$!
for record in "$COMP_RUN/$P"/monitors/*; do
	jq -c ".pid = $innocent | .monitor_pid = $innocent" "$record" >"$WORK/record"
	cp "$WORK/record" "$record"
done
kill_ours
for file in "$COMP_ROOT/projects/$P/containers"/*/state.json; do
	jq -c "del(.sum) | .pid = $innocent | .monitor_pid = $innocent" "$file" >"$WORK/record"
	cp "$WORK/record" "$file"
done
ok "C4-22 records that name somebody else's process: up" c up -d
ok "C4-22 everything runs once" until_true 10 all_run
ok "C4-22 in its own processes only" until_true 5 has_four
c down -t 0
is "C4-22 and he is left alone" "$(is_gone $innocent || echo alive)" alive
kill $innocent
wait $innocent 2>/dev/null

# The same with the start times that it really has: then it is no child of its monitor,
# itself, and in no cgroup of ours.  And two containers whose records changed places.
c up -d
until_true 10 all_run
sleep 86400 &
innocent=$!
ticks=$(cut -d ' ' -f 22 /proc/$innocent/stat)
forge=".pid = $innocent | .monitor_pid = $innocent | .start_ticks = $ticks | .monitor_ticks = $ticks"
kill_ours
for file in "$COMP_RUN/$P"/monitors/* "$COMP_ROOT/projects/$P/containers"/*/state.json; do
	jq -c "del(.sum) | $forge" "$file" >"$WORK/record"
	cp "$WORK/record" "$file"
done
ok "C4-22 records that name him by his start time, too: up" c up -d
ok "C4-22 everything runs once" until_true 10 all_run
ok "C4-22 in its own processes only" until_true 5 has_four
is "C4-22 he is left alone" "$(is_gone $innocent || echo alive)" alive
supervisor=$(supervisor_pid)
kill -STOP "$supervisor"
records=("$COMP_RUN/$P"/monitors/*)
mv "${records[0]}" "$WORK/record"
mv "${records[1]}" "${records[0]}"
mv "$WORK/record" "${records[1]}"
kill -9 "$supervisor"
ok "C4-22 records of each other's processes: up" c up -d
ok "C4-22 everything runs once" until_true 10 all_run
ok "C4-22 in its own processes only" until_true 5 has_four
c down -t 0
is "C4-22 and he is left alone" "$(is_gone $innocent || echo alive)" alive
kill $innocent
wait $innocent 2>/dev/null

# Everything stands still for a while, as in a suspended machine.
cat >compose.yaml <<'Y'
services:
  app:
    image: tiny
    init: true
    command: sleep 86400
    restart: always
    healthcheck: {test: "true", interval: 500ms, timeout: 1s, retries: 2}
Y
c up -d --wait
# shellcheck disable=SC2046
{ kill -STOP $(ours) $(in_containers); sleep 4; kill -CONT $(ours) $(in_containers); }
sleep 1.5
is "C4-20 stopped for a while: no restart, still healthy" "$(state app restart_count) $(state app health)" "0 healthy"
c down -t 0

# ---- in the container -------------------------------------------------------------------------
cat >compose.yaml <<'Y'
services:
  hog: {image: tiny, command: tail /dev/zero, mem_limit: 20m, memswap_limit: 20m, restart: "on-failure:1", init: false}
  bomb:
    image: tiny
    init: true
    pids_limit: 40
    stop_grace_period: 1s
    command: ["sh", "-c", "while :; do sleep 1000 & done 2>/dev/null; sleep 1000"]
  orphans: {image: tiny, init: true, command: ["sh", "-c", "i=0; while [ $$i -lt 1000 ]; do (true &); i=$$((i+1)); done; touch /done; exec sleep 86400"]}
  small: {image: tiny, init: true, command: sleep 86400, volumes: ["small:/small"]}
volumes:
  small: {driver: local, driver_opts: {type: tmpfs, device: tmpfs, o: "size=1m"}}
Y
c up -d 2>/dev/null
hog_done() { [ "$(state hog status)" = exited ]; }
ok "C4-18 out of memory: ended, tried again as its policy says" until_true 20 hog_done
is "C4-18 and known for it" "$(state hog oom_killed) $(state hog restart_count)" "true 1"
ok "C4-38 a fork bomb: the host can fork" timeout 2 true
ok "C4-38 and it can be stopped" c stop -t 1 bomb
ok "C4-49 a thousand orphans" until_true 20 c exec -T orphans test -e /done
sleep 1
is "C4-49 no zombies" "$(c exec -T orphans sh -c 'cat /proc/[0-9]*/stat 2>/dev/null' | grep -c ') Z ')" 0
c exec -T small dd if=/dev/zero of=/small/f bs=64k count=64 >"$WORK/out" 2>&1
like "C4-13 a full volume: the application sees it" "$(cat "$WORK/out")" 'No space left'
is "C4-13 and nobody else" "$(state small status)" running
for i in $(seq 20); do
	"$COMP" -p "$P" exec -T small sleep "100$i" </dev/null >/dev/null 2>&1 &
done
clients=$(jobs -p)
sleep 2
i=0
for pid in $clients; do
	i=$((i + 1))
	case $((i % 3)) in 0) kill -TERM "$pid" ;; 1) kill -KILL "$pid" ;; 2) kill -HUP "$pid" ;; esac
done 2>/dev/null
# shellcheck disable=SC2086
{ wait $clients; } 2>/dev/null
c stop -t 1 small
ok "C4-50 exec clients killed each way: their processes end with the container" until_true 5 sh -c \
	"! ps -eo args | grep -q '^sleep 100[0-9]'"
ok "C4-18 C4-38 C4-49 C4-50 down" c down -v -t 0

# ---- disks ---------------------------------------------------------------------------------------
disk() { # disk SIZE INODES: a COMP_ROOT of its own on a small file system
	truncate -s "$1" "$WORK/disk"
	mke2fs -q -F -t ext4 -N "$2" "$WORK/disk"
	mkdir -p "$WORK/small"
	mount -o loop "$WORK/disk" "$WORK/small" || return
	mkdir -m 700 "$WORK/small/root"
	export COMP_ROOT=$WORK/small/root COMP_RUN=$WORK/run2
	"$COMP" image import "$WORK/tiny.tar" tiny >/dev/null
	cat >compose.yaml <<'Y'
services:
  app: {image: tiny, init: true, command: "sh -c 'while :; do sleep 0.1; done'"}
Y
	cat >more.yaml <<'Y'
services:
  more: {image: tiny, init: true, command: sleep 86400, volumes: ["more:/more"], configs: [big]}
  other: {image: tiny, init: true, command: sleep 86400}
configs: {big: {content: "x"}}
volumes: {more: }
Y
	c up -d
}
disk_gone() {
	c down -v -t 0
	local leaks
	leaks=$(RESIDUE_ATTEMPTS=30 python3 "$LIB/residue" diff "$WORK/before.json" | grep -v "^mount: .* $WORK/small " | grep -v '^loop: ')
	is "$1 nothing is left behind" "$(grep -v 'lost+found' <<<"$leaks")" ""
	umount "$WORK/small"
	export COMP_ROOT=$WORK/root COMP_RUN=$WORK/run
	rm -rf "$WORK/disk" "$WORK/run2"
}
other() { # the same root, another project
	timeout 60 "$COMP" -p "$P-more" --progress quiet -f more.yaml "$@" </dev/null
}
trap 'umount -l "$WORK/small" 2>/dev/null; finish' EXIT

if disk 24M 2000; then
	app=$(state app pid)
	dd if=/dev/zero of="$WORK/small/fill" bs=4k 2>/dev/null
	dd if=/dev/zero of="$WORK/small/fill2" bs=512 2>/dev/null
	other up -d >"$WORK/out" 2>&1
	is "C4-10 a full disk: up fails" $? 1
	like "C4-10 and says where" "$(cat "$WORK/out")" "/.*No space left on device|No space left on device.*/"
	is "C4-10 the other project runs on" "$(state app status) $(state app pid)" "running $app"
	ok "C4-10 its state is whole" jq -e .id "$(dir_of app)/state.json"
	other down -v -t 0 >"$WORK/out" 2>&1
	is "C4-10 down works on a full disk" "$? $(ls "$COMP_RUN" | xargs)" "0 $P"
	rm "$WORK/small/fill" "$WORK/small/fill2"
	ok "C4-10 with room again, up works" other up -d
	other down -v -t 0

	disk_gone C4-10
else
	for i in $(seq 7); do skip "C4-10" "no loop device here"; done
fi

if disk 24M 1500; then
	app=$(state app pid)
	i=0
	while : 2>/dev/null >"$WORK/small/i$i"; do i=$((i + 1)); done 2>/dev/null
	other up -d >"$WORK/out" 2>&1
	is "C4-14 no inode left: up fails" $? 1
	like "C4-14 and says where" "$(cat "$WORK/out")" "/.*No space left on device|No space left on device.*/"
	is "C4-14 the other project runs on" "$(state app status) $(state app pid)" "running $app"
	rm -f "$WORK"/small/i[0-9]*
	ok "C4-14 with inodes again, up works" other up -d
	other down -v -t 0
	disk_gone C4-14
else
	for i in $(seq 5); do skip "C4-14" "no loop device here"; done
fi

# A file system with an error: the kernel makes it read-only, and a person repairs it.
if disk 24M 2000; then
	app=$(state app pid)
	mount -o remount,errors=remount-ro "$WORK/small"
	echo 1 >"/sys/fs/ext4/$(basename "$(findmnt -n -o SOURCE "$WORK/small")")/trigger_fs_error"
	is "C4-15 read-only: ps" "$(c ps --services)" app
	c logs app >/dev/null 2>&1
	is "C4-15 logs" $? 0
	other up -d >"$WORK/out" 2>&1
	is "C4-15 up fails" $? 1
	like "C4-15 and says why" "$(cat "$WORK/out")" 'Read-only file system'
	is "C4-15 what runs, runs" "$(is_gone "$app" || echo yes)" yes
	# shellcheck disable=SC2046
	kill_ours $(in_containers)
	sleep 0.5
	umount -l "$WORK/small"
	until_true 10 sh -c "! losetup -a | grep -q $WORK/disk"
	e2fsck -fy "$WORK/disk" >/dev/null 2>&1
	mount -o loop "$WORK/disk" "$WORK/small"
	"$COMP" image import "$WORK/tiny.tar" tiny >/dev/null 2>&1 # the journal is lost
	ok "C4-15 repaired, up works" c up -d
	disk_gone C4-15
else
	for i in $(seq 7); do skip "C4-15" "no loop device here"; done
fi

# ---- descriptors ------------------------------------------------------------------------------
stack
c up -d
supervisor=$(supervisor_pid)
limit=$(($(ls "/proc/$supervisor/fd" | wc -l) + 6))
prlimit --pid "$supervisor" --nofile=$limit:4096
listeners=
for i in $(seq 12); do
	"$COMP" -p "$P" events >/dev/null 2>&1 </dev/null &
	listeners+=" $!"
done
sleep 0.5
ticks() { awk '{ print $14 + $15 }' "/proc/$supervisor/stat"; }
t0=$(ticks)
sleep 2
ok "C4-16 no descriptors left: the supervisor does not spin" test $(($(ticks) - t0)) -lt 10
is "C4-16 and lives" "$(supervisor_pid)" "$supervisor"
# shellcheck disable=SC2086
{ kill -9 $listeners; wait $listeners; } 2>/dev/null
prlimit --pid "$supervisor" --nofile=4096:4096
ok "C4-16 with some again it works" c restart -t 0 db

# ---- state -----------------------------------------------------------------------------------------
# Each with its supervisor killed, so that the next one has to read what is there.
mutate() { # mutate NAME FILE
	case $1 in
	empty) : >"$2" ;;
	half) truncate -s $(($(stat -c %s "$2") / 2)) "$2" ;;
	last-byte) truncate -s -1 "$2" ;;
	flip-*) python3 - "$2" "${1#flip-}" <<'Y' ;;
import sys
with open(sys.argv[1], "r+b") as f:
    b = bytearray(f.read())
    b[len(b) * int(sys.argv[2]) // 100] ^= 4
    f.seek(0)
    f.write(b)
Y
	garbage) head -c 4096 /dev/urandom >"$2" ;;
	huge) truncate -s 1G "$2" ;;
	directory) rm "$2" && mkdir "$2" ;;
	link) rm "$2" && ln -s /etc/passwd "$2" ;;
	gone) rm "$2" ;;
	esac
}
bad='' tried=0
for file in state.json spec.json project.json exits events monitor network.json volume.json; do
	for how in empty half last-byte flip-20 flip-70 garbage huge directory link gone; do
		all_run || c up -d >/dev/null 2>&1
		kill_ours
		case $file in
		state.json | spec.json) target=$(ls "$COMP_ROOT/projects/$P/containers"/*/"$file" | head -n 1) ;;
		monitor) target=$(ls "$COMP_RUN/$P/monitors"/* | head -n 1) ;;
		network.json) target=$COMP_ROOT/networks/${P}_default/network.json ;;
		volume.json) target=$COMP_ROOT/volumes/${P}_data/volume.json ;;
		*) target=$COMP_ROOT/projects/$P/$file ;;
		esac
		[ -f "$target" ] || continue
		tried=$((tried + 1))
		mutate "$how" "$target" 2>/dev/null
		[ "$file" != state.json ] || mutate "$how" "$(dirname "$target")/.state.json" 2>/dev/null
		c ps -a >"$WORK/out" 2>&1
		[ $? -lt 2 ] || bad+="$file $how: ps: $(tail -n 2 "$WORK/out")"$'\n'
		c down -v -t 0 >"$WORK/out" 2>&1 || bad+="$file $how: down: $(tail -n 2 "$WORK/out")"$'\n'
		[ -z "$(in_containers)" ] || bad+="$file $how: down leaves processes"$'\n'
		# What could not be read is kept for a person, and goes with the second.
		c up -d >"$WORK/out" 2>&1 || bad+="$file $how: up: $(tail -n 2 "$WORK/out")"$'\n'
		until_true 5 answers || bad+="$file $how: does not work: $(c ps -a | tail -n 2)"$'\n'
	done
done
is "C4-29 $tried damaged files: never fatal, down and up work" "$bad" ""

c exec -T web sh -c 'echo kept >/data/keep'
c down -t 0
echo '{"version": 1, "na' >"$COMP_ROOT/volumes/${P}_data/volume.json"
c up -d >"$WORK/out" 2>&1
is "C4-29 a volume whose record is damaged keeps its data" "$(c exec -T web cat /data/keep)" kept

# ---- the network, by hand ----------------------------------------------------------------------
c up -d
until_true 5 answers
db=$(state db pid)
ip link del "$(ip -o link | grep "alias comp:$P:" | grep -o ': br-[0-9a-z]*' | head -n 1 | cut -c 3-)"
ok "C4-45 the bridge deleted: up" c up -d
is "C4-45 without a new process" "$(state db pid)" "$db"
for pin in "$COMP_RUN/$P"/netns/*; do
	umount "$pin"
	rm "$pin"
done
ok "C4-43 pinned namespaces gone: down" c down -t 0
is "C4-43 is clean" "$(ls "$COMP_RUN")" ""
c up -d
for pid in $(in_containers); do
	for h in /sys/fs/cgroup/*/; do echo "$pid" >"$h/cgroup.procs" 2>/dev/null; done
done
web=$(state web pid)
ok "C4-47 processes moved out of their cgroup: down" c down -t 0
ok "C4-47 ends them" until_true 3 is_gone "$web"
c up -d
for freezer in /sys/fs/cgroup/freezer/"$(group_of)"/*/freezer.state /sys/fs/cgroup/"$(group_of)"/*/cgroup.freeze; do
	[ ! -e "$freezer" ] || case $freezer in */freezer.state) echo FROZEN >"$freezer" ;; *) echo 1 >"$freezer" ;; esac
done
ok "C4-47 frozen by hand: down" c down -t 1
is "C4-47 leaves nothing" "$(in_containers)" ""

# ---- ports ---------------------------------------------------------------------------------------
c up -d
c stop -t 0 web
python3 -c "import socket, time; s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(('127.0.0.1', $PORT)); s.listen(); time.sleep(86400)" &
thief=$!
until_true 5 sh -c "ss -Hltn | grep -q 127.0.0.1:$PORT"
fails "C4-54 the port was taken meanwhile" 1 "$PORT.*(in use|allocated)" c start web
kill $thief
wait $thief 2>/dev/null
ok "C4-54 free again" c start web
ok "C4-54 it answers" until_true 5 answers
fails "C4-25 another project wants the port" 1 "$PORT.*$P" \
	timeout 60 "$COMP" -p "$P-two" --progress quiet up -d
ok "C4-25 the first is untouched" answers
timeout 60 "$COMP" -p "$P-two" --progress quiet down -v -t 0

# ---- files, by hand --------------------------------------------------------------------------------
rm -rf "$COMP_ROOT/volumes/${P}_data"
ok "C4-53 the volume removed by hand: down -v" c down -v -t 0
cat >compose.yaml <<'Y'
services:
  app:
    image: tiny
    command: sleep 86400
    volumes: [{type: bind, source: ./gone, target: /gone, bind: {create_host_path: false}}]
Y
fails "C4-52 a bind source that is not there" 1 'gone.*(No such file|does not exist)' c up -d
is "C4-52 is not made" "$(ls -d gone 2>/dev/null)" ""
c down -t 0 2>/dev/null

# ---- odd surroundings ---------------------------------------------------------------------------
stack
mkdir "$WORK/installed"
cp "$(dirname "$COMP")"/comp* "$WORK/installed"
"$WORK/installed/comp" -p "$P" --progress quiet up -d
rm -r "$WORK/installed"
kill -9 "$(state web pid)"
ok "C4-42 the programs deleted: a container is restarted" until_true 10 answers
ok "C4-42 exec works" c exec -T web true
mkdir "$WORK/installed"
cp "$(dirname "$COMP")"/comp* "$WORK/installed" # taking down needs comp-nft again
c down -t 0
cp compose.yaml "$WORK/compose.yaml"
(
	mkdir "$WORK/deleted" && cd "$WORK/deleted" && rmdir "$WORK/deleted" || exit
	umask 777
	ulimit -f 100000
	"$COMP" -p "$P" -f "$WORK/compose.yaml" up -d <&- >&- 2>&-
)
is "C4-60 no stdio, no directory, a foolish umask" "$(until_true 5 answers && echo works)" works
is "C4-60 modes are right" "$(stat -c %a "$COMP_ROOT/projects/$P" "$COMP_RUN/$P" | xargs)" "700 700"
c down -v -t 0

# ---- elsewhere, and not here ------------------------------------------------------------------
cat <<'E'
# C4-1 C4-2 C4-4 C4-31: 70-kill-points.sh
# C4-3 C4-5 C4-8: 31-lifecycle.sh
# C4-9: 30-up-down.sh, 51-graph.sh
# C4-11: 20-image.sh
# C4-12 C4-39: 56-log-torture.sh
# C4-17: 73-allocations.sh
# C4-19: tests/vm/clock.sh (make check-vm), since a machine has one clock
# C4-21 C4-41: 54-boot.sh
# C4-23 C4-24 C4-26: 55-concurrency.sh
# C4-30: 28-prune.sh (system check)
# C4-32 C4-33 C4-34 C4-37: 23-hostile-registry.sh
# C4-35: 22-registry.sh, 23-hostile-registry.sh (expired, wrong host, self-signed, plain http)
# C4-44: 41-firewall.sh
# C4-48: 31-lifecycle.sh (a process that ignores, or traps, its signal), 73-fault-matrix.sh
# C4-51: 50-health.sh
# C4-55: 71-errors.sh
# C4-56: 74-power-loss.sh
# C4-58: tests/bench/run (time and memory per service)
# C4-7 C4-20 C4-27 C4-28 C4-36 C4-40 C4-45 C4-46 C4-49 C4-50 C4-59: 73-fault-matrix.sh, as long as the row says
E
skip "C4-57 an overflow of what watch listens to" "there is no watch yet"
done_testing
