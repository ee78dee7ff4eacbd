/* base/version.h: the one place that knows our version (the Makefile reads it too). */
#ifndef BASE_VERSION_H
#define BASE_VERSION_H

#ifndef COMP_VERSION
#	define COMP_VERSION "0.1.0"
#endif

#endif
