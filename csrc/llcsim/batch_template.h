/* The body of batch_*.c: these define BATCH (the name) and
 *
 *     unsigned find(const Slot *slots, Slot key, unsigned n);
 *
 * a bit for each of n slots (8, 16 or 24) that is the key, dirty or not;
 *
 *     unsigned use(Slot *slots, Slot used, unsigned ways, unsigned n);
 *
 * which does the same for n slots of a set with LRU, then has that slot or, if none is the
 * key, the last of the ways replaced by `used`, dirty if either was, and makes it the first;
 *
 *     int any(Words words);
 *
 * whether any of the words is not 0. */
#include "batch.h"

#define PREFETCH_AHEAD 8
#define PREFETCH_BLOCK 16
#define LARGE_LEVEL (1u << 18)
#define WORDS_AHEAD 128

#define NON_TEMPORAL_ENTRY ((uint64_t)ENTRY_NON_TEMPORAL << ENTRY_SIZE_SHIFT)

static unsigned expand_runs(const uint64_t **words, const uint64_t *last, AccessCounts *counts,
                            uint64_t entries[CHUNK])
{
    const uint64_t *word = *words;
    uint64_t reads = 0, writes = 0;
    unsigned n = 0;

    while (word < last && n <= CHUNK - SHAPE_ACCESSES) {
        const uint64_t head = *word++;
        const Shape *const shape = shape_of(head);

        __builtin_prefetch(word + WORDS_AHEAD);
        if (LIKELY(shape->guarded == 0)) {
            for (uint32_t i = 0; i < shape->n_accesses; i += GROUP)
#pragma GCC unroll 8
                for (uint32_t k = i; k < i + GROUP; k++)
                    entries[n + k] = word[shape->base[k]] + shape->term[k];
            n += shape->n_accesses;
        } else {
            n += shape_expand_guarded(shape, word, entries + n, counts);
        }
        reads += shape->reads;
        writes += shape->writes;
        if (UNLIKELY(shape->non_temporal_stores != 0)) {
            counts->non_temporal_stores += shape->non_temporal_stores;
            counts->non_temporal_bytes += shape->non_temporal_bytes;
        }
        word += head >> HEAD_BASES_SHIFT;
    }
    counts->reads += reads;
    counts->writes += writes;
    *words = word;
    return n;
}

/* Pass on an event, unless it is a repeat; returns where the next one goes. */
INLINE Event *pass_latest(Event *latest, uint64_t mask, Event event, Event *out)
{
    Event *const before = &latest[event >> EVENT_BITS & mask];

    if (((event ^ *before) & (event | ~(Event)WRITE)) != 0) {
        /* Another line, or this one made dirty. */
        *before = event;
        *out++ = event;
    }
    return out;
}

/* Any access. What is over two lines is passed on without a look at the second one, which an inclusive
 * LLC may take away for the first. */
static Event *filter_any(Event *latest, uint64_t mask, const uint64_t *entries, unsigned n, Event *out)
{
    for (unsigned i = 0; i < n; i++) {
        const uint64_t e = entries[i], address = e & ENTRY_ADDRESS_MASK, size = e >> ENTRY_SIZE_SHIFT;
        const uint64_t first = address >> LINE_BITS;
        const uint64_t last = (address + (size & (ENTRY_NON_TEMPORAL - 1)) - 1) >> LINE_BITS;
        const int past_caches = size >= ENTRY_NON_TEMPORAL;
        const Event kind = past_caches ? NON_TEMPORAL : e >> 55 & WRITE;

        if (LIKELY(first == last && !past_caches)) {
            out = pass_latest(latest, mask, first << EVENT_BITS | kind, out);
            continue;
        }
        for (uint64_t line = first; line <= last; line++) {
            *out = line << EVENT_BITS | kind;
            latest[line & mask] = past_caches ? NO_LINE : *out;
            out++;
        }
    }
    return out;
}

static unsigned filter_entries(Filter *filter, uint64_t mask, const uint64_t *entries, unsigned n,
                               Event *out)
{
    const uint64_t lines = ENTRY_ADDRESS_MASK & ~(uint64_t)(LINE_SIZE - 1);
    Event *to = out;
    unsigned i = 0;

    for (; i + GROUP <= n; i += GROUP) {
        const Words e = *(const Words *)(entries + i);
        const Words last = e + ((e >> ENTRY_SIZE_SHIFT) - 1), write = e >> 55 & WRITE;
        const Words first_line = (e & lines) >> (LINE_BITS - EVENT_BITS) | write;
        const Words last_line = (last & lines) >> (LINE_BITS - EVENT_BITS) | write;
        Event first[GROUP], second[GROUP];

        *(Words *)first = first_line;
        *(Words *)second = last_line;
        if (UNLIKELY(any(e & NON_TEMPORAL_ENTRY))) {
            to = filter_any(filter->latest, mask, entries + i, GROUP, to);
        } else if (any(first_line ^ last_line)) {
#pragma GCC unroll 8
            for (unsigned k = 0; k < GROUP; k++) {
                to = pass_latest(filter->latest, mask, first[k], to);
                to = pass_latest(filter->latest, mask, second[k], to);
            }
        } else {
#pragma GCC unroll 8
            for (unsigned k = 0; k < GROUP; k++)
                to = pass_latest(filter->latest, mask, first[k], to);
        }
    }
    return filter_any(filter->latest, mask, entries + i, n - i, to) - out;
}

/* Run events through sets with LRU, without a branch on what hits; returns the end of what
 * goes on. */
INLINE Event *pass_lru(Level *level, const Event *in, const Event *end, Event *out,
                       Passed *passed, unsigned stride, int power_of_two)
{
    const Event *const first = out;
    Slot *const all = level->slots;
    const uint64_t mask = level->mask, sets = level->sets;
    const unsigned ways = level->ways;
    uint64_t dirty = 0, past_caches = 0;

    while (in < end) {
        const Event event = *in++;
        const uint64_t line = event >> EVENT_BITS;
        const Slot key = slot_of(line);
        Slot *slots = all + (power_of_two ? line & mask : line % sets) * stride;

        if ((event & WRITE_BACK) != 0) {
            const unsigned found = find(slots, key, stride);
            if (found != 0) {
                slots[__builtin_ctz(found)] |= DIRTY;
            } else {
                dirty++;
                *out++ = event;
            }
            continue;
        }
        if (UNLIKELY((event & NON_TEMPORAL) != 0)) {
            const Event left = event | (level_remove(level, line) & DIRTY);
            dirty += left & WRITE;
            past_caches += ~left & WRITE;
            *out++ = left;
            continue;
        }
        const Slot held = slots[ways - 1];
        const unsigned miss = use(slots, key | (event & WRITE), ways, stride) == 0;
        const unsigned dirty_out = miss & held;

        *out = event_of(held);
        out += dirty_out;
        *out = event - (event & WRITE);
        out += miss;
        dirty += dirty_out;
    }
    passed->misses += (uint64_t)(out - first) - dirty - past_caches;
    passed->writebacks += dirty;
    return out;
}

/* In blocks, of which the next is fetched beforehand where the level is large. */
INLINE unsigned pass_blocks(Level *level, const Event *in, unsigned n, Event *out,
                            Passed *passed, unsigned stride)
{
    const unsigned block = level->sets * stride * sizeof(Slot) < LARGE_LEVEL ? n : PREFETCH_BLOCK;
    Event *to = out;

    for (unsigned i = 0; i < n; i += block) {
        const unsigned next = i + block < n ? i + block : n;
        for (unsigned k = next; k < n && k < next + block; k++) {
            const Slot *slots = level->slots + level_set(level, in[k] >> EVENT_BITS) * stride;
            for (unsigned at = 0; at < stride; at += LINE_SIZE / sizeof(Slot))
                __builtin_prefetch(slots + at, 1);
        }
        to = level->mask != 0 ? pass_lru(level, in + i, in + next, to, passed, stride, 1)
                              : pass_lru(level, in + i, in + next, to, passed, stride, 0);
    }
    return to - out;
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
                out[m++] = event_of(evicted);
            }
            passed->misses++;
            out[m++] = in[i] & ~(Event)WRITE;
        }
    }
    return m;
}

static unsigned pass_events(Level *level, const Event *in, unsigned n, Event *out, Passed *passed)
{
    if (level->tree != 0)
        return pass_any(level, in, n, out, passed);
    switch (level->stride) {
    case 8:
        return pass_blocks(level, in, n, out, passed, 8);
    case 16:
        return pass_blocks(level, in, n, out, passed, 16);
    case 24:
        return pass_blocks(level, in, n, out, passed, 24);
    default:
        return pass_any(level, in, n, out, passed);
    }
}

typedef Slot Eight __attribute__((vector_size(32), aligned(4), may_alias));

/* Move the first n lines of a stack down by one. */
INLINE void shift_down(Slot *lines, unsigned n)
{
    for (; n >= 8; n -= 8)
        *(Eight *)(lines + n - 7) = *(Eight *)(lines + n - 8);
    for (; n != 0; n--)
        lines[n] = lines[n - 1];
}

/* A line that left the caches leaves a hole, which the next line to enter the stack
 * above it fills: caches with more ways than the hole's position have an empty way. */
static void stack_events(Curve *curve, const Event *in, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        const Slot key = slot_of(in[i] >> EVENT_BITS);
        Slot *lines = curve_stack(curve, in[i] >> EVENT_BITS);
        unsigned position = CURVE_WAYS, hole = CURVE_WAYS;

        if (i + PREFETCH_AHEAD < n) {
            const Slot *next = curve_stack(curve, in[i + PREFETCH_AHEAD] >> EVENT_BITS);
            for (unsigned at = 0; at < CURVE_WAYS; at += LINE_SIZE / sizeof(Slot))
                __builtin_prefetch(next + at, 1);
        }
        if ((in[i] & WRITE_BACK) != 0)
            continue;
        for (unsigned at = 0; at < CURVE_WAYS; at += 8) {
            const unsigned found = find(lines + at, key, 8), empty = find(lines + at, 0, 8);
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
        const int hit = position != CURVE_WAYS;
        if ((in[i] & PREFETCH) == 0) {
            curve->references++;
            if (hit || (in[i] & SHARED) != 0)
                curve->hits[(in[i] & SHARED) != 0 ? 0 : position]++;
        }
        if (hit && hole < position)
            lines[position] = 0;
        const unsigned last = hole < position ? hole : position;
        shift_down(lines, last < CURVE_WAYS ? last : CURVE_WAYS - 1);
        lines[0] = key;
    }
}

const Batch BATCH = {expand_runs, filter_entries, pass_events, stack_events};
