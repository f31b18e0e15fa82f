#include "firmware.h"

#include <string.h>

enum { CLASS_READ = 0xa1, CLASS_WRITE = 0x21 };
enum { DFU_DETACH = 0, DFU_DOWNLOAD = 1, DFU_UPLOAD = 2, DFU_GET_STATUS = 3 };
enum { DFU_IDLE = 2, DOWNLOAD_IDLE = 5, DETACH_MS = 100 };
/* As long as the published image; what is in it makes no difference here. */
enum { IMAGE_BYTES = 10783, MOST_BLOCK = 4096, CONFIG_BYTES = 9 + 512 };
enum { DT_DFU = 0x21, CLASS_APPLICATION = 0xfe, SUBCLASS_DFU = 1 };

/* Looks for the interface of a boot loader, and in what blocks it takes firmware. */
static bool find_boot_loader(struct device *device, uint16_t *interface, uint16_t *block_bytes)
{
    unsigned char config[CONFIG_BYTES];
    int got = get_descriptor(device, LIBUSB_DT_CONFIG, config, sizeof config);
    bool found = false;
    *block_bytes = 0;
    if (got < 18 || config[2] > got)
        return false;
    for (int at = config[0]; at + 9 <= got && config[at] != 0; at += config[at]) {
        const unsigned char *d = config + at;
        if (d[1] == LIBUSB_DT_INTERFACE && d[4] == 0 && d[5] == CLASS_APPLICATION &&
            d[6] == SUBCLASS_DFU && !found) {
            found = true;
            *interface = d[2];
        } else if (d[1] == DT_DFU) {
            *block_bytes = (uint16_t)(d[5] | d[6] << 8);
        }
    }
    return found && *block_bytes > 0 && *block_bytes <= MOST_BLOCK;
}

/* Blocks, each with its status; an empty one ends the image. */
static bool send_image(struct device *device, uint16_t interface, uint16_t most,
                       unsigned char *image)
{
    size_t sent = 0;
    for (uint16_t block = 0;; block++) {
        size_t left = IMAGE_BYTES - sent;
        uint16_t part = (uint16_t)(left < most ? left : most);
        unsigned char status[6];
        int got = control(device, CLASS_WRITE, DFU_DOWNLOAD, block, interface, image + sent, part);
        int told = control(device, CLASS_READ, DFU_GET_STATUS, 0, interface, status, sizeof status);
        if (got != part || told != sizeof status || status[0] != 0)
            return false;
        if (part == 0)
            return status[4] == DFU_IDLE;
        if (status[4] != DOWNLOAD_IDLE)
            return false;
        sent += part;
    }
}

/* Up to the first block that is not full. */
static bool is_there(struct device *device, uint16_t interface, uint16_t most,
                     const unsigned char *image)
{
    unsigned char back[IMAGE_BYTES + MOST_BLOCK];
    size_t got = 0;
    int part = most;
    for (uint16_t block = 0; part == most; block++) {
        if (got + most > sizeof back)
            return false;
        part = control(device, CLASS_READ, DFU_UPLOAD, block, interface, back + got, most);
        if (part < 0)
            return false;
        got += (size_t)part;
    }
    return got >= IMAGE_BYTES && memcmp(back, image, IMAGE_BYTES) == 0;
}

bool load_firmware(struct device *device)
{
    unsigned char image[IMAGE_BYTES];
    uint16_t interface = 0, block_bytes;
    for (size_t i = 0; i < sizeof image; i++)
        image[i] = (unsigned char)(i * 37 + (i >> 8));
    return find_boot_loader(device, &interface, &block_bytes) &&
           claim_interface(device, interface) >= 0 &&
           send_image(device, interface, block_bytes, image) &&
           is_there(device, interface, block_bytes, image);
}

int detach(struct device *device)
{
    int result = claim_interface(device, 0);
    return result < 0 ? result : control(device, CLASS_WRITE, DFU_DETACH, DETACH_MS, 0, NULL, 0);
}
