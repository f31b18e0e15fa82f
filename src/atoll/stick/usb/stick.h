/* The stand-in libusb's own structures, and what its parts offer each other.
 *
 * One lock guards everything. Functions whose comment says "locked" are called with it held.
 * Callbacks of the program are made without it.
 */
#ifndef ATOLL_STICK_STICK_H
#define ATOLL_STICK_STICK_H

#include <pthread.h>
#include <stdbool.h>

#include "libusb.h"
#include "wire.h"

#define API __attribute__((visibility("default")))

enum {
    MOST_STICKS = 8,
    ENDPOINTS = 4,        /* 1 outputs, 2 events, 3 interrupts; 0 is for control */
    MOST_REGISTERS = 1024,
    MOST_FIRMWARE = 1 << 20,
    FIRMWARE_BLOCK = 256
};

/* Lies before every libusb_transfer, which the program sees. */
struct entry {
    struct entry *next;
    int64_t due_ns; /* when it times out; 0 for never */
    bool submitted;
    _Alignas(16) unsigned char transfer[];
};

struct queue {
    struct entry *head, **tail;
};

/* What the stick sent and the program has not fetched. */
struct packet {
    struct packet *next;
    size_t length;
    unsigned char data[];
};

struct packets {
    struct packet *head, **tail;
};

struct stick_register {
    uint32_t address;
    uint64_t value;
};

/* The boot loader, by the standard for device firmware upgrade (DFU 1.1). */
struct boot_loader {
    unsigned state; /* enum dfu_state */
    uint16_t next_block;
    size_t length;
    unsigned char *image;
    bool downloaded, detached;
};

struct stick {
    unsigned index;
    int socket; /* to the brain; -1 where there is none */

    /* As the brain told last. */
    bool plugged, application;
    enum libusb_speed speed;
    unsigned session; /* another one each time it is plugged in or changes its firmware */

    struct stick_register registers[MOST_REGISTERS];
    size_t register_count;
    struct boot_loader boot;

    struct queue out;
    struct entry *sent; /* the head of `out` while the brain looks at it; NULL if cancelled */
    bool waiting;       /* for FROM_DONE */
    struct queue in[ENDPOINTS];
    struct packets from_stick[ENDPOINTS];
    struct packets held[ENDPOINTS]; /* until the transfer ends that they answer */

    bool asking, answered; /* one question to the brain at a time */
    int answer;
};

struct libusb_device {
    libusb_context *context;
    struct stick *stick;
    unsigned session;
    bool application;
    enum libusb_speed speed;
    int references;
};

struct libusb_device_handle {
    libusb_device *device;
    bool claimed;
};

struct libusb_context {
    libusb_context *next;
    libusb_device *devices[MOST_STICKS]; /* the last known of each */
    struct queue done;
    pthread_cond_t changed;
    bool handling;    /* one thread at a time makes callbacks */
    bool locked;      /* a program holds libusb_lock_events */
    bool interrupted;
    int users;
};

extern pthread_mutex_t stick_lock;

/* devices.c */
libusb_context *context_of(libusb_context *context);
libusb_context *first_context(void);
bool is_alive(const libusb_device_handle *handle); /* locked */

/* brain.c */
unsigned meet_sticks(void);                                           /* locked */
struct stick *stick_at(unsigned index);                               /* locked */
void tell(struct stick *stick, unsigned kind, const void *head, size_t head_length,
          const void *data, size_t length);                           /* locked */
int ask(struct stick *stick, unsigned kind, const void *head, size_t length); /* locked */

/* transfers.c */
struct entry *entry_of(struct libusb_transfer *transfer);
struct libusb_transfer *transfer_of(struct entry *entry);
void push(struct queue *queue, struct entry *entry);
void complete(struct entry *entry, enum libusb_transfer_status status); /* locked */
void out_done(struct stick *stick, enum libusb_transfer_status status); /* locked */
void arrived(struct stick *stick, unsigned endpoint, const void *data, size_t length); /* locked */
void gone(struct stick *stick);                                       /* locked */
void prepare_queues(struct stick *stick);                             /* locked */
void forget_packets(struct stick *stick);                             /* locked */
void drop_transfers(libusb_device_handle *handle);                    /* locked */
int64_t expire(libusb_context *context);                              /* locked */
int64_t now_ns(void);

/* registers.c */
uint64_t read_register(struct stick *stick, uint32_t address);        /* locked */
void set_register(struct stick *stick, uint32_t address, uint64_t value); /* locked */
bool write_register(struct stick *stick, uint32_t address, uint64_t value); /* locked */
void reset_registers(struct stick *stick);                            /* locked */
size_t outfeed_chunk(struct stick *stick);                            /* locked */

/* dfu.c */
int boot_request(struct stick *stick, const struct libusb_control_setup *setup,
                 unsigned char *data);                                /* locked */
void reset_boot_loader(struct stick *stick);                          /* locked */

/* control.c */
int control(struct stick *stick, const struct libusb_control_setup *setup,
            unsigned char *data);                                     /* locked */

/* descriptors.c */
enum { MOST_DESCRIPTOR = 128 };
size_t device_descriptor(bool application, enum libusb_speed speed, unsigned char *out);
size_t config_descriptor(bool application, enum libusb_speed speed, unsigned char *out);
size_t max_packet(enum libusb_speed speed);

#endif
