/* Words with ${…}: the first line is the value of A, the rest is expanded in each way.
 * Splitting must not lose anything: without blanks it is the word itself. */
#include <ctype.h>
#include <stdint.h>

#include "base/strv.h"
#include "engine/build/expand.h"

static void check_split(const struct scope *s, const char *text, const char *word)
{
	_cleanup_(strv_freep) char **words = NULL;

	if (expand_words(s, text, &words, NULL) < 0)
		return;
	for (const char *p = word; *p; p++)
		if (isspace((unsigned char)*p))
			return;
	if (*word && (strv_len(words) != 1 || !streq(words[0], word)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(free_p) char *text = xstrndup((const char *)data, size), *value = NULL;
	char *newline = strchr(text, '\n'), *env[] = { NULL, "EMPTY=", NULL };
	const char *rest = newline ? newline + 1 : text;
	struct build_input in = { 0 };
	struct scope s = { .escape = '\\', .input = &in, .env = env };

	value = xasprintf("A=%.*s", newline ? (int)(newline - text) : 0, text);
	env[0] = value;
	for (int i = 0; i < 2; i++) {
		_cleanup_(free_p) char *word = NULL, *body = NULL;

		s.escape = i ? '`' : '\\';
		if (expand_word(&s, rest, &word, NULL) == 0)
			check_split(&s, rest, word);
		(void)expand_text(&s, rest, &body, NULL);
	}
	return 0;
}
