#include "coupled.h"
#include "ranges.h"

static void forget(const Coupled *c, Private *p, uint64_t line)
{
    p->filter.latest[line & c->filter_mask] = NO_LINE;
}

/* Take a line out of a thread's caches; returns whether a copy was dirty. */
static uint64_t invalidate(const Coupled *c, Private *p, uint64_t line)
{
    uint64_t dirty = level_remove(&p->l1d, line);
    if (p->l2.ways != 0)
        dirty |= level_remove(&p->l2, line);
    forget(c, p, line);
    return dirty & DIRTY;
}

static uint64_t invalidate_everywhere(const Coupled *c, uint64_t line)
{
    uint64_t dirty = 0;
    for (unsigned i = 0; i < c->n_threads; i++)
        if (c->privates[i] != 0)
            dirty |= invalidate(c, c->privates[i], line);
    return dirty;
}

static void miss(Coupled *c, uint64_t line)
{
    c->counts.llc_misses++;
    if (range_count != 0) {
        const unsigned label = range_label(line);
        if (label != 0)
            c->counts.labelled[label - 1]++;
    }
}

static void refer(Coupled *c, const Batch *batch, uint64_t line)
{
    const Event event = line << EVENT_BITS | DEMAND;
    c->counts.llc_references++;
    if (c->curve != 0)
        batch->stack(c->curve, &event, 1);
}

static void use_inclusive(Coupled *c, const Batch *batch, uint64_t line)
{
    Slot evicted = 0;

    refer(c, batch, line);
    if (level_use(&c->llc, line, 0, &evicted))
        return;
    miss(c, line);
    if (evicted != 0)
        c->counts.llc_writebacks +=
            (evicted | invalidate_everywhere(c, line_in(evicted))) & DIRTY;
}

/* Bring a line in from the LLC or memory; `displaced` is what the last private level
 * evicted for it. */
static void use_exclusive(Coupled *c, Private *own, const Batch *batch, uint64_t line,
                          Slot displaced)
{
    Slot evicted = 0;

    refer(c, batch, line);
    const Slot found = level_remove(&c->llc, line);
    if (found == 0)
        miss(c, line);
    if ((found & DIRTY) != 0)
        level_mark_dirty(own->l2.ways != 0 ? &own->l2 : &own->l1d, line);
    if (displaced == 0)
        return;
    if (own->l2.ways != 0) {
        displaced |= level_remove(&own->l1d, line_in(displaced)) & DIRTY;
        forget(c, own, line_in(displaced));
    }
    if (!level_use(&c->llc, line_in(displaced), displaced & DIRTY, &evicted))
        c->counts.llc_writebacks += evicted & DIRTY;
}

static void access_line(Coupled *c, Private *own, const Batch *batch, uint64_t line,
                        uint64_t write)
{
    const int exclusive = c->processor.inclusion == EXCLUSIVE;
    Slot evicted = 0;

    if (level_use(&own->l1d, line, write, &evicted))
        return;
    c->counts.l1d_misses++;
    if (own->l2.ways != 0) {
        if ((evicted & DIRTY) != 0 && !level_mark_dirty(&own->l2, line_in(evicted)))
            level_mark_dirty(&c->llc, line_in(evicted));
        evicted = 0;
        if (level_use(&own->l2, line, 0, &evicted))
            return;
        c->counts.l2_misses++;
    }
    if (exclusive) {
        use_exclusive(c, own, batch, line, evicted);
    } else {
        if ((evicted & DIRTY) != 0)
            level_mark_dirty(&c->llc, line_in(evicted));
        use_inclusive(c, batch, line);
    }
}

void coupled_consume(Coupled *c, Private *own, const Batch *batch, const uint64_t *first,
                     const uint64_t *last)
{
    AccessCounts ignored = {0};
    Event events[2];

    for (; first < last; first++) {
        const unsigned n =
            batch->filter(&own->filter, c->filter_mask, first, first + 1, &ignored, events);
        for (unsigned i = 0; i < n; i++) {
            const uint64_t line = events[i] >> EVENT_BITS;
            if ((events[i] & NON_TEMPORAL) == 0) {
                access_line(c, own, batch, line, events[i] & WRITE);
                continue;
            }
            c->counts.llc_writebacks +=
                (invalidate_everywhere(c, line) | level_remove(&c->llc, line)) & DIRTY;
            if (c->curve != 0)
                batch->stack(c->curve, &events[i], 1);
        }
    }
}
