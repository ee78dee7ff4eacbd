/* cli/rows.c: see rows.h.  Words and their order are Docker's: scripts cut
 * columns and match "Up", "(healthy)" and "0.0.0.0:8000->80/tcp".
 */
#include "cli/rows.h"

#include <fcntl.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/strv.h"
#include "cli/humanize.h"

#define SPEC_FILE_MAX (64u << 20)
#define COMMAND_SHOWN 20
#define ID_SHOWN      12

char *ellipsis(const char *s, size_t max)
{
	const char *p = s, *last = s;
	size_t n = 0;

	while (*p) {
		if (n + 1 == max)
			last = p; /* the character that "…" would replace */
		if (n++ == max)
			return xasprintf("%.*s…", (int)(last - s), s);
		do
			p++;
		while ((*p & 0xc0) == 0x80);
	}
	return xstrdup(s);
}

/* ---- status --------------------------------------------------------------------- */
static const char *up_suffix(const struct record *r)
{
	if (r->status == CONTAINER_PAUSED)
		return " (Paused)";
	switch (r->health) {
	case HEALTH_STARTING:
		return " (health: starting)";
	case HEALTH_HEALTHY:
		return " (healthy)";
	case HEALTH_UNHEALTHY:
		return " (unhealthy)";
	default:
		return "";
	}
}

static char *up_text(const struct record *r)
{
	uint64_t now = now_real_ns();
	char age[HUMAN_MAX], restarts[40] = "";

	/* Docker does not say; whoever looks after a crash wants to know. */
	if (r->restart_count)
		snprintf(restarts, sizeof(restarts), " (restarted %llu time%s)",
			 (unsigned long long)r->restart_count, r->restart_count == 1 ? "" : "s");
	human_duration(now > r->started_at ? now - r->started_at : 0, age);
	return xasprintf("Up %s%s%s", age, up_suffix(r), restarts);
}

char *status_text(const struct record *r)
{
	char ago[HUMAN_MAX];

	switch (record_status_shown(r)) {
	case CONTAINER_RUNNING:
	case CONTAINER_PAUSED:
		return up_text(r);
	case CONTAINER_RESTARTING:
		return xasprintf("Restarting (%d) %s", r->exit_code,
				 human_ago(r->finished_at, ago));
	case CONTAINER_EXITED:
		/* The machine went down before its end. */
		if (r->lost && r->unseen)
			return xstrdup("Exited (lost)");
		if (r->unseen)
			return xstrdup("Exited (unknown)");
		if (!r->finished_at) /* killed with its monitor, and nobody has looked since */
			return xasprintf("Exited (%d)", r->exit_code);
		return xasprintf("Exited (%d) %s", r->exit_code, human_ago(r->finished_at, ago));
	case CONTAINER_REMOVING:
		return xstrdup("Removal In Progress");
	case CONTAINER_DEAD:
		return xstrdup("Dead");
	default:
		return xstrdup("Created");
	}
}

/* ---- ports ------------------------------------------------------------------------ */
struct port {
	char ip[64]; /* "": exposed, not published */
	char protocol[8];
	unsigned int public, private;
};

static int by_port(const void *a, const void *b)
{
	const struct port *x = a, *y = b;
	int r;

	if (x->private != y->private)
		return x->private < y->private ? -1 : 1;
	r = strcmp(x->ip, y->ip);
	if (r)
		return r;
	if (x->public != y->public)
		return x->public < y->public ? -1 : 1;
	return strcmp(x->protocol, y->protocol);
}

static bool is_published(const struct record *r, unsigned int private, const char *protocol)
{
	for (size_t i = 0; i < r->n_ports; i++)
		if (r->ports[i].container_port == private && streq(r->ports[i].protocol, protocol))
			return true;
	return false;
}

static struct port *collect_ports(const struct record *r, char *const *expose, size_t *n)
{
	struct port *list = xcalloc(r->n_ports + strv_len(expose) + 1, sizeof(*list));

	*n = 0;
	for (size_t i = 0; i < r->n_ports; i++) {
		struct port *p = &list[(*n)++];

		snprintf(p->ip, sizeof(p->ip), "%s", r->ports[i].host_ip);
		snprintf(p->protocol, sizeof(p->protocol), "%s", r->ports[i].protocol);
		p->public = r->ports[i].host_port;
		p->private = r->ports[i].container_port;
	}
	STRV_FOREACH (s, expose) {
		struct port p = { .protocol = "tcp" };

		if (sscanf(*s, "%u/%7s", &p.private, p.protocol) >= 1 &&
		    !is_published(r, p.private, p.protocol))
			list[(*n)++] = p;
	}
	qsort(list, *n, sizeof(*list), by_port);
	return list;
}

static void add_host(struct buf *out, const char *ip)
{
	buf_printf(out, strchr(ip, ':') ? "[%s]:" : "%s:", ip);
}

static void add_range(struct buf *out, const struct port *first, unsigned int last)
{
	char range[32];

	if (first->private == last)
		snprintf(range, sizeof(range), "%u", last);
	else
		snprintf(range, sizeof(range), "%u-%u", first->private, last);
	if (out->len)
		buf_adds(out, ", ");
	if (first->ip[0]) {
		add_host(out, first->ip);
		buf_printf(out, "%s->", range);
	}
	buf_printf(out, "%s/%s", range, first->protocol);
}

static void add_mapping(struct buf *out, const struct port *p)
{
	if (out->len)
		buf_adds(out, ", ");
	add_host(out, p->ip);
	buf_printf(out, "%u->%u/%s", p->public, p->private, p->protocol);
}

static bool same_group(const struct port *a, const struct port *b)
{
	return streq(a->ip, b->ip) && streq(a->protocol, b->protocol);
}

/* Ports whose two sides agree merge with their neighbours; the others are
 * listed one by one behind them.  A group is used up when its last is told. */
char *ports_text(const struct record *r, char *const *expose)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT;
	_cleanup_(free_p) bool *used = NULL;
	_cleanup_(free_p) struct port *list = NULL;
	size_t n;

	list = collect_ports(r, expose, &n);
	used = xcalloc(n + 1, sizeof(*used));
	for (size_t i = 0; i < n; i++) {
		unsigned int last = list[i].private;

		if (used[i] || (list[i].ip[0] && list[i].public != list[i].private))
			continue;
		for (size_t j = i + 1; j < n; j++) {
			bool mergeable = !list[j].ip[0] || list[j].public == list[j].private;

			if (!used[j] && mergeable && same_group(&list[i], &list[j]) &&
			    list[j].private == last + 1) {
				last++;
				used[j] = true;
			}
		}
		add_range(&out, &list[i], last);
		used[i] = true;
	}
	for (size_t i = 0; i < n; i++)
		if (!used[i])
			add_mapping(&out, &list[i]);
	return xstrdup(buf_str(&out));
}

/* ---- the row ------------------------------------------------------------------------ */
struct container_spec *record_spec(const struct dirs *d, const struct record *r)
{
	_cleanup_(free_p) char *dir = dirs_container(d, r->project, r->id);
	_cleanup_(free_p) char *path = xasprintf("%s/spec.json", dir);
	_cleanup_(json_unrefp) json *j = NULL;
	struct container_spec *spec = NULL;

	if (json_read_file(AT_FDCWD, path, SPEC_FILE_MAX, &j, NULL) < 0 ||
	    spec_from_json(j, &spec, NULL) < 0)
		return NULL;
	return spec;
}

static json *publishers(const struct record *r)
{
	json *list = json_new_array();

	for (size_t i = 0; i < r->n_ports; i++) {
		json *o = json_new_object();

		json_put_str(o, "URL", r->ports[i].host_ip);
		json_put_int(o, "TargetPort", r->ports[i].container_port);
		json_put_int(o, "PublishedPort", r->ports[i].host_port);
		json_put_str(o, "Protocol", r->ports[i].protocol);
		json_push(list, o);
	}
	return list;
}

/* As Go's strconv.Quote shows it, which is what Docker uses here. */
static char *quoted_command(const struct record *r, bool no_trunc)
{
	_cleanup_(free_p) char *text = no_trunc ? xstrdup(r->command ? r->command : "")
						: ellipsis(r->command ? r->command : "",
							   COMMAND_SHOWN);
	struct buf b = BUF_INIT;

	buf_addc(&b, '"');
	for (const char *p = text; *p; p++) {
		if (*p == '"' || *p == '\\')
			buf_printf(&b, "\\%c", *p);
		else if (*p == '\n')
			buf_adds(&b, "\\n");
		else if (*p == '\t')
			buf_adds(&b, "\\t");
		else if ((unsigned char)*p < ' ' || *p == 0x7f)
			buf_printf(&b, "\\x%02x", (unsigned char)*p);
		else
			buf_addc(&b, *p);
	}
	buf_addc(&b, '"');
	return buf_take(&b);
}

static char *network_names(const struct record *r)
{
	_cleanup_(strv_freep) char **v = NULL;

	for (size_t i = 0; i < r->n_networks; i++)
		strv_add(&v, r->networks[i].network);
	return strv_join(v, ",");
}

static char *mount_names(const struct container_spec *spec, int64_t *local)
{
	_cleanup_(strv_freep) char **v = NULL;

	*local = 0;
	for (size_t i = 0; spec && i < spec->n_mounts; i++) {
		const struct mount_spec *m = &spec->mounts[i];
		const char *name = m->volume ? m->volume : m->source;

		*local += m->type == MOUNT_VOLUME;
		if (name)
			strv_add(&v, name);
	}
	return strv_join(v, ",");
}

static void put_take(json *o, const char *key, char *value)
{
	json_put_str(o, key, value ? value : "");
	free(value);
}

static char *labels_text(const struct container_spec *spec)
{
	_cleanup_(strv_freep) char **v = spec ? strv_copy(spec->labels) : NULL;

	if (v)
		strv_sort(v);
	return strv_join(v, ",");
}

json *container_row(const struct record *r, const struct container_spec *spec, bool no_trunc)
{
	json *o = json_new_object();
	char when[HUMAN_MAX];
	int64_t local_volumes;
	char *mounts = mount_names(spec, &local_volumes);
	bool up = r->status == CONTAINER_RUNNING || r->status == CONTAINER_PAUSED;

	put_take(o, "Command", quoted_command(r, no_trunc));
	json_put_str(o, "CreatedAt", human_time(r->created, when));
	json_put_int(o, "ExitCode", r->exit_code);
	json_put_str(o, "Health", health_status_name(r->health));
	put_take(o, "ID", no_trunc ? xstrdup(r->id) : xstrndup(r->id, ID_SHOWN));
	json_put_str(o, "Image", r->image ? r->image : "");
	put_take(o, "Labels", labels_text(spec));
	put_take(o, "LocalVolumes", xasprintf("%lld", (long long)local_volumes));
	put_take(o, "Mounts", mounts);
	json_put_str(o, "Name", r->name);
	json_put_str(o, "Names", r->name);
	put_take(o, "Networks", network_names(r));
	put_take(o, "Ports", ports_text(r, spec && up ? spec->expose : NULL));
	json_put_str(o, "Project", r->project);
	json_put(o, "Publishers", publishers(r));
	put_take(o, "RunningFor", xstrdup(human_ago(r->created, when)));
	json_put_str(o, "Service", r->service ? r->service : "");
	json_put_str(o, "Size", "0B");
	json_put_str(o, "State", container_status_name(record_status_shown(r)));
	put_take(o, "Status", status_text(r));
	return o;
}
