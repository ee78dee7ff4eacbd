/* A container as `ps` shows it. */
#include "tests/unit/cli/capture.h"

#include "base/strv.h"
#include "cli/rows.h"

static void add_port(struct record *r, const char *ip, int host, int container,
		     const char *protocol)
{
	r->ports = xreallocarray(r->ports, r->n_ports + 1, sizeof(*r->ports));
	r->ports[r->n_ports++] = (struct published_port){ .host_ip = xstrdup(ip),
							  .host_port = (uint16_t)host,
							  .container_port = (uint16_t)container,
							  .protocol = xstrdup(protocol) };
}

static void expect_ports(const struct record *r, char *const *expose, const char *text)
{
	_cleanup_(free_p) char *got = ports_text(r, expose);

	assert_string_equal(got, text);
}

static void test_ports(void **state)
{
	_cleanup_(record_freep) struct record *r = record_new();
	char *expose[] = { "80/tcp", "3306/tcp", "33060", NULL };

	expect_ports(r, NULL, "");
	add_port(r, "0.0.0.0", 8080, 80, "tcp");
	add_port(r, "::", 8080, 80, "tcp");
	expect_ports(r, NULL, "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp");
	expect_ports(r, expose, "3306/tcp, 33060/tcp, 0.0.0.0:8080->80/tcp, [::]:8080->80/tcp");
	record_clear_ports(r);
	for (int i = 0; i < 3; i++)
		add_port(r, "0.0.0.0", 8000 + i, 8000 + i, "tcp");
	add_port(r, "0.0.0.0", 8004, 8004, "tcp");
	add_port(r, "0.0.0.0", 8000, 8000, "udp");
	expect_ports(r, NULL,
		     "0.0.0.0:8000-8002->8000-8002/tcp, 0.0.0.0:8000->8000/udp, "
		     "0.0.0.0:8004->8004/tcp");
}

static void expect_status(const struct record *r, const char *text)
{
	_cleanup_(free_p) char *got = status_text(r);

	assert_string_equal(got, text);
}

static void test_status(void **state)
{
	_cleanup_(record_freep) struct record *r = record_new();
	uint64_t now = now_real_ns();

	expect_status(r, "Created");
	r->status = CONTAINER_RUNNING;
	r->started_at = now - 5 * NSEC_PER_SEC;
	expect_status(r, "Up 5 seconds");
	r->health = HEALTH_STARTING;
	expect_status(r, "Up 5 seconds (health: starting)");
	r->health = HEALTH_HEALTHY;
	r->restart_count = 1;
	expect_status(r, "Up 5 seconds (healthy) (restarted 1 time)");
	r->restart_count = 0;
	r->status = CONTAINER_PAUSED;
	expect_status(r, "Up 5 seconds (Paused)");
	r->status = CONTAINER_RESTARTING;
	r->exit_code = 1;
	r->finished_at = now - 3 * NSEC_PER_SEC;
	expect_status(r, "Restarting (1) 3 seconds ago");
	r->status = CONTAINER_EXITED;
	expect_status(r, "Exited (1) 3 seconds ago");
	r->status = CONTAINER_REMOVING;
	expect_status(r, "Removal In Progress");
}

static void test_ellipsis(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = { { "", "" },
		     { "abcd", "abcd" },
		     { "abcde", "abc…" },
		     { "äöüß", "äöüß" },
		     { "äöüßé", "äöü…" } };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(free_p) char *got = ellipsis(rows[i].in, 4);

		assert_string_equal(got, rows[i].out);
	}
}

static void test_row(void **state)
{
	_cleanup_(record_freep) struct record *r = record_new();
	_cleanup_(spec_freep) struct container_spec *spec = spec_new();
	_cleanup_(json_unrefp) json *row = NULL;

	r->id = xstrdup("0123456789abcdef");
	r->name = xstrdup("demo-web-1");
	r->project = xstrdup("demo");
	r->service = xstrdup("web");
	r->command = xstrdup("docker-entrypoint.sh \"x\"");
	add_port(r, "0.0.0.0", 8080, 80, "tcp");
	strv_add(&spec->labels, "b=2");
	strv_add(&spec->labels, "a=1");
	row = container_row(r, spec, false);
	assert_string_equal(json_get_str(row, "ID"), "0123456789ab");
	assert_string_equal(json_get_str(row, "Command"), "\"docker-entrypoint.s…\"");
	assert_string_equal(json_get_str(row, "Labels"), "a=1,b=2");
	assert_string_equal(json_get_str(row, "State"), "created");
	assert_string_equal(json_text(json_get(row, "Publishers")),
			    "[{\"URL\":\"0.0.0.0\",\"TargetPort\":80,\"PublishedPort\":8080,"
			    "\"Protocol\":\"tcp\"}]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_ellipsis),
		cmocka_unit_test(test_row),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
