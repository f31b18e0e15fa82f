/* A stand-in for libedgetpu: the same interface, over libusb, with the same ways to fail.
 *
 * It opens sticks, gives them firmware, and runs compiled models on them. It ends its process when
 * a stick fails, and waits for ever where one is silent, as the published driver does.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opening.h"
#include "tflite.h"

#define PUBLIC __attribute__((visibility("default")))
enum { READERS = 8 }; /* of libedgetpu's delegates, where no option says another number */

static int verbosity;

struct kernel {
    struct package *package;
    struct stick *stick;
};

/* By what the delegate points at: a shim may have put another one in its place. */
static struct stick *stick_of(const void *delegate)
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
    free_package(kernel->package);
    free(kernel);
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

/* A number, and nothing else; -1 for what is none. */
static int number_of(const char *text)
{
    char *end;
    long number = strtol(text, &end, 10);
    return *text == '\0' || *end != '\0' || number < 0 || number > MOST_READERS ? -1 : (int)number;
}

/* The index in "usb:N" or ":N"; -1 for what has none. */
static int index_of(const char *device)
{
    if (strncmp(device, "usb:", 4) == 0)
        return number_of(device + 4);
    return *device == ':' ? number_of(device + 1) : -1;
}

/* False for an option that is not known. */
static bool set(struct settings *settings, const char *key, const char *value)
{
    static const char *const CLOCKS[] = {"Low", "Medium", "High", "Max"};
    if (strcmp(key, "Performance") == 0) {
        for (int i = PERFORMANCE_LOW; i <= PERFORMANCE_MAX; i++) {
            if (strcmp(value, CLOCKS[i]) == 0) {
                settings->performance = (enum performance)i;
                return true;
            }
        }
        return false;
    }
    if (strcmp(key, "Usb.AlwaysDfu") == 0) {
        settings->always_dfu = strcmp(value, "True") == 0;
        return settings->always_dfu || strcmp(value, "False") == 0;
    }
    if (strcmp(key, "Usb.MaxBulkInQueueLength") == 0) {
        settings->readers = number_of(value);
        return settings->readers >= 0;
    }
    return true;
}

PUBLIC struct delegate *tflite_plugin_create_delegate(char **keys, char **values, size_t count,
                                                      void (*report_error)(const char *))
{
    struct settings settings = {PERFORMANCE_MAX, false, READERS};
    const char *device = "";
    struct stick *stick = NULL;
    (void)report_error; /* never called, as by the published driver */
    for (size_t i = 0; i < count; i++)
        if (strcmp(keys[i], "device") == 0)
            device = values[i];
    int index = index_of(device);
    if (index >= 0) {
        /* Options count only where the device has an index. */
        struct paths paths;
        bool known = true;
        for (size_t i = 0; i < count; i++)
            known = set(&settings, keys[i], values[i]) && known;
        list_sticks(&paths);
        if (known && (size_t)index < paths.count)
            stick = open_stick(paths.path[index], &settings, verbosity);
    } else if (*device == '\0' || strcmp(device, "usb") == 0) {
        stick = open_any_stick(&settings, verbosity);
    }
    if (stick == NULL)
        return NULL;
    struct delegate *made = calloc(1, sizeof *made);
    made->data = stick;
    made->prepare = delegate_prepare;
    made->flags = ALLOW_DYNAMIC_TENSORS;
    return made;
}

PUBLIC void tflite_plugin_destroy_delegate(struct delegate *delegate)
{
    if (delegate == NULL)
        return;
    release_stick(delegate->data);
    free(delegate);
}

/* edgetpu_c.h; a stick's type is 1. */
struct device_record {
    int type;
    const char *path;
};

PUBLIC struct device_record *edgetpu_list_devices(size_t *count)
{
    struct listed {
        struct device_record records[MOST_DEVICES];
        struct paths paths;
    } *listed = calloc(1, sizeof *listed);
    list_sticks(&listed->paths);
    *count = listed->paths.count;
    for (size_t i = 0; i < *count; i++)
        listed->records[i] = (struct device_record){1, listed->paths.path[i]};
    return listed->records;
}

PUBLIC void edgetpu_free_devices(struct device_record *records)
{
    free(records); /* the first member of its piece of memory */
}

PUBLIC void edgetpu_verbosity(int level)
{
    verbosity = level;
}

PUBLIC const char *edgetpu_version(void)
{
    return "BuildLabel(stand-in), RuntimeVersion(14)";
}
