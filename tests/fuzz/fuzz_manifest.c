/* The JSON documents of images.  The first byte chooses which. */
#include <assert.h>
#include <stdlib.h>

#include "engine/image/config.h"
#include "engine/image/digest.h"
#include "engine/image/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void config(const char *text, size_t n)
{
	struct image_config c, c2;
	json *j;

	if (image_config_parse(text, n, &c, NULL) < 0)
		return;
	for (char **d = c.diff_ids; d && *d; d++)
		assert(digest_is_valid(*d));
	j = image_config_to_json(&c);
	assert(image_config_parse(json_text(j), strlen(json_text(j)), &c2, NULL) == 0 ||
	       strlen(json_text(j)) > CONFIG_MAX_SIZE);
	json_unref(j);
	image_config_done(&c);
	image_config_done(&c2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 1;
	struct saved_images saved;
	struct image_index index;
	struct manifest m;

	if (size < 1)
		return 0;
	size--;
	switch (data[0]) {
	case 'c':
		config(text, size);
		break;
	case 'm':
		if (manifest_parse(text, size, NULL, &m, NULL) == 0) {
			assert(digest_is_valid(m.config.digest));
			manifest_done(&m);
		}
		break;
	case 'i':
		if (image_index_parse(text, size, NULL, &index, NULL) == 0) {
			for (size_t i = 0; i < index.n; i++)
				(void)platform_match(&index.items[i]);
			image_index_done(&index);
		}
		break;
	case 's':
		if (saved_images_parse(text, size, &saved, NULL) == 0)
			saved_images_done(&saved);
		break;
	}
	return 0;
}
