#!/usr/bin/env bash
# What comp makes of an image's layers is what skopeo and umoci make of them: every file,
# byte for byte and attribute for attribute.
. "$(dirname "$0")/../lib/tap.sh"
if ! command -v umoci >/dev/null || ! command -v skopeo >/dev/null; then
	echo "1..0 # SKIP needs umoci and skopeo"
	exit 77
fi
mkdir layers
python3 "$LIB/make-layers" layers || exit 1
# GNU tar's sparse files, which Python cannot write.
mkdir sparse
truncate -s 30M sparse/hole
printf middle | dd of=sparse/hole bs=1 seek=9000000 conv=notrunc status=none
truncate -s 5M sparse/empty
tar --format=posix -S -C sparse -cf layers/sparse-pax.0.tar .
tar --format=gnu -S -C sparse -cf gnu.tar .
IMAGES=$(find layers -name '*.0.tar' -printf '%f\n' | sed 's/\.0\.tar$//' | sort)
plan $(($(wc -w <<<"$IMAGES") + 11))

# merged IMAGE: its layers as overlayfs shows them, at ./merged
merged() {
	local lower
	lower=$(comp image inspect "$1" -f '{{.GraphDriver.Data.LowerDir}}')
	mkdir -p merged
	if [[ $lower = *:* ]]; then
		mount -t overlay overlay -o "ro,index=off,lowerdir=$lower" merged
	else
		mount --bind "$lower" merged
	fi
}

# same NAME LAYOUT REF: of the image in ./LAYOUT
same() {
	local out
	rm -rf bundle copy
	if ! out=$(skopeo --insecure-policy copy -q "oci:$2" oci:copy:x 2>&1 &&
		umoci unpack --image copy:x bundle 2>&1); then
		fail "$1" "$out"
		return
	fi
	comp load -q -i "$2" >/dev/null || {
		fail "$1" "load"
		return
	}
	merged "$3"
	# Of "/" itself umoci sets no time.
	touch -d @0 bundle/rootfs
	out=$(python3 "$LIB/tree-compare" "${TIMES:---root-time=0}" bundle/rootfs merged 2>&1)
	if [ -z "$out" ]; then pass "$1"; else fail "$1" "$out"; fi
	umount merged
	comp image rm -f "$3" >/dev/null
}

for name in $IMAGES; do
	rm -rf layout
	# Compressions take turns.
	case $((TESTS % 3)) in 0) z= ;; 1) z=compress=gzip ;; *) z=compress=zstd ;; esac
	[ "$z" != compress=zstd ] || z=compress=gzip # umoci 0.4 knows no zstd
	# shellcheck disable=SC2046,SC2086
	python3 "$LIB/make-archive" a.tar dir="$PWD/layout" name=example.com/t:1 $z \
		$(find layers -name "$name.*.tar" | sort)
	# A directory that umoci has to make has the time of now.
	[[ $name != implied-anew* ]] || TIMES=--no-dir-times
	same "$name" layout example.com/t:1
	TIMES=
done

# ---- what goes on top for implied directories ------------------------------------------------
is "nothing of removed images is left" "$(ls "$COMP_ROOT/images/layers")" ""
rm -rf layout
python3 "$LIB/make-archive" a.tar name=example.com/t:1 layers/implied-below.0.tar layers/implied-below.1.tar
comp load -q -i a.tar >/dev/null
mkdir context
printf 'FROM example.com/t:1\nCOPY f /d/sub/f\nCOPY f /other/f\n' >context/Dockerfile
echo f >context/f
comp image build -q -t example.com/t:2 context >/dev/null
merged example.com/t:2
is "a build goes on from there" "$(stat -c '%a %u %g' merged/d merged/d/sub merged/other | xargs)" \
	"3750 5 6 711 0 0 700 7 0"
umount merged
printf 'FROM scratch\nCOPY --from=example.com/t:1 /d /d\n' >context/Dockerfile
comp image build -q -t example.com/t:3 context >/dev/null
merged example.com/t:3
is "and copies from there" "$(stat -c '%a' merged/d/sub)" 711
umount merged
comp save -o saved.tar example.com/t:1
is "no layer is saved for it" "$(tar -xOf saved.tar manifest.json | jq '.[0].Layers | length')" 2
comp image rm -f example.com/t:1 >/dev/null
comp image prune -f >/dev/null
merged example.com/t:2
is "an image built on it needs it no more" "$(stat -c '%a %u %g' merged/d merged/d/sub merged/other | xargs)" \
	"3750 5 6 711 0 0 700 7 0"
umount merged
comp image rm -f example.com/t:2 example.com/t:3 >/dev/null
comp builder prune -af >/dev/null
is "in the end it is all gone" "$(ls "$COMP_ROOT/images/layers")" ""

# umoci knows none of GNU's own sparse format; GNU tar made it from a tree.
python3 "$LIB/make-archive" a.tar name=example.com/t:1 gnu.tar
comp load -q -i a.tar
merged example.com/t:1
ok "sparse-gnu" python3 "$LIB/tree-compare" sparse merged
is "holes stay holes" "$(($(du -sk merged | cut -f1) < 200))" 1
umount merged
comp image rm -f example.com/t:1 >/dev/null

# ---- layers as others write them --------------------------------------------------------------
if command -v podman >/dev/null; then
	busybox_rootfs pod
	tar -C pod -cf pod.tar .
	pod() {
		podman --root "$WORK/podman" --runroot "$WORK/podrun" --storage-driver vfs "$@"
	}
	pod import -q pod.tar example.com/pod:0 >/dev/null 2>&1
	id=$(pod create example.com/pod:0 sh 2>/dev/null)
	root=$(pod mount "$id")
	rm -r "$root/home" "$root/etc/group"
	mkdir -m 1777 "$root/home"
	echo new >"$root/etc/new"
	ln "$root/etc/new" "$root/etc/new2"
	pod umount "$id" >/dev/null
	pod commit -q "$id" example.com/pod:1 >/dev/null 2>&1
	rm -rf layout
	pod save -q --format oci-dir -o layout example.com/pod:1 2>/dev/null
	same "layers as podman writes them" layout "$(jq -r '.manifests[0].annotations["org.opencontainers.image.ref.name"] // "example.com/pod:1"' layout/index.json)"
	pod rm -af >/dev/null 2>&1
	pod rmi -af >/dev/null 2>&1
	rm -rf "$WORK/podman" "$WORK/podrun"
else
	skip "layers as podman writes them" "no podman"
fi
# umoci's own: it records what changed in a bundle.
busybox_rootfs um
tar -C um -cf um.tar .
rm -rf layout bundle
python3 "$LIB/make-archive" a.tar dir="$PWD/layout" name=example.com/t:1 um.tar
skopeo --insecure-policy copy -q oci:layout oci:two:1
umoci unpack --image two:1 bundle >/dev/null 2>&1
rm -r bundle/rootfs/home
echo x >bundle/rootfs/root/x
umoci repack --image two:2 bundle >/dev/null 2>&1
rm -rf layout
skopeo --insecure-policy copy -q oci:two:2 oci:layout:example.com/t:1
same "layers as umoci writes them" layout example.com/t:1

# ---- a distribution -------------------------------------------------------------------------------
apt-config dump | grep -E '^(Acquire|APT::Get)' >apt.conf
if mmdebstrap --variant=minbase --aptopt=apt.conf --include=iputils-ping bookworm deb.tar >mm.log 2>&1; then
	rm -rf layout
	python3 "$LIB/make-archive" a.tar dir="$PWD/layout" name=example.com/t:1 compress=gzip deb.tar
	same "Debian" layout example.com/t:1
else
	skip "Debian" "mmdebstrap: $(tail -1 mm.log)"
fi
done_testing
