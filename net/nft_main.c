/* comp-nft: apply the nftables rule set on stdin as one transaction.
 *
 * A program of its own because libnftables costs 5 ms and 2.5 MB at load, which
 * nobody should pay who does not change a rule set.  Exit code 0: applied;
 * 1: refused, nothing changed, the reasons are on stdout; 2: could not be read.
 */
#include <nftables/libnftables.h>
#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"

#define RULE_SET_MAX (16 * 1024 * 1024)

int main(void)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	struct nft_ctx *nft;
	const char *said;
	int r;

	fd_ensure_stdio();
	r = fd_read_all(STDIN_FILENO, RULE_SET_MAX, &text);
	if (r < 0) {
		printf("read the rule set: %s\n", strerror(-r));
		return 2;
	}
	nft = nft_ctx_new(NFT_CTX_DEFAULT);
	if (!nft) {
		printf("initialise libnftables\n");
		return 2;
	}
	(void)nft_ctx_buffer_error(nft);
	r = nft_run_cmd_from_buffer(nft, buf_str(&text));
	said = nft_ctx_get_error_buffer(nft);
	if (r != 0 && said)
		printf("%s", said);
	nft_ctx_free(nft);
	return r == 0 ? 0 : 1;
}
