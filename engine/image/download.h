/* engine/image/download.h: one file over HTTP, through comp-fetch: ADD https://… */
#ifndef ENGINE_IMAGE_DOWNLOAD_H
#define ENGINE_IMAGE_DOWNLOAD_H

#include "base/err.h"
#include "engine/image/digest.h"

struct download {
	char digest[DIGEST_MAX];
	uint64_t size;
	uint64_t modified; /* Last-Modified; CLOCK_REALTIME ns; 0: not stated */
};

/* Get @url into the file @fd.  Blocks.  -ENOENT: the server says 404; other answers and
 * failures are -EIO and the like, in words. */
int download(const char *url, int fd, struct download *out, struct err *e);

#endif
