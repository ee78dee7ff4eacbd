#!/usr/bin/env bash
# The sample stack on real images: install WordPress, publish a post, and see it
# survive what may happen to it.  Images are built from samples/wordpress/images (their
# base is kept in CACHE); the port is a free one, so a running demo is not disturbed.
. "$(dirname "$0")/../lib/tap.sh"
plan 16

if ! "$TOP/samples/wordpress/images/base.sh" "$COMP" >"$WORK/images.log" 2>&1; then
	fail "the base image is there" "$(tail -n 20 "$WORK/images.log")"
	exit 1
fi
pass "the base image is there"

port=$(free_port)
sed "s/\"8000:80\"/\"$port:80\"/" "$TOP/samples/wordpress/compose.yaml" >compose.yaml
cp -r "$TOP/samples/wordpress/images" .
url=http://localhost:$port

if ! comp -p "$P" build >"$WORK/build.log" 2>&1; then
	fail "build" "$(tail -n 40 "$WORK/build.log")"
	exit 1
fi
pass "build"

page() {
	curl -sL -m 20 -b "$WORK/jar" -c "$WORK/jar" "$@"
}

answers() {
	"$LIB/wait-http" "$url/" "$1"
}

ok "up -d" comp -p "$P" up -d
ok "WordPress answers" answers 60
like "the installation page renders" "$(page "$url/")" '<title>WordPress.*Installation'
like "the five-minute install completes" "$(page "$url/wp-admin/install.php?step=2" \
	-d weblog_title=comp -d user_name=admin -d admin_password=Secret-42-comp \
	-d admin_password2=Secret-42-comp -d pw_weak=1 -d admin_email=a@example.org -d blog_public=0)" \
	'WordPress has been installed|Success!'

page "$url/wp-login.php" >/dev/null
page "$url/wp-login.php" -d log=admin -d pwd=Secret-42-comp -d testcookie=1 >"$WORK/admin.html"
nonce=$(page "$url/wp-admin/admin-ajax.php?action=rest-nonce")
like "a post is published" "$(page "$url/?rest_route=/wp/v2/posts" -H "X-WP-Nonce: $nonce" \
	-d title='A post that stays' -d content='Written through comp' -d status=publish)" '"status":"publish"'

shows_post() {
	page "$url/" | grep -q 'A post that stays'
}
ok "the post is shown" until_true 20 shows_post

kill -9 "$(pid_of db)"
ok "the database is back after kill -9, and the site works" until_true 20 shows_post
like "ps shows it up again" "$(comp -p "$P" ps db)" 'Up (Less than|[0-9]+ )'
kill -9 "$(pid_of wordpress)"
ok "so is WordPress" until_true 20 shows_post

kill -9 "$(supervisor_pid)"
ok "the site answers without its supervisor" shows_post
ok "exec works after it" comp -p "$P" exec -T db sh -c 'mysql -uwordpress -pwordpress wordpress -e "select 1"'

ok "down" comp -p "$P" down
ok "up again" comp -p "$P" up -d
ok "the post is still there" until_true 30 shows_post

done_testing
