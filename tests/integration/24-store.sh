#!/usr/bin/env bash
# Many writers and readers of one store at once, some of them killed: an image that is
# listed is whole, what a container has stays, and in the end nothing is left over.
. "$(dirname "$0")/../lib/tap.sh"
plan 16

archive() {
	python3 "$LIB/make-archive" "$@"
}

# Every image that is listed: its documents and kept bytes have their digests, its layers
# are what was loaded.
whole() {
	comp system check -q 2>&1
}

busybox_rootfs base
head -c 3000000 /dev/urandom >base/random
tar -C base -cf base.tar .
for i in 1 2 3; do
	mkdir "top$i"
	head -c 300000 /dev/urandom >"top$i/file$i"
	tar -C "top$i" -cf "top$i.tar" .
	archive "a$i.tar" name="par:$i" $([ $i = 2 ] && echo compress=gzip) base.tar "top$i.tar"
done
comp load -q -i a1.tar
comp tag par:1 used:1
cat >compose.yaml <<'Y'
services:
  run:
    image: used:1
    command: ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.2; done"]
  done:
    image: used:1
    command: ["true"]
Y
comp -p "$P" up -d >/dev/null 2>&1
comp image rm -f used:1 par:1 >/dev/null 2>&1

# ---- everybody at once, and some die in the middle ---------------------------------------
END=$(($(date +%s) + ${STRESS_SECONDS:-12}))
going() {
	[ "$(date +%s)" -lt "$END" ]
}

# Kills half of what it starts, at a random moment.  Exit codes of the others count:
# what else may be wrong with COMMAND, it must not be the store.
# torture NAME COMMAND...
torture() {
	local name=$1 code
	shift
	while going; do
		if [ $((RANDOM % 2)) = 0 ]; then
			timeout -s KILL "0.$(printf %03d $((RANDOM % 400)))" "$COMP" "$@" >/dev/null 2>&1
		else
			"$COMP" "$@" >/dev/null 2>"err-$name"
			code=$?
			if [ $code != 0 ] && ! grep -qE 'no such image|is using it|must be forced' "err-$name"; then
				echo "$name: $code: $(cat "err-$name")"
			fi
		fi
	done
}
for i in 1 2 3; do
	torture "load$i" load -q -i "a$i.tar" &
done >out 2>&1
while going; do
	cat a2.tar | "$COMP" load -q 2>err-pipe >/dev/null || echo "pipe: $(cat err-pipe)"
done >>out 2>&1 &
torture rm image rm -f par:1 par:3 >>out 2>&1 &
torture tag image tag par:2 other:1 >>out 2>&1 &
torture untag image rm other:1 >>out 2>&1 &
torture prune image prune -af >>out 2>&1 &
torture ls image ls >>out 2>&1 &
torture df system df >>out 2>&1 &
torture save save -o saved.tar par:2 >>out 2>&1 &
# What is listed can be resolved, and its files are there.
while going; do
	for i in 1 2 3; do
		comp image inspect "par:$i" -f '{{range .RootFS.Layers}}{{.}} {{end}}' 2>/dev/null | tr ' ' '\n' | grep . >layers || continue
		# It may go while we look: then it is not listed any more.
		while read -r l; do
			[ -d "$COMP_ROOT/images/layers/${l:7}" ] || comp image inspect "par:$i" >/dev/null 2>&1 &&
				[ ! -d "$COMP_ROOT/images/layers/${l:7}" ] && comp image inspect "par:$i" -f '{{.RootFS.Layers}}' 2>/dev/null | grep -q "$l" &&
				[ ! -d "$COMP_ROOT/images/layers/${l:7}" ] && echo "par:$i without $l"
		done <layers
	done
	sleep 0.05
done >lost 2>&1
wait
is "no command failed for another one's sake" "$(grep -v 'Killed' out)" ""
is "no listed image lacked a layer" "$(cat lost)" ""
is "the store is whole" "$(whole)" ""
is "the container that ran runs" "$(comp -p "$P" ps --format '{{.State}}' run)" running
ok "its files are there" comp -p "$P" exec -T run sh -c 'cmp /random /random && [ $(wc -c </random) = 3000000 ]'
ok "the one that had ended can be started" comp -p "$P" start done
is "and its image is the one it had" "$(comp -p "$P" ps -a --format '{{.ExitCode}}' done)" 0

# ---- containers come while images go ---------------------------------------------------------
cat >churn.yaml <<'Y'
services:
  c:
    image: par:1
    command: ["true"]
Y
END=$(($(date +%s) + 6))
(while going; do "$COMP" load -q -i a1.tar; "$COMP" image rm par:1; done >/dev/null 2>&1) &
(while going; do "$COMP" image prune -af; done >/dev/null 2>&1) &
while going; do
	comp -f churn.yaml -p "${P}x" up -d --pull never 2>up.err ||
		grep -qE 'no such image|was removed meanwhile' up.err || cat up.err
	comp -f churn.yaml -p "${P}x" ps -aq >ids
	if [ -s ids ]; then
		# There is one: then its image has to stay.
		for _ in 1 2 3; do
			jq -r '.layers[]' "$COMP_ROOT/projects/${P}x/containers/"*/spec.json 2>/dev/null | while read -r l; do
				[ -d "$l" ] || echo "lost $l"
			done
		done
		comp -f churn.yaml -p "${P}x" down >/dev/null 2>&1
	fi
done >churn 2>&1
wait
comp -f churn.yaml -p "${P}x" down >/dev/null 2>&1
is "a container that was made has its layers" "$(cat churn)" ""

# ---- killed at any moment: the next one cleans up -----------------------------------------------
for i in $(seq 20); do
	timeout -s KILL "0.$(printf %03d $((i * 15)))" "$COMP" load -q -i a3.tar >/dev/null 2>&1
	timeout -s KILL "0.$(printf %03d $((i * 10)))" "$COMP" image rm -f par:3 >/dev/null 2>&1
done 2>/dev/null # bash's own "Killed"
is "the store is whole after twenty kills" "$(whole)" ""
comp -p "$P" down -t 2 >/dev/null 2>&1
comp load -q -i a1.tar
is "nothing is left in tmp" "$(ls "$COMP_ROOT/images/tmp")" ""
comp image prune -af >/dev/null
is "no image, no layer, no blob" "$(find "$COMP_ROOT/images" -mindepth 2 ! -path '*/blobs/sha256' ! -path '*/tmp/*')" ""

# A tag that was killed before its rename is no name.
comp load -q -i a1.tar
ref=$(ls "$COMP_ROOT/images/refs" | head -n 1)
cp "$COMP_ROOT/images/refs/$ref" "$COMP_ROOT/images/refs/$(printf '%064d' 7).tmp-0123"
is "half a tag is no name" "$(comp image ls -q | wc -l)" 1
comp image rm par:1 >/dev/null
is "and is swept away" "$(ls "$COMP_ROOT/images/refs" "$COMP_ROOT/images/images")" "$COMP_ROOT/images/images:"$'\n\n'"$COMP_ROOT/images/refs:"

# ---- what is shared is there once ------------------------------------------------------------------
for i in 1 2 3; do comp load -q -i "a$i.tar" & done
wait
is "three images, four layers" "$(comp image ls -q | wc -l) $(ls "$COMP_ROOT/images/layers" | grep -vc json)" "3 4"
is "the store is whole" "$(whole)" ""
comp image rm par:1 par:2 par:3 >/dev/null
is "and empty again" "$(ls "$COMP_ROOT/images/layers" "$COMP_ROOT/images/blobs/sha256" | grep -c .)" 2
done_testing
