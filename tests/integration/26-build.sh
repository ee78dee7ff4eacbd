#!/usr/bin/env bash
# The builder: instructions, COPY's rules, the cache, RUN's mounts and networks, errors,
# what a kill leaves, and that others run what comes out.
. "$(dirname "$0")/../lib/tap.sh"
plan 77

tiny_image base:1
mkdir -p ctx/sub/deep
echo a >ctx/a.txt
echo b >ctx/sub/b.txt
echo c >ctx/sub/deep/c.txt
ln -s a.txt ctx/link
chmod 0754 ctx/sub/b.txt

# build [FLAGS]: a Dockerfile from standard input, in ctx, as t:1; its output in $out
build() {
	cat >ctx/Dockerfile
	out=$(comp image build --progress plain -t t:1 "$@" ctx 2>&1)
}

# builds NAME [FLAGS]: it succeeds
builds() {
	local name=$1
	shift
	if build "$@"; then pass "$name"; else fail "$name" "$out"; fi
}

# breaks NAME REGEX [FLAGS]: it fails and says so
breaks() {
	local name=$1 regex=$2
	shift 2
	if build "$@"; then
		fail "$name" "it was built"
	else
		like "$name" "$out" "$regex"
	fi
}

# Where the files of t:1 are, all layers on top of each other.
tree() {
	local dirs
	umount "$WORK/mnt" 2>/dev/null
	mkdir -p "$WORK/mnt" "$WORK/none"
	dirs=$(comp image inspect "${1:-t:1}" -f '{{.GraphDriver.Data.LowerDir}}')
	mount -t overlay overlay -o "ro,lowerdir=$dirs:$WORK/none" "$WORK/mnt"
}

# of PATH: type, mode, owner of it in the tree
of() {
	stat -c '%F %a %u:%g' "$WORK/mnt/$1" 2>&1
}

config() {
	comp image inspect t:1 -f "$1"
}

# ---- the result ----------------------------------------------------------------------
builds "an image is built" --label l=1 --build-arg V=7 <<'D'
ARG V=1
FROM base:1 AS first
ARG V
ENV A=x B="$V y"
WORKDIR /w/d
RUN echo "$A $B $V" >out; id -u; hostname
USER user
EXPOSE 80 53/udp
VOLUME /v
LABEL m="n o"
STOPSIGNAL SIGINT
HEALTHCHECK --interval=7s --retries=2 CMD test -e /
SHELL ["/bin/sh","-ec"]
CMD echo hi
D
tree
is "arguments and variables reach RUN" "$(cat "$WORK/mnt/w/d/out")" "x 7 y 7"
is "WORKDIR is made" "$(of w/d)" "directory 755 0:0"
is "Env" "$(config '{{json .Config.Env}}')" '["A=x","B=7 y"]'
is "Cmd, by the shell stated" "$(config '{{json .Config.Cmd}}')" '["/bin/sh","-ec","echo hi"]'
is "User, WorkingDir, StopSignal" \
	"$(config '{{.Config.User}} {{.Config.WorkingDir}} {{.Config.StopSignal}}')" "user /w/d SIGINT"
is "labels of file and command line" "$(config '{{json .Config.Labels}}')" '{"m":"n o","l":"1"}'
is "ports and volumes" "$(config '{{json .Config.ExposedPorts}} {{json .Config.Volumes}}')" \
	'{"80/tcp":{},"53/udp":{}} {"/v":{}}'
like "output comes with step and time" "$out" '^#[0-9]+ [0-9.]+ 0$'
like "steps are numbered" "$out" '^#[0-9]+ \[first 3/3\] RUN echo'
id=$(config '{{.Id}}')
out=$(comp image build --progress plain -t t:1 --label l=1 --build-arg V=7 ctx 2>&1)
is "everything comes from the cache" "$(grep -c CACHED <<<"$out")" 3
is "and is the same image" "$(config '{{.Id}}')" "$id"
out=$(comp image build --progress plain -t t:1 --label l=1 --build-arg V=7 --no-cache ctx 2>&1)
is "--no-cache runs every step" "$(grep -c CACHED <<<"$out")" 0
is "-q prints the id alone" "$(comp image build -q -t t:1 --iidfile "$WORK/iid" ctx)" "$(cat "$WORK/iid")"

# ---- COPY and ADD ----------------------------------------------------------------------
tar -C ctx -czf ctx/tree.tgz sub
printf 'no archive' | gzip >ctx/text.gz
builds "COPY and ADD" <<'D'
FROM base:1
ENV GREETED=world
RUN mkdir -p /there/sub && chmod 700 /there && ln -s /there /alias && ln -s ../../../etc /tmp/up
COPY a.txt /file
COPY a.txt /dir/
COPY a.txt sub /both/
COPY sub /there
COPY sub /alias/more
COPY a.txt /tmp/up/from-link
COPY link /linked
COPY --chown=user:extra --chmod=0600 a.txt /own/x
COPY --chmod=u=rwX,go=rX sub /sym
COPY s*b/*.txt /wild/
COPY --exclude=deep sub /less
COPY --parents ./sub/deep/c.txt /parents/
ADD tree.tgz /unpacked/
ADD text.gz /plain/
COPY <<EOT /here/doc
hello $GREETED
EOT
D
tree
is "a file to a name" "$(of file)" "regular file 644 0:0"
is "a file to a directory" "$(cat "$WORK/mnt/dir/a.txt")" a
is "file and directory's content together" "$(cd "$WORK/mnt/both" && echo *)" "a.txt b.txt deep"
is "a directory that is there keeps its mode" "$(of there)" "directory 700 0:0"
is "modes of files stay" "$(of there/b.txt)" "regular file 754 0:0"
is "a link to a directory is followed" "$(cat "$WORK/mnt/there/more/b.txt")" b
is "and never leaves the image" "$(cat "$WORK/mnt/etc/from-link")" a
[ -e /etc/from-link ] && rm -f /etc/from-link && fail "the host's /etc was written to"
is "a link that is copied is its file" "$(of linked)" "regular file 644 0:0"
is "--chown by name, --chmod" "$(of own/x)" "regular file 600 1000:2000"
is "parents of --chown too" "$(of own)" "directory 755 1000:2000"
is "symbolic modes" "$(of sym/b.txt) $(of sym/deep)" "regular file 755 0:0 directory 755 0:0"
is "wildcards" "$(cd "$WORK/mnt/wild" && echo *)" b.txt
is "--exclude" "$(cd "$WORK/mnt/less" && echo *)" b.txt
is "--parents" "$(cat "$WORK/mnt/parents/sub/deep/c.txt")" c
is "ADD unpacks an archive" "$(cat "$WORK/mnt/unpacked/sub/deep/c.txt")" c
is "but not what is only compressed" "$(zcat "$WORK/mnt/plain/text.gz")" "no archive"
like "a heredoc is expanded" "$(cat "$WORK/mnt/here/doc")" '^hello world'

# ---- ADD of addresses ------------------------------------------------------------------
mkdir -p www
echo fetched >www/f.txt
touch -d '2020-01-02 03:04:05 UTC' www/f.txt
tar -C ctx -czf www/t.tgz sub
cat >server.py <<'PY'
import http.server
class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/f.txt")
            self.end_headers()
        else:
            super().do_GET()
    def log_message(self, *args):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
PY
(cd www && exec python3 ../server.py >"$WORK/port") &
server=$!
until_true 10 test -s "$WORK/port"
at=http://127.0.0.1:$(cat "$WORK/port")
sum=$(sha256sum www/f.txt | cut -d' ' -f1)
builds "ADD of addresses" <<D
FROM base:1
ADD $at/f.txt /to/
ADD --checksum=sha256:$sum $at/moved /named
ADD --unpack=true $at/t.tgz /unpacked/
ADD $at/t.tgz /kept/
D
tree
is "as files of root alone" "$(of to/f.txt)" "regular file 600 0:0"
is "with the server's time" "$(stat -c %Y "$WORK/mnt/named")" 1577934245
is "unpacked when asked to" "$(ls "$WORK/mnt/unpacked/sub" "$WORK/mnt/kept" | tr '\n' ' ')" \
	"$WORK/mnt/kept: t.tgz  $WORK/mnt/unpacked/sub: b.txt deep "
breaks "what is not there" 'invalid response status 404' <<D
FROM base:1
ADD $at/none /x
D
breaks "another content than was said" 'digest mismatch' <<D
FROM base:1
ADD --checksum=sha256:$(printf '0%.0s' {1..64}) $at/f.txt /x
D
kill "$server"
wait "$server" 2>/dev/null

# ---- the context -----------------------------------------------------------------------
printf 'sub\n!sub/b.txt\n' >ctx/.dockerignore
builds "with .dockerignore" <<'D'
FROM base:1
COPY . /c
D
tree
is "only what is not hidden comes" "$(cd "$WORK/mnt/c" && find . -type f | sort | tr '\n' ' ')" \
	"./.dockerignore ./Dockerfile ./a.txt ./sub/b.txt ./text.gz ./tree.tgz "
breaks "a hidden file is named" 'hides it: "sub"' <<'D'
FROM base:1
COPY sub/deep/c.txt /
D
like "with the line" "$out" 'ctx/Dockerfile:2: '
rm ctx/.dockerignore
breaks "a missing file says what is near" 'did you mean a.txt' <<'D'
FROM base:1
COPY b.txt /
D
is "a context from a tar, Dockerfile inside" \
	"$(printf 'FROM base:1\nCOPY sub/b.txt /\n' >ctx/Dockerfile; tar -C ctx -cz . | comp image build -q - >/dev/null && echo ok)" ok
is "a Dockerfile alone from standard input" "$(printf 'FROM base:1\nRUN true\n' | comp image build -q - >/dev/null && echo ok)" ok
mkdir -p other && echo other >other/file
builds "a named context" --build-context more=other --build-context img=docker-image://base:1 <<'D'
FROM img
COPY --from=more file /more
COPY --from=base:1 /bin/busybox /again
D
tree
is "its file" "$(cat "$WORK/mnt/more")" other

# ---- stages ------------------------------------------------------------------------------
builds "stages" <<'D'
FROM base:1 AS unused
RUN false
FROM base:1 AS one
RUN sleep 1; echo one >/one
FROM base:1 AS two
RUN sleep 1; echo two >/two
FROM scratch
COPY --from=one /one /
COPY --from=two /two /
COPY --from=1 /etc/passwd /p
D
breaks "an error of a stage that is needed" 'did not complete successfully: exit code: 1' <<'D'
FROM base:1 AS unused
RUN echo said before; false
FROM base:1
COPY --from=unused /x /
D
like "its last output is shown" "$out" '^said before$'
builds "--target" --target first <<'D'
FROM base:1 AS first
RUN echo 1 >/first
FROM base:1
RUN false
D
tiny_image trigger:1 --change 'ONBUILD RUN echo fired >/fired'
builds "ONBUILD" <<'D'
FROM trigger:1
RUN cat /fired
D
like "the trigger ran first" "$out" '^#[0-9]+ [0-9.]+ fired$'

# ---- RUN -----------------------------------------------------------------------------------
echo s3cret >secret
builds "mounts" --secret id=s,src=secret --add-host built.example:192.0.2.7 --shm-size 8m <<'D'
FROM base:1
RUN --mount=type=cache,target=/cache,id=c1 echo x >>/cache/n; wc -l </cache/n
RUN --mount=type=bind,source=sub,target=/src,rw cat /src/b.txt; echo z >/src/z
RUN --mount=type=secret,id=s cat /run/secrets/s >/dev/null && echo had it
RUN --mount=type=tmpfs,target=/t,size=1m df /t | grep -c tmpfs
RUN grep -c built.example /etc/hosts; df -k /dev/shm | tail -1
RUN --network=none ls /sys/class/net | tr '\n' ' '
RUN <<EOT
#!/bin/sh
echo "script $0"
EOT
RUN <<EOT
cd /
echo plain heredoc
EOT
D
like "the cache is filled" "$out" '^#[0-9]+ [0-9.]+ 1$'
like "the secret was there" "$out" 'had it'
like "no network but lo" "$out" '^#[0-9]+ [0-9.]+ lo *$'
like "a script as a heredoc" "$out" 'script /dev/pipes/EOT'
tree
is "nothing of the mounts is left in the image" \
	"$(cd "$WORK/mnt" && ls -d cache src run t dev/pipes 2>/dev/null; grep -r s3cret . 2>/dev/null)" ""
is "and nothing in the context" "$(ls ctx/sub)" "b.txt
deep"
builds "a cache mount is kept" <<'D'
FROM base:1
RUN --mount=type=cache,target=/elsewhere,id=c1 echo y >>/elsewhere/n; echo lines $(wc -l </elsewhere/n)
D
like "between builds" "$out" 'lines 2'
breaks "a secret that was not given" 'secret s: not found' <<'D'
FROM base:1
RUN --mount=type=secret,id=s,required=true true
D

# ---- files instead of an image -------------------------------------------------------------------
printf 'FROM scratch\nCOPY sub /s\n' >ctx/Dockerfile
ok "--output to a directory" comp image build -q -o "$WORK/files" ctx
is "has the files" "$(cd "$WORK/files" && find . -type f | sort | tr '\n' ' ')" \
	"./s/b.txt ./s/deep/c.txt "
is "and to a tar" "$(comp image build -q -o - ctx 2>/dev/null | tar -t | grep -c txt)" 2
fails "a network there is not" 1 'network "nope"' comp image build -q --network nope ctx

# ---- reproducible, and for others ------------------------------------------------------------
cat >ctx/Dockerfile <<'D'
FROM base:1
COPY sub /s
RUN date >/dev/null; echo x >/made; mkdir /dir
D
first=$(SOURCE_DATE_EPOCH=1700000000 comp image build -q --no-cache ctx)
sleep 1.1
second=$(SOURCE_DATE_EPOCH=1700000000 comp image build -q --no-cache -t t:1 ctx)
is "the same image with SOURCE_DATE_EPOCH" "$second" "$first"
ok "skopeo reads what save writes" bash -c "'$COMP' save -o '$WORK/t.tar' t:1 && skopeo inspect docker-archive:'$WORK/t.tar'"

# ---- a cache that travels ----------------------------------------------------------------------
out=$(comp image build --progress plain --cache-to type=local,dest="$WORK/cache" ctx 2>&1)
ok "--cache-to writes a directory" test -s "$WORK/cache/index.json"
ok "builder prune" comp builder prune -f -a
comp image rm -f t:1 >/dev/null 2>&1
out=$(comp image build --progress plain --cache-from type=local,src="$WORK/cache" ctx 2>&1)
is "--cache-from needs no step" "$(grep -c CACHED <<<"$out")" 3
find "$WORK/cache/blobs" -type f -exec sh -c 'echo x >>"$1"' - {} \;
comp builder prune -f -a >/dev/null
comp image prune -f >/dev/null
out=$(comp image build --progress plain --cache-from type=local,src="$WORK/cache" ctx 2>&1)
like "one that was tampered with is left out" "$out" 'cache not used: .*exporting to image|cache not used: '

# ---- killed --------------------------------------------------------------------------------
printf 'FROM base:1\nRUN echo begun; sleep 60\n' >ctx/Dockerfile
"$COMP" image build --progress plain ctx >"$WORK/killed.log" 2>&1 &
pid=$!
until_true 20 grep -qE '^#[0-9]+ [0-9.]+ begun$' "$WORK/killed.log"
kill -9 "$pid"
wait "$pid" 2>/dev/null
printf 'FROM base:1\nRUN true\n' >ctx/Dockerfile
nothing_left() {
	[ -z "$(ls "$COMP_ROOT/build/work")$(ls -d "$COMP_ROOT"/projects/build.* 2>/dev/null)" ]
}
# The stage's process dies a moment after its builder.
next_build() {
	comp image build -q ctx && nothing_left
}
ok "what a kill left goes with the next build" until_true 10 next_build
printf 'FROM base:1\nRUN echo begun; sleep 60\n' >ctx/Dockerfile
"$COMP" image build --progress plain ctx >"$WORK/killed.log" 2>&1 &
pid=$!
until_true 20 grep -qE '^#[0-9]+ [0-9.]+ begun$' "$WORK/killed.log"
kill -TERM "$pid"
wait "$pid"
is "SIGTERM ends it" "$?" 130
ok "and cleans up" nothing_left
# At any moment: while the container is made and started, too.
left=
for i in 1 2 3 4 5 6; do
	"$COMP" image build --progress plain --no-cache ctx >"$WORK/killed.log" 2>&1 &
	pid=$!
	until_true 20 grep -q 'echo begun' "$WORK/killed.log"
	sleep "0.0$((i * 12))"
	kill -TERM "$pid"
	wait "$pid"
	nothing_left || left="$left $i"
done
is "whenever it comes" "$left" ""

umount "$WORK/mnt" 2>/dev/null
done_testing
