#define _GNU_SOURCE
#include "device.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fatal.h"

enum { TRIES = 5, TRIES_TO_SEE = 3, MOST_PORTS = 7 };
enum { TIMEOUT_MS = 6000, DESCRIPTOR_TIMEOUT_MS = 1000 };
#define PATH_PREFIX "/sys/bus/usb/devices/"

/* A transfer that is under way. */
struct flight {
    struct flight *next;
    struct device *device;
    struct libusb_transfer *transfer;
    transfer_done done;
    void *user;
};

struct device {
    libusb_context *context;
    libusb_device_handle *handle;
    pthread_t events;
    atomic_bool running;
    pthread_mutex_t lock; /* one call at a time */
    bool claimed;
    unsigned timeout_ms;

    pthread_mutex_t flight_lock;
    pthread_cond_t landed;
    struct flight *flights;
};

/* Where a device is, in the driver's words. False where libusb does not know. */
static bool path_of(libusb_device *device, char *path)
{
    uint8_t ports[MOST_PORTS];
    int depth = libusb_get_port_numbers(device, ports, MOST_PORTS);
    int length = snprintf(path, PATH_BYTES, PATH_PREFIX "%d", libusb_get_bus_number(device));
    for (int i = 0; i < depth; i++)
        length += snprintf(path + length, PATH_BYTES - (size_t)length, "%c%d", i ? '.' : '-',
                           ports[i]);
    return depth >= 0;
}

void find_devices(uint16_t vendor, uint16_t product, struct paths *paths)
{
    libusb_context *context;
    libusb_device **list;
    if (libusb_init(&context) != LIBUSB_SUCCESS)
        return;
    ssize_t count = libusb_get_device_list(context, &list);
    for (ssize_t i = 0; i < count && paths->count < MOST_DEVICES; i++) {
        struct libusb_device_descriptor descriptor;
        if (libusb_get_device_descriptor(list[i], &descriptor) == LIBUSB_SUCCESS &&
            descriptor.idVendor == vendor && descriptor.idProduct == product &&
            path_of(list[i], paths->path[paths->count]))
            paths->count++;
    }
    libusb_free_device_list(list, 1);
    libusb_exit(context);
}

static void *handle_events(void *argument)
{
    struct device *device = argument;
    while (atomic_load(&device->running))
        libusb_handle_events(device->context);
    return NULL;
}

static struct device *new_device(libusb_context *context, libusb_device_handle *handle)
{
    struct device *device = calloc(1, sizeof *device);
    /* For tests that cannot wait for six seconds. */
    const char *timeout = getenv("DRIVER_TIMEOUT_MS");
    device->timeout_ms = timeout != NULL ? (unsigned)atoi(timeout) : TIMEOUT_MS;
    device->context = context;
    device->handle = handle;
    pthread_mutex_init(&device->lock, NULL);
    pthread_mutex_init(&device->flight_lock, NULL);
    pthread_cond_init(&device->landed, NULL);
    atomic_init(&device->running, true);
    if (pthread_create(&device->events, NULL, handle_events, device) != 0)
        fatal("no thread");
    return device;
}

struct device *open_device(const char *path, int *error)
{
    libusb_context *context;
    libusb_device **list, *found = NULL;
    libusb_device_handle *handle = NULL;
    if (libusb_init(&context) != LIBUSB_SUCCESS)
        return NULL;
    ssize_t count = libusb_get_device_list(context, &list);
    for (ssize_t i = 0; i < count && found == NULL; i++) {
        char here[PATH_BYTES];
        if (path_of(list[i], here) && strcmp(here, path) == 0)
            found = list[i];
    }
    *error = found == NULL ? LIBUSB_ERROR_NOT_FOUND : libusb_open(found, &handle);
    libusb_free_device_list(list, 1);
    if (*error == LIBUSB_SUCCESS)
        return new_device(context, handle);
    libusb_exit(context);
    return NULL;
}

/* After a reset it may take a while until the system shows it again. */
static void wait_until_seen(libusb_context *context, int bus, int port)
{
    for (int i = 0; i < TRIES_TO_SEE; i++) {
        libusb_device **list;
        bool seen = false;
        ssize_t count = libusb_get_device_list(context, &list);
        for (ssize_t k = 0; k < count && !seen; k++)
            seen = libusb_get_bus_number(list[k]) == bus && libusb_get_port_number(list[k]) == port;
        libusb_free_device_list(list, 1);
        if (seen)
            return;
        sleep(1);
    }
}

void close_device(struct device *device, bool reset)
{
    pthread_mutex_lock(&device->lock);
    if (device->claimed)
        libusb_release_interface(device->handle, 0);
    cancel_transfers(device);
    if (reset)
        libusb_reset_device(device->handle);
    atomic_store(&device->running, false);
    libusb_device *place = libusb_get_device(device->handle);
    int bus = libusb_get_bus_number(place), port = libusb_get_port_number(place);
    /* This wakes the thread for events. */
    libusb_close(device->handle);
    pthread_join(device->events, NULL);
    wait_until_seen(device->context, bus, port);
    libusb_exit(device->context);
    pthread_mutex_unlock(&device->lock);
    free(device);
}

int device_speed(struct device *device)
{
    pthread_mutex_lock(&device->lock);
    int speed = libusb_get_device_speed(libusb_get_device(device->handle));
    pthread_mutex_unlock(&device->lock);
    return speed;
}

int claim_interface(struct device *device, int number)
{
    int result = LIBUSB_ERROR_OTHER;
    pthread_mutex_lock(&device->lock);
    for (int i = 0; i < TRIES && result < 0; i++)
        result = libusb_claim_interface(device->handle, number);
    device->claimed = result >= 0;
    pthread_mutex_unlock(&device->lock);
    return result;
}

static int try_control(struct device *device, const struct libusb_control_setup *setup, void *data,
                       unsigned timeout)
{
    int result = LIBUSB_ERROR_OTHER;
    pthread_mutex_lock(&device->lock);
    for (int i = 0; i < TRIES && result < 0; i++)
        result = libusb_control_transfer(device->handle, setup->bmRequestType, setup->bRequest,
                                         setup->wValue, setup->wIndex, data, setup->wLength,
                                         timeout);
    pthread_mutex_unlock(&device->lock);
    return result;
}

int control(struct device *device, uint8_t request_type, uint8_t request, uint16_t value,
            uint16_t index, void *data, uint16_t length)
{
    struct libusb_control_setup setup = {request_type, request, value, index, length};
    return try_control(device, &setup, data, TIMEOUT_MS);
}

/* libusb's own function for this is an inline one: a control transfer. */
int get_descriptor(struct device *device, uint8_t type, unsigned char *data, uint16_t length)
{
    struct libusb_control_setup setup = {LIBUSB_ENDPOINT_IN, LIBUSB_REQUEST_GET_DESCRIPTOR,
                                         (uint16_t)(type << 8), 0, length};
    return try_control(device, &setup, data, DESCRIPTOR_TIMEOUT_MS);
}

static void unregister(struct flight *flight)
{
    struct device *device = flight->device;
    pthread_mutex_lock(&device->flight_lock);
    struct flight **at = &device->flights;
    while (*at != flight)
        at = &(*at)->next;
    *at = flight->next;
    pthread_cond_broadcast(&device->landed);
    pthread_mutex_unlock(&device->flight_lock);
    free(flight);
}

static void on_end(struct libusb_transfer *transfer)
{
    struct flight *flight = transfer->user_data;
    flight->done(flight->user, transfer->status, (size_t)transfer->actual_length);
    unregister(flight);
}

int submit(struct device *device, unsigned char type, unsigned char endpoint, unsigned char *data,
           size_t length, transfer_done done, void *user)
{
    struct flight *flight = malloc(sizeof *flight);
    pthread_mutex_lock(&device->lock);
    struct libusb_transfer *transfer = libusb_alloc_transfer(0);
    *flight = (struct flight){NULL, device, transfer, done, user};
    pthread_mutex_lock(&device->flight_lock);
    flight->next = device->flights;
    device->flights = flight;
    pthread_mutex_unlock(&device->flight_lock);
    transfer->dev_handle = device->handle;
    transfer->endpoint = endpoint;
    transfer->type = type;
    transfer->timeout = device->timeout_ms;
    transfer->buffer = data;
    transfer->length = (int)length;
    transfer->callback = on_end;
    transfer->user_data = flight;
    transfer->flags = LIBUSB_TRANSFER_FREE_TRANSFER;
    if (!(endpoint & LIBUSB_ENDPOINT_IN))
        transfer->flags |= LIBUSB_TRANSFER_SHORT_NOT_OK;
    int result = libusb_submit_transfer(transfer);
    if (result != LIBUSB_SUCCESS) {
        unregister(flight);
        libusb_free_transfer(transfer);
    }
    pthread_mutex_unlock(&device->lock);
    return result;
}

void cancel_transfers(struct device *device)
{
    pthread_mutex_lock(&device->flight_lock);
    for (struct flight *flight = device->flights; flight != NULL; flight = flight->next)
        libusb_cancel_transfer(flight->transfer);
    while (device->flights != NULL)
        pthread_cond_wait(&device->landed, &device->flight_lock);
    pthread_mutex_unlock(&device->flight_lock);
}
