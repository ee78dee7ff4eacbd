/* engine/image/registry_config.h: where a registry is reached, and how far it is
 * trusted: one small file, COMP_REGISTRIES or /etc/comp/registries.json.
 *
 *	{
 *	  "registry-mirrors": ["https://mirror.example"],	for docker.io
 *	  "insecure-registries": ["10.0.0.0/8", "reg.lan:5000"],	http, or any certificate
 *	  "registries": {
 *	    "quay.io": {"mirrors": ["https://cache.lan/"], "insecure": false, "ca": "/etc/x.pem"}
 *	  },
 *	  "max-concurrent-downloads": 6,
 *	  "timeout": 30		seconds without an answer, or below 1 KiB/s
 *	}
 *
 * The first two are called as in Docker's daemon.json.  As with Docker, localhost
 * and 127.0.0.0/8 are insecure by default, and certificates are looked for in
 * /etc/comp/certs.d/HOST:PORT/ and /etc/docker/certs.d/HOST:PORT/ (*.crt: who may
 * sign; client.cert and client.key: who we are).
 */
#ifndef ENGINE_IMAGE_REGISTRY_CONFIG_H
#define ENGINE_IMAGE_REGISTRY_CONFIG_H

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"

struct registry_config {
	json *document; /* NULL: no file */
	char *path;
	unsigned int timeout;   /* seconds */
	unsigned int downloads; /* layers at once */
};
void registry_config_done(struct registry_config *c);

/* No file is no error unless COMP_REGISTRIES names it. */
int registry_config_load(struct registry_config *out, struct err *e);
/* Pure: the same from text. */
int registry_config_parse(const char *text, size_t n, struct registry_config *out, struct err *e);

struct registry_endpoint {
	char *domain; /* whose credentials count here: the registry's, or the mirror's own host */
	char *url;    /* "https://registry-1.docker.io", no slash at the end */
	bool insecure;
	bool mirror;
};
struct registry_endpoints {
	struct registry_endpoint *items; /* mirrors first, the registry itself last */
	size_t n;
};
void registry_endpoints_done(struct registry_endpoints *l);
/* Pure. */
void registry_config_endpoints(const struct registry_config *c, const char *domain,
			       struct registry_endpoints *out);
bool registry_config_is_insecure(const struct registry_config *c, const char *host);

/* PEM texts for the host of @endpoint; empty buffers: none. */
struct registry_certs {
	struct buf ca, cert, key;
};
void registry_certs_done(struct registry_certs *c);
int registry_config_certs(const struct registry_config *c, const struct registry_endpoint *p,
			  struct registry_certs *out, struct err *e);

#endif
