/* Control transfers: descriptors, firmware, registers. */
#include <string.h>

#include "stick.h"

enum { FROM_DEVICE = 0x80, TYPE = 0x60, STANDARD = 0x00, CLASS = 0x20, VENDOR = 0x40 };
enum { REGISTER_64 = 0, REGISTER_32 = 1 };

static int get_descriptor(struct stick *stick, const struct libusb_control_setup *setup,
                          unsigned char *data)
{
    unsigned char descriptor[MOST_DESCRIPTOR];
    size_t length;
    switch (setup->wValue >> 8) {
    case LIBUSB_DT_DEVICE:
        length = device_descriptor(stick->application, stick->speed, descriptor);
        break;
    case LIBUSB_DT_CONFIG:
        length = config_descriptor(stick->application, stick->speed, descriptor);
        break;
    default:
        return LIBUSB_ERROR_PIPE;
    }
    if (length > setup->wLength)
        length = setup->wLength;
    memcpy(data, descriptor, length);
    return (int)length;
}

/* The address is in wValue (low) and wIndex (high). Both ends are little-endian. */
static int access_register(struct stick *stick, const struct libusb_control_setup *setup,
                           unsigned char *data)
{
    uint32_t address = setup->wValue | (uint32_t)setup->wIndex << 16;
    uint16_t width = setup->bRequest == REGISTER_32 ? 4 : 8;
    uint64_t value = 0;
    if (!stick->application || setup->bRequest > REGISTER_32 || setup->wLength != width)
        return LIBUSB_ERROR_PIPE;
    if (setup->bmRequestType & FROM_DEVICE) {
        value = read_register(stick, address);
        memcpy(data, &value, width);
        return width;
    }
    memcpy(&value, data, width);
    if (!write_register(stick, address, value))
        return LIBUSB_ERROR_PIPE;
    tell(stick, TO_REGISTER, &address, sizeof address, &value, sizeof value);
    return width;
}

int control(struct stick *stick, const struct libusb_control_setup *setup, unsigned char *data)
{
    switch (setup->bmRequestType & TYPE) {
    case STANDARD:
        if (setup->bmRequestType == FROM_DEVICE &&
            setup->bRequest == LIBUSB_REQUEST_GET_DESCRIPTOR)
            return get_descriptor(stick, setup, data);
        return LIBUSB_ERROR_PIPE;
    case CLASS:
        return boot_request(stick, setup, data);
    case VENDOR:
        return access_register(stick, setup, data);
    default:
        return LIBUSB_ERROR_PIPE;
    }
}

API int libusb_control_transfer(libusb_device_handle *handle, uint8_t request_type,
                                uint8_t request, uint16_t value, uint16_t index,
                                unsigned char *data, uint16_t length, unsigned int timeout)
{
    struct libusb_control_setup setup = {request_type, request, value, index, length};
    (void)timeout; /* the stick answers at once */
    pthread_mutex_lock(&stick_lock);
    int result = is_alive(handle) ? control(handle->device->stick, &setup, data)
                                  : LIBUSB_ERROR_NO_DEVICE;
    pthread_mutex_unlock(&stick_lock);
    return result;
}
