/* The body of batch_*.c: these define BATCH (the name) and FIND4(slots, key), which
 * gives a bit for each of four slots that is the key, dirty or not. */
#include "batch.h"

#define PREFETCH_AHEAD 8
#define LARGE_LEVEL (1u << 18)

/* Accesses that are no repeat of a line: those over two lines, non-temporal stores, and
 * all others. */
static unsigned one_event(uint64_t *latest, uint64_t mask, uint64_t e, AccessCounts *counts,
                          Event *out)
{
    const uint64_t address = e & ENTRY_ADDRESS_MASK;
    const uint64_t size = e >> ENTRY_SIZE_SHIFT;
    const uint64_t line = address >> LINE_BITS;
    const uint64_t bytes = size & (ENTRY_NON_TEMPORAL - 1);
    const uint64_t last_line = (address + bytes - 1) >> LINE_BITS;
    unsigned n = 0;

    if (size >= ENTRY_NON_TEMPORAL) {
        counts->non_temporal_stores++;
        counts->non_temporal_bytes += bytes;
    }
    for (uint64_t l = line; l <= last_line; l++) {
        const uint64_t seen = (e & ENTRY_WRITE) | l << LINE_BITS;
        latest[l & mask] = size < ENTRY_NON_TEMPORAL ? seen : NO_LINE;
        out[n++] = l << EVENT_BITS |
                   (size >= ENTRY_NON_TEMPORAL ? NON_TEMPORAL : e >> 55 & WRITE);
    }
    return n;
}

static unsigned filter_accesses(Filter *filter, uint64_t mask, const uint64_t *first,
                                const uint64_t *last, AccessCounts *counts, Event *out)
{
    const uint64_t line_bits = ENTRY_ADDRESS_MASK & ~(uint64_t)(LINE_SIZE - 1);
    uint64_t *const latest = filter->latest;
    uint64_t writes = 0, none = 0;
    unsigned n = 0;

    for (const uint64_t *entry = first; entry < last; entry++) {
        const uint64_t e = *entry;
        const uint64_t differs = e ^ latest[e >> LINE_BITS & mask];

        writes += e >> 55 & 1;
        /* The same line, and dirty already if this writes. */
        if ((differs & (line_bits | (e & ENTRY_WRITE))) == 0 &&
            LIKELY((e & (LINE_SIZE - 1)) + (e >> ENTRY_SIZE_SHIFT) <= LINE_SIZE))
            continue;
        if (UNLIKELY(e == 0))
            none++;
        else
            n += one_event(latest, mask, e, counts, out + n);
    }
    counts->writes += writes;
    counts->reads += (uint64_t)(last - first) - none - writes;
    return n;
}

INLINE unsigned find(const Slot *slots, Slot key, unsigned stride)
{
    unsigned found = 0;
    for (unsigned i = 0; i < stride; i += 4)
        found |= FIND4(slots + i, key) << i;
    return found;
}

/* Levels of at most MAX_ORDERED_WAYS ways with LRU, without a branch on what hits. */
INLINE unsigned pass_ordered(Level *level, const Event *in, unsigned n, Event *out,
                             Passed *passed, unsigned stride)
{
    Slot *const all = level->slots;
    uint64_t *const orders = level->order;
    const unsigned ways = level->ways;
    const int large = level->sets * stride * sizeof(Slot) >= LARGE_LEVEL;
    uint64_t misses = 0, writebacks = 0;
    unsigned m = 0;

    for (unsigned i = 0; i < n; i++) {
        const Event event = in[i];
        const uint64_t line = event >> EVENT_BITS;
        const Slot key = event & ~(Event)KINDS;

        if (large && i + PREFETCH_AHEAD < n) {
            const Slot *next = all + level_set(level, in[i + PREFETCH_AHEAD] >> EVENT_BITS) * stride;
            __builtin_prefetch(next, 1);
            if (stride > 8)
                __builtin_prefetch(next + 8, 1);
        }
        if (UNLIKELY((event & NON_TEMPORAL) != 0)) {
            const Slot removed = level_remove(level, line);
            const Event left = event | (removed & DIRTY);
            writebacks += left & WRITE;
            out[m++] = left;
            continue;
        }
        const uint64_t set = level_set(level, line);
        Slot *slots = all + set * stride;
        const unsigned found = find(slots, key, stride);

        if ((event & WRITE_BACK) != 0) {
            if (found != 0) {
                slots[__builtin_ctz(found)] |= DIRTY;
            } else {
                writebacks++;
                out[m++] = event;
            }
            continue;
        }
        const uint64_t order = orders[set];
        const unsigned miss = found == 0;
        const unsigned way = miss ? order_last(order, ways) : (unsigned)__builtin_ctz(found);
        const Slot held = slots[way];
        const unsigned dirty_out = miss & held & DIRTY;

        slots[way] = (miss ? key : held) | (event & WRITE);
        orders[set] = order_touched(order, way);
        out[m] = (held & ~(Slot)DIRTY) | WRITE_BACK;
        m += dirty_out;
        out[m] = key;
        m += miss;
        misses += miss;
        writebacks += dirty_out;
    }
    passed->misses += misses;
    passed->writebacks += writebacks;
    return m;
}

static unsigned pass_any(Level *level, const Event *in, unsigned n, Event *out, Passed *passed)
{
    unsigned m = 0;

    for (unsigned i = 0; i < n; i++) {
        const uint64_t line = in[i] >> EVENT_BITS;
        Slot evicted = 0;

        if ((in[i] & NON_TEMPORAL) != 0) {
            out[m] = in[i] | (level_remove(level, line) & DIRTY);
            passed->writebacks += out[m++] & WRITE;
        } else if ((in[i] & WRITE_BACK) != 0) {
            if (level_mark_dirty(level, line))
                continue;
            passed->writebacks++;
            out[m++] = in[i];
        } else if (!level_use(level, line, in[i] & WRITE, &evicted)) {
            if ((evicted & DIRTY) != 0) {
                passed->writebacks++;
                out[m++] = (evicted & ~(Slot)DIRTY) | WRITE_BACK;
            }
            passed->misses++;
            out[m++] = in[i] & ~(Event)KINDS;
        }
    }
    return m;
}

static unsigned pass_events(Level *level, const Event *in, unsigned n, Event *out, Passed *passed)
{
    if (level->keeping != ORDERED)
        return pass_any(level, in, n, out, passed);
    switch (level->stride) {
    case 4:
        return pass_ordered(level, in, n, out, passed, 4);
    case 8:
        return pass_ordered(level, in, n, out, passed, 8);
    case 12:
        return pass_ordered(level, in, n, out, passed, 12);
    default:
        return pass_ordered(level, in, n, out, passed, 16);
    }
}

typedef uint64_t Four __attribute__((vector_size(32), aligned(8), may_alias));

/* Move the first n lines of a stack down by one. */
INLINE void shift_down(uint64_t *lines, unsigned n)
{
    for (; n >= 4; n -= 4)
        *(Four *)(lines + n - 3) = *(Four *)(lines + n - 4);
    for (; n != 0; n--)
        lines[n] = lines[n - 1];
}

/* A line that left the caches leaves a hole, which the next line to enter the stack
 * above it fills: caches with more ways than the hole's position have an empty way. */
static void stack_events(Curve *curve, const Event *in, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        const Event key = in[i] & ~(Event)KINDS;
        uint64_t *lines = curve_stack(curve, in[i] >> EVENT_BITS);
        unsigned position = CURVE_WAYS, hole = CURVE_WAYS;

        if (i + PREFETCH_AHEAD < n) {
            const uint64_t *next = curve_stack(curve, in[i + PREFETCH_AHEAD] >> EVENT_BITS);
            for (unsigned at = 0; at < CURVE_WAYS; at += 8)
                __builtin_prefetch(next + at, 1);
        }
        if ((in[i] & WRITE_BACK) != 0)
            continue;
        for (unsigned at = 0; at < CURVE_WAYS; at += 4) {
            const unsigned found = FIND4(lines + at, key), empty = FIND4(lines + at, 0);
            if (empty != 0 && hole == CURVE_WAYS)
                hole = at + __builtin_ctz(empty);
            if (found != 0) {
                position = at + __builtin_ctz(found);
                break;
            }
            if (hole != CURVE_WAYS && !curve->holed)
                break;
        }
        if ((in[i] & NON_TEMPORAL) != 0) {
            curve->holed = 1;
            if (position != CURVE_WAYS)
                lines[position] = 0;
            continue;
        }
        curve->references++;
        if (position != CURVE_WAYS) {
            curve->hits[position]++;
            if (hole < position)
                lines[position] = 0;
        }
        const unsigned last = hole < position ? hole : position;
        shift_down(lines, last < CURVE_WAYS ? last : CURVE_WAYS - 1);
        lines[0] = key;
    }
}

const Batch BATCH = {filter_accesses, pass_events, stack_events};
