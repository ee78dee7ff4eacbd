#!/bin/sh
# debian:bookworm-slim, which the demo's Dockerfiles start from: pulled, or where that
# cannot be done made by mmdebstrap from the package sources of this machine.
#
# What mmdebstrap made is kept in CACHE (default: build/cache) and used again for
# other stores.
#
# usage: base.sh [COMP]		COMP: the binary, default build/release/comp
set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../../.." && pwd)
comp=${1:-$top/build/release/comp}
cache=${CACHE:-$top/build/cache}
name=debian:bookworm-slim

"$comp" image inspect "$name" >/dev/null 2>&1 && exit
"$comp" image pull -q "$name" >/dev/null 2>&1 && exit

mkdir -p "$cache"
tar=$cache/bookworm-slim.tar
if [ ! -s "$tar" ]; then
	echo "making the root file system of $name (once; a minute) ..." >&2
	# mmdebstrap goes by the suffix
	"$top/tests/lib/debian-root" "$cache/new-bookworm-slim.tar" --variant=minbase
	mv "$cache/new-bookworm-slim.tar" "$tar"
fi
"$comp" image import "$tar" "$name" --change 'CMD ["bash"]' >/dev/null
