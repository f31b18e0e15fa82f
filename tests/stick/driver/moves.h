/* What is to be moved, what is under way and what is over: libedgetpu's scheduler, for USB. */
#ifndef DRIVER_MOVES_H
#define DRIVER_MOVES_H

#include <stdbool.h>
#include <stddef.h>

#include "worker.h"

/* The moves of one program. */
struct request {
    struct request *next;
    size_t left;      /* moves that are not over */
    size_t begun;     /* of these, such as are not held back by a fence */
    bool interrupted; /* the chip said that it is done */
};

struct io {
    struct io *next;
    struct request *request; /* NULL for what the stick began */
    enum transfer_kind kind;
    int tag;
    unsigned char *data;
    size_t length, active, done;
    bool begun;   /* its header was sent */
    bool matched; /* an interrupt that came */
    unsigned char header[8];
};

struct moves {
    struct request *requests; /* the oldest first */
    struct io *open;          /* in the order of their beginning */
    struct io *pending;       /* behind a fence, or not looked at yet */
    size_t unfinished;        /* requests */
};

void add_moves(struct moves *moves, const struct move *added, size_t count);

/* Takes off what is over from the beginning, and opens what may begin. */
void settle(struct moves *moves);

/* An event of the stick's came. What no chip sends ends the process. */
void take_event(struct moves *moves, int tag);

bool is_complete(const struct io *io);
bool is_empty(const struct moves *moves);

#endif
