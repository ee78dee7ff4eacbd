/* compose/number.h: numbers as Go writes them, shortest text that reads back the same. */
#ifndef COMPOSE_NUMBER_H
#define COMPOSE_NUMBER_H

#include <stdbool.h>

#define NUMBER_TEXT_MAX 64

/* As fmt's %v and go-yaml: "0.5", "1e+06", ".inf" is "+Inf". @single: a 32-bit float. */
char *number_text(double v, bool single, char buf[NUMBER_TEXT_MAX]);
/* As encoding/json: "0.5", "1000000", "1e+21". */
char *number_json(double v, bool single, char buf[NUMBER_TEXT_MAX]);

#endif
