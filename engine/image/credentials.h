/* engine/image/credentials.h: who we are to a registry: Docker's config.json
 * (auths, credHelpers, credsStore) and the docker-credential-* programs.
 *
 * The file is $DOCKER_CONFIG/config.json, else ~/.docker/config.json.  No message
 * here ever holds a secret.
 */
#ifndef ENGINE_IMAGE_CREDENTIALS_H
#define ENGINE_IMAGE_CREDENTIALS_H

#include "base/err.h"
#include "base/json.h"

struct credentials {
	char *user, *secret;
	char *identity; /* an identity token: instead of user and secret */
	char *token;    /* a bearer token as it is ("registrytoken") */
	char *source;   /* for messages: "user bob from /root/.docker/config.json" */
};
void credentials_done(struct credentials *c); /* wipes them */

/* What config.json is called by for a registry: "https://index.docker.io/v1/" for
 * docker.io, else the domain itself.  Static or @domain. */
const char *credentials_key(const char *domain);

/* ---- pure --------------------------------------------------------------------- */

/* Look @domain up in a config.json.  *helper: the X of docker-credential-X that
 * knows instead; the caller frees; NULL: what is in @out counts.  -ENOENT: neither. */
int credentials_lookup(json *config, const char *domain, struct credentials *out, char **helper,
		       struct err *e);
/* What a helper's `get` printed. */
int credentials_from_helper(const char *text, size_t n, struct credentials *out, struct err *e);

/* ---- on this machine -------------------------------------------------------------- */

/* -ENOENT: none; anything else: they are there and cannot be had. */
int credentials_find(const char *domain, struct credentials *out, struct err *e);
/* Keep them, by a helper or in the file.  *plain: the file holds them readably;
 * *where: a text for the user that the caller frees. */
int credentials_store(const char *domain, const struct credentials *c, bool *plain, char **where,
		      struct err *e);
/* -ENOENT: there were none. */
int credentials_erase(const char *domain, struct err *e);
char *credentials_path(struct err *e); /* of config.json; NULL: no home directory */

#endif
