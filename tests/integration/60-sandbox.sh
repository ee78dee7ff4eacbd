#!/usr/bin/env bash
# The known ways out of a container, tried for real: image by image, race by race.
# Numbers are rows of the attack table; the attacker is tests/attack/atk.c.
. "$(dirname "$0")/../lib/tap.sh"
plan 77

c() {
	comp -p "$P" "$@"
}

in_container() {
	c exec -T "$@" </dev/null 2>&1
}

# What must not change: a directory an attack would like to reach, and the kernel's helpers.
CANARY=$WORK/canary
mkdir -p "$CANARY/sub"
echo untouched >"$CANARY/ptmx"
echo untouched >"$CANARY/sub/file"
host_state() {
	find "$CANARY" -printf '%p %m %U %n %s %T@ %l\n' | sort | sha256sum
	sha256sum "$CANARY/ptmx" "$CANARY/sub/file"
	cat /proc/sys/kernel/core_pattern /proc/sys/vm/overcommit_memory
	cat /proc/sys/kernel/modprobe 2>/dev/null
	# Pinned network namespaces come and go; nothing else of ours may show on the host.
	grep -F "$WORK" /proc/self/mountinfo | grep -v ' nsfs '
}
BEFORE=$(host_state)
untouched() {
	is "$1" "$(host_state)" "$BEFORE"
}

busybox_rootfs "$WORK/base"
cp "$TOP/build/${FLAVOR:-sanitize}/lib/atk" "$WORK/base/atk" || exit 1

# image NAME [--change ...]: from $WORK/image, a copy of the base that the caller spoiled
image() {
	local name=$1
	shift
	tar -C "$WORK/image" -cf "$WORK/image.tar" . &&
		comp image import "$WORK/image.tar" "$name" "$@" >/dev/null
	rm -rf "$WORK/image" "$WORK/image.tar"
}

fresh() {
	rm -rf "$WORK/image"
	cp -a "$WORK/base" "$WORK/image"
}

fresh
image base --change 'CMD ["sleep","1000"]'

# one COMMAND-LINE...: run it as the only service, with $MORE yaml, and print the log and exit code
one() {
	{
		echo 'services:'
		echo '  a:'
		echo "    image: ${IMAGE:-base}"
		[ -z "${MORE:-}" ] || sed 's/^/    /' <<<"$MORE"
		printf '    command: ['
		printf '"%s",' "$@" | sed 's/,$//'
		echo ']'
		[ -z "${VOLUMES:-}" ] || printf 'volumes:\n  %s: {}\n' "$VOLUMES"
	} >one.yaml
	c -f one.yaml up -d -t 0 >up.log 2>&1 || sed 's/^/up: /' up.log
	until_true 20 has_ended
	c -f one.yaml logs --no-log-prefix 2>&1
	echo "exit $(c -f one.yaml ps -a --format json | jq -r .ExitCode | head -1)"
	c -f one.yaml down -v -t 0 >/dev/null 2>&1
}
has_ended() {
	[ -z "$(c -f one.yaml ps -q --status running --status created)" ]
}

NOTHING=$'nothing\nexit 0'

# ---- what every container can see and do -------------------------------------------
is "only descriptors 0 to 2 are open" "$(one /atk fds)" "$NOTHING"
is "10: kernel helpers, namespaces, mounts and /dev/mem are out of reach" \
	"$(one /atk helpers)" "$NOTHING"
is "4, 59: masked paths are empty" "$(one /atk masked)" "$NOTHING"
is "15: open_by_handle_at" "$(one /atk shocker)" "$NOTHING"
is "16: no terminal to push into" "$(one /atk tiocsti)" "$NOTHING"
is "18: AF_ALG, AF_VSOCK, int 0x80 and x32" "$(one /atk sockets)" "$NOTHING"
# The same probes must be able to find something, or they prove nothing.
like "(the socket probe finds the open door of an unfiltered container)" \
	"$(MORE='security_opt: ["seccomp:unconfined"]' one /atk sockets)" 'int80 socket'
like "(the mask probe finds unmasked paths)" \
	"$(MORE='security_opt: ["systempaths=unconfined"]' one /atk masked)" 'read /proc/keys|read /proc/timer_list'
filtered=$(one /atk syscalls)
unfiltered=$(MORE='security_opt: ["seccomp:unconfined"]' one /atk syscalls)
like "the filter refuses keyctl (250), the kernel does not" \
	"$(diff <(echo "$filtered") <(echo "$unfiltered"))" '^< 250 EPERM'
untouched "the host has not changed so far"

# ---- 11: capabilities -------------------------------------------------------------------
DEFAULT=00000000a80425fb
NONE=0000000000000000
out=$(one /atk status)
like "11: permitted capabilities are Docker's 14" "$out" "^CapPrm:.$DEFAULT"
like "11: bounding set" "$out" "^CapBnd:.$DEFAULT"
like "11: inheritable is empty" "$out" "^CapInh:.$NONE"
like "11: ambient is empty" "$out" "^CapAmb:.$NONE"
like "11: the filter is on" "$out" '^Seccomp:.2'
out=$(MORE='user: "1000"' one /atk status)
like "11: a user other than root has none effective" "$out" "^CapEff:.$NONE"
like "11: nor inheritable" "$out" "^CapInh:.$NONE"
out=$(MORE=$'cap_drop: [ALL]\ncap_add: [CHOWN]\nsecurity_opt: ["no-new-privileges:true"]' one /atk status)
like "cap_drop and cap_add" "$out" '^CapPrm:.0000000000000001'
like "no-new-privileges" "$out" '^NoNewPrivs:.1'

cat >compose.yaml <<E
services:
  a:
    image: base
    stop_grace_period: 0s
    healthcheck: {test: [CMD, /bin/sh, -c, "/atk status > /health"], interval: 1s}
  u: {image: base, user: "1000", stop_grace_period: 0s}
  traced:
    image: base
    cap_add: [SYS_PTRACE]
    stop_grace_period: 0s
E
c up -d >up.log 2>&1 || sed 's/^/# /' up.log
out=$(in_container a /atk status)
like "11: exec: permitted" "$out" "^CapPrm:.$DEFAULT"
like "11: exec: inheritable" "$out" "^CapInh:.$NONE"
like "11: exec: filter" "$out" '^Seccomp:.2'
is "exec: only descriptors 0 to 2" "$(in_container a /atk fds)" nothing
like "11: exec as another user" "$(in_container u /atk status)" "^CapPrm:.$NONE"
until_true 10 in_container a test -s /health
out=$(in_container a cat /health)
like "11: health check: bounding set" "$out" "^CapBnd:.$DEFAULT"
like "11: health check: inheritable" "$out" "^CapInh:.$NONE"
like "11: health check: filter" "$out" '^Seccomp:.2'

# ---- 1, 2: those who enter ----------------------------------------------------------------
N=${ATTACK_ROUNDS:-40}
sum() { sha256sum "$COMP" "$(dirname "$COMP")"/comp-*; }
sums=$(sum)
in_container traced /atk exe-overwrite 600 >exe.log 2>&1 &
exe_job=$!
in_container traced /atk fd-sniff 600 "$WORK" >fd.log 2>&1 &
fd_job=$!
until_true 10 sh -c "[ \$('$COMP' -p $P exec -T traced ps | grep -c atk) -ge 2 ]"
failed=0
for ((i = 0; i < N; i++)); do
	in_container traced /bin/true >/dev/null || failed=$((failed + 1))
done
in_container traced killall atk >/dev/null 2>&1
wait "$exe_job" "$fd_job" 2>/dev/null
is "1: all $N execs worked meanwhile" "$failed" 0
is "1: no program of ours was written to" "$(cat exe.log)" ""
is "1: and none has changed" "$(sum)" "$sums"
is "2: no descriptor led out" "$(cat fd.log)" ""

# ---- 3: working directories ------------------------------------------------------------------
bad=
for ((fd = 3; fd < 24; fd++)); do
	for dir in "/proc/self/fd/$fd" "/proc/self/fd/$fd/../../../../../.."; do
		out=$(in_container -w "$dir" a /bin/sh -c "cat $CANARY/ptmx ./ptmx; pwd -P")
		grep -q untouched <<<"$out" && bad="$bad exec:$dir"
		grep -q unreachable <<<"$out" && bad="$bad exec:$dir"
	done
done
is "3: exec -w /proc/self/fd/N" "$bad" ""
c down -t 0 >/dev/null 2>&1
bad=
for fd in 3 4 5 6 7 8 9 10 12 14; do
	out=$(MORE="working_dir: /proc/self/fd/$fd" one /bin/sh -c 'cat ptmx ../../../ptmx; pwd')
	grep -qE 'untouched|unreachable' <<<"$out" && bad="$bad $fd"
	grep -q 'exit 0' <<<"$out" && bad="$bad started:$fd"
done
is "3: working_dir: /proc/self/fd/N" "$bad" ""
fresh
image cwd --change 'WORKDIR /proc/self/fd/7'
out=$(IMAGE=cwd one pwd)
unlike "3: WORKDIR of an image" "$out" 'exit 0'
untouched "3: the host has not changed"

# ---- 4, 5, 6, 9: images that lie about system paths ----------------------------------------------
fresh
mkdir -p "$WORK/image/dev"
ln -s /proc/sys/kernel/core_pattern "$WORK/image/dev/null"
image devnull
is "4: /dev/null as a link: masks hold" "$(IMAGE=devnull one /atk masked)" "$NOTHING"
is "4: /dev/null as a link: the real one is there" \
	"$(IMAGE=devnull one /bin/sh -c 'stat -c %t:%T /dev/null')" $'1:3\nexit 0'

fresh
mkdir -p "$WORK/image/dev"
ln -s "$CANARY/ptmx" "$WORK/image/dev/console"
ln -s "$CANARY" "$WORK/image/dev/pts"
image console
out=$(MORE='tty: true' IMAGE=console one /bin/sh -c 'stat -c %t /dev/console; ls /dev/pts')
like "5: /dev/console is a pty" "$out" '^88'
unlike "5: /dev/pts is not the canary" "$out" sub

for dir in dev proc sys etc run tmp; do
	fresh
	rm -rf "${WORK:?}/image/$dir"
	ln -s "$CANARY" "$WORK/image/$dir"
	image "link-$dir"
	out=$(IMAGE=link-$dir MORE=$'tmpfs: [/run, /tmp]\nuser: root' one /bin/sh -c \
		'echo x > /dev/null; : > /tmp/x; stat -c %t:%T /dev/null; head -c 4 /proc/self/status')
	if [ "$dir" = etc ] || [ "$dir" = run ] || [ "$dir" = tmp ]; then
		like "9: /$dir as a link out of the image" "$out" 'exit [0-9]+'
	else
		like "9: /$dir as a link out of the image" "$out" $'^1:3$|not a directory'
	fi
done
fresh
ln -s "$CANARY/ptmx" "$WORK/image/etc/resolv.conf"
ln -s "../../../../..$CANARY/sub/file" "$WORK/image/etc/hosts"
image link-resolv
like "9: /etc/resolv.conf as a link out of the image" \
	"$(IMAGE=link-resolv one grep -c . /etc/resolv.conf)" 'exit 0'
untouched "9: the host has not changed"

MORE='volumes: ["vol:/proc"]' VOLUMES=vol
out=$(one true)
like "6: a volume on /proc is refused" "$out" 'mounts in /proc are not allowed'
MORE='tmpfs: [/proc/sys]' VOLUMES=
like "6: a tmpfs below /proc is refused" "$(one true)" 'mounts in /proc are not allowed'
MORE=
fresh
image volproc --change 'VOLUME /proc'
like "6: VOLUME /proc is refused" "$(IMAGE=volproc one true)" 'mounts in /proc are not allowed'
fresh
ln -s /proc "$WORK/image/data"
image linkproc
like "6: a volume on a link to /proc is refused" \
	"$(IMAGE=linkproc MORE='tmpfs: [/data]' one true)" 'mounts in /proc are not allowed'
out=$(MORE=$'sysctls: {net.core.somaxconn: 77}\nsecurity_opt: ["no-new-privileges:true"]' \
	one /bin/sh -c 'cat /proc/sys/net/core/somaxconn; /atk status')
like "6: a sysctl arrives in the container" "$out" '^77'
like "6: with the filter on" "$out" '^Seccomp:.2'
like "a sysctl of the whole host is refused" \
	"$(MORE='sysctls: {vm.overcommit_memory: 1}' one true)" 'not in a namespace of the container'

# ---- 31: what an image may have copied into a volume -------------------------------------------------
fresh
ln -s "$CANARY" "$WORK/image/l"
image volumes --change 'VOLUME /l' --change "VOLUME /../../../..$CANARY"
out=$(IMAGE=volumes one /bin/sh -c "find /l/ $CANARY/ -type f")
unlike "31: VOLUME paths that lead out copy nothing" "$out" 'ptmx|sub/file'

# ---- 7, 8: racing mount points --------------------------------------------------------------------------
cat >race.yaml <<E
services:
  racer:
    image: base
    command: [/atk, race, /m, "$CANARY", "60"]
    volumes: ["shared:/m"]
    stop_grace_period: 0s
  victim:
    image: base
    command: ["true"]
    volumes: ["shared:/m"]
    tmpfs: ["/m/x/y/z"]
volumes:
  shared: {}
E
c -f race.yaml up -d racer >/dev/null 2>&1
for ((i = 0; i < N; i++)); do
	c -f race.yaml up -d --force-recreate --no-deps -t 0 victim >/dev/null 2>&1
done
untouched "7, 8: $N mounts into a directory that is being swapped stay inside"
c -f race.yaml down -v -t 0 >/dev/null 2>&1

# ---- 12, 13: users ---------------------------------------------------------------------------------------
fresh
printf '4294967296:x:0:0::/:/bin/sh\n77:x:0:0::/:/bin/sh\nwrap:x:4294967296:0::/:/bin/sh\n' \
	>>"$WORK/image/etc/passwd"
image users
got=
for user in 77 1 1000:0 user user:extra 2147483648 4294967296 -1 wrap 0x0; do
	out=$(IMAGE=users MORE="user: \"$user\"" one /bin/sh -c 'id -u; id -G')
	case $out in
	*'exit 0') got="$got $user=$(head -2 <<<"$out" | tr '\n' ,)" ;;
	*) got="$got $user=refused" ;;
	esac
done
is "12, 13: users, numbers and groups" "$got" \
	" 77=77,0, 1=1,0, 1000:0=1000,0, user=1000,1000 2000, user:extra=1000,2000, 2147483648=refused 4294967296=refused -1=refused wrap=refused 0x0=refused"
cat >compose.yaml <<'E'
services:
  a: {image: users, command: [sleep, "1000"], stop_grace_period: 0s}
E
c up -d >/dev/null 2>&1
is "13: exec -u 1 is not root" "$(in_container -u 1 a id -u)" 1
is "13: exec -u 77 is a number" "$(in_container -u 77 a id -u)" 77
like "13: exec -u 4294967296 is refused" "$(in_container -u 4294967296 a id -u)" 'out of range'
c down -t 0 >/dev/null 2>&1

# ---- 14: /etc/passwd that is no such thing -----------------------------------------------------------------
hostile() {
	local start=$SECONDS out
	image "$1"
	out=$(IMAGE=$1 MORE='user: user' one id)
	unlike "14: /etc/passwd as $1" "$out" 'exit 0'
	[ $((SECONDS - start)) -lt 20 ] || fail "14: $1 took $((SECONDS - start)) s"
}
fresh
truncate -s 1G "$WORK/image/etc/passwd"
(cd "$WORK/image" && tar -S -cf "$WORK/sparse.tar" .) && comp image import "$WORK/sparse.tar" huge >/dev/null 2>&1
rm -f "$WORK/sparse.tar"
unlike "14: /etc/passwd of 1 GiB" "$(IMAGE=huge MORE='user: user' one id)" 'exit 0'
fresh
rm "$WORK/image/etc/passwd"
mkfifo "$WORK/image/etc/passwd"
hostile fifo
fresh
rm "$WORK/image/etc/passwd"
ln -s ../../../../../../etc/shadow "$WORK/image/etc/passwd"
hostile link
fresh
rm "$WORK/image/etc/passwd"
mkdir "$WORK/image/etc/passwd"
hostile directory

# ---- 16, 17: the operator's terminal and keys -----------------------------------------------------------------
cat >compose.yaml <<'E'
services:
  a: {image: base, stop_grace_period: 0s, security_opt: ["seccomp:unconfined"]}
E
serial=
if command -v keyctl >/dev/null; then
	serial=$(keyctl add user comp-canary secret @s 2>/dev/null)
fi
c up -d >/dev/null 2>&1
is "16: exec -T from a terminal hands no terminal over" \
	"$(script -qec "$COMP -p $P exec -T a /atk tiocsti" /dev/null </dev/null | tr -d '\r')" nothing
is "17: the session's keys are not there, filter or not" "$(in_container a /atk keys "${serial:-0}")" nothing
c down -t 0 >/dev/null 2>&1

# ---- 26: device nodes in layers -----------------------------------------------------------------------------
fresh
mknod "$WORK/image/disk" b "$((0x$(stat -c %t /dev/loop0)))" "$((0x$(stat -c %T /dev/loop0)))"
mknod "$WORK/image/zero" c 1 5
chmod 666 "$WORK/image/disk" "$WORK/image/zero"
image nodes
out=$(IMAGE=nodes one /bin/sh -c '{ head -c1 /disk; head -c1 /zero; } 2>&1; head -c1 /dev/zero | wc -c')
is "26: device nodes of an image do not work" "$(tail -2 <<<"$out")" $'1\nexit 0'
like "26: not even harmless ones" "$out" 'zero: Permission denied'

# ---- 31: volumes that an image wants elsewhere ----------------------------------------------------------------
for volume in "/../../..$CANARY" /link /link/sub "/dir/../link"; do
	fresh
	mkdir "$WORK/image/dir"
	ln -s "$CANARY" "$WORK/image/link"
	image volumes --change "VOLUME $volume"
	out=$(IMAGE=volumes one /bin/sh -c "cat $volume/file $volume/ptmx $volume/sub/file; echo hello >$volume/sub-new; true" 2>&1)
	unlike "31: VOLUME $volume does not show the host's" "$out" untouched
	comp volume prune -af >/dev/null 2>&1
done
untouched "31: and nothing was written there"

# ---- 32: labels of an image say nothing to us ------------------------------------------------------------------
fresh
image liar --change "LABEL com.docker.compose.project=${P}other com.docker.compose.service=b com.docker.compose.oneoff=True" \
	--change 'CMD ["sleep","1000"]'
printf 'services: {a: {image: liar, stop_grace_period: 0s}}\n' >compose.yaml
c up -d >/dev/null 2>&1
is "32: it is in the project that started it" "$(c ps --format '{{.Service}} {{.State}}'; comp -p "${P}other" ps -aq 2>/dev/null)" "a running"
comp -p "${P}other" down -t 0 --remove-orphans >/dev/null 2>&1
is "32: and another's down does not reach it" "$(c ps --format '{{.State}}' a)" running
is "32: nor does it say so itself" "$(c ps --format json | jq -r .Labels | tr , '\n' | grep '^com.docker.compose.project=')" \
	"com.docker.compose.project=$P"
c down -t 0 >/dev/null 2>&1

untouched "the host has not changed at all"
done_testing
