/* engine/image/layer.c: what the store knows of a layer besides its files: a small
 * record beside the directory, and perhaps the bytes it came as.  A record from before
 * bytes were kept names none. */
#include <fcntl.h>

#include "base/fd.h"
#include "base/strv.h"
#include "engine/image/store_internal.h"

#define RECORD_MAX (32U << 20) /* nearly all are below 300 bytes: see IMPLIED_MAX */

const char *layer_path(const char *diff_id, char buf[LAYER_PATH_MAX])
{
	snprintf(buf, LAYER_PATH_MAX, "layers/%s", digest_hex(diff_id));
	return buf;
}

const char *layer_json_path(const char *diff_id, char buf[LAYER_PATH_MAX])
{
	snprintf(buf, LAYER_PATH_MAX, "layers/%s.json", digest_hex(diff_id));
	return buf;
}

const char *blob_path(const char *digest, char buf[LAYER_PATH_MAX])
{
	snprintf(buf, LAYER_PATH_MAX, "blobs/sha256/%s", digest_hex(digest));
	return buf;
}

void layer_record_done(struct layer_record *r)
{
	descriptor_done(&r->blob);
	strv_free(r->implied);
	*r = (struct layer_record){ 0 };
}

static int read_descriptor(json *o, struct descriptor *d)
{
	const char *digest = json_get_str(o, "digest"), *type = json_get_str(o, "media_type");

	if (!digest || !digest_is_valid(digest) || !type)
		return -EBADMSG;
	d->digest = xstrdup(digest);
	d->media_type = xstrdup(type);
	d->size = json_get_u64(o, "size", 0);
	return 0;
}

int layer_record_read(int dirfd, const char *diff_id, struct layer_record *out, struct err *e)
{
	_cleanup_(json_unrefp) json *o = NULL;
	char path[LAYER_PATH_MAX];
	json *blob;
	int r = json_read_file(dirfd, layer_json_path(diff_id, path), RECORD_MAX, &o, e);

	*out = (struct layer_record){ 0 };
	if (r < 0)
		return r;
	out->size = json_get_u64(o, "size", 0);
	out->n_files = json_get_u64(o, "files", 0);
	out->made = json_get_bool(o, "made", false);
	out->implied = json_get_strv(o, "implied");
	blob = json_get(o, "blob");
	if (blob && read_descriptor(blob, &out->blob) < 0) {
		layer_record_done(out);
		return err_set(e, EBADMSG, "the record of layer %s is damaged", diff_id);
	}
	return 0;
}

int layer_record_write(int dirfd, const char *diff_id, const struct layer_record *rec,
		       struct err *e)
{
	_cleanup_(json_unrefp) json *o = json_new_object();
	char path[LAYER_PATH_MAX];

	json_put_u64(o, "size", rec->size);
	json_put_u64(o, "files", rec->n_files);
	if (rec->made)
		json_put_bool(o, "made", true);
	if (rec->implied)
		json_put_strv(o, "implied", rec->implied);
	if (rec->blob.digest) {
		json *blob = json_new_object();

		json_put_str(blob, "digest", rec->blob.digest);
		json_put_str(blob, "media_type", rec->blob.media_type);
		json_put_u64(blob, "size", rec->blob.size);
		json_put(o, "blob", blob);
	}
	return file_write_atomic(dirfd, layer_json_path(diff_id, path), json_text(o),
				 strlen(json_text(o)), 0600, false, e);
}

static bool is_there(const struct store *s, const char *digest)
{
	char path[LAYER_PATH_MAX];

	return faccessat(s->fd, blob_path(digest, path), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int store_layer_blob(struct store *s, const char *diff_id, struct descriptor *out, struct err *e)
{
	struct layer_record rec;
	int r = digest_is_valid(diff_id) ? layer_record_read(s->fd, diff_id, &rec, e) : -EINVAL;

	*out = (struct descriptor){ 0 };
	if (r < 0)
		return r;
	if (rec.blob.digest && !is_there(s, rec.blob.digest))
		layer_record_done(&rec);
	if (!rec.blob.digest) {
		layer_record_done(&rec);
		return err_set(e, ENOENT, "the bytes of layer %s were not kept", diff_id);
	}
	*out = rec.blob;
	strv_free(rec.implied);
	return 0;
}

int store_open_blob(struct store *s, const char *digest, struct err *e)
{
	char path[LAYER_PATH_MAX];
	int fd;

	if (!digest_is_valid(digest))
		return err_set(e, EINVAL, "\"%.100s\" is not a sha256 digest", digest);
	fd = openat(s->fd, blob_path(digest, path), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? err_errno(e, errno, "open %s/%s", s->path, path) : fd;
}

uint64_t store_layer_size(struct store *s, const char *diff_id)
{
	struct layer_record rec;
	uint64_t size;

	if (!digest_is_valid(diff_id) || layer_record_read(s->fd, diff_id, &rec, NULL) < 0)
		return 0;
	size = rec.size;
	layer_record_done(&rec);
	return size;
}
