/* Services as container specs, compared as JSON, against an image in a store of our own. */
#include "tests/unit/compose/loading.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "compose/translate.h"
#include "engine/image/stage.h"
#include "engine/state/names.h"
#include "net/network.h"
#include "volumes/volume.h"

struct bench {
	struct folder f;
	struct dirs dirs;
	struct store *store;
	struct translation *t;
};

#define RICH                                                                                       \
	"{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{"                                \
	"\"Entrypoint\":[\"/entry\"],\"Cmd\":[\"serve\",\"-v\"],"                                  \
	"\"Env\":[\"PATH=/opt/bin:/bin\",\"A=image\",\"B=image\"],"                                \
	"\"User\":\"app:app\",\"WorkingDir\":\"/srv\",\"StopSignal\":\"SIGQUIT\","                 \
	"\"Volumes\":{\"/data\":{},\"/cache\":{}},"                                                \
	"\"Labels\":{\"vendor\":\"x\",\"com.docker.compose.project\":\"evil\"},"                   \
	"\"Healthcheck\":{\"Test\":[\"CMD\",\"ok\"],\"Interval\":5000000000,\"Retries\":7}"        \
	"},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}"
#define PLAIN "{\"config\":{},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}"

static void add_image(struct store *s, const char *name, const char *config)
{
	_cleanup_(free_p) char *ref = xasprintf("docker.io/library/%s:latest", name);
	char *refs[] = { ref, NULL };
	struct staged_image img = { .config = config,
				    .n_config = strlen(config),
				    .manifest = config,
				    .n_manifest = strlen(config),
				    .refs = refs };
	_cleanup_(stage_freep) struct stage *st = NULL;
	struct err e = ERR_INIT;

	if (stage_begin(s, &st, &e) < 0 || stage_image(st, &img, NULL, &e) < 0 ||
	    stage_commit(st, NULL, &e) < 0)
		fail_msg("%s", e.msg);
}

static int bench_make(void **state)
{
	struct bench *b = new0(struct bench);
	_cleanup_(free_p) char *images = NULL;

	folder_make(&b->f);
	b->dirs.root = xasprintf("%s/root", b->f.path);
	images = dirs_images(&b->dirs);
	assert_int_equal(mkdir_p(AT_FDCWD, b->dirs.root, 0700, NULL), 0);
	assert_int_equal(store_open(images, &b->store, NULL), 0);
	add_image(b->store, "rich", RICH);
	add_image(b->store, "plain", PLAIN);
	*state = b;
	return 0;
}

static int bench_done(void **state)
{
	struct bench *b = *state;

	translation_free(b->t);
	store_close(b->store);
	free(b->dirs.root);
	folder_done(&b->f);
	free(b);
	return 0;
}

static int translate(struct bench *b, const char *yaml)
{
	folder_write(&b->f, "compose.yaml", yaml);
	translation_free(TAKE_PTR(b->t));
	if (folder_load(&b->f, (struct project_options){ .name = (char *)"t" }) < 0)
		fail_msg("%s", b->f.diag.errs[0].msg);
	return translate_project(b->f.p, &b->dirs, b->store, NULL, &b->t, &b->f.diag);
}

static void need(struct bench *b, const char *yaml)
{
	if (translate(b, yaml) < 0)
		fail_msg("%s", b->f.diag.errs[0].msg);
}

/* @text with the folder's name as DIR, for comparing. */
static char *without_folder(const struct bench *b, const char *text)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT;
	const char *at;

	while ((at = strstr(text, b->f.path))) {
		buf_add(&out, text, (size_t)(at - text));
		buf_adds(&out, "DIR");
		text = at + strlen(b->f.path);
	}
	buf_adds(&out, text);
	return buf_take(&out);
}

static void same(const struct bench *b, json *value, const char *what, const char *want)
{
	_cleanup_(free_p) char *got = without_folder(b, value ? json_text(value) : "-");

	if (!streq(got, want))
		fail_msg("%s is\n%s\nwanted was\n%s", what, got, want);
}

struct wish {
	const char *service; /* the lines of the service, in flow style */
	const char *key;     /* of the spec */
	const char *want;    /* its JSON; "-": absent */
};

static void check(struct bench *b, const struct wish *wishes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		_cleanup_(free_p) char *yaml = xasprintf(
			"services:\n  web: {%s}\n"
			"  db: {image: plain, command: x}\n"
			"networks: {back: {}, front: {name: shared}}\n"
			"volumes: {data: {}, named: {name: other}}\n",
			wishes[i].service);
		_cleanup_(json_unrefp) json *j = NULL;

		need(b, yaml);
		j = spec_to_json(map_get(&b->t->specs, "web"));
		same(b, json_get(j, wishes[i].key), wishes[i].service, wishes[i].want);
	}
}
#define CHECK(b, wishes) check(b, wishes, ARRAY_SIZE(wishes))

#define WEB "image: rich, "
#define RAW "image: plain, command: x, "

static void test_process(void **state)
{
	static const struct wish wishes[] = {
		{ WEB, "argv", "[\"/entry\",\"serve\",\"-v\"]" },
		{ WEB "command: [a, 'b c']", "argv", "[\"/entry\",\"a\",\"b c\"]" },
		{ WEB "command: a 'b c'", "argv", "[\"/entry\",\"a\",\"b c\"]" },
		{ WEB "entrypoint: /own", "argv", "[\"/own\"]" },
		{ WEB "entrypoint: [/own], command: [a]", "argv", "[\"/own\",\"a\"]" },
		{ WEB "entrypoint: [], command: [a]", "argv", "[\"a\"]" },
		{ WEB "entrypoint: null", "argv", "[\"/entry\",\"serve\",\"-v\"]" },
		{ WEB "command: []", "argv", "[\"/entry\"]" },
		{ WEB, "env", "[\"PATH=/opt/bin:/bin\",\"A=image\",\"B=image\"]" },
		{ WEB "environment: {A: own, C: 1, B: null, E: ''}", "env",
		  "[\"PATH=/opt/bin:/bin\",\"A=own\",\"C=1\",\"E=\"]" },
		{ RAW, "env",
		  "[\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\"]" },
		{ RAW "environment: {PATH: /x}", "env", "[\"PATH=/x\"]" },
		{ WEB, "user", "\"app:app\"" },
		{ WEB "user: '0'", "user", "\"0\"" },
		{ WEB, "cwd", "\"/srv\"" },
		{ WEB "working_dir: /w", "cwd", "\"/w\"" },
		{ WEB, "stop_signal", "3" },
		{ WEB "stop_signal: RTMIN+3", "stop_signal", "37" },
		{ RAW, "stop_signal", "-" },
		{ RAW "stop_grace_period: 1m30s", "stop_grace", "90000000000" },
		{ RAW "hostname: h", "hostname", "\"h\"" },
		{ RAW "init: true", "init", "true" },
		{ RAW "tty: true", "tty", "true" },
		{ RAW "group_add: [1, wheel]", "group_add", "[\"1\",\"wheel\"]" },
	};

	CHECK(*state, wishes);
}

static void test_health(void **state)
{
	static const struct wish wishes[] = {
		{ WEB, "health",
		  "{\"test\":[\"CMD\",\"ok\"],\"interval\":5000000000,\"retries\":7}" },
		{ WEB "healthcheck: {disable: true}", "health", "{\"test\":[\"NONE\"]}" },
		{ WEB "healthcheck: {test: NONE}", "health",
		  "{\"test\":[\"CMD-SHELL\",\"NONE\"],\"interval\":5000000000,\"retries\":7}" },
		{ WEB "healthcheck: {test: curl x, interval: 1m, timeout: 2s, retries: 2, "
		      "start_period: 3s, start_interval: 500ms}",
		  "health",
		  "{\"test\":[\"CMD-SHELL\",\"curl "
		  "x\"],\"interval\":60000000000,\"timeout\":2000000000,\"start_period\":"
		  "3000000000,\"start_interval\":500000000,\"retries\":2}" },
		{ WEB "healthcheck: {interval: 9s}", "health",
		  "{\"test\":[\"CMD\",\"ok\"],\"interval\":9000000000,\"retries\":7}" },
		{ RAW "healthcheck: {test: [CMD, a]}", "health", "{\"test\":[\"CMD\",\"a\"]}" },
		{ RAW, "health", "{}" },
	};

	CHECK(*state, wishes);
}

static void test_restart(void **state)
{
	static const struct wish wishes[] = {
		{ RAW, "restart", "{\"mode\":\"no\"}" },
		{ RAW "restart: always", "restart", "{\"mode\":\"always\"}" },
		{ RAW "restart: unless-stopped", "restart", "{\"mode\":\"unless-stopped\"}" },
		{ RAW "restart: on-failure", "restart", "{\"mode\":\"on-failure\"}" },
		{ RAW "restart: 'on-failure:4'", "restart",
		  "{\"mode\":\"on-failure\",\"max_attempts\":4}" },
		{ RAW "restart: 'no'", "restart", "{\"mode\":\"no\"}" },
		{ RAW "restart: always, deploy: {restart_policy: {condition: on-failure, "
		      "max_attempts: 3, delay: 5s, window: 2m}}",
		  "restart",
		  "{\"mode\":\"on-failure\",\"max_attempts\":3,\"delay\":5000000000,\"window\":"
		  "120000000000}" },
		{ RAW "deploy: {restart_policy: {condition: none}}", "restart",
		  "{\"mode\":\"no\"}" },
		{ RAW "deploy: {restart_policy: {}}", "restart", "{\"mode\":\"always\"}" },
	};

	CHECK(*state, wishes);
}

static void test_ports(void **state)
{
	static const struct wish wishes[] = {
		{ RAW "ports: ['8000:80']", "ports",
		  "[{\"host_first\":8000,\"host_last\":8000,\"container_port\":80,\"protocol\":"
		  "\"tcp\"}]" },
		{ RAW "ports: ['80']", "ports", "[{\"container_port\":80,\"protocol\":\"tcp\"}]" },
		{ RAW "ports: ['127.0.0.1:53:53/udp', '[::1]:81:80']", "ports",
		  "[{\"host_ip\":\"127.0.0.1\",\"host_first\":53,\"host_last\":53,\"container_"
		  "port\":53,\"protocol\":\"udp\"},{\"host_ip\":\"::1\",\"host_first\":81,\"host_"
		  "last\":81,\"container_port\":80,\"protocol\":\"tcp\"}]" },
		{ RAW "ports: ['9000-9001:80-81']", "ports",
		  "[{\"host_first\":9000,\"host_last\":9000,\"container_port\":80,\"protocol\":"
		  "\"tcp\"},{\"host_first\":9001,\"host_last\":9001,\"container_port\":81,"
		  "\"protocol\":\"tcp\"}]" },
		{ RAW "ports: ['9000-9010:80']", "ports",
		  "[{\"host_first\":9000,\"host_last\":9010,\"container_port\":80,\"protocol\":"
		  "\"tcp\"}]" },
		{ RAW "ports: [{target: 80, published: '8080-8090', host_ip: 10.0.0.1}]", "ports",
		  "[{\"host_ip\":\"10.0.0.1\",\"host_first\":8080,\"host_last\":8090,\"container_"
		  "port\":80,\"protocol\":\"tcp\"}]" },
		{ RAW "expose: ['80', '90/udp']", "expose", "[\"80\",\"90/udp\"]" },
	};

	CHECK(*state, wishes);
}

static void test_mounts(void **state)
{
	static const struct wish wishes[] = {
		{ RAW "volumes: ['data:/d', 'named:/n:ro', './src:/s', '/etc:/e:ro,rslave']",
		  "mounts",
		  "[{\"type\":\"volume\",\"source\":\"DIR/root/volumes/t_data/"
		  "_data\",\"volume\":\"t_data\",\"target\":\"/"
		  "d\"},{\"type\":\"volume\",\"source\":\"DIR/root/volumes/other/"
		  "_data\",\"volume\":\"other\",\"target\":\"/"
		  "n\",\"read_only\":true},{\"type\":\"bind\",\"source\":\"DIR/src\",\"target\":\"/"
		  "s\",\"create_source\":true},{\"type\":\"bind\",\"source\":\"/"
		  "etc\",\"target\":\"/"
		  "e\",\"read_only\":true,\"create_source\":true,\"propagation\":\"rslave\"}]" },
		{ RAW "volumes: [/anon, {type: volume, target: /b}]", "mounts",
		  "[{\"type\":\"volume\",\"target\":\"/"
		  "anon\",\"anonymous\":true},{\"type\":\"volume\",\"target\":\"/"
		  "b\",\"anonymous\":true}]" },
		{ RAW "volumes: [{type: volume, source: data, target: /d, volume: {nocopy: true, "
		      "subpath: s}}]",
		  "mounts",
		  "[{\"type\":\"volume\",\"source\":\"DIR/root/volumes/t_data/"
		  "_data\",\"volume\":\"t_data\",\"target\":\"/"
		  "d\",\"nocopy\":true,\"subpath\":\"s\"}]" },
		{ RAW "volumes: [{type: bind, source: ./x, target: /x, bind: {create_host_path: "
		      "false, propagation: shared}}]",
		  "mounts",
		  "[{\"type\":\"bind\",\"source\":\"DIR/x\",\"target\":\"/"
		  "x\",\"propagation\":\"shared\"}]" },
		{ RAW "volumes: [{type: tmpfs, target: /t, tmpfs: {size: 1m, mode: 0700}}]",
		  "mounts",
		  "[{\"type\":\"tmpfs\",\"target\":\"/"
		  "t\",\"tmpfs_size\":1048576,\"tmpfs_mode\":448}]" },
		{ RAW "tmpfs: [/run, '/tmp:size=64m,noexec']", "mounts",
		  "[{\"type\":\"tmpfs\",\"target\":\"/run\"},{\"type\":\"tmpfs\",\"target\":\"/"
		  "tmp\",\"tmpfs_options\":\"size=64m,noexec\"}]" },
		{ RAW "tmpfs: /one", "mounts", "[{\"type\":\"tmpfs\",\"target\":\"/one\"}]" },
		/* The image's own volumes, but for those that the service mounts something on. */
		{ WEB "volumes: ['data:/data/'], tmpfs: /cache", "mounts",
		  "[{\"type\":\"volume\",\"source\":\"DIR/root/volumes/t_data/"
		  "_data\",\"volume\":\"t_data\",\"target\":\"/"
		  "data\"},{\"type\":\"tmpfs\",\"target\":\"/cache\"}]" },
		{ WEB, "mounts",
		  "[{\"type\":\"volume\",\"target\":\"/"
		  "data\",\"anonymous\":true},{\"type\":\"volume\",\"target\":\"/"
		  "cache\",\"anonymous\":true}]" },
		{ RAW "shm_size: 1g", "shm_size", "1073741824" },
		{ RAW "read_only: true", "read_only", "true" },
	};

	CHECK(*state, wishes);
}

static void test_networks(void **state)
{
	static const struct wish wishes[] = {
		{ RAW, "networks", "[{\"network\":\"t_default\"}]" },
		{ RAW "networks: [back, front]", "networks",
		  "[{\"network\":\"shared\"},{\"network\":\"t_back\"}]" },
		{ RAW "networks: {back: {aliases: [b, c], ipv4_address: 10.9.0.5}, front: "
		      "{priority: 5, gw_priority: 1, mac_address: '02:00:00:00:00:01'}}",
		  "networks",
		  "[{\"network\":\"shared\",\"mac\":\"02:00:00:00:00:01\",\"priority\":5,\"gw_"
		  "priority\":1},{\"network\":\"t_back\",\"aliases\":[\"b\",\"c\"],\"ipv4\":\"10.9."
		  "0.5\"}]" },
		{ RAW "mac_address: '02:00:00:00:00:02', networks: [back]", "networks",
		  "[{\"network\":\"t_back\",\"mac\":\"02:00:00:00:00:02\"}]" },
		{ RAW "network_mode: host", "net", "{\"mode\":\"host\"}" },
		{ RAW "network_mode: host", "networks", "-" },
		{ RAW "network_mode: none", "net", "{\"mode\":\"none\"}" },
		{ RAW "network_mode: 'service:db'", "net",
		  "{\"mode\":\"container\",\"container\":\"service:db\"}" },
		{ RAW "network_mode: 'container:abc'", "net",
		  "{\"mode\":\"container\",\"container\":\"container:abc\"}" },
		{ RAW "network_mode: bridge", "networks", "[{\"network\":\"t_default\"}]" },
		{ RAW "pid: host, ipc: 'service:db', uts: host, cgroup: private, userns_mode: host",
		  "ipc", "{\"mode\":\"container\",\"container\":\"service:db\"}" },
		{ RAW "pid: host", "pid", "{\"mode\":\"host\"}" },
		{ RAW "ipc: shareable", "ipc", "{\"mode\":\"private\"}" },
		{ RAW "extra_hosts: ['b:10.0.0.2', 'a=::1']", "extra_hosts",
		  "[\"a=::1\",\"b=10.0.0.2\"]" },
		{ RAW "dns: 1.1.1.1", "dns", "[\"1.1.1.1\"]" },
		{ RAW "dns_search: [a.b], dns_opt: [ndots:1]", "dns_opt", "[\"ndots:1\"]" },
		{ RAW "links: ['db:database', db], external_links: ['x:y']", "links",
		  "[\"db:database\",\"db\",\"x:y\"]" },
	};

	CHECK(*state, wishes);
}

static void test_limits(void **state)
{
	static const struct wish wishes[] = {
		{ RAW "mem_limit: 64m, cpus: 0.5, pids_limit: 10", "resources",
		  "{\"memory\":67108864,\"nano_cpus\":500000000,\"pids\":10}" },
		{ RAW "mem_limit: 64m, deploy: {resources: {limits: {memory: 64m, cpus: '1.5', "
		      "pids: 7}, reservations: {memory: 10m}}}",
		  "resources",
		  "{\"memory\":67108864,\"memory_reservation\":10485760,\"nano_cpus\":1500000000,"
		  "\"pids\":7}" },
		{ RAW "mem_reservation: 1m, memswap_limit: -1, cpu_shares: 5, cpu_quota: 1000, "
		      "cpu_period: 2000, cpuset: '0,1', mem_swappiness: 0, oom_kill_disable: true",
		  "resources",
		  "{\"memory_reservation\":1048576,\"memory_swap\":-1,\"cpu_shares\":5,\"cpu_"
		  "quota\":1000,\"cpu_period\":2000,\"cpuset\":\"0,1\",\"memory_swappiness\":0,"
		  "\"oom_kill_disable\":true}" },
		{ RAW, "resources", "{}" },
		{ RAW "ulimits: {nofile: {soft: 1, hard: 2}, nproc: 5, core: -1}", "ulimits",
		  "[{\"name\":\"nofile\",\"soft\":1,\"hard\":2},{\"name\":\"nproc\",\"soft\":5,"
		  "\"hard\":5},{\"name\":\"core\",\"soft\":-1,\"hard\":-1}]" },
		{ RAW "oom_score_adj: -5", "oom_score_adj", "-5" },
		{ RAW "sysctls: {net.core.somaxconn: 5}", "sysctls", "[\"net.core.somaxconn=5\"]" },
		{ RAW "cgroup_parent: /x", "cgroup_parent", "\"/x\"" },
	};

	CHECK(*state, wishes);
}

static void test_security(void **state)
{
	static const struct wish wishes[] = {
		{ RAW "cap_add: [NET_ADMIN], cap_drop: [ALL]", "cap_drop", "[\"ALL\"]" },
		{ RAW "privileged: true", "privileged", "true" },
		{ RAW "security_opt: ['no-new-privileges:true', 'label:disable']",
		  "no_new_privileges", "true" },
		{ RAW "security_opt: ['seccomp:unconfined']", "seccomp_unconfined", "true" },
		{ RAW "security_opt: ['seccomp=./prof.json']", "seccomp_profile", "\"{}\"" },
		{ RAW "security_opt: ['systempaths=unconfined']", "systempaths_unconfined",
		  "true" },
		{ RAW "devices: ['/dev/fuse', '/dev/a:/dev/b:r']", "devices",
		  "[{\"source\":\"/dev/fuse\",\"target\":\"/dev/"
		  "fuse\",\"permissions\":\"rwm\"},{\"source\":\"/dev/a\",\"target\":\"/dev/"
		  "b\",\"permissions\":\"r\"}]" },
		{ RAW "device_cgroup_rules: ['c 1:3 r']", "device_cgroup_rules", "[\"c 1:3 r\"]" },
	};
	struct bench *b = *state;

	folder_write(&b->f, "prof.json", "{}");
	CHECK(b, wishes);
}

static void test_labels_and_log(void **state)
{
	static const struct wish wishes[] = {
		{ RAW "logging: {driver: json-file, options: {max-size: 10m, max-file: '3'}}",
		  "log", "{\"driver\":\"json-file\",\"max_size\":10485760,\"max_file\":3}" },
		{ RAW "logging: {driver: none}", "log", "{\"driver\":\"none\"}" },
		{ RAW "annotations: {a: b}", "annotations", "[\"a=b\"]" },
		{ RAW "container_name: mine", "name", "\"mine\"" },
		{ RAW, "name", "-" },
		{ RAW, "image", "\"plain\"" },
	};

	CHECK(*state, wishes);
}

static char **labels_of(struct bench *b)
{
	const struct container_spec *s = map_get(&b->t->specs, "web");

	return s->labels;
}

/* What comp says of a container is said once, and neither by its image nor by the service. */
static void test_own_labels(void **state)
{
	struct bench *b = *state;
	size_t n = 0;

	need(b, "services:\n  web: {image: rich, labels: {com.docker.compose.service: other, "
		"vendor: y, own: z}}\n");
	assert_string_equal(strv_env_get(labels_of(b), "com.docker.compose.project"), "t");
	assert_string_equal(strv_env_get(labels_of(b), "com.docker.compose.service"), "web");
	assert_string_equal(strv_env_get(labels_of(b), "vendor"), "y");
	assert_string_equal(strv_env_get(labels_of(b), "own"), "z");
	STRV_FOREACH (l, labels_of(b))
		n += skip_prefix(*l, "com.docker.compose.service=") != NULL;
	assert_int_equal(n, 1);
}

static void test_files(void **state)
{
	struct bench *b = *state;
	_cleanup_(json_unrefp) json *j = NULL;

	folder_write(&b->f, "s.txt", "hush");
	need(b, "services:\n"
		"  web:\n"
		"    image: plain\n"
		"    command: x\n"
		"    secrets:\n"
		"    - plain\n"
		"    - {source: plain, target: moded, mode: 0400, uid: '5', gid: '6'}\n"
		"    - {source: env, target: /abs}\n"
		"    configs:\n"
		"    - inline\n"
		"    - {source: inline, target: /etc/i.conf, mode: 0440}\n"
		"secrets:\n"
		"  plain: {file: ./s.txt}\n"
		"  env: {environment: COMPOSE_PROJECT_NAME}\n"
		"configs:\n"
		"  inline: {content: 'hi ${COMPOSE_PROJECT_NAME}'}\n");
	j = spec_to_json(map_get(&b->t->specs, "web"));
	same(b, json_get(j, "mounts"), "secret as it is",
	     "[{\"type\":\"bind\",\"source\":\"DIR/s.txt\",\"target\":\"/run/secrets/"
	     "plain\",\"read_only\":true}]");
	same(b, json_get(j, "files"), "written files",
	     "[{\"target\":\"/run/secrets/"
	     "moded\",\"content\":\"aHVzaA==\",\"uid\":5,\"gid\":6,\"mode\":256},{\"target\":\"/"
	     "abs\",\"content\":\"dA==\",\"mode\":292},{\"target\":\"/"
	     "inline\",\"content\":\"aGkgdA==\",\"mode\":292},{\"target\":\"/etc/"
	     "i.conf\",\"content\":\"aGkgdA==\",\"mode\":288}]");
}

static void test_resources(void **state)
{
	struct bench *b = *state;

	need(b, "services:\n"
		"  web: {image: plain, command: x, networks: [back], volumes: ['data:/d', /anon]}\n"
		"  lone: {image: plain, command: x, network_mode: host}\n"
		"networks:\n"
		"  back: {internal: true, enable_ipv6: true, driver_opts: {a: b}, labels: {l: m},\n"
		"    ipam: {config: [{subnet: 10.9.0.0/24, gateway: 10.9.0.1, ip_range: "
		"10.9.0.128/25, aux_addresses: {h: 10.9.0.2}}]}}\n"
		"  unused: {}\n"
		"volumes:\n"
		"  data: {driver_opts: {type: tmpfs}, labels: [k=v]}\n");
	assert_int_equal(map_len(&b->t->networks), 1);
	assert_int_equal(map_len(&b->t->volumes), 1);
	same(b, map_get(&b->t->networks, "t_back"), "network",
	     "{\"name\":\"t_back\",\"project\":\"t\",\"internal\":true,\"enable_ipv4\":true,"
	     "\"enable_ipv6\":true,\"ipam\":[{\"subnet\":\"10.9.0.0/"
	     "24\",\"gateway\":\"10.9.0.1\",\"ip_range\":\"10.9.0.128/"
	     "25\",\"aux\":[\"h=10.9.0.2\"]}],\"labels\":[\"l=m\",\"com.docker.compose.project=t\","
	     "\"com.docker.compose.network=back\"],\"driver_opts\":[\"a=b\"]}");
	same(b, map_get(&b->t->volumes, "t_data"), "volume",
	     "{\"name\":\"t_data\",\"project\":\"t\",\"options\":[\"type=tmpfs\"],\"labels\":[\"k="
	     "v\",\"com.docker.compose.project=t\",\"com.docker.compose.volume=data\"]}");
}

static void test_refused(void **state)
{
	static const struct {
		const char *yaml, *why;
		int code;
	} cases[] = {
		{ "services:\n  web: {image: plain}\n",
		  "services.web: no command specified: neither the service nor its image says what "
		  "to run",
		  EINVAL },
		{ "services:\n  web: {image: rich, entrypoint: []}\n",
		  "services.web: no command specified: neither the service nor its image says what "
		  "to run",
		  EINVAL },
		{ "services:\n  web: {image: nope}\n  b: {image: nope2}\n",
		  "services.b.image: no such image: nope2", ENOENT },
		{ "services:\n  web: {image: rich, restart: sometimes}\n",
		  "services.web.restart: invalid restart policy: unknown policy 'sometimes'; use "
		  "one of 'no', 'always', 'on-failure', or 'unless-stopped'",
		  EINVAL },
		{ "services:\n  web: {image: rich, restart: 'on-failure:x'}\n",
		  "services.web.restart: invalid restart policy: maximum retry count must be an "
		  "integer: on-failure:x",
		  EINVAL },
		{ "services:\n  web: {image: rich, stop_signal: SIGNOPE}\n",
		  "services.web.stop_signal: invalid signal: SIGNOPE", EINVAL },
		{ "services:\n  web: {image: rich, ports: ['80/sctp']}\n",
		  "services.web.ports: protocol sctp is not supported", ENOTSUP },
		{ "services:\n  web: {image: rich, ports: [{target: 80, published: '9-8'}]}\n",
		  "services.web.ports: invalid port", EINVAL },
		{ "services:\n  web: {image: rich, ports: [{target: 70000}]}\n",
		  "services.web.ports: invalid port", EINVAL },
		{ "services:\n  web: {image: rich, network_mode: elsewhere}\n",
		  "services.web.network_mode: \"elsewhere\" is not supported; use one of 'bridge', "
		  "'host', 'none', 'service:NAME' or 'container:NAME'",
		  ENOTSUP },
		{ "services:\n  web: {image: rich, security_opt: ['nonsense']}\n",
		  "invalid security-opt: \"nonsense\"", EINVAL },
		{ "services:\n  web: {image: rich, security_opt: ['seccomp=gone.json']}\n",
		  "services.web.security_opt: open DIR/gone.json: No such file or directory",
		  ENOENT },
		{ "services:\n  web: {image: rich, networks: [n]}\nnetworks: {n: {external: "
		  "true}}\n",
		  "network n declared as external, but could not be found", ENOENT },
		{ "services:\n  web: {image: rich, networks: [n]}\nnetworks: {n: {driver: "
		  "macvlan}}\n",
		  "networks.n.driver: \"macvlan\" is not supported, only bridge is", ENOTSUP },
		{ "services:\n  web: {image: rich, volumes: ['vol:/v']}\nvolumes: {vol: {external: "
		  "true}}\n",
		  "external volume \"vol\" not found", ENOENT },
		{ "services:\n  web: {image: rich, secrets: [s]}\nsecrets: {s: {external: true}}\n",
		  "unsupported external secret s", ENOTSUP },
		{ "services:\n  web: {image: rich, secrets: [s]}\nsecrets: {s: {environment: "
		  "NOT_SET}}\n",
		  "environment variable \"NOT_SET\" required by secret \"s\" is not set", EINVAL },
		{ "services:\n  web: {image: rich, secrets: [{source: s, mode: 0400}]}\nsecrets: "
		  "{s: {file: ./gone}}\n",
		  "services.web: open DIR/gone: No such file or directory", ENOENT },
	};
	struct bench *b = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(free_p) char *why = NULL;
		int r = translate(b, cases[i].yaml);

		why = without_folder(b, b->f.diag.n ? b->f.diag.errs[0].msg : "-");
		if (r != -cases[i].code || !streq(why, cases[i].why))
			fail_msg("%sended with %d %s", cases[i].yaml, r, why);
		assert_null(b->t);
	}
}

static void put_file(const struct bench *b, const char *name, const char *text)
{
	_cleanup_(free_p) char *path = path_join(b->dirs.root, name), *dir = path_dir(path);

	assert_int_equal(mkdir_p(AT_FDCWD, dir, 0700, NULL), 0);
	assert_int_equal(file_write_atomic(AT_FDCWD, path, text, strlen(text), 0600, false, NULL),
			 0);
}

/* What other projects made, and what nobody knows of. */
static void others_resources(const struct bench *b)
{
	_cleanup_(free_p) char *volumes = dirs_volumes(&b->dirs);
	_cleanup_(volume_freep) struct volume *v = volume_new("vol"), *hand = volume_new("hand");
	struct ipam_used none = { 0 };
	struct network_host host = { .used = &none, .mtu = 1500 };

	v->project = xstrdup("other");
	assert_int_equal(volume_ensure(volumes, v, NULL, NULL), 1);
	assert_int_equal(volume_ensure(volumes, hand, NULL, NULL), 1);
	for (int i = 0; i < 2; i++) {
		_cleanup_(network_config_freep) struct network_config *c = network_config_new();
		_cleanup_(network_freep) struct network *n = NULL;
		_cleanup_(json_unrefp) json *j = NULL;
		_cleanup_(free_p) char *file = NULL;

		c->name = xstrdup(i ? "byhand" : "net");
		c->project = i ? NULL : xstrdup("other");
		if (i == 0)
			strv_add(&c->labels, "com.docker.compose.network=theirs");
		assert_int_equal(network_plan(c, &host, &n, NULL), 0);
		j = network_to_json(n);
		file = xasprintf("networks/%s/network.json", c->name);
		put_file(b, file, json_text(j));
	}
	put_file(b, "projects/other/containers/0123456789abcdef/state.json", "{}");
	assert_int_equal(names_claim(&b->dirs, "mine", "other", "0123456789abcdef", NULL), 0);
}

static void test_of_others(void **state)
{
	static const struct {
		const char *yaml, *says;
		int r;
	} cases[] = {
		{ "services:\n  web: {image: rich, container_name: mine}\n",
		  "services.web: container name \"mine\" is already in use by container "
		  "0123456789ab of project \"other\"",
		  -EEXIST },
		{ "services:\n  web: {image: rich, container_name: yours}\n", "-", 0 },
		{ "services:\n  web: {image: rich, volumes: ['data:/v']}\nvolumes: {data: {name: "
		  "vol}}\n",
		  "volume \"vol\" already exists but was created for project \"other\" (expected "
		  "\"t\"). Use `external: true` to use an existing volume",
		  0 },
		{ "services:\n  web: {image: rich, volumes: ['data:/v']}\nvolumes: {data: {name: "
		  "vol, "
		  "external: true}}\n",
		  "-", 0 },
		{ "services:\n  web: {image: rich, volumes: ['data:/v']}\nvolumes: {data: {name: "
		  "hand}}\n",
		  "volume \"hand\" already exists but was not created by compose. Use `external: "
		  "true` to use an existing volume",
		  0 },
		{ "services:\n  web: {image: rich, networks: [theirs]}\nnetworks: {theirs: {name: "
		  "net}}\n",
		  "a network with name net exists but was not created for project \"t\": it was "
		  "created for project \"other\". Set `external: true` to use an existing network",
		  0 },
		{ "services:\n  web: {image: rich, networks: [n]}\nnetworks: {n: {name: net}}\n",
		  "network net was found but has incorrect label com.docker.compose.network set to "
		  "\"theirs\" (expected: \"n\"): it was created for project \"other\"",
		  -EEXIST },
		{ "services:\n  web: {image: rich, networks: [n]}\nnetworks: {n: {name: net, "
		  "external: true}}\n",
		  "-", 0 },
		{ "services:\n  web: {image: rich, networks: [n]}\nnetworks: {n: {name: byhand}}\n",
		  "a network with name byhand exists but was not created by compose. Set "
		  "`external: true` to use an existing network",
		  0 },
	};
	struct bench *b = *state;

	others_resources(b);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int r = translate(b, cases[i].yaml);
		const struct diag *g = &b->f.diag;
		const char *says = g->n ? g->errs[0].msg : g->n_warns ? g->warns[0].msg : "-";

		if (r != cases[i].r || !streq(says, cases[i].says))
			fail_msg("%sended with %d %s", cases[i].yaml, r, says);
	}
}

static void test_replica(void **state)
{
	struct bench *b = *state;
	_cleanup_(spec_freep) struct container_spec *first = NULL, *second = NULL, *third = NULL;
	_cleanup_(free_p) char *dir = NULL;
	_cleanup_(json_unrefp) json *j = NULL;
	struct record old = { .project = (char *)"t" };

	need(b, "services:\n  web: {image: rich, volumes: ['data:/d']}\nvolumes: {data: {}}\n");
	first = translation_spec(b->t, "web", 2, NULL, false);
	assert_string_equal(first->name, "t-web-2");
	assert_int_equal(first->number, 2);
	assert_int_equal(strlen(first->id), CONTAINER_ID_LEN);
	assert_int_equal(first->n_mounts, 3);
	assert_string_equal(strv_env_get(first->labels, "com.docker.compose.container-number"),
			    "2");
	assert_memory_equal(strv_env_get(first->env, "HOSTNAME"), first->id, 12);
	assert_int_equal(strlen(strv_env_get(first->env, "HOSTNAME")), 12);

	/* The next one takes over the anonymous volumes, unless they shall be new. */
	old.id = first->id;
	dir = dirs_container(&b->dirs, "t", first->id);
	assert_int_equal(mkdir_p(AT_FDCWD, dir, 0700, NULL), 0);
	j = spec_to_json(first);
	{
		_cleanup_(free_p) char *path = path_join(dir, "spec.json");

		assert_int_equal(file_write_atomic(AT_FDCWD, path, json_text(j),
						   strlen(json_text(j)), 0600, false, NULL),
				 0);
	}
	second = translation_spec(b->t, "web", 2, &old, false);
	third = translation_spec(b->t, "web", 2, &old, true);
	assert_string_not_equal(second->id, first->id);
	for (size_t i = 0; i < 3; i++) {
		assert_string_equal(second->mounts[i].source, first->mounts[i].source);
		if (first->mounts[i].anonymous)
			assert_string_not_equal(third->mounts[i].volume, first->mounts[i].volume);
	}
	assert_string_equal(first->mounts[0].volume, "t_data");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_process, bench_make, bench_done),
		cmocka_unit_test_setup_teardown(test_health, bench_make, bench_done),
		cmocka_unit_test_setup_teardown(test_restart, bench_make, bench_done),
		cmocka_unit_test_setup_teardown(test_ports, bench_make, bench_done),
		cmocka_unit_test_setup_teardown(test_mounts, bench_make, bench_done),
		cmocka_unit_test_setup_teardown(test_networks, bench_make, bench_done),
		cmocka_unit_test_setup_teardown(test_limits, bench_make, bench_done),
		cmocka_unit_test_setup_teardown(test_security, bench_make, bench_done),
		cmocka_unit_test_setup_teardown(test_labels_and_log, bench_make, bench_done),
		cmocka_unit_test_setup_teardown(test_own_labels, bench_make, bench_done),
		cmocka_unit_test_setup_teardown(test_files, bench_make, bench_done),
		cmocka_unit_test_setup_teardown(test_resources, bench_make, bench_done),
		cmocka_unit_test_setup_teardown(test_refused, bench_make, bench_done),
		cmocka_unit_test_setup_teardown(test_of_others, bench_make, bench_done),
		cmocka_unit_test_setup_teardown(test_replica, bench_make, bench_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
