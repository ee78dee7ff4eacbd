#!/usr/bin/env bash
# export and commit of containers, history, disk usage, the prune commands, and a store
# that was damaged.
. "$(dirname "$0")/../lib/tap.sh"
plan 69

id_of() {
	comp image inspect "$1" -f '{{.Id}}'
}

tiny_image base:1 -c 'LABEL keep=no' -c 'ENV A=b' -c 'ENTRYPOINT ["/bin/busybox"]' -c 'CMD ["true"]'
cat >compose.yaml <<'Y'
services:
  web:
    image: base:1
    command: ["sh", "-c", "trap 'exit 0' TERM; echo hi >/new; rm /etc/group; mkdir /home/d; touch /home/d/x; echo /data >/data/f; while :; do sleep 0.1; done"]
    environment: {B: c}
    labels: {mine: "yes"}
    volumes: ["data:/data", "/anonymous"]
  never:
    image: base:1
    profiles: [x]
volumes: {data: {}}
Y
comp -p "$P" up -d >/dev/null 2>&1
until_true 5 test -e "$(echo "$COMP_ROOT"/projects/"$P"/containers/*/upper/home/d/x)"
C=$P-web-1

# ---- export ---------------------------------------------------------------------------
ok "export of a running service" comp -p "$P" export -o web.tar web
mkdir tree && tar -C tree -xpf web.tar
is "what it wrote is there" "$(cat tree/new)" hi
is "what it removed is not" "$(ls tree/etc/group 2>&1 | grep -c 'No such')" 1
is "what was in the image is" "$(cmp tree/bin/busybox /bin/busybox && echo same)" same
is "volumes are not in it" "$(ls -A tree/data)" ""
is "nor what is mounted in it" "$(ls -A tree/proc 2>/dev/null)" ""
is "by the container's name, to standard output" "$(comp export "$C" | tar -tf - | grep -c '^home/d/x$')" 1
is "nothing is mounted afterwards" "$(grep -c "$COMP_ROOT.*overlay" /proc/self/mounts)" 0
fails "an unknown one" 1 'no such service or container: nobody' comp -p "$P" export nobody
ok "what is exported can be imported" comp image import web.tar again:1

# ---- commit ---------------------------------------------------------------------------
id=$(comp -p "$P" commit -a 'Some One' -m 'a note' -c 'LABEL x=y' web made:1 2>err)
like "commit prints the id" "$id" '^sha256:[0-9a-f]{64}$'
is "and says nothing else" "$(cat err)" ""
is "it has the name" "$(id_of made:1)" "$id"
is "and one layer more" "$(comp image inspect made:1 -f '{{len .RootFS.Layers}}')" 2
is "author" "$(comp image inspect made:1 -f '{{.Author}}')" 'Some One'
is "the command, without the image's entrypoint" "$(comp image inspect made:1 -f '{{json .Config.Entrypoint}} {{index .Config.Cmd 0}}')" '["/bin/busybox"] sh'
like "environment" "$(comp image inspect made:1 -f '{{json .Config.Env}}')" '"A=b".*"B=c"|"B=c".*"A=b"'
is "labels, but not those that say which container it was" "$(comp image inspect made:1 -f '{{json .Config.Labels}}' | jq -cS .)" '{"keep":"no","mine":"yes","x":"y"}'
is "the container runs on" "$(comp -p "$P" ps --format '{{.State}}' web)" running
layer=$COMP_ROOT/images/layers/$(comp image inspect made:1 -f '{{index .RootFS.Layers 1}}' | cut -c8-)
is "the layer is what was changed" "$(cat "$layer/new") $(stat -c %F:%t:%T "$layer/etc/group")" "hi character special file:0:0"
like "history" "$(comp image history made:1)" 'sh -c trap .*a note'
is "history: newest first, sizes of layers" "$(comp image history --format '{{.ID}} {{.Comment}}' made:1 | tr '\n' '|')" "${id:7:12} a note|<missing> |"
is "history -q --no-trunc" "$(comp image history -q --no-trunc made:1 | head -1)" "$id"
fails "a bad name" 1 'invalid reference|must be lowercase' comp -p "$P" commit web Bad
is "nothing came of that" "$(comp image ls -q | sort -u | wc -l)" 3

# The pause ends with whoever asked for it, and with the supervisor that made it.
mkdir held
cat >held/compose.yaml <<'Y'
services:
  big:
    image: base:1
    entrypoint: []
    command: sh -c "dd if=/dev/zero of=/home/big bs=1M count=400 2>/dev/null; touch /home/done; exec sleep 86400"
    stop_grace_period: 1s
Y
held() { comp -f held/compose.yaml -p "${P}h" "$@"; }
big() { held ps --format '{{.State}}' big; }
big_is() { [ "$(big)" = "$1" ]; }
big_is_written() { held exec -T big test -e /home/done 2>/dev/null; }
held up -d >/dev/null 2>&1
until_true 30 big_is_written
"$COMP" -p "${P}h" -f held/compose.yaml commit big big:1 >/dev/null 2>&1 &
pid=$!
ok "paused while it is read" until_true 5 big_is paused
kill -9 "$pid"
wait "$pid" 2>/dev/null
ok "commit was killed: it goes on" until_true 5 big_is running
is "and can be used" "$(held exec -T big echo yes)" yes
"$COMP" -p "${P}h" -f held/compose.yaml commit big big:1 >/dev/null 2>&1 &
pid=$!
until_true 5 big_is paused
kill -9 "$(cat "$COMP_RUN/${P}h/lock")" "$pid"
ok "and its supervisor as well" until_true 10 big_is running
wait "$pid" 2>/dev/null
held down -t 1 >/dev/null 2>&1
comp -p "$P" stop -t 5 >/dev/null 2>&1
ok "export of a stopped one" comp -p "$P" export -o stopped.tar web
is "the same" "$(tar -tf stopped.tar | sort | sha256sum)" "$(tar -tf web.tar | sort | sha256sum)"
id2=$(comp commit "$C")
like "commit of a stopped one, by name, without a name for it" "$id2" '^sha256:'
is "it is the same layer" "$(comp image inspect "$id2" -f '{{index .RootFS.Layers 1}}')" "$(comp image inspect made:1 -f '{{index .RootFS.Layers 1}}')"
comp save -o made.tar made:1
comp image rm -f made:1 >/dev/null
comp load -q -i made.tar
is "a committed image survives save and load" "$(id_of made:1)" "$id"

# ---- df ---------------------------------------------------------------------------------
like "df: images, one of four in use" "$(comp system df)" '^Images +4 +1 '
like "df: containers" "$(comp system df)" '^Containers +1 +0 .*100%'
like "df: volumes" "$(comp system df)" '^Local Volumes +2 +2 '
like "df -v: shared layers" "$(comp system df -v)" '^made +1 .* 1\.9[0-9]MB +[0-9.]+k?B +0$'
is "df --format json" "$(comp system df --format json | jq -r .Type | tr '\n' ' ')" "Images Containers Local Volumes Build Cache "

# ---- image prune ----------------------------------------------------------------------------
is "without a terminal nothing is removed" "$(comp image prune 2>/dev/null </dev/null; comp image ls -q | wc -l)" 4
like "the question has a list" "$(comp image prune 2>&1 </dev/null)" "image $id2"
like "prune removes what has no name" "$(comp image prune -f)" "^deleted: $id2"
comp tag made:1 made:2
is "a filter by label" "$(comp image prune -af --filter label=x=z)" "Total reclaimed space: 0B"
is "and the other way round" "$(comp image prune -af --filter label!=keep | grep -c ^untagged)" 1
is "a filter by time" "$(comp image prune -af --filter until=10m)" "Total reclaimed space: 0B"
fails "an unknown filter" 1 "invalid filter 'size=3'" comp image prune -f --filter size=3
like "all that no container has" "$(comp image prune -af)" '^untagged: made:2'
is "that of a stopped container stays" "$(comp image ls --format '{{.Repository}}:{{.Tag}}')" base:1

# ---- network, volume, system prune ------------------------------------------------------------
like "network ls" "$(comp network ls)" "^[0-9a-f]{12} +${P}_default +bridge +local"
is "network prune leaves what a stopped container has" "$(comp network prune -f; comp network ls -q | wc -l)" 1
is "volume prune leaves what a stopped container has" "$(comp volume prune -af)" "Total reclaimed space: 0B"
out=$(comp --dry-run system prune -a --volumes 2>&1)
like "system prune: the list" "$out" "container $C"
like "system prune: networks" "$out" "network ${P}_default"
like "system prune: images that become free" "$out" "image base:1"
unlike "system prune: named volumes stay" "$out" "volume ${P}_data"
is "a dry run removes nothing" "$(comp -p "$P" ps -aq | wc -l) $(comp image ls -q | wc -l)" "1 1"
comp -p "$P" start >/dev/null 2>&1
is "what runs stays, with all it needs" "$(comp system prune -af --volumes 2>/dev/null)" "Total reclaimed space: 0B"
comp -p "$P" stop -t 5 >/dev/null 2>&1
out=$(comp system prune -af --volumes 2>/dev/null)
like "system prune" "$out" '^deleted: sha256:'
is "all but the named volume is gone" "$(comp -p "$P" ps -aq; comp network ls -q; comp image ls -q; comp volume ls -q)" "${P}_data"
like "volume prune -a" "$(comp volume prune -af)" "^${P}_data$"

# ---- check ------------------------------------------------------------------------------------------
tiny_image c:1
comp save -o c.tar c:1
comp image rm c:1 >/dev/null
comp load -q -i c.tar
layer=$COMP_ROOT/images/layers/$(comp image inspect c:1 -f '{{index .RootFS.Layers 0}}' | cut -c8-)
like "a good store" "$(comp system check)" '^Checked 1 images, 1 layers, 3 blobs: no problems$'
chmod 4777 "$layer/etc/passwd"
out=$(comp system check 2>&1)
like "a mode that was changed is found" "$out" 'damaged: layer sha256:.*: its files are not those'
like "and which image it hurts" "$out" 'images: c:1'
comp system check --repair >/dev/null
is "repair: as it was" "$(stat -c %a "$layer/etc/passwd"; comp system check -q)" 644
rm -rf "$layer"
comp system check --repair >/dev/null
is "repair of one that is gone" "$(cmp "$layer/bin/busybox" /bin/busybox && echo same)" same
kept=$COMP_ROOT/images/blobs/sha256/$(jq -r .blob.digest "$layer.json" | cut -c8-)
printf x | dd of="$kept" bs=1 seek=900 conv=notrunc status=none
like "damaged kept bytes are found" "$(comp system check 2>&1)" "damaged: blob sha256:.*: a layer's bytes are damaged"
comp system check --repair >/dev/null
is "repair: they are forgotten" "$(jq .blob "$layer.json"; comp system check -q)" null
ok "and the image can be saved" comp save -o again.tar c:1
printf x | dd of="$COMP_ROOT/images/blobs/sha256/$(id_of c:1 | cut -c8-)" bs=1 seek=9 conv=notrunc status=none
fails_check=$(comp system check 2>&1)
like "a damaged config: what to do" "$fails_check" 'comp pull c:1'
done_testing
