/* Opening a stick, in libedgetpu's order: descriptor, reset, firmware, registers, readers. */
#define _GNU_SOURCE
#include "opening.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "firmware.h"

enum { BOOT_VENDOR = 0x1a6e, BOOT_PRODUCT = 0x089a, VENDOR = 0x18d1, PRODUCT = 0x9302 };
enum { TRIES = 25, PAUSE_US = 1000000 };

static struct stick *sticks;

void list_sticks(struct paths *paths)
{
    paths->count = 0;
    find_devices(BOOT_VENDOR, BOOT_PRODUCT, paths);
    find_devices(VENDOR, PRODUCT, paths);
}

/* It pauses before the first attempt too. */
static struct device *open_patiently(const char *path, int *error)
{
    struct device *device = NULL;
    for (int i = 0; i < TRIES && device == NULL; i++) {
        usleep(PAUSE_US);
        device = open_device(path, error);
    }
    return device;
}

/* Opens it, with its firmware. Says what failed, NULL for nothing. */
static const char *prepare(struct stick *stick, int *error)
{
    unsigned char d[18];
    struct device *device = open_patiently(stick->path, error);
    if (device == NULL)
        return "OpenDevice";
    *error = get_descriptor(device, LIBUSB_DT_DEVICE, d, sizeof d);
    int vendor = *error == sizeof d ? d[8] | d[9] << 8 : 0;
    int product = d[10] | d[11] << 8;
    bool boots = vendor == BOOT_VENDOR && product == BOOT_PRODUCT;
    if (vendor == VENDOR && product == PRODUCT && stick->settings.always_dfu)
        boots = (*error = detach(device)) >= 0;
    else if (!boots && (vendor != VENDOR || product != PRODUCT))
        *error = LIBUSB_ERROR_OTHER;
    close_device(device, *error >= 0);
    if (*error < 0)
        return "GetDeviceDescriptor";
    if (boots) {
        if ((device = open_patiently(stick->path, error)) == NULL)
            return "OpenDevice";
        bool loaded = load_firmware(device);
        close_device(device, loaded);
        if (!loaded)
            return "UpdateFirmware";
    }
    stick->chip.device = open_patiently(stick->path, error);
    return stick->chip.device == NULL ? "OpenDevice" : NULL;
}

/* As far as that the chip works. */
static const char *set_up(struct stick *stick, int *error)
{
    const char *failed = prepare(stick, error);
    if (failed != NULL)
        return failed;
    stick->chip.slow_link = device_speed(stick->chip.device) == LIBUSB_SPEED_HIGH;
    stick->chip.performance = stick->settings.performance;
    if ((*error = claim_interface(stick->chip.device, 0)) < 0)
        return "ClaimInterface";
    open_chip(&stick->chip);
    *error = stick->chip.error;
    return *error < 0 ? "SendControlCommand" : NULL;
}

static const char *name_of(int error)
{
    switch (error) {
    case LIBUSB_ERROR_ACCESS:
        return "Permission denied";
    case LIBUSB_ERROR_NO_DEVICE:
        return "Unavailable";
    case LIBUSB_ERROR_NOT_FOUND:
        return "Not found";
    case LIBUSB_ERROR_BUSY:
    case LIBUSB_ERROR_TIMEOUT:
        return "Deadline exceeded";
    default:
        return "Unknown";
    }
}

struct stick *open_stick(const char *path, const struct settings *settings, int verbosity)
{
    int error = LIBUSB_ERROR_NOT_FOUND;
    for (struct stick *open = sticks; open != NULL; open = open->next) {
        if (strcmp(open->path, path) == 0) {
            open->users++;
            return open;
        }
    }
    struct stick *stick = calloc(1, sizeof *stick);
    snprintf(stick->path, sizeof stick->path, "%s", path);
    stick->settings = *settings;
    stick->users = 1;
    pthread_mutex_init(&stick->lock, NULL);
    const char *failed = set_up(stick, &error);
    if (failed != NULL) {
        if (verbosity > 0)
            fprintf(stderr, "I :%d] Failed to open device [Apex (USB)] at [%s]: %s: USB error %d "
                    "[%s]\n", __LINE__, path, name_of(error), error, failed);
        if (stick->chip.device != NULL)
            close_device(stick->chip.device, false);
        free(stick);
        return NULL;
    }
    stick->worker = start_worker(&stick->chip, settings->readers);
    stick->next = sticks;
    sticks = stick;
    return stick;
}

struct stick *open_any_stick(const struct settings *settings, int verbosity)
{
    struct paths paths;
    if (sticks != NULL)
        return open_stick(sticks->path, settings, verbosity);
    list_sticks(&paths);
    return paths.count > 0 ? open_stick(paths.path[0], settings, verbosity) : NULL;
}

void release_stick(struct stick *stick)
{
    struct stick **at = &sticks;
    if (--stick->users > 0)
        return;
    while (*at != stick)
        at = &(*at)->next;
    *at = stick->next;
    wait_for_all(stick->worker);
    stop_worker(stick->worker);
    close_chip(&stick->chip);
    close_device(stick->chip.device, false);
    free(stick);
}
