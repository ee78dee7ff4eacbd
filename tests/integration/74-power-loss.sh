#!/usr/bin/env bash
# C4-56: power is lost at any moment, and what was not synced is gone.
#
# COMP_ROOT is an ext4 in a file.  What comp has written and not synced is in the page
# cache, and not in that file: a copy of the file is what a disk holds after a power cut.
# A copy is taken before each call of up, restart, a recreation, a down, an import and a
# load that changes a file, while the caller waits in tests/lib/faultstep, and after each
# command's end.  Before the copy another program syncs a file of its own, as on a machine
# in use: that commits the journal, with every name comp has made so far and none of the
# data that comp did not sync.  (noauto_da_alloc: ext4 does not mend a missing fsync.)
# Copies for which nobody synced are taken too, as long as they differ from each other.
#
# Each copy is then the disk of a machine that boots: the journal is replayed; ps, boot
# and one plain `up -d` find nothing to complain of and converge; what a command that had
# ended reported is there; images are whole or absent; data of a volume that was synced is
# there; one `down -v` leaves nothing.
#
# FAULT_POINTS=all replays every copy (make check-faults), a number so many of them: 70.
. "$(dirname "$0")/../lib/tap.sh"
. "$LIB/machine.sh"
[ -x "${FAULT_BIN:-$TOP/build/release/comp}" ] && COMP=${FAULT_BIN:-$TOP/build/release/comp}
STEPPER=$TOP/build/release/lib/faultstep
[ -x "$STEPPER" ] || STEPPER=$TOP/build/${FLAVOR:-sanitize}/lib/faultstep
export PATH=$PATH:/sbin:/usr/sbin STEPPER
POINTS=${FAULT_POINTS:-70}
COMMANDS="up restart recreate down import load"
OF=("" "up down import" "restart recreate load") # worker 1, worker 2: a disk knows its place

probe() {
	truncate -s 1M "$1" && losetup -f >/dev/null && mke2fs -q -t ext4 "$1" 2>/dev/null &&
		unshare --mount mount -o loop "$1" /mnt
}
if ! probe "$WORK/probe"; then
	echo "1..0 # SKIP no loop device, or no ext4, in this kernel"
	exit 77
fi
[ -x "$STEPPER" ] || {
	echo "Bail out! no $STEPPER: make tools"
	exit 1
}
plan 9

# The disks are in memory: what they hold matters here, and not how fast.
mkdir "$WORK/disks"
mount -t tmpfs -o size=4g tmpfs "$WORK/disks"
take_down() {
	umount "$WORK/disks"
}

cat >compose.yaml <<'Y'
services:
  db:
    image: tiny
    init: true
    command: ["sleep", "86400"]
    restart: always
    environment: {V: "${V:-1}"}
    volumes: ["data:/data"]
  web:
    image: tiny
    init: true
    command: ["sleep", "86400"]
    restart: always
    environment: {V: "${V:-1}"}
    depends_on: [db]
volumes: {data: }
Y
busybox_rootfs "$WORK/tiny"
tar -C "$WORK/tiny" -cf "$WORK/tiny.tar" .
mkdir -p "$WORK/other/a/b"
echo whole >"$WORK/other/a/b/file"
ln "$WORK/other/a/b/file" "$WORK/other/a/hard"
tar -C "$WORK/other" -cf "$WORK/other.tar" .

# ---- what runs in the machines ------------------------------------------------------
use_disk() {
	mount -o loop,noauto_da_alloc "$1" "$COMP_ROOT" || {
		echo "the disk cannot be mounted"
		exit
	}
}

c() {
	local project=(-p "$P")
	[ "$1" != boot ] || project=()
	timeout -k 1 20 "$COMP" "${project[@]}" --progress quiet "$@" </dev/null
}

arguments() { # arguments COMMAND
	export V=1
	case $1 in
	up) ARGV=(up -d) ;;
	restart) ARGV=(restart -t 1) ;;
	recreate) ARGV=(up -d) V=2 ;;
	down) ARGV=(down -v -t 1) ;;
	import) ARGV=(image import "$WORK/other.tar" other) ;;
	load) ARGV=(load -q -i "$WORK/saved.tar") ;;
	esac
}

# A copy that nothing was written to while it was made.
take_copy() {
	local tries
	for tries in 1 2 3 4 5 6 7 8 9 10; do
		cp --sparse=always "$DISK" "$2.tmp"
		cmp -s "$DISK" "$2.tmp" && break
		tries=
	done
	[ -n "$tries" ] && mv "$2.tmp" "$2"
}

# With power; $1: the command, $2: "foreign" when another program syncs, $3: where to
record() {
	DISK=$3/disk
	export DISK
	use_disk "$DISK"
	cd "$WORK/p" || exit
	arguments "$1"
	if [ "$1" = restart ] || [ "$1" = recreate ] || [ "$1" = down ]; then
		V=1 c up -d
		echo precious >"$COMP_ROOT/volumes/${P}_data/_data/file"
	fi
	echo >"$COMP_ROOT/other-program"
	sync -f "$COMP_ROOT"
	declare -f take_copy >"$3/hook.sh"
	cat >>"$3/hook.sh" <<-'H'
		[ "$2" != foreign ] || { echo "$4" >"$COMP_ROOT/other-program"; sync "$COMP_ROOT/other-program"; }
		sum=$(cksum <"$DISK")
		[ "$sum" != "$(cat "$3/sum" 2>/dev/null)" ] || exit
		take_copy "$DISK" "$3/$1.$2.$(printf %04d "$4")" && echo "$sum" >"$3/sum"
	H
	"$STEPPER" -t 120 -o "$3/report" -r "$COMP_ROOT" -x "bash $3/hook.sh $1 $2 $3 \$0" \
		count "$COMP" -p "$P" --progress quiet "${ARGV[@]}" </dev/null >/dev/null
	rm -f "$3/sum"
	bash "$3/hook.sh" "$1" "$2-" "$3" 9999
	. "$3/report"
	# shellcheck disable=SC2154
	[ "$status" = 0 ] || echo "$1: exit $status"
	echo "$calls" >"$3/calls"
}

# After the power cut: one line for what is wrong.
replay() { # replay COMMAND NUMBER DISK
	local got
	use_disk "$3"
	cd "$WORK/p" || exit
	arguments "$1"
	complains ps ps -a
	if [ "$2" = 9999 ]; then # the command had ended: what it said holds
		got=$(c ps -a --format '{{.Service}} {{.State}}' 2>&1 | sort | xargs)
		case $1 in
		up | restart | recreate) [ "$got" = "db exited web exited" ] || echo "ps: $got" ;;
		down) [ -z "$got" ] || echo "ps: $got" ;;
		import | load) c image inspect "$([ "$1" = load ] && echo saved || echo other)" >/dev/null ;;
		esac
	fi
	complains check system check
	complains boot boot # of all projects: there may be none
	if [ "$2" = 9999 ] && [[ $1 = up || $1 = restart || $1 = recreate ]]; then
		got=$(c ps -a --format '{{.Service}} {{.State}}' 2>&1 | sort | xargs)
		[ "$got" = "db running web running" ] || echo "boot did not bring back: $got"
	fi
	if [ "$1" = restart ] || [ "$1" = recreate ]; then
		got=$(cat "$COMP_ROOT/volumes/${P}_data/_data/file" 2>&1)
		[ "$got" = precious ] || echo "the volume's data: $got"
	fi
	complains up up -d
	got=$(c ps -a --format '{{.Service}} {{.State}}' 2>&1 | sort | xargs)
	[ "$got" = "db running web running" ] || echo "after up: $got"
	if [ "$1" = import ] || [ "$1" = load ]; then
		c "${ARGV[@]}" >/dev/null 2>&1 || echo "again: exit $?"
		complains check system check
		got=$(ls "$COMP_ROOT/images/tmp")
		[ -z "$got" ] || echo "images/tmp: $got"
	fi
	complains down down -v -t 0
	got=$(find "$COMP_RUN" "$COMP_ROOT"/{projects,networks,volumes} -mindepth 1 2>/dev/null)
	[ -z "$got" ] || echo "left: $got"
}

complains() { # complains WHAT COMMAND...: it succeeds and says nothing on stderr
	local what=$1 err
	shift
	err=$(c "$@" 2>&1 >/dev/null) && [ -z "$err" ] || echo "$what: $err"
}

# ---- one worker's place: a COMP_ROOT of its own, and control groups that go with it ---
FUNCTIONS=$(declare -f use_disk c arguments take_copy record replay complains)
in_machine() { # in_machine PLACE COMMAND...
	(
		trap - EXIT
		outer=$WORK place=$1
		shift
		export COMP_ROOT=$place/root COMP_RUN=$place/run
		mkdir -p "$COMP_ROOT" "$COMP_RUN"
		WORK=$place
		machine "$((RANDOM * 32768 + RANDOM))" "WORK=$outer"$'\n'"$FUNCTIONS"$'\n'"$*" 2>&1
		group=$(python3 -c "
h = 2166136261
for c in b'$COMP_ROOT': h = (h ^ c) * 16777619 & 0xffffffff
print(f'comp-{h:08x}')")
		find /sys/fs/cgroup -depth -type d -path "*/$group*" -exec rmdir {} + 2>/dev/null
	)
}
mkdir "$WORK/w1" "$WORK/w2" "$WORK/found"
truncate -s 24M "$WORK/disks/base"
mke2fs -q -t ext4 -O ^resize_inode -J size=4 "$WORK/disks/base"
out=$(in_machine "$WORK/w1" '
	use_disk "$WORK/disks/base"
	c image import "$WORK/other.tar" saved >/dev/null
	c save -o "$WORK/saved.tar" saved
	c image rm saved >/dev/null
	c image prune -f >/dev/null
	c image import "$WORK/tiny.tar" tiny >/dev/null')
is "a disk with an image" "$out" ""

begun=$SECONDS
record_all() { # record_all WORKER
	local command how where
	for command in ${OF[$1]}; do
		for how in foreign alone; do
			where=$WORK/disks/$command.$how
			mkdir "$where"
			cp --sparse=always "$WORK/disks/base" "$where/disk"
			in_machine "$WORK/w$1" "record $command $how $where" >"$where/out"
		done
	done
}
record_all 1 &
record_all 2 &
wait
# shellcheck disable=SC2031
is "the commands succeed, one copy after another" "$(cat "$WORK"/disks/*/out)" ""
ls "$WORK"/disks/*/*.*.[0-9]* >"$WORK/all"
echo "# $(wc -l <"$WORK/all") copies of the disk in $((SECONDS - begun)) s"
ok "at least 200 points at which to cut" test "$(wc -l <"$WORK/all")" -ge 200

# Those after a command's end always; of the others so many, evenly.
grep -e '\.9999$' "$WORK/all" >"$WORK/list"
others=$(grep -vc -e '\.9999$' "$WORK/all")
[ "$POINTS" != all ] || POINTS=$((others + 12))
grep -v -e '\.9999$' "$WORK/all" |
	awk -v n="$others" -v k="$((POINTS - 12))" 'int(NR * k / n) > int((NR - 1) * k / n)' >>"$WORK/list"
replay_all() { # replay_all WORKER
	local disk name command number bad
	grep -E "/(${OF[$1]// /|})\.[a-z]+/" "$WORK/list" | while read -r disk; do
		name=${disk##*/}
		command=${name%%.*} number=${name##*.}
		mkdir -p "$WORK/w$1"
		bad=$(in_machine "$WORK/w$1" "replay $command $number $disk")
		echo "$name" >>"$WORK/found/tried.$1"
		[ -z "$bad" ] || echo "$name: $bad" >>"$WORK/found/bad.$1"
	done
}
replay_all 1 &
replay_all 2 &
wait
for command in $COMMANDS; do
	is "C4-56 power lost during $command: $(grep -hc "^$command\." <(cat "$WORK"/found/tried.*)) cuts" \
		"$(cat "$WORK"/found/bad.* 2>/dev/null | awk -v c="$command." '/^[a-z]+\.(alone|foreign)-?\./ { mine = index($0, c) == 1 } mine')" ""
done
echo "# $(cat "$WORK"/found/tried.* | wc -l) power cuts, $((SECONDS - begun)) s"
done_testing
