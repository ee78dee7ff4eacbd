/* engine/container/spec.c: see spec.h.
 *
 * One table per struct names each field with its kind and offset; freeing,
 * copying, writing and reading are four walks over the same tables, so a field
 * is added in two places: the header and its row here.  Fields at their default are
 * left out of the JSON, which is why files written before a field existed read
 * the same as files that do not set it.
 */
#include "engine/container/spec.h"

#include <assert.h>
#include <stddef.h>

#include "base/path.h"
#include "base/strv.h"

enum kind {
	K_STR,
	K_STRV,
	K_BOOL,
	K_INT,
	K_I64,
	K_U64,
	K_U32,
	K_U16,
	K_ENUM,   /* int, stored by name */
	K_BLOB,   /* char * with a uint64_t size beside it; stored as base64 */
	K_STRUCT, /* embedded */
	K_ARRAY,  /* pointer to structs with a size_t count beside it */
};

struct table;

struct field {
	const char *name;
	enum kind kind;
	size_t at, count_at; /* offsets; the second for K_BLOB and K_ARRAY */
	const struct table *sub;
	const char *const *names; /* K_ENUM, NULL-terminated */
};

struct table {
	size_t size;
	const struct field *fields; /* ends with a NULL name */
	void (*defaults)(void *);
};

/* clang-format off */
/* (It takes the stringified names for preprocessor directives.) */
#define FIELD(T, k, f)		{ #f, k, offsetof(struct T, f) }
#define FIELD_ENUM(T, f, n)	{ #f, K_ENUM, offsetof(struct T, f), .names = n }
#define FIELD_STRUCT(T, f, t)	{ #f, K_STRUCT, offsetof(struct T, f), .sub = &t }
#define FIELD_ARRAY(T, f, c, t)	{ #f, K_ARRAY, offsetof(struct T, f), offsetof(struct T, c), &t }
/* clang-format on */

static const char *const mount_types[] = { "bind", "volume", "tmpfs", NULL };
static const char *const restart_modes[] = { "no", "always", "on-failure", "unless-stopped", NULL };
static const char *const namespace_modes[] = { "private", "host", "none", "container", NULL };

static_assert(ARRAY_SIZE(mount_types) == MOUNT_TMPFS + 2, "a name for each enum mount_type");
static_assert(ARRAY_SIZE(restart_modes) == RESTART_UNLESS_STOPPED + 2, "… enum restart_mode");
static_assert(ARRAY_SIZE(namespace_modes) == NAMESPACE_CONTAINER + 2, "… enum namespace_mode");

static const struct table mount_table = { sizeof(struct mount_spec),
					  (const struct field[]){
						  FIELD_ENUM(mount_spec, type, mount_types),
						  FIELD(mount_spec, K_STR, source),
						  FIELD(mount_spec, K_STR, volume),
						  FIELD(mount_spec, K_STR, target),
						  FIELD(mount_spec, K_BOOL, read_only),
						  FIELD(mount_spec, K_BOOL, nocopy),
						  FIELD(mount_spec, K_BOOL, create_source),
						  FIELD(mount_spec, K_BOOL, anonymous),
						  FIELD(mount_spec, K_STR, subpath),
						  FIELD(mount_spec, K_STR, propagation),
						  FIELD(mount_spec, K_U64, tmpfs_size),
						  FIELD(mount_spec, K_U32, tmpfs_mode),
						  FIELD(mount_spec, K_STR, tmpfs_options),
						  { NULL },
					  } };

static const struct table file_table = { sizeof(struct file_spec),
					 (const struct field[]){
						 FIELD(file_spec, K_STR, target),
						 { "content", K_BLOB,
						   offsetof(struct file_spec, content),
						   offsetof(struct file_spec, size) },
						 FIELD(file_spec, K_U32, uid),
						 FIELD(file_spec, K_U32, gid),
						 FIELD(file_spec, K_U32, mode),
						 { NULL },
					 } };

static const struct table network_table = { sizeof(struct network_spec),
					    (const struct field[]){
						    FIELD(network_spec, K_STR, network),
						    FIELD(network_spec, K_STRV, aliases),
						    FIELD(network_spec, K_STR, ipv4),
						    FIELD(network_spec, K_STR, ipv6),
						    FIELD(network_spec, K_STR, mac),
						    FIELD(network_spec, K_STR, interface),
						    FIELD(network_spec, K_INT, priority),
						    FIELD(network_spec, K_INT, gw_priority),
						    { NULL },
					    } };

static const struct table port_table = { sizeof(struct port_spec),
					 (const struct field[]){
						 FIELD(port_spec, K_STR, host_ip),
						 FIELD(port_spec, K_U16, host_first),
						 FIELD(port_spec, K_U16, host_last),
						 FIELD(port_spec, K_U16, container_port),
						 FIELD(port_spec, K_STR, protocol),
						 { NULL },
					 } };

static const struct table ulimit_table = { sizeof(struct ulimit_spec),
					   (const struct field[]){
						   FIELD(ulimit_spec, K_STR, name),
						   FIELD(ulimit_spec, K_I64, soft),
						   FIELD(ulimit_spec, K_I64, hard),
						   { NULL },
					   } };

static const struct table device_table = { sizeof(struct device_spec),
					   (const struct field[]){
						   FIELD(device_spec, K_STR, source),
						   FIELD(device_spec, K_STR, target),
						   FIELD(device_spec, K_STR, permissions),
						   { NULL },
					   } };

static void resources_defaults(void *p)
{
	((struct resources_spec *)p)->memory_swappiness = -1;
}

static const struct table resources_table = {
	sizeof(struct resources_spec),
	(const struct field[]){
		FIELD(resources_spec, K_I64, memory),
		FIELD(resources_spec, K_I64, memory_reservation),
		FIELD(resources_spec, K_I64, memory_swap),
		FIELD(resources_spec, K_I64, nano_cpus),
		FIELD(resources_spec, K_I64, cpu_shares),
		FIELD(resources_spec, K_I64, cpu_quota),
		FIELD(resources_spec, K_I64, cpu_period),
		FIELD(resources_spec, K_STR, cpuset),
		FIELD(resources_spec, K_I64, pids),
		FIELD(resources_spec, K_I64, memory_swappiness),
		FIELD(resources_spec, K_BOOL, oom_kill_disable),
		{ NULL },
	},
	resources_defaults
};

static const struct table restart_table = { sizeof(struct restart_spec),
					    (const struct field[]){
						    FIELD_ENUM(restart_spec, mode, restart_modes),
						    FIELD(restart_spec, K_I64, max_attempts),
						    FIELD(restart_spec, K_U64, delay),
						    FIELD(restart_spec, K_U64, window),
						    { NULL },
					    } };

static const struct table health_table = { sizeof(struct health_spec),
					   (const struct field[]){
						   FIELD(health_spec, K_STRV, test),
						   FIELD(health_spec, K_U64, interval),
						   FIELD(health_spec, K_U64, timeout),
						   FIELD(health_spec, K_U64, start_period),
						   FIELD(health_spec, K_U64, start_interval),
						   FIELD(health_spec, K_I64, retries),
						   FIELD(health_spec, K_BOOL, restart_unhealthy),
						   { NULL },
					   } };

static const struct table hook_table = { sizeof(struct hook_spec),
					 (const struct field[]){
						 FIELD(hook_spec, K_STRV, argv),
						 FIELD(hook_spec, K_STRV, env),
						 FIELD(hook_spec, K_STR, user),
						 FIELD(hook_spec, K_STR, cwd),
						 FIELD(hook_spec, K_BOOL, privileged),
						 { NULL },
					 } };

static const struct table log_table = { sizeof(struct log_spec),
					(const struct field[]){
						FIELD(log_spec, K_STR, driver),
						FIELD(log_spec, K_U64, max_size),
						FIELD(log_spec, K_I64, max_file),
						{ NULL },
					} };

static const struct table namespace_table = { sizeof(struct namespace_spec),
					      (const struct field[]){
						      FIELD_ENUM(namespace_spec, mode,
								 namespace_modes),
						      FIELD(namespace_spec, K_STR, container),
						      { NULL },
					      } };

static void container_defaults(void *p)
{
	((struct container_spec *)p)->stop_grace = UINT64_MAX;
}

#define C(kind, field) FIELD(container_spec, kind, field)

static const struct table container_table = {
	sizeof(struct container_spec),
	(const struct field[]){
		C(K_STR, id),
		C(K_STR, name),
		C(K_STR, project),
		C(K_STR, service),
		C(K_INT, number),
		C(K_BOOL, oneoff),
		C(K_INT, pre_start),
		C(K_STR, config_hash),
		C(K_U64, created),
		C(K_STR, image),
		C(K_STR, image_id),
		C(K_STRV, layers),
		C(K_STRV, argv),
		C(K_STRV, env),
		C(K_STR, cwd),
		C(K_STR, user),
		C(K_STRV, group_add),
		C(K_STR, hostname),
		C(K_STR, domainname),
		C(K_BOOL, tty),
		C(K_BOOL, stdin_open),
		C(K_BOOL, init),
		C(K_BOOL, privileged),
		C(K_BOOL, read_only),
		C(K_BOOL, no_new_privileges),
		C(K_BOOL, seccomp_unconfined),
		C(K_BOOL, systempaths_unconfined),
		C(K_STR, seccomp_profile),
		C(K_STRV, cap_add),
		C(K_STRV, cap_drop),
		FIELD_ARRAY(container_spec, devices, n_devices, device_table),
		C(K_STRV, device_cgroup_rules),
		FIELD_ARRAY(container_spec, mounts, n_mounts, mount_table),
		FIELD_ARRAY(container_spec, files, n_files, file_table),
		C(K_U64, shm_size),
		FIELD_STRUCT(container_spec, net, namespace_table),
		FIELD_STRUCT(container_spec, pid, namespace_table),
		FIELD_STRUCT(container_spec, ipc, namespace_table),
		FIELD_STRUCT(container_spec, uts, namespace_table),
		FIELD_STRUCT(container_spec, cgroup, namespace_table),
		FIELD_STRUCT(container_spec, user_ns, namespace_table),
		FIELD_ARRAY(container_spec, networks, n_networks, network_table),
		FIELD_ARRAY(container_spec, ports, n_ports, port_table),
		C(K_STRV, expose),
		C(K_STRV, extra_hosts),
		C(K_STRV, dns),
		C(K_STRV, dns_search),
		C(K_STRV, dns_opt),
		C(K_STRV, links),
		FIELD_STRUCT(container_spec, resources, resources_table),
		FIELD_ARRAY(container_spec, ulimits, n_ulimits, ulimit_table),
		C(K_STRV, sysctls),
		C(K_INT, oom_score_adj),
		C(K_BOOL, oom_score_adj_set),
		C(K_STR, cgroup_parent),
		FIELD_STRUCT(container_spec, restart, restart_table),
		FIELD_STRUCT(container_spec, health, health_table),
		FIELD_STRUCT(container_spec, log, log_table),
		C(K_INT, stop_signal),
		C(K_U64, stop_grace),
		FIELD_ARRAY(container_spec, post_start, n_post_start, hook_table),
		FIELD_ARRAY(container_spec, pre_stop, n_pre_stop, hook_table),
		C(K_STRV, labels),
		C(K_STRV, annotations),
		{ NULL },
	},
	container_defaults
};

/* ---- base64 (RFC 4648), for content that may hold any byte ---------------------- */
static const char base64_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static char *base64_encode(const unsigned char *p, size_t n)
{
	char *out = xmalloc((n + 2) / 3 * 4 + 1), *at = out;

	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)p[i] << 16;

		if (i + 1 < n)
			v |= (uint32_t)p[i + 1] << 8;
		if (i + 2 < n)
			v |= p[i + 2];
		*at++ = base64_digits[v >> 18];
		*at++ = base64_digits[v >> 12 & 63];
		*at++ = i + 1 < n ? base64_digits[v >> 6 & 63] : '=';
		*at++ = i + 2 < n ? base64_digits[v & 63] : '=';
	}
	*at = '\0';
	return out;
}

static int base64_decode(const char *text, char **out, uint64_t *size)
{
	size_t n = strlen(text), pad = 0;
	_cleanup_(free_p) char *p = xmalloc(n / 4 * 3 + 1);
	char *at = p;

	if (n % 4)
		return -EINVAL;
	while (pad < 2 && pad < n && text[n - pad - 1] == '=')
		pad++;
	for (size_t i = 0; i < n; i += 4) {
		uint32_t v = 0;

		for (size_t j = i; j < i + 4; j++) {
			const char *digit = strchr(base64_digits, text[j]);

			if (digit)
				v = v << 6 | (uint32_t)(digit - base64_digits);
			else if (j >= n - pad)
				v <<= 6;
			else
				return -EINVAL;
		}
		*at++ = (char)(v >> 16);
		*at++ = (char)(v >> 8);
		*at++ = (char)v;
	}
	*size = (uint64_t)(at - p) - pad;
	p[*size] = '\0';
	*out = TAKE_PTR(p);
	return 0;
}

/* ---- walks ------------------------------------------------------------------------ */
#define AT(T, base, f) ((T *)((char *)(base) + (f)->at))
#define COUNT(base, f) ((size_t *)((char *)(base) + (f)->count_at))

static void *element(const struct field *f, const void *object, size_t i)
{
	return *AT(char *, object, f) + i * f->sub->size;
}

static void set_defaults(const struct table *t, void *object)
{
	if (t->defaults)
		t->defaults(object);
	for (const struct field *f = t->fields; f->name; f++)
		if (f->kind == K_STRUCT)
			set_defaults(f->sub, AT(void, object, f));
}

static void free_fields(const struct table *t, void *object)
{
	for (const struct field *f = t->fields; f->name; f++) {
		switch (f->kind) {
		case K_STR:
		case K_BLOB:
			free(*AT(char *, object, f));
			break;
		case K_STRV:
			strv_free(*AT(char **, object, f));
			break;
		case K_STRUCT:
			free_fields(f->sub, AT(void, object, f));
			break;
		case K_ARRAY:
			for (size_t i = 0; i < *COUNT(object, f); i++)
				free_fields(f->sub, element(f, object, i));
			free(*AT(void *, object, f));
			break;
		default:
			break;
		}
	}
}

/* @object holds a byte copy of another: give it pointers of its own. */
static void own_fields(const struct table *t, void *object)
{
	for (const struct field *f = t->fields; f->name; f++) {
		size_t n;

		switch (f->kind) {
		case K_STR:
			*AT(char *, object, f) = xstrdup_null(*AT(char *, object, f));
			break;
		case K_BLOB:
			n = *COUNT(object, f);
			if (*AT(char *, object, f))
				*AT(char *, object, f) = xmemdup(*AT(char *, object, f), n + 1);
			break;
		case K_STRV:
			if (*AT(char **, object, f))
				*AT(char **, object, f) = strv_copy(*AT(char **, object, f));
			break;
		case K_STRUCT:
			own_fields(f->sub, AT(void, object, f));
			break;
		case K_ARRAY:
			n = *COUNT(object, f);
			*AT(void *, object,
			    f) = n ? xmemdup(*AT(void *, object, f), n * f->sub->size) : NULL;
			for (size_t i = 0; i < n; i++)
				own_fields(f->sub, element(f, object, i));
			break;
		default:
			break;
		}
	}
}

static json *fields_to_json(const struct table *t, const void *object);

static void put_array(json *o, const struct field *f, const void *object)
{
	json *array;

	if (*COUNT(object, f) == 0)
		return;
	array = json_new_array();
	for (size_t i = 0; i < *COUNT(object, f); i++)
		json_push(array, fields_to_json(f->sub, element(f, object, i)));
	json_put(o, f->name, array);
}

static void put_field(json *o, const struct field *f, const void *object, const void *initial)
{
	switch (f->kind) {
	case K_STR:
		json_put_str(o, f->name, *AT(char *, object, f));
		break;
	case K_STRV:
		json_put_strv(o, f->name, *AT(char **, object, f));
		break;
	case K_BOOL:
		if (*AT(bool, object, f))
			json_put_bool(o, f->name, true);
		break;
	case K_INT:
		if (*AT(int, object, f))
			json_put_int(o, f->name, *AT(int, object, f));
		break;
	case K_I64:
		if (*AT(int64_t, object, f) != *AT(int64_t, initial, f))
			json_put_int(o, f->name, *AT(int64_t, object, f));
		break;
	case K_U64:
		if (*AT(uint64_t, object, f) != *AT(uint64_t, initial, f))
			json_put_u64(o, f->name, *AT(uint64_t, object, f));
		break;
	case K_U32:
		if (*AT(uint32_t, object, f))
			json_put_int(o, f->name, *AT(uint32_t, object, f));
		break;
	case K_U16:
		if (*AT(uint16_t, object, f))
			json_put_int(o, f->name, *AT(uint16_t, object, f));
		break;
	case K_ENUM:
		json_put_str(o, f->name, f->names[*AT(int, object, f)]);
		break;
	case K_BLOB:
		if (*AT(unsigned char *, object, f)) {
			_cleanup_(free_p) char *text = base64_encode(
				*AT(unsigned char *, object, f), *COUNT(object, f));

			json_put_str(o, f->name, text);
		}
		break;
	case K_STRUCT:
		json_put(o, f->name, fields_to_json(f->sub, AT(void, object, f)));
		break;
	case K_ARRAY:
		put_array(o, f, object);
		break;
	}
}

static json *fields_to_json(const struct table *t, const void *object)
{
	_cleanup_(free_p) void *initial = xcalloc(1, t->size);
	json *o = json_new_object();

	set_defaults(t, initial);
	for (const struct field *f = t->fields; f->name; f++)
		put_field(o, f, object, initial);
	return o;
}

static int fields_from_json(const struct table *t, json *o, void *object, struct err *e);

static int wrong_type(const struct field *f, struct err *e)
{
	return err_set(e, EBADMSG, "field \"%s\" has a wrong type or value", f->name);
}

static int get_enum(json *value, const struct field *f, void *object, struct err *e)
{
	const char *name = json_str(value);

	for (int i = 0; name && f->names[i]; i++)
		if (streq(f->names[i], name)) {
			*AT(int, object, f) = i;
			return 0;
		}
	return wrong_type(f, e);
}

static int get_array(json *value, const struct field *f, void *object, struct err *e)
{
	size_t n = json_len(value);

	if (!json_is_array(value))
		return wrong_type(f, e);
	*AT(void *, object, f) = n ? xcalloc(n, f->sub->size) : NULL;
	*COUNT(object, f) = n;
	for (size_t i = 0; i < n; i++) {
		int r;

		set_defaults(f->sub, element(f, object, i));
		r = fields_from_json(f->sub, json_at(value, i), element(f, object, i), e);
		if (r < 0)
			return err_wrap(e, r, "%s[%zu]", f->name, i);
	}
	return 0;
}

static int get_field(json *o, json *value, const struct field *f, void *object, struct err *e)
{
	int64_t number = json_get_int(o, f->name, 0);
	int r;

	switch (f->kind) {
	case K_STR:
		if (!json_is_str(value))
			return wrong_type(f, e);
		str_set(AT(char *, object, f), json_str(value));
		return 0;
	case K_STRV:
		if (!json_is_array(value))
			return wrong_type(f, e);
		*AT(char **, object, f) = json_get_strv(o, f->name);
		return 0;
	case K_BOOL:
		*AT(bool, object, f) = json_get_bool(o, f->name, false);
		return 0;
	case K_INT:
		if (number < INT32_MIN || number > INT32_MAX)
			return wrong_type(f, e);
		*AT(int, object, f) = (int)number;
		return 0;
	case K_I64:
		*AT(int64_t, object, f) = number;
		return 0;
	case K_U64:
		*AT(uint64_t, object, f) = json_get_u64(o, f->name, 0);
		return 0;
	case K_U32:
		if (number < 0 || number > UINT32_MAX)
			return wrong_type(f, e);
		*AT(uint32_t, object, f) = (uint32_t)number;
		return 0;
	case K_U16:
		if (number < 0 || number > UINT16_MAX)
			return wrong_type(f, e);
		*AT(uint16_t, object, f) = (uint16_t)number;
		return 0;
	case K_ENUM:
		return get_enum(value, f, object, e);
	case K_BLOB:
		if (!json_is_str(value) ||
		    base64_decode(json_str(value), AT(char *, object, f), COUNT(object, f)) < 0)
			return wrong_type(f, e);
		return 0;
	case K_STRUCT:
		r = fields_from_json(f->sub, value, AT(void, object, f), e);
		return r < 0 ? err_wrap(e, r, "%s", f->name) : 0;
	case K_ARRAY:
		return get_array(value, f, object, e);
	}
	return 0;
}

static int fields_from_json(const struct table *t, json *o, void *object, struct err *e)
{
	if (!json_is_object(o))
		return err_set(e, EBADMSG, "not a JSON object");
	for (const struct field *f = t->fields; f->name; f++) {
		json *value = json_get(o, f->name);
		int r = value ? get_field(o, value, f, object, e) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- the spec ------------------------------------------------------------------------ */
static_assert(sizeof(size_t) == sizeof(uint64_t), "K_BLOB reads a uint64_t as size_t");

struct container_spec *spec_new(void)
{
	struct container_spec *s = new0(struct container_spec);

	set_defaults(&container_table, s);
	return s;
}

void spec_free(struct container_spec *s)
{
	if (!s)
		return;
	free_fields(&container_table, s);
	free(s);
}

struct container_spec *spec_copy(const struct container_spec *s)
{
	struct container_spec *copy = xmemdup(s, sizeof(*s));

	own_fields(&container_table, copy);
	return copy;
}

struct mount_spec *spec_add_mount(struct container_spec *s, enum mount_type type,
				  const char *target)
{
	struct mount_spec *m;

	s->mounts = xreallocarray(s->mounts, s->n_mounts + 1, sizeof(*s->mounts));
	m = &s->mounts[s->n_mounts++];
	*m = (struct mount_spec){ .type = type, .target = xstrdup(target) };
	return m;
}

struct mount_spec *spec_mount_at(const struct container_spec *s, const char *target)
{
	_cleanup_(free_p) char *clean = path_clean(target);

	for (size_t i = 0; i < s->n_mounts; i++) {
		_cleanup_(free_p) char *other = path_clean(s->mounts[i].target);

		if (streq(clean, other))
			return &s->mounts[i];
	}
	return NULL;
}

json *spec_to_json(const struct container_spec *s)
{
	return fields_to_json(&container_table, s);
}

int spec_from_json(json *j, struct container_spec **out, struct err *e)
{
	_cleanup_(spec_freep) struct container_spec *s = spec_new();
	int r = fields_from_json(&container_table, j, s, e);

	if (r < 0)
		return err_wrap(e, r, "container spec");
	*out = TAKE_PTR(s);
	return 0;
}
