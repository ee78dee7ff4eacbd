/* engine/image/fetch_client.h: the distribution API over HTTP: who we are, where we
 * are sent, when to try again.  Linked into comp-fetch only; fetch.h has the
 * messages it takes and gives.
 */
#ifndef ENGINE_IMAGE_FETCH_CLIENT_H
#define ENGINE_IMAGE_FETCH_CLIENT_H

#include "base/err.h"
#include "base/json.h"

struct fetch_client;
struct http;

/* @send: gives one answer to comp. */
typedef void (*fetch_send_fn)(void *data, json *message);
struct fetch_client *fetch_client_new(struct http *h, fetch_send_fn send, void *data);
void fetch_client_free(struct fetch_client *c);

/* One request of comp's; takes all of @fds.  An error means that it made no sense. */
int fetch_client_request(struct fetch_client *c, json *request, int *fds, size_t n_fds,
			 struct err *e);
/* @location, as it is meant at @base; NULL: it makes no sense.  Caller frees. */
char *fetch_resolve_url(const char *base, const char *location);
/* Start what has waited long enough; returns ms until there is more of that. */
int fetch_client_tick(struct fetch_client *c);

#endif
