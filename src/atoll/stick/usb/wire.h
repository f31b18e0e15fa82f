/* What the stand-in libusb and the brain (atoll/stick/wire.py) say to each other.
 *
 * One stream socket a stick and process. A message is two 32-bit numbers, its kind and the length
 * of what follows, in the machine's own byte order: both ends run on the same machine.
 */
#ifndef ATOLL_STICK_WIRE_H
#define ATOLL_STICK_WIRE_H

enum { WIRE_VERSION = 1 };

/* From the program that uses the stick. */
enum to_brain {
    TO_HELLO = 1,    /* u32 version, u32 stick, u32 process; answered by FROM_STATE */
    TO_OPEN = 2,     /* answered by FROM_ANSWER */
    TO_CLOSE = 3,
    TO_CLAIM = 4,    /* answered by FROM_ANSWER */
    TO_RELEASE = 5,
    TO_RESET = 6,    /* u32 of enum reset_why, u32 firmware bytes; answered by FROM_ANSWER */
    TO_REGISTER = 7, /* u32 address, u64 value: a register was written to */
    TO_OUT = 8       /* u8 endpoint, data: a transfer to the stick; answered by FROM_DONE */
};

/* From the stick. */
enum from_brain {
    FROM_STATE = 1,    /* u32 plugged, u32 application, u32 libusb_speed, u32 session */
    FROM_ANSWER = 2,   /* i32 of enum libusb_error */
    FROM_DONE = 3,     /* u32 of enum libusb_transfer_status */
    FROM_IN = 4,       /* u8 endpoint, data for the host */
    FROM_REGISTER = 5  /* u32 address, u64 value: a register changed by itself */
};

/* What a bus reset comes after. */
enum reset_why { RESET_PLAIN = 0, RESET_AFTER_DOWNLOAD = 1, RESET_AFTER_DETACH = 2 };

#endif
