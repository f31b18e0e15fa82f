/* Running a package's programs on a stick. */
#ifndef DRIVER_RUN_H
#define DRIVER_RUN_H

#include <stdint.h>

#include "package.h"

enum { MOST_CACHED = 64 };

struct stick;

/* Which caching programs are taken to be on the chip, by their packages' numbers: all of one token.
 */
struct cache {
    uint64_t token;
    unsigned packages[MOST_CACHED];
    size_t count;
};

/* Runs a package once, loading its parameters first where they are not on the chip.
 *
 * `inputs` are the tensors themselves: signed ones are changed in place, as the published driver
 * does. Returns NULL, or what is wrong. */
const char *run_package(struct stick *stick, struct package *package, unsigned char **inputs,
                        unsigned char **outputs);

/* Bytes of the tensor of a layer; 0 for a type that this driver does not know. */
size_t tensor_bytes(const struct layer *layer);

#endif
