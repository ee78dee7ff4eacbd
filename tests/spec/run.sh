#!/bin/sh
# What `comp config` makes of each case below this folder, as TAP.
#
#	tests/spec/run.sh [COMP] [FILE.spec ...]
#
# A .spec file holds cases one after another:
#
#	=== name of the case
#	--- args -f a.yaml		flags before `config`
#	--- env KEY=value		a variable of the environment, else empty
#	--- file compose.yaml		a file, up to the next line of this kind
#	--- want			the JSON, or
#	--- error			the messages on standard error
#
# What has a JSON is also written as YAML, which must load to the same JSON again
# without flags or variables, unless the case says "--- once".
# Each runs in a folder of its own called "case", which @DIR@ stands for in what is
# wanted.  "\ no newline" at the end of a file means that it ends without one.
# Excerpts of the offending line and warnings are not compared.  An error must leave
# standard output empty and exit 1.
set -u
here=$(cd "$(dirname "$0")" && pwd)
comp=${1:-$here/../../build/release/comp}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- "$here"/*.spec
comp=$(cd "$(dirname "$comp")" && pwd)/$(basename "$comp")
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT INT TERM

# One folder per case: case/ with its files, beside it name, args, env, want or error.
for spec; do
	awk -v top="$tmp" -v base="$(basename "$spec" .spec)" '
		function shut() { if (out != "") close(out); out = "" }
		/^=== / {
			shut(); n++
			dir = sprintf("%s/%s-%04d", top, base, n)
			system("mkdir -p \"" dir "/case\"")
			print base ": " substr($0, 5) >(dir "/name"); close(dir "/name")
			next
		}
		/^--- args / { print substr($0, 10) >(dir "/args"); close(dir "/args"); next }
		/^--- env / { print substr($0, 9) >>(dir "/env"); next }
		/^--- file / {
			shut(); out = dir "/case/" substr($0, 10)
			folder = out; sub(/\/[^\/]*$/, "", folder)
			system("mkdir -p \"" folder "\"")
			printf "" >out; next
		}
		/^--- (want|error)$/ { shut(); out = dir "/" $2; printf "" >out; next }
		/^\\ no newline$/ { shut(); print last >>(dir "/cut"); next }
		/^--- once$/ { shut(); printf "" >(dir "/once"); close(dir "/once"); next }
		out != "" { print >out; last = out }
	' "$spec"
done

n=0
failed=0
for dir in "$tmp"/*/; do
	dir=${dir%/}
	n=$((n + 1))
	if [ -f "$dir/cut" ]; then
		while IFS= read -r file; do
			truncate -s -1 "$file"
		done <"$dir/cut"
	fi
	set -f
	args=$(cat "$dir/args" 2>/dev/null)
	set -- env -i PATH="$PATH" HOME=/root
	while IFS= read -r var; do
		set -- "$@" "$var"
	done <<-EOF
		$(cat "$dir/env" 2>/dev/null)
	EOF
	[ -s "$dir/env" ] || set -- env -i PATH="$PATH" HOME=/root
	# shellcheck disable=SC2086 # flags are words
	(cd "$dir/case" && timeout 20 "$@" "$comp" $args config --format json) >"$dir/out" 2>"$dir/err"
	status=$?
	again=
	if [ -f "$dir/want" ] && [ ! -f "$dir/once" ]; then
		again=$dir/again
		# shellcheck disable=SC2086
		(cd "$dir/case" && timeout 20 "$@" "$comp" $args config 2>/dev/null |
			timeout 20 env -i PATH="$PATH" HOME=/root "$comp" -f - --profile '*' \
				--all-resources config --format json) >"$again" 2>&1
		cmp -s "$dir/out" "$again" && again=
	fi
	set +f
	sed -i "s|$dir/case|@DIR@|g" "$dir/out" "$dir/err"
	grep -v -e '^time=' -e '^ *[0-9]* |' "$dir/err" >"$dir/messages"
	ok=no
	if [ -f "$dir/want" ]; then
		[ -n "$(tail -c1 "$dir/out")" ] && echo >>"$dir/out"
		[ $status -eq 0 ] && cmp -s "$dir/want" "$dir/out" && [ ! "$again" ] && ok=yes
	else
		[ $status -eq 1 ] && [ ! -s "$dir/out" ] && cmp -s "$dir/error" "$dir/messages" && ok=yes
	fi
	if [ $ok = yes ]; then
		echo "ok $n - $(cat "$dir/name")"
	else
		failed=$((failed + 1))
		echo "not ok $n - $(cat "$dir/name")"
		{
			echo "exit status $status"
			if [ -f "$dir/want" ]; then
				cat "$dir/messages"
				diff "$dir/want" "$dir/out"
				[ ! "$again" ] || diff "$dir/out" "$again"
			else
				diff "$dir/error" "$dir/messages"
			fi
		} | head -n 20 | sed 's/^/# /'
	fi
done
echo "1..$n"
[ $failed -eq 0 ]
