#!/usr/bin/env bash
# Bad input: one clear sentence, exit 1, and nothing left behind.
. "$(dirname "$0")/../lib/tap.sh"
plan 29

tiny_image tiny

# refused NAME REGEX: `up -d` of compose.yaml says so, and makes nothing
refused() {
	fails "$1" 1 "$2" comp -p "$P" up -d
	is "$1: nothing is there" "$(comp -p "$P" ps -a -q)$(ls "$COMP_ROOT/volumes" "$COMP_ROOT/networks" 2>/dev/null)" ""
}

fails "no compose file" 1 'no configuration file provided: not found' comp up -d

printf 'services:\n  web:\n\timage: tiny\n' >compose.yaml
refused "a tab in YAML" 'compose.yaml:3:1: '

cat >compose.yaml <<'YAML'
services:
  web:
    image: tiny
    enviroment:
      A: b
YAML
refused "an unknown key, with a suggestion" "compose.yaml:4:5: .*additional propert.*'enviroment' not allowed"
like "the suggestion" "$(comp up -d 2>&1)" "did you mean .?environment"
like "the line is shown with a caret" "$(comp up -d 2>&1)" '\| +\^'

cat >compose.yaml <<'YAML'
services:
  web:
    image: [tiny]
YAML
refused "a wrong type" 'compose.yaml:3:.*services.web.image must be a string'

cat >compose.yaml <<'YAML'
services:
  web:
    image: tiny
    networks: [fornt]
networks:
  front:
YAML
refused "an undefined network" 'service "web" refers to undefined network fornt'

cat >compose.yaml <<'YAML'
services:
  a: {image: tiny, depends_on: [b]}
  b: {image: tiny, depends_on: [a]}
YAML
refused "a dependency cycle" 'dependency cycle detected: a -> b -> a'

cat >compose.yaml <<'YAML'
services:
  web:
    image: localhost:1/to-be:found
YAML
refused "an image that cannot be pulled" 'compose.yaml:3:.*localhost:1/to-be:found'
like "how to get it" "$(comp up -d 2>&1)" 'comp load|image import'

port=$(free_port)
python3 -c "
import socket, time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('0.0.0.0', $port)); s.listen(); time.sleep(60)" &
holder=$!
until_true 5 bash -c "ss -Hlnt | grep -q :$port"
cat >compose.yaml <<YAML
services:
  web:
    image: tiny
    command: sleep 100
    ports: ["$port:80"]
    volumes: [data:/data]
volumes: {data: {}}
YAML
refused "a busy port, naming its owner" "port $port is already in use by python3 \(pid $holder\)"
kill $holder
wait $holder 2>/dev/null

cat >compose.yaml <<'YAML'
services:
  web:
    image: tiny
    command: [/no/such/program]
YAML
fails "an entry point that is not in the image" 1 'no/such/program.*no such file|/no/such/program.*not found' comp -p "$P" up -d
is "its exit code in ps" "$(comp -p "$P" ps -a --format json | jq .ExitCode)" 127
comp -p "$P" down >/dev/null 2>&1

cat >compose.yaml <<'YAML'
services:
  web:
    image: tiny
    command: [/etc/passwd]
YAML
fails "an entry point that cannot be executed" 1 '/etc/passwd.*[Pp]ermission denied' comp -p "$P" up -d
is "its exit code in ps" "$(comp -p "$P" ps -a --format json | jq .ExitCode)" 126
comp -p "$P" down >/dev/null 2>&1

head -c 100000 /dev/urandom >corrupt.tar
fails "a corrupt archive" 1 'corrupt.tar' comp load -i corrupt.tar
head -c 4000 "$WORK/tiny.tar" >short.tar
fails "a truncated root file system" 1 'short' comp image import short.tar short
is "the store has one image still" "$(comp image ls -q | wc -l)" 1

mkdir "$WORK/small"
if mount -t tmpfs -o size=1m none "$WORK/small"; then
	fails "a disk that is full while loading" 1 '[Nn]o space left' \
		env COMP_ROOT="$WORK/small/root" "$COMP" image import "$WORK/tiny.tar" tiny
	is "nothing half-made stays in the store" "$(find "$WORK/small/root/images" -type f -size +8k 2>/dev/null)" ""
	umount "$WORK/small"
else
	skip "a disk that is full while loading" "no tmpfs here"
	skip "nothing half-made stays in the store" "no tmpfs here"
fi

chmod 755 "$WORK" "$WORK/p"
cp compose.yaml /tmp/comp-bad-$$.yaml
chmod 644 /tmp/comp-bad-$$.yaml
fails "not root" 1 'root' setpriv --reuid=nobody --regid=nogroup --clear-groups \
	env COMP_ROOT=/tmp/comp-nobody-$$ COMP_RUN=/tmp/comp-nobody-$$/run "$COMP" -f /tmp/comp-bad-$$.yaml up -d
rm -rf /tmp/comp-bad-$$.yaml /tmp/comp-nobody-$$

cat >compose.yaml <<'YAML'
services:
  a: {image: tiny, command: sleep 100, networks: [tight]}
  b: {image: tiny, command: sleep 100, networks: [tight]}
  c: {image: tiny, command: sleep 100, networks: [tight]}
networks:
  tight:
    ipam: {config: [{subnet: 198.18.250.0/30}]}
YAML
fails "a subnet that is exhausted" 1 'no free address in 198.18.250.0/30' comp -p "$P" up -d

done_testing
