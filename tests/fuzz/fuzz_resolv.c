/* resolv.conf: parse anything, write a container's file from it, and read that
 * back: it must say the same, so no input can smuggle a line into it. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "net/resolv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct resolv_conf host, back;
	struct buf text = BUF_INIT;

	resolv_parse((const char *)data, size, &host);
	resolv_container_text(
		&(struct resolv_container){ .nameservers = host.nameservers, .host = &host },
		&text);
	resolv_parse(buf_str(&text), text.len, &back);
	if (host.nameservers)
		assert(strv_equal(host.nameservers, back.nameservers));
	else
		assert(strv_len(back.nameservers) == 1);
	if (strv_len(host.search) != 1 || !streq(host.search[0], "."))
		assert(strv_equal(host.search, back.search));
	resolv_done(&host);
	resolv_done(&back);
	buf_done(&text);
	return 0;
}
