/* The chip behind a stick: its registers, in the order in which libedgetpu uses them. */
#ifndef DRIVER_CHIP_H
#define DRIVER_CHIP_H

#include <stdbool.h>
#include <stdint.h>

#include "device.h"

/* The option's words: the chip's clock is 63, 125, 250 or 500 MHz. */
enum performance { PERFORMANCE_LOW, PERFORMANCE_MEDIUM, PERFORMANCE_HIGH, PERFORMANCE_MAX };

struct chip {
    struct device *device;
    enum performance performance;
    bool slow_link;   /* USB 2 */
    bool clock_gated; /* by the hardware */
    int error;        /* the first; nothing is sent behind it */
};

/* Both return false where the stick does not answer. */
bool open_chip(struct chip *chip);
bool close_chip(struct chip *chip);

/* Looks at why the chip raised an interrupt. A fatal error ends the process. */
void answer_interrupt(struct chip *chip, uint32_t raised);

#endif
