/* Real Dockerfiles: those of docker/awesome-compose parse to these stages.
 *
 * COMP_CORPUS names a folder that holds a copy of that repository (below it, under any
 * name, or it is itself one); without it the test is skipped.  Here are only facts about
 * the files: NAME=BASE:INSTRUCTIONS per stage, "-" for a stage without a name.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "engine/build/graph.h"

static const struct {
	const char *path, *stages;
} files[] = {
	{ "angular/angular/Dockerfile", "builder=node:17.0.1-bullseye-slim:7 dev-envs=builder:4" },
	{ "apache-php/app/Dockerfile", "builder=php:8.0.9-apache:1 dev-envs=builder:4" },
	{ "aspnet-mssql/app/aspnetapp/Dockerfile",
	  "base=mcr.microsoft.com/dotnet/aspnet:5.0:1 build=mcr.microsoft.com/dotnet/sdk:5.0:4 "
	  "publish=build:1 final=base:3" },
	{ "django/app/Dockerfile", "builder=python:3.7-alpine:7 dev-envs=builder:4" },
	{ "fastapi/Dockerfile", "builder=tiangolo/uvicorn-gunicorn-fastapi:python3.9-slim:4 "
				"dev-envs=builder:3" },
	{ "flask-redis/Dockerfile", "builder=python:3.10-alpine:6 dev-envs=builder:3" },
	{ "flask/app/Dockerfile", "builder=python:3.10-alpine:6 dev-envs=builder:3" },
	{ "nginx-aspnet-mysql/backend/Dockerfile",
	  "base=mcr.microsoft.com/dotnet/sdk:6.0:3 builder=base:2 "
	  "dev-envs=builder:4 publisher=builder:1 -=mcr.microsoft.com/dotnet/aspnet:6.0:3" },
	{ "nginx-aspnet-mysql/proxy/Dockerfile", "-=nginx:1.13-alpine:1" },
	{ "nginx-flask-mongo/flask/Dockerfile", "builder=python:3.10-alpine:5 dev-envs=builder:4" },
	{ "nginx-flask-mysql/backend/Dockerfile",
	  "builder=python:3.10-alpine:10 dev-envs=builder:4" },
	{ "nginx-flask-mysql/proxy/Dockerfile", "-=nginx:1.13-alpine:1" },
	{ "nginx-golang-mysql/backend/Dockerfile",
	  "builder=golang:1.18-alpine:9 dev-envs=builder:4 -=scratch:2" },
	{ "nginx-golang-postgres/backend/Dockerfile",
	  "builder=golang:1.18-alpine:9 dev-envs=builder:4 -=scratch:2" },
	{ "nginx-golang/backend/Dockerfile",
	  "builder=golang:1.18-alpine:9 dev-envs=builder:4 -=scratch:2" },
	{ "nginx-nodejs-redis/nginx/Dockerfile", "-=nginx:1.21.6:2" },
	{ "nginx-nodejs-redis/web/Dockerfile", "-=node:14.17.3-alpine3.14:5" },
	{ "nginx-wsgi-flask/flask/Dockerfile", "-=python:3.9.2-alpine:16" },
	{ "nginx-wsgi-flask/nginx/Dockerfile", "-=nginx:1.19.7-alpine:8" },
	{ "react-express-mongodb/backend/Dockerfile",
	  "development=node:lts-buster-slim:7 dev-envs=development:4" },
	{ "react-express-mongodb/frontend/Dockerfile",
	  "development=node:lts-buster:7 dev-envs=development:4" },
	{ "react-express-mysql/backend/Dockerfile",
	  "development=node:lts:12 dev-envs=development:3" },
	{ "react-express-mysql/frontend/Dockerfile",
	  "development=node:lts:8 builder=development:1 "
	  "dev-envs=development:4 -=nginx:1.13-alpine:1" },
	{ "react-java-mysql/backend/Dockerfile",
	  "builder=maven:3.8.5-eclipse-temurin-17:5 dev-envs=builder:4 "
	  "prepare-production=builder:3 -=eclipse-temurin:17-jre-focal:7" },
	{ "react-java-mysql/frontend/Dockerfile", "development=node:lts:8 dev-envs=development:4 "
						  "build=development:1 -=nginx:1.13-alpine:1" },
	{ "react-nginx/Dockerfile", "development=node:lts:8 build=development:1 "
				    "dev-envs=development:4 -=nginx:alpine:5" },
	{ "react-rust-postgres/backend/Dockerfile",
	  "base=rust:buster:8 development=base:2 "
	  "dev-envs=base:5 builder=base:1 -=debian:buster-slim:4" },
	{ "react-rust-postgres/frontend/Dockerfile",
	  "development=node:lts:8 dev-envs=development:4 "
	  "builder=development:1 -=nginx:1.13-alpine:1" },
	{ "sparkjava-mysql/backend/Dockerfile",
	  "build=maven:3.8.5-eclipse-temurin-17:5 "
	  "dev-envs=build:4 -=eclipse-temurin:17-jre-focal:4" },
	{ "sparkjava/sparkjava/Dockerfile", "build=maven:3.8.5-eclipse-temurin-17:5 "
					    "dev-envs=build:4 -=eclipse-temurin:17-jre-focal:4" },
	{ "spring-postgres/backend/Dockerfile",
	  "builder=maven:3.8.5-eclipse-temurin-17:5 dev-envs=builder:4 "
	  "prepare-production=builder:3 -=eclipse-temurin:17-jre-focal:7" },
	{ "traefik-golang/backend/Dockerfile", "build=golang:1.18:3 dev-envs=build:4 -=scratch:2" },
	{ "vuejs/vuejs/Dockerfile", "development=node:14.4.0-alpine:7 dev-envs=development:4" },
	{ "wasmedge-kafka-mysql/etl/Dockerfile",
	  "buildbase=rust:1.64:2 build=buildbase:4 -=scratch:2" },
	{ "wasmedge-mysql-nginx/backend/Dockerfile",
	  "buildbase=rust:1.64:3 build=buildbase:4 -=scratch:2" },
};

static bool nothing_to_test;

static bool read_from(const char *top, const char *path, struct buf *out)
{
	static const char *const below[] = { ".", "awesome-compose", "docker/awesome-compose" };

	for (size_t i = 0; i < ARRAY_SIZE(below); i++) {
		_cleanup_(free_p) char *whole = xasprintf("%s/%s/%s", top, below[i], path);

		if (file_read(AT_FDCWD, whole, DOCKERFILE_MAX_SIZE, out, NULL) == 0)
			return true;
	}
	return false;
}

static void check(const char *path, const char *stages, const struct buf *text)
{
	_cleanup_(dockerfile_done) struct dockerfile d = { 0 };
	_cleanup_(buf_done) struct buf got = BUF_INIT;
	struct build_input in = { 0 };
	struct stage_graph g;
	struct err e = ERR_INIT;

	if (dockerfile_parse(path, buf_str(text), text->len, &d, &e) < 0)
		fail_msg("%s:%d: %s", path, e.line, e.msg);
	for (size_t i = 0; i < d.n_stages; i++)
		buf_printf(&got, "%s%s=%s:%zu", i ? " " : "",
			   d.stages[i].name ? d.stages[i].name : "-", d.stages[i].base,
			   d.stages[i].n);
	if (!streq(buf_str(&got), stages))
		fail_msg("%s:\n%s, not\n%s", path, buf_str(&got), stages);
	if (graph_init(&g, &d, &in, NULL, NULL, &e) < 0)
		fail_msg("%s:%d: %s", path, e.line, e.msg);
	graph_done(&g);
}

static void test_corpus(void **state)
{
	const char *top = getenv("COMP_CORPUS");
	size_t found = 0;

	for (size_t i = 0; top && i < ARRAY_SIZE(files); i++) {
		_cleanup_(buf_done) struct buf text = BUF_INIT;

		if (!read_from(top, files[i].path, &text))
			continue;
		found++;
		check(files[i].path, files[i].stages, &text);
	}
	print_message("%zu of %zu Dockerfiles found\n", found, ARRAY_SIZE(files));
	nothing_to_test = found == 0;
	if (nothing_to_test)
		skip();
	assert_int_equal(found, ARRAY_SIZE(files));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_corpus),
	};

	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	return failed ? failed : nothing_to_test ? 77 : 0;
}
