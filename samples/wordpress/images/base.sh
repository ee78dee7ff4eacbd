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

# The package sources of this machine that are Debian's, one line each: the image's
# apt works with whatever mirror apt was set up with here.
debian_sources() {
	apt-get indextargets --format '$(ORIGIN)|$(SITE)|$(RELEASE)|$(COMPONENT)' 'Created-By: Packages' |
		sort -u | while IFS='|' read -r origin site release component; do
		[ "$origin" = Debian ] && echo "deb $site $release $component"
	done
}

# apt settings that decide whether the sources are accepted; mmdebstrap starts
# from none, and the image keeps them.
apt_options() {
	apt-config dump | grep -E '^Acquire::(Check-Valid-Until|Check-Date|http::Proxy|https::Proxy|https::CAInfo) ' || :
}

mkdir -p "$cache"
tar=$cache/bookworm-slim.tar
if [ ! -s "$tar" ]; then
	echo "making the root file system of $name (once; a minute) ..." >&2
	apt_options >"$cache/apt.conf"
	debian_sources | mmdebstrap --quiet --variant=minbase --mode=root \
		--aptopt="$cache/apt.conf" \
		--aptopt='APT::Install-Recommends "false"' \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-include=/usr/share/doc/*/copyright' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/* "$1"/var/log/*' \
		bookworm "$cache/new-bookworm-slim.tar" - # mmdebstrap goes by the suffix
	mv "$cache/new-bookworm-slim.tar" "$tar"
fi
"$comp" image import "$tar" "$name" --change 'CMD ["bash"]' >/dev/null
