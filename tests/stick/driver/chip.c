#include "chip.h"

#include "fatal.h"

enum { VENDOR_READ = 0xc0, VENDOR_WRITE = 0x40 };
enum { HALT = 2, RUN = 1 };

/* Addresses and fields are those of driver/config/beagle in google-coral/libedgetpu. */
enum {
    OMC_00 = 0x1a000,
    OMC_D4 = 0x1a0d4, /* warning of heat */
    OMC_D8 = 0x1a0d8, /* shutdown for heat */
    OMC_DC = 0x1a0dc, /* heat */
    SLAVE_ERRORS = 0x1a500,
    SLAVE_MASK = 0x1a558,
    MASTER_ERRORS = 0x1a600,
    MASTER_MASK = 0x1a658,
    MEMORY_TEST = 0x1a704,
    SCU_0 = 0x1a30c,
    SCU_2 = 0x1a314,
    SCU_3 = 0x1a318,
    SCU_7 = 0x1a33c,
    BULK_CREDIT = 0x1907c,
    RUN_CONTROL = 0x44018,
    IDLE = 0x4a000,
    TILE_CONFIG = 0x48788,
    DEEP_SLEEP = 0x40020,
    DESCRIPTORS = 0x4c148,
    MANY_ENDPOINTS = 0x4c160,
    OUTFEED_CHUNK = 0x4c058,
    FATAL_CONTROL = 0x4c060,
    FATAL_STATUS = 0x4c068,
    TOP_CONTROL = 0x4c070, /* and three more, each with its status behind it */
    TOP_STEP = 0x10,
    HIB_ERROR = 0x486f0,
    HIB_FIRST_ERROR = 0x48700,
    SLAVE_WRITE_ERROR = 0x1a540,
    SLAVE_READ_ERROR = 0x1a544,
    MASTER_WRITE_ERROR = 0x1a640,
    MASTER_READ_ERROR = 0x1a644
};
enum { TOP_COUNT = 4, SHUTDOWN = 0, BUS_ERROR = 1, TESTED = 2, WARNING = 3 };
enum { ALL_TILES = 0x7f, AWAKE = 0, ASLEEP = 2 };

static uint64_t read_width(struct chip *chip, uint32_t address, uint16_t width)
{
    uint64_t value = 0;
    if (chip->error != 0)
        return 0;
    int got = control(chip->device, VENDOR_READ, width == 4, (uint16_t)address,
                      (uint16_t)(address >> 16), &value, width);
    if (got != width)
        chip->error = got < 0 ? got : LIBUSB_ERROR_OTHER;
    return value;
}

static void write_width(struct chip *chip, uint32_t address, uint64_t value, uint16_t width)
{
    if (chip->error != 0)
        return;
    int got = control(chip->device, VENDOR_WRITE, width == 4, (uint16_t)address,
                      (uint16_t)(address >> 16), &value, width);
    if (got != width)
        chip->error = got < 0 ? got : LIBUSB_ERROR_OTHER;
}

static uint32_t read32(struct chip *chip, uint32_t address)
{
    return (uint32_t)read_width(chip, address, 4);
}

static uint64_t read64(struct chip *chip, uint32_t address)
{
    return read_width(chip, address, 8);
}

static void write32(struct chip *chip, uint32_t address, uint32_t value)
{
    write_width(chip, address, value, 4);
}

static void write64(struct chip *chip, uint32_t address, uint64_t value)
{
    write_width(chip, address, value, 8);
}

/* Without end, as libedgetpu polls. */
static void poll64(struct chip *chip, uint32_t address, uint64_t wanted)
{
    while (read64(chip, address) != wanted && chip->error == 0)
        ;
}

static void poll_power(struct chip *chip, uint32_t wanted)
{
    while ((read32(chip, SCU_3) >> 8 & 3) != wanted && chip->error == 0)
        ;
}

/* Some bits of a register set to a value. */
static uint32_t with(uint32_t all, unsigned first, unsigned count, uint32_t value)
{
    uint32_t mask = ((UINT32_C(1) << count) - 1) << first;
    return (all & ~mask) | (value << first & mask);
}

static void set_bits(struct chip *chip, uint32_t address, unsigned first, unsigned count,
                     uint32_t value)
{
    uint32_t all = read32(chip, address);
    write32(chip, address, with(all, first, count, value));
}

static void gate_clock(struct chip *chip, bool gated)
{
    if (chip->clock_gated == gated)
        return;
    set_bits(chip, SCU_2, 18, 2, gated ? 1 : 2);
    chip->clock_gated = gated;
}

/* To sleep, where it is not asleep: the core loses its state. */
static void enable_reset(struct chip *chip)
{
    uint32_t power = read32(chip, SCU_3);
    if ((power >> 22 & 3) == 3)
        return;
    write32(chip, SCU_3, with(power, 22, 2, 3));
    poll_power(chip, ASLEEP);
    write32(chip, BULK_CREDIT, 0xf);
    write32(chip, BULK_CREDIT, 0);
}

static void quit_reset(struct chip *chip)
{
    uint32_t power = with(read32(chip, SCU_3), 22, 2, 2);
    power = with(power, 28, 2, (uint32_t)(PERFORMANCE_MAX - chip->performance));
    power = with(power, 30, 1, chip->performance != PERFORMANCE_MAX);
    power = with(power, 31, 1, chip->performance == PERFORMANCE_LOW);
    write32(chip, SCU_3, power);
    poll_power(chip, AWAKE);
    poll64(chip, RUN_CONTROL, 0);
    write64(chip, IDLE, 1);
    write64(chip, TILE_CONFIG, ALL_TILES);
    poll64(chip, TILE_CONFIG, ALL_TILES);
    write64(chip, DEEP_SLEEP, 30 << 8 | 2);
}

static void initialize(struct chip *chip)
{
    read32(chip, OMC_00);
    write64(chip, DESCRIPTORS, 0xf0); /* events only */
    write64(chip, MANY_ENDPOINTS, 0);
    write64(chip, OUTFEED_CHUNK, chip->slow_link ? 0x20 : 0x80);
}

static void control_run(struct chip *chip, uint64_t state)
{
    static const uint32_t SCALAR[] = {RUN_CONTROL, 0x44158, 0x44198, 0x441d8, 0x44218};
    static const uint32_t TILES[] = {0x400c0, 0x40150, 0x40110, 0x40250, 0x40298,
                                     0x402e0, 0x40328, 0x40190, 0x401d0, 0x40210};
    for (size_t i = 0; i < sizeof SCALAR / sizeof *SCALAR; i++)
        write64(chip, SCALAR[i], state);
    write64(chip, TILE_CONFIG, ALL_TILES);
    poll64(chip, TILE_CONFIG, ALL_TILES);
    for (size_t i = 0; i < sizeof TILES / sizeof *TILES; i++)
        write64(chip, TILES[i], state);
}

static void control_top(struct chip *chip, uint64_t enabled)
{
    for (uint32_t i = 0; i < TOP_COUNT; i++)
        write64(chip, TOP_CONTROL + TOP_STEP * i, enabled);
}

static void control_bus_errors(struct chip *chip, bool enabled)
{
    write32(chip, SLAVE_ERRORS, enabled);
    write32(chip, MASTER_ERRORS, enabled);
    write32(chip, SLAVE_MASK, enabled ? 3 : 0);
    write32(chip, MASTER_MASK, enabled ? 3 : 0);
}

static void enable_interrupts(struct chip *chip)
{
    write64(chip, FATAL_CONTROL, 1);
    control_top(chip, 1);
    set_bits(chip, OMC_D4, 31, 1, 1);
    uint32_t test = read32(chip, MEMORY_TEST);
    write32(chip, MEMORY_TEST, with(with(test, 16, 3, 0), 20, 3, 0));
    uint32_t boot = read32(chip, SCU_7);
    write32(chip, SCU_7, with(boot, 16, 4, 0));
    control_bus_errors(chip, true);
    set_bits(chip, OMC_D8, 31, 1, 1);
}

static void disable_interrupts(struct chip *chip)
{
    control_top(chip, 0);
    set_bits(chip, OMC_D4, 31, 1, 0);
    set_bits(chip, MEMORY_TEST, 20, 3, 7);
    set_bits(chip, SCU_7, 18, 2, 3);
    control_bus_errors(chip, false);
    set_bits(chip, OMC_D8, 31, 1, 0);
    write64(chip, FATAL_CONTROL, 0);
}

bool open_chip(struct chip *chip)
{
    set_bits(chip, SCU_0, 8, 6, 0);
    chip->clock_gated = (read32(chip, SCU_2) >> 18 & 3) == 1;
    gate_clock(chip, false);
    enable_reset(chip);
    quit_reset(chip);
    gate_clock(chip, true);
    initialize(chip);
    control_run(chip, RUN);
    enable_interrupts(chip);
    return chip->error == 0;
}

bool close_chip(struct chip *chip)
{
    disable_interrupts(chip);
    control_run(chip, HALT);
    enable_reset(chip);
    return chip->error == 0;
}

static void look_for_errors(struct chip *chip)
{
    uint64_t error = read64(chip, HIB_ERROR);
    if (error != 0)
        fatal("HIB Error. hib_error_status = %016llx, hib_first_error_status = %016llx",
              (unsigned long long)error, (unsigned long long)read64(chip, HIB_FIRST_ERROR));
    write64(chip, FATAL_STATUS, 0);
}

/* Clears what was raised: bit 30 by bit 28, and 31 by 29. */
static void look_at_heat(struct chip *chip, unsigned raised)
{
    uint32_t heat = read32(chip, OMC_DC);
    write32(chip, OMC_DC, heat >> raised & 1 ? with(heat, raised - 2, 1, 1) : heat);
}

static void look_at_bus(struct chip *chip, uint32_t status, uint32_t errors)
{
    if (read32(chip, status) == 1) {
        write32(chip, errors, 0);
        write32(chip, errors, 1);
    }
}

static void look_at_top(struct chip *chip, uint32_t id)
{
    switch (id) {
    case SHUTDOWN:
        look_at_heat(chip, 30);
        break;
    case WARNING:
        look_at_heat(chip, 31);
        break;
    case BUS_ERROR:
        look_at_bus(chip, SLAVE_WRITE_ERROR, SLAVE_ERRORS);
        look_at_bus(chip, SLAVE_READ_ERROR, SLAVE_ERRORS);
        look_at_bus(chip, MASTER_WRITE_ERROR, MASTER_ERRORS);
        look_at_bus(chip, MASTER_READ_ERROR, MASTER_ERRORS);
        break;
    case TESTED:
        write32(chip, MEMORY_TEST, read32(chip, MEMORY_TEST));
        write32(chip, SCU_7, read32(chip, SCU_7));
        break;
    }
    write64(chip, TOP_CONTROL + TOP_STEP * id + 8, 0);
}

void answer_interrupt(struct chip *chip, uint32_t raised)
{
    if (raised & 1)
        look_for_errors(chip);
    for (uint32_t id = 0; id < TOP_COUNT; id++)
        if (raised >> (id + 1) & 1)
            look_at_top(chip, id);
    if (chip->error != 0)
        fatal("an interrupt cannot be answered: USB error %d", chip->error);
}
