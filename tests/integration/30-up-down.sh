#!/usr/bin/env bash
# up and down: what a service becomes, what a second up changes, what stays and goes.
. "$(dirname "$0")/../lib/tap.sh"
plan 84

c() {
	comp -p "$P" "$@"
}

# in_container SERVICE COMMAND...: its output
in_container() {
	c exec -T "$@" </dev/null 2>&1
}

# An image with content where volumes will be mounted.
busybox_rootfs "$WORK/seed"
mkdir -p "$WORK/seed/seed/sub" "$WORK/seed/anon"
echo hello >"$WORK/seed/seed/file"
chown 1000:2000 "$WORK/seed/seed/file"
chmod 4750 "$WORK/seed/seed/file"
ln -s file "$WORK/seed/seed/link"
ln "$WORK/seed/seed/file" "$WORK/seed/seed/sub/hard"
touch -d @1000000000 "$WORK/seed/seed/old"
mkfifo "$WORK/seed/seed/fifo"
chown 1000:1000 "$WORK/seed/seed"
chmod 2775 "$WORK/seed/seed"
echo anonymous >"$WORK/seed/anon/file"
tar -C "$WORK/seed" -cf "$WORK/seed.tar" .
rm -rf "$WORK/seed"
comp image import "$WORK/seed.tar" seed --change 'CMD ["sleep","1000"]' --change 'VOLUME /anon' >/dev/null
tiny_image tiny --change 'CMD ["sleep","1000"]' --change 'ENV FROM_IMAGE=yes PATH=/bin:/opt' \
	--change 'WORKDIR /from/image'

# ---- a stack -----------------------------------------------------------------
mkdir bind
echo bound >bind/file
cat >app.env <<'E'
# a comment
FROM_FILE=file
BOTH=file
QUOTED="two words"
E
cat >compose.yaml <<E
services:
  app:
    image: tiny
    depends_on: [base]
    container_name: $P-special
    hostname: apphost
    domainname: example.test
    user: "1000:2000"
    working_dir: /srv/work
    env_file: app.env
    environment:
      BOTH: environment
      EMPTY: ""
      FROM_SHELL:
      UNSET_IN_SHELL:
    volumes:
      - data:/data
      - ./bind:/bind:ro
      - type: tmpfs
        target: /scratch
        tmpfs: {size: 1m}
    tmpfs: /run:mode=1750
    labels: {a.label: "one"}
  base:
    image: tiny
    command: sleep 1001
  formed:
    image: tiny
    entrypoint: ["/bin/sh", "-c"]
    command: ["exec sleep 1002"]
  shelled:
    image: tiny
    entrypoint: sh -c 'exec sleep "\$\$0"'
    command: "1003"
volumes:
  data:
E
export FROM_SHELL=shell
out=$(c up -d 2>&1)
is "up -d succeeds" $? 0
like "the network is made" "$out" "^ Network ${P}_default Created "
like "so is the volume" "$out" "^ Volume ${P}_data Created "
like "and the container, under its own name" "$out" "^ Container $P-special Started "
is "what a service depends on is started first" \
	"$(grep -nE "Container ($P-base-1 Started|$P-special Starting)" <<<"$out" | cut -d ' ' -f 3)" \
	"$P-base-1"$'\n'"$P-special"
out=$(c ps --format '{{.Service}} {{.State}}' | sort)
is "all run" "$out" $'app running\nbase running\nformed running\nshelled running'

env=$(in_container app env)
like "environment from the image" "$env" '^FROM_IMAGE=yes$'
like "from env_file" "$env" '^FROM_FILE=file$'
like "with quotes taken off" "$env" '^QUOTED=two words$'
like "environment: goes before env_file" "$env" '^BOTH=environment$'
like "an empty value is one" "$env" '^EMPTY=$'
like "a name without a value comes from the shell" "$env" '^FROM_SHELL=shell$'
unlike "a name without a value that the shell has not is left out" "$env" '^UNSET_IN_SHELL'
is "user and group" "$(in_container app id -u).$(in_container app id -g)" 1000.2000
is "working_dir is made" "$(in_container app pwd)" /srv/work
is "working_dir of the image" "$(in_container base pwd)" /from/image
is "hostname" "$(in_container app hostname)" apphost
like "domainname is in /etc/hosts" "$(in_container app cat /etc/hosts)" 'apphost\.example\.test'
is "the hostname is the short id where none is given" "$(in_container base hostname)" \
	"$(c ps --format '{{.ID}}' base)"
is "a bind mount" "$(in_container app cat /bind/file)" bound
like "that is read-only" "$(in_container app touch /bind/x)" 'Read-only'
like "a tmpfs volume of 1 MiB" "$(in_container app df -k /scratch)" '^tmpfs +1024 '
is "a tmpfs with a mode" "$(in_container app stat -c %a /run)" 1750
args() {
	tr '\0' ' ' <"/proc/$(pid_of "$1" | grep . || echo none)/cmdline"
}
is "command as a string" "$(args base)" 'sleep 1001 '
is "entrypoint and command as lists" "$(args formed)" 'sleep 1002 '
is "entrypoint as a string keeps the command" "$(args shelled)" 'sleep 1003 '
is "an entrypoint drops the command of the image" "$(c ps --no-trunc --format '{{.Command}}' formed)" \
	'"/bin/sh -c exec sleep 1002"'

# ---- a second up ----------------------------------------------------------------
ids() {
	c ps -a --format '{{.Service}} {{.ID}}' | sort
}
in_container base touch /data-of-base
before=$(ids)
out=$(c up -d 2>&1)
is "a second up changes nothing" "$(ids)" "$before"
unlike "and says so" "$out" 'Creat|Start|Recreate'
sed -i 's/sleep 1001/sleep 1011/' compose.yaml
out=$(c up -d base 2>&1)
like "a changed service is recreated" "$out" "Container $P-base-1 Recreated"
is "and no other" "$(diff <(ids) <(echo "$before") | grep '^[<>]' | cut -d ' ' -f 2 | sort -u)" base
is "with the new command" "$(args base)" 'sleep 1011 '
before=$(ids)
sed -i 's/sleep 1002/sleep 1012/' compose.yaml
c up -d --no-recreate >/dev/null 2>&1
is "--no-recreate leaves a changed service" "$(ids)" "$before"
c up -d --force-recreate --no-deps app >/dev/null 2>&1
is "--force-recreate makes an unchanged one anew" \
	"$(diff <(ids) <(echo "$before") | grep '^[<>]' | cut -d ' ' -f 2 | sort -u)" app

# ---- down and the volumes --------------------------------------------------------
c exec -T -u 0 app sh -c 'echo kept >/data/kept'
out=$(c down 2>&1)
is "down succeeds" $? 0
like "containers are removed" "$out" "Container $P-special Removed"
like "the network is removed" "$out" "Network ${P}_default Removed"
is "nothing is listed" "$(c ps -a -q)" ""
is "the supervisor is gone" "$(until_true 5 test ! -e "$COMP_RUN/$P" && echo yes)" yes
is "volumes stay" "$(comp volume ls -q)" "${P}_data"
out=$(c down 2>&1)
is "down of nothing succeeds" $? 0
c up -d app >/dev/null 2>&1
is "up SERVICE starts it and what it depends on" "$(c ps --services | sort | xargs)" "app base"
is "the volume kept its data" "$(in_container app cat /data/kept)" kept
c down -v >/dev/null 2>&1
is "down -v removes volumes" "$(comp volume ls -q)" ""
fails "down -p of a project that never was" 0 'Warning: No resource found to remove for project "never"' \
	comp -p never down

# ---- first use of a volume -----------------------------------------------------
cat >compose.yaml <<'E'
services:
  one:
    image: seed
    volumes: ["named:/seed", "plain:/empty"]
  two:
    image: seed
    volumes:
      - {type: volume, source: bare, target: /seed, volume: {nocopy: true}}
volumes: {named: , plain: , bare: }
E
c up -d >/dev/null 2>&1
is "content is copied into a new volume" "$(in_container one cat /seed/file)" hello
is "with owner and mode" "$(in_container one stat -c '%u:%g %a' /seed/file)" "1000:2000 4750"
is "of the directory itself, too" "$(in_container one stat -c '%u:%g %a' /seed)" "1000:1000 2775"
is "with symbolic links" "$(in_container one readlink /seed/link)" file
is "and hard links" "$(in_container one stat -c %h /seed/sub/hard)" 2
is "and times" "$(in_container one stat -c %Y /seed/old)" 1000000000
is "and pipes" "$(in_container one stat -c %F /seed/fifo)" fifo
is "a target that the image has not is made" "$(in_container one ls -A /empty)" ""
is "nocopy copies nothing" "$(in_container two ls -A /seed)" ""
is "a VOLUME of the image gets one, with content" "$(in_container one cat /anon/file)" anonymous
in_container one sh -c 'rm /seed/file; echo changed >/anon/file' >/dev/null
c up -d --force-recreate one >/dev/null 2>&1
like "nothing is copied a second time" "$(in_container one cat /seed/file)" 'No such file'
is "an anonymous volume goes over to the new container" "$(in_container one cat /anon/file)" changed
c up -d --force-recreate --renew-anon-volumes one >/dev/null 2>&1
is "unless it is to be renewed" "$(in_container one cat /anon/file)" anonymous
c down -v >/dev/null 2>&1
is "down -v removes anonymous volumes" "$(comp volume ls -q)" ""

# ---- orphans and scale -----------------------------------------------------------
cat >compose.yaml <<'E'
services:
  web: {image: tiny}
  old: {image: tiny}
E
c up -d >/dev/null 2>&1
sed -i /old/d compose.yaml
out=$(c up -d 2>&1)
like "orphans are warned of" "$out" "Found orphan containers \(\[$P-old-1\]\)"
c up -d --remove-orphans >/dev/null 2>&1
is "--remove-orphans removes them" "$(c ps -a --services)" web
c up -d --scale web=3 >/dev/null 2>&1
is "--scale up" "$(c ps --format '{{.Name}}' | xargs)" "$P-web-1 $P-web-2 $P-web-3"
c up -d --scale web=2 >/dev/null 2>&1
is "--scale down removes the last" "$(c ps -a --format '{{.Name}}' | xargs)" "$P-web-1 $P-web-2"
c scale web=3 >/dev/null 2>&1
is "scale does the same" "$(c ps --format '{{.Name}}' | xargs)" "$P-web-1 $P-web-2 $P-web-3"
c scale --no-deps web=2 >/dev/null 2>&1
is "and back" "$(c ps -a --format '{{.Name}}' | xargs)" "$P-web-1 $P-web-2"
fails "scale of a service that is not there" 1 'no such service: nope' c up -d --scale nope=2
fails "scale to what is no number" 1 'invalid --scale option "web=x": "x" is not' c scale web=x
fails "scale to less than nothing" 1 'invalid --scale option "web=-1"' c up -d --scale web=-1
fails "scale to nothing said" 1 'Should be SERVICE=NUM' c scale web

# ---- two commands at once ------------------------------------------------------------
port=$(free_port)
cat >compose.yaml <<E
services:
  web: {image: tiny, ports: ["$port:80"]}
  pool: {image: tiny, scale: 3}
E
c up -d --remove-orphans >first 2>&1 &
c up -d >second 2>&1
code=$?
wait $!
is "two ups at once both succeed" "$? $code" "0 0"
is "and make everything once" "$(c ps --format '{{.Service}}' | sort | xargs)" "pool pool pool web"
c up -d --force-recreate >first 2>&1 &
c down -t 0 >second 2>&1
code=$?
wait $!
is "so do up and down" "$? $code" "0 0"
like "with one outcome or the other" "$(c ps -a --format '{{.Service}}' | sort | xargs)" '^(pool pool pool web)?$'
c up -d >/dev/null 2>&1
kill -9 "$(supervisor_pid)"
out=$(c down 2>&1)
is "down without a supervisor" $? 0
is "takes all away" "$(c ps -a -q)$(ls "$COMP_RUN")" ""

# ---- health -----------------------------------------------------------------------
cat >compose.yaml <<'E'
services:
  after:
    image: tiny
    depends_on:
      slow: {condition: service_healthy}
      job: {condition: service_completed_successfully}
  slow:
    image: tiny
    command: ["sh", "-c", "sleep 0.5; touch /tmp/ready; exec sleep 1000"]
    healthcheck: {test: "test -f /tmp/ready", interval: 100ms, retries: 100}
  job: {image: tiny, command: "sh -c 'sleep 0.3'"}
  sick:
    image: tiny
    profiles: [sick]
    healthcheck: {test: ["CMD", "false"], interval: 50ms, retries: 2}
  bad:
    image: tiny
    profiles: [bad]
    depends_on: {broken: {condition: service_completed_successfully}}
  broken: {image: tiny, profiles: [bad], command: "sh -c 'exit 7'"}
  brief: {image: tiny, profiles: [sick], command: "sh -c 'sleep 0.2; exit 3'"}
  looping: {image: tiny, profiles: [sick], restart: always, command: "sh -c 'sleep 0.2; exit 3'"}
E
ok "up --wait" comp -p "$P" up --wait
like "waited until it was healthy" "$(c ps slow --format '{{.Status}}')" '\(healthy\)'
is "what depends on it came after" "$(c ps after --format '{{.State}}')" running
fails "up --wait of what gets unhealthy" 1 "container $P-sick-1 is unhealthy" comp -p "$P" --progress quiet up --wait sick
fails "up --wait of what fails soon after its start" 1 "container $P-brief-1 exited \\(3\\)" \
	comp -p "$P" --progress quiet up --wait brief
ok "up --wait of what restarts for ever" comp -p "$P" --progress quiet up --wait looping
fails "a dependency that does not complete" 1 "service \"broken\" didn't complete successfully: exit 7" \
	comp -p "$P" --progress quiet up -d bad
is "leaves what depends on it unstarted" "$(c ps -a bad --format '{{.State}}')" created
sed -i 's/retries: 100/retries: 1000/; s/touch .tmp.ready/true/' compose.yaml
fails "--wait-timeout" 1 'application not healthy after 1s' comp -p "$P" --progress quiet up --wait --wait-timeout 1 slow

done_testing
