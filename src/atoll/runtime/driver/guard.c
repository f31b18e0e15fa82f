/* Counts the bytes that an Edge TPU's output endpoint sends, for atoll.runtime.driver.guard.
 *
 * It is preloaded into the process that hosts the driver, so that the driver's calls of
 * libusb_submit_transfer come here first. Each transfer of the endpoint gets a callback of ours,
 * which counts what arrived and calls the driver's own. Types are those of libusb 1.0's public
 * interface, whose layout does not change within version 1.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#define PUBLIC __attribute__((visibility("default")))

enum { OUTPUT_ENDPOINT = 0x81, BULK = 2, NOT_FOUND = -5, NO_MEMORY = -11 };

struct transfer;
typedef void (*callback)(struct transfer *);

struct transfer {
    void *dev_handle;
    uint8_t flags;
    unsigned char endpoint;
    unsigned char type;
    unsigned int timeout;
    int status;
    int length;
    int actual_length;
    callback done;
    void *user_data;
};

/* What the driver wanted to be called. */
struct kept {
    callback done;
    void *user_data;
};

/* Bytes that arrived; transfers that are waiting; how often none was. */
PUBLIC _Atomic uint64_t atoll_guard_received;
PUBLIC _Atomic int64_t atoll_guard_waiting;
PUBLIC _Atomic uint64_t atoll_guard_dry;

typedef int (*submit)(struct transfer *);

/* The libusb behind us: a preloaded one, or the one that the driver was linked with. */
static submit next_submit(void) {
    static _Atomic(submit) known;
    submit found = atomic_load(&known);
    if (found == NULL) {
        found = (submit)dlsym(RTLD_NEXT, "libusb_submit_transfer");
        if (found == NULL) {
            void *library = dlopen("libusb-1.0.so.0", RTLD_NOW | RTLD_NOLOAD);
            if (library != NULL) found = (submit)dlsym(library, "libusb_submit_transfer");
        }
        atomic_store(&known, found);
    }
    return found;
}

static void no_longer_waiting(void) {
    if (atomic_fetch_sub(&atoll_guard_waiting, 1) == 1) atomic_fetch_add(&atoll_guard_dry, 1);
}

static void arrived(struct transfer *transfer) {
    struct kept *kept = transfer->user_data;
    callback done = kept->done;
    transfer->done = done;
    transfer->user_data = kept->user_data;
    free(kept);
    if (transfer->actual_length > 0)
        atomic_fetch_add(&atoll_guard_received, (uint64_t)transfer->actual_length);
    no_longer_waiting();
    done(transfer); /* which may free the transfer */
}

PUBLIC int libusb_submit_transfer(struct transfer *transfer) {
    submit next = next_submit();
    if (next == NULL) return NOT_FOUND;
    if (transfer->endpoint != OUTPUT_ENDPOINT || transfer->type != BULK) return next(transfer);
    struct kept *kept = malloc(sizeof *kept);
    if (kept == NULL) return NO_MEMORY;
    kept->done = transfer->done;
    kept->user_data = transfer->user_data;
    transfer->done = arrived;
    transfer->user_data = kept;
    atomic_fetch_add(&atoll_guard_waiting, 1);
    int status = next(transfer);
    if (status != 0) {
        no_longer_waiting();
        transfer->done = kept->done;
        transfer->user_data = kept->user_data;
        free(kept);
    }
    return status;
}
