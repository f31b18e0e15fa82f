/* What a virtual stick has none of. Programs are linked with it all the same. */
#include "stick.h"

API int libusb_hotplug_register_callback(libusb_context *context, int events, int flags,
                                         int vendor, int product, int device_class, void *callback,
                                         void *data, libusb_hotplug_callback_handle *handle)
{
    (void)context, (void)events, (void)flags, (void)vendor, (void)product, (void)device_class;
    (void)callback, (void)data, (void)handle;
    return LIBUSB_ERROR_NOT_SUPPORTED; /* as libusb_has_capability says */
}

API void libusb_hotplug_deregister_callback(libusb_context *context,
                                            libusb_hotplug_callback_handle handle)
{
    (void)context, (void)handle;
}

API void *libusb_hotplug_get_user_data(libusb_context *context,
                                       libusb_hotplug_callback_handle handle)
{
    (void)context, (void)handle;
    return NULL;
}

API int libusb_wrap_sys_device(libusb_context *context, intptr_t file,
                               libusb_device_handle **handle)
{
    (void)context, (void)file, (void)handle;
    return LIBUSB_ERROR_NOT_SUPPORTED;
}

API int libusb_alloc_streams(libusb_device_handle *handle, uint32_t streams,
                             unsigned char *endpoints, int count)
{
    (void)handle, (void)streams, (void)endpoints, (void)count;
    return LIBUSB_ERROR_NOT_SUPPORTED;
}

API int libusb_free_streams(libusb_device_handle *handle, unsigned char *endpoints, int count)
{
    (void)handle, (void)endpoints, (void)count;
    return LIBUSB_ERROR_NOT_SUPPORTED;
}

API void libusb_transfer_set_stream_id(struct libusb_transfer *transfer, uint32_t stream)
{
    (void)transfer, (void)stream;
}

API uint32_t libusb_transfer_get_stream_id(struct libusb_transfer *transfer)
{
    (void)transfer;
    return 0;
}

API int libusb_get_ss_endpoint_companion_descriptor(
    libusb_context *context, const struct libusb_endpoint_descriptor *endpoint,
    struct libusb_endpoint_companion **out)
{
    (void)context, (void)endpoint, (void)out;
    return LIBUSB_ERROR_NOT_FOUND;
}

API void libusb_free_ss_endpoint_companion_descriptor(struct libusb_endpoint_companion *descriptor)
{
    (void)descriptor;
}

API int libusb_get_bos_descriptor(libusb_device_handle *handle, struct libusb_bos **out)
{
    (void)handle, (void)out;
    return LIBUSB_ERROR_NOT_FOUND;
}

API void libusb_free_bos_descriptor(struct libusb_bos *descriptor)
{
    (void)descriptor;
}

API int libusb_get_usb_2_0_extension_descriptor(libusb_context *context,
                                                struct libusb_capability *capability,
                                                struct libusb_capability_details **out)
{
    (void)context, (void)capability, (void)out;
    return LIBUSB_ERROR_NOT_FOUND;
}

API void libusb_free_usb_2_0_extension_descriptor(struct libusb_capability_details *descriptor)
{
    (void)descriptor;
}

API int libusb_get_ss_usb_device_capability_descriptor(libusb_context *context,
                                                       struct libusb_capability *capability,
                                                       struct libusb_capability_details **out)
{
    (void)context, (void)capability, (void)out;
    return LIBUSB_ERROR_NOT_FOUND;
}

API void
libusb_free_ss_usb_device_capability_descriptor(struct libusb_capability_details *descriptor)
{
    (void)descriptor;
}

API int libusb_get_container_id_descriptor(libusb_context *context,
                                           struct libusb_capability *capability,
                                           struct libusb_capability_details **out)
{
    (void)context, (void)capability, (void)out;
    return LIBUSB_ERROR_NOT_FOUND;
}

API void libusb_free_container_id_descriptor(struct libusb_capability_details *descriptor)
{
    (void)descriptor;
}
