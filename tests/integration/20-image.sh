#!/usr/bin/env bash
# Images: import, load in every format and compression, names, removal; archives
# that are damaged, hostile, too large or cut short; two writers at once.
. "$(dirname "$0")/../lib/tap.sh"
HOSTILE=$(grep -c '^case(' "$LIB/hostile-layers")
plan $((129 + HOSTILE))

archive() {
	python3 "$LIB/make-archive" "$@"
}

# layer_of IMAGE N: directory of its Nth layer from the bottom
layer_of() {
	comp image inspect "$1" -f "{{index .RootFS.Layers $2}}" |
		sed "s|^sha256:|$COMP_ROOT/images/layers/|"
}

# same_tree NAME IMAGE: its lowest layer is $WORK/base, the next has the whiteouts
same_tree() {
	local out top
	out=$(python3 "$LIB/tree-compare" "$WORK/base" "$(layer_of "$2" 0)" 2>&1) || {
		fail "$1" "$out"
		return
	}
	top=$(layer_of "$2" 1)
	if [ -c "$top/etc/passwd" ] && [ "$(stat -c %t:%T "$top/etc/passwd")" = 0:0 ] &&
		[ "$(getfattr --only-values -n trusted.overlay.opaque "$top/var/mail" 2>/dev/null)" = y ]; then
		pass "$1"
	else
		fail "$1" "$(ls -lR "$top")"
	fi
}

# What is in the store, file by file; locks and notes are not content.
store_state() {
	(cd "$COMP_ROOT/images" 2>/dev/null && find . -printf '%p %y %m %s %n\n' | sort |
		grep -vE '^\./(lock|using|garbage|tmp|layers|refs|images|blobs|blobs/sha256)? ' |
		grep -vE '^\. ')
}

empty_store() {
	rm -rf "$COMP_ROOT/images"
}

# ---- two layers with one of everything ----------------------------------------
base=$WORK/base
busybox_rootfs "$base"
mkdir -p "$base"/{dev,var/mail,usr/lib}
chmod 2775 "$base/var/mail"
chgrp 8 "$base/var/mail"
echo mail >"$base/var/mail/x"
chgrp 0 "$base/var/mail/x"
chmod 4755 "$base/bin/busybox"
cp "$base/bin/busybox" "$base/usr/lib/ping"
setcap cap_net_raw+ep "$base/usr/lib/ping"
setfattr -n user.note -v text "$base/etc/passwd"
ln "$base/etc/passwd" "$base/etc/passwd.hard"
mkfifo "$base/dev/fifo"
mknod "$base/dev/zero" c 1 5
chown 1000:2000 "$base/home"
ln -s nowhere "$base/dangling"
echo é >"$base/é"
long=$(printf 'x%.0s' {1..150})
mkdir -p "$base/$long/$long"
echo long >"$base/$long/$long/$long"
touch -h -d '2001-02-03 04:05:06' "$base/dangling" "$base/home" "$base/etc/group"
truncate -s 20M "$base/sparse"
tar --xattrs --xattrs-include='*' -S -C "$base" -cf base.tar .
mkdir -p top/etc top/var/mail
echo new >top/etc/new
touch top/etc/.wh.passwd top/var/mail/.wh..wh..opq
echo y >top/var/mail/y
tar -C top -cf top.tar .

# ---- import --------------------------------------------------------------------
id=$(comp image import base.tar rootfs:1 --change 'CMD ["sh"]' --change 'ENV A=b' \
	-c 'EXPOSE 80' -m hello)
like "import prints the id" "$id" '^sha256:[0-9a-f]{64}$'
ok "the tree is the one that was packed" python3 "$LIB/tree-compare" "$base" "$(layer_of rootfs:1 0)"
is "holes stay holes" "$(($(du -sk "$(layer_of rootfs:1 0)/sparse" | cut -f1) < 100))" 1
is "changes are applied" "$(comp image inspect rootfs:1 -f '{{json .Config.Cmd}} {{json .Config.Env}} {{json .Config.ExposedPorts}}')" '["sh"] ["A=b"] {"80/tcp":{}}'
is "inspect is an array" "$(comp image inspect rootfs:1 | jq -r '.[0].Id')" "$id"
like "ls" "$(comp image ls)" '^rootfs +1 +[0-9a-f]{12} '
is "ls -q" "$(comp image ls -q --no-trunc)" "$id"
is "ls --format json" "$(comp image ls --format json | jq -r '.Repository + ":" + .Tag')" rootfs:1
is "images outside a project lists the store" "$(comp images -q)" "${id:7:12}"
for z in gzip zstd xz; do
	$z -c base.tar >"base.tar.$z"
	comp image import - "from-$z" <"base.tar.$z" >/dev/null
	is "import of $z on stdin gives the same layer" "$(layer_of "from-$z" 0)" "$(layer_of rootfs:1 0)"
done
fails "a bad change names the instruction" 1 'EXPOSE: "http" is not a port' \
	comp image import base.tar x --change 'EXPOSE http'
# Where "/" is shared, as systemd makes it, so is what is cloned from it.
is "import where mounts are shared" "$(unshare -m --propagation shared "$COMP" image import base.tar shared)" \
	"$(comp image inspect shared -f '{{.Id}}')"
comp image rm shared >/dev/null
fails "an unknown change" 1 'RUN is not an instruction' comp image import base.tar x -c 'RUN a'
fails "a bad name" 1 'must be lowercase' comp image import base.tar Bad
fails "no such file" 1 'open nowhere.tar: No such file' comp image import nowhere.tar x
: >empty
fails "an empty file" 1 'the archive is empty' comp image import empty x
head -c 100000 /dev/urandom >noise
fails "noise" 1 'damaged tar' comp image import noise x
head -c 700000 base.tar >short.tar
fails "a tar that is cut off" 1 'damaged tar|Truncated' comp image import short.tar x

# ---- names and removal -----------------------------------------------------------
ok "tag" comp image tag rootfs:1 other.example/x/y:z
ok "tag, in short" comp tag rootfs:1 second
is "both names, one image" "$(comp image inspect second -f '{{.Id}}')" "$id"
is "by the start of its id" "$(comp image inspect "${id:7:10}" -f '{{.Id}}')" "$id"
fails "several names, by id" 1 'must be forced' comp image rm "$id"
is "rm of one name" "$(comp image rm second)" "Untagged: second:latest"
fails "rm of what is not there" 1 'no such image: second' comp image rm second
ok "rm -f of what is not there" comp image rm -f second
comp image import base.tar rootfs:1 -c 'CMD ["other"]' >/dev/null 2>err
like "a name that moves is announced" "$(cat err)" "rootfs:1 meant the image with ID $id"
comp image rm other.example/x/y:z from-gzip from-zstd from-xz >/dev/null
like "rm of the last name removes the layers" "$(comp image rm rootfs:1)" '^Deleted: sha256:'
is "nothing stays" "$(store_state)" ""

# ---- load: every format, compression and source ------------------------------------
for format in oci docker docker25 legacy; do
	for compress in none gzip zstd; do
		archive a.tar format=$format compress="${compress/none/}" order=reverse base.tar top.tar
		empty_store
		is "load $format, $compress" "$(comp load -i a.tar)" "Loaded image: example.com/team/app:1"
		same_tree "$format, $compress: the layers" example.com/team/app:1
		want=$(store_state)
		empty_store
		is "the same through a pipe" "$(cat a.tar | comp load && store_state)" \
			"Loaded image: example.com/team/app:1"$'\n'"$want"
	done
done
for z in gzip zstd xz; do
	$z -c a.tar >a.tar.z
	empty_store
	is "an archive in $z" "$(comp load <a.tar.z)" "Loaded image: example.com/team/app:1"
done
archive a.tar dir="$PWD/layout" base.tar top.tar
empty_store
is "a layout directory" "$(comp load -i layout)" "Loaded image: example.com/team/app:1"
digest=$(comp image inspect example.com/team/app:1 -f '{{index .RepoDigests 0}}')
like "its digest belongs to its repository" "$digest" '^example.com/team/app@sha256:'
ok "found by it" comp image inspect "$digest"
fails "not in another repository" 1 'no such image' comp image inspect -f x "evil@${digest#*@}"
is "loaded again: nothing new" "$(comp load -i layout; comp image ls -q | wc -l)" \
	"Loaded image: example.com/team/app:1"$'\n'1
for index in nested attested; do
	archive a.tar index=$index base.tar top.tar
	empty_store
	ok "an index, $index: this machine's image" comp load -i a.tar
done

# What overlayfs makes of the layers.
mkdir merged
comp load -q -i a.tar
mount -t overlay overlay -o "ro,lowerdir=$(layer_of example.com/team/app:1 1):$(layer_of example.com/team/app:1 0)" merged
is "whiteouts hide, opaque directories too" \
	"$(ls merged/etc/new merged/etc/passwd merged/var/mail 2>/dev/null | tr '\n' ' ')" \
	"merged/etc/new  merged/var/mail: y "
umount merged

if command -v skopeo >/dev/null; then
	for to in docker-archive oci-archive; do
		rm -f s.tar
		skopeo --insecure-policy copy -q "oci:layout:" "$to:s.tar:sko/peo:2" 2>/dev/null
		empty_store
		is "$to as skopeo writes it" "$(comp load -i s.tar)" "Loaded image: sko/peo:2"
	done
else
	skip "docker-archive as skopeo writes it" "no skopeo"
	skip "oci-archive as skopeo writes it" "no skopeo"
fi

# ---- damaged archives: one sentence, the store as it was ------------------------------
empty_store
tiny_image keep
before=$(store_state)
# refuse NAME REGEX OPTION...
refuse() {
	local name=$1 regex=$2
	shift 2
	archive bad.tar "$@" base.tar top.tar
	fails "$name" 1 "^comp: load bad.tar: .*($regex)" comp load -i bad.tar
	[ "$(store_state)" = "$before" ] || fail "$name: the store changed" "$(diff <(echo "$before") <(store_state))"
}
refuse "a bit of a layer" 'digest is|decompress|damaged' break=layer-bit
refuse "a bit of a gzip layer" 'digest is|decompress|damaged|out of|is not' break=layer-bit compress=gzip
refuse "a bit of a docker layer" 'diff id is|damaged|digest' break=layer-bit format=docker
refuse "a bit of the config" 'the content of' break=config-bit
refuse "a bit of a docker config" 'the content of' break=config-bit format=docker
refuse "a bit of the manifest" 'the content of' break=manifest-bit
refuse "another diff id" 'diff id is' break=diff-id
refuse "another diff id, gzip" 'diff id is' break=diff-id compress=gzip
refuse "a diff id that is a path" 'is not a sha256 diff id' break=diff-id-format
refuse "a digest that is a path" 'is not a sha256 digest' break=digest-format
refuse "more diff ids than layers" 'but the config lists' break=layer-count
refuse "a size that is not true" 'and should have' break=size
refuse "a layer cut short" 'should have' break=layer-cut compress=zstd
refuse "a layer that is missing" 'is missing' break=layer-missing
refuse "bytes behind a layer" 'has [0-9]+ bytes' break=trailing
refuse "manifest and index at once" 'both an index and a manifest' break=both
refuse "another media type" 'mediaType is' break=media-type
refuse "a key that is there twice" 'appears twice' break=duplicate-key
refuse "no image at all" 'not a container image' break=artifact
refuse "two manifest.json" 'two files manifest.json' break=manifest-twice format=docker
refuse "a name that is none" 'invalid reference format' break=bad-name format=docker
refuse "a layer that links out" 'is missing' break=link-out format=docker
refuse "a layer that links to itself" 'is missing' break=link-loop format=docker
refuse "an index for other machines" 'no image for linux/' index=foreign
fails "not an archive of images" 1 'neither manifest.json nor index.json' comp load -i base.tar
archive a.tar base.tar top.tar
head -c 900000 a.tar >cut.tar
fails "an archive cut short" 1 'load cut.tar: ' comp load -i cut.tar
fails "and through a pipe" 1 'load from standard input: ' sh -c "cat cut.tar | '$COMP' load"

# ---- too large -------------------------------------------------------------------------
python3 - <<'PYTHON'
import tarfile, io
def tar(name, info, data=b"", raw=None):
    with tarfile.open(name, "w", format=tarfile.PAX_FORMAT) as t:
        t.addfile(info, io.BytesIO(data))
i = tarfile.TarInfo("x"); i.pax_headers = {"comment": "y" * (3 << 20)}
tar("pax.tar", i)
i = tarfile.TarInfo("x"); i.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0",
    "GNU.sparse.name": "s", "GNU.sparse.realsize": str(1 << 60)}
i.size = 512
tar("sparse.tar", i, b"0\n" + bytes(510))
PYTHON
fails "a PAX header of 3 MiB" 1 'damaged tar' comp image import pax.tar x
fails "a sparse file of an exabyte" 1 'no space left on device' comp image import sparse.tar x
python3 -c '
import tarfile, sys
i = tarfile.TarInfo("zero"); i.size = 5 << 30
sys.stdout.buffer.write(i.tobuf())
for _ in range(5 << 10): sys.stdout.buffer.write(bytes(1 << 20))' 2>/dev/null | zstd -1 -q >bomb.tar.zst
fails "a compression bomb" 1 'a compression bomb' timeout 60 "$COMP" image import bomb.tar.zst x
head -c 20000000 /dev/zero | zstd --ultra -q --long=31 >window.tar.zst
fails "a zstd window of 2 GiB" 1 'cannot decompress' comp image import window.tar.zst x
head -c 100000000 /dev/zero | gzip -9 >zeros.tar.gz
fails "nothing but zeros, a thousand times" 1 'is empty' timeout 60 "$COMP" image import zeros.tar.gz x
is "the store as it was" "$(store_state)" "$before"

# ---- a layer of very many files --------------------------------------------------------
# As a stream, so that nothing but the store holds it; memory is that of the largest process,
# without what AddressSanitizer keeps of freed blocks.
peak_of_import() {
	ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}quarantine_size_mb=1:thread_local_quarantine_size_kb=64 \
		python3 - "$1" "$COMP" <<'PYTHON'
import resource, subprocess, sys, tarfile
n, comp = int(sys.argv[1]), sys.argv[2]
p = subprocess.Popen([comp, "image", "import", "-", f"many:{n}"], stdin=subprocess.PIPE,
                     stdout=subprocess.DEVNULL)
block = bytearray(tarfile.TarInfo("d/" + "0" * 7).tobuf(tarfile.USTAR_FORMAT))
base = sum(block[:148]) + 8 * 32 + sum(block[156:]) - 7 * 48
for i in range(n):
    block[2:9] = name = b"%07d" % i
    block[148:156] = b"%06o\0 " % (base + sum(name))
    p.stdin.write(block)
p.stdin.write(bytes(1024))
p.stdin.close()
if p.wait() == 0:
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
PYTHON
}
few=$(peak_of_import 1000)
many=$(peak_of_import 200000)
is "200,000 files are all there" "$(find "$(layer_of many:200000 0)/d" -type f | wc -l)" 200000
ok "importing them takes no more memory than a thousand does (KiB: $few, $many)" \
	test "$many" -le $((few + 32768))
ok "they go again" comp image rm many:1000 many:200000

# A disk that is full.
mkdir small
mount -t tmpfs -o size=6m tmpfs small
COMP_ROOT=$PWD/small fails "a disk that is full" 1 'No space left|no space left' comp load -i a.tar
is "one sentence" "$(wc -l <"$WORK/err")" 1
is "and nothing on it" "$(find small -type f ! -name using ! -name lock ! -name garbage | wc -l) $(ls small/images/tmp 2>/dev/null)" "0 "
COMP_ROOT=$PWD/small fails "the same through a pipe" 1 'No space left|no space left' sh -c "cat a.tar | '$COMP' load"
umount small

# ---- killed half-way, and two at once ----------------------------------------------------
mkfifo pipe
"$COMP" load <pipe >/dev/null 2>&1 &
loader=$!
exec 7>pipe
head -c 900000 a.tar >&7
until_true 10 sh -c "ls $COMP_ROOT/images/tmp/*/spool/1"
kill -9 $loader
wait $loader 2>/dev/null
exec 7>&-
is "kill -9 of a load: no image" "$(comp image ls -q | wc -l)" 1
comp load -q -i a.tar
is "its leftovers go at the next write" "$(ls "$COMP_ROOT/images/tmp")" ""
ok "its helper is gone" until_true 5 sh -c "! pgrep -P $loader"
comp image rm example.com/team/app:1 >/dev/null
for i in 1 2 3 4; do
	archive "p$i.tar" name="par:$i" base.tar top.tar
done
for i in 1 2 3 4; do
	comp load -q -i "p$i.tar" &
done
wait
is "four loads of the same layers at once" "$(comp image ls -q par | sort -u | wc -l) $(comp image ls par --format '{{.Tag}}' | sort | xargs)" "1 1 2 3 4"
for round in 1 2 3 4 5; do
	comp load -q -i p1.tar &
	comp image rm -f par:1 par:2 par:3 par:4 >/dev/null
	wait
	comp image inspect par:1 -f '{{.Id}}' >/dev/null 2>&1 && { [ -e "$(layer_of par:1 0)/bin/busybox" ] || echo "layer lost in round $round"; }
done >races 2>&1
is "load and rm at once: an image has its layers" "$(cat races)" ""
comp load -q -i p1.tar
same_tree "and in the end it is whole" par:1
comp image import base.tar par:1 >/dev/null 2>&1
is "prune takes what has no name" "$(comp image prune -f | grep -c '^deleted: ')" 3

# ---- an image in use -----------------------------------------------------------------------
mkdir -p "$COMP_ROOT/projects/p/containers/$(printf '%064d' 1)"
jq -n --arg id "$(comp image inspect keep -f '{{.Id}}')" \
	'{version: 1, id: ("0" * 63 + "1"), name: "p-web-1", project: "p", service: "web",
	  status: "exited", image: "keep", image_id: $id}' \
	>"$COMP_ROOT/projects/p/containers/$(printf '%064d' 1)/state.json"
fails "an image in use stays" 1 'container p-web-1 is using it' comp image rm keep
is "rm -f takes its name only" "$(comp image rm -f keep)" "Untagged: keep:latest"
rm -rf "$COMP_ROOT/projects"

# ---- hostile layers --------------------------------------------------------------------------
mkdir hostile
while IFS= read -r line; do
	case $line in
	ok*) pass "${line#ok - }" ;;
	not*) fail "${line#not ok - }" ;;
	*) printf '%s\n' "$line" ;;
	esac
done < <(python3 "$LIB/hostile-layers" "$COMP" "$PWD/hostile")
done_testing
