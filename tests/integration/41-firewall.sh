#!/usr/bin/env bash
# Who reaches whom: host, neighbour, and the containers of two projects.
#
# All of it in one scratch network namespace, the lab, which is the "host" of
# this script; the neighbour is a second one, behind a veth.  The real host's
# links and rules are never touched.
if [ -z "${LAB:-}" ] && [ "$(id -u)" = 0 ]; then
	LAB=1 exec unshare -n "$0" "$@"
fi
. "$(dirname "$0")/../lib/tap.sh"
plan 59
ip link set lo up

netns=n$$
helpers=()
clean() {
	kill "${helpers[@]}" 2>/dev/null
	ip netns pids "$netns" 2>/dev/null | xargs -r kill
	ip netns del "$netns" 2>/dev/null
	ip link del v0 2>/dev/null
}
trap 'clean; finish' EXIT
ip netns add "$netns"
ip link add v0 type veth peer name e0 netns "$netns"
ip addr add 198.18.1.1/24 dev v0
ip addr add fd77:1::1/64 dev v0 nodad
ip link set v0 up
ip -n "$netns" addr add 198.18.1.2/24 dev e0
ip -n "$netns" addr add fd77:1::2/64 dev e0 nodad
ip -n "$netns" link set e0 up
ip -n "$netns" link set lo up
ip -n "$netns" route add default via 198.18.1.1
ip -n "$netns" -6 route add default via fd77:1::1

neighbour() {
	ip netns exec "$netns" "$@"
}
# inside PROJECT SERVICE COMMAND...: with the tools of the host, in a container's network
inside() {
	local pid
	pid=$(P=$1 pid_of "$2")
	shift 2
	nsenter -t "$pid" -n "$@"
}
# Says who asks.
cat >"$WORK/who.py" <<'PY'
import http.server, socket, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.client_address[0].encode())
    def log_message(self, *args):
        pass
class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
Server((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
PY
get() {
	curl -s -m 2 --noproxy '*' "$@"
}
# yes NAME COMMAND..., no NAME COMMAND...: HTTP is answered, or not
yes() {
	local name=$1
	shift
	is "$name" "$("$@" >/dev/null 2>&1 && echo yes || echo no)" yes
}
no() {
	local name=$1
	shift
	is "$name" "$("$@" >/dev/null 2>&1 && echo yes || echo no)" no
}

tiny_image tiny --change 'CMD ["sh","-c","hostname >/tmp/index.html; exec httpd -f -p 80 -h /tmp"]'
cat >one.yaml <<'E'
services:
  web:
    image: tiny
    networks: [front, back]
    ports: ["8001:80", "127.0.0.1:8002:80"]
  front: {image: tiny, networks: [front]}
  back: {image: tiny, networks: [back]}
  closed: {image: tiny, networks: [closed]}
  closed2: {image: tiny, networks: [closed]}
  mute: {image: tiny, networks: [mute]}
  mute2: {image: tiny, networks: [mute]}
  nat: {image: tiny, networks: [nat], ports: ["8003:80"]}
  proxy: {image: tiny, networks: [proxy], ports: ["8004:80"]}
networks:
  front: {enable_ipv6: true, ipam: {config: [{subnet: 198.18.10.0/24}, {subnet: "fd77:10::/64"}]}}
  back: {ipam: {config: [{subnet: 198.18.11.0/24}]}}
  closed: {internal: true, ipam: {config: [{subnet: 198.18.12.0/24}]}}
  mute:
    driver_opts: {com.docker.network.bridge.enable_icc: "false"}
    ipam: {config: [{subnet: 198.18.13.0/24}]}
  nat: {driver_opts: {comp.publish: nat}, ipam: {config: [{subnet: 198.18.14.0/24}]}}
  proxy: {driver_opts: {comp.publish: proxy}, ipam: {config: [{subnet: 198.18.15.0/24}]}}
E
cat >two.yaml <<'E'
services:
  web: {image: tiny, ports: ["8010:80", "127.0.0.1:8011:80"]}
networks:
  default: {ipam: {config: [{subnet: 198.18.20.0/24}]}}
E
one() {
	comp -p "$P" -f one.yaml "$@"
}
two() {
	comp -p "${P}b" -f two.yaml "$@"
}
# address PROJECT SERVICE NETWORK FAMILY
address() {
	jq -r ".networks[] | select(.network == \"${1}_$3\") | .$4" \
		"$COMP_ROOT/projects/$1/containers/$(comp -p "$1" ps -q "$2")/state.json" | cut -d / -f 1
}

nft add table inet foreign
nft add chain inet foreign input '{ type filter hook input priority 0; }'
nft add rule inet foreign input tcp dport 9 counter drop
ok "one project" one up -d
ok "another" two up -d
python3 "$WORK/who.py" 127.0.0.1 8090 &
helpers+=($!)
python3 "$WORK/who.py" 0.0.0.0 8091 &
helpers+=($!)
neighbour python3 "$WORK/who.py" 0.0.0.0 8092 &
helpers+=($!)
neighbour python3 "$WORK/who.py" :: 8093 &
helpers+=($!)
until_true 10 get http://127.0.0.1:8090/
until_true 10 get http://127.0.0.1:8091/
until_true 10 get http://198.18.1.2:8092/
until_true 10 get 'http://[fd77:1::2]:8093/'
until_true 10 get http://127.0.0.1:8001/
until_true 10 get http://127.0.0.1:8010/
until_true 10 get http://127.0.0.1:8003/
until_true 10 get http://127.0.0.1:8004/
web=$(address "$P" web front ipv4) web6=$(address "$P" web front ipv6) back=$(address "$P" back back ipv4)
closed2=$(address "$P" closed2 closed ipv4) other=$(address "${P}b" web default ipv4)
mute2=$(address "$P" mute2 mute ipv4) nat=$(address "$P" nat nat ipv4)

# ---- the host ------------------------------------------------------------------------
yes "host to a published port by 127.0.0.1" get http://127.0.0.1:8001/
yes "by its own address" get http://198.18.1.1:8001/
yes "by [::1]" get 'http://[::1]:8001/'
yes "bound to 127.0.0.1" get http://127.0.0.1:8002/
no "but not by another address" get http://198.18.1.1:8002/
yes "host to a container itself" get "http://$web/"

# ---- the neighbour ---------------------------------------------------------------------
far=(ip netns exec "$netns" curl -s -m 2 --noproxy '*')
far_blocked=(ip netns exec "$netns" curl -s -m 0.5 --noproxy '*')
yes "neighbour to a published port" "${far[@]}" http://198.18.1.1:8001/
yes "by IPv6" "${far[@]}" 'http://[fd77:1::1]:8001/'
yes "published by nat" "${far[@]}" http://198.18.1.1:8003/
yes "published by proxy" "${far[@]}" http://198.18.1.1:8004/
no "to a port published on 127.0.0.1" "${far[@]}" http://198.18.1.1:8002/
no "to a container, routed directly" "${far_blocked[@]}" "http://$web/"
no "by IPv6" "${far_blocked[@]}" "http://[$web6]/"
no "to one that publishes by nat" "${far_blocked[@]}" "http://$nat/"
no "to one that publishes nothing" "${far_blocked[@]}" "http://$back/"
no "to the other project's" "${far_blocked[@]}" "http://$other/"
no "by ping" neighbour ping -c 1 -W 1 "$web"

# CVE-2020-8558: a frame to the host's MAC with 127.0.0.1 as its destination.
cat >"$WORK/loopback.py" <<'PY'
import socket, struct, sys, time
device, gateway, source, port = sys.argv[1:4] + [int(sys.argv[4])]
def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF
def hardware_address():
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"", (gateway, 9))
    for line in open("/proc/net/arp"):
        fields = line.split()
        if fields[0] == gateway and fields[3] != "00:00:00:00:00:00":
            return bytes.fromhex(fields[3].replace(":", ""))
    time.sleep(0.05)
    return hardware_address()
packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
packets.bind((device, 0))
addresses = socket.inet_aton(source) + socket.inet_aton("127.0.0.1")
tcp = struct.pack("!HHIIBBHHH", 45678, port, 1, 0, 5 << 4, 2, 1024, 0, 0)
tcp = tcp[:16] + struct.pack("!H", checksum(addresses + struct.pack("!BBH", 0, 6, 20) + tcp)) + tcp[18:]
ip = struct.pack("!BBHHHBBH", 0x45, 0, 40, 1, 0, 64, 6, 0) + addresses
ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
packets.send(hardware_address() + packets.getsockname()[4] + b"\x08\x00" + ip + tcp)
end = time.monotonic() + 0.5
while (left := end - time.monotonic()) > 0:
    packets.settimeout(left)
    try:
        frame = packets.recv(2000)
    except TimeoutError:
        break
    if frame[26:30] == b"\x7f\0\0\1" and frame[34:36] == struct.pack("!H", port):
        sys.exit(0)
sys.exit(1)
PY
no "to the host's 127.0.0.1" neighbour python3 "$WORK/loopback.py" e0 198.18.1.1 198.18.1.2 8090
no "to what is published there" neighbour python3 "$WORK/loopback.py" e0 198.18.1.1 198.18.1.2 8002
# The attack itself is sound: it works where the host lets it.
echo 1 >/proc/sys/net/ipv4/conf/v0/route_localnet
yes "(which would work)" neighbour python3 "$WORK/loopback.py" e0 198.18.1.1 198.18.1.2 8090
echo 0 >/proc/sys/net/ipv4/conf/v0/route_localnet

# ---- containers ---------------------------------------------------------------------------
ask() {
	inside "$1" "$2" curl -s -m "${TIME:-2}" --noproxy '*' "$3"
}
yes "container to a neighbour on its network" ask "$P" front "http://$web/"
yes "by IPv6" ask "$P" front "http://[$web6]/"
yes "to the outside" ask "$P" front http://198.18.1.2:8092/
is "with the host's address" "$(ask "$P" front http://198.18.1.2:8092/)" 198.18.1.1
is "by IPv6" "$(ask "$P" front 'http://[fd77:1::2]:8093/')" fd77:1::1
yes "to a service of the host" ask "$P" front http://198.18.1.1:8091/
yes "to a published port of its project" ask "$P" back http://198.18.1.1:8001/
yes "to its own" ask "$P" web http://198.18.1.1:8001/
yes "to one of another project" ask "$P" front http://198.18.1.1:8010/
TIME=0.5
no "not to another network of its project" ask "$P" front "http://$back/"
no "not to another project's container" ask "$P" front "http://$other/"
no "nor the other way round" ask "${P}b" web "http://$web/"
no "not to a port published on 127.0.0.1 of the host" ask "$P" front http://198.18.1.1:8002/
no "not to a neighbour where icc is off" ask "$P" mute "http://$mute2/"
yes "though to the outside" ask "$P" mute http://198.18.1.2:8092/
yes "internal network: to a neighbour on it" ask "$P" closed "http://$closed2/"
no "not to the outside" ask "$P" closed http://198.18.1.2:8092/
inside "$P" closed ip route add default via 198.18.12.1
no "not even with a route" ask "$P" closed http://198.18.1.2:8092/
no "nor from the outside" "${far_blocked[@]}" "http://$closed2/"
no "nor to another network" ask "$P" closed "http://$back/"

spoof() {
	inside "$P" back python3 "$WORK/loopback.py" eth0 198.18.11.1 "$(address "$P" back back ipv4)" "$1"
}
is "though its bridge lets loopback addresses in" \
	"$(cat /proc/sys/net/ipv4/conf/"$(ip -br addr | sed -n 's|^\(br-[^ ]*\) .*198\.18\.11\.1/24.*|\1|p')"/route_localnet)" 1
no "none gets to the host's 127.0.0.1" spoof 8090
no "nor to what is published there" spoof 8002
no "nor to the other project's" spoof 8011

# ---- somebody else's rules ---------------------------------------------------------------
like "a table of others is left alone" "$(nft list table inet foreign 2>&1)" 'dport 9 counter'
tables() {
	nft list tables | grep -c 'inet comp-'
}
n=$(tables)
nft flush ruleset
is "after a flush the tables are put back" "$(until_true 2 bash -c "[ \$(nft list tables | grep -c 'inet comp-') = $n ]" && echo yes)" yes
no "with what they block" "${far_blocked[@]}" "http://$web/"
yes "and what they let through" get http://127.0.0.1:8001/
one down -t 0 >/dev/null 2>&1
is "down of one leaves the other's" "$(tables)" 1
yes "which still answers" get http://127.0.0.1:8010/
two down -t 0 >/dev/null 2>&1
is "down of both leaves none" "$(tables)" 0

# ---- the programs go while a project runs --------------------------------------------------
own=$WORK/own away=$WORK/away
mkdir "$own" "$away"
for name in comp comp-extract comp-fetch comp-init comp-monitor comp-nethelper comp-nft; do
	cp "$(dirname "$COMP")/$name" "$own/"
done
cat >moved.yaml <<E
services:
  web: {image: tiny, command: ["sleep", "1000"], ports: ["127.0.0.1:8020:80"]}
networks: {default: {ipam: {config: [{subnet: 198.18.13.0/24}]}}}
E
moved() { # moved COMP ARGUMENTS...
	"$1" -p "$P-m" -f moved.yaml --progress quiet "${@:2}"
}
moved "$own/comp" up -d
is "a project of an installation of its own" "$(tables)" 1
mv "$own"/comp* "$away/"
ok "its programs gone, down through its supervisor works" moved "$COMP" down -t 0
is "the table is gone with it" "$(tables)" 0
mv "$away"/comp* "$own/"
moved "$own/comp" up -d
rm "$own/comp-nft"
kill -9 "$(P=$P-m supervisor_pid)"
fails "without comp-nft the next supervisor says what it misses" 1 \
	"^comp: firewall: apply firewall rules: run $own/comp-nft: No such file" \
	moved "$own/comp" down -t 0
cp "$(dirname "$COMP")/comp-nft" "$own/"
ok "put back, down finishes" moved "$own/comp" down -t 0
is "nothing is left of it" "$(tables)" 0

clean
wait "${helpers[@]}" 2>/dev/null
trap finish EXIT
done_testing
