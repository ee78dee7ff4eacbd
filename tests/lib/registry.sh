# tests/lib/registry.sh: registries for tests: Debian's docker-registry on loopback, with
# certificates of an own authority.  To be read after tap.sh; what it starts ends with
# registries_stop.
# shellcheck shell=bash disable=SC2034
REGISTRY_PIDS=()

# make_ca: an authority in $WORK/ca.pem, and server.pem/server.key for localhost and
# 127.0.0.1 signed by it.
make_ca() {
	(
		cd "$WORK" || exit 1
		openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 \
			-subj /CN=test-ca
		openssl req -newkey rsa:2048 -nodes -keyout server.key -out server.csr \
			-subj /CN=localhost
		printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\n' >san
		openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial \
			-out server.pem -days 2 -extfile san
	) >/dev/null 2>&1
}

# start_registry NAME [tls] [htpasswd] [token REALM]: sets REGISTRY=localhost:PORT; its data is in
# $WORK/NAME, its log $WORK/NAME.log
start_registry() {
	local name=$1 port
	shift
	port=$(free_port)
	{
		printf 'version: 0.1\nlog: {level: error}\n'
		printf 'storage:\n  filesystem: {rootdirectory: %s}\n' "$WORK/$name"
		printf 'http:\n  addr: 127.0.0.1:%s\n' "$port"
		while [ $# -gt 0 ]; do
			case $1 in
			tls) printf '  tls: {certificate: %s, key: %s}\n' \
				"$WORK/server.pem" "$WORK/server.key" ;;
			htpasswd) printf 'auth:\n  htpasswd: {realm: test, path: %s}\n' \
				"$WORK/htpasswd" ;;
			token)
				printf 'auth:\n  token: {realm: "%s", service: test-registry, ' "$2"
				printf 'issuer: test, rootcertbundle: %s}\n' "$WORK/server.pem"
				shift
				;;
			esac
			shift
		done
	} >"$WORK/$name.yml"
	mkdir -p "$WORK/$name"
	docker-registry serve "$WORK/$name.yml" >"$WORK/$name.log" 2>&1 &
	REGISTRY_PIDS+=($!)
	REGISTRY=localhost:$port
	until_true 20 bash -c ": </dev/tcp/127.0.0.1/$port"
}

# start_service PORT COMMAND...: something of a test's own that listens on PORT
start_service() {
	local port=$1
	shift
	"$@" &
	REGISTRY_PIDS+=($!)
	until_true 20 bash -c ": </dev/tcp/127.0.0.1/$port"
}

registries_stop() {
	local pid
	for pid in "${REGISTRY_PIDS[@]}"; do
		kill "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
	done
	REGISTRY_PIDS=()
}
