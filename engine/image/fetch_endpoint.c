/* engine/image/fetch_endpoint.c: the registries and mirrors that comp told us of, with
 * their credentials and certificates, and the URLs that lead to them.
 */
#include <curl/curl.h>

#include "base/fd.h"
#include "engine/image/fetch.h"
#include "engine/image/fetch_internal.h"

static void token_free(void *p)
{
	struct token *t = p;

	explicit_bzero(t->text, strlen(t->text));
	free(t->text);
	free(t);
}

static void wipe(char *s)
{
	if (s)
		explicit_bzero(s, strlen(s));
	free(s);
}

void fetch_endpoint_done(struct endpoint *p)
{
	wipe(p->secret);
	wipe(p->identity);
	wipe(p->token);
	free(p->user);
	free(p->source);
	free(p->url);
	free(p->origin);
	buf_done(&p->tls.ca);
	buf_done(&p->tls.cert);
	buf_done(&p->tls.key);
	map_done(&p->tokens);
	*p = (struct endpoint){ 0 };
}

/* "scheme://host:port", with the port always there; NULL for what is no http URL. */
char *url_origin(const char *url)
{
	char *scheme = NULL, *host = NULL, *port = NULL, *origin = NULL;
	CURLU *u = curl_url();

	if (u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
	    (streq(scheme, "http") || streq(scheme, "https")))
		origin = xasprintf("%s://%s:%s", scheme, host, port);
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(u);
	return origin;
}

char *url_host(const char *url)
{
	CURLU *u = curl_url();
	char *host = NULL, *copy = NULL;

	if (u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK)
		copy = xstrdup(host);
	curl_free(host);
	curl_url_cleanup(u);
	return copy;
}

/* @to as seen from @from; NULL: not a URL we go to. */
char *fetch_resolve_url(const char *from, const char *to)
{
	CURLU *u = curl_url();
	char *url = NULL, *copy = NULL;

	if (u && curl_url_set(u, CURLUPART_URL, from, 0) == CURLUE_OK &&
	    curl_url_set(u, CURLUPART_URL, to, CURLU_URLENCODE) == CURLUE_OK &&
	    curl_url_set(u, CURLUPART_USER, NULL, 0) == CURLUE_OK &&
	    curl_url_set(u, CURLUPART_PASSWORD, NULL, 0) == CURLUE_OK &&
	    curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_URL, &url, 0) == CURLUE_OK &&
	    (skip_prefix(url, "https://") || skip_prefix(url, "http://")))
		copy = xstrdup(url);
	curl_free(url);
	curl_url_cleanup(u);
	return copy;
}

static int read_memfd(int fd, struct buf *out)
{
	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	return fd_read_all(fd, 1U << 20, out);
}

int fetch_endpoint_set(struct fetch_client *c, json *q, const int *fds, size_t n_fds, struct err *e)
{
	int64_t n = json_get_int(q, "n", -1);
	json *certs = json_get(q, "certs");
	struct endpoint *p;

	if (n < 0 || n >= FETCH_ENDPOINTS || json_len(certs) != n_fds || !json_get_str(q, "url"))
		return err_set(e, EINVAL, "a bad endpoint");
	p = &c->endpoints[n];
	fetch_endpoint_done(p);
	p->used = true;
	p->url = xstrdup(json_get_str(q, "url"));
	p->origin = url_origin(p->url);
	p->insecure = p->tls.insecure = json_get_bool(q, "insecure", false);
	p->user = xstrdup_null(json_get_str(q, "user"));
	p->secret = xstrdup_null(json_get_str(q, "secret"));
	p->identity = xstrdup_null(json_get_str(q, "identity"));
	p->token = xstrdup_null(json_get_str(q, "token"));
	p->source = xstrdup_null(json_get_str(q, "source"));
	p->tokens = MAP_INIT_FREE(token_free);
	for (size_t i = 0; i < n_fds; i++) {
		const char *what = json_str(json_at(certs, i));
		struct buf *to = streq_null(what, "ca")     ? &p->tls.ca
				 : streq_null(what, "cert") ? &p->tls.cert
							    : &p->tls.key;

		if (read_memfd(fds[i], to) < 0)
			return err_set(e, EINVAL, "a bad certificate");
	}
	return p->origin ? 0 : err_set(e, EINVAL, "a bad URL");
}
