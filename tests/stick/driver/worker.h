/* The thread that moves data: what is to be sent and received, in the order of a file's hints. */
#ifndef DRIVER_WORKER_H
#define DRIVER_WORKER_H

#include <stddef.h>

#include "chip.h"

enum { TAG_INSTRUCTIONS = 0, TAG_INPUT = 1, TAG_PARAMETERS = 2, TAG_OUTPUT = 3, TAG_INTERRUPT = 4 };
enum { MOST_READERS = 256 };

enum transfer_kind { SEND, RECEIVE, INTERRUPT, FENCE };

/* One hint. */
struct move {
    enum transfer_kind kind;
    int tag;
    unsigned char *data;
    size_t length;
};

struct worker;

/* `readers` reads of outputs are always under way; with 0, each output is read when it is due. */
struct worker *start_worker(struct chip *chip, int readers);

/* Waits until nothing is under way. Like libedgetpu it waits for ever where a stick sent more than
 * was asked for. */
void stop_worker(struct worker *worker);

/* Begins the moves of a program. Several may be under way. */
void begin(struct worker *worker, const struct move *moves, size_t count);

/* Waits until all that was begun is over: for ever, if need be. */
void wait_for_all(struct worker *worker);

#endif
