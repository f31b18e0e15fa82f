/* Asynchronous transfers: frames to the stick; outputs, events and interrupts from it. */
#define _GNU_SOURCE
#include "streams.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "usb.h"

enum { OUTPUTS = 0x81, EVENTS = 0x82, INTERRUPTS = 0x83 };
enum { MOST_SENDING = 3, MOST_PER_TRANSFER = 1 << 20 };
enum { DONE_TAG = 4, LAST_DONE_TAG = 7, TIMEOUT_MS = 6000 };

_Noreturn void fatal(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("F driver: ", stderr);
    vfprintf(stderr, format, arguments);
    fputs("\n", stderr);
    va_end(arguments);
    abort();
}

static struct libusb_transfer *transfer_for(struct opened *stick, unsigned char endpoint,
                                            unsigned char type, unsigned char *buffer, int length,
                                            libusb_transfer_cb_fn callback)
{
    struct libusb_transfer *transfer = libusb_alloc_transfer(0);
    transfer->dev_handle = stick->handle;
    transfer->endpoint = endpoint;
    transfer->type = type;
    transfer->timeout = TIMEOUT_MS;
    transfer->buffer = buffer;
    transfer->length = length;
    transfer->callback = callback;
    transfer->user_data = stick;
    return transfer;
}

static void on_sent(struct libusb_transfer *transfer)
{
    struct opened *stick = transfer->user_data;
    if (transfer->status != LIBUSB_TRANSFER_COMPLETED)
        fatal("transfer out failed. Abort. USB transfer error %d [LibUsbDataOutCallback]",
              (int)transfer->status);
    pthread_mutex_lock(&stick->lock);
    stick->sending--;
    pthread_cond_broadcast(&stick->changed);
    pthread_mutex_unlock(&stick->lock);
}

static void send_part(struct opened *stick, const unsigned char *data, size_t length, bool copied)
{
    unsigned char *buffer = (unsigned char *)(uintptr_t)data;
    if (copied) {
        buffer = malloc(length);
        memcpy(buffer, data, length);
    }
    struct libusb_transfer *transfer =
        transfer_for(stick, 1, LIBUSB_TRANSFER_TYPE_BULK, buffer, (int)length, on_sent);
    transfer->flags = LIBUSB_TRANSFER_SHORT_NOT_OK | LIBUSB_TRANSFER_FREE_TRANSFER |
                      (copied ? LIBUSB_TRANSFER_FREE_BUFFER : 0);
    pthread_mutex_lock(&stick->lock);
    while (stick->sending >= MOST_SENDING)
        pthread_cond_wait(&stick->changed, &stick->lock);
    stick->sending++;
    pthread_mutex_unlock(&stick->lock);
    int result = libusb_submit_transfer(transfer);
    if (result != LIBUSB_SUCCESS)
        fatal("async transfer out failed. Abort. USB error %d", result);
}

void send_frame(struct opened *stick, int tag, const unsigned char *data, size_t length)
{
    unsigned char header[8] = {(unsigned char)length, (unsigned char)(length >> 8),
                               (unsigned char)(length >> 16), (unsigned char)(length >> 24),
                               (unsigned char)tag};
    send_part(stick, header, sizeof header, true);
    for (size_t sent = 0; sent < length; sent += MOST_PER_TRANSFER) {
        size_t left = length - sent;
        send_part(stick, data + sent, left < MOST_PER_TRANSFER ? left : MOST_PER_TRANSFER, false);
    }
}

void wait_sent(struct opened *stick)
{
    pthread_mutex_lock(&stick->lock);
    while (stick->sending > 0)
        pthread_cond_wait(&stick->changed, &stick->lock);
    pthread_mutex_unlock(&stick->lock);
}

void receive(struct opened *stick, unsigned char *data, size_t length)
{
    pthread_mutex_lock(&stick->lock);
    while (stick->received_length < length)
        pthread_cond_wait(&stick->changed, &stick->lock);
    memcpy(data, stick->received, length);
    /* What is over is taken for the next output's beginning, as the published driver does. */
    stick->received_length -= length;
    memmove(stick->received, stick->received + length, stick->received_length);
    pthread_mutex_unlock(&stick->lock);
}

void wait_done(struct opened *stick)
{
    pthread_mutex_lock(&stick->lock);
    while (stick->done == 0)
        pthread_cond_wait(&stick->changed, &stick->lock);
    stick->done--;
    pthread_mutex_unlock(&stick->lock);
}

static void take_output(struct opened *stick, const unsigned char *data, size_t length)
{
    if (stick->received_length + length > stick->received_room) {
        stick->received_room = 2 * (stick->received_length + length);
        stick->received = realloc(stick->received, stick->received_room);
    }
    memcpy(stick->received + stick->received_length, data, length);
    stick->received_length += length;
}

static void take_event(struct opened *stick, const unsigned char *data, size_t length)
{
    if (length != 16)
        fatal("HandleEvent failed. data lost");
    int tag = data[12] & 0x0f;
    if (tag < DONE_TAG || tag > LAST_DONE_TAG)
        fatal("Unknown descriptor from device");
    stick->done++;
}

static void take_interrupt(struct opened *stick, const unsigned char *data, size_t length)
{
    size_t room = sizeof stick->interrupts / sizeof *stick->interrupts;
    if (length == 4 && stick->interrupt_count < room)
        memcpy(&stick->interrupts[stick->interrupt_count++], data, 4);
}

/* Reads again and again: a time-out is nothing, cancelling is the end, all else is fatal. */
static void on_read(struct libusb_transfer *transfer)
{
    struct opened *stick = transfer->user_data;
    pthread_mutex_lock(&stick->lock);
    if (transfer->status == LIBUSB_TRANSFER_COMPLETED) {
        size_t length = (size_t)transfer->actual_length;
        if (transfer->endpoint == OUTPUTS)
            take_output(stick, transfer->buffer, length);
        else if (transfer->endpoint == EVENTS)
            take_event(stick, transfer->buffer, length);
        else
            take_interrupt(stick, transfer->buffer, length);
    } else if (transfer->status != LIBUSB_TRANSFER_CANCELLED &&
               transfer->status != LIBUSB_TRANSFER_TIMED_OUT) {
        fatal("transfer in failed. USB transfer error %d [LibUsbDataInCallback]",
              (int)transfer->status);
    }
    int result = LIBUSB_SUCCESS;
    if (stick->cancelling)
        stick->reading--;
    else
        result = libusb_submit_transfer(transfer);
    if (result != LIBUSB_SUCCESS)
        fatal("Bulk-in failed. Abort. USB error %d", result);
    pthread_cond_broadcast(&stick->changed);
    pthread_mutex_unlock(&stick->lock);
}

static void start_reader(struct opened *stick, unsigned char endpoint, unsigned char type,
                         size_t length)
{
    struct libusb_transfer *transfer =
        transfer_for(stick, endpoint, type, malloc(length), (int)length, on_read);
    transfer->flags = LIBUSB_TRANSFER_FREE_BUFFER;
    stick->readers[stick->reading++] = transfer;
    int result = libusb_submit_transfer(transfer);
    if (result != LIBUSB_SUCCESS)
        fatal("Bulk-in failed. Abort. USB error %d", result);
}

static void *handle_events(void *argument)
{
    struct opened *stick = argument;
    pthread_mutex_lock(&stick->lock);
    while (!stick->ending) {
        pthread_mutex_unlock(&stick->lock);
        libusb_handle_events(stick->context);
        pthread_mutex_lock(&stick->lock);
    }
    pthread_mutex_unlock(&stick->lock);
    return NULL;
}

void start_streams(struct opened *stick)
{
    for (int i = 0; i < OUTPUT_READERS; i++)
        start_reader(stick, OUTPUTS, LIBUSB_TRANSFER_TYPE_BULK, stick->slow_link ? 256 : 1024);
    start_reader(stick, EVENTS, LIBUSB_TRANSFER_TYPE_BULK, 16);
    start_reader(stick, INTERRUPTS, LIBUSB_TRANSFER_TYPE_INTERRUPT, 4);
    if (pthread_create(&stick->events, NULL, handle_events, stick) != 0)
        fatal("no thread");
}

void stop_streams(struct opened *stick)
{
    pthread_mutex_lock(&stick->lock);
    stick->cancelling = true;
    for (int i = 0; i < READERS; i++)
        libusb_cancel_transfer(stick->readers[i]);
    while (stick->reading > 0)
        pthread_cond_wait(&stick->changed, &stick->lock);
    for (int i = 0; i < READERS; i++)
        libusb_free_transfer(stick->readers[i]);
    /* Its thread wakes up when the stick is closed. */
    stick->ending = true;
    pthread_cond_broadcast(&stick->changed);
    pthread_mutex_unlock(&stick->lock);
}
