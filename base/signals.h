/* base/signals.h: signals by name, as users write them. */
#ifndef BASE_SIGNALS_H
#define BASE_SIGNALS_H

/* "SIGTERM", "term", "15", "RTMIN+3", "SIGRTMAX-1": the number, or -EINVAL. */
int signal_parse(const char *text);
/* "SIGTERM", "SIGRTMIN+1", "SIGRTMAX-2"; "signal 32" for one without a name. Static buffer for the latter. */
const char *signal_name(int sig);

#endif
