/* Running a package's programs on a stick. */
#ifndef DRIVER_RUN_H
#define DRIVER_RUN_H

#include "package.h"
#include "usb.h"

/* Runs a package once, loading its parameters first where they are not on the chip.
 *
 * `inputs` are the tensors themselves: signed ones are changed in place, as the published driver
 * does. Returns NULL, or what is wrong. */
const char *run_package(struct opened *stick, struct package *package, unsigned char **inputs,
                        unsigned char **outputs);

/* A package or a stick is gone: nothing is taken to be on a chip. */
void forget_parameters(void);

/* Bytes of the tensor of a layer; 0 for a type that this driver does not know. */
size_t tensor_bytes(const struct layer *layer);

#endif
