/* A stand-in for libusb: every transfer is complete at once, and full. */
#include <stdint.h>

struct transfer {
    void *handle; uint8_t flags; unsigned char endpoint, type; unsigned timeout; int status, length,
        actual_length; void (*done)(struct transfer *);
};

__attribute__((visibility("default"))) int libusb_submit_transfer(struct transfer *t) {
    t->actual_length = t->length;
    t->done(t);
    return 0;
}
