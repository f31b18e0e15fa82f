/* What programs call that makes no difference to a virtual stick; names and versions. */
#include <stdlib.h>

#include "stick.h"

static const struct {
    int code;
    const char *name, *text;
} ERRORS[] = {
    {LIBUSB_SUCCESS, "LIBUSB_SUCCESS", "Success"},
    {LIBUSB_ERROR_IO, "LIBUSB_ERROR_IO", "Input/Output Error"},
    {LIBUSB_ERROR_INVALID_PARAM, "LIBUSB_ERROR_INVALID_PARAM", "Invalid parameter"},
    {LIBUSB_ERROR_ACCESS, "LIBUSB_ERROR_ACCESS", "Access denied (insufficient permissions)"},
    {LIBUSB_ERROR_NO_DEVICE, "LIBUSB_ERROR_NO_DEVICE",
     "No such device (it may have been disconnected)"},
    {LIBUSB_ERROR_NOT_FOUND, "LIBUSB_ERROR_NOT_FOUND", "Entity not found"},
    {LIBUSB_ERROR_BUSY, "LIBUSB_ERROR_BUSY", "Resource busy"},
    {LIBUSB_ERROR_TIMEOUT, "LIBUSB_ERROR_TIMEOUT", "Operation timed out"},
    {LIBUSB_ERROR_OVERFLOW, "LIBUSB_ERROR_OVERFLOW", "Overflow"},
    {LIBUSB_ERROR_PIPE, "LIBUSB_ERROR_PIPE", "Pipe error"},
    {LIBUSB_ERROR_INTERRUPTED, "LIBUSB_ERROR_INTERRUPTED",
     "System call interrupted (perhaps due to signal)"},
    {LIBUSB_ERROR_NO_MEM, "LIBUSB_ERROR_NO_MEM", "Insufficient memory"},
    {LIBUSB_ERROR_NOT_SUPPORTED, "LIBUSB_ERROR_NOT_SUPPORTED",
     "Operation not supported or unimplemented on this platform"},
    {LIBUSB_ERROR_OTHER, "LIBUSB_ERROR_OTHER", "Other error"},
};
enum { ERROR_COUNT = sizeof ERRORS / sizeof *ERRORS };

API const char *libusb_error_name(int code)
{
    for (int i = 0; i < ERROR_COUNT; i++)
        if (ERRORS[i].code == code)
            return ERRORS[i].name;
    return "**UNKNOWN**";
}

API const char *libusb_strerror(int code)
{
    for (int i = 0; i < ERROR_COUNT; i++)
        if (ERRORS[i].code == code)
            return ERRORS[i].text;
    return ERRORS[ERROR_COUNT - 1].text;
}

API const struct libusb_version *libusb_get_version(void)
{
    static const struct libusb_version version = {1, 0, 26, 11724, "-atoll",
                                                  "Atoll's virtual stick"};
    return &version;
}

API int libusb_has_capability(uint32_t capability)
{
    return capability == LIBUSB_CAP_HAS_CAPABILITY;
}

API int libusb_setlocale(const char *locale)
{
    return locale == NULL ? LIBUSB_ERROR_INVALID_PARAM : LIBUSB_SUCCESS;
}

API int libusb_set_option(libusb_context *context, int option, ...)
{
    (void)context, (void)option;
    return LIBUSB_SUCCESS;
}

API void libusb_set_debug(libusb_context *context, int level)
{
    (void)context, (void)level;
}

API void libusb_set_log_cb(libusb_context *context, void *callback, int mode)
{
    (void)context, (void)callback, (void)mode;
}

static int result_of(const libusb_device_handle *handle)
{
    pthread_mutex_lock(&stick_lock);
    bool alive = is_alive(handle);
    pthread_mutex_unlock(&stick_lock);
    return alive ? LIBUSB_SUCCESS : LIBUSB_ERROR_NO_DEVICE;
}

API int libusb_get_configuration(libusb_device_handle *handle, int *configuration)
{
    *configuration = 1;
    return result_of(handle);
}

API int libusb_set_configuration(libusb_device_handle *handle, int configuration)
{
    return configuration == 1 ? result_of(handle) : LIBUSB_ERROR_NOT_FOUND;
}

API int libusb_set_interface_alt_setting(libusb_device_handle *handle, int number, int setting)
{
    return number == 0 && setting == 0 ? result_of(handle) : LIBUSB_ERROR_NOT_FOUND;
}

API int libusb_clear_halt(libusb_device_handle *handle, unsigned char endpoint)
{
    (void)endpoint;
    return result_of(handle);
}

API int libusb_kernel_driver_active(libusb_device_handle *handle, int number)
{
    (void)number;
    return result_of(handle);
}

API int libusb_detach_kernel_driver(libusb_device_handle *handle, int number)
{
    (void)handle, (void)number;
    return LIBUSB_ERROR_NOT_FOUND; /* there is none */
}

API int libusb_attach_kernel_driver(libusb_device_handle *handle, int number)
{
    (void)handle, (void)number;
    return LIBUSB_ERROR_NOT_FOUND;
}

API int libusb_set_auto_detach_kernel_driver(libusb_device_handle *handle, int enable)
{
    (void)enable;
    return result_of(handle);
}

API unsigned char *libusb_dev_mem_alloc(libusb_device_handle *handle, size_t length)
{
    (void)handle, (void)length;
    return NULL; /* as on systems without it: programs then take their own memory */
}

API int libusb_dev_mem_free(libusb_device_handle *handle, unsigned char *buffer, size_t length)
{
    (void)handle, (void)buffer, (void)length;
    return LIBUSB_ERROR_NOT_SUPPORTED;
}
