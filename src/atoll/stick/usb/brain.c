/* The connection to the brain: which sticks there are, and what they answer. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "stick.h"

enum { PATIENCE_S = 10, MOST_MESSAGE = 64 << 20 };

static struct stick sticks[MOST_STICKS];
static unsigned stick_count;
static bool met;
static pthread_cond_t answered = PTHREAD_COND_INITIALIZER;

static void say(const struct stick *stick, const char *what)
{
    fprintf(stderr, "atoll stick: usb:%u: %s\n", stick->index, what);
}

static bool read_all(int socket, void *data, size_t length)
{
    char *at = data;
    while (length > 0) {
        ssize_t got = read(socket, at, length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        at += got;
        length -= (size_t)got;
    }
    return true;
}

static bool write_all(int socket, struct iovec *parts, size_t count)
{
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
    while (message.msg_iovlen > 0) {
        /* The brain may be gone: that is no reason for SIGPIPE. */
        ssize_t sent = sendmsg(socket, &message, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return false;
        size_t left = (size_t)sent;
        while (message.msg_iovlen > 0 && left >= message.msg_iov->iov_len) {
            left -= message.msg_iov->iov_len;
            message.msg_iov++;
            message.msg_iovlen--;
        }
        if (message.msg_iovlen > 0) {
            message.msg_iov->iov_base = (char *)message.msg_iov->iov_base + left;
            message.msg_iov->iov_len -= left;
        }
    }
    return true;
}

/* Without its brain a stick is as good as unplugged. Locked. */
static void lose(struct stick *stick)
{
    if (stick->socket >= 0)
        shutdown(stick->socket, SHUT_RDWR); /* its thread closes it */
    if (stick->plugged) {
        stick->plugged = false;
        gone(stick);
    }
    stick->waiting = false;
    stick->answered = true;
    stick->answer = LIBUSB_ERROR_NO_DEVICE;
    pthread_cond_broadcast(&answered);
}

void tell(struct stick *stick, unsigned kind, const void *head, size_t head_length,
          const void *data, size_t length)
{
    uint32_t start[2] = {kind, (uint32_t)(head_length + length)};
    struct iovec parts[3] = {{start, sizeof start},
                             {(void *)(uintptr_t)head, head_length},
                             {(void *)(uintptr_t)data, length}};
    if (stick->socket < 0 || !write_all(stick->socket, parts, 3))
        lose(stick);
}

int ask(struct stick *stick, unsigned kind, const void *head, size_t length)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    while (stick->asking)
        pthread_cond_wait(&answered, &stick_lock);
    stick->asking = true;
    stick->answered = false;
    tell(stick, kind, head, length, NULL, 0);
    while (!stick->answered) {
        if (pthread_cond_timedwait(&answered, &stick_lock, &until) == ETIMEDOUT) {
            say(stick, "no answer; it must be plugged in by another process than this one");
            lose(stick);
        }
    }
    stick->asking = false;
    pthread_cond_broadcast(&answered);
    return stick->answer;
}

/* Takes over what the brain says of a stick. Locked. */
static void take_state(struct stick *stick, const uint32_t *state)
{
    bool other = state[3] != stick->session || !state[0];
    if (other && stick->plugged)
        gone(stick);
    if (other) {
        forget_packets(stick);
        reset_registers(stick);
        reset_boot_loader(stick);
    }
    stick->plugged = state[0] != 0;
    stick->application = state[1] != 0;
    stick->speed = (enum libusb_speed)state[2];
    stick->session = state[3];
}

/* Acts on one message; says whether it was a sound one. Locked. */
static bool take_message(struct stick *stick, uint32_t kind, const unsigned char *body,
                         size_t length)
{
    uint32_t words[4] = {0};
    uint64_t value = 0;
    switch (kind) {
    case FROM_STATE:
        if (length != sizeof words)
            return false;
        memcpy(words, body, sizeof words);
        take_state(stick, words);
        return true;
    case FROM_ANSWER:
        if (length != 4)
            return false;
        memcpy(&stick->answer, body, 4);
        stick->answered = true;
        pthread_cond_broadcast(&answered);
        return true;
    case FROM_DONE:
        if (length != 4)
            return false;
        memcpy(words, body, 4);
        out_done(stick, (enum libusb_transfer_status)words[0]);
        return true;
    case FROM_IN:
        if (length < 1 || body[0] < 1 || body[0] >= ENDPOINTS)
            return false;
        arrived(stick, body[0], body + 1, length - 1);
        return true;
    case FROM_REGISTER:
        if (length != 12)
            return false;
        memcpy(words, body, 4);
        memcpy(&value, body + 4, 8);
        set_register(stick, words[0], value);
        return true;
    default:
        return false;
    }
}

static void *listen_to_brain(void *argument)
{
    struct stick *stick = argument;
    int socket = stick->socket;
    unsigned char *body = NULL;
    uint32_t start[2];
    bool sound = true;
    while (sound && read_all(socket, start, sizeof start) && start[1] <= MOST_MESSAGE) {
        unsigned char *bigger = realloc(body, (size_t)start[1] + 1);
        if (bigger == NULL)
            break;
        body = bigger;
        if (!read_all(socket, body, start[1]))
            break;
        pthread_mutex_lock(&stick_lock);
        sound = take_message(stick, start[0], body, start[1]);
        pthread_mutex_unlock(&stick_lock);
    }
    pthread_mutex_lock(&stick_lock);
    lose(stick);
    stick->socket = -1;
    close(socket);
    pthread_mutex_unlock(&stick_lock);
    free(body);
    return NULL;
}

/* Connects, says who is there, and waits to be told how the stick is. Locked. */
static bool greet(struct stick *stick, const struct sockaddr_un *address)
{
    struct timeval patience = {.tv_sec = PATIENCE_S};
    uint32_t hello[3] = {WIRE_VERSION, stick->index, (uint32_t)getpid()};
    uint32_t start[2], state[4];
    stick->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (stick->socket < 0)
        return false;
    setsockopt(stick->socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(stick->socket, (const struct sockaddr *)address, sizeof *address) != 0)
        return false;
    tell(stick, TO_HELLO, hello, sizeof hello, NULL, 0);
    if (!read_all(stick->socket, start, sizeof start) || start[0] != FROM_STATE ||
        start[1] != sizeof state || !read_all(stick->socket, state, sizeof state))
        return false;
    patience.tv_sec = 0;
    setsockopt(stick->socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    take_state(stick, state);
    return true;
}

static void start_listening(struct stick *stick)
{
    sigset_t all, before;
    pthread_t thread;
    /* The program's signals are for the program's own threads. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&thread, NULL, listen_to_brain, stick) == 0)
        pthread_detach(thread);
    else
        lose(stick);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* A forked child has no listening threads: it meets the sticks anew. */
static void forget_in_child(void)
{
    for (unsigned i = 0; i < stick_count; i++)
        if (sticks[i].socket >= 0)
            close(sticks[i].socket);
    memset(sticks, 0, sizeof sticks);
    stick_count = 0;
    met = false;
    pthread_mutex_init(&stick_lock, NULL);
    pthread_cond_init(&answered, NULL);
}

unsigned meet_sticks(void)
{
    static bool prepared_for_fork;
    const char *path = getenv("ATOLL_STICK_SOCKET"), *count = getenv("ATOLL_STICK_COUNT");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (met)
        return stick_count;
    met = true;
    if (!prepared_for_fork)
        prepared_for_fork = pthread_atfork(NULL, NULL, forget_in_child) == 0;
    if (path == NULL || strlen(path) >= sizeof address.sun_path)
        return 0;
    strcpy(address.sun_path, path);
    stick_count = count == NULL ? 1 : (unsigned)strtoul(count, NULL, 10);
    if (stick_count > MOST_STICKS)
        stick_count = MOST_STICKS;
    for (unsigned i = 0; i < stick_count; i++) {
        struct stick *stick = &sticks[i];
        stick->index = i;
        prepare_queues(stick);
        reset_registers(stick);
        reset_boot_loader(stick);
        if (greet(stick, &address)) {
            start_listening(stick);
        } else {
            say(stick, "nobody listens; it is treated as unplugged");
            if (stick->socket >= 0)
                close(stick->socket);
            stick->socket = -1;
        }
    }
    return stick_count;
}

struct stick *stick_at(unsigned index)
{
    return &sticks[index];
}
