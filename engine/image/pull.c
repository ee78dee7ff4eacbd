/* engine/image/pull.c: each image is a `struct pull_job`: what it is (pull_resolve.c),
 * then its layers (pull_layer.c), then the commit of its stage.  All jobs share one
 * poll(2) loop, so that nothing waits for anything but the network, the disk and the
 * cores.
 */
#include "engine/image/pull.h"

#include <poll.h>
#include <sched.h>

#include "base/fd.h"
#include "base/strv.h"
#include "engine/image/pull_internal.h"

#define MAX_FDS 256
#define BRIEF   (5 * NSEC_PER_SEC)

void pull_result_done(struct pull_result *r)
{
	free(r->id);
	free(r->digest);
	free(r->canonical);
	*r = (struct pull_result){ 0 };
}

/* ---- the end of a job -------------------------------------------------------------- */

static void drop_documents(struct pull_job *j)
{
	for (size_t i = 0; i < j->n_layers; i++)
		pull_layer_done(&j->layers[i]);
	free(j->layers);
	j->layers = NULL;
	j->n_layers = 0;
	registry_cancel(j->pull->registries, j->call);
	j->call = NULL;
	manifest_done(&j->manifest);
	image_config_done(&j->config);
	j->config = (struct image_config){ 0 };
	buf_done(&j->manifest_text);
	buf_done(&j->config_text);
	descriptor_done(&j->child);
}

static void job_done(struct pull_job *j)
{
	drop_documents(j);
	stage_free(j->stage);
	j->stage = NULL;
	registry_endpoints_done(&j->endpoints);
	platform_done(&j->platform);
	ref_done(&j->ref);
}

/* Layers that are whole and verified stay, so that the next try does not fetch
 * them again; not on a full disk, and not of an image that is damaged.  True: the
 * job ends when they are written. */
static bool keep_begin(struct pull_job *j)
{
	int code = j->result->e.code;

	if (j->step == JOB_SYNC || !j->stage || !stage_has_layers(j->stage) || code == ENOSPC ||
	    code == EDQUOT || code == EBADMSG)
		return false;
	drop_documents(j);
	j->step = JOB_SYNC;
	return stage_sync_start(j->stage, NULL) == 0;
}

void pull_job_end(struct pull_job *j, enum pull_outcome outcome)
{
	const struct pull_watch *w = j->pull->w;

	j->result->outcome = outcome;
	if (outcome == PULL_FAILED && keep_begin(j))
		return;
	j->step = JOB_END;
	drop_documents(j);
	stage_free(j->stage);
	j->stage = NULL;
	if (w->finished)
		w->finished(w->data, j->index, j->result);
}

void pull_job_fail(struct pull_job *j, const struct err *e)
{
	struct err next = ERR_INIT;

	/* A mirror that fails is passed over. */
	if (j->at + 1 < j->endpoints.n && e->code != ENOSPC) {
		j->at++;
		drop_documents(j);
		if (pull_job_start(j, &next) == 0)
			return;
		e = &next;
	}
	j->result->e = *e;
	(void)err_wrap(&j->result->e, -e->code, "%s", j->q->ref);
	pull_job_end(j, PULL_FAILED);
}

/* All of it is there. */
static int job_finish(struct pull_job *j, struct err *e)
{
	_cleanup_(strv_freep) char **refs = NULL;
	struct staged_image img = { .config = buf_str(&j->config_text),
				    .n_config = j->config_text.len,
				    .manifest = buf_str(&j->manifest_text),
				    .n_manifest = j->manifest_text.len };
	char id[DIGEST_MAX];
	int r;

	strv_add_take(&refs, ref_canonical(&j->ref));
	if (!j->ref.digest)
		strv_add_take(&refs, pull_job_digest_ref(j, j->result->digest));
	img.refs = refs;
	r = stage_image(j->stage, &img, id, e);
	if (r == 0)
		r = stage_sync_start(j->stage, e);
	if (r < 0)
		return r;
	str_set(&j->result->id, id);
	j->result->outcome = PULL_NEW;
	j->step = JOB_SYNC;
	return 0;
}

/* What is staged is written: the image, or what was finished of one that failed. */
static void job_sync(struct pull_job *j)
{
	struct err e = ERR_INIT;
	int r = stage_sync_step(j->stage, &e);

	if (r == 0)
		return;
	if (r > 0)
		r = stage_commit(j->stage, NULL, &e);
	if (j->result->outcome == PULL_NEW && r < 0) {
		j->result->e = e;
		(void)err_wrap(&j->result->e, r, "%s", j->q->ref);
		j->result->outcome = PULL_FAILED;
	}
	pull_job_end(j, j->result->outcome);
}

/* The pull was cancelled. */
static void keep_layers(struct pull_job *j)
{
	if ((j->step != JOB_LAYERS && j->step != JOB_SYNC) || !j->stage ||
	    !stage_has_layers(j->stage))
		return;
	drop_documents(j);
	(void)stage_commit(j->stage, NULL, NULL); /* else they are fetched again */
}

/* ---- the loop ---------------------------------------------------------------------- */

static void job_advance(struct pull_job *j)
{
	unsigned int downloads, unpacks;
	struct err e = ERR_INIT;
	size_t left = 0;
	int r = 0;

	if (j->step == JOB_SYNC)
		job_sync(j);
	if (j->step != JOB_LAYERS)
		return;
	pull_layers_count(j->pull, &downloads, &unpacks);
	for (size_t i = 0; r == 0 && i < j->n_layers; i++) {
		if (!j->layers[i].done)
			r = pull_layer_advance(&j->layers[i], &downloads, &unpacks, &e);
		left += !j->layers[i].done;
	}
	if (r == 0 && left == 0) {
		r = job_finish(j, &e);
	}
	if (r < 0)
		pull_job_fail(j, &e);
}

static bool all_ended(const struct pull *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->jobs[i].step != JOB_END)
			return false;
	return true;
}

static size_t collect_fds(struct pull *p, struct pollfd *fds)
{
	size_t n = 0;

	fds[n++] = (struct pollfd){ .fd = p->w->cancel_fd, .events = POLLIN };
	n += registries_poll(p->registries, fds + n, MAX_FDS - n);
	for (size_t i = 0; i < p->n; i++) {
		const struct stage *sync = p->jobs[i].step == JOB_SYNC ? p->jobs[i].stage : NULL;

		if (sync && n < MAX_FDS)
			fds[n++] = (struct pollfd){ .fd = stage_sync_fd(sync), .events = POLLIN };
		for (size_t k = 0; k < p->jobs[i].n_layers && n + 2 <= MAX_FDS; k++) {
			const struct pull_layer *l = &p->jobs[i].layers[k];

			if (!l->unpack)
				continue;
			stage_unpack_poll(l->unpack, pull_layer_available(l), fds + n);
			n += 2;
		}
	}
	return n;
}

static void job_init(struct pull_job *j)
{
	struct pull *p = j->pull;
	struct err e = ERR_INIT;
	int r;

	if (j->q->brief)
		j->deadline = now_mono_ns() + BRIEF;
	r = ref_parse(j->q->ref, &j->ref, &e);
	if (r == 0)
		j->result->canonical = ref_canonical(&j->ref);
	if (r == 0)
		r = platform_parse(j->q->platform, &j->platform, &e);
	/* A digest that is there is what it is. */
	if (r == 0 && j->ref.digest && pull_job_is_current(j, j->ref.digest))
		return;
	if (r == 0) {
		registry_config_endpoints(registries_config(p->registries), j->ref.domain,
					  &j->endpoints);
		r = pull_job_start(j, &e);
	}
	if (r < 0)
		pull_job_fail(j, &e);
}

/* Give up those that are late; returns for how many ms to wait at most, -1: for ever. */
static int check_deadlines(struct pull *p)
{
	uint64_t now = now_mono_ns(), next = UINT64_MAX;

	for (size_t i = 0; i < p->n; i++) {
		struct pull_job *j = &p->jobs[i];
		struct err e = ERR_INIT;

		if (!j->deadline || j->step == JOB_END)
			continue;
		if (j->deadline > now) {
			next = MIN(next, j->deadline - now);
			continue;
		}
		j->at = j->endpoints.n; /* no time for another mirror either */
		err_set(&e, ETIMEDOUT, "the registry does not answer");
		pull_job_fail(j, &e);
	}
	return next == UINT64_MAX ? -1 : (int)(next / NSEC_PER_MSEC) + 1;
}

/* Begin as many as may be at work. */
static void start_queued(struct pull *p)
{
	size_t active = 0;

	for (size_t i = 0; i < p->n; i++)
		active += p->jobs[i].step != JOB_QUEUED && p->jobs[i].step != JOB_END;
	for (size_t i = 0; i < p->n && (!p->w->images || active < p->w->images); i++) {
		if (p->jobs[i].step != JOB_QUEUED)
			continue;
		job_init(&p->jobs[i]);
		active += p->jobs[i].step != JOB_END;
	}
}

static int run(struct pull *p, struct err *e)
{
	struct pollfd fds[MAX_FDS];
	int r = 0;

	while (r == 0) {
		int late, wait;
		size_t n;

		start_queued(p);
		late = check_deadlines(p);
		if (all_ended(p))
			break;
		n = collect_fds(p, fds);
		wait = p->w->interval ? p->w->interval(p->w->data) : -1;
		(void)poll(fds, n, late >= 0 && (wait < 0 || late < wait) ? late : wait);
		if (p->w->tick)
			p->w->tick(p->w->data);
		if (fds[0].revents & POLLIN)
			return -ECANCELED;
		r = registries_run(p->registries, e);
		for (size_t i = 0; r == 0 && i < p->n; i++)
			job_advance(&p->jobs[i]);
	}
	return r;
}

/* Layers to unpack at once: one for each core, and so that a slow one holds up no other. */
static unsigned int max_unpacks(void)
{
	cpu_set_t set;
	unsigned int n = 2;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		n = MAX((unsigned int)CPU_COUNT(&set), 2U);
	return MIN(n, 4U);
}

int pull_images(struct store *s, struct registries *registries, const struct pull_request *q,
		size_t n, const struct pull_watch *w, struct pull_result *out, struct err *e)
{
	struct pull p = { .store = s,
			  .registries = registries,
			  .w = w,
			  .jobs = xcalloc(n + 1, sizeof(struct pull_job)),
			  .n = n,
			  .max_unpacks = max_unpacks() };
	int r;

	for (size_t i = 0; i < n; i++) {
		out[i] = (struct pull_result){ 0 };
		p.jobs[i] = (struct pull_job){
			.pull = &p, .index = i, .q = &q[i], .result = &out[i], .step = JOB_QUEUED
		};
	}
	r = run(&p, e);
	for (size_t i = 0; i < n; i++) {
		if (r < 0)
			keep_layers(&p.jobs[i]);
		job_done(&p.jobs[i]);
	}
	free(p.jobs);
	return r;
}
