/* engine/image/extract.h: what comp-extract and the process that starts it say to
 * each other.  Both come from one build.
 *
 *	comp-extract layer MAX_BYTES MAX_FILES	unpack a layer into descriptor 3
 *	comp-extract index			list an archive that is a file
 *	comp-extract spool MAX_BYTES MAX_FILES	list one that is a stream (or is
 *						compressed), and write its files
 *						as 1, 2, 3 … into descriptor 3
 *	comp-extract pack-layer|pack-tree FORMAT	write the tar of descriptor 3
 *						(FORMAT: enum compression)
 *
 * The archive is descriptor 0, the directory 3, a SOCK_SEQPACKET socket 4 on
 * which the helper reports: one message each, the last is EXTRACT_DONE,
 * EXTRACT_PACKED or EXTRACT_ERROR.  When packing the archive is descriptor 5, if
 * there is one.  The helper works on hostile bytes, so whoever reads its
 * messages checks every one of them as if it came from outside.
 */
#ifndef ENGINE_IMAGE_EXTRACT_H
#define ENGINE_IMAGE_EXTRACT_H

#include "base/err.h"
#include "engine/image/pack.h"

#define EXTRACT_DIR_FD    3
#define EXTRACT_SOCKET_FD 4
#define EXTRACT_OUT_FD    5
#define EXTRACT_MAX_NAME  4096   /* bytes of a name in an archive, and of a link */
#define EXTRACT_MAX_INDEX 100000 /* entries of an archive of images */

enum extract_type {
	EXTRACT_OPAQUE, /* a directory's descriptor is attached: mark it */
	EXTRACT_IMPLIED, /* text: a directory that no entry stated; the rest of the message */
	EXTRACT_ENTRY,  /* index, spool: struct extract_entry, then both texts */
	EXTRACT_DONE,   /* struct extract_done */
	EXTRACT_PACKED, /* struct pack_result */
	EXTRACT_ERROR,  /* struct err */
};

struct extract_entry {
	uint32_t is_link; /* 1: symlink, 2: hard link; @n_link bytes say to what */
	uint32_t n_name, n_link;
	uint32_t number; /* spool: the name of the file it was written to; else 0 */
	uint64_t offset; /* index: of its data in the archive */
	uint64_t size;
};

struct extract_done {
	uint32_t compressed;
	char diff_id[DIGEST_MAX]; /* layer: of the uncompressed tar, "" if it came so */
	uint64_t bytes, files;
};

struct extract_message {
	uint32_t type; /* enum extract_type */
	union {
		struct extract_entry entry;
		struct extract_done done;
		struct pack_result packed;
		struct err err;
	};
	char text[2 * EXTRACT_MAX_NAME]; /* of an entry: name and link */
};

#endif
