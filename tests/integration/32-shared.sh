#!/usr/bin/env bash
# What containers have of each other: volumes_from, and namespaces of one that is made anew.
. "$(dirname "$0")/../lib/tap.sh"
plan 23

c() {
	timeout 60 "$COMP" -p "$P" --progress quiet "$@" </dev/null
}
in_service() { # in_service SERVICE COMMAND
	c exec -T "$1" sh -c "$2" 2>&1
}
id_of() {
	c ps -a -q "$1"
}

# An image that declares a volume with something in it.
tiny_image plain
mkdir -p image
cat >image/Dockerfile <<'D'
FROM plain
RUN mkdir -p /declared && echo of the image >/declared/file
VOLUME /declared
D
comp image build -q -t declares image >/dev/null

# ---- volumes_from ------------------------------------------------------------------------
mkdir -p bound own
echo host >bound/file
cat >compose.yaml <<'Y'
services:
  data:
    image: declares
    init: true
    command: sleep 86400
    environment: {ROUND: "${ROUND:-1}"}
    volumes: ["named:/named", "./bound:/bound:ro", /anonymous, "/tmp/scratch"]
    tmpfs: [/scratch]
  app:
    image: plain
    init: true
    command: sleep 86400
    depends_on: [data]
    volumes_from: [data]
    volumes: ["./own:/own"]
  reader:
    image: declares
    init: true
    command: sleep 86400
    volumes_from: ["app:ro"]
    volumes: ["./own:/anonymous"]
volumes: {named: }
Y
ok "up" c up -d
is "nothing is left out" "$(c up -d 2>&1)" ""
is "what the image declares" "$(in_service app 'cat /declared/file')" "of the image"
in_service data 'echo n >/named/f; echo a >/anonymous/f; touch /scratch/f' >/dev/null
is "a named volume and an anonymous one" "$(in_service app 'cat /named/f /anonymous/f' | xargs)" "n a"
is "a bind, read-only as it was" "$(in_service app 'cat /bound/file; touch /bound/x 2>/dev/null || echo refused' | xargs)" "host refused"
is "no tmpfs" "$(in_service app 'ls /scratch 2>/dev/null')" ""
in_service app 'echo back >/anonymous/g' >/dev/null
is "and the other way" "$(in_service data 'cat /anonymous/g')" back
is "handed on, read-only" "$(in_service reader 'cat /named/f; touch /named/x 2>/dev/null || echo refused' | xargs)" "n refused"
is "its own mount stays" "$(in_service reader 'touch /anonymous/mine && ls /anonymous')" mine
is "instead of what only its image declares" "$(in_service reader 'touch /declared/x 2>/dev/null || echo refused')" refused
before=$(id_of app)
ok "the first one is made anew" env ROUND=2 "$COMP" -p "$P" --progress quiet up -d
is "the others with it" "$([ "$(id_of app)" != "$before" ] && echo anew)" anew
is "what was in its volumes is there" "$(in_service app 'cat /anonymous/f')" a
cat >other.yaml <<Y
services:
  guest: {image: plain, init: true, command: sleep 86400, volumes_from: ["container:$P-data-1:ro"]}
Y
ok "a container of another project" comp -p "$P-2" -f other.yaml --progress quiet up -d
is "has it" "$(comp -p "$P-2" -f other.yaml exec -T guest cat /named/f)" n
comp -p "$P-2" -f other.yaml --progress quiet down -t 0
sed -i "s/$P-data-1/nobody/" other.yaml
fails "a container that is not there" 1 'other.yaml:2:.*no such container: nobody' comp -p "$P-2" -f other.yaml up -d
fails "a service without a container" 1 'volumes_from: service "data" has no container' c up -d --scale data=0
ok "down -v" c down -v -t 0
is "no volume stays" "$(comp volume ls -q | grep -c . || true)" 0

# ---- a namespace of one that is made anew ---------------------------------------------------
cat >compose.yaml <<'Y'
services:
  vpn: {image: plain, init: true, command: sleep 86400, environment: {ROUND: "${ROUND:-1}"}}
  app:
    image: plain
    init: true
    command: sleep 86400
    network_mode: "service:vpn"
    depends_on: [vpn]
Y
ok "network_mode: service:x, with depends_on as well" c up -d
before=$(id_of app)
ok "x is made anew" env ROUND=2 "$COMP" -p "$P" --progress quiet up -d
is "so is who shares its network" "$([ "$(id_of app)" != "$before" ] && echo anew)" anew
is "and has one" "$(in_service app 'ip -o link show eth0 | grep -c eth0')" 1
c down -t 0
done_testing
