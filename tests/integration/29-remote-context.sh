#!/usr/bin/env bash
# Contexts that are somewhere else: git over its own protocol and over HTTP, a tar and a
# Dockerfile at an address; in `comp image build`, in a compose file and as named ones; and
# the keys for what a build fetches itself.
. "$(dirname "$0")/../lib/tap.sh"
plan 38
tiny_image base:1

# ---- a repository, its server, a server of files ---------------------------------------
export GIT_CONFIG_GLOBAL=$WORK/gitconfig GIT_CONFIG_NOSYSTEM=1
git config --global user.name tester
git config --global user.email tester@example.com
git config --global init.defaultBranch main
git config --global protocol.file.allow always
mkdir -p srv/app
(
	cd srv/app && git init -q && mkdir sub
	printf 'FROM base:1\nCOPY . /from/\n' | tee Dockerfile >sub/Dockerfile
	printf 'FROM base:1\nCOPY link /other\n' >sub/Other
	echo 1 >one && echo in-sub >sub/two && ln -s ../one sub/link && ln -s / sub/out
	echo secret.txt >.dockerignore && echo no >secret.txt
	git add . && git commit -qm first && git tag v1
	git switch -qc next && echo 2 >one && git commit -qam second && git switch -q main
	mkdir ../lib && cd ../lib && git init -q && echo from-lib >l && git add l && git commit -qm lib
)
head=$(git -C srv/app rev-parse main)
next=$(git -C srv/app rev-parse next)
git clone -q --bare srv/app srv/app.git
git clone -q --bare srv/lib srv/lib.git
port=$(free_port)
git -C srv/app remote add origin "git://127.0.0.1:$port/app.git"
git daemon --reuseaddr --listen=127.0.0.1 --port="$port" --base-path="$PWD/srv" --export-all "$PWD/srv" >daemon.log 2>&1 &
until_true 5 sh -c "ss -ltn | grep -q 127.0.0.1:$port"
web=$(free_port)
(cd srv && exec python3 -m http.server --bind 127.0.0.1 "$web" >/dev/null 2>&1) &
until_true 5 git ls-remote "git://127.0.0.1:$port/app.git"
until_true 5 curl -sf "http://127.0.0.1:$web/"
url=git://127.0.0.1:$port/app.git

# show IMAGE PATH: a file of the image
show() {
	local root
	root=$(comp image inspect "$1" -f '{{.GraphDriver.Data.LowerDir}}' | sed 's/:.*//')
	cat "$root/$2"
}
build() { comp image build -q -t x:1 "$@" >out 2>err; }

# ---- git -----------------------------------------------------------------------------------
ok "the default branch" build "$url"
is "is what was built" "$(show x:1 from/one)" 1
top=$(comp image inspect x:1 -f '{{.GraphDriver.Data.LowerDir}}' | sed 's/:.*//')
is "without .git, and .dockerignore holds" "$(ls -A "$top/from" | xargs)" ".dockerignore Dockerfile one sub"
is "its files are root's" "$(stat -c '%u:%g' "$top/from/one")" 0:0
ok "a tag" build "$url#v1"
build "$url#next"
is "a branch" "$(show x:1 from/one)" 2
build "$url#$next"
is "a commit" "$(show x:1 from/one)" 2
build "$url#v1:sub"
is "a directory of it" "$(show x:1 from/two)" in-sub
build "$url#:sub"
is "of the default branch" "$(show x:1 from/two)" in-sub
fails "no link leads out of the directory" 1 '/?link.*not found|no such|not there' \
	comp image build -q -f Other "$url#v1:sub"
fails "nor one to a file of this machine" 1 'failed to read dockerfile' \
	comp image build -q -f out/proc/self/status "$url#v1:sub"
build "$url#v1:sub/out"
is "one to / leads to the repository" "$(show x:1 from/one)" 1
fails "an unknown ref" 1 "couldn't find remote ref nowhere" comp image build -q "$url#nowhere"
fails "an unknown commit" 1 "git: $url: .+" comp image build -q "$url#0123456789012345678901234567890123456789"
fails "an unknown directory" 1 'the repository has no directory "nope"' comp image build -q "$url#:nope"
fails "an unknown repository" 1 'git: git://.*/gone.git: ' comp image build -q "git://127.0.0.1:$port/gone.git"
fails "a ref that looks like an option" 1 'not a git repository' comp image build -q "$url#--upload-pack=id"
fails "a host that looks like one" 1 'not a git repository' comp image build -q "ssh://-oProxyCommand=id/x.git"
is "nothing was left of them" "$(ls "$COMP_ROOT/build/work" 2>/dev/null)" ""
git -C srv/app.git update-server-info
build "http://127.0.0.1:$web/app.git"
is "over HTTP, from plain files" "$(show x:1 from/one)" 1
(
	cd srv/app && git submodule -q add ../lib.git lib 2>/dev/null && git commit -qm submodule &&
		git push -q ../app.git main
)
build "$url"
is "with its submodules, beside it" "$(show x:1 from/lib/l)" from-lib

# ---- ADD ---------------------------------------------------------------------------------
mkdir context
printf 'FROM base:1\nADD %s#v1:sub /got\n' "$url" >context/Dockerfile
build context
is "ADD of a repository" "$(show x:1 got/two; stat -c %u:%g "$COMP_ROOT"/images/layers/*/got/two | sort -u)" \
	"in-sub"$'\n'"0:0"
printf 'FROM base:1\nADD --keep-git-dir=true --checksum=%s %s /got/\n' "$next" "$url#next" >context/Dockerfile
build context
is "with its .git" "$(show x:1 got/.git/HEAD)" "$next"
printf 'FROM base:1\nADD --checksum=%s %s /got/\n' "$head" "$url#next" >context/Dockerfile
fails "of another commit" 1 "Dockerfile:2: commit mismatch for .*: got $next, wanted $head" comp image build -q context

# ---- a compose file ---------------------------------------------------------------------
cat >compose.yaml <<Y
services:
  a:
    image: a:1
    build: $url#$head
  b:
    image: b:1
    build:
      context: $url#v1:sub
      dockerfile_inline: |
        FROM base:1
        COPY --from=named one /named
      additional_contexts:
        named: $url#next
Y
comp -p "$P" build >out 2>err
is "build: URL" "$(show a:1 from/one)" 1
is "additional_contexts: URL" "$(show b:1 named)" 2
like "what is fetched is shown" "$(comp -p "$P" --progress plain build 2>&1)" 'load remote build context git://'

# ---- addresses of files -----------------------------------------------------------------------
tar -C srv/app -czf srv/context.tar.gz Dockerfile one sub
ok "a tar at an address" build "http://127.0.0.1:$web/context.tar.gz"
is "is the context" "$(show x:1 from/sub/two)" in-sub
printf 'FROM base:1\nLABEL just=text\n' >srv/Plain
build "http://127.0.0.1:$web/Plain"
is "a Dockerfile at an address" "$(comp image inspect x:1 -f '{{index .Config.Labels "just"}}')" text
fails "that is not there" 1 '404' comp image build -q "http://127.0.0.1:$web/none.tar.gz"

# ---- keys ------------------------------------------------------------------------------------
mkdir -p keys/root/usr/bin
cp /usr/bin/ssh-add keys/root/usr/bin/
for lib in $(ldd /usr/bin/ssh-add | grep -o '/[^ ]*'); do
	mkdir -p "keys/root$(dirname "$lib")" && cp -L "$lib" "keys/root$lib"
done
ssh-keygen -q -t ed25519 -N '' -C plain -f plain.key
ssh-keygen -q -t ed25519 -N secret -C locked -f locked.key
printf 'FROM base:1\nCOPY root /\nRUN --mount=type=ssh,required ssh-add -L >/keys\n' >keys/Dockerfile
build --ssh "default=$PWD/plain.key" keys
is "a key file: the step has an agent with it" "$(show x:1 keys)" "$(cat plain.key.pub)"
is "and the image has no socket" "$(find "$COMP_ROOT/images/layers" -type s)" ""
cat >keys/compose.yaml <<Y
services:
  k:
    image: k:1
    build: {context: ., no_cache: true, ssh: ["default=$PWD/plain.key"]}
Y
comp -p "$P" -f keys/compose.yaml build >out 2>err
is "build.ssh" "$(show k:1 keys)" "$(cat plain.key.pub)"
fails "a key with a passphrase" 1 'ssh key .*locked.key: .*passphrase' \
	comp image build -q --no-cache --ssh "default=$PWD/locked.key" keys
echo noise >noise.key && chmod 600 noise.key
fails "what is no key" 1 'ssh key .*noise.key: ' comp image build -q --ssh "default=$PWD/noise.key" keys
is "no agent is left" "$(pgrep -f "ssh-agent.*$COMP_ROOT")" ""

# ---- killed while it fetches ------------------------------------------------------------------
hole=$(free_port)
python3 -c "
import socket, sys, time
s = socket.create_server(('127.0.0.1', $hole)); s.settimeout(20)
c, _ = s.accept(); open('reached', 'w').close(); time.sleep(20)" &
listener=$!
until_true 5 sh -c "ss -ltn | grep -q 127.0.0.1:$hole"
"$COMP" image build -q "git://127.0.0.1:$hole/x.git" >/dev/null 2>&1 &
pid=$!
until_true 10 test -e reached
kill -9 "$pid"
wait "$pid" 2>/dev/null
kill "$listener"
build "$url"
is "killed: its git is gone, its directory with the next build" \
	"$(pgrep -f "git.*127.0.0.1:$hole"; ls "$COMP_ROOT/build/work")" ""
# shellcheck disable=SC2046
kill $(jobs -p) 2>/dev/null
wait 2>/dev/null
done_testing
