#define _GNU_SOURCE
#include "worker.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "endings.h"
#include "fatal.h"
#include "moves.h"

enum { OUT = 0x01, OUTPUTS = 0x81, EVENTS = 0x82, INTERRUPTS = 0x83 };
enum { MOST_ACTIVE = 3, MOST_PER_TRANSFER = 1 << 20, HEADER_BYTES = 8 };
enum { FULL_READ = 1024, SHORT_READ = 256 };

struct worker {
    struct chip *chip;
    struct device *device;
    pthread_t thread;
    pthread_mutex_t lock; /* what the worker does, but for the endings */
    bool closing;
    struct moves moves;
    pthread_cond_t over;
    struct endings endings;
    bool reading_event, reading_interrupt;
    int readers;
    size_t read_bytes;
    unsigned char (*buffers)[FULL_READ];
    struct filled {
        int reader; /* the number of its buffer */
        size_t begin, end;
    } filled[MOST_READERS]; /* outputs that came, the oldest first */
    int filled_count;
    int idle[MOST_READERS]; /* readers that wait for nothing */
    int idle_count;
};

static int start(struct worker *worker, unsigned char endpoint, unsigned char *data, size_t length,
                 struct ending *ending)
{
    unsigned char type =
        endpoint == INTERRUPTS ? LIBUSB_TRANSFER_TYPE_INTERRUPT : LIBUSB_TRANSFER_TYPE_BULK;
    return submit(worker->device, type, endpoint, data, length, on_end, ending);
}

static bool is_nothing(enum libusb_transfer_status status)
{
    return status == LIBUSB_TRANSFER_CANCELLED || status == LIBUSB_TRANSFER_TIMED_OUT;
}

static void on_output(struct worker *worker, const struct ending *ending)
{
    if (ending->status == LIBUSB_TRANSFER_COMPLETED) {
        worker->filled[worker->filled_count++] = (struct filled){ending->reader, 0, ending->length};
        return;
    }
    worker->idle[worker->idle_count++] = ending->reader;
    if (!is_nothing(ending->status))
        fatal("HandleQueuedBulkIn transfer in failed. USB transfer error %d [LibUsbDataInCallback]",
              (int)ending->status);
}

static void on_event(struct worker *worker, const struct ending *ending)
{
    worker->reading_event = false;
    if (is_nothing(ending->status))
        return;
    if (ending->status != LIBUSB_TRANSFER_COMPLETED)
        fatal("HandleEvent failed. USB transfer error %d [LibUsbDataInCallback]",
              (int)ending->status);
    if (ending->length != EVENT_BYTES)
        fatal("HandleEvent failed. operator()");
    take_event(&worker->moves, ending->data[12] & 0x0f);
}

static void on_interrupt(struct worker *worker, const struct ending *ending)
{
    uint32_t raised;
    if (ending->status == LIBUSB_TRANSFER_COMPLETED && ending->length == sizeof raised) {
        memcpy(&raised, ending->data, sizeof raised);
        answer_interrupt(worker->chip, raised);
    }
    worker->reading_interrupt = false;
}

static void take(struct worker *worker, struct ending *ending)
{
    switch (ending->what) {
    case SENT_HEADER:
        if (ending->status != LIBUSB_TRANSFER_COMPLETED)
            fatal("[%d] bulk out for header failed. Abort. USB transfer error %d "
                  "[LibUsbDataOutCallback]", ending->io->tag, (int)ending->status);
        break;
    case SENT_DATA:
        if (ending->status != LIBUSB_TRANSFER_COMPLETED)
            fatal("transfer on tag %d failed. Abort. USB transfer error %d "
                  "[LibUsbDataOutCallback]", ending->io->tag, (int)ending->status);
        ending->io->active -= ending->length;
        ending->io->done += ending->length;
        break;
    case RECEIVED:
        if (ending->status != LIBUSB_TRANSFER_COMPLETED)
            fatal("operator() transfer in failed. Abort. USB transfer error %d "
                  "[LibUsbDataInCallback]", (int)ending->status);
        ending->io->active = 0;
        ending->io->done += ending->length;
        break;
    case READ_OUTPUT:
        on_output(worker, ending);
        break;
    case READ_EVENT:
        on_event(worker, ending);
        break;
    case READ_INTERRUPT:
        on_interrupt(worker, ending);
        break;
    }
    free(ending);
}

/* False where the stick takes no reads any more: the thread then ends, as libedgetpu's does. */
static bool install_readers(struct worker *worker)
{
    if (!worker->reading_event) {
        struct ending *ending = expect(&worker->endings, READ_EVENT);
        worker->reading_event = true;
        if (start(worker, EVENTS, ending->data, EVENT_BYTES, ending) != LIBUSB_SUCCESS)
            return false;
    }
    if (!worker->reading_interrupt) {
        struct ending *ending = expect(&worker->endings, READ_INTERRUPT);
        worker->reading_interrupt = true;
        if (start(worker, INTERRUPTS, ending->data, 4, ending) != LIBUSB_SUCCESS)
            return false;
    }
    for (int i = 0; i < worker->idle_count; i++) {
        struct ending *ending = expect(&worker->endings, READ_OUTPUT);
        ending->reader = worker->idle[i];
        memset(worker->buffers[ending->reader], 0, worker->read_bytes);
        if (start(worker, OUTPUTS, worker->buffers[ending->reader], worker->read_bytes, ending) !=
            LIBUSB_SUCCESS)
            fatal("Bulk-in failed. Abort");
    }
    worker->idle_count = 0;
    return true;
}

/* Fills a receiving move from what came, as far as that goes. */
static bool fill(struct worker *worker, struct io *io)
{
    bool any = false;
    while (worker->filled_count > 0 && io->done < io->length) {
        struct filled *filled = &worker->filled[0];
        size_t there = filled->end - filled->begin, wanted = io->length - io->done;
        size_t part = there < wanted ? there : wanted;
        memcpy(io->data + io->done, worker->buffers[filled->reader] + filled->begin, part);
        io->done += part;
        any = true;
        if (there > wanted) {
            /* The rest is taken for the next output's beginning. */
            filled->begin += wanted;
            break;
        }
        worker->idle[worker->idle_count++] = filled->reader;
        worker->filled_count--;
        memmove(filled, filled + 1, (size_t)worker->filled_count * sizeof *filled);
    }
    return any;
}

static void send_header(struct worker *worker, struct io *io)
{
    memcpy(io->header, &(uint32_t){(uint32_t)io->length}, 4);
    io->header[4] = (unsigned char)(io->tag & 0x0f);
    io->begun = true;
    struct ending *ending = expect(&worker->endings, SENT_HEADER);
    ending->io = io;
    int error = start(worker, OUT, io->header, HEADER_BYTES, ending);
    if (error != LIBUSB_SUCCESS)
        fatal("[%d] bulk out for header failed. Abort. USB error %d [AsyncBulkOutTransfer]",
              io->tag, error);
}

static void send_part(struct worker *worker, struct io *io)
{
    size_t at = io->done + io->active, left = io->length - at;
    size_t part = left < MOST_PER_TRANSFER ? left : MOST_PER_TRANSFER;
    struct ending *ending = expect(&worker->endings, SENT_DATA);
    ending->io = io;
    io->active += part;
    int error = start(worker, OUT, io->data + at, part, ending);
    if (error != LIBUSB_SUCCESS)
        fatal("ProcessIo [%d] async transfer out failed. Abort. USB error %d "
              "[AsyncBulkOutTransfer]", io->tag, error);
}

static void read_now(struct worker *worker, struct io *io)
{
    size_t left = io->length - io->done;
    if (worker->chip->slow_link && left > SHORT_READ)
        left = SHORT_READ;
    struct ending *ending = expect(&worker->endings, RECEIVED);
    ending->io = io;
    io->active = left;
    if (start(worker, OUTPUTS, io->data + io->done, left, ending) != LIBUSB_SUCCESS)
        fatal("[%d] transfer in failed. Abort", io->tag);
}

/* Begins what may begin: sends in order, none before an output that is due; says if any was. */
static bool process(struct worker *worker)
{
    int active = 0;
    bool any = false, unsent = false, receiving = false;
    settle(&worker->moves);
    for (struct io *io = worker->moves.open; io != NULL; io = io->next) {
        if (is_complete(io) || io->kind == INTERRUPT)
            continue;
        if (io->kind == SEND) {
            if (io->active > 0)
                active += (int)((io->active + MOST_PER_TRANSFER - 1) / MOST_PER_TRANSFER);
            else if (unsent)
                break;
            if (receiving || active >= MOST_ACTIVE)
                break;
            if (io->done + io->active == io->length)
                continue;
            any = true;
            if (!io->begun) {
                active++;
                send_header(worker, io);
            }
            active++;
            send_part(worker, io);
            unsent = unsent || io->done + io->active < io->length;
        } else if (worker->readers > 0) {
            if (receiving)
                continue;
            any = fill(worker, io) || any;
            receiving = !is_complete(io);
        } else {
            if (io->active > 0 || active >= MOST_ACTIVE)
                break;
            any = true;
            read_now(worker, io);
            break;
        }
    }
    return any;
}

static bool is_idle(struct worker *worker)
{
    return !worker->reading_event && !worker->reading_interrupt &&
           worker->idle_count == worker->readers && is_empty(&worker->moves);
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    for (;;) {
        bool again = false;
        struct ending *ending;
        pthread_mutex_lock(&worker->lock);
        while ((ending = next_ending(&worker->endings)) != NULL)
            take(worker, ending);
        bool over = worker->closing ? is_idle(worker) : !install_readers(worker);
        if (!over && !worker->closing)
            again = process(worker);
        pthread_cond_broadcast(&worker->over);
        pthread_mutex_unlock(&worker->lock);
        if (over)
            return NULL;
        if (!again)
            wait_for_ending(&worker->endings);
    }
}

struct worker *start_worker(struct chip *chip, int readers)
{
    struct worker *worker = calloc(1, sizeof *worker);
    worker->chip = chip;
    worker->device = chip->device;
    worker->readers = worker->idle_count = readers;
    worker->read_bytes = chip->slow_link ? SHORT_READ : FULL_READ;
    worker->buffers = malloc((size_t)(readers + 1) * sizeof *worker->buffers);
    for (int i = 0; i < readers; i++)
        worker->idle[i] = i;
    prepare_endings(&worker->endings);
    pthread_mutex_init(&worker->lock, NULL);
    pthread_cond_init(&worker->over, NULL);
    if (pthread_create(&worker->thread, NULL, work, worker) != 0)
        fatal("no thread");
    return worker;
}

void stop_worker(struct worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    cancel_transfers(worker->device);
    worker->closing = true;
    pthread_mutex_unlock(&worker->lock);
    poke(&worker->endings);
    pthread_join(worker->thread, NULL);
    free(worker->buffers);
    free(worker);
}

void begin(struct worker *worker, const struct move *moves, size_t count)
{
    pthread_mutex_lock(&worker->lock);
    add_moves(&worker->moves, moves, count);
    pthread_mutex_unlock(&worker->lock);
    poke(&worker->endings);
}

void wait_for_all(struct worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    while (worker->moves.unfinished > 0)
        pthread_cond_wait(&worker->over, &worker->lock);
    pthread_mutex_unlock(&worker->lock);
}
