#!/usr/bin/env bash
# What survives a reboot: `comp boot` brings back what ran, in the order of the graph.
. "$(dirname "$0")/../lib/tap.sh"
. "$LIB/machine.sh"
plan 45

state() { # state SERVICE FIELD
	jq -r "select(.service == \"$1\") | .$2" "$COMP_ROOT/projects/$P"/containers/*/state.json
}

tiny_image tiny --change 'CMD ["sleep","1000"]'
port=$(free_port)

cat >compose.yaml <<E
services:
  db:
    image: tiny
    restart: always
    command: ["sh", "-c", "rm -f /tmp/up; sleep 0.4; touch /tmp/up; echo db speaks; exec sleep 1000"]
    healthcheck: {test: "test -f /tmp/up", interval: 100ms, retries: 1000}
  migrate: {image: tiny, command: ["sh", "-c", "echo migrated; exit 0"]}
  web:
    image: tiny
    restart: unless-stopped
    command: ["httpd", "-f", "-p", "80"]
    ports: ["127.0.0.1:$port:80"]
    depends_on:
      db: {condition: service_healthy}
      migrate: {condition: service_completed_successfully}
  worker: {image: tiny, restart: on-failure, command: ["sh", "-c", "exec sleep 1000"]}
  plain: {image: tiny}
  follower: {image: tiny, restart: always, depends_on: [plain]}
  "off": {image: tiny, restart: always}
  paused: {image: tiny, restart: always}
  crashing: {image: tiny, restart: always, command: ["sh", "-c", "sleep 0.2; exit 3"]}
E
out=$(machine 1 '
	comp -p "$P" --progress quiet up -d || echo "up failed"
	comp -p "$P" --progress quiet stop -t 0 off
	comp -p "$P" --progress quiet pause paused
	# Behind its back: with cgroup v1 SIGKILL waits for a thaw, which power does not.
	frozen=$(sed -n "s/.*:freezer://p" "/proc/$(pid_of paused)/cgroup")
	[ -z "$frozen" ] || echo THAWED >"/sys/fs/cgroup/freezer$frozen/freezer.state"
	' 2>&1)
is "the first boot brings it up" "$out" ""
is "power is lost with the web service on record as running" "$(state web status)" running

# ---- what is known without anybody who looked ---------------------------------------
ps=$(comp -p "$P" ps -a --format 'table {{.Service}}\t{{.State}}\t{{.Status}}')
like "ps: what ran is exited, and nobody knows how" "$ps" '^web +exited +Exited \(lost\)'
like "also without a restart policy" "$ps" '^plain +exited +Exited \(lost\)'
like "a one-shot that had completed still has" "$ps" '^migrate +exited +Exited \(0\)'
like "what was stopped is stopped" "$ps" '^off +exited +Exited \(137\)'
like "logs need no supervisor" "$(comp -p "$P" logs 2>&1)" 'db-1 +\| db speaks'
like "--dry-run says what would be done" "$(comp -p "$P" --dry-run boot 2>&1)" "$P-web-1 +Starting"
is "and does nothing" "$(find "$COMP_RUN" -name lock)" ""

# ---- the second boot ------------------------------------------------------------------
mv compose.yaml saved.yaml
cd / || exit 1
migrated=$(state migrate started_at)
out=$(machine 2 "port=$port"'
	comp boot 2>&1
	echo "code $?"
	python3 -c "
import urllib.request, urllib.error
try: urllib.request.urlopen(\"http://127.0.0.1:$port/none\")
except urllib.error.HTTPError as e: print(\"http\", e.code)"
	comp boot 2>&1 | sed "s/^/again /"
	comp -p "$P" ps -a --format "table {{.Service}}\t{{.Status}}" | sed "s/^/ps /"
	comp -p "$P" logs db 2>&1 | grep -c speaks | sed "s/^/lines /"')
like "boot, with no compose file at hand" "$out" '^code 0'
unlike "without an error" "$out" '^comp: '
like "says what it starts" "$out" "Container $P-web-1 +Started"
like "and what it does not, and why" "$out" \
	"Container $P-plain-1 +Not started \(it was running; restart policy \"no\"\)"
like "on-failure included" "$out" "Container $P-worker-1 +Not started .*on-failure"
like "and who misses it" "$out" "follower comes back without plain"
like "web is back" "$out" '^ps web +Up'
like "and published" "$out" '^http 404'
like "follower is back" "$out" '^ps follower +Up'
like "what was paused runs" "$out" '^ps paused +Up [^(]*$'
like "what was about to be restarted is back" "$out" '^ps crashing +(Up|Restarting)'
like "plain is shown as lost" "$out" '^ps plain +Exited \(lost\)'
unlike "nothing is said of what the user had stopped" "$out" "Container $P-off-1"
like "which is down" "$out" '^ps off +Exited'
unlike "the one-shot did not run again" "$out" "migrate-1 +Start"
is "it stays completed" "$(state migrate started_at)" "$migrated"
ok "web waited for the health of db" \
	test $(($(state web started_at) - $(state db started_at))) -ge 300000000
unlike "a second boot command finds everything running" "$out" '^again .*Start(ing|ed)'
like "the log goes on where it was" "$out" '^lines 2'

# ---- the third: a port is taken ---------------------------------------------------------
cat >"$WORK/p/broken.yaml" <<E
services:
  sick:
    image: tiny
    restart: always
    healthcheck: {test: "test ! -e /tmp/sick", interval: 100ms, retries: 2}
  needs: {image: tiny, restart: always, depends_on: {sick: {condition: service_healthy}}}
  free: {image: tiny, restart: always}
  oneshot: {image: tiny, command: ["sh", "-c", "test -e /tmp/ran || { touch /tmp/ran; exit 0; }; exec sleep 1000"]}
  after:
    image: tiny
    restart: always
    depends_on: {oneshot: {condition: service_completed_successfully, required: false}}
E
cat >"$WORK/p/other.yaml" <<E
services:
  one: {image: tiny, restart: always}
E
out=$(machine 3 "port=$port"'
	cd "$WORK/p"
	comp -p "$P-b" -f broken.yaml --progress quiet up --wait
	comp -p "$P-b" -f broken.yaml --progress quiet start oneshot
	comp -p "$P-b" --progress quiet exec -T sick touch /tmp/sick
	comp -p "$P-o" -f other.yaml --progress quiet up -d
	python3 -m http.server --bind 127.0.0.1 "$port" >/dev/null 2>&1 &
	answers() { python3 -c "import socket; socket.create_connection((\"127.0.0.1\", $port))"; }
	silent() { ! answers; }
	until_true 10 answers
	comp boot >"$WORK/boot.out" 2>&1
	echo "code $?"
	cat "$WORK/boot.out"
	comp -p "$P" ps -a --format "table {{.Service}}\t{{.Status}}" | sed "s/^/ps /"
	kill $!
	until_true 10 silent
	comp -p "$P" boot 2>&1 | sed "s/^/second /"
	comp -p "$P" ps -a --format "table {{.Service}}\t{{.Status}}" | sed "s/^/then /"' 2>&1)
like "a busy port: boot fails" "$out" '^code 1'
like "with one sentence for the project" "$out" \
	"^comp: project $P: $P-web-1 could not be brought back: .*$port"
like "the rest comes back" "$out" '^ps db +Up'
like "once the port is free the next boot brings it back" "$out" '^then web +Up'

# ---- the fourth: a dependency is not to be had -------------------------------------------
out=$(machine 4 '
	comp boot >"$WORK/boot.out" 2>&1
	echo "code $?"
	cat "$WORK/boot.out"
	comp ls --format table
	comp -p "$P-b" ps -a --format "table {{.Service}}\t{{.Status}}" | sed "s/^/ps /"' 2>&1)
like "every project comes back" "$out" "^$P-o +running\(1\)"
like "who waits for health that does not come is named" "$out" \
	"project $P-b: $P-b-needs-1 could not be brought back: .*sick.* unhealthy"
like "and does not run" "$out" '^ps needs +Exited'
like "others of the project do" "$out" '^ps free +Up'
like "a one-shot cut short does not count as done" "$out" 'oneshot.*complete successfully'
like "where it is not required its dependant comes back" "$out" '^ps after +Up'
fails "an unknown project" 1 "no such project: nobody" comp -p nobody boot

# ---- --all, and up as ever -----------------------------------------------------------
out=$(machine 5 '
	comp -p "$P" boot --all 2>&1
	comp -p "$P" ps -a --format "table {{.Service}}\t{{.Status}}" | sed "s/^/ps /"')
like "boot --all starts what has no policy" "$out" '^ps plain +Up'
# ---- stopped before it was brought back: it stays down ----------------------------------
out=$(machine 6 '
	comp -p "$P" stop web 2>&1 | sed "s/^/stop /"
	comp -p "$P" boot 2>&1
	echo "code $?"
	comp -p "$P" ps -a --format "table {{.Service}}\t{{.Status}}" | sed "s/^/ps /"')
like "stop of what the machine took down is acted on" "$out" "^stop .*Container $P-web-1 +Stopped"
like "boot brings back others" "$out" '^ps db +Up'
like "but not what was stopped meanwhile" "$out" '^ps web +Exited'
is "which does not count as lost any more" "$(state web 'lost // "no"')" no

cp "$WORK/p/saved.yaml" "$WORK/p/compose.yaml"
out=$(machine 7 'cd "$WORK/p"; comp -p "$P" --progress quiet up -d
	comp -p "$P" ps --format "{{.Service}}" | grep -v crashing | sort | tr "\n" " "')
is "up after a reboot starts everything" "$out" "db follower off paused plain web worker "
done_testing
