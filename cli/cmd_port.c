/* cli/cmd_port.c: where a container's port is found on the host. */
#include <errno.h>

#include "base/cleanup.h"
#include "cli/command.h"

struct port_options {
	const char *protocol;
	int64_t index;
};
#define O struct port_options

static const struct option_spec flags[] = {
	OPTION_INT("index", 0, O, index, "0",
		   "Index of the container if service has multiple replicas"),
	OPTION_STRING("protocol", 0, O, protocol, "tcp", "tcp or udp"),
	OPTION_END,
};

static bool print_port(struct context *ctx, const struct record *r, uint64_t port,
		       const char *protocol)
{
	for (size_t i = 0; i < r->n_ports; i++) {
		const struct published_port *p = &r->ports[i];

		if (p->container_port != port || !streq(p->protocol, protocol))
			continue;
		fprintf(ctx->out, strchr(p->host_ip, ':') ? "[%s]:%u\n" : "%s:%u\n", p->host_ip,
			p->host_port);
		return true;
	}
	return false;
}

static int run_port(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct port_options *o = in->options;
	_cleanup_(record_list_done) struct record_list l = { 0 };
	char *services[] = { in->argv[0], NULL };
	bool found = false;
	uint64_t port;
	int r;

	if (!parse_u64(in->argv[1], &port) || port > UINT16_MAX)
		return err_set(e, EINVAL, "invalid port \"%s\"", in->argv[1]);
	r = ctx_load_project_or_name(ctx, e);
	if (r == 0)
		r = ctx_records(ctx, &l, e);
	if (r == 0)
		r = ctx_check_services(ctx, services, &l, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < l.n; i++) {
		if (!streq_null(l.items[i]->service, in->argv[0]) ||
		    (o->index > 0 && l.items[i]->number != o->index))
			continue;
		found = true;
		if (print_port(ctx, l.items[i], port, o->protocol))
			return 0;
	}
	if (!found)
		return err_set(e, ESRCH, "service \"%s\" is not running", in->argv[0]);
	return err_set(e, ENOENT, "no port %s/%s for container of service %s", in->argv[1],
		       o->protocol, in->argv[0]);
}

const struct command cmd_port = {
	.name = "port",
	.args = "[OPTIONS] SERVICE PRIVATE_PORT",
	.summary = "Print the public port for a port binding",
	.options = flags,
	.options_size = sizeof(struct port_options),
	.min_args = 2,
	.max_args = 2,
	.run = run_port,
};
