#!/usr/bin/env bash
# A project as a systemd unit: the unit file, and what its main process does.  There is no
# systemd here, so the unit is read by systemd-analyze and the test is the service manager.
. "$(dirname "$0")/../lib/tap.sh"
plan 35

c() {
	comp -p "$P" --progress quiet "$@"
}
state() { # state SERVICE FIELD
	jq -r "select(.service == \"$1\") | .$2" "$COMP_ROOT/projects/$P"/containers/*/state.json
}
is_now() { # is_now SERVICE STATUS
	[ "$(state "$1" status)" = "$2" ]
}
heard() { # heard REGEX: the manager was told
	grep -qsE -- "$1" "$WORK/notify.log"
}

# ---- the file -------------------------------------------------------------------------
units=$WORK/units
mkdir -p "$units/multi-user.target.wants"
tiny_image tiny --change 'CMD ["sleep","1000"]'
cat >compose.yaml <<'E'
services:
  db:
    image: tiny
    restart: always
    command: ["sh", "-c", "rm -f /tmp/up; sleep 0.6; touch /tmp/up; exec sleep 1000"]
    stop_signal: SIGKILL
    healthcheck: {test: "test -f /tmp/up", interval: 100ms, retries: 1000}
  once: {image: tiny, command: "true"}
  plain: {image: tiny, stop_signal: SIGKILL}
  web:
    image: tiny
    restart: unless-stopped
    stop_signal: SIGKILL
    depends_on: {db: {condition: service_started}}
E
out=$(comp -p "$P" systemd install --unit-dir "$units" 2>&1)
like "install says where the unit is" "$out" "Wrote $units/comp-$P.service"
like "and what to do next" "$out" "systemctl daemon-reload && systemctl enable --now comp-$P"
like "a project without containers is warned of" "$out" "no containers"
unit=$units/comp-$P.service
ok "the unit is printed as it was written" \
	diff "$unit" <(comp -p "$P" systemd print)
like "it keeps COMP_ROOT" "$(cat "$unit")" "Environment=\"COMP_ROOT=$COMP_ROOT\""
if command -v systemd-analyze >/dev/null; then
	out=$(systemd-analyze verify --man=no "$unit" 2>&1 | grep -F "comp-$P")
	is "systemd-analyze verify has nothing to say" "$out" ""
	sed 's/^Delegate=.*/Delegate=perhaps/' "$unit" >"$units/comp-bad.service"
	like "which it does of a wrong unit" \
		"$(systemd-analyze verify --man=no "$units/comp-bad.service" 2>&1)" "perhaps"
else
	skip "systemd-analyze verify has nothing to say" "no systemd-analyze"
	skip "which it does of a wrong unit" "no systemd-analyze"
fi
out=$(COMP_PUBLISH='a%b$c "d"' comp -p "$P" systemd print)
like "what systemd would expand is escaped" "$out" '^Environment="COMP_PUBLISH=a%%b\$c \\"d\\""'
like "--dry-run only shows it" "$(comp --dry-run -p "$P-x" systemd install --unit-dir "$units" 2>&1)" \
	"comp-$P-x.service would be"
ok "and writes nothing" test ! -e "$units/comp-$P-x.service"
echo foreign >"$units/comp-$P-y.service"
fails "a unit of somebody else is left alone" 1 "was not written by comp" \
	comp -p "$P-y" systemd install --unit-dir "$units"
fails "also by remove" 1 "was not written by comp" \
	comp -p "$P-y" systemd remove --unit-dir "$units"
ln -s "$unit" "$units/multi-user.target.wants/"
ok "remove" comp -p "$P" systemd remove --unit-dir "$units"
is "takes the unit and its link away" "$(find "$units" -name "comp-$P.service")" ""
fails "a second remove says so" 1 "has no unit" comp -p "$P" systemd remove --unit-dir "$units"

# ---- its main process --------------------------------------------------------------------
manager() { # what systemd does to start it
	rm -f "$WORK/notify.sock" "$WORK/notify.log"
	"$LIB/notify-receiver" "$WORK/notify.sock" "$WORK/notify.log" \
		"$COMP_ROOT/projects/$P/containers/*/state.json" &
	receiver=$!
	until_true 5 test -S "$WORK/notify.sock"
	NOTIFY_SOCKET=$WORK/notify.sock "$COMP" -p "$P" --progress plain systemd run \
		>>"$WORK/main.log" 2>&1 &
	main=$!
}
manager_done() {
	kill "$receiver" 2>/dev/null
	wait "$receiver" 2>/dev/null
}
# shellcheck disable=SC2064
trap 'kill $main $receiver 2>/dev/null; finish' EXIT

c up -d
c up --wait
manager
ok "attending a running stack is ready" until_true 10 heard '^READY=1'
kill "$main"
wait "$main"
is "SIGTERM is a clean stop" $? 0
ok "the manager hears of it" heard '^STOPPING=1'
ok "and how long it may take" heard '^EXTEND_TIMEOUT_USEC=[0-9]{8}'
is "the containers are down, their records stay" "$(state db status) $(state plain status)" \
	"exited exited"
is "not as if the user had stopped them" "$(state plain user_stopped)" false
manager_done

manager
ok "a start brings the stack back" until_true 10 heard '^READY=1'
is "ready means healthy" "$(grep '^seen db' "$WORK/notify.log")" "seen db running healthy"
is "without a restart policy as well" "$(grep '^seen plain' "$WORK/notify.log")" "seen plain running "
is "one-shots have completed" "$(grep '^seen once' "$WORK/notify.log")" "seen once exited "
ok "STATUS says what was waited for" heard '^STATUS=.*ready; .*db-1 waits for its health check'
is "READY comes once" "$(grep -c '^READY=1' "$WORK/notify.log")" 1

# ---- everybody is killed ------------------------------------------------------------------
kill -9 "$main"
wait "$main" 2>/dev/null
is "its main process killed, containers run on" "$(state db status)" running
pid=$(state db pid)
manager_done
manager
ok "the next one finds them" until_true 10 heard '^READY=1'
is "as they were" "$(state db pid)" "$pid"
t0=$(date +%s%N)
# shellcheck disable=SC2046
kill -9 "$(supervisor_pid)" $(jq .monitor_pid "$COMP_ROOT/projects/$P"/containers/*/state.json | grep -v '^0')
back() {
	[ "$(state db started_at)" -gt "$t0" ] && [ "$(state web started_at)" -gt "$t0" ] &&
		is_now db running && is_now web running
}
ok "supervisor and all monitors killed: it brings back what has a policy" until_true 20 back
ok "and says so" grep -q "its supervisor is gone" "$WORK/main.log"
kill -HUP "$main"
ok "SIGHUP: it becomes the installed binary" until_true 10 heard '^RELOADING=1'
c stop web
ok "the same process goes on, and sees what a user stops" \
	until_true 10 heard '^STATUS=1 of 2 ready|STATUS=2 of 3 ready|STATUS=2 of 2 ready'
kill "$main"
wait "$main"
manager_done
is "what the user had stopped stays stopped" "$(state web user_stopped)" true
trap finish EXIT
done_testing
