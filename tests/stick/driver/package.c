/* Reads FlatBuffers by hand: tables by slot, everything bounded by the file's end. */
#include "package.h"

#include <stdlib.h>
#include <string.h>

struct table {
    const unsigned char *file;
    size_t length, at, fields, field_bytes;
};

static uint64_t little(const unsigned char *at, size_t width)
{
    uint64_t value = 0;
    for (size_t i = 0; i < width; i++)
        value |= (uint64_t)at[i] << 8 * i;
    return value;
}

static bool within(size_t at, size_t width, size_t length)
{
    return at <= length && width <= length - at;
}

/* A table at a place; all zero, and so without fields, where it cannot be one. */
static struct table table_at(const unsigned char *file, size_t length, size_t at)
{
    struct table table = {file, length, at, 0, 0};
    if (!within(at, 4, length))
        return (struct table){0};
    table.fields = at - (size_t)(int64_t)(int32_t)little(file + at, 4);
    if (!within(table.fields, 4, length))
        return (struct table){0};
    table.field_bytes = (size_t)little(file + table.fields, 2);
    return table;
}

static struct table root(struct bytes file)
{
    return within(0, 4, file.length)
               ? table_at(file.at, file.length, (size_t)little(file.at, 4))
               : (struct table){0};
}

/* Where a field lies; 0 where it is left out. */
static size_t field(struct table t, size_t slot)
{
    size_t entry = 4 + 2 * slot;
    if (entry + 2 > t.field_bytes || !within(t.fields + entry, 2, t.length))
        return 0;
    size_t offset = (size_t)little(t.file + t.fields + entry, 2);
    return offset ? t.at + offset : 0;
}

static uint64_t number(struct table t, size_t slot, size_t width, uint64_t missing)
{
    size_t at = field(t, slot);
    return at && within(at, width, t.length) ? little(t.file + at, width) : missing;
}

static size_t target(struct table t, size_t at)
{
    return at && within(at, 4, t.length) ? at + (size_t)little(t.file + at, 4) : t.length;
}

static struct table child(struct table t, size_t slot)
{
    size_t at = field(t, slot);
    return at ? table_at(t.file, t.length, target(t, at)) : (struct table){0};
}

static struct bytes vector(struct table t, size_t slot, size_t width, size_t *count)
{
    size_t at = field(t, slot), start = at ? target(t, at) : t.length;
    *count = 0;
    if (!at || !within(start, 4, t.length))
        return (struct bytes){0};
    *count = (size_t)little(t.file + start, 4);
    if (*count > t.length || !within(start + 4, *count * width, t.length)) {
        *count = 0;
        return (struct bytes){0};
    }
    return (struct bytes){t.file + start + 4, *count * width};
}

static struct bytes blob(struct table t, size_t slot)
{
    size_t count;
    return vector(t, slot, 1, &count);
}

static struct table item(struct table t, struct bytes offsets, size_t index)
{
    size_t at = (size_t)(offsets.at - t.file) + 4 * index;
    return table_at(t.file, t.length, target(t, at));
}

bool same(struct bytes a, struct bytes b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.at, b.at, a.length) == 0);
}

int32_t number_at(struct numbers numbers, size_t index)
{
    return index < numbers.count ? (int32_t)little(numbers.at + 4 * index, 4) : -1;
}

static bool read_chunks(struct program *program, struct table executable)
{
    struct bytes offsets = vector(executable, 5, 4, &program->chunk_count);
    program->chunks = calloc(program->chunk_count + 1, sizeof *program->chunks);
    for (size_t i = 0; i < program->chunk_count; i++) {
        struct table t = item(executable, offsets, i);
        struct chunk *chunk = &program->chunks[i];
        struct bytes code = blob(t, 0), fields = vector(t, 1, 4, &chunk->field_count);
        chunk->length = code.length;
        chunk->code = malloc(code.length + 1);
        chunk->fields = calloc(chunk->field_count + 1, sizeof *chunk->fields);
        if (code.length == 0)
            return false;
        memcpy(chunk->code, code.at, code.length);
        for (size_t k = 0; k < chunk->field_count; k++) {
            struct table entry = item(t, fields, k), meta = child(entry, 0);
            chunk->fields[k] = (struct field){.base = (int)number(meta, 0, 2, 0),
                                              .upper = (int)number(meta, 3, 2, 0),
                                              .name = blob(meta, 2),
                                              .bit = (uint32_t)number(entry, 1, 4, 0)};
            if (chunk->fields[k].bit + 32 > 8 * chunk->length)
                return false;
        }
    }
    return true;
}

static bool read_hints(struct program *program, struct table executable)
{
    struct table all = child(executable, 7);
    struct bytes offsets = vector(all, 0, 4, &program->hint_count);
    program->deterministic = number(all, 1, 1, 0) != 0;
    program->hints = calloc(program->hint_count + 1, sizeof *program->hints);
    for (size_t i = 0; i < program->hint_count; i++) {
        struct table t = item(all, offsets, i), what = child(t, 1), meta = child(what, 0);
        struct hint *hint = &program->hints[i];
        hint->kind = (int)number(t, 0, 1, 0);
        hint->direction = (int)number(t, 2, 2, 0);
        if (hint->kind == HINT_TRANSFER) {
            hint->base = (int)number(meta, 0, 2, 0);
            hint->name = blob(meta, 2);
            hint->start = (uint32_t)number(what, 1, 4, 0);
            hint->size = (uint32_t)number(what, 2, 4, 0);
        } else if (hint->kind == HINT_INSTRUCTIONS) {
            hint->start = (uint32_t)number(what, 0, 4, 0);
            if (hint->start >= program->chunk_count)
                return false;
        } else if (hint->kind == HINT_INTERRUPT) {
            hint->start = (uint32_t)number(what, 0, 2, 0);
        }
    }
    return true;
}

static bool read_layers(struct table executable, size_t slot, struct layer *layers, size_t *count)
{
    struct bytes offsets = vector(executable, slot, 4, count);
    if (*count > MOST_LAYERS)
        return false;
    for (size_t i = 0; i < *count; i++) {
        struct table t = item(executable, offsets, i), layout = child(child(t, 8), 0);
        layers[i] = (struct layer){.name = blob(t, 0),
                                   .size = (uint32_t)number(t, 1, 4, 0),
                                   .y = (uint32_t)number(t, 2, 4, 0),
                                   .x = (uint32_t)number(t, 3, 4, 0),
                                   .z = (uint32_t)number(t, 4, 4, 0),
                                   .type = (int)number(t, 6, 2, 0)};
        for (size_t m = 0; m < 6; m++)
            layers[i].maps[m].at = vector(layout, m, 4, &layers[i].maps[m].count).at;
    }
    return true;
}

static bool read_program(struct package *package, struct bytes file)
{
    struct table t = root(file);
    int type = (int)number(t, 13, 2, 0);
    if (t.file == NULL || type < 0 || type >= PROGRAM_TYPES || package->programs[type].there)
        return false;
    struct program *program = &package->programs[type];
    program->there = true;
    program->type = type;
    program->token = number(t, 14, 8, 0);
    program->scratch = (uint32_t)number(t, 4, 4, 0);
    program->parameters = blob(t, 6);
    return read_chunks(program, t) && read_hints(program, t) &&
           read_layers(t, 8, program->inputs, &program->input_count) &&
           read_layers(t, 9, program->outputs, &program->output_count);
}

static int count_programs(const struct package *package)
{
    int count = 0;
    for (int i = 0; i < PROGRAM_TYPES; i++)
        count += package->programs[i].there;
    return count;
}

const struct program *main_program(const struct package *package)
{
    static const int WANTED[] = {STAND_ALONE, EXECUTION_ONLY, PARAMETER_CACHING};
    for (int i = 0; i < PROGRAM_TYPES; i++)
        if (package->programs[WANTED[i]].there)
            return &package->programs[WANTED[i]];
    return NULL;
}

const struct program *caching_program(const struct package *package)
{
    return count_programs(package) == 2 ? &package->programs[PARAMETER_CACHING] : NULL;
}

struct package *read_package(const void *options, size_t length)
{
    static unsigned last_number;
    struct package *package = calloc(1, sizeof *package);
    package->number = ++last_number;
    package->copy = malloc(length + 1);
    memcpy(package->copy, options, length);
    /* The options are a FlexBuffer map; its only string that matters has a mark of its own. */
    size_t start = 0;
    while (start + 8 <= length && memcmp(package->copy + start + 4, "DWN1", 4) != 0)
        start++;
    bool sound = start + 8 <= length;
    if (sound) {
        struct table t = root((struct bytes){package->copy + start, length - start});
        struct table multi = root(blob(t, 1));
        size_t count;
        struct bytes offsets = vector(multi, 0, 4, &count);
        sound = count > 0;
        for (size_t i = 0; i < count && sound; i++) {
            size_t at = target(multi, (size_t)(offsets.at - multi.file) + 4 * i), size;
            sound = within(at, 4, multi.length);
            size = sound ? (size_t)little(multi.file + at, 4) : 0;
            sound = sound && within(at + 4, size, multi.length) &&
                    read_program(package, (struct bytes){multi.file + at + 4, size});
        }
        /* Two programs are one that caches and one that runs. */
        sound = sound && (count != 2 || !package->programs[STAND_ALONE].there);
    }
    if (sound)
        return package;
    free_package(package);
    return NULL;
}

void free_package(struct package *package)
{
    if (package == NULL)
        return;
    for (int p = 0; p < PROGRAM_TYPES; p++) {
        struct program *program = &package->programs[p];
        for (size_t i = 0; program->chunks != NULL && i < program->chunk_count; i++) {
            free(program->chunks[i].code);
            free(program->chunks[i].fields);
        }
        free(program->chunks);
        free(program->hints);
    }
    free(package->copy);
    free(package);
}
