/* Transfers that ended, on their way from the thread for events to the worker's own. */
#ifndef DRIVER_ENDINGS_H
#define DRIVER_ENDINGS_H

#include <libusb.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

enum { EVENT_BYTES = 16 };

enum ended { SENT_HEADER, SENT_DATA, RECEIVED, READ_OUTPUT, READ_EVENT, READ_INTERRUPT };

struct io;
struct endings;

struct ending {
    struct ending *next;
    struct endings *endings;
    enum ended what;
    enum libusb_transfer_status status;
    size_t length;   /* that came */
    int reader;      /* of READ_OUTPUT */
    struct io *io;   /* of what is sent or received for a move */
    unsigned char data[EVENT_BYTES];
};

struct endings {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct ending *first, **last;
    bool poked;
};

void prepare_endings(struct endings *endings);

/* An ending to come. */
struct ending *expect(struct endings *endings, enum ended what);

/* To be called with an ending that was expected. */
void on_end(void *ending, enum libusb_transfer_status status, size_t length);

/* The oldest, NULL for none. */
struct ending *next_ending(struct endings *endings);

/* Waits for one, or for a poke. */
void wait_for_ending(struct endings *endings);
void poke(struct endings *endings);

#endif
