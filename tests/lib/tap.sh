# tests/lib/tap.sh: what integration scripts start with.
#
#	. "$(dirname "$0")/../lib/tap.sh"
#	plan 3
#	...
#	done_testing
#
# Gives the script its own COMP_ROOT, COMP_RUN and project name ($P), takes
# everything down again on any exit, and makes the residue check its last test.
# shellcheck shell=bash disable=SC2034
set -u

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
LIB=$TOP/tests/lib
COMP=${COMP_BIN:-$TOP/build/${FLAVOR:-sanitize}/comp}
WORK=$(mktemp -d /tmp/comp-test.XXXXXX)
export COMP_ROOT=$WORK/root COMP_RUN=$WORK/run
P=t$$
export COMP_TEST_PREFIX=$P
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=0:abort_on_error=0}
unset COMPOSE_FILE COMPOSE_PROJECT_NAME COMPOSE_PROFILES
TESTS=0 FAILED=0 PLANNED=

if [ "$(id -u)" != 0 ]; then
	echo "1..0 # SKIP these tests need root"
	exit 77
fi
mkdir -p "$COMP_ROOT" "$COMP_RUN" "$WORK/p"
python3 "$LIB/residue" snap "$WORK/before.json"
cd "$WORK/p" || exit 1

comp() {
	"$COMP" "$@"
}

# One more test than planned: the residue check.
plan() {
	PLANNED=$(($1 + 1))
	echo "1..$PLANNED"
}

pass() {
	TESTS=$((TESTS + 1))
	echo "ok $TESTS - $1"
}

# fail NAME [TEXT]: TEXT is shown behind '#'
fail() {
	TESTS=$((TESTS + 1))
	FAILED=$((FAILED + 1))
	echo "not ok $TESTS - $1"
	[ $# -lt 2 ] || printf '%s\n' "$2" | sed 's/^/#   /'
}

skip() {
	TESTS=$((TESTS + 1))
	echo "ok $TESTS - $1 # SKIP $2"
}

# ok NAME COMMAND...: the command succeeds; its output is shown when not
ok() {
	local name=$1 out
	shift
	if out=$("$@" 2>&1 </dev/null); then
		pass "$name"
	else
		fail "$name" "\$ $* -> $?"$'\n'"$out"
	fi
}

# is NAME GOT WANTED
is() {
	if [ "$2" = "$3" ]; then
		pass "$1"
	else
		fail "$1" "got:    $2"$'\n'"wanted: $3"
	fi
}

# like NAME TEXT REGEX (extended, on any line)
like() {
	if grep -qE -- "$3" <<<"$2"; then
		pass "$1"
	else
		fail "$1" "no match for /$3/ in:"$'\n'"$2"
	fi
}

unlike() {
	if grep -qE -- "$3" <<<"$2"; then
		fail "$1" "unwanted match for /$3/ in:"$'\n'"$2"
	else
		pass "$1"
	fi
}

# fails NAME CODE REGEX COMMAND...: exits with CODE, stderr matches, stdout is empty
fails() {
	local name=$1 want=$2 regex=$3 out err code
	shift 3
	out=$("$@" 2>"$WORK/err" </dev/null)
	code=$?
	err=$(cat "$WORK/err")
	if [ "$code" = "$want" ] && grep -qE -- "$regex" <<<"$err" && [ -z "$out" ]; then
		pass "$name"
	else
		fail "$name" "exit $code (wanted $want), stderr (wanted /$regex/):"$'\n'"$err"$'\n'"stdout: $out"
	fi
}

# until_true SECONDS COMMAND...: poll until it succeeds
until_true() {
	local end=$(($(date +%s%N) + $1 * 1000000000))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$(date +%s%N)" -lt "$end" ] || return 1
		sleep 0.05
	done
}

# The root file system of a small image: busybox with links for all its applets.
busybox_rootfs() {
	mkdir -p "$1"/{bin,etc,tmp,var,root,home}
	cp /bin/busybox "$1/bin/busybox"
	/bin/busybox --list | while read -r applet; do
		[ -e "$1/bin/$applet" ] || ln -s busybox "$1/bin/$applet"
	done
	chmod 1777 "$1/tmp"
	printf 'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home:/bin/sh\n' >"$1/etc/passwd"
	printf 'root:x:0:\nuser:x:1000:\nextra:x:2000:user\n' >"$1/etc/group"
}

# tiny_image NAME [--change INSTRUCTION]...: a busybox image in the store
tiny_image() {
	local name=$1
	shift
	if [ ! -s "$WORK/tiny.tar" ]; then
		busybox_rootfs "$WORK/tiny"
		tar -C "$WORK/tiny" -cf "$WORK/tiny.tar" .
		rm -rf "$WORK/tiny"
	fi
	comp image import "$WORK/tiny.tar" "$name" "$@" >/dev/null
}

# The container's pid 1, as the host sees it.
pid_of() {
	comp -p "$P" ps -a --format json |
		jq -r "select(.Service == \"$1\") | .ID" | while read -r id; do
		jq -r .pid "$COMP_ROOT/projects/$P/containers/$id"*/state.json
	done
}

supervisor_pid() {
	cat "$COMP_RUN/$P/lock"
}

# A free TCP port.
free_port() {
	python3 -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])'
}

take_down() {
	local project
	for project in "$COMP_ROOT"/projects/* "$COMP_RUN"/*; do
		[ -d "$project" ] || continue
		project=$(basename "$project")
		(cd / && timeout 60 "$COMP" -p "$project" down -v -t 1 >>"$WORK/down.log" 2>&1)
	done
}

finish() {
	local code=0
	trap - EXIT INT TERM
	[ -n "${FINISHED:-}" ] || take_down
	cd /
	rm -rf "$WORK"
	# With its number: in a trap `exit` alone means the status from before it.
	[ "$FAILED" = 0 ] && [ "$TESTS" = "${PLANNED:-$TESTS}" ] || code=1
	exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM

# done_testing: take everything down, look for residue, leave.
done_testing() {
	local leaks
	take_down
	FINISHED=1
	if leaks=$(python3 "$LIB/residue" diff "$WORK/before.json"); then
		pass "nothing is left behind"
	else
		fail "nothing is left behind" "$leaks"$'\n'"$(cat "$WORK/down.log" 2>/dev/null)"
	fi
	exit
}
