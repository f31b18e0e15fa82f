/* Events: the callbacks of transfers that are done, made by whoever asks for events. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <time.h>

#include "stick.h"

enum { LONGEST_WAIT_S = 60 }; /* as the real library waits */

/* Makes the callbacks that are due. Locked, but for the callbacks themselves. */
static bool make_callbacks(libusb_context *context)
{
    bool any = false;
    struct entry *entry;
    context->handling = true;
    while ((entry = context->done.head) != NULL) {
        struct libusb_transfer *transfer = transfer_of(entry);
        /* The callback may submit the transfer again, or free it. */
        uint8_t flags = transfer->flags;
        context->done.head = entry->next;
        if (context->done.head == NULL)
            context->done.tail = &context->done.head;
        entry->submitted = false;
        any = true;
        pthread_mutex_unlock(&stick_lock);
        if (transfer->callback != NULL)
            transfer->callback(transfer);
        if (flags & LIBUSB_TRANSFER_FREE_TRANSFER)
            libusb_free_transfer(transfer);
        pthread_mutex_lock(&stick_lock);
    }
    context->handling = false;
    if (any)
        pthread_cond_broadcast(&context->changed);
    return any;
}

static int handle(libusb_context *context, const struct timeval *tv, const int *completed)
{
    int64_t end = now_ns() + (tv == NULL ? (int64_t)LONGEST_WAIT_S * 1000000000
                                         : (int64_t)tv->tv_sec * 1000000000 + tv->tv_usec * 1000);
    context = context_of(context);
    if (context == NULL)
        return LIBUSB_ERROR_INVALID_PARAM;
    pthread_mutex_lock(&stick_lock);
    while (completed == NULL || !*completed) {
        int64_t until = end;
        if (!context->handling) {
            int64_t first = expire(context);
            if (make_callbacks(context))
                break;
            if (first != 0 && first < until)
                until = first;
        }
        if (context->interrupted) {
            context->interrupted = false;
            break;
        }
        if (now_ns() >= end)
            break;
        struct timespec when = {.tv_sec = (time_t)(until / 1000000000),
                                .tv_nsec = (long)(until % 1000000000)};
        pthread_cond_timedwait(&context->changed, &stick_lock, &when);
    }
    pthread_mutex_unlock(&stick_lock);
    return LIBUSB_SUCCESS;
}

API int libusb_handle_events(libusb_context *context)
{
    return handle(context, NULL, NULL);
}

API int libusb_handle_events_completed(libusb_context *context, int *completed)
{
    return handle(context, NULL, completed);
}

API int libusb_handle_events_timeout(libusb_context *context, struct timeval *tv)
{
    return handle(context, tv, NULL);
}

API int libusb_handle_events_timeout_completed(libusb_context *context, struct timeval *tv,
                                               int *completed)
{
    return handle(context, tv, completed);
}

API int libusb_handle_events_locked(libusb_context *context, struct timeval *tv)
{
    return handle(context, tv, NULL);
}

API void libusb_interrupt_event_handler(libusb_context *context)
{
    context = context_of(context);
    if (context == NULL)
        return;
    pthread_mutex_lock(&stick_lock);
    context->interrupted = true;
    pthread_cond_broadcast(&context->changed);
    pthread_mutex_unlock(&stick_lock);
}

API int libusb_try_lock_events(libusb_context *context)
{
    context = context_of(context);
    pthread_mutex_lock(&stick_lock);
    int busy = context == NULL || context->locked;
    if (!busy)
        context->locked = true;
    pthread_mutex_unlock(&stick_lock);
    return busy;
}

API void libusb_lock_events(libusb_context *context)
{
    context = context_of(context);
    if (context == NULL)
        return;
    pthread_mutex_lock(&stick_lock);
    while (context->locked)
        pthread_cond_wait(&context->changed, &stick_lock);
    context->locked = true;
    pthread_mutex_unlock(&stick_lock);
}

API void libusb_unlock_events(libusb_context *context)
{
    context = context_of(context);
    if (context == NULL)
        return;
    pthread_mutex_lock(&stick_lock);
    context->locked = false;
    pthread_cond_broadcast(&context->changed);
    pthread_mutex_unlock(&stick_lock);
}

API int libusb_event_handling_ok(libusb_context *context)
{
    (void)context;
    return 1;
}

API int libusb_event_handler_active(libusb_context *context)
{
    context = context_of(context);
    pthread_mutex_lock(&stick_lock);
    int active = context != NULL && context->locked;
    pthread_mutex_unlock(&stick_lock);
    return active;
}

API void libusb_lock_event_waiters(libusb_context *context)
{
    (void)context;
}

API void libusb_unlock_event_waiters(libusb_context *context)
{
    (void)context;
}

/* Instead of waiting for another thread's callbacks, it makes them itself. */
API int libusb_wait_for_event(libusb_context *context, struct timeval *tv)
{
    return handle(context, tv, NULL);
}

API int libusb_get_next_timeout(libusb_context *context, struct timeval *tv)
{
    context = context_of(context);
    if (context == NULL)
        return 0;
    pthread_mutex_lock(&stick_lock);
    int64_t first = expire(context), now = now_ns();
    pthread_mutex_unlock(&stick_lock);
    if (first == 0)
        return 0;
    int64_t left = first > now ? first - now : 0;
    tv->tv_sec = (time_t)(left / 1000000000);
    tv->tv_usec = (suseconds_t)(left % 1000000000 / 1000);
    return 1;
}

API int libusb_pollfds_handle_timeouts(libusb_context *context)
{
    (void)context;
    return 1;
}

/* There are no files to poll: NULL says so, and programs call libusb_handle_events instead. */
API const struct libusb_pollfd **libusb_get_pollfds(libusb_context *context)
{
    (void)context;
    return NULL;
}

API void libusb_free_pollfds(const struct libusb_pollfd **pollfds)
{
    free((void *)(uintptr_t)pollfds);
}

API void libusb_set_pollfd_notifiers(libusb_context *context, void *added, void *removed,
                                     void *data)
{
    (void)context, (void)added, (void)removed, (void)data;
}
