/* The chip's registers, as far as the driver polls them or the chip changes them by itself.
 *
 * Addresses and fields: driver/config/beagle of google-coral/libedgetpu (Apache 2.0). All others
 * are memory: what was written is read back.
 */
#include "stick.h"

enum {
    THERMAL = 0x1a0dc,          /* omc0_dc */
    POWER = 0x1a318,            /* scu_ctrl_3 */
    CORE_FIRST = 0x40000,       /* what sleep clears */
    CORE_LAST = 0x4ffff,
    OUTFEED_CHUNK = 0x4c058,    /* in units of 8 bytes */
    CREDITS = 0x4c150           /* ep_status_credit: how much each endpoint takes */
};

/* As much as there can be: a driver that asks is not kept waiting. */
static const uint64_t ALL_CREDITS = UINT64_MAX >> 1;
static const uint64_t POWER_AT_RESET = 0x80050410;
static const uint64_t FORCE_SLEEP = UINT64_C(3) << 22;
static const uint64_t POWER_STATE = UINT64_C(3) << 8;
static const uint64_t ASLEEP = UINT64_C(2) << 8;
static const uint64_t SHUTDOWN_CLEAR = UINT64_C(1) << 28, WARNING_CLEAR = UINT64_C(1) << 29;
static const uint64_t SHUTDOWN = UINT64_C(1) << 30, WARNING = UINT64_C(1) << 31;

static struct stick_register *find(struct stick *stick, uint32_t address)
{
    for (size_t i = 0; i < stick->register_count; i++)
        if (stick->registers[i].address == address)
            return &stick->registers[i];
    return NULL;
}

uint64_t read_register(struct stick *stick, uint32_t address)
{
    const struct stick_register *found = find(stick, address);
    if (address == CREDITS)
        return ALL_CREDITS;
    return found == NULL ? 0 : found->value;
}

void set_register(struct stick *stick, uint32_t address, uint64_t value)
{
    struct stick_register *found = find(stick, address);
    if (found == NULL && stick->register_count < MOST_REGISTERS) {
        found = &stick->registers[stick->register_count++];
        found->address = address;
    }
    if (found != NULL)
        found->value = value;
}

/* In sleep the core loses its state: the driver does that on purpose, to begin from nothing. */
static uint64_t power(struct stick *stick, uint64_t value)
{
    bool asleep = (value & FORCE_SLEEP) == FORCE_SLEEP;
    if (asleep)
        for (size_t i = 0; i < stick->register_count; i++)
            if (stick->registers[i].address >= CORE_FIRST &&
                stick->registers[i].address <= CORE_LAST)
                stick->registers[i].value = 0;
    return (value & ~POWER_STATE) | (asleep ? ASLEEP : 0);
}

/* Two of its bits are read only, and two clear them. */
static uint64_t thermal(struct stick *stick, uint64_t value)
{
    uint64_t raised = read_register(stick, THERMAL) & (SHUTDOWN | WARNING);
    if (value & SHUTDOWN_CLEAR)
        raised &= ~SHUTDOWN;
    if (value & WARNING_CLEAR)
        raised &= ~WARNING;
    return (value & ~(SHUTDOWN | WARNING | SHUTDOWN_CLEAR | WARNING_CLEAR)) | raised;
}

bool write_register(struct stick *stick, uint32_t address, uint64_t value)
{
    if (address == POWER)
        value = power(stick, value);
    else if (address == THERMAL)
        value = thermal(stick, value);
    set_register(stick, address, value);
    return find(stick, address) != NULL;
}

void reset_registers(struct stick *stick)
{
    stick->register_count = 0;
    set_register(stick, POWER, POWER_AT_RESET);
}

size_t outfeed_chunk(struct stick *stick)
{
    size_t most = max_packet(stick->speed);
    size_t chunk = (size_t)(read_register(stick, OUTFEED_CHUNK) & 0xff) * 8;
    return chunk == 0 || chunk > most ? most : chunk;
}
