#include "moves.h"

#include <stdlib.h>

#include "fatal.h"

static void append(struct io **list, struct io *io)
{
    while (*list != NULL)
        list = &(*list)->next;
    io->next = NULL;
    *list = io;
}

void add_moves(struct moves *moves, const struct move *added, size_t count)
{
    struct request *request = calloc(1, sizeof *request), **last = &moves->requests;
    request->left = count;
    while (*last != NULL)
        last = &(*last)->next;
    *last = request;
    moves->unfinished++;
    for (size_t i = 0; i < count; i++) {
        struct io *io = calloc(1, sizeof *io);
        *io = (struct io){.request = request,
                          .kind = added[i].kind,
                          .tag = added[i].tag,
                          .data = added[i].data,
                          .length = added[i].kind == INTERRUPT ? 0 : added[i].length};
        append(&moves->pending, io);
    }
}

bool is_complete(const struct io *io)
{
    return io->done == io->length && (io->kind != INTERRUPT || io->matched);
}

bool is_empty(const struct moves *moves)
{
    return moves->pending == NULL && moves->requests == NULL;
}

/* Requests end in their order. */
static void end_requests(struct moves *moves)
{
    struct request *first;
    while ((first = moves->requests) != NULL && first->left == 0 && first->interrupted) {
        moves->requests = first->next;
        moves->unfinished--;
        free(first);
    }
}

/* A fence lets the rest of its request through when all before it is over. */
static void pass_fence(struct moves *moves)
{
    struct io *fence = moves->pending;
    if (fence == NULL || fence->kind != FENCE || fence->request->begun > 0 ||
        fence->request != moves->requests)
        return;
    moves->pending = fence->next;
    fence->request->left--;
    free(fence);
}

static void end_move(struct moves *moves, struct io *io)
{
    if (io->request != NULL) {
        io->request->left--;
        io->request->begun--;
        pass_fence(moves);
    }
    if (io->kind == INTERRUPT) {
        struct request *oldest = moves->requests;
        while (oldest != NULL && oldest->interrupted)
            oldest = oldest->next;
        if (oldest == NULL)
            fatal("No active request to complete");
        if (moves->pending != NULL && moves->pending->request == oldest)
            fatal("Request is completing while DMAs are pending.");
        oldest->interrupted = true;
    }
    end_requests(moves);
    free(io);
}

void settle(struct moves *moves)
{
    while (moves->open != NULL && is_complete(moves->open)) {
        struct io *io = moves->open;
        moves->open = io->next;
        end_move(moves, io);
    }
    while (moves->pending != NULL && moves->pending->kind != FENCE) {
        struct io *io = moves->pending;
        moves->pending = io->next;
        io->request->begun++;
        append(&moves->open, io);
    }
}

void take_event(struct moves *moves, int tag)
{
    for (struct io *io = moves->open; io != NULL; io = io->next) {
        if (io->kind != INTERRUPT || io->matched)
            continue;
        if (io->tag != tag)
            break;
        io->matched = true;
        return;
    }
    if (tag == TAG_INSTRUCTIONS)
        fatal("Unknown descriptor from device");
    if (tag != TAG_INTERRUPT)
        return;
    /* One that no hint announced. */
    struct io *io = calloc(1, sizeof *io);
    io->kind = INTERRUPT;
    io->tag = tag;
    io->matched = true;
    append(&moves->open, io);
}
