/* Transfers: those to the stick, one after the other; those from it, as data and buffers meet. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "stick.h"

pthread_mutex_t stick_lock = PTHREAD_MUTEX_INITIALIZER;

int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

struct entry *entry_of(struct libusb_transfer *transfer)
{
    return (struct entry *)(void *)((unsigned char *)transfer - offsetof(struct entry, transfer));
}

struct libusb_transfer *transfer_of(struct entry *entry)
{
    return (struct libusb_transfer *)(void *)entry->transfer;
}

void push(struct queue *queue, struct entry *entry)
{
    entry->next = NULL;
    *queue->tail = entry;
    queue->tail = &entry->next;
}

static bool unlink_entry(struct queue *queue, struct entry *entry)
{
    for (struct entry **at = &queue->head; *at != NULL; at = &(*at)->next) {
        if (*at == entry) {
            *at = entry->next;
            if (entry->next == NULL)
                queue->tail = at;
            return true;
        }
    }
    return false;
}

static void clear(struct packets *packets)
{
    packets->head = NULL;
    packets->tail = &packets->head;
}

/* Hands a transfer to the thread that makes its context's callbacks. */
void complete(struct entry *entry, enum libusb_transfer_status status)
{
    struct libusb_transfer *transfer = transfer_of(entry);
    libusb_context *context = transfer->dev_handle->device->context;
    transfer->status = status;
    push(&context->done, entry);
    pthread_cond_broadcast(&context->changed);
}

static void finish(struct stick *stick, struct queue *queue, struct entry *entry,
                   enum libusb_transfer_status status)
{
    unlink_entry(queue, entry);
    if (stick->sent == entry)
        stick->sent = NULL;
    complete(entry, status);
}

/* Shows the brain the next transfer to the stick, once it is done with the one before. */
static void send_next(struct stick *stick)
{
    struct entry *entry = stick->out.head;
    if (stick->waiting || entry == NULL)
        return;
    struct libusb_transfer *transfer = transfer_of(entry);
    uint8_t endpoint = transfer->endpoint & 0x0f;
    stick->waiting = true;
    stick->sent = entry;
    tell(stick, TO_OUT, &endpoint, 1, transfer->buffer, (size_t)transfer->length);
}

/* Packets fill buffers. A transfer ends when it is full, or with a packet that is not. */
static void match(struct stick *stick, unsigned endpoint)
{
    struct packets *packets = &stick->from_stick[endpoint];
    struct queue *queue = &stick->in[endpoint];
    while (queue->head != NULL && packets->head != NULL) {
        struct packet *packet = packets->head;
        struct libusb_transfer *transfer = transfer_of(queue->head);
        size_t room = (size_t)(transfer->length - transfer->actual_length);
        size_t length = packet->length < room ? packet->length : room;
        if (length > 0)
            memcpy(transfer->buffer + transfer->actual_length, packet->data, length);
        transfer->actual_length += (int)length;
        if (packet->length > room)
            finish(stick, queue, queue->head, LIBUSB_TRANSFER_OVERFLOW);
        else if (packet->length < max_packet(stick->speed) || packet->length == room)
            finish(stick, queue, queue->head, LIBUSB_TRANSFER_COMPLETED);
        packets->head = packet->next;
        if (packets->head == NULL)
            clear(packets);
        free(packet);
    }
}

/* What answers a transfer comes after that transfer's end, as on a bus: drivers rely on it. */
void out_done(struct stick *stick, enum libusb_transfer_status status)
{
    struct entry *entry = stick->sent;
    stick->waiting = false;
    if (entry != NULL) {
        struct libusb_transfer *transfer = transfer_of(entry);
        transfer->actual_length = status == LIBUSB_TRANSFER_COMPLETED ? transfer->length : 0;
        finish(stick, &stick->out, entry, status);
    }
    for (unsigned e = 1; e < ENDPOINTS; e++) {
        struct packets *held = &stick->held[e];
        if (held->head != NULL) {
            *stick->from_stick[e].tail = held->head;
            stick->from_stick[e].tail = held->tail;
            clear(held);
        }
        match(stick, e);
    }
    send_next(stick);
}

void arrived(struct stick *stick, unsigned endpoint, const void *data, size_t length)
{
    const unsigned char *at = data;
    struct packets *packets =
        stick->waiting ? &stick->held[endpoint] : &stick->from_stick[endpoint];
    size_t most = endpoint == 1 ? outfeed_chunk(stick) : max_packet(stick->speed);
    if (!stick->plugged)
        return;
    do {
        size_t part = length < most ? length : most;
        struct packet *packet = malloc(sizeof *packet + part);
        if (packet == NULL)
            return;
        packet->next = NULL;
        packet->length = part;
        if (part > 0)
            memcpy(packet->data, at, part);
        *packets->tail = packet;
        packets->tail = &packet->next;
        at += part;
        length -= part;
    } while (length > 0);
    match(stick, endpoint);
}

static void forget(struct packets *packets)
{
    struct packet *packet = packets->head;
    while (packet != NULL) {
        struct packet *next = packet->next;
        free(packet);
        packet = next;
    }
    clear(packets);
}

void forget_packets(struct stick *stick)
{
    for (int e = 0; e < ENDPOINTS; e++) {
        forget(&stick->from_stick[e]);
        forget(&stick->held[e]);
    }
}

void prepare_queues(struct stick *stick)
{
    for (int e = 0; e < ENDPOINTS; e++) {
        stick->in[e].tail = &stick->in[e].head;
        clear(&stick->from_stick[e]);
        clear(&stick->held[e]);
    }
    stick->out.tail = &stick->out.head;
}

/* The stick was pulled: every transfer ends with that. */
void gone(struct stick *stick)
{
    while (stick->out.head != NULL)
        finish(stick, &stick->out, stick->out.head, LIBUSB_TRANSFER_NO_DEVICE);
    for (int e = 0; e < ENDPOINTS; e++)
        while (stick->in[e].head != NULL)
            finish(stick, &stick->in[e], stick->in[e].head, LIBUSB_TRANSFER_NO_DEVICE);
    forget_packets(stick);
}

/* A handle is closed: nobody must hear of its transfers any more. */
void drop_transfers(libusb_device_handle *handle)
{
    struct stick *stick = handle->device->stick;
    struct queue *queues[] = {&stick->out, &stick->in[0], &stick->in[1], &stick->in[2],
                              &stick->in[3], &handle->device->context->done};
    for (size_t i = 0; i < sizeof queues / sizeof *queues; i++) {
        struct entry *next, *entry = queues[i]->head;
        for (; entry != NULL; entry = next) {
            next = entry->next;
            if (transfer_of(entry)->dev_handle != handle)
                continue;
            unlink_entry(queues[i], entry);
            if (stick->sent == entry)
                stick->sent = NULL;
            entry->submitted = false;
        }
    }
    send_next(stick);
}

/* Ends the reads that have timed out; returns when the next will, 0 for never. What is sent does not
 * time out by itself: a stick takes it, however long it thinks about what was sent before. */
int64_t expire(libusb_context *context)
{
    int64_t now = now_ns(), first = 0;
    unsigned count = meet_sticks();
    for (unsigned i = 0; i < count; i++) {
        struct stick *stick = stick_at(i);
        for (unsigned e = 1; e < ENDPOINTS; e++) {
            struct entry *next, *entry = stick->in[e].head;
            for (; entry != NULL; entry = next) {
                next = entry->next;
                if (entry->due_ns == 0 ||
                    transfer_of(entry)->dev_handle->device->context != context)
                    continue;
                if (entry->due_ns <= now)
                    finish(stick, &stick->in[e], entry, LIBUSB_TRANSFER_TIMED_OUT);
                else if (first == 0 || entry->due_ns < first)
                    first = entry->due_ns;
            }
        }
    }
    return first;
}

API struct libusb_transfer *libusb_alloc_transfer(int iso_packets)
{
    if (iso_packets < 0)
        return NULL;
    size_t extra = (size_t)iso_packets * sizeof(struct libusb_iso_packet_descriptor);
    struct entry *entry = calloc(1, sizeof *entry + sizeof(struct libusb_transfer) + extra);
    if (entry == NULL)
        return NULL;
    transfer_of(entry)->num_iso_packets = iso_packets;
    return transfer_of(entry);
}

API void libusb_free_transfer(struct libusb_transfer *transfer)
{
    if (transfer == NULL)
        return;
    if (transfer->flags & LIBUSB_TRANSFER_FREE_BUFFER)
        free(transfer->buffer);
    free(entry_of(transfer));
}

/* A control transfer's buffer begins with its request. The stick answers at once. */
static void submit_control(struct stick *stick, struct entry *entry)
{
    struct libusb_transfer *transfer = transfer_of(entry);
    struct libusb_control_setup setup;
    memcpy(&setup, transfer->buffer, sizeof setup);
    int result = transfer->length < (int)sizeof setup + setup.wLength
                     ? LIBUSB_ERROR_INVALID_PARAM
                     : control(stick, &setup, transfer->buffer + sizeof setup);
    transfer->actual_length = result > 0 ? result : 0;
    complete(entry, result >= 0 ? LIBUSB_TRANSFER_COMPLETED : LIBUSB_TRANSFER_STALL);
}

API int libusb_submit_transfer(struct libusb_transfer *transfer)
{
    struct entry *entry = entry_of(transfer);
    unsigned endpoint = transfer->endpoint & 0x0f;
    int result = LIBUSB_SUCCESS;
    pthread_mutex_lock(&stick_lock);
    if (!is_alive(transfer->dev_handle)) {
        result = LIBUSB_ERROR_NO_DEVICE;
    } else if (entry->submitted) {
        result = LIBUSB_ERROR_BUSY;
    } else if (transfer->length < 0 || endpoint >= ENDPOINTS ||
               transfer->type == LIBUSB_TRANSFER_TYPE_ISOCHRONOUS) {
        result = LIBUSB_ERROR_INVALID_PARAM;
    } else if (endpoint == 0 && transfer->length < (int)sizeof(struct libusb_control_setup)) {
        result = LIBUSB_ERROR_INVALID_PARAM;
    } else {
        struct stick *stick = transfer->dev_handle->device->stick;
        entry->submitted = true;
        entry->due_ns = transfer->timeout ? now_ns() + (int64_t)transfer->timeout * 1000000 : 0;
        transfer->actual_length = 0;
        if (endpoint == 0) {
            submit_control(stick, entry);
        } else if (transfer->endpoint & LIBUSB_ENDPOINT_IN) {
            push(&stick->in[endpoint], entry);
            match(stick, endpoint);
        } else {
            push(&stick->out, entry);
            send_next(stick);
        }
        /* Whoever waits for events must know when this one times out. */
        pthread_cond_broadcast(&transfer->dev_handle->device->context->changed);
    }
    pthread_mutex_unlock(&stick_lock);
    return result;
}

API int libusb_cancel_transfer(struct libusb_transfer *transfer)
{
    int result = LIBUSB_ERROR_NOT_FOUND;
    pthread_mutex_lock(&stick_lock);
    if (transfer->dev_handle != NULL) {
        struct stick *stick = transfer->dev_handle->device->stick;
        struct queue *queues[] = {&stick->out, &stick->in[1], &stick->in[2], &stick->in[3]};
        for (size_t q = 0; q < sizeof queues / sizeof *queues && result != 0; q++) {
            struct entry *entry = queues[q]->head;
            while (entry != NULL && entry != entry_of(transfer))
                entry = entry->next;
            if (entry != NULL) {
                finish(stick, queues[q], entry, LIBUSB_TRANSFER_CANCELLED);
                result = LIBUSB_SUCCESS;
            }
        }
    }
    pthread_mutex_unlock(&stick_lock);
    return result;
}
