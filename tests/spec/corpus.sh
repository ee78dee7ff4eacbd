#!/bin/sh
# Real stacks: every *compose*.y{a,}ml below COMP_CORPUS that has a
# FILE.golden.json beside it must render to that (@DIR@ stands for its folder).
#
#	COMP_CORPUS=DIR tests/spec/corpus.sh [COMP]
set -u
here=$(cd "$(dirname "$0")" && pwd)
comp=${1:-$here/../../build/release/comp}
comp=$(cd "$(dirname "$comp")" && pwd)/$(basename "$comp")
if [ -z "${COMP_CORPUS:-}" ]; then
	echo "1..1"
	echo "ok 1 - real stacks # SKIP COMP_CORPUS names no folder with compose files and their golden JSON"
	exit 0
fi
out=$(mktemp) want=$(mktemp)
trap 'rm -f "$out" "$want"' EXIT INT TERM
n=0 failed=0
for golden in $(find "$COMP_CORPUS" -name '*.golden.json' | sort); do
	file=${golden%.golden.json} dir=$(dirname "$golden")
	n=$((n + 1))
	sed "s|@DIR@|$dir|g" "$golden" | jq -S . >"$want"
	if (cd "$dir" && env -i PATH="$PATH" HOME=/root "$comp" -f "$(basename "$file")" config --format json) 2>/dev/null |
		jq -S . >"$out" && cmp -s "$out" "$want"; then
		echo "ok $n - ${file#"$COMP_CORPUS"/}"
	else
		failed=$((failed + 1))
		echo "not ok $n - ${file#"$COMP_CORPUS"/}"
		diff "$want" "$out" | head -n 10 | sed 's/^/#   /'
	fi
done
echo "1..$n"
[ "$failed" = 0 ] && [ "$n" -gt 0 ]
