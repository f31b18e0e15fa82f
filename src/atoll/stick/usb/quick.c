/* Shortens libedgetpu's sleeps: it waits a second before each of several steps of opening a stick.
 *
 * A library to be preloaded. The program's own sleeps stay as they are: only those are shortened
 * that are called from a library which makes delegates for TFLite, as libedgetpu does.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <time.h>
#include <unistd.h>

#define API __attribute__((visibility("default")))

static const struct timespec SHORT = {.tv_nsec = 1000000};

static int from_driver(void *caller)
{
    Dl_info info;
    if (dladdr(caller, &info) == 0 || info.dli_fname == NULL)
        return 0;
    void *library = dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
    if (library == NULL)
        return 0;
    /* dlsym looks in what a library was linked with too: a program's own binary is no driver. */
    void *function = dlsym(library, "tflite_plugin_create_delegate");
    Dl_info where;
    int found = function != NULL && dladdr(function, &where) != 0 &&
                where.dli_fbase == info.dli_fbase;
    dlclose(library);
    return found;
}

static int is_longer(const struct timespec *time)
{
    return time->tv_sec > 0 || time->tv_nsec > SHORT.tv_nsec;
}

static int sleep_for(clockid_t clock, int flags, const struct timespec *time,
                     struct timespec *left, void *caller)
{
    if (flags == 0 && is_longer(time) && from_driver(caller))
        time = &SHORT;
    static int (*real)(clockid_t, int, const struct timespec *, struct timespec *);
    if (real == NULL)
        *(void **)(&real) = dlsym(RTLD_NEXT, "clock_nanosleep");
    return real(clock, flags, time, left);
}

API int clock_nanosleep(clockid_t clock, int flags, const struct timespec *time,
                        struct timespec *left)
{
    return sleep_for(clock, flags, time, left, __builtin_return_address(0));
}

API int nanosleep(const struct timespec *time, struct timespec *left)
{
    int error = sleep_for(CLOCK_REALTIME, 0, time, left, __builtin_return_address(0));
    if (error == 0)
        return 0;
    errno = error;
    return -1;
}

API int usleep(useconds_t microseconds)
{
    struct timespec time = {microseconds / 1000000, (long)(microseconds % 1000000) * 1000};
    int error = sleep_for(CLOCK_REALTIME, 0, &time, NULL, __builtin_return_address(0));
    if (error == 0)
        return 0;
    errno = error;
    return -1;
}

API unsigned int sleep(unsigned int seconds)
{
    struct timespec time = {.tv_sec = seconds}, left = {0};
    if (sleep_for(CLOCK_REALTIME, 0, &time, &left, __builtin_return_address(0)) == 0)
        return 0;
    return (unsigned int)left.tv_sec + (left.tv_nsec > 0);
}
