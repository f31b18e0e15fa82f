/* Contexts, the list of devices, and opening them. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <time.h>

#include "stick.h"

static libusb_context *default_context;

libusb_context *context_of(libusb_context *context)
{
    return context != NULL ? context : default_context;
}

bool is_alive(const libusb_device_handle *handle)
{
    if (handle == NULL)
        return false;
    const libusb_device *device = handle->device;
    return device->stick->plugged && device->session == device->stick->session;
}

static libusb_context *new_context(void)
{
    libusb_context *context = calloc(1, sizeof *context);
    pthread_condattr_t attributes;
    if (context == NULL)
        return NULL;
    context->done.tail = &context->done.head;
    context->users = 1;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&context->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    return context;
}

API int libusb_init(libusb_context **context)
{
    int result = LIBUSB_SUCCESS;
    pthread_mutex_lock(&stick_lock);
    meet_sticks();
    if (context == NULL && default_context != NULL) {
        default_context->users++;
    } else {
        libusb_context *made = new_context();
        if (made == NULL)
            result = LIBUSB_ERROR_NO_MEM;
        else if (context == NULL)
            default_context = made;
        else
            *context = made;
    }
    pthread_mutex_unlock(&stick_lock);
    return result;
}

API int libusb_init_context(libusb_context **context, const struct libusb_init_option *options,
                            int count)
{
    (void)options, (void)count;
    return libusb_init(context);
}

static void unref(libusb_device *device)
{
    if (--device->references == 0)
        free(device);
}

API void libusb_exit(libusb_context *context)
{
    pthread_mutex_lock(&stick_lock);
    context = context_of(context);
    if (context != NULL && --context->users == 0) {
        for (int i = 0; i < MOST_STICKS; i++)
            if (context->devices[i] != NULL)
                unref(context->devices[i]);
        if (context == default_context)
            default_context = NULL;
        pthread_cond_destroy(&context->changed);
        free(context);
    }
    pthread_mutex_unlock(&stick_lock);
}

/* A stick as this context knows it: another device each time it is plugged in. Locked. */
static libusb_device *current_device(libusb_context *context, struct stick *stick)
{
    libusb_device **known = &context->devices[stick->index];
    if (*known != NULL && (*known)->session == stick->session)
        return *known;
    if (*known != NULL)
        unref(*known);
    *known = calloc(1, sizeof **known);
    if (*known != NULL)
        **known = (libusb_device){.context = context,
                                  .stick = stick,
                                  .session = stick->session,
                                  .application = stick->application,
                                  .speed = stick->speed,
                                  .references = 1};
    return *known;
}

API ssize_t libusb_get_device_list(libusb_context *context, libusb_device ***list)
{
    ssize_t count = 0;
    libusb_device **found = calloc(MOST_STICKS + 1, sizeof *found);
    if (found == NULL)
        return LIBUSB_ERROR_NO_MEM;
    pthread_mutex_lock(&stick_lock);
    context = context_of(context);
    unsigned sticks = context == NULL ? 0 : meet_sticks();
    for (unsigned i = 0; i < sticks; i++) {
        libusb_device *device = NULL;
        if (stick_at(i)->plugged)
            device = current_device(context, stick_at(i));
        if (device != NULL) {
            device->references++;
            found[count++] = device;
        }
    }
    pthread_mutex_unlock(&stick_lock);
    *list = found;
    return count;
}

API void libusb_free_device_list(libusb_device **list, int unref_devices)
{
    if (list == NULL)
        return;
    for (libusb_device **device = list; unref_devices && *device != NULL; device++)
        libusb_unref_device(*device);
    free(list);
}

API libusb_device *libusb_ref_device(libusb_device *device)
{
    pthread_mutex_lock(&stick_lock);
    device->references++;
    pthread_mutex_unlock(&stick_lock);
    return device;
}

API void libusb_unref_device(libusb_device *device)
{
    if (device == NULL)
        return;
    pthread_mutex_lock(&stick_lock);
    unref(device);
    pthread_mutex_unlock(&stick_lock);
}

/* As Linux numbers them: USB 3 has buses of its own. */
API uint8_t libusb_get_bus_number(libusb_device *device)
{
    return device->speed == LIBUSB_SPEED_SUPER ? 2 : 1;
}

API uint8_t libusb_get_port_number(libusb_device *device)
{
    return (uint8_t)(device->stick->index + 1);
}

API int libusb_get_port_numbers(libusb_device *device, uint8_t *ports, int length)
{
    if (length <= 0)
        return LIBUSB_ERROR_INVALID_PARAM;
    ports[0] = libusb_get_port_number(device);
    return 1;
}

API int libusb_get_port_path(libusb_context *context, libusb_device *device, uint8_t *path,
                             uint8_t length)
{
    (void)context;
    return libusb_get_port_numbers(device, path, length);
}

API libusb_device *libusb_get_parent(libusb_device *device)
{
    (void)device;
    return NULL;
}

API uint8_t libusb_get_device_address(libusb_device *device)
{
    return (uint8_t)(2 + (device->session * MOST_STICKS + device->stick->index) % 126);
}

API int libusb_get_device_speed(libusb_device *device)
{
    return device->speed;
}

API int libusb_get_max_packet_size(libusb_device *device, unsigned char endpoint)
{
    return (endpoint & 0x0f) < ENDPOINTS ? (int)max_packet(device->speed)
                                         : LIBUSB_ERROR_NOT_FOUND;
}

API int libusb_get_max_iso_packet_size(libusb_device *device, unsigned char endpoint)
{
    return libusb_get_max_packet_size(device, endpoint);
}

API int libusb_open(libusb_device *device, libusb_device_handle **out)
{
    int result = LIBUSB_ERROR_NO_MEM;
    libusb_device_handle *handle = calloc(1, sizeof *handle);
    if (handle == NULL)
        return result;
    handle->device = device;
    pthread_mutex_lock(&stick_lock);
    result = LIBUSB_ERROR_NO_DEVICE;
    if (is_alive(handle))
        result = ask(device->stick, TO_OPEN, NULL, 0);
    if (result == LIBUSB_SUCCESS) {
        device->references++;
        *out = handle;
    }
    pthread_mutex_unlock(&stick_lock);
    if (result != LIBUSB_SUCCESS)
        free(handle);
    return result;
}

API libusb_device_handle *libusb_open_device_with_vid_pid(libusb_context *context,
                                                          uint16_t vendor, uint16_t product)
{
    libusb_device **list;
    libusb_device_handle *handle = NULL;
    ssize_t count = libusb_get_device_list(context, &list);
    if (count < 0)
        return NULL;
    for (ssize_t i = 0; i < count && handle == NULL; i++) {
        struct libusb_device_descriptor descriptor;
        libusb_get_device_descriptor(list[i], &descriptor);
        if (descriptor.idVendor == vendor && descriptor.idProduct == product &&
            libusb_open(list[i], &handle) != LIBUSB_SUCCESS)
            handle = NULL;
    }
    libusb_free_device_list(list, 1);
    return handle;
}

API void libusb_close(libusb_device_handle *handle)
{
    if (handle == NULL)
        return;
    pthread_mutex_lock(&stick_lock);
    libusb_context *context = handle->device->context;
    drop_transfers(handle);
    if (is_alive(handle)) {
        if (handle->claimed)
            tell(handle->device->stick, TO_RELEASE, NULL, 0, NULL, 0);
        tell(handle->device->stick, TO_CLOSE, NULL, 0, NULL, 0);
    }
    /* A thread that waits for events returns now; libedgetpu relies on that to end. */
    context->interrupted = true;
    pthread_cond_broadcast(&context->changed);
    unref(handle->device);
    pthread_mutex_unlock(&stick_lock);
    free(handle);
}

API libusb_device *libusb_get_device(libusb_device_handle *handle)
{
    return handle->device;
}

API int libusb_claim_interface(libusb_device_handle *handle, int number)
{
    int result = LIBUSB_ERROR_NO_DEVICE;
    pthread_mutex_lock(&stick_lock);
    if (is_alive(handle) && number != 0)
        result = LIBUSB_ERROR_NOT_FOUND;
    else if (is_alive(handle) && handle->claimed)
        result = LIBUSB_SUCCESS;
    else if (is_alive(handle))
        result = ask(handle->device->stick, TO_CLAIM, NULL, 0);
    handle->claimed = handle->claimed || result == LIBUSB_SUCCESS;
    pthread_mutex_unlock(&stick_lock);
    return result;
}

API int libusb_release_interface(libusb_device_handle *handle, int number)
{
    int result = LIBUSB_SUCCESS;
    pthread_mutex_lock(&stick_lock);
    if (!is_alive(handle))
        result = LIBUSB_ERROR_NO_DEVICE;
    else if (number != 0 || !handle->claimed)
        result = LIBUSB_ERROR_NOT_FOUND;
    else
        tell(handle->device->stick, TO_RELEASE, NULL, 0, NULL, 0);
    handle->claimed = false;
    pthread_mutex_unlock(&stick_lock);
    return result;
}

/* After new firmware, or without its old one, the stick comes back as another device. */
API int libusb_reset_device(libusb_device_handle *handle)
{
    int result = LIBUSB_ERROR_NO_DEVICE;
    pthread_mutex_lock(&stick_lock);
    if (is_alive(handle)) {
        struct stick *stick = handle->device->stick;
        uint32_t head[2] = {RESET_PLAIN, (uint32_t)stick->boot.length};
        if (stick->application && stick->boot.detached)
            head[0] = RESET_AFTER_DETACH;
        else if (!stick->application && stick->boot.downloaded)
            head[0] = RESET_AFTER_DOWNLOAD;
        forget_packets(stick);
        result = ask(stick, TO_RESET, head, sizeof head);
        if (is_alive(handle)) {
            reset_registers(stick);
            reset_boot_loader(stick);
        }
    }
    pthread_mutex_unlock(&stick_lock);
    return result;
}
