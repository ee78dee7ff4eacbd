#!/usr/bin/env bash
# `build:` in a compose file: its keys, `comp build`, and when `up` builds.
. "$(dirname "$0")/../lib/tap.sh"
plan 40

tiny_image base:1
mkdir -p app other
echo app >app/file
echo other >other/file
echo s3cret >secret
cat >app/Dockerfile <<'D'
FROM base:1 AS dev
ARG WHO=nobody
COPY file /file
RUN echo "$WHO" >/who
FROM dev
RUN echo last >/last
D
cat >app/Other.dockerfile <<'D'
FROM base:1
COPY --from=more file /more
RUN --mount=type=secret,id=key test "$(cat /run/secrets/key)" = s3cret
RUN grep -q '192.0.2.9' /etc/hosts && test "$(ulimit -n)" = 77
D
cat >compose.yaml <<'Y'
services:
  web:
    build: app
    command: ["sh", "-c", "cat /who /last; sleep 1000"]
    init: true
  dev:
    image: named:5
    build:
      context: app
      target: dev
      args: {WHO: "${WHO:-file}"}
      labels: {a.b: c}
      tags: ["further:1", "further:2"]
    command: [sleep, "1000"]
    init: true
  full:
    build:
      context: app
      dockerfile: Other.dockerfile
      additional_contexts: {more: other}
      secrets: [{source: key}]
      extra_hosts: ["there:192.0.2.9"]
      ulimits: {nofile: 77}
      shm_size: 16m
      network: none
      no_cache: true
    profiles: [full]
  child:
    build:
      context: .
      dockerfile_inline: |
        FROM parent
        RUN cat /last
      additional_contexts: {parent: "service:web"}
    profiles: [child]
secrets:
  key: {file: ./secret}
Y
cat_in() {
	comp -p "$P" exec -T "$1" cat "$2"
}

out=$(comp -p "$P" config -q 2>&1)
is "build is nothing to warn about" "$out" ""
ok "build" comp -p "$P" build
ok "an image without a name is project-service" comp image inspect "$P-web"
ok "image: names it" comp image inspect named:5
ok "tags" comp image inspect further:1 further:2
is "labels" "$(comp image inspect named:5 -f '{{index .Config.Labels "a.b"}}')" c
is "whose it is" "$(comp image inspect "$P-web" -f '{{index .Config.Labels "com.docker.compose.service"}}')" web
out=$(comp -p "$P" build --progress plain web 2>&1)
is "again: all from the cache" "$(grep -c CACHED <<<"$out")" 5
like "with the service's name" "$out" '^#[0-9]+ \[(stage-1|web stage-1) 2/2\] RUN'
comp image rm "$P-web" named:5 further:1 further:2 >/dev/null
ok "up builds what is missing" comp -p "$P" up -d
is "args of the file" "$(cat_in dev /who)" file
is "and none" "$(cat_in web /who)" nobody
is "the target's files only" "$(comp -p "$P" exec -T dev ls /last 2>/dev/null)" ""
before=$(comp -p "$P" ps -q web)
WHO=env comp -p "$P" up -d --build >/dev/null 2>&1
is "up --build makes it anew" "$(cat_in dev /who)" env
is "what did not change goes on" "$(comp -p "$P" ps -q web)" "$before"
echo changed >app/file
ok "up alone does not build again" comp -p "$P" up -d
is "the old file is there" "$(cat_in web /file)" app
sed -i 's/^    build: app$/    build: app\n    pull_policy: build/' compose.yaml
ok "pull_policy: build" comp -p "$P" up -d
is "does" "$(cat_in web /file)" changed
ok "--build-arg" comp -p "$P" build --build-arg WHO=flag dev
like "is seen by --print too" "$(comp -p "$P" build --print --build-arg WHO=flag dev)" '"WHO": ?"flag"'
ok "every other key" comp -p "$P" --profile full build full
ok "an image of another service" comp -p "$P" --profile child build child
out=$(comp -p "$P" build -q dev)
is "-q prints the id" "$out" "$(comp image inspect named:5 -f '{{.Id}}')"
comp -p "$P" down >/dev/null 2>&1
comp image rm -f "$P-web" >/dev/null 2>&1
fails "--no-build" 1 "no such image: $P-web" comp -p "$P" up -d --no-build web
cat >shared.yaml <<'Y'
services:
  user: {image: "shared:1", command: [sleep, "1000"], init: true}
  maker: {image: "shared:1", build: {dockerfile_inline: "FROM base:1"}, command: ["true"]}
Y
ok "an image that another service builds is not pulled" comp -p "$P" -f shared.yaml up -d user
comp -p "$P" -f shared.yaml down >/dev/null 2>&1
printf 'FROM base:1 AS dev\nRUN false\n' >app/Dockerfile
fails "a build that fails: nothing is started" 1 'app/Dockerfile:2' comp -p "$P" up -d --build
is "nothing at all" "$(comp -p "$P" ps -aq)" ""
printf 'FROM base:1\nRNU false\n' >app/Dockerfile
fails "--check finds a wrong instruction" 1 'app/Dockerfile:2.*RNU' comp -p "$P" build --check web

# ---- side by side --------------------------------------------------------------------------
# Each waits until the other has been there.
meet() {
	printf 'FROM base:1\nRUN --mount=type=cache,id=%s,target=/c,sharing=shared touch /c/%s && ' "$P" "$1"
	printf 'for i in $(seq 200); do [ -e /c/%s ] && exit 0; sleep 0.1; done; exit 1\n' "$2"
}
mkdir -p left right
meet left right >left/Dockerfile
meet right left >right/Dockerfile
cat >together.yaml <<'Y'
services:
  left: {build: left}
  right: {build: right}
  above:
    build:
      dockerfile_inline: |
        FROM below:1
        RUN cat /etc/below
  below:
    image: below:1
    build:
      dockerfile_inline: |
        FROM base:1
        RUN sleep 0.5; mkdir -p /etc; echo here >/etc/below
Y
out=$(timeout 60 "$COMP" -p "$P" -f together.yaml build --progress plain 2>&1)
is "services build side by side, and one waits for an image of another" $? 0
is "each step has a number of its own" "$(grep -E '^#[0-9]+ \[' <<<"$out" | sort | uniq -d)" ""
like "and its service's name" "$out" '^#[0-9]+ \[(above 2/2|above stage-0 2/2)\] RUN cat /etc/below'
comp image rm -f below:1 >/dev/null 2>&1
ok "one at a time, too" timeout 60 "$COMP" -p "$P" --parallel 1 -f together.yaml build -q above below
cat >same.yaml <<'Y'
services:
  one: &same {build: {dockerfile_inline: "FROM base:1\nRUN cat /proc/sys/kernel/random/uuid >/id; sleep 1\n"}}
  two: *same
Y
ok "two services of one Dockerfile" timeout 60 "$COMP" -p "$P" -f same.yaml build -q
is "a step of both is made once" "$(comp image inspect "$P-one" -f '{{.RootFS.Layers}}')" "$(comp image inspect "$P-two" -f '{{.RootFS.Layers}}')"
cat >fails.yaml <<'Y'
services:
  bad: {build: {dockerfile_inline: "FROM base:1\nRUN echo told; exit 3\n"}}
  slow: {build: {dockerfile_inline: "FROM base:1\nRUN sleep 300\n"}}
Y
out=$(timeout 60 "$COMP" -p "$P" -f fails.yaml build --progress plain 2>&1)
is "one that fails ends the others" $? 1
like "and is the one shown" "$out" '> \[bad 2/2\] RUN echo told; exit 3:'
like "with what it said" "$out" '^told$'
sed -i /bad:/d fails.yaml
echo '  slow2: {build: {dockerfile_inline: "FROM base:1\nRUN sleep 301\n"}}' >>fails.yaml
timeout 60 "$COMP" -p "$P" -f fails.yaml build --progress plain >out 2>&1 &
builder=$!
ok "two that take long" until_true 20 sh -c 'pgrep -f "^sleep 300" && pgrep -f "^sleep 301"'
kill -INT $builder
wait $builder
is "^C ends both" $? 130
done_testing
