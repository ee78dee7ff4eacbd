#!/usr/bin/env bash
# Names, networks and published ports, as containers, the host and a neighbour see them.
. "$(dirname "$0")/../lib/tap.sh"
plan 78

c() {
	comp -p "$P" "$@"
}

# in_container SERVICE COMMAND...: its output
in_container() {
	c exec -T "$@" </dev/null 2>&1
}

# lookup SERVICE NAME [TYPE]: addresses, sorted
lookup() {
	in_container "$1" nslookup -type="${3:-a}" "$2" | sed -n '/^Name:/,$s/^Address: *//p' | sort
}

# address SERVICE [NETWORK [INDEX]]: what the record says, IPv4
address() {
	jq -r ".networks[] | select(.network == \"${P}_${2:-default}\") | .ipv4" \
		"$COMP_ROOT/projects/$P/containers/$(c ps -q "$1" | sed -n "${3:-1}p")/state.json" | cut -d / -f 1
}

# reaches SERVICE ADDRESS: by ping
reaches() {
	in_container "$1" ping -c 1 -W 1 "$2" >/dev/null
}

get() {
	curl -s -m 3 "$@"
}

udp() {
	python3 - "$@" <<'PY'
import socket, sys
host, port = sys.argv[1], int(sys.argv[2])
s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(1)
for attempt in range(3):
    try:
        s.sendto(b"ping", (host, port))
        print(s.recv(100).decode())
        break
    except OSError as e:
        error = e
else:
    print(error)
PY
}

netns=n$$
helpers=
clean() {
	# shellcheck disable=SC2086 # a list of pids
	[ -z "$helpers" ] || kill $helpers 2>/dev/null
	ip netns pids "$netns" 2>/dev/null | xargs -r kill
	ip netns del "$netns" 2>/dev/null
	ip link del "v$$" 2>/dev/null
}
trap 'clean; finish' EXIT

tiny_image tiny --change 'CMD ["sh","-c","hostname >/tmp/index.html; exec httpd -f -p 80 -h /tmp"]'

# ---- names ----------------------------------------------------------------------
cat >compose.yaml <<E
services:
  web:
    image: tiny
    networks: {front: , back: {aliases: [www, db.internal]}}
  named: {image: tiny, container_name: $P-own, networks: [back], hostname: myhost}
  many: {image: tiny, networks: [back], scale: 3}
  lonely: {image: tiny, networks: [front]}
  inner:
    image: tiny
    networks: [closed]
    dns_search: [example.test]
  inner2: {image: tiny, networks: [closed, back]}
  six:
    image: tiny
    networks: {six: {ipv4_address: 198.18.66.66, ipv6_address: "fd77:66::66"}}
  six2: {image: tiny, networks: [six]}
  hosts:
    image: tiny
    networks: [back]
    extra_hosts: ["db.example:10.1.2.3", "six.example=::1", "gateway.example:host-gateway"]
    links: ["named:linked"]
  none: {image: tiny, network_mode: none}
  host: {image: tiny, command: sleep 1000, network_mode: host}
  joined: {image: tiny, command: sleep 1000, network_mode: "service:web"}
networks:
  front:
  back:
  closed: {internal: true}
  six:
    enable_ipv6: true
    ipam: {config: [{subnet: 198.18.66.0/24}, {subnet: "fd77:66::/64"}]}
E
ok "up" comp -p "$P" up -d
web=$(address web back)
is "a service" "$(lookup named web)" "$web"
is "a container" "$(lookup named "$P-web-1")" "$web"
is "an alias" "$(lookup named www)" "$web"
is "an alias with a dot" "$(lookup named db.internal)" "$web"
is "a short id" "$(lookup named "$(c ps --format '{{.ID}}' web)")" "$web"
is "letters of either case" "$(lookup named WEB)" "$web"
is "a container_name" "$(lookup web "$P-own")" "$(address named back)"
is "its service" "$(lookup web named)" "$(address named back)"
is "a link" "$(lookup hosts linked)" "$(address named back)"
like "reverse" "$(in_container named nslookup "$web")" "name = $P-web-1"
unlike "AAAA of a name with A only is no error" "$(in_container named nslookup -type=aaaa web)" "can't find|fail|refuse"
like "an unknown name is" "$(in_container named nslookup -type=a nobody)" "can't find|NXDOMAIN|SERVFAIL"
is "all replicas" "$(lookup web many | wc -l)" 3
firsts() {
	for _ in 1 2 3 4 5 6; do
		in_container web nslookup -type=a many | sed -n '/^Name:/,$s/^Address: *//p' | head -n 1
	done | sort -u | wc -l
}
is "in turn" "$(($(firsts) > 1))" 1
is "the number of a replica" "$(lookup web "$P-many-2")" "$(address many back 2)"
is "on a common network only" "$(lookup lonely named)" ""
is "and only with the address there" "$(lookup lonely web)" "$(address web front)"
like "resolv.conf" "$(in_container named cat /etc/resolv.conf)" '^nameserver 127\.0\.0\.11$'
like "dns_search" "$(in_container inner cat /etc/resolv.conf)" '^search example\.test$'
is "IPv6" "$(lookup six2 six aaaa)" fd77:66::66
is "IPv4 beside it" "$(lookup six2 six)" 198.18.66.66
is "a connection by IPv6" "$(in_container six2 wget -q -O - 'http://[fd77:66::66]/')" \
	"$(c ps --format '{{.ID}}' six)"
c stop -t 0 named >/dev/null 2>&1
is "a stopped one has no name" "$(lookup web named)" ""
before=$(address many back 1)
c restart -t 0 many >/dev/null 2>&1
is "a restarted one keeps its address" "$(address many back 1)" "$before"

# ---- hosts -------------------------------------------------------------------------
hosts=$(in_container hosts cat /etc/hosts)
like "localhost" "$hosts" $'^127\.0\.0\.1[ \t]+localhost'
like "itself" "$hosts" "^$(address hosts back)[[:space:]]+$(c ps --format '{{.ID}}' hosts)"
like "extra_hosts" "$hosts" $'^10\.1\.2\.3[ \t]+db\.example$'
like "with =" "$hosts" $'^::1[ \t]+six\.example$'
like "host-gateway" "$hosts" "^$(address hosts back | cut -d . -f 1-2)\.[0-9.]+[[:space:]]+gateway\.example$"

# ---- who reaches whom -----------------------------------------------------------------
ok "a neighbour on the network" reaches web "$(address many back 1)"
is "not one on another network" "$(reaches lonely "$(address many back 1)" || echo no)" no
is "nor by way of who is on both" "$(in_container lonely ip route | grep -c via)" 1
is "an internal network has no way out" "$(in_container inner ip route | grep -c default)" 0
ok "but its members reach each other" reaches inner "$(address inner2 closed)"
is "one with another network, too, has one" "$(in_container inner2 ip route | grep -c default)" 1
is "network_mode none: loopback only" "$(in_container none ls /sys/class/net)" lo
is "host: the host's namespace" "$(in_container host readlink /proc/self/ns/net)" "$(readlink /proc/self/ns/net)"
is "service:x: that service's namespace" "$(in_container joined readlink /proc/self/ns/net)" \
	"$(in_container web readlink /proc/self/ns/net)"
is "its localhost" "$(in_container joined wget -q -O - http://127.0.0.1/)" "$(c ps --format '{{.ID}}' web)"
is "its names" "$(lookup joined many | wc -l)" 3
is "its hosts file" "$(in_container joined cat /etc/hosts)" "$(in_container web cat /etc/hosts)"
kill -9 "$(pid_of web)"
until_true 5 bash -c "'$COMP' -p $P ps -a web | grep Exited"
c start web >/dev/null 2>&1
until_true 5 in_container joined wget -q -O - http://127.0.0.1/
is "which outlives that service's process" "$(in_container joined wget -q -O - http://127.0.0.1/)" \
	"$(c ps --format '{{.ID}}' web)"
c down -t 0 >/dev/null 2>&1

# ---- published ports ---------------------------------------------------------------------
any=$(free_port) loop=$(free_port) datagram=$(free_port) range=$(free_port)
cat >compose.yaml <<E
services:
  web:
    image: tiny
    ports: ["$any:80", "127.0.0.1:$loop:80", "$datagram:9/udp", "81"]
  pool:
    image: tiny
    scale: 2
    ports: ["$range-$((range + 5)):80"]
E
ok "up" comp -p "$P" up -d
id=$(c ps --format '{{.ID}}' web)
nsenter -t "$(pid_of web)" -n python3 - <<'PY' &
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(("::", 9))
while True:
    data, peer = s.recvfrom(100)
    s.sendto(b"pong", peer)
PY
helpers=$!
until_true 5 bash -c "nsenter -t $(pid_of web) -n ss -Hlnu | grep ':9 '"
until_true 5 get "http://127.0.0.1:$any/"
is "tcp by 127.0.0.1" "$(get "http://127.0.0.1:$any/")" "$id"
is "tcp by [::1]" "$(get "http://[::1]:$any/")" "$id"
is "udp by 127.0.0.1" "$(udp 127.0.0.1 "$datagram")" pong
is "udp by [::1]" "$(udp ::1 "$datagram")" pong
is "one bound to 127.0.0.1" "$(get "http://127.0.0.1:$loop/")" "$id"
ps=$(c ps --format '{{.Ports}}' web)
like "ps shows both families" "$ps" "0\.0\.0\.0:$any->80/tcp, .*\[::\]:$any->80/tcp"
like "and the address" "$ps" "127\.0\.0\.1:$loop->80/tcp"
like "and udp" "$ps" "0\.0\.0\.0:$datagram->9/udp"
like "and a port that was chosen" "$ps" '0\.0\.0\.0:[0-9]+->81/tcp'
is "port" "$(c port web 80)" "0.0.0.0:$any"
is "port of udp" "$(c port --protocol udp web 9)" "0.0.0.0:$datagram"
pool=$(c ps --format '{{.Ports}}' pool | grep -oE '0\.0\.0\.0:[0-9]+' | sort -u)
is "each replica takes one port of a range" "$(wc -l <<<"$pool")" 2
for p in $pool; do until_true 5 get "http://127.0.0.1:${p#*:}/"; done
is "and answers there" "$(for p in $pool; do get "http://127.0.0.1:${p#*:}/"; done | sort -u | wc -l)" 2
is "a container reaches a published port of the host" \
	"$(in_container pool timeout 3 wget -q -O - "http://$(in_container pool ip route | sed -n 's/default via \([^ ]*\).*/\1/p'):$any/")" "$id"

subnet=198.18.$((RANDOM % 64)).
ip netns add "$netns"
ip link add "v$$" type veth peer name e0 netns "$netns"
ip addr add "${subnet}1/24" dev "v$$"
ip link set "v$$" up
ip -n "$netns" addr add "${subnet}2/24" dev e0
ip -n "$netns" link set e0 up
ip -n "$netns" link set lo up
ip -n "$netns" route add default via "${subnet}1"
neighbour() {
	ip netns exec "$netns" "$@"
}
is "tcp from a neighbour" "$(neighbour curl -s -m 3 "http://${subnet}1:$any/")" "$id"
export -f udp
is "udp from a neighbour" "$(neighbour bash -c "udp ${subnet}1 $datagram")" pong
is "not what is bound to 127.0.0.1" "$(neighbour curl -s -m 1 "http://${subnet}1:$loop/" || echo no)" no
is "not the container itself" "$(neighbour curl -s -m 1 "http://$(address web)/" || echo no)" no

# A port is its owner's as long as the container is there, and nobody's after.
kill "$helpers"
helpers=
kill -9 "$(pid_of web)"
until_true 5 bash -c "'$COMP' -p $P ps -a web | grep Exited"
python3 -m http.server --bind 127.0.0.1 "$any" >/dev/null 2>&1 &
helpers=$!
is "the port of a container that exited is free" "$(until_true 5 get "http://127.0.0.1:$any/" && echo yes)" yes
fails "and busy for it when another has it" 1 "port $any is already in use by python3 \(pid $helpers\)" \
	comp -p "$P" --progress quiet start web
is "it is not started" "$(c ps --services | sort | xargs)" pool
c down -t 0 >/dev/null 2>&1
fails "a busy port is refused before anything is made" 1 "port $any is already in use by python3 \(pid $helpers\)" \
	comp -p "$P" --progress quiet up -d
is "nothing was" "$(c ps -a -q)$(ip link show type bridge | grep -c "br-.*$P")" 0
kill "$helpers"
wait "$helpers" 2>/dev/null
helpers=

# ---- two projects ---------------------------------------------------------------------------
ok "the first of two" comp -p "$P" up -d
fails "the second is told who has the port" 1 "port $any is already in use by project $P \(service web\)" \
	comp -p "${P}b" --progress quiet up -d
mkdir second
cat >second/compose.yaml <<E
services:
  web: {image: tiny}
  peer: {image: tiny}
E
d() {
	comp -p "${P}b" --project-directory second -f second/compose.yaml "$@"
}
ok "without it" d up -d
is "each has its own names" "$(d exec -T peer nslookup -type=a web </dev/null | sed -n '/^Name:/,$s/^Address: *//p')" \
	"$(jq -r '.networks[0].ipv4' "$COMP_ROOT/projects/${P}b/containers/$(d ps -q web)/state.json" | cut -d / -f 1)"
is "and does not reach the other's" "$(d exec -T peer ping -c 1 -W 1 "$(address web)" </dev/null >/dev/null || echo no)" no
is "ls" "$(comp ls -q | sort | xargs)" "$P ${P}b"
ok "down of one" d down -t 0
is "leaves the other" "$(get "http://127.0.0.1:$any/")" "$(c ps --format '{{.ID}}' web)"
c down -t 0 >/dev/null 2>&1

# ---- subnets ----------------------------------------------------------------------------------
cat >compose.yaml <<E
services:
  web: {image: tiny}
networks:
  default: {ipam: {config: [{subnet: ${subnet}0/24}]}}
E
fails "a subnet that the host has" 1 "${subnet}0/24.*(v$$|in use|overlap)" comp -p "$P" --progress quiet up -d
sed -i "s|${subnet}0/24|198.18.70.0/30|; s/web:/web: {image: tiny}\n  web2:/" compose.yaml
fails "a subnet that is too small" 1 '198\.18\.70\.0/30|no free address' comp -p "$P" --progress quiet up -d
c down -t 0 >/dev/null 2>&1
cat >compose.yaml <<E
services:
  web: {image: tiny, networks: [shared]}
networks:
  shared: {external: true, name: ${P}_none}
E
fails "an external network that is not there" 1 "network ${P}_none declared as external, but could not be found" \
	comp -p "$P" --progress quiet up -d

clean
trap finish EXIT
done_testing
