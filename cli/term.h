/* cli/term.h: the user's terminal: size, raw mode, and back again.
 *
 * Whatever ends the program, the terminal is given back as it was found:
 * term_raw() registers an atexit(3) handler, and fatal signals are caught once
 * to restore before they take effect.
 */
#ifndef CLI_TERM_H
#define CLI_TERM_H

#include "base/err.h"

/* Size of the terminal behind @fd; 24 by 80 when it has none. */
void term_size(int fd, unsigned int *rows, unsigned int *cols);
/* As term_size(), but false and untouched when @fd is no terminal. */
bool term_real_size(int fd, unsigned int *rows, unsigned int *cols);
/* Give the pty behind @fd this size. */
void term_set_size(int fd, unsigned int rows, unsigned int cols);

/* No echo, no line editing, no signals from keys.  One terminal at a time. */
int term_raw(int fd, struct err *e);
void term_restore(void); /* harmless when not raw */

#endif
