#include "coupled.h"
#include "ranges.h"

static void forget(const Coupled *c, Private *p, uint64_t line)
{
    p->filter.latest[line & c->filter_mask] = NO_LINE;
}

/* Take a line out of a thread's caches; returns whether a copy was dirty. */
static Slot invalidate(const Coupled *c, Private *p, uint64_t line)
{
    forget(c, p, line);
    return private_remove(p, line) & DIRTY;
}

static Slot invalidate_everywhere(const Coupled *c, uint64_t line)
{
    Slot dirty = 0;

    *found_place(&c->privates, line) = 0;
    for (unsigned i = 0; i < c->privates.n_active; i++)
        dirty |= invalidate(c, c->privates.active[i], line);
    return dirty;
}

static void count_miss(Coupled *c, Event event)
{
    if ((event & SHARED) != 0)
        return;
    if ((event & PREFETCH) != 0) {
        c->counts.llc_prefetch_misses++;
        return;
    }
    c->counts.llc_misses++;
    if (range_count != 0) {
        const unsigned label = range_label(event >> EVENT_BITS);
        if (label != 0)
            c->counts.labelled[label - 1]++;
    }
}

/* From a private level that has no other behind it which holds the line. */
static void write_back(Coupled *c, Slot slot)
{
    if ((slot & DIRTY) != 0 && !level_mark_dirty(&c->llc, line_in(slot)))
        c->counts.llc_writebacks++;
}

static void use_llc(Coupled *c, Event event, Slot displaced)
{
    Slot evicted = 0;

    write_back(c, displaced);
    if (level_use(&c->llc, event >> EVENT_BITS, 0, &evicted))
        return;
    count_miss(c, event);
    if (c->processor.inclusion == INCLUSIVE && evicted != 0)
        evicted |= invalidate_everywhere(c, line_in(evicted));
    c->counts.llc_writebacks += evicted & DIRTY;
}

static void use_exclusive_llc(Coupled *c, Private *own, Event event, Slot displaced)
{
    const uint64_t line = event >> EVENT_BITS;
    Slot evicted = 0;

    const Slot found = level_remove(&c->llc, line);
    if (found == 0)
        count_miss(c, event);
    if ((found & DIRTY) != 0)
        level_mark_dirty(last_level(own), line);
    if (displaced == 0)
        return;
    if (own->l2.ways != 0) {
        displaced |= level_remove(&own->l1d, line_in(displaced)) & DIRTY;
        forget(c, own, line_in(displaced));
    }
    if (!level_use(&c->llc, line_in(displaced), displaced & DIRTY, &evicted))
        c->counts.llc_writebacks += evicted & DIRTY;
}

/* Bring a line in from the LLC, another thread or memory; `displaced` is what the last
 * private level evicted for it. */
static void fetch(Coupled *c, Private *own, const Batch *batch, Event event, Slot displaced)
{
    if (c->curve != 0)
        batch->stack(c->curve, &event, 1);
    if (own->prefetched.ways != 0 && displaced != 0)
        level_remove(&own->prefetched, line_in(displaced));
    if (c->processor.inclusion == EXCLUSIVE)
        use_exclusive_llc(c, own, event, displaced);
    else
        use_llc(c, event, displaced);
}

static void prefetch(Coupled *c, Private *own, const Batch *batch, uint64_t line)
{
    Level *last = last_level(own);
    Event event = line << EVENT_BITS;
    Slot displaced = 0, none;

    if (line % PAGE_LINES == 0 || level_holds(last, line))
        return;
    if (privates_shared(&c->privates))
        event = privates_snoop(&c->privates, own, event);
    level_use(last, line, 0, &displaced);
    if (own->l2.ways == 0)
        forget(c, own, line); /* it is the latest of its set now */
    level_remove(&own->taken, line);
    c->counts.llc_prefetches++;
    fetch(c, own, batch, event | PREFETCH, displaced);
    level_use(&own->prefetched, line, 0, &none);
}

static void hit_last_level(Coupled *c, Private *own, uint64_t line)
{
    if (own->prefetched.ways != 0)
        c->counts.useful_prefetches += level_remove(&own->prefetched, line) != 0;
}

static void access_line(Coupled *c, Private *own, const Batch *batch, Event event)
{
    const uint64_t line = event >> EVENT_BITS;
    Slot evicted = 0;

    if (level_use(&own->l1d, line, event & WRITE, &evicted)) {
        if (own->l2.ways == 0)
            hit_last_level(c, own, line);
        return;
    }
    c->counts.l1d_misses++;
    if (own->l2.ways != 0) {
        if ((evicted & DIRTY) != 0 && !level_mark_dirty(&own->l2, line_in(evicted)))
            write_back(c, evicted);
        evicted = 0;
        if (level_use(&own->l2, line, 0, &evicted)) {
            hit_last_level(c, own, line);
            return;
        }
        c->counts.l2_misses++;
    }
    c->counts.llc_references++;
    if (privates_shared(&c->privates))
        c->counts.coherence_misses += level_remove(&own->taken, line) != 0;
    fetch(c, own, batch, event & ~(Event)WRITE, evicted);
    if (c->processor.next_line)
        prefetch(c, own, batch, line + 1);
}

static void store_past_caches(Coupled *c, Private *own, const Batch *batch, Event event)
{
    const uint64_t line = event >> EVENT_BITS;

    c->counts.llc_writebacks +=
        ((Slot)event | invalidate(c, own, line) | level_remove(&c->llc, line)) & DIRTY;
    if (c->curve != 0)
        batch->stack(c->curve, &event, 1);
}

void coupled_consume(Coupled *c, unsigned thread, const Batch *batch, const uint64_t *entries,
                     unsigned n)
{
    Private *own = privates_enter(&c->privates, thread);
    Event events[2];

    for (unsigned e = 0; e < n; e++) {
        const unsigned passed = batch->filter(&own->filter, c->filter_mask, entries + e, 1, events);
        for (unsigned i = 0; i < passed; i++) {
            if (privates_shared(&c->privates))
                events[i] = privates_snoop(&c->privates, own, events[i]);
            if ((events[i] & NON_TEMPORAL) != 0)
                store_past_caches(c, own, batch, events[i]);
            else
                access_line(c, own, batch, events[i]);
        }
    }
}
