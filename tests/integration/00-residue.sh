#!/usr/bin/env bash
# The residue check itself: plant one leak of each kind, each must be found.
. "$(dirname "$0")/../lib/tap.sh"
plan 13

residue() {
	RESIDUE_ATTEMPTS=1 timeout 20 python3 "$LIB/residue" diff "$WORK/before.json"
}

# found KIND PATTERN: the check names it
found() {
	local out
	out=$(residue)
	like "a leaked $1 is found" "$out" "^$1: .*$2"
}

ok "a clean machine has no residue" python3 "$LIB/residue" diff "$WORK/before.json"

mkdir -p "$COMP_RUN/x"
touch "$COMP_RUN/x/left"
found file "$COMP_RUN/x/left"
rm -r "$COMP_RUN/x"

mkdir "$COMP_ROOT/m"
mount -t tmpfs none "$COMP_ROOT/m"
found mount "$COMP_ROOT/m"
umount "$COMP_ROOT/m"
rmdir "$COMP_ROOT/m"

mkdir -p "$COMP_RUN/x/netns"
touch "$COMP_RUN/x/netns/pin"
unshare --net="$COMP_RUN/x/netns/pin" true
found namespace "$COMP_RUN/x/netns/pin"
umount "$COMP_RUN/x/netns/pin"
rm -r "$COMP_RUN/x"

ip link add "br-t$$" type bridge
found link "br-t$$"
ip addr add 198.18.77.1/24 dev "br-t$$"
ip link set "br-t$$" up
found route 198.18.77.0/24
ip link del "br-t$$"

name=$(python3 - <<PY
h = 2166136261
for c in "$COMP_ROOT".encode(): h = (h ^ c) * 16777619 & 0xffffffff
print(f"comp-{h:08x}")
PY
)
nft add table inet "comp-$P-${name#comp-}"
found nft "comp-$P-${name#comp-}"
nft delete table inet "comp-$P-${name#comp-}"

hierarchy=/sys/fs/cgroup
[ -d $hierarchy/pids ] && hierarchy=$hierarchy/pids
mkdir "$hierarchy/$name"
found cgroup "$name"
rmdir "$hierarchy/$name"

cp /bin/sleep "$WORK/comp-monitor"
"$WORK/comp-monitor" 30 &
sleeper=$!
found process "$sleeper .*comp-monitor"
kill $sleeper
wait $sleeper 2>/dev/null

python3 -c "
import socket, sys, time
s = socket.socket(socket.AF_UNIX); s.bind('$COMP_RUN/left.sock'); s.listen()
time.sleep(30)" &
sleeper=$!
until_true 5 test -S "$COMP_RUN/left.sock"
found socket "$COMP_RUN/left.sock"
kill $sleeper
wait $sleeper 2>/dev/null
rm "$COMP_RUN/left.sock"

port=$(free_port)
python3 -c "
import socket, time
s = socket.socket(); s.bind(('127.0.0.1', $port)); s.listen()
time.sleep(30)" &
sleeper=$!
until_true 5 bash -c "ss -Hlnt | grep -q 127.0.0.1:$port"
found port "tcp 127.0.0.1:$port"
kill $sleeper
wait $sleeper 2>/dev/null

before=$(cat /proc/sys/net/ipv4/ip_default_ttl)
echo $((before + 1)) >/proc/sys/net/ipv4/ip_default_ttl
found sysctl ip_default_ttl
echo "$before" >/proc/sys/net/ipv4/ip_default_ttl

truncate -s 1M "$COMP_ROOT/images.loop"
if loop=$(losetup -f --show "$COMP_ROOT/images.loop" 2>/dev/null); then
	found loop "${loop#/dev/}"
	losetup -d "$loop"
else
	skip "a leaked loop is found" "this machine has no loop devices"
fi
rm "$COMP_ROOT/images.loop"

done_testing
