/* A stand-in for libedgetpu: the same interface, over libusb, with the same ways to fail.
 *
 * It opens sticks, gives them firmware, and runs compiled models on them. It ends its process when
 * a stick fails, and waits for ever where one is silent, as the published driver does.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run.h"
#include "tflite.h"

#define PUBLIC __attribute__((visibility("default")))
enum { MOST_DEVICES = 8 };

/* The sticks of this process: each is opened once, however many delegates use it. */
static struct {
    struct opened *stick;
    int users;
} opened[MOST_DEVICES];
static int verbosity;

struct edgetpu_delegate {
    struct delegate base;
    int index;
};

struct kernel {
    struct package *package;
    struct opened *stick;
};

/* By what the delegate points at: a shim may have put another one in its place. */
static struct opened *stick_of(const void *delegate)
{
    return ((const struct delegate *)delegate)->data;
}

static void *kernel_init(struct context *context, const char *buffer, size_t length)
{
    const struct delegate_params *params = (const void *)buffer;
    struct kernel *kernel = calloc(1, sizeof *kernel);
    struct node *node;
    struct registration *registration;
    (void)length;
    if (context->get_node_and_registration(context, params->nodes_to_replace->data[0], &node,
                                           &registration) == TFLITE_OK)
        kernel->package = read_package(node->custom_initial_data,
                                       (size_t)node->custom_initial_data_size);
    kernel->stick = stick_of(params->delegate);
    return kernel;
}

static void kernel_free(struct context *context, void *data)
{
    struct kernel *kernel = data;
    (void)context;
    forget_parameters();
    free_package(kernel->package);
    free(kernel);
}

static const struct program *main_program(const struct package *package)
{
    const struct program *run = &package->programs[EXECUTION_ONLY];
    return run->there ? run : &package->programs[STAND_ALONE];
}

static bool fits(const struct context *context, const struct int_array *tensors,
                 const struct layer *layers, size_t count)
{
    if ((size_t)tensors->size != count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (context->tensors[tensors->data[i]].bytes != tensor_bytes(&layers[i]))
            return false;
    return true;
}

static int kernel_prepare(struct context *context, struct node *node)
{
    const struct kernel *kernel = node->user_data;
    if (kernel->package == NULL) {
        context->report_error(context, "Failed to prepare for TPU. Package verification failed.");
        return TFLITE_ERROR;
    }
    const struct program *program = main_program(kernel->package);
    if (!fits(context, node->inputs, program->inputs, program->input_count) ||
        !fits(context, node->outputs, program->outputs, program->output_count)) {
        context->report_error(context, "Internal: layers and tensors differ");
        return TFLITE_ERROR;
    }
    return TFLITE_OK;
}

static int kernel_invoke(struct context *context, struct node *node)
{
    const struct kernel *kernel = node->user_data;
    unsigned char *inputs[MOST_LAYERS], *outputs[MOST_LAYERS];
    for (int i = 0; i < node->inputs->size; i++)
        inputs[i] = context->tensors[node->inputs->data[i]].data;
    for (int i = 0; i < node->outputs->size; i++)
        outputs[i] = context->tensors[node->outputs->data[i]].data;
    const char *wrong = run_package(kernel->stick, kernel->package, inputs, outputs);
    if (wrong == NULL)
        return TFLITE_OK;
    context->report_error(context, "Failed to execute request. %s", wrong);
    return TFLITE_ERROR;
}

static int delegate_prepare(struct context *context, struct delegate *delegate)
{
    struct passed_registration passed = {.own = {.init = kernel_init,
                                                 .free = kernel_free,
                                                 .prepare = kernel_prepare,
                                                 .invoke = kernel_invoke,
                                                 .custom_name = "EdgeTpuDelegateForCustomOp",
                                                 .version = 1}};
#if REGISTRATION == 64
    memset(passed.behind, 0x5a, sizeof passed.behind);
#endif
    struct int_array *plan;
    int found[64], count = 0;
    if (context->get_execution_plan(context, &plan) != TFLITE_OK)
        return TFLITE_ERROR;
    for (int i = 0; i < plan->size && count < 64; i++) {
        struct node *node;
        struct registration *registration;
        context->get_node_and_registration(context, plan->data[i], &node, &registration);
        if (registration->custom_name != NULL && strcmp(registration->custom_name, EDGETPU_OP) == 0)
            found[count++] = plan->data[i];
    }
    for (int i = 0; i < count; i++) {
        struct int_array *one = malloc(sizeof *one + sizeof *one->data);
        one->size = 1;
        one->data[0] = found[i];
        int status = context->replace_node_subsets(context, passed, one, delegate);
        free(one);
        if (status != TFLITE_OK)
            return status;
    }
    return TFLITE_OK;
}

/* The index in "usb:N" or ":N"; 0 for "usb" and for none; -1 for what is no stick. */
static int index_of(const char *device)
{
    if (*device == '\0' || strcmp(device, "usb") == 0)
        return 0;
    const char *digits = strncmp(device, "usb:", 4) == 0 ? device + 4
                         : *device == ':'                ? device + 1
                                                         : "x";
    char *end;
    long index = strtol(digits, &end, 10);
    return *digits == '\0' || *end != '\0' || index < 0 || index >= MOST_DEVICES ? -1 : (int)index;
}

/* What the clock is divided by; options count only where the device has an index. */
static int clock_of(const char *performance)
{
    static const char *const NAMES[] = {"Max", "High", "Medium", "Low"};
    for (int i = 0; i < 4; i++)
        if (strcmp(performance, NAMES[i]) == 0)
            return i;
    return 0;
}

PUBLIC struct delegate *tflite_plugin_create_delegate(char **keys, char **values, size_t count,
                                                      void (*report_error)(const char *))
{
    const char *device = "", *performance = "";
    (void)report_error; /* never called, as by the published driver */
    for (size_t i = 0; i < count; i++) {
        if (strcmp(keys[i], "device") == 0)
            device = values[i];
        else if (strcmp(keys[i], "Performance") == 0)
            performance = values[i];
    }
    int index = index_of(device);
    if (index < 0)
        return NULL;
    if (opened[index].users == 0) {
        int clock = strchr(device, ':') != NULL ? clock_of(performance) : 0;
        opened[index].stick = open_stick(index, clock, verbosity > 0);
        if (opened[index].stick == NULL)
            return NULL;
    }
    opened[index].users++;
    struct edgetpu_delegate *made = calloc(1, sizeof *made);
    made->base.data = opened[index].stick;
    made->base.prepare = delegate_prepare;
    made->base.flags = ALLOW_DYNAMIC_TENSORS;
    made->index = index;
    return &made->base;
}

PUBLIC void tflite_plugin_destroy_delegate(struct delegate *delegate)
{
    struct edgetpu_delegate *made = (struct edgetpu_delegate *)delegate;
    if (made == NULL)
        return;
    if (--opened[made->index].users == 0) {
        forget_parameters();
        close_stick(opened[made->index].stick);
    }
    free(made);
}

PUBLIC void edgetpu_verbosity(int level)
{
    verbosity = level;
}

PUBLIC const char *edgetpu_version(void)
{
    return "BuildLabel(stand-in), RuntimeVersion(14)";
}
