/* cli/humanize.h: durations and sizes in Docker's words. */
#ifndef CLI_HUMANIZE_H
#define CLI_HUMANIZE_H

#include <stdint.h>

#include "base/err.h"

#define HUMAN_MAX 40

/* "Less than a second", "5 seconds", "About a minute", "2 hours", "3 weeks". */
char *human_duration(uint64_t ns, char buf[HUMAN_MAX]);
/* The same with " ago" for a CLOCK_REALTIME point; "N/A" for 0. */
char *human_ago(uint64_t real_ns, char buf[HUMAN_MAX]);
/* Powers of 1000, four significant digits: "1.094GB", "7.66kB", "0B". */
char *human_size(uint64_t bytes, char buf[HUMAN_MAX]);
/* The same with three digits: "1.09GB". */
char *human_size_short(uint64_t bytes, char buf[HUMAN_MAX]);
/* Powers of 1024, four significant digits: "1.5MiB", "0B". */
char *human_bytes(uint64_t bytes, char buf[HUMAN_MAX]);
/* "2026-11-20 12:00:00 +0000 UTC", as Go prints a time. */
char *human_time(uint64_t real_ns, char buf[HUMAN_MAX]);

/* A point in time as --since and --until take it: RFC 3339, a date, seconds
 * since 1970 (with fraction), or a duration before now ("42m").  CLOCK_REALTIME ns. */
int time_point_parse(const char *text, uint64_t now_ns, uint64_t *out, struct err *e);
/* Go's time.ParseDuration, "1h2m3.5s"; a bare number is seconds. */
int duration_parse(const char *text, int64_t *ns);

#endif
