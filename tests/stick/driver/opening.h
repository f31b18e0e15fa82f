/* Sticks of this process: each is opened once, however many delegates use it. */
#ifndef DRIVER_OPENING_H
#define DRIVER_OPENING_H

#include <pthread.h>
#include <stdbool.h>

#include "run.h"
#include "worker.h"

struct settings {
    enum performance performance;
    bool always_dfu;
    int readers;
};

struct stick {
    struct stick *next;
    char path[PATH_BYTES];
    int users;
    struct settings settings;
    struct chip chip;
    struct worker *worker;
    pthread_mutex_t lock; /* one run at a time */
    struct cache cache;
};

/* Where sticks are: those that wait for firmware first. */
void list_sticks(struct paths *paths);

/* Opens the stick at a path, or shares it where it is open. NULL on failure, which is told where
 * `verbosity` is 1 and more. */
struct stick *open_stick(const char *path, const struct settings *settings, int verbosity);

/* An open stick, or the first that is not: NULL where there is none. */
struct stick *open_any_stick(const struct settings *settings, int verbosity);

void release_stick(struct stick *stick);

#endif
