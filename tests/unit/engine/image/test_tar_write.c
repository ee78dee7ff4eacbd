/* The bytes of a header, which diff ids depend on and which are never to change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "engine/image/digest.h"
#include "engine/image/tar_write.h"

static void plain_file(void **state)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	tar_put_header(&b, &(struct tar_header){ .path = "etc/passwd",
						 .mode = S_IFREG | 04755,
						 .uid = 8,
						 .gid = 01234567,
						 .size = 1000,
						 .mtime = { .tv_sec = 1000000000 } });
	assert_int_equal(b.len, TAR_BLOCK);
	assert_string_equal(b.data, "etc/passwd");
	assert_string_equal(b.data + 100, "0004755");
	assert_string_equal(b.data + 108, "0000010");
	assert_string_equal(b.data + 116, "1234567");
	assert_string_equal(b.data + 124, "00000001750");
	assert_string_equal(b.data + 136, "07346545000");
	assert_int_equal(b.data[156], '0');
	assert_memory_equal(b.data + 257, "ustar\00000", 8);
}

static void records_where_it_takes_them(void **state)
{
	struct tar_xattr xattr = { .name = "user.note", .value = "a\0b", .n = 3 };
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	tar_put_header(&b, &(struct tar_header){ .path = "f",
						 .mode = S_IFREG | 0644,
						 .uid = 3000000000,
						 .size = UINT64_C(1) << 40,
						 .mtime = { .tv_sec = -2, .tv_nsec = 250000000 },
						 .xattrs = &xattr,
						 .n_xattrs = 1 });
	assert_int_equal(b.len, 3 * TAR_BLOCK);
	assert_int_equal(b.data[156], 'x');
	assert_memory_equal(b.data + TAR_BLOCK,
			    "22 size=1099511627776\n"
			    "18 uid=3000000000\n"
			    "15 mtime=-1.75\n"
			    "30 SCHILY.xattr.user.note=a\0b\n",
			    22 + 18 + 15 + 30);
	assert_int_equal(b.data[2 * TAR_BLOCK + 156], '0');
}

/* A name of 100 bytes fills its field; a longer one needs a record, whose length counts
 * its own digits: 9 + 90 is 99 bytes with two digits, one more takes three. */
static void long_names(void **state)
{
	char name[201];

	for (size_t n = 99; n <= 200; n++) {
		_cleanup_(buf_done) struct buf b = BUF_INIT;
		unsigned long said;

		memset(name, 'n', n);
		name[n] = '\0';
		tar_put_header(&b, &(struct tar_header){ .path = name, .mode = S_IFREG | 0644 });
		if (n <= 100) {
			assert_int_equal(b.len, TAR_BLOCK);
			continue;
		}
		assert_int_equal(b.len, 3 * TAR_BLOCK);
		assert_int_equal(sscanf(b.data + TAR_BLOCK, "%lu path=", &said), 1);
		assert_int_equal(b.data[TAR_BLOCK + said - 1], '\n');
		assert_int_equal(b.data[TAR_BLOCK + said], '\0');
	}
}

static void devices_and_links(void **state)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	tar_put_header(&b, &(struct tar_header){ .path = "sda",
						 .mode = S_IFBLK | 0660,
						 .rdev = makedev(259, 65537) });
	assert_int_equal(b.data[156], '4');
	assert_string_equal(b.data + 329, "0000403");
	assert_string_equal(b.data + 337, "0200001");
	buf_truncate(&b, 0);
	tar_put_header(&b,
		       &(struct tar_header){
			       .path = "h", .link = "etc/a", .hardlink = true, .mode = S_IFREG });
	assert_int_equal(b.data[156], '1');
	assert_string_equal(b.data + 157, "etc/a");
}

static void padding(void **state)
{
	assert_int_equal(tar_padding(0), 0);
	assert_int_equal(tar_padding(1), 511);
	assert_int_equal(tar_padding(512), 0);
	assert_int_equal(tar_padding(513), 511);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_file), cmocka_unit_test(records_where_it_takes_them),
		cmocka_unit_test(long_names), cmocka_unit_test(devices_and_links),
		cmocka_unit_test(padding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
