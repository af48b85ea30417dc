// The streaming inflate of ISA-L behind an opaque pointer: its state is an 85 KiB structure that Swift must not copy.
#pragma once

#include <isa-l/igzip_lib.h>
#include <stdint.h>
#include <stdlib.h>

// A decoder of one gzip member, or null when there is no memory.
static inline void *cisal_new(void)
{
    struct inflate_state *state = (struct inflate_state *)calloc(1, sizeof *state);
    if (state) {
        isal_inflate_init(state);
        state->crc_flag = ISAL_GZIP;
    }
    return state;
}

static inline void cisal_free(void *decoder)
{
    free(decoder);
}

// Makes the decoder ready for the next member. Whole bytes that it had read ahead belong to that member and stay; the
// bits that filled up the old member's last byte go.
static inline void cisal_next_member(void *decoder)
{
    struct inflate_state *state = (struct inflate_state *)decoder;
    int32_t bits = state->read_in_length > 0 ? state->read_in_length & ~7 : 0;
    uint64_t ahead = bits ? state->read_in >> (state->read_in_length & 7) : 0;
    isal_inflate_reset(state);
    state->crc_flag = ISAL_GZIP;
    state->read_in = ahead;
    state->read_in_length = bits;
}

// Decodes; sets *in and *out to the bytes used and made. Returns 1 at the member's verified end, 0 to go on, < 0 for
// damaged input.
static inline int cisal_step(void *decoder, const uint8_t *in, uint32_t *in_size, uint8_t *out, uint32_t *out_size)
{
    struct inflate_state *state = (struct inflate_state *)decoder;
    state->next_in = (uint8_t *)in;
    state->avail_in = *in_size;
    state->next_out = out;
    state->avail_out = *out_size;
    int result = isal_inflate(state);
    *in_size -= state->avail_in;
    *out_size -= state->avail_out;
    if (result < 0 || result == ISAL_NEED_DICT)
        return result < 0 ? result : -100;
    return state->block_state == ISAL_BLOCK_FINISH;
}

static inline int cisal_read_ahead_bits(void *decoder)
{
    return ((struct inflate_state *)decoder)->read_in_length;
}
