#!/usr/bin/env bash
# Pull and push against Debian's docker-registry: plain, TLS, htpasswd and token auth;
# credentials in files and helpers; pull policies; other tools' images and ours for them.
. "$(dirname "$0")/../lib/tap.sh"
. "$LIB/registry.sh"
plan 77

trap 'registries_stop; finish' EXIT
export HOME=$WORK/home DOCKER_CONFIG=$WORK/docker
export COMP_REGISTRIES=$WORK/registries.json
mkdir -p "$HOME" "$DOCKER_CONFIG"
printf '{"timeout": 5}' >"$COMP_REGISTRIES"
make_ca

store_is_empty() {
	[ -z "$(find "$COMP_ROOT/images/layers" "$COMP_ROOT/images/images" \
		"$COMP_ROOT/images/refs" "$COMP_ROOT/images/tmp" -mindepth 1 2>/dev/null)" ]
}

forget() {
	comp image rm -f "$@" >/dev/null 2>&1
}

# ---- plain http on localhost -----------------------------------------------------------
start_registry plain
R=$REGISTRY
tiny_image "$R/team/tiny:1" --change 'CMD ["sleep", "1000"]' --change 'LABEL a=b'
ID=$(comp image inspect -f '{{.Id}}' "$R/team/tiny:1")
out=$(comp image push "$R/team/tiny:1" 2>"$WORK/err")
like "push prints the digest" "$out" '^1: digest: sha256:[0-9a-f]{64} size: [0-9]+$'
DIGEST=$(sed -E 's/.*digest: (sha256:[0-9a-f]+).*/\1/' <<<"$out")
like "push shows the layers" "$(cat "$WORK/err")" 'Pushed'
out=$(comp image push "$R/team/tiny:1" 2>&1)
like "a second push finds everything there" "$out" 'Layer already exists'
like "and gives the same digest" "$out" "$DIGEST"
comp tag "$R/team/tiny:1" "$R/copy/tiny:1"
like "another repository takes its layers over" "$(comp image push "$R/copy/tiny:1" 2>&1)" \
	'Mounted team/tiny'
forget "$R/copy/tiny:1"
comp tag "$R/team/tiny:1" "$R/team/tiny:2.0"
comp image push -q "$R/team/tiny:2.0" >/dev/null 2>&1
forget "$R/team/tiny:1" "$R/team/tiny:2.0"
ok "the store is empty again" store_is_empty

out=$(comp image pull "$R/team/tiny:1" 2>"$WORK/err")
like "pull says what it did" "$out" "^Status: Downloaded newer image for $R/team/tiny:1$"
like "and the digest" "$out" "^Digest: $DIGEST$"
is "the last line is the name" "$(tail -1 <<<"$out")" "$R/team/tiny:1"
is "it is the image that was pushed" "$(comp image inspect -f '{{.Id}}' "$R/team/tiny:1")" "$ID"
like "layers are shown" "$(cat "$WORK/err")" 'Pull complete'
out=$(comp image pull "$R/team/tiny:1" 2>&1)
like "a second pull finds it current" "$out" 'Status: Image is up to date'
unlike "and asks for no layer" "$out" 'Downloading|Already exists'
out=$(comp image pull "$R/team/tiny@$DIGEST" 2>&1)
like "by digest it is there" "$out" "up to date"
out=$(comp image pull "$R/team/tiny:2.0" 2>&1)
unlike "another tag of it brings no layer" "$out" 'Downloading|Waiting'
is "quiet pull prints the name alone" "$(comp image pull -q "$R/team/tiny:1" 2>&1)" \
	"$R/team/tiny:1"
forget "$R/team/tiny:1"
out=$(comp --progress json image pull "$R/team/tiny:1" 2>&1 >/dev/null)
ok "json progress is JSON" jq -es 'all(.id)' <<<"$out"

# ---- what cannot be had ------------------------------------------------------------------
before=$(cd "$COMP_ROOT/images" && find . | sort | md5sum)
fails "an unknown tag lists near ones" 1 'no tag "2" of it' comp image pull "$R/team/tiny:2"
like "with a suggestion" "$(cat "$WORK/err")" 'there are: .*2\.0'
fails "an unknown repository" 1 'no such repository' comp image pull "$R/nobody/x:1"
fails "an unknown digest" 1 'no such digest' comp image pull \
	"$R/team/tiny@sha256:$(printf '0%.0s' {1..64})"
fails "a bad reference" 1 'invalid reference format' comp image pull "$R/Team/x"
fails "a registry that is not there" 1 'Failed to connect' comp image pull \
	"localhost:$(free_port)/x:1"
fails "a platform that makes no sense" 1 'invalid platform' comp image pull --platform 'a b' \
	"$R/team/tiny:1"
fails "another platform" 1 'no image for linux/arm64; there are: linux/' \
	comp image pull --platform linux/arm64 "$R/team/tiny:1"
fails "push of what is not there" 1 'nope' comp image push "$R/nope"
is "none of that changed the store" "$(cd "$COMP_ROOT/images" && find . | sort | md5sum)" "$before"

# ---- other tools ---------------------------------------------------------------------------
skopeo_to() { skopeo --insecure-policy copy -q "$@"; }
ok "skopeo pulls what comp pushed" skopeo_to --src-tls-verify=false \
	"docker://$R/team/tiny:1" "oci:$WORK/oci:tiny"
ok "skopeo pushes it as Docker schema 2" skopeo_to --dest-tls-verify=false --format v2s2 \
	"oci:$WORK/oci:tiny" "docker://$R/other/v2s2:latest"
ok "comp pulls that" comp image pull "$R/other/v2s2"
ok "skopeo pushes it with zstd layers" skopeo_to --dest-tls-verify=false \
	--dest-compress-format zstd --format oci "oci:$WORK/oci:tiny" "docker://$R/other/zstd:latest"
forget "$R/other/v2s2" "$R/other/zstd" "$R/team/tiny:1" "$R/team/tiny:2.0" "$R/team/tiny@$DIGEST"
ok "comp pulls those" comp image pull "$R/other/zstd"
was=$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$R/other/zstd:latest")
comp tag "$R/other/zstd" "$R/back/zstd:1"
like "what was pulled goes out with the same digest" \
	"$(comp image push "$R/back/zstd:1" 2>/dev/null)" "digest: $was"

# ---- an index of several platforms ------------------------------------------------------------
put_json() {
	curl -sf -X PUT -H "Content-Type: $3" --data-binary @"$1" "http://$R/v2/$2"
}
arch=$(comp image inspect -f '{{.Architecture}}' "$R/other/zstd")
curl -s -H 'Accept: application/vnd.oci.image.manifest.v1+json' \
	"http://$R/v2/team/tiny/manifests/1" >"$WORK/m.json"
python3 - "$WORK/m.json" "$arch" "$DIGEST" >"$WORK/index.json" <<'PY'
import json, os, sys
size = os.path.getsize(sys.argv[1])
one = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": sys.argv[3], "size": size}
items = [dict(one, platform={"os": "linux", "architecture": a, **v}) for a, v in
         [("s390x", {}), (sys.argv[2], {}), ("arm", {"variant": "v7"})]]
json.dump({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
           "manifests": items}, sys.stdout)
PY
put_json "$WORK/index.json" team/tiny/manifests/multi application/vnd.oci.image.index.v1+json
ok "of an index the host's platform is taken" comp image pull "$R/team/tiny:multi"
like "and a second pull knows the index" "$(comp image pull "$R/team/tiny:multi" 2>&1)" 'up to date'
forget "$R/team/tiny:multi"
fails "an index without the platform lists what there is" 1 \
	'no image for linux/riscv64; there are: linux/s390x, linux/.*, linux/arm/v7' \
	comp image pull --platform linux/riscv64 "$R/team/tiny:multi"

# ---- TLS -------------------------------------------------------------------------------------------
start_registry tls tls
T=$REGISTRY
tiny_image "$T/a/tiny:1"
printf '{"registries": {"%s": {"insecure": false}}}' "$T" >"$COMP_REGISTRIES"
fails "an unknown authority is refused" 1 'TLS' comp image push "$T/a/tiny:1"
printf '{"registries": {"%s": {"insecure": false, "ca": "%s"}}}' "$T" "$WORK/ca.pem" \
	>"$COMP_REGISTRIES"
ok "with the authority's certificate it works" comp image push "$T/a/tiny:1"
printf '{}' >"$COMP_REGISTRIES"
ok "localhost is insecure by default: any certificate" comp image pull "$T/a/tiny:1"
printf '{"insecure": 1}' >"$COMP_REGISTRIES"
fails "a bad registries.json names the key" 1 'registries.json: "insecure" is not known' \
	comp image pull "$T/a/tiny:1"
printf '{"timeout": 5}' >"$COMP_REGISTRIES"

# ---- htpasswd ---------------------------------------------------------------------------------------
htpasswd -Bbn carol 's3cret:x' >"$WORK/htpasswd" 2>/dev/null
start_registry basic tls htpasswd
B=$REGISTRY
tiny_image "$B/a/tiny:1"
fails "without credentials" 1 '401.*there are none' comp image push "$B/a/tiny:1"
like "the hint says how to log in" "$(cat "$WORK/err")" "comp login $B"
out=$(printf 'wrong' | comp login -u carol --password-stdin "$B" 2>&1)
like "a wrong password is refused" "$out" 'refused the credentials \(401\); tried: user carol'
ok "and not kept" test ! -e "$DOCKER_CONFIG/config.json"
out=$(printf 's3cret:x\n' | comp login -u carol --password-stdin "$B" 2>&1)
like "login" "$out" 'Login Succeeded'
is "config.json is for its owner alone" "$(stat -c %a "$DOCKER_CONFIG/config.json")" 600
ok "docker's own form of it" jq -e --arg b "$B" \
	'.auths[$b].auth | @base64d == "carol:s3cret:x"' "$DOCKER_CONFIG/config.json"
ok "push with credentials" comp image push "$B/a/tiny:1"
ok "skopeo reads the same file" skopeo inspect --tls-verify=false \
	--authfile "$DOCKER_CONFIG/config.json" "docker://$B/a/tiny:1"
like "logout" "$(comp logout "$B")" 'Removing login credentials'
fails "and then they are gone" 1 '401' comp image push "$B/a/tiny:1"

# a credential helper
mkdir -p "$WORK/bin"
cat >"$WORK/bin/docker-credential-test" <<PY
#!/bin/sh
[ "\$1" = get ] || exit 1
read -r server
[ "\$server" = "$B" ] || { echo "credentials not found in native keychain"; exit 1; }
echo '{"ServerURL":"'"\$server"'","Username":"carol","Secret":"s3cret:x"}'
PY
chmod +x "$WORK/bin/docker-credential-test"
printf '{"credHelpers": {"%s": "test"}}' "$B" >"$DOCKER_CONFIG/config.json"
ok "a credential helper is asked" env PATH="$WORK/bin:$PATH" "$COMP" image push "$B/a/tiny:1"
fails "a helper that is not there is named" 1 'docker-credential-test is not installed' \
	comp image push "$B/a/tiny:1"
rm "$DOCKER_CONFIG/config.json"

# ---- tokens ------------------------------------------------------------------------------------------
port=$(free_port)
start_service "$port" "$LIB/token-server" "$port" "$WORK/server.pem" "$WORK/server.key" \
	"$WORK/tokens" --tls "$WORK/server.pem" "$WORK/server.key"
start_registry token tls token "https://localhost:$port/token"
K=$REGISTRY
printf '{"auths": {"%s": {"auth": "%s"}}}' "$K" "$(printf alice:wonder | base64)" \
	>"$DOCKER_CONFIG/config.json"
tiny_image "$K/public/tiny:1"
ok "push with a token" comp image push "$K/public/tiny:1"
like "one that was asked for with the password" "$(cat "$WORK/tokens")" \
	'^basic alice repository:public/tiny:pull,push$'
comp tag "$K/public/tiny:1" "$K/private/tiny:1"
like "a mount asks to read the other repository" "$(comp image push "$K/private/tiny:1" 2>&1)" \
	'Mounted public/tiny'
forget "$K/private/tiny:1"
forget "$K/public/tiny:1"
printf '{"auths": {"%s": {"auth": "%s", "identitytoken": "refresh-alice"}}}' "$K" \
	"$(printf '<token>:' | base64)" >"$DOCKER_CONFIG/config.json"
ok "pull with an identity token" comp image pull "$K/public/tiny:1"
like "which was exchanged" "$(cat "$WORK/tokens")" '^refresh alice repository:public/tiny:pull$'
rm "$DOCKER_CONFIG/config.json"
forget "$K/public/tiny:1"
ok "pull with an anonymous token" comp image pull "$K/public/tiny:1"

# ---- services ------------------------------------------------------------------------------------------
comp image push -q "$R/team/tiny:1" >/dev/null 2>&1 # for a reader: it is there since the first part
forget "$R/team/tiny:1"
cat >compose.yaml <<Y
name: $P
services:
  a: {image: "$R/team/tiny:1", stop_signal: KILL}
  b: {image: "$R/team/tiny:2.0", stop_signal: KILL}
Y
out=$(comp up -d 2>&1)
like "up pulls what is missing" "$out" 'Image .*team/tiny:1 Pulled'
is "and runs it" "$(comp ps -q | wc -l)" 2
unlike "up again pulls nothing" "$(comp up -d 2>&1)" 'Pull'
like "up --pull always asks the registry" "$(comp up -d --pull always 2>&1)" 'Pulled'
comp down -t 0 >/dev/null 2>&1
forget "$R/team/tiny:1"
fails "up --pull never" 1 'team/tiny:1' comp up -d --pull never

# with image: and build: the registry is asked first
both() { # both IMAGE DOCKERFILE
	printf 'name: %s\nservices:\n  a: {image: "%s", build: {dockerfile_inline: "%s"}, stop_signal: KILL}\n' \
		"$P" "$1" "$2" >b.yaml
	comp -f b.yaml up --no-start 2>&1
}
like "what a registry has is not built" "$(both "$R/team/tiny:1" 'FROM nowhere:1')" 'tiny:1 Pulled'
out=$(both "$R/team/none:1" "FROM $R/team/tiny:1")
like "what it has not is" "$out" 'naming to .*team/none:1 done'
unlike "without a warning" "$out" 'Warning|Error|no tag'
like "nor does a registry that is not there stop it" \
	"$(both "localhost:$(free_port)/x:1" "FROM $R/team/tiny:1")" 'naming to .*x:1 done'
forget "$R/team/none:1"
fails "--ignore-buildable pulls nothing that can be built" 0 'Skipped' \
	comp -f b.yaml pull --ignore-buildable
comp -f b.yaml down --rmi all -t 0 >/dev/null 2>&1
forget "$R/team/tiny:1" "$R/team/tiny:2.0"
is "one at a time" "$(COMPOSE_PARALLEL_LIMIT=1 comp --progress plain pull 2>&1 | grep -c 'tiny:.* Pulled')" 2

# once a tag moves, policies differ
policy() {
	cat >p.yaml <<Y
name: $P
services:
  a: {image: "$R/team/moves:1", pull_policy: "$1", stop_signal: KILL}
Y
	comp -f p.yaml up --no-start 2>&1 | grep -c Pulled
}
tiny_image "$R/team/moves:1" --change 'LABEL v=1'
comp image push -q "$R/team/moves:1" >/dev/null 2>&1
is "pull_policy by policy, of an image that is there" \
	"$(for p in missing if_not_present never build daily weekly every_12h every_0s always; do
		policy "$p"; done | paste -sd' ')" "0 0 0 0 0 0 0 1 1"
REF=$(grep -l "team/moves:1\"" "$COMP_ROOT"/images/refs/*)
touch -d '2 days ago' "$REF"
is "daily pulls after two days" "$(policy daily)" 1
is "and then not again" "$(policy daily)" 0

out=$(comp pull 2>&1)
like "pull looks up every service" "$out" 'team/tiny:2.0 Pulled'
sed -i "s|tiny:2.0|gone:1|" compose.yaml
fails "one that fails" 1 'gone' comp pull
ok "--ignore-pull-failures" comp pull --ignore-pull-failures
is "-q is quiet" "$(comp pull -q a 2>&1)" ""
registries_stop
done_testing
