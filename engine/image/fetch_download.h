/* engine/image/fetch_download.h: `comp-fetch download URL`: one GET, redirects followed.
 * Linked into comp-fetch only. */
#ifndef ENGINE_IMAGE_FETCH_DOWNLOAD_H
#define ENGINE_IMAGE_FETCH_DOWNLOAD_H

#include "base/err.h"

struct http;

#define FETCH_BODY_FD 4 /* the non-blocking pipe that takes the body */

/* Tell what came of it in one message: {"status":200,"modified":…} or {"error":…}. */
int fetch_download(struct http *h, const char *url, struct err *e);

#endif
