/* Keys that are accepted only are named once each, and there is a list of them. */
#include "compose/later.h"

#include "tests/unit/compose/loading.h"

static void test_warnings(void **state)
{
	struct folder f;
	struct diag d = DIAG_INIT;

	folder_make(&f);
	folder_write(&f, "compose.yaml",
		     "services: {a: {image: x, gpus: all, user: u, x-a: 1, runtime: runc}}\n");
	assert_int_equal(folder_load(&f, (struct project_options){ 0 }), 0);
	later_warn(f.p, &d);
	assert_int_equal(d.n_warns, 2);
	assert_string_equal(d.warns[0].msg,
			    "services.a.gpus: this version of comp does not act on it");
	assert_int_equal(d.warns[0].line, 1);
	diag_done(&d);
	folder_done(&f);
}

static void test_once(void **state)
{
	struct folder f;
	struct diag d = DIAG_INIT;

	folder_make(&f);
	folder_write(&f, "compose.yaml",
		     "services:\n"
		     "  a: {image: x, deploy: {placement: {constraints: [x]}}, runtime: runc}\n"
		     "  b: {image: x, runtime: runc, logging: {driver: syslog}}\n"
		     "  c: {image: x, runtime: runc, logging: {driver: local}}\n"
		     "  d: {image: x, deploy: {mode: global}, userns_mode: host}\n");
	assert_int_equal(folder_load(&f, (struct project_options){ 0 }), 0);
	later_warn(f.p, &d);
	assert_int_equal(d.n_warns, 4);
	assert_string_equal(d.warns[0].msg, "services.a.deploy.placement: this version of comp "
					    "does not act on it");
	assert_string_equal(d.warns[1].msg, "services.a.runtime: this version of comp does not "
					    "act on it, here and in 2 more places");
	assert_string_equal(d.warns[2].msg, "services.b.logging.driver: this version of comp does "
					    "not act on \"syslog\"");
	assert_string_equal(d.warns[3].msg, "services.d.deploy.mode: this version of comp does "
					    "not act on \"global\"");
	assert_int_equal(d.warns[3].line, 5);
	diag_done(&d);
	folder_done(&f);
}

static void test_list(void **state)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT;

	later_list(&out);
	assert_non_null(strstr(buf_str(&out), "services.*.gpus\n"));
	assert_non_null(strstr(buf_str(&out), "volumes.*.driver other than local\n"));
	assert_null(strstr(buf_str(&out), "services.*.image\n"));
	assert_null(strstr(buf_str(&out), "services.*.models.")); /* the key itself is there */
}

/* What README.md lists is what the table says: `comp explain --later`. */
static void test_readme(void **state)
{
	static const char title[] = "\n## Keys that are read but not acted on\n";
	_cleanup_(buf_done) struct buf text = BUF_INIT, want = BUF_INIT, have = BUF_INIT;
	_cleanup_(strv_freep) char **lines = NULL;
	char *section, *end;

	if (file_read(AT_FDCWD, "README.md", 1 << 20, &text, NULL) < 0)
		skip(); /* not run in the repository's root */
	section = strstr(text.data, title);
	assert_non_null(section);
	section += strlen(title);
	end = strstr(section, "\n## ");
	if (end)
		*end = '\0';
	lines = strv_split(section, '\n', true);
	STRV_FOREACH (line, lines)
		if (skip_prefix(*line, "    "))
			buf_printf(&have, "%s\n", *line + 4);
	later_list(&want);
	assert_string_equal(buf_str(&have), buf_str(&want));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_once),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_readme),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
