/* One USB device, as libedgetpu's LocalUsbDevice uses it: a libusb context, a thread for its events
 * and an own transfer for each read and write. */
#ifndef DRIVER_DEVICE_H
#define DRIVER_DEVICE_H

#include <libusb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PATH_BYTES = 64, MOST_DEVICES = 16 };

struct device;

struct paths {
    size_t count;
    char path[MOST_DEVICES][PATH_BYTES]; /* "/sys/bus/usb/devices/2-1" */
};

/* Adds the devices of a vendor and product to a list. */
void find_devices(uint16_t vendor, uint16_t product, struct paths *paths);

/* Opens the device that is at a path now. NULL where that fails, and why in `error`. */
struct device *open_device(const char *path, int *error);

/* Resets it before it is closed, if asked, and waits until it is there again. */
void close_device(struct device *device, bool reset);

int device_speed(struct device *device);

/* What fails is tried five times. Negative for an error of libusb's. */
int claim_interface(struct device *device, int number);
int control(struct device *device, uint8_t request_type, uint8_t request, uint16_t value,
            uint16_t index, void *data, uint16_t length);
int get_descriptor(struct device *device, uint8_t type, unsigned char *data, uint16_t length);

/* Called from the thread for events. */
typedef void (*transfer_done)(void *user, enum libusb_transfer_status status, size_t length);

/* Begins a transfer. Returns an error of libusb's. */
int submit(struct device *device, unsigned char type, unsigned char endpoint, unsigned char *data,
           size_t length, transfer_done done, void *user);

/* Cancels all transfers, and waits for their ends. */
void cancel_transfers(struct device *device);

#endif
