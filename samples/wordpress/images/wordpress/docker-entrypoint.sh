#!/bin/sh
# wordpress: the entry point.  Fills an empty /var/www/html and writes
# wp-config.php from WORDPRESS_DB_HOST, _USER, _PASSWORD, _NAME, _CHARSET,
# _COLLATE, WORDPRESS_TABLE_PREFIX and WORDPRESS_DEBUG (each also as NAME_FILE),
# then runs what it was given.
set -eu

root=/var/www/html

# The value of $1, or of the file that $1_FILE names, or $2.
setting() {
	eval "value=\${$1:-} file=\${$1_FILE:-}"
	[ -z "$file" ] || value=$(cat "$file")
	printf %s "${value:-$2}"
}

# As a PHP string.
quoted() {
	printf "'%s'" "$(printf %s "$1" | sed "s/\\\\/\\\\\\\\/g; s/'/\\\\'/g")"
}

define() {
	echo "define($(quoted "$1"), $(quoted "$2"));"
}

config() {
	echo "<?php"
	define DB_NAME "$(setting WORDPRESS_DB_NAME wordpress)"
	define DB_USER "$(setting WORDPRESS_DB_USER root)"
	define DB_PASSWORD "$(setting WORDPRESS_DB_PASSWORD '')"
	define DB_HOST "$(setting WORDPRESS_DB_HOST mysql)"
	define DB_CHARSET "$(setting WORDPRESS_DB_CHARSET utf8mb4)"
	define DB_COLLATE "$(setting WORDPRESS_DB_COLLATE '')"
	for key in AUTH_KEY SECURE_AUTH_KEY LOGGED_IN_KEY NONCE_KEY AUTH_SALT SECURE_AUTH_SALT LOGGED_IN_SALT NONCE_SALT; do
		define "$key" "$(setting "WORDPRESS_$key" "$(head -c 48 /dev/urandom | base64 -w0)")"
	done
	echo "\$table_prefix = $(quoted "$(setting WORDPRESS_TABLE_PREFIX wp_)");"
	if [ -n "${WORDPRESS_DEBUG:-}" ]; then
		echo "define('WP_DEBUG', true);"
	else
		echo "define('WP_DEBUG', false);"
	fi
	echo "define('FS_METHOD', 'direct');"
	echo "if (!defined('ABSPATH')) define('ABSPATH', __DIR__ . '/');"
	echo "require_once ABSPATH . 'wp-settings.php';"
}

case ${1:-} in
apache2*)
	if [ ! -e "$root/index.php" ]; then
		# index.php last: it is what tells a finished copy from one cut short.
		(cd /usr/src/wordpress && tar cf - --exclude=./index.php .) | (cd "$root" && tar xpf -)
		cp -p /usr/src/wordpress/index.php "$root/index.php"
		echo "[entrypoint] WordPress was copied to $root"
	fi
	if [ ! -s "$root/wp-config.php" ]; then
		umask 027
		config >"$root/.wp-config.php.new"
		[ "$(id -u)" != 0 ] || chown www-data:www-data "$root/.wp-config.php.new"
		mv "$root/.wp-config.php.new" "$root/wp-config.php"
	fi
	;;
esac

exec "$@"
