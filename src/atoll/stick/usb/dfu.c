/* The boot loader: it takes firmware by the standard for device firmware upgrade (DFU 1.1). */
#include <stdlib.h>
#include <string.h>

#include "stick.h"

enum dfu_request { DETACH = 0, DOWNLOAD = 1, UPLOAD = 2, GET_STATUS = 3, CLEAR_STATUS = 4,
                   GET_STATE = 5, ABORT = 6 };
enum dfu_state { APPLICATION_IDLE = 0, DFU_IDLE = 2, DOWNLOAD_IDLE = 5, UPLOAD_IDLE = 9,
                 DFU_ERROR = 10 };

void reset_boot_loader(struct stick *stick)
{
    struct boot_loader *boot = &stick->boot;
    free(boot->image);
    *boot = (struct boot_loader){.state = DFU_IDLE};
}

static int refuse(struct boot_loader *boot)
{
    boot->state = DFU_ERROR;
    return LIBUSB_ERROR_PIPE;
}

/* Blocks come in order; an empty one ends the image. */
static int download(struct boot_loader *boot, uint16_t block, const unsigned char *data,
                    size_t length)
{
    if (boot->state == DFU_IDLE) {
        boot->next_block = 0;
        boot->length = 0;
        boot->downloaded = false;
    } else if (boot->state != DOWNLOAD_IDLE) {
        return refuse(boot);
    }
    if (block != boot->next_block || length > FIRMWARE_BLOCK ||
        boot->length + length > MOST_FIRMWARE)
        return refuse(boot);
    if (length == 0) {
        boot->downloaded = boot->length > 0;
        boot->state = boot->downloaded ? DFU_IDLE : DFU_ERROR;
        return 0;
    }
    unsigned char *longer = realloc(boot->image, boot->length + length);
    if (longer == NULL)
        return refuse(boot);
    boot->image = longer;
    memcpy(boot->image + boot->length, data, length);
    boot->length += length;
    boot->next_block++;
    boot->state = DOWNLOAD_IDLE;
    return (int)length;
}

/* What was downloaded, read back; a short block ends it. */
static int upload(struct boot_loader *boot, uint16_t block, unsigned char *data, size_t length)
{
    if (boot->state != DFU_IDLE && boot->state != UPLOAD_IDLE)
        return refuse(boot);
    size_t start = (size_t)block * FIRMWARE_BLOCK;
    size_t left = start < boot->length ? boot->length - start : 0;
    size_t part = left < length ? left : length;
    if (part > 0)
        memcpy(data, boot->image + start, part);
    boot->state = part < length ? DFU_IDLE : UPLOAD_IDLE;
    return (int)part;
}

int boot_request(struct stick *stick, const struct libusb_control_setup *setup,
                 unsigned char *data)
{
    struct boot_loader *boot = &stick->boot;
    if (stick->application) {
        /* It knows one request: to go back to the boot loader at the next reset. */
        if (setup->bRequest != DETACH)
            return LIBUSB_ERROR_PIPE;
        boot->detached = true;
        return 0;
    }
    switch (setup->bRequest) {
    case DOWNLOAD:
        return download(boot, setup->wValue, data, setup->wLength);
    case UPLOAD:
        return upload(boot, setup->wValue, data, setup->wLength);
    case GET_STATUS: {
        /* No error or "unknown", no time to wait, the state, no text. */
        unsigned char status[6] = {boot->state == DFU_ERROR ? 0x0e : 0, 0, 0, 0,
                                   (unsigned char)boot->state, 0};
        if (setup->wLength < sizeof status)
            return LIBUSB_ERROR_PIPE;
        memcpy(data, status, sizeof status);
        return sizeof status;
    }
    case GET_STATE:
        if (setup->wLength < 1)
            return LIBUSB_ERROR_PIPE;
        data[0] = (unsigned char)boot->state;
        return 1;
    case CLEAR_STATUS:
    case ABORT:
        boot->state = DFU_IDLE;
        return 0;
    default:
        return LIBUSB_ERROR_PIPE;
    }
}
