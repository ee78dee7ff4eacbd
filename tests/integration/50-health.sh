#!/usr/bin/env bash
# Health: what a check may be, what it keeps, and what happens to the unhealthy.
. "$(dirname "$0")/../lib/tap.sh"
plan 27

c() {
	comp -p "$P" --progress quiet "$@"
}

state() { # state SERVICE FIELD
	local id
	id=$(c ps -a -q --no-trunc "$1")
	jq -r ".$2" "$COMP_ROOT/projects/$P/containers/$id/state.json"
}

healthy() {
	[ "$(state "$1" health)" = healthy ]
}
unhealthy() {
	[ "$(state "$1" health)" = unhealthy ]
}

tiny_image tiny --change 'CMD ["sleep","1000"]'
tiny_image checked --change 'CMD ["sleep","1000"]' \
	--change 'HEALTHCHECK --interval=100ms --retries=2 CMD test -e /ready'

# An image without anything a probe could run.
mkdir -p "$WORK/bare"
cp /bin/busybox "$WORK/bare/busybox"
mkdir -p "$WORK/bare/www"
echo fine >"$WORK/bare/www/healthz"
tar -C "$WORK/bare" -cf "$WORK/bare.tar" .
comp image import "$WORK/bare.tar" bare >/dev/null

# ---- kinds of checks ----------------------------------------------------------------
cat >compose.yaml <<'E'
x-fast: &fast {interval: 100ms, retries: 2}
services:
  cmd: {image: tiny, healthcheck: {<<: *fast, test: ["CMD", "test", "-d", "/tmp"]}}
  shell: {image: tiny, healthcheck: {<<: *fast, test: "test -d /tmp && true"}}
  none: {image: checked, healthcheck: {test: ["NONE"]}}
  disabled: {image: checked, healthcheck: {disable: true}}
  own: {image: checked}
  tcp:
    image: bare
    command: ["/busybox", "httpd", "-f", "-p", "8080", "-h", "/www"]
    x-comp-probe: {tcp: 8080}
    healthcheck: {interval: 100ms, retries: 50}
  http:
    image: bare
    command: ["/busybox", "httpd", "-f", "-p", "8080", "-h", "/www"]
    user: "1000"
    x-comp-probe: {http: "http://:8080/healthz", status: 200}
    healthcheck: {interval: 100ms, retries: 50}
  missing:
    image: bare
    command: ["/busybox", "httpd", "-f", "-p", "8080", "-h", "/www"]
    x-comp-probe: {http: "http://:8080/other"}
    healthcheck: {interval: 100ms, retries: 2}
  shut:
    image: bare
    command: ["/busybox", "sleep", "1000"]
    x-comp-probe: {tcp: 8080}
    healthcheck: {interval: 100ms, retries: 2}
  shared:
    image: bare
    network_mode: "service:http"
    command: ["/busybox", "sleep", "1000"]
    x-comp-probe: {tcp: 8080}
    healthcheck: {interval: 100ms, retries: 50}
E
c up -d
for s in cmd shell tcp http shared; do
	ok "$s gets healthy" until_true 10 healthy "$s"
done
for s in own missing shut; do
	ok "$s gets unhealthy" until_true 10 unhealthy "$s"
done
is "test: NONE is no check" "$(state none health)" ""
is "nor is disable: true" "$(state disabled health)" ""
c exec -T own touch /ready </dev/null
ok "an unhealthy container can recover" until_true 5 healthy own
is "a probe leaves no process in the container" "$(c exec -T tcp /busybox ps </dev/null | grep -c "busybox httpd")" 1
c down -t 0

# ---- what is refused -------------------------------------------------------------------
refused() { # refused NAME REGEX YAML
	printf 'services: {a: {image: tiny, %s}}\n' "$3" >compose.yaml
	fails "$1" 1 "$2" comp -p "$P" --progress quiet up -d
}
refused "a probe of both kinds" 'either tcp or http' 'x-comp-probe: {tcp: 80, http: "http://:80/"}'
refused "a probe by name" '"db" is not an address' 'x-comp-probe: {tcp: "db:80"}'
refused "https" 'does not start with http://' 'x-comp-probe: {http: "https://:80/"}'
refused "a probe beside a test" 'exclude each other' 'x-comp-probe: {tcp: 80}, healthcheck: {test: "true"}'
refused "an unknown key" 'tpc' 'x-comp-probe: {tpc: 80}'
refused "an unknown reaction" 'x-comp-on-unhealthy' 'x-comp-on-unhealthy: panic'

# ---- fast until ready, bounded always ---------------------------------------------------
cat >compose.yaml <<'E'
services:
  slow:
    image: tiny
    command: ["sh", "-c", "sleep 0.5; touch /tmp/up; exec sleep 1000"]
    healthcheck: {test: "test -e /tmp/up", interval: 1h, start_period: 1h}
  hangs:
    image: tiny
    healthcheck: {test: "sleep 1001 & sleep 1001", interval: 100ms, timeout: 200ms, retries: 2}
  floods:
    image: tiny
    healthcheck: {test: "yes; false", interval: 100ms, timeout: 300ms, retries: 1}
E
t0=$(date +%s%N)
c up -d
ok "probes are fast until the first success" until_true 5 healthy slow
ok "a check that hangs is killed at its timeout" until_true 5 unhealthy hangs
ok "one that prints for ever, too" until_true 5 unhealthy floods
ok "with what it left running" until_true 5 test "$(c exec -T hangs ps </dev/null | grep -c 'sleep 1001')" -le 3
c down -t 0

# ---- x-comp-on-unhealthy: restart --------------------------------------------------------
cat >compose.yaml <<'E'
services:
  web:
    image: tiny
    command: ["sh", "-c", "rm -f /sick; exec sleep 1000"]
    healthcheck: {test: "test ! -e /sick", interval: 100ms, retries: 2}
    x-comp-on-unhealthy: restart
  after:
    image: tiny
    depends_on: {web: {condition: service_healthy, restart: true}}
  never:
    image: tiny
    init: true
    healthcheck: {test: "false", interval: 50ms, retries: 1}
    x-comp-on-unhealthy: restart
    deploy: {restart_policy: {max_attempts: 2}}
  third:
    image: tiny
    command: ["sh", "-c", "echo x >>/starts; exec sleep 1000"]
    init: true
    healthcheck: {test: "test $$(wc -l </starts) -ge 3", interval: 50ms, retries: 1}
    x-comp-on-unhealthy: restart
E
c up -d web after
until_true 5 healthy web
before=$(state after started_at)
c exec -T web touch /sick </dev/null
restarted() {
	[ "$(state web restart_count)" = 1 ] && healthy web
}
ok "an unhealthy container is restarted" until_true 10 restarted
followed() {
	[ "$(state after started_at)" -gt "$before" ]
}
ok "and who depends on it follows" until_true 10 followed
ok "waiting for health waits through such restarts" comp -p "$P" --progress quiet up --wait third
is "with the restarts counted" "$(state third restart_count)" 2
c up -d never
gave_up() {
	[ "$(state never status)" = exited ] && [ "$(state never restart_count)" = 2 ]
}
ok "max_attempts counts them" until_true 10 gave_up
c down -t 0

done_testing
