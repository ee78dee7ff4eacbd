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

static void test_list(void **state)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT;

	later_list(&out);
	assert_non_null(strstr(buf_str(&out), "services.*.gpus\n"));
	assert_null(strstr(buf_str(&out), "services.*.image\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
