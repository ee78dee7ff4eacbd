/* engine/image/fetch_upload.c: a blob goes up in three requests: is it there (HEAD), where
 * may it go (POST), take it (PUT to where POST said).  POST may name a repository that
 * has it: 201 then means that it is there, without a byte sent, and 202 goes on as ever.
 */
#include "engine/image/fetch_internal.h"

bool upload_forget_mount(struct call *k)
{
	if (k->step != STEP_POST || !k->from)
		return false;
	free(k->from);
	k->from = NULL;
	return true;
}

void upload_next(struct call *k, const struct http_answer *a)
{
	if (k->step == STEP_HEAD && a->status == 200) {
		call_done(k, a, true);
	} else if (k->step == STEP_HEAD && a->status == 404) {
		k->step = STEP_POST;
		call_start(k);
	} else if (k->step == STEP_POST && k->from && a->status == 201) {
		call_done(k, a, true);
	} else if (k->step == STEP_POST && a->status == 202 && a->location) {
		_cleanup_(free_p) char *to = fetch_resolve_url(k->url, a->location);

		if (!to || (skip_prefix(k->url, "https://") && !skip_prefix(to, "https://"))) {
			call_failf(k, a->status, EPROTO,
				   "the registry names no place to upload to");
			return;
		}
		free(k->location);
		k->location = xasprintf("%s%cdigest=%s", to, strchr(to, '?') ? '&' : '?',
					k->digest);
		k->step = STEP_PUT;
		call_start(k);
	} else if (k->step == STEP_PUT && (a->status == 201 || a->status == 204)) {
		call_done(k, a, false);
	} else if (a->status != 401 && upload_forget_mount(k)) {
		call_start(k); /* a registry that knows no mounts */
	} else {
		call_fail_status(k, a);
	}
}

/* Start an upload over: where it was to go is no longer good after an error. */
void upload_rewind(struct call *k)
{
	if (k->kind != CALL_UPLOAD)
		return;
	k->step = STEP_HEAD;
	free(k->location);
	k->location = NULL;
}
