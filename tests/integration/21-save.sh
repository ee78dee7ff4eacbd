#!/usr/bin/env bash
# What comp saves comes back as it was, here and in skopeo, podman and Docker; layers
# that came from outside keep their bytes, those comp made are packed the same every time.
. "$(dirname "$0")/../lib/tap.sh"
plan 47

archive() {
	python3 "$LIB/make-archive" "$@"
}

empty_store() {
	rm -rf "$COMP_ROOT/images"
}

id_of() {
	comp image inspect "$1" -f '{{.Id}}'
}

layer_of() {
	comp image inspect "$1" -f "{{index .RootFS.Layers $2}}" |
		sed "s|^sha256:|$COMP_ROOT/images/layers/|"
}

layers_of() {
	comp image inspect "$1" -f '{{range .RootFS.Layers}}{{.}} {{end}}'
}

blobs() {
	(cd "$COMP_ROOT/images/blobs/sha256" && sha256sum * | awk '{print ($1 == $2) ? $1 : "damaged " $2}')
}

# ---- a tree with one of everything --------------------------------------------
base=$WORK/base
busybox_rootfs "$base"
mkdir -p "$base"/{dev,var/mail,usr/lib}
chmod 2775 "$base/var/mail"
chgrp 8 "$base/var/mail"
chmod 4755 "$base/bin/busybox"
cp "$base/bin/busybox" "$base/usr/lib/ping"
setcap cap_net_raw+ep "$base/usr/lib/ping"
setfattr -n user.note -v text "$base/etc/passwd"
setfattr -n user.note -v text "$base/usr/lib"
ln "$base/etc/passwd" "$base/etc/passwd.hard"
mkfifo "$base/dev/fifo"
mknod "$base/dev/zero" c 1 5
mknod "$base/dev/disk" b 259 65537
chown 1000:2000 "$base/home"
ln -s nowhere "$base/dangling"
ln -s "$(printf 'y%.0s' {1..200})" "$base/longlink"
echo é >"$base/é"
printf x >"$base/"$'latin\xe9'
long=$(printf 'x%.0s' {1..150})
mkdir -p "$base/$long/$long"
echo long >"$base/$long/$long/$long"
ln "$base/$long/$long/$long" "$base/again"
name100=$(printf 'n%.0s' {1..100})
echo 100 >"$base/$name100"
touch "$base/big-owner"
chown 3000000000:2500000 "$base/big-owner"
touch -d '1969-12-31 23:59:58 UTC' "$base/before" # libarchive 3.6 misreads a fraction here
touch -d '2300-01-01 UTC' "$base/after"
touch -h -d '2001-02-03 04:05:06.789' "$base/dangling" "$base/home" "$base/etc/group"
truncate -s 20M "$base/sparse"
printf end >>"$base/sparse"
tar --format=pax --xattrs --xattrs-include='*' -S -C "$base" -cf base.tar .
mkdir -p top/etc top/var/mail
echo new >top/etc/new
touch top/etc/.wh.passwd top/var/mail/.wh..wh..opq
echo y >top/var/mail/y
tar -C top -cf top.tar .

# ---- packing: the same tree, the same bytes -------------------------------------
comp image import base.tar made:1 -c 'CMD ["sh"]' >/dev/null
made=$(id_of made:1)
diff_id=$(layers_of made:1)
is "an import keeps no bytes" "$(find "$COMP_ROOT/images/blobs" -size +100k)" ""
ok "save" comp save -o made.tar made:1
is "the same bytes each time" "$(comp image save made:1 | sha256sum)" "$(sha256sum <made.tar)"
is "the layer is named by its diff id" "$(tar xOf made.tar "blobs/sha256/${diff_id:7:64}" | sha256sum | cut -c-64)" "${diff_id:7:64}"
mkdir unpacked
tar xOf made.tar "blobs/sha256/${diff_id:7:64}" |
	tar --xattrs --xattrs-include='*' -C unpacked -xpf - --numeric-owner
ok "GNU tar unpacks it to the same tree" python3 "$LIB/tree-compare" "$base" unpacked
is "fractions of a second too" "$(find unpacked -printf '%P %T@\n' | sort | sha256sum)" \
	"$(find "$base" -printf '%P %T@\n' | sort | sha256sum)"
empty_store
is "it comes back" "$(comp load -i made.tar)" "Loaded image: made:1"
is "with its id" "$(id_of made:1)" "$made"
ok "and its tree" python3 "$LIB/tree-compare" "$base" "$(layer_of made:1 0)"
is "and is saved the same again" "$(comp save made:1 | sha256sum)" "$(sha256sum <made.tar)"
is "now from kept bytes" "$(jq -r .blob.digest "$COMP_ROOT/images/layers/${diff_id:7:64}.json")" "${diff_id% }"
# pack → unpack → pack, with whiteouts and opaque directories in between
archive two.tar base.tar top.tar
comp load -q -i two.tar
for n in 0 1; do
	top=$(layer_of example.com/team/app:1 $n)
	tar -C "$top" -cf /dev/null . # a reader changes nothing
	sed -i 's/,"blob":.*/}/; s/, *"blob".*/}/' "$top.json"
done
fails "a layer that cannot be packed to what it was is named" 1 'layer sha256:[0-9a-f]{64} was changed' \
	sh -c "'$COMP' save example.com/team/app:1 >/dev/null"

# ---- loaded layers: byte for byte -------------------------------------------------
for compress in none gzip zstd; do
	empty_store
	archive in.tar compress="${compress/none/}" name=example.com/team/app:1 base.tar top.tar
	comp load -q -i in.tar
	digest=$(comp image inspect example.com/team/app:1 -f '{{index .RepoDigests 0}}')
	id=$(id_of example.com/team/app:1)
	before=$(blobs)
	unlike "$compress: what was loaded is there, byte for byte" "$before" damaged
	comp save -o "out-$compress.tar" example.com/team/app:1
	empty_store
	ok "$compress: what was saved can be loaded" comp load -i "out-$compress.tar"
	is "$compress: the same id, manifest, layers" \
		"$(id_of example.com/team/app:1) $(comp image inspect example.com/team/app:1 -f '{{index .RepoDigests 0}}') $(blobs)" \
		"$id $digest $before"
done

# What `docker save` does not say.
for compress in none gzip zstd; do
	empty_store
	archive in.tar format=docker compress="${compress/none/}" name=example.com/team/app:1 base.tar top.tar
	comp load -q -i in.tar
	like "$compress in an archive as docker's: its media type" \
		"$(jq -r .blob.media_type "$(layer_of example.com/team/app:1 0).json")" "${compress/none/tar}\$"
done

# ---- which images ------------------------------------------------------------------------
comp tag example.com/team/app:1 multi:a
comp tag example.com/team/app:1 multi:b
tiny_image other:1
comp save -o many.tar multi other:1 "$(id_of example.com/team/app:1)"
is "a name without a tag is all its tags" "$(tar xOf many.tar manifest.json | jq -c '[.[].RepoTags]')" \
	'[["multi:a","multi:b"],["other:1"]]'
is "an id alone has no names" "$(comp save "$(id_of other:1)" | tar xO manifest.json | jq -c '.[0].RepoTags')" '[]'
empty_store
like "all of them come back" "$(comp load -i many.tar | sort | xargs)" \
	'Loaded image: multi:a Loaded image: multi:b Loaded image: other:1'
fails "an image that is not there" 1 'no such image: nothing' comp save -o nothing.tar other:1 nothing
is "leaves no file" "$(ls nothing.tar* 2>/dev/null)" ""
echo old >keep.tar
fails "nor touches one that was there" 1 'no such image' comp save -o keep.tar nothing
is "it is as it was" "$(cat keep.tar)" old
fails "a directory that is not there" 1 'create no/where.tar: No such file' comp save -o no/where.tar other:1
fails "a disk that is full" 1 'write: No space left' comp save -o /dev/full other:1
# Bytes that rot.
comp load -q -i out-gzip.tar
blob=$(jq -r .blob.digest "$(layer_of example.com/team/app:1 0).json")
printf x | dd of="$COMP_ROOT/images/blobs/sha256/${blob:7}" bs=1 seek=5000 conv=notrunc status=none
fails "damaged bytes are named" 1 "bytes of a layer are damaged: $blob" sh -c "'$COMP' save example.com/team/app:1 >/dev/null"
empty_store

# ---- an old store ----------------------------------------------------------------------------
comp load -q -i made.tar
jq -c 'del(.blob)' "$COMP_ROOT/images/layers/${diff_id:7:64}.json" >old.json
mv old.json "$COMP_ROOT/images/layers/${diff_id:7:64}.json"
rm "$COMP_ROOT/images/blobs/sha256/${diff_id:7:64}"
is "a store that kept no bytes is read, and saved" "$(comp save made:1 | tar xO manifest.json)" \
	"$(tar xOf made.tar manifest.json)"
comp image rm made:1 >/dev/null
is "nothing stays when an image goes" "$(find "$COMP_ROOT/images/blobs" "$COMP_ROOT/images/layers" -mindepth 2)" ""

# ---- others read it ------------------------------------------------------------------------------
comp load -q -i out-gzip.tar
want_id=$(id_of example.com/team/app:1)
want_digest=$(comp image inspect example.com/team/app:1 -f '{{index .RepoDigests 0}}')
if command -v skopeo >/dev/null; then
	for kind in docker-archive oci-archive; do
		rm -rf sk
		ok "skopeo takes it as $kind" skopeo --insecure-policy copy -q "$kind:out-gzip.tar" dir:sk
		is "$kind: the same config" "sha256:$(sha256sum <"sk/${want_id:7}" | cut -c-64)" "$want_id"
	done
	is "oci-archive: the same manifest" "sha256:$(sha256sum <sk/manifest.json | cut -c-64)" "${want_digest#*@}"
else
	for i in 1 2 3 4 5; do skip "skopeo takes it" "no skopeo"; done
fi
# Neither Docker nor podman gives back a layer with GNU's sparse files in it, so: ours.
empty_store
comp load -q -i made.tar
if command -v podman >/dev/null; then
	pod() {
		podman --root "$WORK/podman" --runroot "$WORK/podrun" --storage-driver vfs "$@" 2>"$WORK/pod.err"
	}
	like "podman load" "$(pod load -i made.tar; cat "$WORK/pod.err")" 'made:1'
	is "the same id in podman" "sha256:$(pod image inspect made:1 | jq -r '.[0].Id')" "$made"
	pod save -q --format docker-archive -o back.tar made:1
	empty_store
	comp load -q -i back.tar
	is "and back" "$(id_of made:1)" "$made"
	pod rmi -af >/dev/null
	rm -rf "$WORK/podman" "$WORK/podrun"
else
	for i in 1 2 3; do skip "podman load" "no podman"; done
fi
if command -v dockerd >/dev/null; then
	mkdir dk
	# Its own mount and network namespaces; all it leaves goes with them.
	unshare -m -n --propagation private bash -c '
		ip link set lo up
		mount -t tmpfs tmpfs /run
		dockerd --data-root "$1/data" --exec-root /run/dk -H "unix://$1/d.sock" --pidfile /run/dk.pid \
			--storage-driver vfs --iptables=false --ip6tables=false --bridge=none >"$1/log" 2>&1 &
		pid=$!
		for i in $(seq 150); do
			docker -H "unix://$1/d.sock" version >/dev/null 2>&1 && break
			sleep 0.1
		done
		docker -H "unix://$1/d.sock" load -i "$2" >"$1/loaded" 2>&1
		docker -H "unix://$1/d.sock" image inspect -f "{{.Id}} {{.RootFS.Layers}}" made:1 >"$1/inspect" 2>&1
		docker -H "unix://$1/d.sock" save -o "$1/back.tar" made:1
		kill $pid
		wait $pid
	' - "$PWD/dk" "$PWD/made.tar"
	is "docker load" "$(cat dk/loaded)" "Loaded image: made:1"
	empty_store
	comp load -q -i made.tar
	is "the same id and layers in Docker" "$(cat dk/inspect)" "$made [$(layers_of made:1 | sed 's/ $//')]"
	empty_store
	comp load -q -i dk/back.tar
	is "and back from docker save" "$(id_of made:1)" "$made"
	rm -rf dk
else
	for i in 1 2 3; do skip "docker load" "no dockerd"; done
fi
done_testing
