/* Descriptors: what the stick says of itself, with its firmware and without. */
#include <stdlib.h>
#include <string.h>

#include "stick.h"

enum { CONFIG_BYTES = 9, INTERFACE_BYTES = 9, ENDPOINT_BYTES = 7, COMPANION_BYTES = 6,
       FUNCTIONAL_BYTES = 9 };
enum { BULK = 2, INTERRUPT = 3 };

/* The endpoints that libedgetpu uses. No real stick was at hand to read the rest off. */
static const struct {
    unsigned char address, type;
} APPLICATION_ENDPOINTS[] = {{0x01, BULK}, {0x02, BULK},  {0x03, BULK},
                             {0x81, BULK}, {0x82, BULK}, {0x83, INTERRUPT}};
enum { APPLICATION_ENDPOINT_COUNT =
           sizeof APPLICATION_ENDPOINTS / sizeof *APPLICATION_ENDPOINTS };

size_t max_packet(enum libusb_speed speed)
{
    return speed == LIBUSB_SPEED_SUPER ? 1024 : speed == LIBUSB_SPEED_HIGH ? 512 : 64;
}

static void put16(unsigned char *out, unsigned value)
{
    out[0] = (unsigned char)value;
    out[1] = (unsigned char)(value >> 8);
}

size_t device_descriptor(bool application, enum libusb_speed speed, unsigned char *out)
{
    bool super = speed == LIBUSB_SPEED_SUPER;
    const unsigned char fixed[18] = {18, LIBUSB_DT_DEVICE};
    memcpy(out, fixed, sizeof fixed);
    put16(out + 2, super ? 0x0310 : 0x0200);
    out[7] = super ? 9 : 64; /* of endpoint 0; USB 3 gives the exponent */
    put16(out + 8, application ? 0x18d1 : 0x1a6e);
    put16(out + 10, application ? 0x9302 : 0x089a);
    put16(out + 12, 0x0100);
    out[17] = 1;
    return sizeof fixed;
}

static size_t put_endpoints(enum libusb_speed speed, unsigned char *out)
{
    unsigned char *at = out;
    for (int i = 0; i < APPLICATION_ENDPOINT_COUNT; i++) {
        unsigned char type = APPLICATION_ENDPOINTS[i].type;
        const unsigned char endpoint[ENDPOINT_BYTES] = {
            ENDPOINT_BYTES, LIBUSB_DT_ENDPOINT, APPLICATION_ENDPOINTS[i].address, type};
        memcpy(at, endpoint, sizeof endpoint);
        put16(at + 4, type == BULK ? (unsigned)max_packet(speed) : 64);
        at[6] = type == BULK ? 0 : 4;
        at += ENDPOINT_BYTES;
        if (speed == LIBUSB_SPEED_SUPER) {
            const unsigned char companion[COMPANION_BYTES] = {COMPANION_BYTES, 0x30};
            memcpy(at, companion, sizeof companion);
            at += COMPANION_BYTES;
        }
    }
    return (size_t)(at - out);
}

/* The boot loader takes and gives firmware, in blocks of 256 bytes. */
static size_t put_functional(unsigned char *out)
{
    const unsigned char functional[FUNCTIONAL_BYTES] = {
        FUNCTIONAL_BYTES, 0x21, 0x0b, 0xff, 0x00, FIRMWARE_BLOCK & 0xff, FIRMWARE_BLOCK >> 8,
        0x10, 0x01};
    memcpy(out, functional, sizeof functional);
    return sizeof functional;
}

size_t config_descriptor(bool application, enum libusb_speed speed, unsigned char *out)
{
    const unsigned char config[CONFIG_BYTES] = {CONFIG_BYTES, LIBUSB_DT_CONFIG, 0, 0, 1, 1, 0,
                                                0x80, 0x70};
    const unsigned char boot[INTERFACE_BYTES] = {INTERFACE_BYTES, LIBUSB_DT_INTERFACE, 0, 0, 0,
                                                 0xfe, 1, 2, 0};
    const unsigned char vendor[INTERFACE_BYTES] = {
        INTERFACE_BYTES, LIBUSB_DT_INTERFACE, 0, 0, APPLICATION_ENDPOINT_COUNT, 0xff, 0xff, 0xff,
        0};
    memcpy(out, config, sizeof config);
    memcpy(out + CONFIG_BYTES, application ? vendor : boot, INTERFACE_BYTES);
    size_t length = CONFIG_BYTES + INTERFACE_BYTES;
    length += application ? put_endpoints(speed, out + length) : put_functional(out + length);
    put16(out + 2, (unsigned)length);
    return length;
}

API int libusb_get_device_descriptor(libusb_device *device, struct libusb_device_descriptor *out)
{
    unsigned char raw[MOST_DESCRIPTOR];
    /* Byte by byte the same, on a little-endian machine. */
    device_descriptor(device->application, device->speed, raw);
    memcpy(out, raw, sizeof *out);
    return LIBUSB_SUCCESS;
}

/* All parts of a parsed configuration, in one piece of memory. */
struct parsed {
    struct libusb_config_descriptor config;
    struct libusb_interface interface;
    struct libusb_interface_descriptor setting;
    struct libusb_endpoint_descriptor endpoints[APPLICATION_ENDPOINT_COUNT];
    unsigned char raw[MOST_DESCRIPTOR];
};

static void parse(struct parsed *parsed, size_t length)
{
    const unsigned char *raw = parsed->raw, *end = raw + length;
    const unsigned char *at = raw + CONFIG_BYTES + INTERFACE_BYTES;
    struct libusb_config_descriptor *config = &parsed->config;
    struct libusb_interface_descriptor *setting = &parsed->setting;
    memcpy(config, raw, CONFIG_BYTES);
    config->wTotalLength = (uint16_t)length;
    config->interface = &parsed->interface;
    parsed->interface.altsetting = setting;
    parsed->interface.num_altsetting = 1;
    memcpy(setting, raw + CONFIG_BYTES, INTERFACE_BYTES);
    setting->endpoint = setting->bNumEndpoints > 0 ? parsed->endpoints : NULL;
    struct libusb_endpoint_descriptor *endpoint = NULL;
    for (; at < end; at += at[0]) {
        if (at[1] == LIBUSB_DT_ENDPOINT) {
            endpoint = endpoint == NULL ? parsed->endpoints : endpoint + 1;
            memcpy(endpoint, at, ENDPOINT_BYTES);
        } else if (endpoint != NULL) {
            endpoint->extra = at;
            endpoint->extra_length = at[0];
        } else {
            setting->extra = at;
            setting->extra_length = at[0];
        }
    }
}

API int libusb_get_active_config_descriptor(libusb_device *device,
                                            struct libusb_config_descriptor **out)
{
    struct parsed *parsed = calloc(1, sizeof *parsed);
    if (parsed == NULL)
        return LIBUSB_ERROR_NO_MEM;
    parse(parsed, config_descriptor(device->application, device->speed, parsed->raw));
    *out = &parsed->config;
    return LIBUSB_SUCCESS;
}

API int libusb_get_config_descriptor(libusb_device *device, uint8_t index,
                                     struct libusb_config_descriptor **out)
{
    return index == 0 ? libusb_get_active_config_descriptor(device, out) : LIBUSB_ERROR_NOT_FOUND;
}

API int libusb_get_config_descriptor_by_value(libusb_device *device, uint8_t value,
                                              struct libusb_config_descriptor **out)
{
    return value == 1 ? libusb_get_active_config_descriptor(device, out) : LIBUSB_ERROR_NOT_FOUND;
}

API void libusb_free_config_descriptor(struct libusb_config_descriptor *descriptor)
{
    free(descriptor); /* the first member of its piece of memory */
}

API int libusb_get_string_descriptor_ascii(libusb_device_handle *handle, uint8_t index,
                                           unsigned char *data, int length)
{
    (void)handle, (void)index, (void)data, (void)length;
    return LIBUSB_ERROR_INVALID_PARAM; /* a stick has no texts */
}
