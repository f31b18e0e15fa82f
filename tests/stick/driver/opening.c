/* Opening a stick, in the order of the published driver: descriptor, reset, firmware, registers. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "usb.h"
#include "streams.h"

enum { VENDOR_READ = 0xc0, VENDOR_WRITE = 0x40, CLASS_READ = 0xa1, CLASS_WRITE = 0x21 };
enum { DFU_DOWNLOAD = 1, DFU_UPLOAD = 2, DFU_GET_STATUS = 3, DFU_IDLE = 2, DOWNLOAD_IDLE = 5 };
enum { FIRMWARE_BYTES = 10783, BLOCK = 256, TIMEOUT_MS = 6000, TRIES = 25 };
enum { POWER = 0x1a318, RUN_CONTROL = 0x44018, TILE_CONFIG = 0x48788 };

static void pause_before_opening(void)
{
    usleep(1000000);
}

static uint64_t read_register(struct opened *stick, uint32_t address, int width)
{
    uint64_t value = 0;
    int got = libusb_control_transfer(stick->handle, VENDOR_READ, width == 4, (uint16_t)address,
                                      (uint16_t)(address >> 16), (unsigned char *)&value,
                                      (uint16_t)width, TIMEOUT_MS);
    if (got != width)
        fatal("register %x cannot be read: %d", address, got);
    return value;
}

static void write_register(struct opened *stick, uint32_t address, int width, uint64_t value)
{
    int got = libusb_control_transfer(stick->handle, VENDOR_WRITE, width == 4, (uint16_t)address,
                                      (uint16_t)(address >> 16), (unsigned char *)&value,
                                      (uint16_t)width, TIMEOUT_MS);
    if (got != width)
        fatal("register %x cannot be written: %d", address, got);
}

/* Without end, as the published driver polls. */
static void poll_register(struct opened *stick, uint32_t address, int width, uint64_t mask,
                          uint64_t wanted)
{
    while ((read_register(stick, address, width) & mask) != wanted)
        usleep(1000);
}

/* Finds the stick again by its place: after a reset it may be another device. */
static int open_at(struct opened *stick)
{
    libusb_device **list;
    int result = LIBUSB_ERROR_NOT_FOUND;
    ssize_t count = libusb_get_device_list(stick->context, &list);
    for (ssize_t i = 0; i < count; i++) {
        uint8_t ports[7];
        if (libusb_get_bus_number(list[i]) == stick->bus &&
            libusb_get_port_numbers(list[i], ports, 7) == 1 && ports[0] == stick->port) {
            result = libusb_open(list[i], &stick->handle);
            break;
        }
    }
    libusb_free_device_list(list, 1);
    return result;
}

static int open_patiently(struct opened *stick)
{
    int result = LIBUSB_ERROR_NOT_FOUND;
    for (int i = 0; i < TRIES && result != LIBUSB_SUCCESS; i++) {
        pause_before_opening();
        result = open_at(stick);
    }
    return result;
}

static void close_with_reset(struct opened *stick)
{
    libusb_reset_device(stick->handle);
    libusb_close(stick->handle);
    stick->handle = NULL;
}

/* Blocks of 256 bytes, each with its status, an empty one, and all of it read back. */
static bool load_firmware(struct opened *stick)
{
    unsigned char image[FIRMWARE_BYTES], back[BLOCK], status[6], config[521];
    size_t sent = 0;
    uint16_t block = 0;
    for (size_t i = 0; i < sizeof image; i++)
        image[i] = (unsigned char)(i * 37 + (i >> 8));
    int got = libusb_control_transfer(stick->handle, LIBUSB_ENDPOINT_IN,
                                      LIBUSB_REQUEST_GET_DESCRIPTOR, LIBUSB_DT_CONFIG << 8, 0,
                                      config, sizeof config, TIMEOUT_MS);
    /* The interface of a boot loader, and its functional descriptor. */
    if (got != 27 || config[14] != 0xfe || config[15] != 1 || config[19] != 0x21)
        return false;
    if (libusb_claim_interface(stick->handle, 0) != LIBUSB_SUCCESS)
        return false;
    for (;;) {
        size_t part = sizeof image - sent < BLOCK ? sizeof image - sent : BLOCK;
        if (libusb_control_transfer(stick->handle, CLASS_WRITE, DFU_DOWNLOAD, block++, 0,
                                    image + sent, (uint16_t)part, TIMEOUT_MS) != (int)part)
            return false;
        if (libusb_control_transfer(stick->handle, CLASS_READ, DFU_GET_STATUS, 0, 0, status,
                                    sizeof status, TIMEOUT_MS) != sizeof status ||
            status[0] != 0 || status[4] != (part > 0 ? DOWNLOAD_IDLE : DFU_IDLE))
            return false;
        if (part == 0)
            break;
        sent += part;
    }
    for (block = 0, sent = 0; sent < sizeof image; block++, sent += BLOCK) {
        size_t part = sizeof image - sent < BLOCK ? sizeof image - sent : BLOCK;
        if (libusb_control_transfer(stick->handle, CLASS_READ, DFU_UPLOAD, block, 0, back, BLOCK,
                                    TIMEOUT_MS) != (int)part ||
            memcmp(back, image + sent, part) != 0)
            return false;
    }
    return true;
}

static void set_up_chip(struct opened *stick, int clock)
{
    static const uint32_t RUN[] = {0x44018, 0x44158, 0x44198, 0x441d8, 0x44218, 0x420c0,
                                   0x42150, 0x42110, 0x42250, 0x42298, 0x422e0, 0x42328,
                                   0x42190, 0x421d0, 0x42210};
    write_register(stick, 0x1a30c, 4, read_register(stick, 0x1a30c, 4) & ~UINT64_C(0x3f00));
    /* Asleep and awake again: the core begins from nothing. */
    uint64_t power = read_register(stick, POWER, 4);
    write_register(stick, POWER, 4, power | UINT64_C(3) << 22);
    poll_register(stick, POWER, 4, 3 << 8, 2 << 8);
    write_register(stick, 0x1907c, 4, 0xf);
    write_register(stick, 0x1907c, 4, 0);
    power = read_register(stick, POWER, 4) & ~(UINT64_C(3) << 22) & UINT64_C(0x0fffffff);
    write_register(stick, POWER, 4,
                   power | UINT64_C(2) << 22 | (uint64_t)clock << 28 | (uint64_t)(clock > 0) << 30);
    poll_register(stick, POWER, 4, 3 << 8, 0);
    poll_register(stick, RUN_CONTROL, 8, ~UINT64_C(0), 0);
    write_register(stick, 0x4a000, 8, 1);
    write_register(stick, TILE_CONFIG, 8, 0x7f);
    poll_register(stick, TILE_CONFIG, 8, ~UINT64_C(0), 0x7f);
    write_register(stick, 0x40020, 8, 0x1e02);
    read_register(stick, 0x1a000, 4);
    write_register(stick, 0x4c148, 8, 0xf0);
    write_register(stick, 0x4c160, 8, 0);
    write_register(stick, 0x4c058, 8, stick->slow_link ? 0x20 : 0x80);
    for (size_t i = 0; i < sizeof RUN / sizeof *RUN; i++)
        write_register(stick, RUN[i], 8, 1);
    write_register(stick, 0x4c060, 8, 1);
    for (uint32_t i = 0; i < 4; i++)
        write_register(stick, 0x4c070 + 0x10 * i, 8, 1);
}

/* Looks at what the chip raised; a fatal error is one for the driver too. */
static void look_at(struct opened *stick, uint32_t raised)
{
    if (raised & 1) {
        uint64_t error = read_register(stick, 0x486f0, 8);
        if (error != 0)
            fatal("HIB Error. hib_error_status = %016llx, hib_first_error_status = %016llx",
                  (unsigned long long)error,
                  (unsigned long long)read_register(stick, 0x48700, 8));
        write_register(stick, 0x4c068, 8, 0);
    }
    if (raised & (1 << 1 | 1 << 4)) {
        uint64_t heat = read_register(stick, 0x1a0dc, 4);
        write_register(stick, 0x1a0dc, 4, heat | (heat >> 31 & 1) << 29 | (heat >> 30 & 1) << 28);
    }
}

static void *watch(void *argument)
{
    struct opened *stick = argument;
    pthread_mutex_lock(&stick->lock);
    while (!stick->ending) {
        if (stick->interrupt_count == 0) {
            pthread_cond_wait(&stick->changed, &stick->lock);
            continue;
        }
        uint32_t raised = stick->interrupts[--stick->interrupt_count];
        pthread_mutex_unlock(&stick->lock);
        look_at(stick, raised);
        pthread_mutex_lock(&stick->lock);
    }
    pthread_mutex_unlock(&stick->lock);
    return NULL;
}

/* Sticks that wait for firmware come first, then the others. */
static bool find(struct opened *stick, int index)
{
    static const uint16_t IDS[][2] = {{0x1a6e, 0x089a}, {0x18d1, 0x9302}};
    libusb_device **list;
    bool found = false;
    ssize_t count = libusb_get_device_list(stick->context, &list);
    for (int k = 0; k < 2 && !found; k++) {
        for (ssize_t i = 0; i < count && !found; i++) {
            struct libusb_device_descriptor d;
            uint8_t ports[7];
            if (libusb_get_device_descriptor(list[i], &d) != LIBUSB_SUCCESS ||
                d.idVendor != IDS[k][0] || d.idProduct != IDS[k][1] || index-- != 0)
                continue;
            found = libusb_get_port_numbers(list[i], ports, 7) == 1;
            stick->bus = libusb_get_bus_number(list[i]);
            stick->port = ports[0];
        }
    }
    libusb_free_device_list(list, 1);
    return found;
}

/* As far as claiming it. Returns what failed, NULL for nothing. */
static const char *prepare(struct opened *stick, int *error)
{
    unsigned char d[18];
    if ((*error = open_patiently(stick)) != LIBUSB_SUCCESS)
        return "OpenDevice";
    *error = libusb_control_transfer(stick->handle, LIBUSB_ENDPOINT_IN,
                                     LIBUSB_REQUEST_GET_DESCRIPTOR, LIBUSB_DT_DEVICE << 8, 0, d,
                                     sizeof d, TIMEOUT_MS);
    if (*error != sizeof d)
        return "GetDeviceDescriptor";
    bool boot_loader = d[8] == 0x6e && d[9] == 0x1a;
    close_with_reset(stick);
    if ((*error = open_patiently(stick)) != LIBUSB_SUCCESS)
        return "OpenDevice";
    if (boot_loader) {
        if (!load_firmware(stick))
            return "UpdateFirmware";
        close_with_reset(stick);
        if ((*error = open_patiently(stick)) != LIBUSB_SUCCESS)
            return "OpenDevice";
    }
    stick->slow_link =
        libusb_get_device_speed(libusb_get_device(stick->handle)) == LIBUSB_SPEED_HIGH;
    *error = libusb_claim_interface(stick->handle, 0);
    return *error == LIBUSB_SUCCESS ? NULL : "ClaimInterface";
}

struct opened *open_stick(int index, int clock, bool verbose)
{
    struct opened *stick = calloc(1, sizeof *stick);
    const char *failed = "EnumerateDevices";
    int error = LIBUSB_ERROR_NOT_FOUND;
    pthread_mutex_init(&stick->lock, NULL);
    pthread_cond_init(&stick->changed, NULL);
    if (libusb_init(&stick->context) != LIBUSB_SUCCESS) {
        free(stick);
        return NULL;
    }
    if (find(stick, index))
        failed = prepare(stick, &error);
    if (failed != NULL) {
        if (verbose)
            fprintf(stderr, "E driver: USB error %d [%s]\n", error, failed);
        if (stick->handle != NULL)
            libusb_close(stick->handle);
        libusb_exit(stick->context);
        free(stick);
        return NULL;
    }
    set_up_chip(stick, clock);
    start_streams(stick);
    stick->watching = pthread_create(&stick->watch, NULL, watch, stick) == 0;
    return stick;
}

void close_stick(struct opened *stick)
{
    stop_streams(stick);
    if (stick->watching)
        pthread_join(stick->watch, NULL);
    libusb_release_interface(stick->handle, 0);
    libusb_close(stick->handle);
    pthread_join(stick->events, NULL);
    libusb_exit(stick->context);
    free(stick->received);
    free(stick);
}
