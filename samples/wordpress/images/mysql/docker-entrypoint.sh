#!/bin/sh
# mysql: the entry point.  Honours MYSQL_ROOT_PASSWORD, MYSQL_ALLOW_EMPTY_PASSWORD,
# MYSQL_RANDOM_ROOT_PASSWORD, MYSQL_DATABASE, MYSQL_USER and MYSQL_PASSWORD, each
# also as NAME_FILE, when the data directory is empty; then runs the server as
# its own user.
set -eu

data=/var/lib/mysql
unfinished=$data/.initializing

say() {
	echo "[entrypoint] $*"
}

# The value of variable $1, or the content of the file that $1_FILE names.
setting() {
	eval "value=\${$1:-} file=\${$1_FILE:-}"
	if [ -n "$value" ] && [ -n "$file" ]; then
		say "both $1 and $1_FILE are set; use one" >&2
		exit 1
	fi
	[ -z "$file" ] || value=$(cat "$file")
	printf %s "$value"
}

# As an SQL string.
quoted() {
	printf "'%s'" "$(printf %s "$1" | sed "s/\\\\/\\\\\\\\/g; s/'/''/g")"
}

# As an SQL name.
named() {
	printf '`%s`' "$(printf %s "$1" | sed 's/`/``/g')"
}

as_mysql() {
	if [ "$(id -u)" = 0 ]; then
		setpriv --reuid=mysql --regid=mysql --init-groups "$@"
	else
		"$@"
	fi
}

# One statement a line: that is how the server reads them with --bootstrap.
initial_sql() {
	echo "USE mysql;"
	echo "FLUSH PRIVILEGES;"
	echo "DELETE FROM global_priv WHERE User = '' OR (User = 'root' AND Host != 'localhost');"
	echo "FLUSH PRIVILEGES;"
	echo "ALTER USER 'root'@'localhost' IDENTIFIED BY $(quoted "$root_password");"
	echo "CREATE USER 'root'@'%' IDENTIFIED BY $(quoted "$root_password");"
	echo "GRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION;"
	[ -z "$database" ] || echo "CREATE DATABASE IF NOT EXISTS $(named "$database");"
	if [ -n "$user" ]; then
		echo "CREATE USER $(quoted "$user")@'%' IDENTIFIED BY $(quoted "$password");"
		[ -z "$database" ] || echo "GRANT ALL ON $(named "$database").* TO $(quoted "$user")@'%';"
	fi
	echo "FLUSH PRIVILEGES;"
}

initialize() {
	root_password=$(setting MYSQL_ROOT_PASSWORD)
	database=$(setting MYSQL_DATABASE)
	user=$(setting MYSQL_USER)
	password=$(setting MYSQL_PASSWORD)
	if [ -z "$root_password" ] && [ -n "${MYSQL_RANDOM_ROOT_PASSWORD:-}" ]; then
		root_password=$(head -c 24 /dev/urandom | base64)
		say "GENERATED ROOT PASSWORD: $root_password"
	fi
	if [ -z "$root_password" ] && [ -z "${MYSQL_ALLOW_EMPTY_PASSWORD:-}" ]; then
		say "Database is uninitialized and password option is not specified" >&2
		say "You need to specify one of MYSQL_ROOT_PASSWORD, MYSQL_ALLOW_EMPTY_PASSWORD or MYSQL_RANDOM_ROOT_PASSWORD" >&2
		exit 1
	fi
	say "initializing $data"
	as_mysql touch "$unfinished"
	as_mysql mariadb-install-db --datadir="$data" --skip-test-db --auth-root-authentication-method=normal \
		--skip-name-resolve >/dev/null
	initial_sql | as_mysql mariadbd --datadir="$data" --bootstrap --skip-networking --log-warnings=0
	rm "$unfinished"
	say "initialized"
}

case ${1:-} in -*) set -- mysqld "$@" ;; esac
if [ "${1:-}" != mysqld ]; then
	exec "$@"
fi

if [ "$(id -u)" = 0 ]; then
	chown mysql:mysql "$data"
	install -d -o mysql -g mysql /run/mysqld
fi
if [ -e "$unfinished" ]; then
	say "the last initialization was cut short; starting it afresh"
	find "$data" -mindepth 1 -delete
fi
[ -d "$data/mysql" ] || initialize

if [ "$(id -u)" = 0 ]; then
	exec setpriv --reuid=mysql --regid=mysql --init-groups "$@"
fi
exec "$@"
