/* A compiled part, read from the options of its operator (docs/format.md). */
#ifndef DRIVER_PACKAGE_H
#define DRIVER_PACKAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { STAND_ALONE = 0, PARAMETER_CACHING = 1, EXECUTION_ONLY = 2, PROGRAM_TYPES = 3 };
enum { BASE_OUTPUT = 0, BASE_INPUT = 1, BASE_PARAMETER = 2, BASE_SCRATCH = 3 };
enum { HINT_TRANSFER = 1, HINT_INSTRUCTIONS = 2, HINT_INTERRUPT = 3, HINT_FENCE = 4 };
enum { INFEED = 0, OUTFEED = 1 };
enum { MOST_LAYERS = 16 };

/* A piece of the file. */
struct bytes {
    const unsigned char *at;
    size_t length;
};

struct numbers {
    const unsigned char *at; /* little-endian 32-bit numbers */
    size_t count;
};

struct field {
    int base, upper;
    struct bytes name;
    uint32_t bit;
};

struct chunk {
    unsigned char *code; /* a copy, to be filled in */
    size_t length;
    struct field *fields;
    size_t field_count;
};

struct hint {
    int kind, direction;
    int base;          /* of a transfer */
    struct bytes name; /* of a transfer */
    uint32_t start;    /* of a transfer; the number of a chunk or an interrupt */
    uint32_t size;
};

struct layer {
    struct bytes name;
    uint32_t size, y, x, z;
    int type;
    struct numbers maps[6]; /* of an output, see OutputLayout */
};

struct program {
    bool there;
    int type;
    uint64_t token;
    bool deterministic;
    uint32_t scratch;
    struct bytes parameters;
    struct chunk *chunks;
    size_t chunk_count;
    struct hint *hints;
    size_t hint_count;
    struct layer inputs[MOST_LAYERS], outputs[MOST_LAYERS];
    size_t input_count, output_count;
};

struct package {
    unsigned number;     /* of its own: no other ever had it */
    unsigned char *copy; /* of the options, which all pieces point into */
    struct program programs[PROGRAM_TYPES];
};

/* Returns NULL where the options are no package. */
struct package *read_package(const void *options, size_t length);
void free_package(struct package *package);

/* The program that is run, and the one that is run before it; NULL for none. Of one program it is
 * that one, whatever its type says; of three, the one that does without the others. */
const struct program *main_program(const struct package *package);
const struct program *caching_program(const struct package *package);

int32_t number_at(struct numbers numbers, size_t index);
bool same(struct bytes a, struct bytes b);

#endif
