/* libusb 1.0's binary interface, as far as programs for the Edge TPU use it.
 *
 * Names, values and layouts are those of libusb.h, version 1.0.26; the text is Atoll's own. A
 * program that was compiled against the real header calls the stand-in unchanged.
 */
#ifndef ATOLL_STICK_LIBUSB_H
#define ATOLL_STICK_LIBUSB_H

#include <stddef.h>
#include <stdint.h>
#include <sys/time.h>
#include <sys/types.h>

typedef struct libusb_context libusb_context;
typedef struct libusb_device libusb_device;
typedef struct libusb_device_handle libusb_device_handle;

enum libusb_error {
    LIBUSB_SUCCESS = 0,
    LIBUSB_ERROR_IO = -1,
    LIBUSB_ERROR_INVALID_PARAM = -2,
    LIBUSB_ERROR_ACCESS = -3,
    LIBUSB_ERROR_NO_DEVICE = -4,
    LIBUSB_ERROR_NOT_FOUND = -5,
    LIBUSB_ERROR_BUSY = -6,
    LIBUSB_ERROR_TIMEOUT = -7,
    LIBUSB_ERROR_OVERFLOW = -8,
    LIBUSB_ERROR_PIPE = -9,
    LIBUSB_ERROR_INTERRUPTED = -10,
    LIBUSB_ERROR_NO_MEM = -11,
    LIBUSB_ERROR_NOT_SUPPORTED = -12,
    LIBUSB_ERROR_OTHER = -99
};

enum libusb_speed {
    LIBUSB_SPEED_UNKNOWN = 0,
    LIBUSB_SPEED_LOW = 1,
    LIBUSB_SPEED_FULL = 2,
    LIBUSB_SPEED_HIGH = 3,
    LIBUSB_SPEED_SUPER = 4
};

enum libusb_transfer_status {
    LIBUSB_TRANSFER_COMPLETED,
    LIBUSB_TRANSFER_ERROR,
    LIBUSB_TRANSFER_TIMED_OUT,
    LIBUSB_TRANSFER_CANCELLED,
    LIBUSB_TRANSFER_STALL,
    LIBUSB_TRANSFER_NO_DEVICE,
    LIBUSB_TRANSFER_OVERFLOW
};

enum libusb_transfer_flags {
    LIBUSB_TRANSFER_SHORT_NOT_OK = 1 << 0,
    LIBUSB_TRANSFER_FREE_BUFFER = 1 << 1,
    LIBUSB_TRANSFER_FREE_TRANSFER = 1 << 2
};

enum libusb_transfer_type {
    LIBUSB_TRANSFER_TYPE_CONTROL = 0,
    LIBUSB_TRANSFER_TYPE_ISOCHRONOUS = 1,
    LIBUSB_TRANSFER_TYPE_BULK = 2,
    LIBUSB_TRANSFER_TYPE_INTERRUPT = 3
};

enum { LIBUSB_ENDPOINT_IN = 0x80, LIBUSB_ENDPOINT_OUT = 0x00 };
enum { LIBUSB_REQUEST_GET_DESCRIPTOR = 6 };
enum { LIBUSB_DT_DEVICE = 1, LIBUSB_DT_CONFIG = 2, LIBUSB_DT_INTERFACE = 4, LIBUSB_DT_ENDPOINT = 5 };
enum { LIBUSB_CAP_HAS_CAPABILITY = 0 };

struct libusb_transfer;
typedef void (*libusb_transfer_cb_fn)(struct libusb_transfer *transfer);

struct libusb_iso_packet_descriptor {
    unsigned int length;
    unsigned int actual_length;
    enum libusb_transfer_status status;
};

struct libusb_transfer {
    libusb_device_handle *dev_handle;
    uint8_t flags;
    unsigned char endpoint;
    unsigned char type;
    unsigned int timeout; /* milliseconds; 0 for none */
    enum libusb_transfer_status status;
    int length;
    int actual_length;
    libusb_transfer_cb_fn callback;
    void *user_data;
    unsigned char *buffer;
    int num_iso_packets;
    struct libusb_iso_packet_descriptor iso_packet_desc[];
};

struct libusb_device_descriptor {
    uint8_t bLength;
    uint8_t bDescriptorType;
    uint16_t bcdUSB;
    uint8_t bDeviceClass;
    uint8_t bDeviceSubClass;
    uint8_t bDeviceProtocol;
    uint8_t bMaxPacketSize0;
    uint16_t idVendor;
    uint16_t idProduct;
    uint16_t bcdDevice;
    uint8_t iManufacturer;
    uint8_t iProduct;
    uint8_t iSerialNumber;
    uint8_t bNumConfigurations;
};

struct libusb_endpoint_descriptor {
    uint8_t bLength;
    uint8_t bDescriptorType;
    uint8_t bEndpointAddress;
    uint8_t bmAttributes;
    uint16_t wMaxPacketSize;
    uint8_t bInterval;
    uint8_t bRefresh;
    uint8_t bSynchAddress;
    const unsigned char *extra;
    int extra_length;
};

struct libusb_interface_descriptor {
    uint8_t bLength;
    uint8_t bDescriptorType;
    uint8_t bInterfaceNumber;
    uint8_t bAlternateSetting;
    uint8_t bNumEndpoints;
    uint8_t bInterfaceClass;
    uint8_t bInterfaceSubClass;
    uint8_t bInterfaceProtocol;
    uint8_t iInterface;
    const struct libusb_endpoint_descriptor *endpoint;
    const unsigned char *extra;
    int extra_length;
};

struct libusb_interface {
    const struct libusb_interface_descriptor *altsetting;
    int num_altsetting;
};

struct libusb_config_descriptor {
    uint8_t bLength;
    uint8_t bDescriptorType;
    uint16_t wTotalLength;
    uint8_t bNumInterfaces;
    uint8_t bConfigurationValue;
    uint8_t iConfiguration;
    uint8_t bmAttributes;
    uint8_t MaxPower;
    const struct libusb_interface *interface;
    const unsigned char *extra;
    int extra_length;
};

struct libusb_control_setup {
    uint8_t bmRequestType;
    uint8_t bRequest;
    uint16_t wValue;
    uint16_t wIndex;
    uint16_t wLength;
};

struct libusb_version {
    const uint16_t major;
    const uint16_t minor;
    const uint16_t micro;
    const uint16_t nano;
    const char *rc;
    const char *describe;
};

struct libusb_init_option {
    int option;
    union {
        int64_t ival;
        void (*log_cbval)(libusb_context *, int, const char *);
    } value;
};

struct libusb_pollfd {
    int fd;
    short events;
};

typedef int libusb_hotplug_callback_handle;

/* Descriptors that a virtual stick has none of: nobody sees inside. */
struct libusb_endpoint_companion;
struct libusb_bos;
struct libusb_capability;
struct libusb_capability_details;

/* Measured with the real header on a 64-bit machine. */
#if UINTPTR_MAX == UINT64_MAX
_Static_assert(sizeof(struct libusb_transfer) == 64, "libusb_transfer");
_Static_assert(offsetof(struct libusb_transfer, callback) == 32, "libusb_transfer.callback");
_Static_assert(offsetof(struct libusb_transfer, iso_packet_desc) == 60, "iso_packet_desc");
_Static_assert(sizeof(struct libusb_device_descriptor) == 18, "libusb_device_descriptor");
_Static_assert(sizeof(struct libusb_config_descriptor) == 40, "libusb_config_descriptor");
_Static_assert(sizeof(struct libusb_interface_descriptor) == 40, "libusb_interface_descriptor");
_Static_assert(sizeof(struct libusb_endpoint_descriptor) == 32, "libusb_endpoint_descriptor");
_Static_assert(sizeof(struct libusb_version) == 24, "libusb_version");
_Static_assert(sizeof(struct libusb_control_setup) == 8, "libusb_control_setup");
#endif

int libusb_init(libusb_context **context);
int libusb_init_context(libusb_context **context, const struct libusb_init_option *options,
                        int count);
void libusb_exit(libusb_context *context);
const struct libusb_version *libusb_get_version(void);
int libusb_has_capability(uint32_t capability);
const char *libusb_error_name(int code);
const char *libusb_strerror(int code);
int libusb_setlocale(const char *locale);
int libusb_set_option(libusb_context *context, int option, ...);
void libusb_set_debug(libusb_context *context, int level);
void libusb_set_log_cb(libusb_context *context, void *callback, int mode);

ssize_t libusb_get_device_list(libusb_context *context, libusb_device ***list);
void libusb_free_device_list(libusb_device **list, int unref_devices);
libusb_device *libusb_ref_device(libusb_device *device);
void libusb_unref_device(libusb_device *device);
uint8_t libusb_get_bus_number(libusb_device *device);
uint8_t libusb_get_port_number(libusb_device *device);
int libusb_get_port_numbers(libusb_device *device, uint8_t *ports, int length);
int libusb_get_port_path(libusb_context *context, libusb_device *device, uint8_t *path,
                         uint8_t length);
libusb_device *libusb_get_parent(libusb_device *device);
uint8_t libusb_get_device_address(libusb_device *device);
int libusb_get_device_speed(libusb_device *device);
int libusb_get_max_packet_size(libusb_device *device, unsigned char endpoint);
int libusb_get_max_iso_packet_size(libusb_device *device, unsigned char endpoint);

int libusb_open(libusb_device *device, libusb_device_handle **handle);
libusb_device_handle *libusb_open_device_with_vid_pid(libusb_context *context, uint16_t vendor,
                                                      uint16_t product);
void libusb_close(libusb_device_handle *handle);
libusb_device *libusb_get_device(libusb_device_handle *handle);
int libusb_get_configuration(libusb_device_handle *handle, int *configuration);
int libusb_set_configuration(libusb_device_handle *handle, int configuration);
int libusb_claim_interface(libusb_device_handle *handle, int number);
int libusb_release_interface(libusb_device_handle *handle, int number);
int libusb_set_interface_alt_setting(libusb_device_handle *handle, int number, int setting);
int libusb_clear_halt(libusb_device_handle *handle, unsigned char endpoint);
int libusb_reset_device(libusb_device_handle *handle);
int libusb_kernel_driver_active(libusb_device_handle *handle, int number);
int libusb_detach_kernel_driver(libusb_device_handle *handle, int number);
int libusb_attach_kernel_driver(libusb_device_handle *handle, int number);
int libusb_set_auto_detach_kernel_driver(libusb_device_handle *handle, int enable);

int libusb_get_device_descriptor(libusb_device *device, struct libusb_device_descriptor *out);
int libusb_get_active_config_descriptor(libusb_device *device,
                                        struct libusb_config_descriptor **out);
int libusb_get_config_descriptor(libusb_device *device, uint8_t index,
                                 struct libusb_config_descriptor **out);
int libusb_get_config_descriptor_by_value(libusb_device *device, uint8_t value,
                                          struct libusb_config_descriptor **out);
void libusb_free_config_descriptor(struct libusb_config_descriptor *descriptor);
int libusb_get_string_descriptor_ascii(libusb_device_handle *handle, uint8_t index,
                                       unsigned char *data, int length);

struct libusb_transfer *libusb_alloc_transfer(int iso_packets);
void libusb_free_transfer(struct libusb_transfer *transfer);
int libusb_submit_transfer(struct libusb_transfer *transfer);
int libusb_cancel_transfer(struct libusb_transfer *transfer);
unsigned char *libusb_dev_mem_alloc(libusb_device_handle *handle, size_t length);
int libusb_dev_mem_free(libusb_device_handle *handle, unsigned char *buffer, size_t length);
int libusb_control_transfer(libusb_device_handle *handle, uint8_t request_type, uint8_t request,
                            uint16_t value, uint16_t index, unsigned char *data, uint16_t length,
                            unsigned int timeout);
int libusb_bulk_transfer(libusb_device_handle *handle, unsigned char endpoint, unsigned char *data,
                         int length, int *transferred, unsigned int timeout);
int libusb_interrupt_transfer(libusb_device_handle *handle, unsigned char endpoint,
                              unsigned char *data, int length, int *transferred,
                              unsigned int timeout);

int libusb_handle_events(libusb_context *context);
int libusb_handle_events_completed(libusb_context *context, int *completed);
int libusb_handle_events_timeout(libusb_context *context, struct timeval *tv);
int libusb_handle_events_timeout_completed(libusb_context *context, struct timeval *tv,
                                           int *completed);
int libusb_handle_events_locked(libusb_context *context, struct timeval *tv);
void libusb_interrupt_event_handler(libusb_context *context);
int libusb_try_lock_events(libusb_context *context);
void libusb_lock_events(libusb_context *context);
void libusb_unlock_events(libusb_context *context);
int libusb_event_handling_ok(libusb_context *context);
int libusb_event_handler_active(libusb_context *context);
void libusb_lock_event_waiters(libusb_context *context);
void libusb_unlock_event_waiters(libusb_context *context);
int libusb_wait_for_event(libusb_context *context, struct timeval *tv);
int libusb_get_next_timeout(libusb_context *context, struct timeval *tv);
int libusb_pollfds_handle_timeouts(libusb_context *context);
const struct libusb_pollfd **libusb_get_pollfds(libusb_context *context);
void libusb_free_pollfds(const struct libusb_pollfd **pollfds);
void libusb_set_pollfd_notifiers(libusb_context *context, void *added, void *removed, void *data);
int libusb_hotplug_register_callback(libusb_context *context, int events, int flags, int vendor,
                                     int product, int device_class, void *callback, void *data,
                                     libusb_hotplug_callback_handle *handle);
void libusb_hotplug_deregister_callback(libusb_context *context,
                                        libusb_hotplug_callback_handle handle);
void *libusb_hotplug_get_user_data(libusb_context *context, libusb_hotplug_callback_handle handle);

int libusb_wrap_sys_device(libusb_context *context, intptr_t file, libusb_device_handle **handle);
int libusb_alloc_streams(libusb_device_handle *handle, uint32_t streams, unsigned char *endpoints,
                         int count);
int libusb_free_streams(libusb_device_handle *handle, unsigned char *endpoints, int count);
void libusb_transfer_set_stream_id(struct libusb_transfer *transfer, uint32_t stream);
uint32_t libusb_transfer_get_stream_id(struct libusb_transfer *transfer);
int libusb_get_ss_endpoint_companion_descriptor(libusb_context *context,
                                                const struct libusb_endpoint_descriptor *endpoint,
                                                struct libusb_endpoint_companion **out);
void libusb_free_ss_endpoint_companion_descriptor(struct libusb_endpoint_companion *descriptor);
int libusb_get_bos_descriptor(libusb_device_handle *handle, struct libusb_bos **out);
void libusb_free_bos_descriptor(struct libusb_bos *descriptor);
int libusb_get_usb_2_0_extension_descriptor(libusb_context *context,
                                            struct libusb_capability *capability,
                                            struct libusb_capability_details **out);
void libusb_free_usb_2_0_extension_descriptor(struct libusb_capability_details *descriptor);
int libusb_get_ss_usb_device_capability_descriptor(libusb_context *context,
                                                   struct libusb_capability *capability,
                                                   struct libusb_capability_details **out);
void libusb_free_ss_usb_device_capability_descriptor(struct libusb_capability_details *descriptor);
int libusb_get_container_id_descriptor(libusb_context *context,
                                       struct libusb_capability *capability,
                                       struct libusb_capability_details **out);
void libusb_free_container_id_descriptor(struct libusb_capability_details *descriptor);

#endif
