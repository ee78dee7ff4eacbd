/* engine/image/pull_layer.c: downloads, as many at once as allowed, each into a file of
 * the stage, from where comp-extract is fed while the rest arrives.  Two images that
 * share a layer do not fetch it twice: the second waits for the first.
 *
 * What is believed: digests.  The last byte of a layer is held back from the
 * unpacker until the digest of all of them was right.
 */
#include <fcntl.h>

#include "base/fd.h"
#include "base/strv.h"
#include "engine/image/extractor.h"
#include "engine/image/pull_internal.h"

static void tell_layer(const struct pull_layer *l, enum pull_layer_state state, const char *note)
{
	const struct pull_watch *w = l->job->pull->w;

	if (w->layer)
		w->layer(w->data, l->job->index, l->d->digest, state, l->got, l->d->size, note);
}

void pull_layer_done(struct pull_layer *l)
{
	registry_cancel(l->job->pull->registries, l->call);
	stage_unpack_free(l->unpack);
	fd_close(l->fd);
	l->call = NULL;
	l->unpack = NULL;
	l->fd = -EBADF;
}

static int check_room(const struct pull_job *j, struct err *e)
{
	uint64_t need = 0, bytes, files;

	extractor_limits(stage_dirfd(j->stage), &bytes, &files);
	for (size_t i = 0; i < j->n_layers; i++) {
		uint64_t size = j->layers[i].done ? 0 : j->layers[i].d->size;

		if (size > bytes || need > bytes - size)
			return err_set(e, ENOSPC,
				       "no space left on device: the layers need more than the "
				       "%ju MiB that are free",
				       (uintmax_t)(bytes >> 20));
		need += size;
	}
	return 0;
}

int pull_layers_make(struct pull_job *j, struct err *e)
{
	const struct manifest *m = &j->manifest;

	if (strv_len(j->config.diff_ids) != m->n_layers)
		return err_set(e, EBADMSG, "%zu layers, but the config lists %zu", m->n_layers,
			       strv_len(j->config.diff_ids));
	j->layers = xcalloc(m->n_layers + 1, sizeof(*j->layers));
	j->n_layers = m->n_layers;
	for (size_t i = 0; i < m->n_layers; i++) {
		struct pull_layer *l = &j->layers[i];

		l->job = j;
		l->fd = -EBADF;
		l->d = &m->layers[i];
		l->diff_id = j->config.diff_ids[i];
		snprintf(l->what, sizeof(l->what), "layer %zu of %zu", i + 1, m->n_layers);
		l->done = stage_has_layer(j->stage, l->diff_id);
		tell_layer(l, l->done ? PULL_LAYER_EXISTS : PULL_LAYER_WAITING, NULL);
	}
	return check_room(j, e);
}

static void on_layer(void *data, struct registry_answer *a)
{
	struct pull_layer *l = data;
	struct err e = a->e;

	l->call = NULL;
	l->got = a->size;
	if (!e.code)
		(void)pull_check_body(a, l->d->digest, l->d->size, &e);
	if (e.code) {
		(void)err_wrap(&e, -e.code, "%s", l->what);
		pull_job_fail(l->job, &e);
		return;
	}
	l->verified = true;
	tell_layer(l, PULL_LAYER_EXTRACTING, NULL);
}

static void on_layer_progress(void *data, uint64_t bytes, const char *retry, uint64_t delay)
{
	struct pull_layer *l = data;

	l->got = bytes;
	tell_layer(l, retry ? PULL_LAYER_RETRYING : PULL_LAYER_DOWNLOADING, retry);
}

static int layer_start(struct pull_layer *l, struct err *e)
{
	struct pull_job *j = l->job;
	_cleanup_(free_p) char *path = xasprintf("blobs/%s", l->d->digest);
	char name[32];
	struct registry_request q = { .op = REGISTRY_GET,
				      .endpoint = j->endpoint,
				      .repo = j->ref.path,
				      .path = path,
				      .size = l->d->size,
				      .done = on_layer,
				      .progress = on_layer_progress,
				      .data = l };

	snprintf(name, sizeof(name), "layer-%zu-%zu", j->at, (size_t)(l - j->layers));
	l->fd = openat(stage_dirfd(j->stage), name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (l->fd < 0)
		return err_errno(e, errno, "make a file for a layer");
	q.fd = l->fd;
	l->started = true;
	l->source = (struct layer_source){ .fd = l->fd,
					   .size = l->d->size,
					   .digest = l->d->digest,
					   .diff_id = l->diff_id,
					   .what = l->what };
	return registry_start(j->pull->registries, &q, &l->call, e);
}

/* Bytes that the unpacker may see. */
uint64_t pull_layer_available(const struct pull_layer *l)
{
	return l->verified ? l->d->size : l->got < l->d->size ? l->got : l->d->size - 1;
}

static int layer_step(struct pull_layer *l, struct err *e)
{
	struct layer_info info;
	int r = stage_unpack_step(l->unpack, pull_layer_available(l), &info, e);

	if (r <= 0)
		return r;
	r = stage_keep_blob(l->job->stage, l->diff_id, l->d, l->fd, e);
	if (r < 0)
		return err_wrap(e, r, "%s", l->what);
	pull_layer_done(l);
	l->done = true;
	tell_layer(l, PULL_LAYER_DONE, NULL);
	return 0;
}

static bool is_at_layers(const struct pull_job *j)
{
	return j->step == JOB_LAYERS || j->step == JOB_SYNC;
}

/* Somebody else is at work on the same layer. */
static bool is_under_way(const struct pull *p, const struct pull_layer *l)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct pull_job *j = &p->jobs[i];

		for (size_t k = 0; is_at_layers(j) && k < j->n_layers; k++) {
			const struct pull_layer *o = &j->layers[k];

			/* Of another image it counts until that image is committed. */
			if (o != l && o->started && (!o->done || j != l->job) &&
			    streq(o->diff_id, l->diff_id))
				return true;
		}
	}
	return false;
}

void pull_layers_count(const struct pull *p, unsigned int *downloads, unsigned int *unpacks)
{
	*downloads = *unpacks = 0;
	for (size_t i = 0; i < p->n; i++) {
		for (size_t k = 0; k < p->jobs[i].n_layers; k++) {
			*downloads += p->jobs[i].layers[k].call != NULL;
			*unpacks += p->jobs[i].layers[k].unpack != NULL;
		}
	}
}

int pull_layer_advance(struct pull_layer *l, unsigned int *downloads, unsigned int *unpacks,
		       struct err *e)
{
	struct pull *p = l->job->pull;
	int r = 0;

	if (!l->started && !is_under_way(p, l) && stage_has_layer(l->job->stage, l->diff_id)) {
		l->done = true;
		tell_layer(l, PULL_LAYER_EXISTS, NULL);
		return 0;
	}
	if (!l->started && *downloads < registries_config(p->registries)->downloads &&
	    !is_under_way(p, l)) {
		r = layer_start(l, e);
		(*downloads)++;
	}
	if (r == 0 && l->started && !l->unpack && l->got && *unpacks < p->max_unpacks) {
		r = stage_unpack_start(l->job->stage, &l->source, &l->unpack, e);
		(*unpacks)++;
	}
	return r == 0 && l->unpack ? layer_step(l, e) : r;
}
