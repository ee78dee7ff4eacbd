#!/usr/bin/env bash
# Lifecycle hooks: post_start and pre_stop in the container, pre_start in its own.
. "$(dirname "$0")/../lib/tap.sh"
plan 45

c() {
	comp -p "$P" --progress quiet "$@"
}

in_container() {
	c exec -T "$@" </dev/null 2>&1
}

state() { # state SERVICE FIELD
	local id
	id=$(c ps -a -q --no-trunc "$1" | head -n 1)
	jq -r ".$2" "$COMP_ROOT/projects/$P/containers/$id/state.json"
}

tiny_image tiny --change 'CMD ["sleep","1000"]'
tiny_image other --change 'ENV FROM=other' --change 'ENTRYPOINT ["sh","-c"]' --change 'CMD ["false"]'

# ---- post_start -------------------------------------------------------------------------
cat >compose.yaml <<'E'
services:
  web:
    image: tiny
    init: true
    user: "1000"
    restart: always
    environment: {A: service, B: service}
    volumes: ["data:/data"]
    post_start:
      - command: ["sh", "-c", "id -u >/data/who; pwd >>/data/who; echo $$A $$B >>/data/who; chmod 777 /data"]
        user: root
        working_dir: /etc
        environment: {B: hook}
      - command: ["sh", "-c", "echo second >>/data/order"]
      - command: ["sh", "-c", "grep CapEff /proc/self/status >/data/caps"]
        privileged: true
        user: "0"
  after:
    image: tiny
    init: true
    command: ["sh", "-c", "cat /data/order >/seen; exec sleep 1000"]
    volumes: ["data:/data"]
    depends_on: [web]
volumes: {data: }
E
ok "up with post_start hooks" comp -p "$P" --progress quiet up -d
is "user, working_dir and environment of a hook" "$(in_container web cat /data/who)" $'0\n/etc\nservice hook'
is "hooks run in order, as the service's user" "$(in_container web stat -c %u /data/order)" 1000
like "privileged" "$(in_container web cat /data/caps)" 'CapEff:	0000003ff|CapEff:	000001ff'
is "dependants start after them" "$(in_container after cat /seen)" second
kill -9 "$(pid_of web)"
again() {
	[ "$(in_container web grep -c second /data/order)" = 2 ]
}
ok "they run again after a crash" until_true 10 again
c down -v -t 0

cat >compose.yaml <<'E'
services:
  web:
    image: tiny
    init: true
    post_start:
      - command: ["sh", "-c", "echo out of luck >&2; exit 3"]
      - command: ["touch", "/never"]
  after: {image: tiny, depends_on: [web]}
E
fails "a post_start hook that fails fails up" 1 'service "web": post_start hook exited with status 3: out of luck' \
	comp -p "$P" --progress quiet up -d
is "the container runs on" "$(state web status)" running
is "later hooks are not run" "$(in_container web ls /never | grep -c 'No such')" 1
is "dependants are not started" "$(state after status)" created
sed -i 's/\["sh", "-c", "echo out.*/["nonexistent"]/' compose.yaml
fails "a hook that cannot be run" 1 'post_start hook exited with status 127' comp -p "$P" --progress quiet up -d web
sed -i 's/\["nonexistent"\]/["sleep", "1000"]/' compose.yaml
timeout 2 "$COMP" -p "$P" --progress quiet up -d web >/dev/null 2>&1 &
ok "a hook under way" until_true 5 in_container web sh -c 'ps | grep -q "[s]leep 1000"'
wait $!
ok "does not hold up a stop" timeout 20 "$COMP" -p "$P" --progress quiet down -t 0

# a supervisor that dies meanwhile
cat >compose.yaml <<'E'
services:
  web:
    image: tiny
    init: true
    post_start:
      - command: ["sh", "-c", "echo x >>/ran; test $$(wc -l </ran) -ge 2 || sleep 1000"]
E
("$COMP" -p "$P" --progress quiet up -d >/dev/null 2>&1 || true) &
until_true 5 in_container web test -s /ran
kill -9 "$(supervisor_pid)"
wait $!
ok "hooks that were cut short run again" until_true 10 sh -c "[ \"\$($COMP -p $P exec -T web sh -c 'wc -l </ran' </dev/null)\" -ge 2 ]"
settled() {
	[ "$(state web post_start_due)" = null ]
}
ok "and are through then" until_true 5 settled
c down -t 0

# ---- pre_stop -----------------------------------------------------------------------------
cat >compose.yaml <<'E'
services:
  web:
    image: tiny
    init: true
    restart: always
    volumes: ["data:/data"]
    pre_stop:
      - command: ["sh", "-c", "echo stop >>/data/log"]
volumes: {data: }
E
c up -d
kill -9 "$(pid_of web)"
back() {
	[ "$(state web status)" = running ] && [ "$(state web restart_count)" = 1 ]
}
ok "a crash" until_true 10 back
is "runs no pre_stop hook" "$(in_container web cat /data/log | grep -c stop)" 0
c restart -t 0
is "a restart does" "$(in_container web cat /data/log)" stop
c stop -t 0
c start
is "so does a stop" "$(in_container web grep -c stop /data/log)" 2
c kill
c start
is "but not a kill" "$(in_container web grep -c stop /data/log)" 2
c pause
c stop -t 0
c start
is "a paused container is woken for its hooks" "$(in_container web grep -c stop /data/log)" 3
c up -d --force-recreate -t 0
is "making it anew is a stop, too" "$(in_container web grep -c stop /data/log)" 4
c down -v -t 0

cat >compose.yaml <<'E'
services:
  web:
    image: tiny
    init: true
    restart: always
    pre_stop:
      - command: ["sh", "-c", "test -e /may-go"]
  side: {image: tiny, init: true}
E
c up -d
fails "a pre_stop hook that fails fails stop" 1 'service "web": pre_stop hook exited with status 1' \
	comp -p "$P" --progress quiet stop web
is "and the container runs on" "$(state web status)" running
fails "it fails down" 1 'pre_stop hook exited with status 1' comp -p "$P" --progress quiet down -t 0
is "which leaves the container" "$(state web status)" running
kill -9 "$(pid_of web)"
ok "it is not taken for stopped" until_true 10 back
in_container web touch /may-go
ok "once it succeeds, down does" comp -p "$P" --progress quiet down -t 0

# ---- pre_start ------------------------------------------------------------------------------
cat >compose.yaml <<'E'
services:
  db: {image: tiny, hostname: database}
  web:
    image: tiny
    init: true
    container_name: ""
    restart: always
    environment: {A: service, B: service}
    depends_on: [db]
    ports: ["127.0.0.1::80"]
    volumes: ["data:/data", "/anonymous"]
    pre_start:
      - command: ["sh", "-c", "echo first $$A $$B >>/data/log; echo x >/anonymous/x; ping -c 1 -W 1 db >/dev/null && echo net >>/data/log"]
        environment: {B: hook}
        user: root
      - image: other
        command: ["echo second $$FROM >>/data/log"]
        working_dir: /data
volumes: {data: }
E
sed -i '/container_name/d' compose.yaml
out=$(comp -p "$P" --progress plain up -d 2>&1)
is "up with pre_start hooks" $? 0
log() {
	in_container web cat /data/log
}
is "run in order, in their images, on the service's networks and volumes" "$(log)" \
	$'first service hook\nnet\nsecond other'
is "anonymous ones, too" "$(in_container web cat /anonymous/x)" x
is "they are gone after" "$(c ps -a --format '{{.Name}}' | sort | xargs)" "$P-db-1 $P-web-1"
is "each came and went before the service started" \
	"$(grep -nE "pre_start-1 (Exited)|web-1 Starting" <<<"$out" | sed 's/.*Container //; s/ $//' | xargs)" \
	"$P-web-pre_start-1 Exited $P-web-1 Starting"
c restart -t 0 web
kill -9 "$(pid_of web)"
sleep 0.3
c up -d --scale web=2
is "not again on restart, crash, or scale" "$(in_container db true; log | wc -l)" 3
sed -i 's/second/2nd/' compose.yaml
c up -d -t 0
is "again when the definition changes" "$(log | tail -n 3)" $'first service hook\nnet\n2nd other'
c up -d -t 0 --force-recreate web
is "and when made anew" "$(log | wc -l)" 9
c down -v -t 0

cat >compose.yaml <<'E'
services:
  web:
    image: tiny
    init: true
    volumes: ["data:/data"]
    pre_start:
      - command: ["sh", "-c", "echo tried >>/data/log; test -e /data/ready"]
volumes: {data: }
E
fails "a pre_start hook that fails fails up" 1 'service "web" pre_start\[0\]: hook exited with status 1' \
	comp -p "$P" --progress quiet up -d
is "the service is not started" "$(state web status)" created
is "its container is kept" "$(c ps -a --format '{{.Name}} {{.State}}' | grep pre_start)" "$P-web-pre_start-0 exited"
comp image import "$WORK/tiny.tar" toucher --change 'ENTRYPOINT ["touch"]' >/dev/null
touch "$COMP_ROOT/volumes/${P}_data/_data/ready"
ok "the next up tries again" comp -p "$P" --progress quiet up -d
is "and cleans up" "$(c ps -a --format '{{.Name}} {{.State}}' | xargs)" "$P-web-1 running"
c down -v -t 0
mkdir -p "$COMP_ROOT/volumes"
c create
is "create makes them without running them" "$(c ps -a --format '{{.Name}} {{.State}}' | sort | xargs)" \
	"$P-web-1 created $P-web-pre_start-0 created"
touch "$COMP_ROOT/volumes/${P}_data/_data/ready"
ok "start runs them" comp -p "$P" --progress quiet start
is "first" "$(c ps -a --format '{{.Name}} {{.State}}' | xargs)$(in_container web cat /data/log)" "$P-web-1 runningtried"
c down -v -t 0
sed -i 's/- command: .*/- {command: ["sh", "-c", "echo $$HOSTNAME >>\/data\/log"], per_replica: true}/' compose.yaml
c up -d --scale web=2
c up -d --scale web=3
is "per_replica: once for each" "$(in_container web sh -c 'wc -l </data/log')" 3
c down -v -t 0

done_testing
