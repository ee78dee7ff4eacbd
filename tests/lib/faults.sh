# tests/lib/faults.sh: what 70-kill-points.sh and 71-errors.sh share; read after tap.sh.
#
# Several workers, each with its own COMP_ROOT, project and port, take the points
# of a list in turn; what they find is collected in files, one line a failure.
#
#	faults_begin		(makes the workers' places)
#	total=$(faults_count up)
#	faults_run NAME LIST	(LIST: lines "COMMAND MODE N ARG", see faults_step)
#	faults_done
#
# shellcheck shell=bash disable=SC2034

# Commands: up, down, restart, recreate (an `up` with a changed configuration) and
# import (of an image: the extractor at work).
#
# Which build: the one without sanitizers where there is one.  What matters here is
# the order of calls, which is the same, and the number of points per second.
[ -n "${FAULT_BIN:-}" ] || FAULT_BIN=$TOP/build/release/comp
[ -x "$FAULT_BIN" ] || FAULT_BIN=$COMP
COMP=$FAULT_BIN
STEPPER=$TOP/build/release/lib/faultstep
[ -x "$STEPPER" ] || STEPPER=$TOP/build/${FLAVOR:-sanitize}/lib/faultstep
WORKERS=${FAULT_WORKERS:-2}
CONVERGE=10 # seconds an `up -d` may take after a fault
[ -n "${FAULT_CORES:-}" ] || ulimit -c 0

# A project in which all that comp makes occurs: a network, a volume, a published
# port, an order, init, restart.  V changes the configuration of every service.
faults_project() {
	cat >"$1" <<'Y'
services:
  db:
    image: tiny
    init: true
    command: ["sh", "-c", "echo it works >/data/index.html; exec sleep 86400"]
    stop_grace_period: 1s
    environment: {V: "${V:-1}"}
    volumes: ["data:/data"]
  web:
    image: tiny
    init: true
    command: httpd -f -p 80 -h /data
    stop_grace_period: 1s
    restart: always
    environment: {V: "${V:-1}"}
    depends_on: [db]
    ports: ["127.0.0.1:${PORT}:80"]
    volumes: ["data:/data"]
volumes: {data: }
Y
}

# Worker $1 gets a fresh place, at the start and after a failure.
faults_place() {
	PLACE=$WORK/w$1.$((${PLACES:-0} + 1))
	PLACES=$((${PLACES:-0} + 1))
	PROJECT=${P}w$1x$PLACES
	PORT=$(free_port)
	export COMP_ROOT=$PLACE/root COMP_RUN=$PLACE/run PORT
	mkdir -p "$COMP_ROOT" "$COMP_RUN"
	echo "$PLACE" >>"$WORK/places"
	cd "$PLACE" || exit 1
	faults_project compose.yaml
	"$COMP" image import "$WORK/tiny.tar" tiny >/dev/null
	[ -s "$WORK/other.tar" ] || faults_other_image
	GROUP=$(python3 - <<'Y'
import os
h = 2166136261
for c in os.environ["COMP_ROOT"].encode(): h = (h ^ c) * 16777619 & 0xffffffff
print(f"comp-{h:08x}")
Y
	)
	if [ -n "${ORDERS:-}" ]; then
		export COMP_FAULT_ALLOC=$PLACE/orders
		truncate -s $((4096 + 32 * 16384)) "$COMP_FAULT_ALLOC"
	fi
	GROUPS_OF_PIDS=/sys/fs/cgroup/pids
	[ -d $GROUPS_OF_PIDS ] || GROUPS_OF_PIDS=/sys/fs/cgroup
}

# A layer with every kind of thing in it.
faults_other_image() {
	mkdir "$WORK/other"
	(cd "$WORK/other" && mkdir -p a/b && echo one >a/b/file && ln a/b/file a/hard &&
		ln -s b/file a/soft && mkfifo a/fifo && chmod 2750 a && touch -d @1 a/b &&
		setfattr -n user.x -v y a/b/file)
	tar --xattrs -C "$WORK/other" -cf "$WORK/other.tar" .
	rm -r "$WORK/other"
}

# The same project in the caller's own place.
faults_begin() {
	tiny_image tiny
	[ -x "$STEPPER" ] || {
		echo "Bail out! no $STEPPER: make tools"
		exit 1
	}
	faults_place 0
}

c() {
	timeout -k 1 "${LIMIT:-30}" "$COMP" -p "$PROJECT" "$@" </dev/null
}

# The arguments of each command under test.
faults_command() {
	case $1 in
	up) ARGV=(up -d) ;;
	recreate) ARGV=(up -d) ;;
	restart) ARGV=(restart -t 1) ;;
	down) ARGV=(down -v -t 1) ;;
	import) ARGV=(image import "$WORK/other.tar" other) ;;
	esac
	export V=1
}

# Bring the project where the command starts from.
faults_before() {
	faults_command "$1"
	[ "$1" = up ] || [ "$1" = import ] || c up -d >"$PLACE/out" 2>&1 || return 1
	[ "$1" != recreate ] || V=2
}

# One instance of everything, and it works.
faults_running() {
	local got pids
	until_true "$CONVERGE" faults_all_run
	got=$(c ps -a --format '{{.Service}} {{.State}}' 2>&1 | sort | xargs)
	[ "$got" = "db running web running" ] || {
		echo "ps: $got"
		return 1
	}
	# Two processes a container: comp's pid 1 and the workload.
	pids=$(faults_pids | wc -l)
	[ "$pids" = 4 ] || {
		echo "$pids processes, not 4"
		return 1
	}
	until_true 2 faults_answers || {
		echo "the published port does not answer"
		return 1
	}
}

faults_all_run() {
	[ "$(c ps -a --format '{{.Service}} {{.State}}' 2>&1 | sort | xargs)" = "db running web running" ]
}

# Everything in the containers' cgroups.
faults_pids() {
	find "$GROUPS_OF_PIDS/$GROUP" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u
}

faults_answers() {
	[ "$(curl -s -m 1 "http://127.0.0.1:$PORT/")" = "it works" ]
}

# A quick look for residue; the whole check comes at the end.
faults_clean() {
	local found=
	found+=$(find "$COMP_RUN" -mindepth 1 2>/dev/null)
	found+=$(find "$COMP_ROOT" -mindepth 1 -maxdepth 2 ! -path "$COMP_ROOT/images*" \
		! -path "$COMP_ROOT/init-layer*" ! -path "$COMP_ROOT/volumes" 2>/dev/null)
	found+=$(ls -d /sys/fs/cgroup/*/"$GROUP" /sys/fs/cgroup/"$GROUP" 2>/dev/null)
	found+=$(grep -lsaz "^COMP_ROOT=$COMP_ROOT\$" /proc/[0-9]*/environ | while IFS=/ read -r _ _ pid _; do
		[[ $(readlink "/proc/$pid/exe") != */comp* && $(readlink "/proc/$pid/exe") != /memfd:comp* ]] ||
			echo "process $pid $(tr '\0' ' ' <"/proc/$pid/cmdline")"
	done)
	found+=$(grep -hs " $PLACE/\|=$PLACE/\|:$PLACE/" /proc/[0-9]*/mountinfo | head -n 5)
	found+=$(ip -o link | grep "alias comp:$PROJECT:")
	found+=$(nft list tables 2>/dev/null | grep -e "comp-$PROJECT-")
	[ -z "$found" ] || {
		echo "residue: $found"
		return 1
	}
}

faults_down() {
	LIMIT=20 c down -v -t 1 >"$PLACE/out" 2>&1 || {
		echo "down: exit $?: $(cat "$PLACE/out")"
		return 1
	}
	until_true 3 faults_clean || faults_clean
}

# What failed and how, on one line; the logs beside it for a person to read.
faults_failed() {
	echo "$1 $2 $3 $4: $hit${code:+ $code}: $5" | tr '\n' '|' >>"$FOUND"
	echo >>"$FOUND"
	{
		echo "== $1 $2 $3 $4: $hit"
		cat "$COMP_RUN/$PROJECT/"*.log
	} >>"$WORK/faults.log" 2>/dev/null
	faults_scrub
	faults_place "$WORKER"
}

# faults_step COMMAND kill N self|all
# faults_step COMMAND errno N CODE
# faults_step COMMAND alloc SITE
faults_step() {
	local problem seconds
	hit='' code='' status=0 hang=0 crashed=''
	faults_before "$1" || {
		faults_failed "$@" "before: $(cat "$PLACE/out")"
		return
	}
	set -- "$1" "$2" "$3" "${4:-}"
	[ "$2" != alloc ] || faults_orders arm "$3"
	case $2 in
	alloc) faults_alloc_run ;;
	*) "$STEPPER" $WIDE -t 20 -o "$PLACE/report" "$2" "$3" "$4" "$COMP" -p "$PROJECT" "${ARGV[@]}" ;;
	esac >"$PLACE/stdout" 2>"$PLACE/stderr" </dev/null
	# shellcheck disable=SC1091
	. "$PLACE/report"
	if [ "$2" = alloc ]; then
		hit=$(faults_orders hit)
		faults_orders disarm
	fi
	[ -n "$hit" ] && echo "$1 $2 $3 $hit $code" >>"$TRIED"
	problem=
	[ "$hang" = 0 ] || problem="hang"
	[ -z "$crashed" ] || problem+="crash: $crashed"
	if [ "$2" != kill ] && [ -n "$hit" ]; then
		problem+=$(faults_error_is_clear "$1")
	fi
	if [ -z "$problem" ] && [ "$1" = import ]; then
		problem=$(faults_imported)
	fi
	seconds=$EPOCHREALTIME
	[ -n "$problem" ] || LIMIT=$CONVERGE c up -d >"$PLACE/out" 2>&1 || problem="up: $(cat "$PLACE/out")"
	seconds=$(((${EPOCHREALTIME/./} - ${seconds/./}) / 1000))
	echo "$seconds" >>"$FOUND.ms"
	[ -n "$problem" ] || problem=$(faults_running)
	[ -n "$problem" ] || problem=$(faults_down)
	[ "$2" != alloc ] || problem+=$(faults_orders crash "$WORK/library-crashes")
	if [ -n "$problem" ]; then
		[ "$2" != alloc ] || problem+=" $(faults_orders where)"
		faults_failed "$@" "$problem"
	fi
}

# The command as it is; the programs themselves note who crashes.
faults_alloc_run() {
	LIMIT=20 c "${ARGV[@]}"
	status=$?
	echo "calls=0 hit='' code='' status=$status hang=$((status == 124)) crashed=''" >"$PLACE/report"
}

# What an import leaves behind does not keep the next one from success, and is gone then.
faults_imported() {
	local left
	c image import "$WORK/other.tar" other >"$PLACE/out" 2>&1 || {
		echo "import: $(cat "$PLACE/out")"
		return
	}
	left=$(ls "$COMP_ROOT/images/tmp")
	[ -z "$left" ] || echo "images/tmp: $left"
	c image rm other >/dev/null 2>&1
	c image prune -f >/dev/null 2>&1 # the first one, if it got that far
	left=$(ls "$COMP_ROOT/images/layers" | grep -vc '\.json')
	[ "$left" = 1 ] || echo "$left layers, not 1"
}

# After a failed call: success, or one error that says something; never a report of a sanitizer.
faults_error_is_clear() {
	local text
	if grep -qs "Sanitizer\|runtime error:" "$PLACE/stderr" "$COMP_RUN/$PROJECT/"*.log; then
		echo "sanitizer: $(grep -hs -A 12 "Sanitizer\|runtime error:" "$PLACE/stderr" "$COMP_RUN/$PROJECT/"*.log)"
	fi
	[ "$status" != 0 ] || return
	text=$(grep -vE '^ (Container|Network|Volume|Image) ' "$PLACE/stderr")
	# comp-nft has no signal handlers, so no call of it is interrupted for real: signal(7).
	if [ "$code" = EINTR ] && [[ $hit != comp-nft* ]]; then
		echo "a signal is an error: $(cat "$PLACE/stderr")"
	elif [ "$status" -ge 126 ] || [ -z "$text" ] || [ "$(wc -l <<<"$text")" -gt 3 ]; then
		echo "exit $status without one clear error: $(cat "$PLACE/stderr")"
	fi
}

# How many calls a command makes: faults_count COMMAND
faults_count() {
	faults_before "$1" || {
		echo "Bail out! $(cat "$PLACE/out")" >&2
		exit 1
	}
	"$STEPPER" $WIDE -o "$PLACE/report" count "$COMP" -p "$PROJECT" "${ARGV[@]}" >/dev/null 2>&1 </dev/null
	faults_down >&2
	sed -n 's/^calls=//p' "$PLACE/report"
}

# faults_points COMMAND MODE ARG TOTAL SAMPLES: evenly over all; SAMPLES "all": every one
faults_points() {
	local i
	if [ "$5" = all ] || [ "$5" -ge "$4" ]; then
		for ((i = 1; i <= $4; i++)); do echo "$1 $2 $i $3"; done
	else
		for ((i = 0; i < $5; i++)); do echo "$1 $2 $(((2 * i + 1) * $4 / (2 * $5) + 1)) $3"; done
	fi
}

# The calls a command makes, one a line: "N ROLE CALL"
faults_calls() {
	faults_before "$1" || {
		echo "Bail out! $(cat "$PLACE/out")" >&2
		exit 1
	}
	"$STEPPER" $WIDE -v -o "$PLACE/report" count "$COMP" -p "$PROJECT" "${ARGV[@]}" 2>&1 >/dev/null </dev/null |
		sed -nE 's/^([0-9]+) ([a-z+-]+)\[[0-9]+\] ([a-z0-9_]+) .*/\1 \2 \3/p'
	[ "$1" != import ] || faults_imported >&2
	faults_down >&2
}

# faults_errors COMMAND EACH: points "COMMAND errno N fit:K" from the calls on stdin.  Of
# every call of every role EACH are chosen by chance, from SEED; "all": every error of each.
faults_errors() {
	python3 -c '
import collections, random, sys
command, each = sys.argv[1:3]
codes = {name: len(rest) for name, *rest in map(str.split, sys.argv[4].splitlines())}
random.seed(f"{sys.argv[3]} {command}")
calls = [l.split() for l in sys.stdin]
if each == "all":
    points = [(int(n), k) for n, _, call in calls for k in range(codes[call])]
else:
    of = collections.defaultdict(list)
    for n, role, call in calls:
        of[role, call].append(int(n))
    points = [(n, random.randrange(60)) for ns in of.values() for n in random.sample(ns, min(int(each), len(ns)))]
for n, k in sorted(points):
    print(command, "errno", n, f"fit:{k}")
' "$1" "$2" "${FAULT_SEED:-1}" "$("$STEPPER" codes)"
}

faults_worker() {
	WORKER=$1
	FOUND=$WORK/found.$1 TRIED=$WORK/tried.$1
	faults_place "$1"
	while read -r command mode n arg; do
		faults_step "$command" "$mode" "$n" "$arg"
	done
}

# faults_run LIST: every line of the file, by the workers in parallel; FAULT_PART=2/5
# leaves the second of five parts in the file, and does that.
faults_run() {
	local w part=${FAULT_PART:-1/1}
	rm -f "$WORK"/found.* "$WORK"/tried.*
	awk -v i="${part%/*}" -v n="${part#*/}" 'NR % n == i % n' "$1" >"$1.part"
	mv "$1.part" "$1"
	for ((w = 1; w <= WORKERS; w++)); do
		awk -v w="$w" -v n="$WORKERS" 'NR % n == w % n' "$1" | (trap - EXIT; faults_worker "$w") &
	done
	wait
	touch "$WORK/found.0" "$WORK/tried.0"
}

# ---- allocations: see failmalloc.c ----------------------------------------------
# Before faults_begin: the programs whose allocations fail on demand.
faults_allocations() {
	COMP=$TOP/build/release/faulty/comp
	[ -x "$COMP" ] || {
		echo "Bail out! no $COMP: make faulty FLAVOR=release"
		exit 1
	}
	ORDERS=1
}

# What the file at COMP_FAULT_ALLOC knows: faults_orders sites | hit | crash | where | arm SITE
faults_orders() {
	python3 - "$@" <<'Y'
import os, signal, struct, sys
def text(b):
    return b.split(bytes(1))[0].decode()
def trace(at):
    f.seek(at)
    frames = struct.iter_unpack("<Q40s", f.read(40 * 48))
    return "".join(f" {text(name)}+{offset:#x}" for offset, name in frames if offset)
with open(os.environ["COMP_FAULT_ALLOC"], "r+b") as f:
    if sys.argv[1] == "arm":
        f.write(struct.pack("<QQ", int(sys.argv[2]), 0))
        f.write(bytes(4096 - 16))
    elif sys.argv[1] == "disarm":
        f.write(bytes(8))
    elif sys.argv[1] == "crash":
        f.seek(32)
        n, sig, program = struct.unpack("<QQ16s", f.read(32))
        # The first frame is the handler's.  Where memory ends in a library that does not
        # look (libnftnl 1.2.4, libseccomp 2.5.4), the crash is the library's; then it
        # only has to be one clear error, and to leave nothing.
        frames = trace(64).split()[1:]
        place = next((p for p in frames if not p.startswith("libc.so")), "")
        if n and not place.startswith("+"):
            with open(sys.argv[2], "a") as log:
                print(f"{text(program)} in {place}", file=log)
        elif n:
            print(f"{n} crashed: {text(program)} {signal.Signals(sig).name}:{trace(64)}")
    elif sys.argv[1] == "where":
        print(f"failed at:{trace(2048)}")
    elif sys.argv[1] == "hit":
        _, site, program = struct.unpack("<QQ16s", f.read(32))
        print(f"{program.rstrip(bytes(1)).decode()}[{site}]" if site else "")
    else:
        f.seek(4096)
        for site, count, program in struct.iter_unpack("<QQ16s", f.read()):
            if site:
                print(site, program.rstrip(bytes(1)).decode(), count)
Y
}

# The sites that allocate during a command, one a line: "SITE PROGRAM COUNT"
faults_sites() {
	faults_before "$1" || {
		echo "Bail out! $(cat "$PLACE/out")" >&2
		exit 1
	}
	truncate -s 0 "$COMP_FAULT_ALLOC"
	truncate -s $((4096 + 32 * 16384)) "$COMP_FAULT_ALLOC"
	c "${ARGV[@]}" >/dev/null 2>&1
	faults_orders sites
	[ "$1" != import ] || faults_imported >&2
	faults_down >&2
}

# How many points hit which program: "supervisor 80, comp-nft 3, …"
faults_roles() {
	cat "$WORK"/tried.* | sed -E 's/^[a-z]+ [a-z]+ [0-9]+ //; s/\[.*//' | sort | uniq -c |
		awk '{ printf "%s%s %s", sep, $2, $1; sep = ", " }'
}

# Bring down by force what a failure left, so that it does not disturb the rest.
faults_scrub() {
	local pid link
	for pid in $(grep -lsaz "^COMP_ROOT=$COMP_ROOT\$" /proc/[0-9]*/environ | cut -d / -f 3); do
		case $(readlink "/proc/$pid/exe") in
		*/comp | */comp-* | /memfd:comp*) kill -9 "$pid" 2>/dev/null ;;
		esac
	done
	faults_pids | xargs -r kill -9 2>/dev/null
	LIMIT=20 c down -v -t 0 >/dev/null 2>&1
	sleep 0.3
	for pid in $(grep -lsaz "^COMP_ROOT=$COMP_ROOT\$" /proc/[0-9]*/environ | cut -d / -f 3); do
		case $(readlink "/proc/$pid/exe") in
		*/comp | */comp-* | /memfd:comp*) kill -9 "$pid" 2>/dev/null ;;
		esac
	done
	find /sys/fs/cgroup -mindepth 2 -maxdepth 4 -type d -path "*/$GROUP/*" -exec rmdir {} + 2>/dev/null
	find /sys/fs/cgroup -mindepth 1 -maxdepth 2 -type d -name "$GROUP" -exec rmdir {} + 2>/dev/null
	grep -s " $PLACE/" /proc/self/mountinfo | cut -d ' ' -f 5 | sort -r | xargs -r -n 1 umount -l 2>/dev/null
	for link in $(ip -o link | grep "alias comp:$PROJECT:" | cut -d ' ' -f 2 | sed 's/[@:].*//'); do
		ip link del "$link" 2>/dev/null
	done
	nft delete table inet "comp-$PROJECT-${GROUP#comp-}" 2>/dev/null
	rm -rf "$COMP_RUN" "$COMP_ROOT/projects" "$COMP_ROOT/networks" "$COMP_ROOT/volumes"
}

# Instead of tap.sh's, which knows of one place only.
take_down() {
	local place
	# shellcheck disable=SC2046
	kill $(jobs -p) 2>/dev/null
	wait
	[ -z "${FINISHED:-}" ] && while read -r place; do
		COMP_ROOT=$place/root COMP_RUN=$place/run PLACE=$place faults_take_down
	done <"$WORK/places"
}

faults_take_down() {
	local project
	for project in "$COMP_ROOT"/projects/* "$COMP_RUN"/*; do
		[ ! -d "$project" ] || PROJECT=$(basename "$project") faults_scrub
	done
}

# The whole residue check for every worker's place; then the script's own.
faults_done() {
	local leaks='' place
	while read -r place; do
		leaks+=$(COMP_ROOT=$place/root COMP_RUN=$place/run \
			python3 "$LIB/residue" diff "$WORK/before.json")
	done <"$WORK/places"
	export COMP_ROOT=$WORK/root COMP_RUN=$WORK/run
	is "the whole residue check finds nothing in any worker's place" "$leaks" ""
	done_testing
}
