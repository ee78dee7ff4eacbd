/* Dockerfile instructions on a config, seen through the JSON it becomes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "engine/image/change.h"

static const struct {
	const char *changes[4], *expected;
} good[] = {
	{ { "CMD [\"a\",\"b c\"]" }, "{\"Cmd\":[\"a\",\"b c\"]}" },
	{ { "cmd echo $HOME && x" }, "{\"Cmd\":[\"/bin/sh\",\"-c\",\"echo $HOME && x\"]}" },
	{ { "CMD []" }, "{\"Cmd\":[]}" },
	{ { "CMD [ -e x ] && y" }, "{\"Cmd\":[\"/bin/sh\",\"-c\",\"[ -e x ] && y\"]}" },
	{ { "SHELL [\"/bin/bash\",\"-ec\"]", "ENTRYPOINT a b" },
	  "{\"Entrypoint\":[\"/bin/bash\",\"-ec\",\"a b\"],\"Shell\":[\"/bin/bash\",\"-ec\"]}" },
	{ { "ENV A=1 B=\"two words\" C='$x' D=e\\ f", "ENV A=2" },
	  "{\"Env\":[\"A=2\",\"B=two words\",\"C=$x\",\"D=e f\"]}" },
	{ { "ENV OLD style  value" }, "{\"Env\":[\"OLD=style  value\"]}" },
	{ { "ENV E= F=\"\"" }, "{\"Env\":[\"E=\",\"F=\"]}" },
	{ { "EXPOSE 80 443/TCP 53/udp 80", "EXPOSE 8000-8002" },
	  "{\"ExposedPorts\":{\"80\\/tcp\":{},\"443\\/tcp\":{},\"53\\/udp\":{},\"8000\\/tcp\":{},"
	  "\"8001\\/tcp\":{},\"8002\\/tcp\":{}}}" },
	{ { "LABEL a=b \"c d\"=\"e f\"" }, "{\"Labels\":{\"a\":\"b\",\"c d\":\"e f\"}}" },
	{ { "USER app:staff" }, "{\"User\":\"app:staff\"}" },
	{ { "WORKDIR /a", "WORKDIR b/../c", "WORKDIR \"d e\"" },
	  "{\"WorkingDir\":\"\\/a\\/c\\/d e\"}" },
	{ { "VOLUME /a /b", "VOLUME [\"/c\"]" },
	  "{\"Volumes\":{\"\\/a\":{},\"\\/b\":{},\"\\/c\":{}}}" },
	{ { "STOPSIGNAL SIGQUIT" }, "{\"StopSignal\":\"SIGQUIT\"}" },
	{ { "STOPSIGNAL 9" }, "{\"StopSignal\":\"9\"}" },
	{ { "STOPSIGNAL RTMIN+3" }, "{\"StopSignal\":\"RTMIN+3\"}" },
	{ { "ONBUILD RUN make" }, "{\"OnBuild\":[\"RUN make\"]}" },
	{ { "HEALTHCHECK NONE" }, "{\"Healthcheck\":{\"Test\":[\"NONE\"]}}" },
	{ { "HEALTHCHECK --interval=1m30s --timeout=500ms --start-period=0.5s --retries=4 CMD a "
	    "b" },
	  "{\"Healthcheck\":{\"Test\":[\"CMD-SHELL\",\"a b\"],\"Interval\":90000000000,"
	  "\"Timeout\":500000000,\"StartPeriod\":500000000,\"Retries\":4}}" },
	{ { "  HEALTHCHECK CMD [\"a\"]  " }, "{\"Healthcheck\":{\"Test\":[\"CMD\",\"a\"]}}" },
};

static void test_good(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		_cleanup_(image_config_done) struct image_config c = { 0 };
		_cleanup_(json_unrefp) json *got = NULL, *want = NULL;
		struct err e = ERR_INIT;

		for (size_t k = 0; k < 4 && good[i].changes[k]; k++)
			if (change_apply(&c, good[i].changes[k], &e) < 0)
				fail_msg("%s: %s", good[i].changes[k], e.msg);
		got = image_config_runtime_json(&c);
		assert_int_equal(json_parse(good[i].expected, strlen(good[i].expected), &want, &e),
				 0);
		assert_string_equal(json_text(got), json_text(want));
	}
}

static void test_bad(void **state)
{
	static const struct {
		const char *change, *message;
	} bad[] = {
		{ "", "empty" },
		{ "CMD", "CMD: needs at least one argument" },
		{ "CMD ['a']", "CMD: a list needs double quotes" },
		{ "CMD [1]", "CMD: only strings" },
		{ "ENV a", "ENV: \"a\" needs a value" },
		{ "ENV a=b c", "ENV: \"c\" is not KEY=VALUE" },
		{ "ENV a=\"b", "ENV: unexpected end of statement" },
		{ "ENV =b", "ENV: a name cannot be empty" },
		{ "EXPOSE http", "EXPOSE: \"http\" is not a port" },
		{ "EXPOSE 0", "EXPOSE" },
		{ "EXPOSE 70000", "EXPOSE" },
		{ "EXPOSE 9-8", "EXPOSE" },
		{ "EXPOSE 80/icmp", "EXPOSE: \"icmp\"" },
		{ "USER a b", "USER: takes one argument" },
		{ "VOLUME [\"\"]", "VOLUME: a volume cannot be" },
		{ "SHELL /bin/sh", "SHELL: needs a JSON list" },
		{ "SHELL []", "SHELL: needs a JSON list" },
		{ "STOPSIGNAL SIGFOO", "STOPSIGNAL: \"SIGFOO\" is not a signal" },
		{ "STOPSIGNAL 0", "STOPSIGNAL" },
		{ "ONBUILD from x", "ONBUILD: FROM is not allowed" },
		{ "HEALTHCHECK ls", "HEALTHCHECK: needs CMD or NONE" },
		{ "HEALTHCHECK CMD", "HEALTHCHECK: missing command" },
		{ "HEALTHCHECK NONE x", "HEALTHCHECK: NONE takes no" },
		{ "HEALTHCHECK --interval=x CMD a",
		  "HEALTHCHECK: \"--interval=x\" is not a duration" },
		{ "HEALTHCHECK --timeout=1us CMD a", "less than 1ms" },
		{ "HEALTHCHECK --foo=1 CMD a", "HEALTHCHECK: unknown flag" },
		{ "RUN make", "RUN is not an instruction that sets configuration" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_(image_config_done) struct image_config c = { 0 };
		struct err e = ERR_INIT;

		assert_int_equal(change_apply(&c, bad[i].change, &e), -EINVAL);
		if (!strstr(e.msg, bad[i].message))
			fail_msg("%s: %s", bad[i].change, e.msg);
	}
}

static void test_suggests(void **state)
{
	_cleanup_(image_config_done) struct image_config c = { 0 };
	struct err e = ERR_INIT;

	assert_int_equal(change_apply(&c, "ENTRYPIONT a", &e), -EINVAL);
	assert_string_equal(e.hint, "did you mean ENTRYPOINT?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_suggests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
