/* A run: addresses filled in, frames sent as the hints say, outputs taken out of their tiles. */
#include "run.h"

#include <stdlib.h>
#include <string.h>

enum { FIXED_POINT8 = 0, SIGNED_FIXED_POINT8 = 8 };
enum { MOST_CACHED = 16 };
enum { Y_TILE, X_TILE, TILE_OFFSET, X_LOCAL, Y_LOCAL, X_ROW };

/* Which caching programs the chip holds; all of one token. */
static struct {
    struct opened *stick;
    uint64_t token;
    const struct program *programs[MOST_CACHED];
    size_t count;
} cached;

/* What the hints and addresses of a run refer to. */
struct buffers {
    const struct program *program;
    unsigned char *inputs[MOST_LAYERS], *outputs[MOST_LAYERS], *scratch;
};

size_t tensor_bytes(const struct layer *layer)
{
    bool known = layer->type == FIXED_POINT8 || layer->type == SIGNED_FIXED_POINT8;
    return known ? (size_t)layer->y * layer->x * layer->z : 0;
}

static void flip(unsigned char *data, size_t length)
{
    for (size_t i = 0; i < length; i++)
        data[i] ^= 0x80;
}

static unsigned char *named(const struct layer *layers, size_t count, unsigned char *const *data,
                            struct bytes name)
{
    for (size_t i = 0; i < count; i++)
        if (same(layers[i].name, name))
            return data[i];
    return NULL;
}

static const unsigned char *buffer_of(const struct buffers *b, int base, struct bytes name)
{
    const struct program *p = b->program;
    switch (base) {
    case BASE_INPUT:
        return named(p->inputs, p->input_count, b->inputs, name);
    case BASE_OUTPUT:
        return named(p->outputs, p->output_count, b->outputs, name);
    case BASE_PARAMETER:
        return p->parameters.at;
    default:
        return b->scratch;
    }
}

/* Writes 32 bits at any bit. */
static void put(unsigned char *code, uint32_t bit, uint32_t value)
{
    for (uint32_t i = 0; i < 32; i++) {
        unsigned char mask = (unsigned char)(1u << ((bit + i) % 8));
        unsigned char *at = code + (bit + i) / 8;
        *at = (unsigned char)(value >> i & 1 ? *at | mask : *at & ~mask);
    }
}

static void fill_in(const struct buffers *b, struct chunk *chunk)
{
    for (size_t i = 0; i < chunk->field_count; i++) {
        const struct field *field = &chunk->fields[i];
        uint64_t address = (uint64_t)(uintptr_t)buffer_of(b, field->base, field->name);
        put(chunk->code, field->bit, (uint32_t)(field->upper ? address >> 32 : address));
    }
}

static void follow(struct opened *stick, const struct buffers *b, const struct hint *hint)
{
    const unsigned char *buffer;
    switch (hint->kind) {
    case HINT_INSTRUCTIONS: {
        struct chunk *chunk = &b->program->chunks[hint->start];
        fill_in(b, chunk);
        send_frame(stick, TAG_INSTRUCTIONS, chunk->code, chunk->length);
        break;
    }
    case HINT_TRANSFER:
        buffer = buffer_of(b, hint->base, hint->name);
        if (buffer == NULL)
            fatal("a hint for an unknown layer");
        if (hint->direction == OUTFEED)
            receive(stick, (unsigned char *)(uintptr_t)buffer + hint->start, hint->size);
        else
            send_frame(stick, hint->base == BASE_PARAMETER ? TAG_PARAMETERS : TAG_INPUT,
                       buffer + hint->start, hint->size);
        break;
    case HINT_INTERRUPT:
        wait_done(stick);
        break;
    }
}

static const char *run_program(struct opened *stick, const struct buffers *b)
{
    if (!b->program->deterministic)
        return "Executable must have fully deterministic DMA hints when DMA descriptors from "
               "device are disabled.";
    for (size_t i = 0; i < b->program->hint_count; i++)
        follow(stick, b, &b->program->hints[i]);
    wait_sent(stick);
    return NULL;
}

static bool is_cached(struct opened *stick, const struct program *program)
{
    if (cached.stick != stick || cached.token != program->token)
        return false;
    for (size_t i = 0; i < cached.count; i++)
        if (cached.programs[i] == program)
            return true;
    return false;
}

void forget_parameters(void)
{
    cached.count = 0;
    cached.stick = NULL;
}

static const char *load_parameters(struct opened *stick, const struct program *program)
{
    struct buffers b = {.program = program};
    if (is_cached(stick, program))
        return NULL;
    if (cached.stick != stick || cached.token != program->token || cached.count == MOST_CACHED)
        cached.count = 0;
    cached.stick = stick;
    cached.token = program->token;
    cached.programs[cached.count++] = program;
    return run_program(stick, &b);
}

/* The element (y, x, z) lies where the six maps say. */
static void take_out_of_tiles(const struct layer *layer, const unsigned char *from,
                              unsigned char *to)
{
    if (layer->y * layer->x == 1) {
        memcpy(to, from, layer->z);
        return;
    }
    for (uint32_t y = 0; y < layer->y; y++) {
        for (uint32_t x = 0; x < layer->x; x++) {
            int32_t tile = number_at(layer->maps[Y_TILE], y) + number_at(layer->maps[X_TILE], x);
            int64_t at = (int64_t)number_at(layer->maps[TILE_OFFSET], (size_t)tile) +
                         (int64_t)number_at(layer->maps[Y_LOCAL], y) *
                             number_at(layer->maps[X_ROW], x) +
                         number_at(layer->maps[X_LOCAL], x);
            if (at < 0 || at + layer->z > layer->size)
                fatal("an output with elements outside");
            memcpy(to, from + at, layer->z);
            to += layer->z;
        }
    }
}

const char *run_package(struct opened *stick, struct package *package, unsigned char **inputs,
                        unsigned char **outputs)
{
    const struct program *caching = &package->programs[PARAMETER_CACHING];
    const struct program *program = &package->programs[EXECUTION_ONLY];
    const char *wrong = NULL;
    if (!program->there)
        program = &package->programs[STAND_ALONE];
    struct buffers b = {.program = program, .scratch = malloc(program->scratch + 1)};
    if (caching->there)
        wrong = load_parameters(stick, caching);
    else
        cached.count = 0;
    for (size_t i = 0; i < program->input_count; i++) {
        const struct layer *layer = &program->inputs[i];
        size_t length = tensor_bytes(layer);
        if (layer->type == SIGNED_FIXED_POINT8)
            flip(inputs[i], length);
        b.inputs[i] = calloc(1, layer->size);
        memcpy(b.inputs[i], inputs[i], length);
    }
    for (size_t i = 0; i < program->output_count; i++)
        b.outputs[i] = malloc(program->outputs[i].size);
    if (wrong == NULL)
        wrong = run_program(stick, &b);
    for (size_t i = 0; wrong == NULL && i < program->output_count; i++) {
        const struct layer *layer = &program->outputs[i];
        take_out_of_tiles(layer, b.outputs[i], outputs[i]);
        if (layer->type == SIGNED_FIXED_POINT8)
            flip(outputs[i], tensor_bytes(layer));
    }
    for (size_t i = 0; i < MOST_LAYERS; i++) {
        free(b.inputs[i]);
        free(b.outputs[i]);
    }
    free(b.scratch);
    return wrong;
}
