/* How the driver ends its process. */
#ifndef DRIVER_FATAL_H
#define DRIVER_FATAL_H

#include <stdio.h>
#include <stdlib.h>

/* Prints a line as the published builds do, and ends the process. */
#define fatal(...) \
    (fprintf(stderr, "F :%d] ", __LINE__), fprintf(stderr, __VA_ARGS__), fputc('\n', stderr), \
     abort())

#endif
