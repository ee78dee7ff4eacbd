/* Progress as lines, as objects and as a picture. */
#include "tests/unit/cli/capture.h"

#include "cli/progress.h"

static void small_screen(unsigned int *rows, unsigned int *cols)
{
	*rows = 5;
	*cols = 40;
}

static void play(struct progress *p)
{
	progress_event(p, "Network demo_default", PROGRESS_WORKING, "Creating", NULL);
	progress_event(p, "Network demo_default", PROGRESS_DONE, "Created", NULL);
	progress_event(p, "Container demo-web-1", PROGRESS_WORKING, "Starting", NULL);
	progress_event(p, "Container demo-web-1", PROGRESS_ERROR, "Error", "no such file");
}

static void test_plain(void **state)
{
	struct progress_options o = { .mode = PROGRESS_PLAIN };
	struct capture c;
	struct progress *p = progress_new(capture_open(&c), &o);

	play(p);
	progress_amount(p, "Image x", "Loading", 1, 10);
	progress_amount(p, "Image x", "Loading", 2, 10);
	progress_tick(p);
	assert_int_equal(progress_interval(p), -1);
	progress_free(p);
	capture_expect(&c, " Network demo_default Creating \n Network demo_default Created \n"
			   " Container demo-web-1 Starting \n"
			   " Container demo-web-1 Error no such file\n"
			   " Image x Loading \n");
}

static void test_dry_run(void **state)
{
	struct progress_options o = { .mode = PROGRESS_AUTO, .dry_run = true };
	struct capture c;
	struct progress *p = progress_new(capture_open(&c), &o);

	progress_event(p, "Container a", PROGRESS_DONE, "Started", NULL);
	progress_free(p);
	capture_expect(&c, "DRY-RUN MODE -  Container a Started \n");
}

static void test_json(void **state)
{
	struct progress_options o = { .mode = PROGRESS_JSON };
	struct capture c;
	struct progress *p = progress_new(capture_open(&c), &o);

	progress_event(p, "Container a", PROGRESS_WORKING, "Starting", NULL);
	progress_event(p, "Container a", PROGRESS_DONE, "Started", "late");
	progress_amount(p, "Image x", "Loading", 1, 4);
	progress_free(p);
	capture_expect(
		&c, "{\"id\":\"Container a\",\"status\":\"Working\",\"text\":\"Starting\"}\n"
		    "{\"id\":\"Container a\",\"status\":\"Done\",\"text\":\"Started\","
		    "\"details\":\"late\"}\n"
		    "{\"id\":\"Image x\",\"status\":\"Working\",\"text\":\"Loading\",\"current\":1,"
		    "\"total\":4,\"percent\":25}\n");
}

static void test_quiet(void **state)
{
	struct progress_options o = { .mode = PROGRESS_QUIET };
	struct capture c;
	struct progress *p = progress_new(capture_open(&c), &o);

	play(p);
	progress_free(p);
	capture_expect(&c, "");
}

/* The last picture, behind the last "cursor up". */
static const char *last_picture(const char *text)
{
	const char *last = text;

	for (const char *p = text; (p = strstr(p, "\r[+]")); p++)
		last = p + 1;
	return last;
}

static void test_tty(void **state)
{
	struct progress_options o = {
		.mode = PROGRESS_AUTO, .tty = true, .title = "up", .size = small_screen
	};
	struct capture c;
	struct progress *p = progress_new(capture_open(&c), &o);

	progress_event(p, "Container a", PROGRESS_DONE, "Started", NULL);
	progress_event(p, "Container long-name-that-does-not-fit-1", PROGRESS_DONE, "Started",
		       NULL);
	progress_free(p);
	fclose(c.f);
	assert_string_equal(last_picture(c.text), "[+] up 2/2\033[K\n"
						  " ✔ Container a Started         0.0s\033[K\n"
						  " ✔ Container long-name-that-d… 0.0s\033[K\n");
	free(c.text);
}

/* More tasks than lines: while it runs only what fits, at the end all. */
static void test_tty_overflow(void **state)
{
	struct progress_options o = { .mode = PROGRESS_TTY, .title = "up", .size = small_screen };
	struct capture c;
	struct progress *p = progress_new(capture_open(&c), &o);
	size_t lines = 0;

	for (int i = 0; i < 10; i++) {
		char id[20];

		snprintf(id, sizeof(id), "Container %d", i);
		progress_event(p, id, i == 2 ? PROGRESS_WORKING : PROGRESS_DONE, "X", NULL);
	}
	assert_int_equal(progress_interval(p), 100);
	progress_tick(p);
	fflush(c.f);
	assert_non_null(strstr(last_picture(c.text), "[+] up 9/10"));
	assert_non_null(strstr(last_picture(c.text), "Container 2 X"));
	assert_non_null(strstr(last_picture(c.text), "Container 9 X"));
	assert_null(strstr(last_picture(c.text), "Container 3 X"));
	for (const char *s = last_picture(c.text); (s = strchr(s, '\n')); s++)
		lines++;
	assert_int_equal(lines, 4);
	progress_free(p);
	fclose(c.f);
	assert_non_null(strstr(last_picture(c.text), "Container 3 X"));
	free(c.text);
}

static void test_mode(void **state)
{
	enum progress_mode mode;
	struct err e = ERR_INIT;

	assert_int_equal(progress_mode_parse("plain", &mode, &e), 0);
	assert_int_equal(mode, PROGRESS_PLAIN);
	assert_true(progress_mode_parse("fancy", &mode, &e) < 0);
	assert_string_equal(e.msg, "unsupported --progress value \"fancy\"");
	assert_int_equal(progress_status_parse("error"), PROGRESS_ERROR);
	assert_int_equal(progress_status_parse(NULL), PROGRESS_WORKING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain), cmocka_unit_test(test_dry_run),
		cmocka_unit_test(test_json),  cmocka_unit_test(test_quiet),
		cmocka_unit_test(test_tty),   cmocka_unit_test(test_tty_overflow),
		cmocka_unit_test(test_mode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
