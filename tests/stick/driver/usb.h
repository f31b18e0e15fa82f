/* A stick as the driver uses it: opened, set up, and fed. */
#ifndef DRIVER_USB_H
#define DRIVER_USB_H

#include <libusb.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OUTPUT_READERS = 32, READERS = OUTPUT_READERS + 2 };
enum { TAG_INSTRUCTIONS = 0, TAG_INPUT = 1, TAG_PARAMETERS = 2 };

struct opened {
    libusb_context *context;
    libusb_device_handle *handle;
    uint8_t bus, port;
    pthread_t events, watch;
    bool ending;     /* of both threads */
    bool cancelling; /* of the readers */
    bool watching;
    bool slow_link;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    int sending;               /* transfers out that are under way */
    int reading;               /* readers that are under way */
    struct libusb_transfer *readers[READERS];
    unsigned char *received;   /* outputs that nobody took yet */
    size_t received_length, received_room;
    int done;                  /* events that a run is over */
    uint32_t interrupts[64];   /* raised and not looked at */
    size_t interrupt_count;
};

/* Opens the stick of a number, and gives it its firmware where it has none. NULL on failure, which
 * is printed where `verbose` is set. `clock` is the power of two that 500 MHz are divided by. */
struct opened *open_stick(int index, int clock, bool verbose);
void close_stick(struct opened *stick);

/* A frame: a header, and data up to 1 MiB a transfer. */
void send_frame(struct opened *stick, int tag, const unsigned char *data, size_t length);
/* Waits, for ever if need be. */
void wait_sent(struct opened *stick);
void receive(struct opened *stick, unsigned char *data, size_t length);
void wait_done(struct opened *stick);

/* Prints a line and ends the process, as the published driver does when a stick fails. */
_Noreturn void fatal(const char *format, ...);

#endif
