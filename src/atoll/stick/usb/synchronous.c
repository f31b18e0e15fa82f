/* Transfers that are waited for: submitted like the others, with events handled until they end. */
#include "stick.h"

static void set_completed(struct libusb_transfer *transfer)
{
    *(int *)transfer->user_data = 1;
}

static int error_of(enum libusb_transfer_status status)
{
    switch (status) {
    case LIBUSB_TRANSFER_COMPLETED:
        return LIBUSB_SUCCESS;
    case LIBUSB_TRANSFER_TIMED_OUT:
        return LIBUSB_ERROR_TIMEOUT;
    case LIBUSB_TRANSFER_STALL:
        return LIBUSB_ERROR_PIPE;
    case LIBUSB_TRANSFER_OVERFLOW:
        return LIBUSB_ERROR_OVERFLOW;
    case LIBUSB_TRANSFER_NO_DEVICE:
        return LIBUSB_ERROR_NO_DEVICE;
    case LIBUSB_TRANSFER_ERROR:
    case LIBUSB_TRANSFER_CANCELLED:
        return LIBUSB_ERROR_IO;
    default:
        return LIBUSB_ERROR_OTHER;
    }
}

static int wait_for(libusb_device_handle *handle, unsigned char type, unsigned char endpoint,
                    unsigned char *data, int length, int *transferred, unsigned int timeout)
{
    int completed = 0;
    if (handle == NULL || length < 0)
        return LIBUSB_ERROR_INVALID_PARAM;
    struct libusb_transfer *transfer = libusb_alloc_transfer(0);
    if (transfer == NULL)
        return LIBUSB_ERROR_NO_MEM;
    transfer->dev_handle = handle;
    transfer->type = type;
    transfer->endpoint = endpoint;
    transfer->buffer = data;
    transfer->length = length;
    transfer->timeout = timeout;
    transfer->callback = set_completed;
    transfer->user_data = &completed;
    int result = libusb_submit_transfer(transfer);
    if (result == LIBUSB_SUCCESS) {
        while (!completed)
            libusb_handle_events_completed(handle->device->context, &completed);
        if (transferred != NULL)
            *transferred = transfer->actual_length;
        result = error_of(transfer->status);
    }
    libusb_free_transfer(transfer);
    return result;
}

API int libusb_bulk_transfer(libusb_device_handle *handle, unsigned char endpoint,
                             unsigned char *data, int length, int *transferred,
                             unsigned int timeout)
{
    return wait_for(handle, LIBUSB_TRANSFER_TYPE_BULK, endpoint, data, length, transferred,
                    timeout);
}

API int libusb_interrupt_transfer(libusb_device_handle *handle, unsigned char endpoint,
                                  unsigned char *data, int length, int *transferred,
                                  unsigned int timeout)
{
    return wait_for(handle, LIBUSB_TRANSFER_TYPE_INTERRUPT, endpoint, data, length, transferred,
                    timeout);
}
