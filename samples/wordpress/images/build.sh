#!/bin/sh
# Make mysql:5.7 and wordpress:latest from Debian's packages and put them into
# comp's store, where that has not been done yet.
#
# The names and interfaces (variables, volumes, ports) are those of the official
# images, so the compose file beside this folder runs with either.  What
# mmdebstrap made is kept in CACHE (default: build/cache) and used again for
# other stores.
#
# usage: build.sh [COMP]		COMP: the binary, default build/release/comp
set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../../.." && pwd)
comp=${1:-$top/build/release/comp}
cache=${CACHE:-$top/build/cache}
mkdir -p "$cache"

# The package sources of this machine that are Debian's, one line each: the
# recipes work with whatever mirror apt was set up with.
debian_sources() {
	apt-get indextargets --format '$(ORIGIN)|$(SITE)|$(RELEASE)|$(COMPONENT)' 'Created-By: Packages' |
		sort -u | while IFS='|' read -r origin site release component; do
		[ "$origin" = Debian ] && echo "deb $site $release $component"
	done
}

# apt settings that decide whether the sources are accepted; mmdebstrap starts
# from none.
apt_options() {
	apt-config dump | grep -E '^Acquire::(Check-Valid-Until|Check-Date|http::Proxy|https::Proxy|https::CAInfo) ' || :
}

# rootfs NAME PACKAGES FOLDER: the root file system as $tar: the packages, set up
# by FOLDER/setup.sh (kept in $cache), and FOLDER/docker-entrypoint.sh.
rootfs() {
	name=$1 packages=$2 folder=$3
	stamp=$(echo "$packages" | cat - "$folder/setup.sh" | sha256sum | cut -c1-16)
	kept=$cache/$name-$stamp.tar tar=$cache/import-$name.tar
	if [ ! -s "$kept" ]; then
		echo "making the root file system of $name (once; some minutes) ..." >&2
		apt_options >"$cache/apt.conf"
		debian_sources | mmdebstrap --quiet --variant=apt --mode=root \
			--aptopt="$cache/apt.conf" \
			--aptopt='APT::Install-Recommends "false"' \
			--dpkgopt='path-exclude=/usr/share/man/*' \
			--dpkgopt='path-exclude=/usr/share/doc/*' \
			--dpkgopt='path-include=/usr/share/doc/*/copyright' \
			--dpkgopt='path-exclude=/usr/share/locale/*' \
			--include="$packages" \
			--customize-hook="chroot \"\$1\" sh -eu < '$folder/setup.sh'" \
			--customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/* "$1"/var/log/*' \
			bookworm "$tar" - # mmdebstrap goes by the suffix
		mv "$tar" "$kept"
	fi
	cp "$kept" "$tar"
	tar -C "$folder" --append -f "$tar" --owner=root:0 --group=root:0 --mode=0755 \
		--transform='s,^,./usr/local/bin/,' docker-entrypoint.sh
}

have() {
	"$comp" image inspect "$1" >/dev/null 2>&1
}

if ! have mysql:5.7; then
	rootfs mysql mariadb-server "$here/mysql"
	"$comp" image import "$tar" mysql:5.7 \
		--change 'ENTRYPOINT ["docker-entrypoint.sh"]' \
		--change 'CMD ["mysqld"]' \
		--change 'VOLUME /var/lib/mysql' \
		--change 'EXPOSE 3306'
	rm "$tar"
fi

if ! have wordpress:latest; then
	rootfs wordpress apache2,libapache2-mod-php,php-mysql,php-gd,php-xml,php-curl,php-mbstring,php-zip,wordpress,wordpress-theme-twentytwentythree \
		"$here/wordpress"
	"$comp" image import "$tar" wordpress:latest \
		--change 'ENTRYPOINT ["docker-entrypoint.sh"]' \
		--change 'CMD ["apache2-foreground"]' \
		--change 'VOLUME /var/www/html' \
		--change 'WORKDIR /var/www/html' \
		--change 'EXPOSE 80' \
		--change 'STOPSIGNAL SIGWINCH'
	rm "$tar"
fi
