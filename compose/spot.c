/* compose/spot.c: paths as text; see spot.h. */
#include "compose/spot.h"

#include <stdio.h>

static void add(const struct spot *s, struct buf *out)
{
	if (!s->up)
		return;
	add(s->up, out);
	if (s->name)
		buf_printf(out, "%s%s", out->len ? "." : "", s->name);
	else
		buf_printf(out, "[%zu]", s->index);
}

char *spot_text(const struct spot *s, char buf[SPOT_TEXT_MAX])
{
	_cleanup_(buf_done) struct buf text = BUF_INIT;

	add(s, &text);
	if (text.len < SPOT_TEXT_MAX)
		snprintf(buf, SPOT_TEXT_MAX, "%s", buf_str(&text));
	else
		snprintf(buf, SPOT_TEXT_MAX, "…%s", buf_str(&text) + text.len - SPOT_TEXT_MAX + 8);
	return buf;
}
