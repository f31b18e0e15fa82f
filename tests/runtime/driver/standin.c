/* A stand-in for libedgetpu: the same interface, the same ways to fail, and no chip.
 *
 * It "computes" out[k][i] = in[0][i % n] ^ (17 * (k + 1)), and turns int8 inputs into uint8 where
 * they stand, as the driver does. Compiled with
 *   -DREGISTRATION=64   the registration of TensorFlow 2.5, with poison behind it
 *   -DREGISTRATION=88   today's
 *   -DUSB               output bytes come through libusb, which must be linked
 * What goes wrong is in STANDIN, words separated by commas: NAME or NAME=N, N being the call (from
 * 1 on), milliseconds or bytes.
 */
#define _DEFAULT_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tflite.h" /* tests/stick/driver */

#define PUBLIC __attribute__((visibility("default")))

typedef struct int_array ints;
typedef struct tensor tensor;
typedef struct node node;
typedef struct context context;
typedef struct registration registration;
typedef struct passed_registration passed;
typedef struct delegate delegate;
struct device { int type; const char *path; };

static int verbosity, calls, alive, delegates;

/* The number behind a fault's name; -1 where it is not asked for. */
static long fault(const char *name) {
    const char *all = getenv("STANDIN");
    size_t length = strlen(name);
    while (all != NULL && *all) {
        if (!strncmp(all, name, length) && strchr("=,", all[length]))
            return all[length] == '=' ? atol(all + length + 1) : 0;
        all = strchr(all, ',');
        if (all) all++;
    }
    return -1;
}

static int due(const char *name) { return fault(name) == calls; }

static void millis(long count) {
    struct timespec time = {count / 1000, count % 1000 * 1000000};
    nanosleep(&time, NULL);
}

static void give_up(const char *words) {
    fprintf(stderr, "I :1 some chatter\nF :1115] %s\nF :1115] Aborting.\n", words);
    fflush(stderr);
    abort();
}

#ifdef USB
/* One bulk-in transfer a call, of as many bytes as are due, through libusb. */
struct transfer {
    void *handle; uint8_t flags; unsigned char endpoint, type; unsigned timeout; int status, length,
        actual_length; void (*done)(struct transfer *); void *user_data; unsigned char *buffer;
};
extern int libusb_submit_transfer(struct transfer *);
static int finished;
static void on_done(struct transfer *t) { if (t->user_data == &finished) finished = 1; free(t); }
static void receive(long bytes) {
    struct transfer *t = calloc(1, sizeof *t + 64);
    *t = (struct transfer){.endpoint = 0x81, .type = 2, .length = (int)bytes, .done = on_done,
                           .user_data = &finished};
    finished = 0;
    if (libusb_submit_transfer(t) || !finished) give_up("no transfer");
}
#endif

static void *on_init(context *c, const char *buffer, size_t length) {
    (void)c, (void)buffer, (void)length;
    alive++;
    return malloc(1);
}

static void on_release(context *c, void *data) { (void)c; alive--; free(data); }

static int on_prepare(context *c, node *n) {
    (void)n;
    if (fault("abort-prepare") == 0) give_up("Check failed: prepare");
    if (fault("refuse") == 0) {
        c->report_error(c, "Failed to prepare for TPU. %s", "Failed precondition: no such thing");
        return 1;
    }
    if (fault("june") == 0) { /* tensors of 104 bytes: the second one's type is anything */
        c->report_error(c, "Internal: Unsupported data type in custom op handler: -476681008");
        return 1;
    }
    return 0;
}

static int on_invoke(context *c, node *n) {
    calls++;
    if (due("abort")) give_up("transfer in failed. Not found: USB transfer error 5");
    if (due("crash")) raise(SIGSEGV);
    if (due("exit")) _exit(7);
    if (due("hang")) for (;;) pause();
    if (due("fail")) { c->report_error(c, "Failed to execute request. Deadline exceeded"); return 1; }
    if (fault("slow") > 0) millis(fault("slow"));
    tensor *in = &c->tensors[n->inputs->data[0]];
    for (int k = 0; k < n->outputs->size; k++) {
        tensor *out = &c->tensors[n->outputs->data[k]];
        for (size_t i = 0; i < out->bytes; i++)
            out->data[i] = in->data[i % in->bytes] ^ (uint8_t)(17 * (k + 1));
    }
#ifdef USB
    long expected = fault("due");
    if (due("surplus-before")) receive(64);
    receive(expected + (due("surplus") ? 16 : 0));
    if (due("surplus-after")) receive(16);
#endif
    for (int i = 0; i < n->inputs->size; i++) {
        tensor *each = &c->tensors[n->inputs->data[i]];
        if (each->type == 9) for (size_t k = 0; k < each->bytes; k++) each->data[k] ^= 0x80;
    }
    return 0;
}

static int take_over(context *c, delegate *self) {
    ints *plan;
    if (c->get_execution_plan(c, &plan)) return 1;
    int count = plan->size, *indices = malloc(sizeof *indices * (size_t)(count + 1));
    memcpy(indices, plan->data, sizeof *indices * (size_t)count);
    passed p = {.own = {.init = on_init, .free = on_release, .prepare = on_prepare,
                        .invoke = on_invoke, .custom_name = "StandIn", .version = 1}};
#if REGISTRATION == 64
    memset(p.behind, 0xa5, sizeof p.behind);
#endif
    for (int i = 0; i < count; i++) {
        node *n;
        registration *r;
        if (c->get_node_and_registration(c, indices[i], &n, &r)) return 1;
        if (r->custom_name == NULL || strcmp(r->custom_name, EDGETPU_OP)) continue;
        int one[2] = {1, indices[i]};
        if (c->replace_node_subsets(c, p, (ints *)one, self)) return 1;
    }
    free(indices);
    return 0;
}

PUBLIC delegate *tflite_plugin_create_delegate(char **keys, char **values, size_t count,
                                               void (*on_error)(const char *)) {
    for (size_t i = 0; i < count && fault("options") == 0; i++)
        fprintf(stderr, "option %s=%s\n", keys[i], values[i]);
    if (fault("hang-create") == 0) for (;;) pause();
    if (fault("abort-create") == 0) give_up("Check failed: create");
    if (fault("busy") == 0) {
        if (verbosity >= 1) fprintf(stderr, "I :1 Permission denied: USB error -3 [OpenDevice]\n");
        return NULL;
    }
    if (fault("reason") == 0) { on_error("a reason\nof two lines"); return NULL; }
    delegate *made = calloc(1, sizeof *made);
    made->prepare = take_over;
    made->flags = 1;
    delegates++;
    return made;
}

PUBLIC void tflite_plugin_destroy_delegate(delegate *made) {
    if (--delegates == 0 && alive) give_up("the delegate was ended before its operators");
    const char *path = getenv("STANDIN_CLOSED");
    FILE *file = path ? fopen(path, "a") : NULL;
    if (file) { fputs("closed\n", file); fclose(file); }
    free(made);
}

PUBLIC struct device *edgetpu_list_devices(size_t *count) {
    static struct device all[2] = {{1, "/sys/bus/usb/devices/1-1"}, {1, "/sys/bus/usb/devices/1-2"}};
    *count = fault("none") == 0 ? 0 : 2;
    return *count ? all : NULL;
}

PUBLIC void edgetpu_free_devices(struct device *devices) { (void)devices; }

PUBLIC void edgetpu_verbosity(int level) { verbosity = level; }

PUBLIC const char *edgetpu_version(void) {
    if (fault("old") == 0)
        return "BuildLabel(COMPILER=5.4.0 20160609,DATE=redacted,TIME=redacted,"
               "CL_NUMBER=291256449), RuntimeVersion(13)";
    if (fault("runtime12") == 0) return "BuildLabel(N/A), RuntimeVersion(12)";
    if (fault("runtime13") == 0) return "BuildLabel(COMPILER=6.3.0), RuntimeVersion(13)";
    return "BuildLabel(COMPILER=6.3.0 20170516,DATE=redacted,TIME=redacted), RuntimeVersion(14)";
}
