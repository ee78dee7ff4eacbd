/* Which files, which name, which services; what the model looks like for those who use it. */
#include <errno.h>

#include "compose/explain.h"
#include "compose/hash.h"
#include "tests/unit/compose/loading.h"

static const char stack[] = "services:\n"
			    "  web:\n"
			    "    image: nginx:${TAG:-1}\n"
			    "    ports: ['8000:80']\n"
			    "    depends_on: [db]\n"
			    "    command: nginx -g 'daemon off;'\n"
			    "    healthcheck: {test: curl localhost, interval: 90s}\n"
			    "    environment: [A=1, B]\n"
			    "    volumes: ['./html:/html:ro', 'data:/data']\n"
			    "  db:\n"
			    "    build: ./db\n"
			    "    mem_limit: 1g\n"
			    "  debug:\n"
			    "    image: x\n"
			    "    profiles: [debug]\n"
			    "volumes: {data: , unused: }\n";

static int setup(void **state)
{
	struct folder *f = new0(struct folder);

	folder_make(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	folder_done(*state);
	free(*state);
	return 0;
}

static void test_the_model(void **state)
{
	struct folder *f = *state;
	struct node *web, *v;
	_cleanup_(free_p) char *html = NULL;

	folder_write(f, "compose.yaml", stack);
	assert_int_equal(folder_load(f, (struct project_options){ .name = "demo" }), 0);
	assert_string_equal(f->p->name, "demo");
	assert_string_equal(f->p->working_dir, f->path);
	web = project_service(f->p, "web");
	assert_string_equal(node_get_str(web, "image"), "nginx:1");
	v = node_get(web, "ports")->items[0];
	assert_int_equal(node_get_int(v, "target", 0), 80);
	assert_string_equal(node_get_str(v, "published"), "8000");
	assert_int_equal(v->line, 4);
	v = node_get(node_get(web, "depends_on"), "db");
	assert_string_equal(node_get_str(v, "condition"), "service_started");
	assert_true(node_get_bool(v, "required", false));
	v = node_get(web, "command");
	assert_int_equal(v->n, 3);
	assert_string_equal(v->items[2]->text, "daemon off;");
	v = node_get(node_get(web, "healthcheck"), "test");
	assert_string_equal(v->items[0]->text, "CMD-SHELL");
	assert_string_equal(node_get_str(node_get(web, "healthcheck"), "interval"), "1m30s");
	assert_true(node_is_null(node_get(node_get(web, "environment"), "B")));
	html = path_join(f->path, "html");
	v = node_get(web, "volumes")->items[0];
	assert_string_equal(node_get_str(v, "source"), html);
	assert_true(node_get_bool(v, "read_only", false));
	assert_string_equal(node_get_str(project_service(f->p, "db"), "mem_limit"), "1073741824");
	assert_string_equal(node_get_str(node_path(f->p->model, "volumes", "data", NULL), "name"),
			    "demo_data");
	assert_null(node_path(f->p->model, "volumes", "unused", NULL));
	assert_non_null(node_path(f->p->model, "networks", "default", NULL));
	assert_string_equal(project_image_name(f->p, "db"), "demo-db");
	assert_string_equal(project_image_name(f->p, "web"), "nginx:1");
	assert_int_equal(service_scale(web), 1);
}

static void test_profiles_and_selection(void **state)
{
	char *debug[] = { "debug", NULL }, *db[] = { "db", NULL }, *nope[] = { "wbe", NULL };
	struct folder *f = *state;
	_cleanup_(free_p) const char **names = NULL;
	struct node *n;
	struct err e = ERR_INIT;

	folder_write(f, "compose.yaml", stack);
	assert_int_equal(folder_load(f, (struct project_options){ 0 }), 0);
	assert_null(project_service(f->p, "debug"));
	assert_non_null(node_get(f->p->disabled, "debug"));
	assert_int_equal(folder_load(f, (struct project_options){ .profiles = debug }), 0);
	assert_non_null(project_service(f->p, "debug"));
	/* Naming a service is asking for its profile. */
	assert_int_equal(folder_load(f, (struct project_options){ .services = debug }), 0);
	assert_non_null(project_service(f->p, "debug"));
	assert_null(project_service(f->p, "web"));
	assert_int_equal(folder_load(f, (struct project_options){ .services = db }), 0);
	names = project_service_names(f->p);
	assert_string_equal(names[0], "db");
	assert_null(names[1]);
	assert_int_equal(folder_load(f, (struct project_options){ .services = nope }), -ENOENT);
	assert_string_equal(f->diag.errs[0].msg, "no such service: wbe");
	assert_string_equal(f->diag.errs[0].hint, "did you mean \"web\"?");
	assert_int_equal(folder_load(f, (struct project_options){ .all_resources = true }), 0);
	assert_non_null(node_path(f->p->model, "volumes", "unused", NULL));
	assert_int_equal(project_need_service(f->p, "dbb", &n, &e), -ENOENT);
	assert_string_equal(e.hint, "did you mean \"db\"?");
}

static void test_names(void **state)
{
	struct folder *f = *state;
	char *environ_name[] = { "COMPOSE_PROJECT_NAME=env", NULL };
	struct project_options o = { .cwd = f->path };
	char *name = NULL;

	/* With a name there is no need for a file. */
	o.name = "given";
	assert_int_equal(project_find_name(&o, &name, &f->diag), 0);
	assert_string_equal(name, "given");
	str_set(&name, NULL);
	o.name = NULL;
	o.environ = environ_name;
	assert_int_equal(project_find_name(&o, &name, &f->diag), 0);
	assert_string_equal(name, "env");
	str_set(&name, NULL);
	o.environ = NULL;
	folder_write(f, "compose.yaml", "name: My Name\nservices: {a: {image: x}}\n");
	assert_int_equal(project_find_name(&o, &name, &f->diag), 0);
	assert_string_equal(name, "myname");
	str_set(&name, NULL);
	o.name = "Not Normal";
	assert_int_equal(project_find_name(&o, &name, &f->diag), -EINVAL);
	assert_null(name);
	name = project_normalize_name("__A.b-C ü_1");
	assert_string_equal(name, "ab-c_1");
	free(name);
}

static void test_no_file(void **state)
{
	struct folder *f = *state;

	assert_int_equal(folder_load(f, (struct project_options){ 0 }), -ENOENT);
	assert_string_equal(f->diag.errs[0].msg, "no configuration file provided: not found");
}

static void test_env_files(void **state)
{
	struct folder *f = *state;
	const struct node *env, *n;

	folder_write(f, "compose.yaml",
		     "services:\n  a:\n    image: x\n    env_file: [one.env, two.env]\n"
		     "    environment: {C: own}\n");
	folder_write(f, "one.env", "A=1\nB=1\nC=1\n");
	folder_write(f, "two.env", "B=2\n");
	assert_int_equal(folder_load(f, (struct project_options){ 0 }), 0);
	env = node_get(project_service(f->p, "a"), "environment");
	assert_string_equal(node_get_str(env, "A"), "1");
	assert_string_equal(node_get_str(env, "B"), "2");
	assert_string_equal(node_get_str(env, "C"), "own");
	assert_null(node_get(project_service(f->p, "a"), "env_file"));
	n = node_get(env, "B");
	assert_string_equal(n->file, "two.env");
	assert_int_equal(n->line, 1);
	assert_string_equal(n->replaced->file, "one.env");
	assert_int_equal(folder_load(f, (struct project_options){ .no_env_resolution = true }), 0);
	assert_non_null(node_get(project_service(f->p, "a"), "env_file"));
}

static void test_where_values_come_from(void **state)
{
	struct folder *f = *state;
	_cleanup_(buf_done) struct buf out = BUF_INIT;
	struct err e = ERR_INIT;

	folder_write(f, "compose.yaml",
		     "services:\n  a:\n    image: one\n    user: $U\n    environment: {K: 1}\n");
	folder_write(f, "compose.override.yaml",
		     "services:\n  a:\n    image: two\n    environment: {K: 2}\n");
	folder_write(f, ".env", "\nU=me\n");
	assert_int_equal(folder_load(f, (struct project_options){ 0 }), 0);
	assert_int_equal(explain_value(f->p, "services.a.image", &out, &e), 0);
	assert_string_equal(buf_str(&out), "compose.override.yaml:3:12: two\n"
					   "compose.yaml:3:12: one  (overridden)\n");
	buf_truncate(&out, 0);
	assert_int_equal(explain_value(f->p, "services.a.user", &out, &e), 0);
	assert_non_null(strstr(buf_str(&out), ".env:2"));
	buf_truncate(&out, 0);
	assert_int_equal(explain_value(f->p, "services.a.environment.K", &out, &e), 0);
	assert_string_equal(buf_str(&out), "compose.override.yaml:4:22: \"2\"\n"
					   "compose.yaml:5:22: \"1\"  (overridden)\n");
	buf_truncate(&out, 0);
	assert_int_equal(explain_value(f->p, "services.a.restart", &out, &e), 0);
	assert_string_equal(buf_str(&out), "default: no\n");
	assert_int_equal(explain_value(f->p, "services.b", &out, &e), -ENOENT);
}

static void test_help_of_keys(void **state)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT;
	struct err e = ERR_INIT;

	assert_int_equal(explain_key("services.healthcheck.interval", &out, &e), 0);
	assert_non_null(strstr(buf_str(&out), "default: 30s"));
	assert_int_equal(explain_key("services.web.healthcheck.interval", &out, &e), 0);
	assert_int_equal(explain_key("services.web.ports[0].target", &out, &e), 0);
	assert_int_equal(explain_key("services.ports.target", &out, &e), 0);
	assert_int_equal(explain_key("networks.ipam.config.subnet", &out, &e), 0);
	assert_int_equal(explain_key("cap_add", &out, &e), 0);
	assert_int_equal(explain_key("services.web.imge", &out, &e), -ENOENT);
	assert_string_equal(e.hint, "did you mean \"image\"?");
	assert_int_equal(explain_key("", &out, &e), -EINVAL);
}

static void test_hash(void **state)
{
	struct folder *f = *state;
	char a[CONFIG_HASH_MAX], b[CONFIG_HASH_MAX];

	folder_write(f, "compose.yaml", "services: {a: {image: x, user: u}}\n");
	assert_int_equal(folder_load(f, (struct project_options){ 0 }), 0);
	service_hash(project_service(f->p, "a"), a);
	assert_int_equal(strlen(a), 64);
	/* Order, scale, build and dependencies do not ask for a new container … */
	folder_write(f, "compose.yaml",
		     "services:\n  a: {user: u, image: x, scale: 3, depends_on: [b], pull_policy: "
		     "always,\n"
		     "      build: .}\n  b: {image: y}\n");
	assert_int_equal(folder_load(f, (struct project_options){ 0 }), 0);
	assert_string_equal(service_hash(project_service(f->p, "a"), b), a);
	/* … but what the container sees does. */
	folder_write(f, "compose.yaml", "services: {a: {image: x, user: v}}\n");
	assert_int_equal(folder_load(f, (struct project_options){ 0 }), 0);
	assert_string_not_equal(service_hash(project_service(f->p, "a"), b), a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_the_model, setup, teardown),
		cmocka_unit_test_setup_teardown(test_profiles_and_selection, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_env_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_where_values_come_from, setup, teardown),
		cmocka_unit_test(test_help_of_keys),
		cmocka_unit_test_setup_teardown(test_hash, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
