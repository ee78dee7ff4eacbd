#!/usr/bin/env bash
# The fault matrix, second part: what takes long (a supervisor stopped for a minute, all of
# them for two, which pass beside the rest), links cut by hand, and what comes in storms.
. "$(dirname "$0")/../lib/tap.sh"
. "$LIB/registry.sh"
plan 61

c() {
	timeout 60 "$COMP" -p "$P" --progress quiet "$@" </dev/null
}
state() { # state SERVICE FIELD [PROJECT]
	jq -r ".$2" "$COMP_ROOT/projects/${3:-$P}/containers/$("$COMP" -p "${3:-$P}" ps -a -q "$1")"*/state.json
}
in_project() { # in_project PROJECT: its containers' processes
	find /sys/fs/cgroup/pids/comp-*/"$1"/ /sys/fs/cgroup/comp-*/"$1"/ -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u
}
ours() { # ours PROJECT: supervisor and nethelper, and the monitors of its containers
	local pid
	echo "$(cat "$COMP_RUN/$1/lock")" # has no newline
	jq -r .monitor_pid "$COMP_RUN/$1"/monitors/*
	for pid in $(cat "/proc/$(cat "$COMP_RUN/$1/lock")/task"/*/children); do echo "$pid"; done
}
tiny_image tiny
extra=()
cleanup() {
	local pid
	registries_stop
	for pid in "${extra[@]}"; do kill -9 "$pid" 2>/dev/null; done
	umount -l "$WORK/hang" 2>/dev/null
	# shellcheck disable=SC2046
	kill -CONT $(cat "$WORK/stopped" 2>/dev/null) 2>/dev/null
	finish
}
trap cleanup EXIT

# ---- C4-7 and C4-20: they stand still while the rest goes on ---------------------------------
mkdir long
cat >long/compose.yaml <<'Y'
services:
  app:
    image: tiny
    init: true
    command: sleep 86400
    restart: always
    stop_grace_period: 1s
    healthcheck: {test: "true", interval: 500ms, timeout: 1s, retries: 2}
Y
for n in 7 20; do
	timeout 60 "$COMP" -p "$P-r$n" -f long/compose.yaml --progress quiet up -d --wait </dev/null
done
still7=$(cat "$COMP_RUN/$P-r7/lock")
app7=$(state app pid "$P-r7")
app20=$(state app pid "$P-r20")
still20="$(ours "$P-r20") $(in_project "$P-r20")"
echo "$still7 $still20" >"$WORK/stopped"
begun=$SECONDS still=$SECONDS
# shellcheck disable=SC2086
kill -STOP $still7 $still20
fails "C4-7 supervisor stopped: what needs it says so" 1 "supervisor of project $P-r7 .*does not answer" \
	timeout 60 "$COMP" -p "$P-r7" -f long/compose.yaml restart app
ok "C4-7 within ten seconds" test $((SECONDS - begun)) -le 10

# ---- names ----------------------------------------------------------------------------------------
mkdir one two
cat >one/compose.yaml <<'Y'
services:
  app: {image: tiny, init: true, command: sleep 86400, container_name: "${P}-mine", volumes: ["data:/data"]}
networks: {default: {name: "${P}-net"}}
volumes: {data: {name: "${P}-vol"}}
Y
export P
one() { timeout 60 "$COMP" -p "$P-one" -f one/compose.yaml --progress quiet "$@" </dev/null; }
two() { timeout 60 "$COMP" -p "$P-two" -f two/compose.yaml --progress quiet "$@" </dev/null; }
one up -d
mine=$(state app pid "$P-one")
service='image: tiny, init: true, command: sleep 86400, stop_grace_period: 1s'
two_is() { # two_is LINE...
	printf '%s\n' "$@" >two/compose.yaml
}
two_is "services: {app: {$service, container_name: $P-mine}}"
fails "C4-27 a container name that another project has" 1 \
	"$P-mine\" is already in use by container [0-9a-f]{12} of project \"$P-one\"" two up -d
like "C4-27 and says what to do" "$(cat "$WORK/err")" "^hint: .*comp -p $P-one down"
is "C4-27 before anything is made" "$(two ps -a -q; ls -d "$COMP_ROOT/networks/$P-two_default" 2>/dev/null)" ""
two_is "services: {app: {$service}}" "networks: {default: {name: $P-nowhere, external: true}}"
fails "C4-27 an external network that is not there" 1 \
	"network $P-nowhere declared as external, but could not be found" two up -d
two_is "services: {app: {$service, volumes: ['data:/data']}}" "volumes: {data: {name: $P-nowhere, external: true}}"
fails "C4-27 an external volume that is not there" 1 "external volume \"$P-nowhere\" not found" two up -d
two_is "services: {app: {$service, networks: [own]}}" "networks: {own: {name: $P-net}}"
fails "C4-27 a network of another project under another key" 1 \
	"network $P-net was found but has incorrect label .*for project \"$P-one\"" two up -d
is "C4-27 nothing of these is left" "$(two ps -a -q; ls -d "$COMP_RUN/$P-two" 2>/dev/null)" ""
two_is "services: {app: {$service, volumes: ['data:/data']}}" "networks: {default: {name: $P-net}}" \
	"volumes: {data: {name: $P-vol}}"
two up -d >"$WORK/out" 2>&1
is "C4-27 network and volume of another project: as in Docker Compose they are shared" "$?" 0
like "C4-27 with a warning for the network" "$(cat "$WORK/out")" \
	"network with name $P-net exists.*created for project .*$P-one.*external: true"
like "C4-27 and for the volume" "$(cat "$WORK/out")" \
	"volume .*$P-vol.* already exists but was created for project .*$P-one.*external: true"
two down -v -t 0
is "C4-27 they stay their owner's" "$(for d in "$COMP_ROOT/volumes/$P-vol" "$COMP_ROOT/networks/$P-net"; do [ -d "$d" ] && echo there; done | xargs)" "there there"
two_is "services: {app: {$service, container_name: $P-wanted}}"
for n in $(seq 6); do
	timeout 60 "$COMP" -p "$P-race$n" -f two/compose.yaml --progress quiet up -d </dev/null >"$WORK/race$n" 2>&1 &
done
# shellcheck disable=SC2046
wait $(jobs -p)
ls -d "$COMP_ROOT/projects/$P-race"*/containers/* | wc -l >"$WORK/won"
is "C4-27 six projects want one name at once: one gets it, five are told" \
	"$(cat "$WORK/won") $(cat "$WORK"/race* | grep -c 'is already in use by container [0-9a-f]* of project')" "1 5"
for n in $(seq 6); do timeout 60 "$COMP" -p "$P-race$n" --progress quiet down -t 0 </dev/null 2>/dev/null; done
is "C4-27 the owner runs on" "$(state app pid "$P-one")" "$mine"

# ---- C4-28: names of links, cut at 15 characters -------------------------------------------------
cat >two/compose.yaml <<'Y'
services: {app: {image: tiny, init: true, command: sleep 86400, stop_grace_period: 1s}}
Y
long=$P-a-name-that-is-longer-than-an-interface
for n in 1 2; do timeout 60 "$COMP" -p "$long$n" -f two/compose.yaml --progress quiet up -d </dev/null; done
is "C4-28 two long names of one beginning: two bridges" \
	"$(ip -o link show type bridge | grep -c "comp:$long[12]:")" 2
for n in 1 2; do timeout 60 "$COMP" -p "$long$n" --progress quiet down -t 0 </dev/null; done
one down -v -t 0

# ---- links, by hand --------------------------------------------------------------------------------
cat >compose.yaml <<'Y'
services:
  db: {image: tiny, init: true, command: sleep 86400, stop_grace_period: 1s}
  web: {image: tiny, init: true, command: httpd -f -p 80 -h /etc, stop_grace_period: 1s}
Y
c up -d
IP=$(state web 'networks[0].ipv4' | cut -d / -f 1)
talks() {
	c exec -T db sh -c "printf 'GET /passwd HTTP/1.0\r\n\r\n' | nc -w 1 $IP 80 | grep -q 200"
}
port() { # the host's end of web's link
	state web 'networks[0].host_ifname'
}
bridge=br-$(jq -r .id "$COMP_ROOT/networks/${P}_default/network.json" | cut -c 1-12)
mtu=$(cat "/sys/class/net/$bridge/mtu")
pids="$(state db pid) $(state web pid)"
ok "C4-45 they talk" until_true 5 talks
ip link del "$bridge"
ok "C4-45 the bridge deleted: they talk again" until_true 5 talks
ip link del "$(port)"
ok "C4-45 a container's link deleted: they talk again" until_true 5 talks
ip link set "$(port)" nomaster
ok "C4-45 a link taken off its bridge: they talk again" until_true 5 talks
ip link set "$(port)" down
ip link set "$bridge" down mtu 1280
like "C4-45 set down, another MTU: up says what it did" "$(c --progress plain up -d 2>&1)" 'Network .*Repaired'
ok "C4-45 they talk again" until_true 5 talks
is "C4-45 with the MTU as it was" "$(cat "/sys/class/net/$bridge/mtu")" "$mtu"
is "C4-45 all in the same processes" "$(state db pid) $(state web pid)" "$pids"

# ---- C4-40: the name server outside is dead, or slow, and is asked much ----------------------------
mkdir "$WORK/dns"
echo dead >"$WORK/dns/mode"
"$LIB/slow-dns" 127.0.0.78 "$WORK/dns" &
extra+=($!)
cat >compose.yaml <<'Y'
services:
  db: {image: tiny, init: true, command: sleep 86400, stop_grace_period: 1s, dns: [127.0.0.78]}
  web: {image: tiny, init: true, command: sleep 86400, stop_grace_period: 1s}
Y
c up -d
for mode in dead slow; do
	echo $mode >"$WORK/dns/mode"
	for _ in 1 2 3; do # a busy machine may lose one
		p99=$(nsenter -t "$(state db pid)" -n python3 "$LIB/ask-dns" web 20)
		awk "BEGIN { exit !(\"$p99\" + 0 > 0 && $p99 + 0 < 50) }" && break
	done
	ok "C4-40 upstream $mode, 6000 questions for outside: ours are answered in $p99 ms (p99)" \
		awk "BEGIN { exit !(\"$p99\" + 0 > 0 && \"$p99\" + 0 < 50) }"
done
c down -t 0
kill "${extra[0]}"

# ---- C4-36: the registry's name ----------------------------------------------------------------------
start_registry registry
registry=reg.test:${REGISTRY#*:}
comp image import "$WORK/tiny.tar" "$REGISTRY/far:1" >/dev/null
comp image push -q "$REGISTRY/far:1" >/dev/null
comp image rm -f "$REGISTRY/far:1" >/dev/null
printf '{"insecure-registries": ["%s"]}' "$registry" >"$WORK/registries.json"
printf 'nameserver 127.0.0.%s\n' 79 78 79 >resolv.conf
pull() { # with the machine's name servers from resolv.conf
	COMP_REGISTRIES=$WORK/registries.json unshare -m sh -c \
		'mount --bind resolv.conf /etc/resolv.conf && exec timeout 60 "$@"' sh "$COMP" image pull -q "$registry/far:1"
}
"$LIB/slow-dns" 127.0.0.79 "$WORK/dns" &
extra+=($!)
for mode in none fail dead slow; do
	echo $mode >"$WORK/dns/mode"
	begun=$SECONDS
	fails "C4-36 name server $mode: pull says which name" 1 "$registry/far:1: Could not resolve host: reg.test" pull
	ok "C4-36 within 15 s" test $((SECONDS - begun)) -le 15
done
echo dead >"$WORK/dns/mode"
printf '{"insecure-registries": ["%s"], "registries": {"%s": {"mirrors": ["http://mirror.test"]}}}' \
	"$registry" "$registry" >"$WORK/registries.json"
begun=$SECONDS
fails "C4-36 a mirror's as well" 1 "Could not resolve host: reg.test" pull
ok "C4-36 within 15 s" test $((SECONDS - begun)) -le 15
printf '{"insecure-registries": ["%s"]}' "$registry" >"$WORK/registries.json"
echo 127.0.0.1 127.0.0.77 127.0.0.1 >"$WORK/dns/mode"
odd=
for i in $(seq 8); do
	begun=$SECONDS
	pull >"$WORK/out" 2>&1 || grep -qE "$registry/far:1: .*(connect|slow|resolve).*reg.test" "$WORK/out" || odd+="$(cat "$WORK/out")"
	[ $((SECONDS - begun)) -le 15 ] || odd+="$((SECONDS - begun)) s"
	comp image rm -f "$registry/far:1" >/dev/null 2>&1
done
is "C4-36 another address each time: it works, or says what does not, within 15 s" "$odd" ""
echo 127.0.0.1 >"$WORK/dns/mode"
ok "C4-36 the right one again" pull
registries_stop
kill "${extra[1]}"

# ---- C4-46: in a network namespace that is the whole machine -----------------------------
cat >machine.sh <<'Y'
set -u
ip link set lo up
export COMP_ROOT=$1/root3 COMP_RUN=$1/run3
m() { timeout 60 "$COMP" -p "$P-m" --progress plain "$@" </dev/null; }
"$COMP" image import "$1/tiny.tar" tiny >/dev/null
cat >compose.yaml <<'C'
services: {app: {image: tiny, init: true, command: sleep 86400, stop_grace_period: 1s}}
C
m up -d >/dev/null 2>&1
pid=$(jq .pid "$COMP_ROOT/projects/$P-m/containers"/*/state.json)
echo "before $(cat /proc/sys/net/ipv4/ip_forward)"
echo 0 >/proc/sys/net/ipv4/ip_forward
m up -d 2>&1 | grep -o 'Network.*Repaired' | sed 's/.*/said Repaired/'
echo "after $(cat /proc/sys/net/ipv4/ip_forward)"
[ "$pid" = "$(jq .pid "$COMP_ROOT/projects/$P-m/containers"/*/state.json)" ] && echo same
m down -t 0 >/dev/null 2>&1
Y
mkdir machine
out=$(cd machine && COMP=$COMP unshare -n -m bash ../machine.sh "$WORK" 2>&1)
like "C4-46 forwarding was on" "$out" '^before 1$'
like "C4-46 switched off: up switches it on" "$out" '^after 1$'
like "C4-46 and reports it" "$out" '^said Repaired$'
like "C4-46 with the same process" "$out" '^same$'
rm -rf "$WORK/root3" "$WORK/run3"

# ---- C4-48: a process that hangs in the kernel ------------------------------------------------------
mkdir "$WORK/hang"
"$LIB/fuse-hang" "$WORK/hang" >"$WORK/hangs" 2>&1 &
fuse=$!
extra+=("$fuse")
until_true 5 mountpoint -q "$WORK/hang"
cat >compose.yaml <<Y
services:
  stuck: {image: tiny, init: false, command: cat /hang/x, stop_grace_period: 1s, volumes: ["$WORK/hang:/hang"]}
Y
c up -d
ok "C4-48 it hangs" until_true 5 grep -q hangs "$WORK/hangs"
stuck=$(state stuck pid)
begun=$SECONDS
timeout 30 "$COMP" -p "$P" --progress plain down -t 1 >"$WORK/out" 2>&1 </dev/null
is "C4-48 down fails" $? 1
took=$((SECONDS - begun))
is "C4-48 no signal ends it" "$(cut -d ' ' -f 3 "/proc/$stuck/stat")" D
ok "C4-48 within the grace and ten seconds ($took s)" test $took -le 12
like "C4-48 and says what hangs" "$(cat "$WORK/out")" "stuck.*process $stuck hangs in the kernel"
kill -9 "$fuse"
wait "$fuse" 2>/dev/null
ok "C4-48 it goes on: down" until_true 20 c down -t 1
is "C4-48 and nothing of it is left" "$(ls -d "$COMP_RUN/$P" 2>/dev/null)" ""
umount -l "$WORK/hang" 2>/dev/null

# ---- C4-49, C4-50, C4-59 -------------------------------------------------------------------------
cat >compose.yaml <<'Y'
services:
  orphans: {image: tiny, init: true, stop_grace_period: 1s, command: ["sh", "-c", "i=0; while [ $$i -lt 10000 ]; do (true &); i=$$((i+1)); done; touch /done; exec sleep 86400"]}
  app: {image: tiny, init: true, command: sleep 86400, stop_grace_period: 1s}
Y
c up -d
seq 200 | xargs -P 200 -I N sh -c '"$0" -p "$1" exec -T app sh -c "exit N" </dev/null 2>/dev/null; [ $? = N ] || echo N' "$COMP" "$P" >"$WORK/out" 2>&1
is "C4-50 200 execs at once: each one's exit code" "$(cat "$WORK/out" | xargs)" ""
pids=()
for i in $(seq 20); do
	# A shell without job control starts its children with SIGINT ignored.
	python3 -c 'import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])' \
		"$COMP" -p "$P" exec -T app sleep "200$i" </dev/null >/dev/null 2>&1 &
	pids+=($!)
done
running() { [ "$(ps -eo args | grep -c '^sleep 200[0-9]')" = "$1" ]; }
ok "C4-50 twenty run" until_true 20 running 20
i=0
codes=
for pid in "${pids[@]}"; do
	i=$((i + 1))
	case $((i % 4)) in 0) kill -TERM "$pid" ;; 1) kill -INT "$pid" ;; 2) kill -HUP "$pid" ;; 3) kill -KILL "$pid" ;; esac
done
for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null; codes+="$? "; done
is "C4-50 their clients killed each way: exit codes" "$(xargs -n 1 <<<"$codes" | sort | uniq -c | awk '{ print $1 "x" $2 }' | xargs)" "5x129 5x130 5x137 5x143"
ok "C4-49 ten thousand orphans" until_true 60 c exec -T orphans test -e /done
sleep 1
zombies() { ps -eo stat=,ppid= | awk '$1 ~ /^Z/ { print $2 }' | grep -cxF "$( (ours "$P"; in_project "$P") | sort -u)"; }
is "C4-49 and execs that were killed: no zombies" "$(zombies)" 0
c down -t 1
ok "C4-50 no process is left" until_true 5 running 0

cat >compose.yaml <<'Y'
services:
  app: {image: tiny, init: true, command: "sh -c 'trap \"echo asked; exit 7\" TERM; while :; do sleep 0.1; done'", stop_grace_period: 5s}
Y
cat >hangup.py <<'Y'
import os, pty, subprocess, sys, time
pid, master = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
end = time.time() + 20
seen = b""
os.set_blocking(master, False)
while time.time() < end and not os.path.exists("go"):
    try:
        seen += os.read(master, 4096)
    except BlockingIOError:
        time.sleep(0.05)
os.close(master)
_, status = os.waitpid(pid, 0)
print(os.waitstatus_to_exitcode(status))
Y
timeout 60 python3 hangup.py "$COMP" -p "$P" up >"$WORK/out" 2>&1 </dev/null &
hang=$!
is_up() { [ "$(c ps --format '{{.State}}')" = running ]; }
ok "C4-59 up in a terminal" until_true 10 is_up
sleep 0.5
touch go
wait $hang
like "C4-59 the terminal closes: comp ends" "$(cat "$WORK/out")" '^(129|130|143|-1|1|0)$'
sleep 1
is "C4-59 and the containers run on, as after detaching" "$(c ps --format '{{.State}}')" running
c down -t 0

# ---- C4-7 and C4-20: the end --------------------------------------------------------------------------
stood() { # stood SECONDS: until then
	local left=$(($1 - SECONDS + still))
	[ $left -le 0 ] || sleep $left
}
stood 60
kill -CONT "$still7"
ok "C4-7 a minute later it goes on" timeout 20 "$COMP" -p "$P-r7" -f long/compose.yaml --progress quiet exec -T app true
is "C4-7 with nothing restarted" "$(cat "$COMP_RUN/$P-r7/lock") $(state app pid "$P-r7") $(state app restart_count "$P-r7")" "$still7 $app7 0"
stood 120
# shellcheck disable=SC2086
kill -CONT $still20
rm "$WORK/stopped"
sleep 2
is "C4-20 two minutes later: no restart, still healthy" \
	"$(state app pid "$P-r20") $(state app restart_count "$P-r20") $(state app health "$P-r20")" "$app20 0 healthy"
extra=()
done_testing
