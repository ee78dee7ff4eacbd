/* tests/bench/writer.c: lines of 100 bytes to stdout, as fast as a pipe takes them.
 *
 * usage: writer LINES
 *
 * A workload that costs next to nothing, so that what is measured is who reads it.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE  100
#define CHUNK (LINE * 2621) /* a little less than 256 KiB */

int main(int argc, char **argv)
{
	static char text[CHUNK];
	size_t left = argc == 2 ? strtoul(argv[1], NULL, 10) * LINE : 0;

	memset(text, 'x', sizeof(text));
	for (size_t i = LINE - 1; i < sizeof(text); i += LINE)
		text[i] = '\n';
	while (left > 0) {
		size_t at = (LINE - left % LINE) % LINE; /* go on where a short write ended */
		size_t n = left < CHUNK - at ? left : CHUNK - at;
		ssize_t w = write(STDOUT_FILENO, text + at, n);

		if (w <= 0)
			return 1;
		left -= (size_t)w;
	}
	return 0;
}
