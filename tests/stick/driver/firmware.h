/* Giving a stick its firmware, by the standard for device firmware upgrade (DFU 1.1). */
#ifndef DRIVER_FIRMWARE_H
#define DRIVER_FIRMWARE_H

#include <stdbool.h>

#include "device.h"

/* Sends an image, and reads it back. */
bool load_firmware(struct device *device);

/* Has a stick with firmware go back to its boot loader at the next reset. */
int detach(struct device *device);

#endif
