/* engine/image/fetch_env.h: what comp-fetch gets of the environment: proxies, and where
 * certificates are.  Caller frees. */
#ifndef ENGINE_IMAGE_FETCH_ENV_H
#define ENGINE_IMAGE_FETCH_ENV_H

char **fetch_environment(void);

#endif
