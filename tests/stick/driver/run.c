/* A run: addresses filled in, frames sent as the hints say, outputs taken out of their tiles. */
#include "run.h"

#include <stdlib.h>
#include <string.h>

#include "fatal.h"
#include "opening.h"

enum { FIXED_POINT8 = 0, SIGNED_FIXED_POINT8 = 8 };
enum { Y_TILE, X_TILE, TILE_OFFSET, X_LOCAL, Y_LOCAL, X_ROW };

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

/* What the worker is to do for a hint. */
static struct move move_of(const struct buffers *b, const struct hint *hint)
{
    switch (hint->kind) {
    case HINT_INSTRUCTIONS: {
        struct chunk *chunk = &b->program->chunks[hint->start];
        fill_in(b, chunk);
        return (struct move){SEND, TAG_INSTRUCTIONS, chunk->code, chunk->length};
    }
    case HINT_INTERRUPT:
        return (struct move){INTERRUPT, TAG_INTERRUPT + (int)hint->start, NULL, 0};
    case HINT_FENCE:
        return (struct move){FENCE, 0, NULL, 0};
    }
    const unsigned char *buffer = buffer_of(b, hint->base, hint->name);
    if (buffer == NULL)
        fatal("a hint for an unknown layer");
    unsigned char *data = (unsigned char *)(uintptr_t)buffer + hint->start;
    if (hint->direction == OUTFEED)
        return (struct move){RECEIVE, TAG_OUTPUT, data, hint->size};
    return (struct move){SEND, hint->base == BASE_PARAMETER ? TAG_PARAMETERS : TAG_INPUT, data,
                         hint->size};
}

static const char *begin_program(struct stick *stick, const struct buffers *b)
{
    size_t count = b->program->hint_count;
    if (!b->program->deterministic)
        return "Executable must have fully deterministic DMA hints when DMA descriptors from "
               "device are disabled.";
    struct move *moves = malloc((count + 1) * sizeof *moves);
    for (size_t i = 0; i < count; i++)
        moves[i] = move_of(b, &b->program->hints[i]);
    begin(stick->worker, moves, count);
    free(moves);
    return NULL;
}

static bool is_cached(const struct cache *cache, unsigned package)
{
    for (size_t i = 0; i < cache->count; i++)
        if (cache->packages[i] == package)
            return true;
    return false;
}

/* Programs of another token, and those without one, lose what is on the chip. */
static const char *load_parameters(struct stick *stick, const struct package *package,
                                   const struct program *main)
{
    struct cache *cache = &stick->cache;
    struct buffers b = {.program = caching_program(package)};
    if (main->token == 0 || main->token != cache->token) {
        cache->token = 0;
        cache->count = 0;
    }
    if (b.program == NULL || is_cached(cache, package->number))
        return NULL;
    cache->token = b.program->token;
    if (cache->count < MOST_CACHED)
        cache->packages[cache->count++] = package->number;
    return begin_program(stick, &b);
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

/* A tensor as it is sent. What lies behind it is another thing each time. */
static unsigned char *padded(const struct layer *layer, const unsigned char *tensor)
{
    static unsigned char behind;
    size_t length = tensor_bytes(layer);
    unsigned char *buffer = malloc(layer->size);
    memset(buffer, ++behind, layer->size);
    memcpy(buffer, tensor, length);
    return buffer;
}

static const char *run(struct stick *stick, struct package *package, unsigned char **inputs,
                       unsigned char **outputs)
{
    const struct program *program = main_program(package);
    struct buffers b = {.program = program, .scratch = malloc(program->scratch + 1)};
    for (size_t i = 0; i < program->input_count; i++) {
        if (program->inputs[i].type == SIGNED_FIXED_POINT8)
            flip(inputs[i], tensor_bytes(&program->inputs[i]));
        b.inputs[i] = padded(&program->inputs[i], inputs[i]);
    }
    for (size_t i = 0; i < program->output_count; i++)
        b.outputs[i] = malloc(program->outputs[i].size);
    const char *wrong = load_parameters(stick, package, program);
    if (wrong == NULL)
        wrong = begin_program(stick, &b);
    /* The run does not wait for the parameters' event: their frames follow each other at once. */
    wait_for_all(stick->worker);
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

const char *run_package(struct stick *stick, struct package *package, unsigned char **inputs,
                        unsigned char **outputs)
{
    pthread_mutex_lock(&stick->lock);
    const char *wrong = run(stick, package, inputs, outputs);
    pthread_mutex_unlock(&stick->lock);
    return wrong;
}
