#!/usr/bin/env bash
# Commands that meet: on one project, and two projects that want the same thing.
. "$(dirname "$0")/../lib/tap.sh"
plan 38
ROUNDS=${ROUNDS:-4}

c() {
	comp -p "$P" "$@"
}

# together FILE ARGUMENTS...: run comp in the background, what it says in FILE, its
# exit code behind it
together() {
	local file=$1
	shift
	{
		timeout 60 "$COMP" "$@" >"$file" 2>&1 </dev/null
		echo "exit $?" >>"$file"
	} &
}

# codes FILE...: the exit codes there were
codes() {
	tail -qn 1 "$@" | sort -u | xargs
}

# N containers run, each with a process and a monitor, and no monitor is left over.
consistent() {
	local want=$1 n=0 pid
	for pid in $(cat "$COMP_ROOT/projects/$P/containers"/*/state.json 2>/dev/null |
		jq -r 'select(.status == "running") | .pid'); do
		[ -d "/proc/$pid" ] || return 1
		n=$((n + 1))
	done
	[ "$n" = "$want" ] && [ "$(pgrep -c -f "^comp-monitor $P-")" = "$want" ]
}

tiny_image tiny
cat >compose.yaml <<E
services:
  a: {image: tiny, init: true, command: sleep 1000}
  b: {image: tiny, init: true, command: sleep 1000, depends_on: [a]}
  c: {image: tiny, init: true, command: sleep 1000, depends_on: [b]}
E

# ---- two ups at once ------------------------------------------------------------------
good=0 sane=0 once=0
for _ in $(seq "$ROUNDS"); do
	together one -p "$P" --progress plain up -d
	together two -p "$P" --progress plain up -d
	wait
	[ "$(codes one two)" = "exit 0" ] && good=$((good + 1))
	[ "$(cat one two | grep -c "Container $P-a-1 Created")" = 1 ] && once=$((once + 1))
	consistent 3 && sane=$((sane + 1))
	c down -t 1 >/dev/null 2>&1
done
is "two ups at once: both succeed, $ROUNDS times" "$good" "$ROUNDS"
is "one of them makes each container" "$once" "$ROUNDS"
is "and there is one of each" "$sane" "$ROUNDS"

# ---- two that want different things ----------------------------------------------------
good=0
for _ in $(seq "$ROUNDS"); do
	together one -p "$P" up -d --scale c=2
	together two -p "$P" up -d --scale c=1
	wait
	n=$(c ps --format '{{.Name}}' c | wc -l)
	[ "$(codes one two)" = "exit 0" ] && [ "$n" -ge 1 ] && [ "$n" -le 2 ] &&
		consistent $((n + 2)) && good=$((good + 1))
done
is "two scales at once: one of them is the last" "$good" "$ROUNDS"
c down -t 1 >/dev/null 2>&1

# ---- up and down -----------------------------------------------------------------------
good=0 sane=0
: >said
for i in $(seq "$ROUNDS"); do
	[ $((i % 2)) = 0 ] || c up -d >/dev/null 2>&1
	together one -p "$P" up -d
	together two -p "$P" down -t 1
	wait
	[ "$(codes one two)" = "exit 0" ] && good=$((good + 1))
	cat one two >>said
	n=$(c ps -q | wc -l)
	{ [ "$n" = 0 ] || [ "$n" = 3 ]; } && consistent "$n" && sane=$((sane + 1))
done
[ "$good" = "$ROUNDS" ] || sed 's/^/# /' said
is "up and down at once: both succeed, $ROUNDS times" "$good" "$ROUNDS"
is "and leave all or nothing" "$sane" "$ROUNDS"
ok "an up afterwards" comp -p "$P" up -d
is "has all" "$(consistent 3 && echo yes)" yes

# ---- readers ---------------------------------------------------------------------------
for i in $(seq 10); do
	together "ps.$i" -p "$P" ps -q
done
wait
is "ten ps at once succeed" "$(codes ps.*)" "exit 0"
is "and say the same: three containers" "$(sort -u ps.* | wc -l)" 4
together one -p "$P" up -d --force-recreate -t 1
for i in $(seq 10); do
	together "ps.$i" -p "$P" ps -a --format json
done
wait
is "ten ps beside a recreation succeed" "$(codes ps.* one)" "exit 0"
is "and show no half records" "$(grep -hv '^exit' ps.* | jq -r 'select((.Name | length) == 0 or (.State | length) == 0)' 2>&1)" ""

# ---- all sorts ---------------------------------------------------------------------------
together m1 -p "$P" restart -t 1
together m2 -p "$P" up -d --force-recreate -t 1
together m3 -p "$P" stop -t 1 c
together m4 -p "$P" logs
together m5 -p "$P" pause b
together m6 -p "$P" ps
wait
is "restart, recreation, stop, logs and ps at once succeed" "$(codes m1 m2 m3 m4 m6)" "exit 0"
like "pause beside them, or it says what it met" "$(cat m5)" '^exit 0$|is not running'
c unpause b >/dev/null 2>&1
ok "then an up" comp -p "$P" up -d
is "has all" "$(consistent 3 && echo yes)" yes
c down -t 1 >/dev/null 2>&1

# ---- waiting is announced ------------------------------------------------------------------
cat >compose.yaml <<E
services:
  job: {image: tiny, command: "sh -c 'until [ -e /tmp/go ]; do sleep 0.05; done'"}
  after:
    image: tiny
    init: true
    command: sleep 1000
    depends_on: {job: {condition: service_completed_successfully}}
E
"$COMP" -p "$P" up -d >one 2>&1 &
holder=$!
until_true 10 bash -c "'$COMP' -p $P ps job --format '{{.Status}}' | grep Up"
"$COMP" -p "$P" up -d >two 2>&1 &
second=$!
until_true 10 grep -q waiting two
like "who waits is told for whom: command and pid" "$(cat two)" "\\(up, pid $holder\\) is under way; waiting"
timeout -s INT 2 "$COMP" -p "$P" restart -t 1 after >three 2>&1
like "so is a third" "$(cat three)" "\\(up, pid $holder\\)"
is "which loses patience and leaves the others alone" "$(kill -0 "$holder" && kill -0 "$second" && echo yes)" yes
c exec -T job touch /tmp/go </dev/null
wait "$holder"
is "the first ends well" $? 0
wait "$second"
is "and so does the second" $? 0
only_after() {
	[ "$(c ps --format '{{.Service}}')" = after ]
}
is "with one of each" "$(until_true 10 only_after && echo yes)" yes
c down -t 1 >/dev/null 2>&1

# A plan that was overtaken is made again.
cat >compose.yaml <<E
services: {a: {image: tiny, init: true, command: sleep 1000}}
E
c up -d >/dev/null 2>&1
for i in 1 2 3 4 5 6 7 8; do
	together "f.$i" -p "$P" up -d --force-recreate -t 0
done
wait
is "eight recreations at once succeed, one after another" "$(codes f.?)" "exit 0"
is "and leave one container" "$(consistent 1 && echo yes)" yes
c down -t 1 >/dev/null 2>&1

# ---- two projects, one thing -----------------------------------------------------------------
mkdir -p x y
port=$(free_port)
net="10.213.$(($$ % 250)).0/24"

# each TEXT: the compose file of both projects, @ stands for the project
each() {
	local d
	for d in x y; do
		printf 'name: %s\n%s\n' "$P$d" "$1" >$d/compose.yaml
	done
}

both_down() {
	together one -f x/compose.yaml down -t 1
	together two -f y/compose.yaml down -t 1
	wait
}

# race WHAT: both projects come up at once
race() {
	local good=0 named=0 clean=0 winner loser text
	: >said
	for _ in $(seq "$ROUNDS"); do
		together one -f x/compose.yaml up -d
		together two -f y/compose.yaml up -d
		wait
		[ "$(grep -lx 'exit 0' one two | wc -l)" = 1 ] && good=$((good + 1))
		if grep -qx 'exit 0' one; then
			winner=$P'x' loser=$P'y' text=two
		else
			winner=$P'y' loser=$P'x' text=one
		fi
		cat "$text" >>said
		grep '^comp: ' "$text" | grep -q "$winner" && named=$((named + 1))
		[ -z "$("$COMP" -p "$loser" ps -q)" ] && clean=$((clean + 1))
		both_down
	done
	[ "$good$named$clean" = "$ROUNDS$ROUNDS$ROUNDS" ] || sed 's/^/# /' said
	is "two projects race for $1: one gets it, $ROUNDS times" "$good" "$ROUNDS"
	is "the other is told who has it" "$named" "$ROUNDS"
	is "in one error" "$(grep -c '^comp: ' said)" "$ROUNDS"
	is "and runs nothing" "$clean" "$ROUNDS"
}

service='services: {web: {image: tiny, init: true, command: sleep 1000'
each "$service}}
networks: {default: {ipam: {config: [{subnet: $net}]}}}"
race "a subnet"
each "$service, ports: ['$port:80']}}"
race "a port"

# Without a wish, everybody gets subnets of its own.
each "$service, networks: [default, one, two]}}
networks: {default: {}, one: {}, two: {}}"
good=0
for _ in $(seq "$ROUNDS"); do
	together one -f x/compose.yaml up -d
	together two -f y/compose.yaml up -d
	wait
	subnets=$(ip -4 -o addr show | awk '$2 ~ /^(br-|comp)/ {print $4}' | sort)
	[ "$(codes one two)" = "exit 0" ] && [ -z "$(uniq -d <<<"$subnets")" ] &&
		[ "$(wc -l <<<"$subnets")" -ge 6 ] && good=$((good + 1))
	both_down
done
[ "$good" = "$ROUNDS" ] || sed 's/^/# /' one two <<<"$subnets"
is "two projects with three networks each: six subnets" "$good" "$ROUNDS"

# One network that both name: the first makes it, the last takes it away.
each "$service}}
networks: {default: {name: ${P}shared}}"
together one -f x/compose.yaml up -d
together two -f y/compose.yaml up -d
wait
is "two projects that name one network: one makes it" "$(cat one two | grep -c "Network ${P}shared Created")" 1
both_down
is "and both take leave of it" "$(codes one two) $(nft list tables | grep -c "$P")" "exit 0 0"

# One that is another project's: who used it leaves no rules behind, whoever goes first.
printf 'name: %s\n%s}}\n' "$P"x "$service" >x/compose.yaml
printf 'name: %s\n%s}}\nnetworks: {default: {name: %s, external: true}}\n' "$P"y "$service" "$P"x_default >y/compose.yaml
"$COMP" -f x/compose.yaml up -d >/dev/null 2>&1
"$COMP" -f y/compose.yaml up -d >/dev/null 2>&1
like "a network of another project that still uses it stays" "$("$COMP" -f x/compose.yaml down -t 1 2>&1)" 'still in use'
is "and the one who does has rules for it" "$(nft list tables | grep "$P" | grep -oE "${P}[xy]")" "${P}y"
"$COMP" -f y/compose.yaml down -t 1 >/dev/null 2>&1
is "none once it has left" "$(nft list tables | grep -c "$P")" 0

done_testing
