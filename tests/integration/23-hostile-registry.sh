#!/usr/bin/env bash
# A registry that lies, stalls, redirects and cuts: what can be mended is, all else is one clear
# error, and the store stays as it was.
. "$(dirname "$0")/../lib/tap.sh"
. "$LIB/registry.sh"
plan 139

trap 'registries_stop; finish' EXIT
export HOME=$WORK/home DOCKER_CONFIG=$WORK/docker COMP_REGISTRIES=$WORK/registries.json
mkdir -p "$HOME" "$DOCKER_CONFIG" "$WORK/h" "$WORK/s"
printf '{"timeout": 2}' >"$COMP_REGISTRIES"
make_ca
PORT=$(free_port)
start_service "$PORT" "$LIB/hostile-registry" "$PORT" "$WORK/h"
R=localhost:$PORT
until_true 5 test -s "$WORK/h/manifest"
CANARY=$(cat "$WORK/h/canary")
printf '{"auths": {"%s": {"auth": "%s"}}}' "$R" "$(printf 'dave:topsecret' | base64)" \
	>"$DOCKER_CONFIG/config.json"
tiny_image keep:1

snapshot() {
	(cd "$COMP_ROOT/images" && find . ! -name using ! -name lock -printf '%p %s\n' | sort | md5sum)
}
BEFORE=$(snapshot)

# works MODE: the pull succeeds in spite of MODE
works() {
	ok "$1: pulled all the same" timeout 60 "$COMP" image pull "$R/$1/x:1"
	is "$1: whole" "$(cat "$COMP_ROOT"/images/layers/*/hello 2>/dev/null)" "hello"
	comp image rm -f "$R/$1/x:1" >/dev/null 2>&1
}

# refused MODE REGEX [REF]: the pull fails with one message, in bounded time, and leaves nothing
refused() {
	local out code
	out=$(timeout 40 "$COMP" image pull -q "${3:-$R/$1/x:1}" 2>&1)
	code=$?
	if [ "$code" = 1 ] && grep -qE "$2" <<<"$out" && ! grep -q 'topsecret' <<<"$out"; then
		pass "$1: refused"
	else
		fail "$1: refused" "exit $code (wanted 1), /$2/:"$'\n'"$out"
	fi
	is "$1: the store is as it was" "$(snapshot)" "$BEFORE"
}

works plain
works cut
like "cut: it went on from where it was" "$(cat "$WORK/h/log")" 'GET /v2/cut/x/blobs/.* bytes=[0-9]{7}-'
works norange
start=$(date +%s%N)
works busy
ok "busy: Retry-After was obeyed" test $(($(date +%s%N) - start)) -gt 1000000000

start=$(date +%s%N)
works busydate
took=$((($(date +%s%N) - start) / 1000000))
ok "busydate: C4-34 a Retry-After that is a date was obeyed ($took ms)" test $took -gt 1500
for at in 0 10 500 999; do
	works cutat$at
	is "cutat$at: C4-32 two requests, and at most 1.2 times the bytes" \
		"$(awk '{ sent += $1; size = $2 } END { print NR, sent <= 1.2 * size }' "$WORK/h/sent-cutat$at")" "2 1"
done

refused wrongrange 'another part'
refused truncated 'cut'
refused shorter 'bytes, and should have|connection was cut'
refused flipped 'the content of sha256:[0-9a-f]+ is sha256|damaged'
refused longer 'more than it announced'
refused endless 'more than it announced'
refused endlessmanifest 'more than it announced'
refused endlessheaders 'header'
refused flippedconfig 'the content of sha256'
refused flippedmanifest 'the content of sha256'
refused flippedmanifest 'the content of sha256' \
	"$R/flippedmanifest/x@$(cat "$WORK/h/manifest")"
refused both 'both an index and a manifest'
refused othertype 'not an index|announced|missing'
refused twice 'layers'
refused badalgo 'is not a sha256 digest'
refused hugelayer 'no space left on device'
refused urls '404|BLOB_UNKNOWN'
refused slow 'too slow'
refused silent 'too slow'
refused alwaysbusy '503'
for status in 403 404 500 502 504; do refused status$status "$status|no such"; done # C4-34
refused basicloop '401.*tried: user dave from'
refused bearerloop '401.*tried: user dave from'
refused ssrf 'token server that credentials may not go to'
refused badtoken 'gave no token'
refused redirectloop 'more than 5 redirects'
refused redirectfile 'redirects to nowhere'
refused redirect401 'redirects to asks for credentials'
refused evilerror 'X:  \[2Jgone'
works redirect
unlike "nothing secret reached the other host" "$(grep "^$CANARY " "$WORK/h/log")" 'Basic|Bearer'
like "where the redirected layer came from" "$(cat "$WORK/h/log")" "^$CANARY GET /elsewhere/redirect/"
unlike "urls of a descriptor were not asked" "$(cat "$WORK/h/log")" '/elsewhere/urls'

# ---- from https to http ---------------------------------------------------------------------
PORT2=$(free_port)
start_service "$PORT2" "$LIB/hostile-registry" "$PORT2" "$WORK/s" --tls "$WORK/server.pem" \
	"$WORK/server.key"
until_true 5 test -s "$WORK/s/manifest"
refused downgrade 'from https to http' "localhost:$PORT2/downgrade/x:1"

# ---- C4-35: certificates that are not to be trusted --------------------------------------------
# certificate NAME SAN DAYS|past [self]: $WORK/NAME.pem and .key, of our authority or its own
certificate() {
	printf 'subjectAltName=%s\n' "$2" >"$WORK/ext"
	openssl req -newkey rsa:2048 -nodes -keyout "$WORK/$1.key" -out "$WORK/$1.csr" -subj /CN=x
	if [ -n "${4:-}" ]; then
		openssl x509 -req -in "$WORK/$1.csr" -signkey "$WORK/$1.key" -out "$WORK/$1.pem" \
			-days "$3" -extfile "$WORK/ext"
	elif [ "$3" = past ]; then
		printf '[ca]\ndefault_ca=d\n[d]\ndatabase=%s/db\nnew_certs_dir=%s\nserial=%s/serial\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n' \
			"$WORK" "$WORK" "$WORK" >"$WORK/ca.cnf"
		: >"$WORK/db"
		openssl ca -batch -rand_serial -config "$WORK/ca.cnf" -cert "$WORK/ca.pem" \
			-keyfile "$WORK/ca.key" -in "$WORK/$1.csr" -out "$WORK/$1.pem" -notext \
			-startdate 20200101000000Z -enddate 20200201000000Z -extfile "$WORK/ext"
	else
		openssl x509 -req -in "$WORK/$1.csr" -CA "$WORK/ca.pem" -CAkey "$WORK/ca.key" \
			-CAcreateserial -out "$WORK/$1.pem" -days "$3" -extfile "$WORK/ext"
	fi
} >/dev/null 2>&1
certificate expired DNS:localhost past
certificate otherhost DNS:elsewhere.example 2
certificate selfsigned DNS:localhost 2 self
certificate sound DNS:localhost 2
for name in sound expired otherhost selfsigned; do
	PORT3=$(free_port)
	mkdir "$WORK/tls-$name"
	start_service "$PORT3" "$LIB/hostile-registry" "$PORT3" "$WORK/tls-$name" --tls \
		"$WORK/$name.pem" "$WORK/$name.key"
	until_true 5 test -s "$WORK/tls-$name/manifest"
	printf '{"timeout": 2, "registries": {"localhost:%s": {"insecure": false, "ca": "%s"}}}' \
		"$PORT3" "$WORK/ca.pem" >"$COMP_REGISTRIES"
	if [ $name = sound ]; then
		ok "C4-35 a sound certificate: pulled" timeout 60 "$COMP" image pull -q "localhost:$PORT3/plain/x:1"
		comp image rm -f "localhost:$PORT3/plain/x:1" >/dev/null 2>&1
		continue
	fi
	refused "$name" 'certificate' "localhost:$PORT3/plain/x:1"
	is "$name: C4-35 nothing was asked, in plain http neither" "$(cat "$WORK/tls-$name/log" 2>/dev/null)" ""
done
printf '{"timeout": 2, "registries": {"localhost:%s": {"insecure": false}}}' "$PORT" >"$COMP_REGISTRIES"
lines=$(wc -l <"$WORK/h/log")
refused "plain http where TLS is wanted" 'SSL|TLS|http' "$R/plain/x:1"
is "C4-35 nothing was asked in plain http" "$(wc -l <"$WORK/h/log")" "$lines"
printf '{"timeout": 2}' >"$COMP_REGISTRIES"

# ---- mirrors -----------------------------------------------------------------------------------
printf '{"timeout": 2, "registries": {"localhost:%s": {"mirrors": ["http://localhost:%s/"]}}}' \
	"$PORT2" "$PORT" >"$COMP_REGISTRIES"
ok "a mirror is asked first" timeout 60 "$COMP" image pull -q "localhost:$PORT2/plain/x:1"
unlike "and then the registry is not" "$(cat "$WORK/s/log")" '/v2/plain/'
comp image rm -f "localhost:$PORT2/plain/x:1" >/dev/null 2>&1
printf '{"timeout": 2, "registries": {"localhost:%s": {"mirrors": ["http://localhost:%s/"]}}}' \
	"$PORT2" "$(free_port)" >"$COMP_REGISTRIES"
ok "a mirror that is not there is passed over" timeout 60 "$COMP" image pull -q \
	"localhost:$PORT2/plain/x:1"
comp image rm -f "localhost:$PORT2/plain/x:1" >/dev/null 2>&1
printf '{"timeout": 2}' >"$COMP_REGISTRIES"

# ---- a proxy: nobody listens on port 1, and the proxy is asked by http ------------------------
ok "a proxy from the environment" timeout 60 env HTTP_PROXY="http://localhost:$PORT" "$COMP" \
	image pull -q 127.0.0.1:1/plain/x:1
like "was asked" "$(cat "$WORK/h/log")" "^$PORT GET http://127.0.0.1:1/v2/plain/x/manifests/1"
comp image rm -f 127.0.0.1:1/plain/x:1 >/dev/null 2>&1

# ---- ^C and death ---------------------------------------------------------------------------------
timeout --foreground -s INT 1 "$COMP" image pull -q "$R/slow/x:1" >/dev/null 2>&1 &
wait $!
is "^C leaves the store as it was" "$(snapshot)" "$BEFORE"
timeout --foreground -s KILL 1 "$COMP" image pull -q "$R/slow/x:1" >/dev/null 2>&1
sleep 0.3
unlike "comp-fetch does not outlive comp" "$(ps -eo args)" "^comp-fetch $R"
works plain
is "what a killed pull left is gone with the next" "$(ls "$COMP_ROOT/images/tmp")" ""

# ---- a layer of two is there when it ends ---------------------------------------------------------
layer_requests() {
	grep -c "GET /v2/half/x/blobs/$1 " "$WORK/h/log"
}
# half_pulled HOW: the whole layer is kept, and there is no image
half_pulled() {
	is "$1: the layer that was whole stays" "$(cat "$COMP_ROOT"/images/layers/*/hello)" "hello"
	unlike "$1: there is no image" "$(comp images -a 2>&1)" 'half'
	is "$1: nothing else is left" "$(ls "$COMP_ROOT/images/tmp")" ""
	ok "$1: the store is sound" comp system check
}
timeout --foreground -s INT 1.5 "$COMP" image pull -q "$R/half/x:1" >/dev/null 2>&1
half_pulled "^C"
like "it can be pruned" "$(comp system df)" 'MB'
ok "prune" comp system prune -f
is "takes it away" "$(snapshot)" "$BEFORE"
fails "a layer that does not come" 1 'layer 1 of 2.*too slow' comp image pull -q "$R/half/x:1"
half_pulled "a failure"
touch "$WORK/h/mended"
LAYER=$(python3 -c 'import json,sys; print(json.load(sys.stdin)["layers"][1]["digest"])' \
	< <(curl -s "http://$R/v2/half/x/manifests/1"))
n=$(layer_requests "$LAYER")
ok "then it works" comp image pull -q "$R/half/x:1"
is "and the layer that was there is not fetched again" "$(layer_requests "$LAYER")" "$n"
ok "with its bytes" comp save -o "$WORK/half.tar" "$R/half/x:1"
comp image rm -f "$R/half/x:1" >/dev/null 2>&1
is "removing the image leaves nothing" "$(snapshot)" "$BEFORE"

# ---- a full disk ----------------------------------------------------------------------------------
mkdir "$WORK/small"
mount -t tmpfs -o size=6m comp-test "$WORK/small"
fails "a full disk" 1 'no space left on device' env COMP_ROOT="$WORK/small" "$COMP" image pull -q \
	"$R/plain/x:1"
is "leaves nothing" "$(find "$WORK/small" -type f ! -name using ! -name lock -size +0)" ""
umount "$WORK/small"
registries_stop
done_testing
