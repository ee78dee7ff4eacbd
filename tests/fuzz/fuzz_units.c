/* Any text as each of the small languages; what prints again must read the same. */
#include <assert.h>
#include <stdlib.h>

#include "compose/units.h"
#include "compose/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void numbers(const char *text)
{
	char buf[DURATION_TEXT_MAX];
	int64_t v, again;
	uint32_t mode;

	(void)units_bytes(text, &v, NULL);
	if (units_duration(text, &v, NULL) == 0) {
		assert(units_duration(units_duration_text(v, buf), &again, NULL) == 0);
		assert(again == v);
	}
	if (units_mode(text, &mode, NULL) == 0)
		assert(mode <= 07777);
	if (units_cpus(text, &v, NULL) == 0)
		assert(v >= 0);
}

static void short_forms(struct arena *a, const char *text)
{
	const char *host, **ips;
	struct short_port *ports;
	struct short_volume volume;
	struct short_device device;
	uint16_t first, last;
	size_t n;

	if (units_ports(a, text, &ports, &n, NULL) == 0)
		assert(n > 0 && ports[0].host_ip && ports[0].published && ports[0].protocol);
	if (units_port_range(text, &first, &last, NULL) == 0)
		assert(first <= last);
	if (units_volume(a, text, &volume, NULL) == 0)
		assert(volume.target[0] && volume.source);
	if (units_device(a, text, &device, NULL) == 0)
		assert(device.source && device.target && device.permissions);
	if (units_extra_host(a, text, &host, &ips, NULL) == 0)
		assert(host[0] && ips[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new();
	const char *text = arena_strndup(a, size ? (const char *)data : "", size);
	struct node *scalar = yaml_scalar(a, text);
	char **argv;

	numbers(text);
	short_forms(a, text);
	(void)units_words(a, text, &argv, NULL);
	assert(scalar->kind == NODE_STRING || !yaml_plain_is_string(text));
	arena_free(a);
	return 0;
}
