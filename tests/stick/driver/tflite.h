/* TensorFlow Lite's C structures, as far as a driver uses them (common.h, LiteRT 2).
 *
 * REGISTRATION is 64 for the one of TensorFlow 2.5, which the published libedgetpu passes by
 * value, and 88 for today's.
 */
#ifndef DRIVER_TFLITE_H
#define DRIVER_TFLITE_H

#include <stddef.h>
#include <stdint.h>

#ifndef REGISTRATION
#define REGISTRATION 88
#endif

enum { TFLITE_OK = 0, TFLITE_ERROR = 1 };
enum { ALLOW_DYNAMIC_TENSORS = 1 };
#define EDGETPU_OP "edgetpu-custom-op"

struct int_array {
    int size;
    int data[];
};

struct tensor {
    int type;
    unsigned char *data;
    struct int_array *dims;
    float scale;
    int32_t zero_point;
    int allocation_type;
    size_t bytes;
    char rest[64];
};

struct node {
    struct int_array *inputs, *outputs, *intermediates, *temporaries;
    void *user_data;
    void *builtin_data;
    const void *custom_initial_data;
    int custom_initial_data_size;
};

struct context;

struct registration {
    void *(*init)(struct context *, const char *, size_t);
    void (*free)(struct context *, void *);
    int (*prepare)(struct context *, struct node *);
    int (*invoke)(struct context *, struct node *);
    const char *(*profiling_string)(const struct context *, const struct node *);
    int32_t builtin_code;
    const char *custom_name;
    int version;
#if REGISTRATION == 88
    void *registration_external, *async_kernel;
    uint64_t inplace_operator;
#endif
};

/* What is passed by value. LiteRT reads 88 bytes: behind a short one lies what happens to be on
 * the caller's stack, here made as bad as it can be. */
struct passed_registration {
    struct registration own;
#if REGISTRATION == 64
    uint64_t behind[3];
#endif
};

struct context {
    size_t tensors_size;
    int (*get_execution_plan)(struct context *, struct int_array **);
    struct tensor *tensors;
    void *impl;
    void *resize_tensor;
    void (*report_error)(struct context *, const char *, ...);
    void *add_tensors;
    int (*get_node_and_registration)(struct context *, int, struct node **,
                                     struct registration **);
    int (*replace_node_subsets)(struct context *, struct passed_registration,
                                const struct int_array *, void *);
};

struct delegate {
    void *data;
    int (*prepare)(struct context *, struct delegate *);
    void *copy_from, *copy_to, *free_handle;
    int64_t flags;
    void *opaque;
};

struct delegate_params {
    void *delegate;
    struct int_array *nodes_to_replace, *input_tensors, *output_tensors;
};

_Static_assert(sizeof(struct registration) == REGISTRATION, "TfLiteRegistration");
_Static_assert(sizeof(struct tensor) == 112, "TfLiteTensor");

#endif
