#include "privates.h"

void privates_init(Privates *p, const Processor *processor, unsigned max_threads,
                   Allocate allocate)
{
    p->l1d = processor->l1d;
    p->l2 = processor->l2;
    p->prefetched = processor->next_line;
    p->of_thread = allocate(max_threads * sizeof p->of_thread[0]);
    p->active = allocate(max_threads * sizeof p->active[0]);
    p->found = allocate(FOUND_LINES * sizeof p->found[0]);
}

void privates_add(Privates *p, unsigned thread, Allocate allocate)
{
    Private *own = p->of_thread[thread] = allocate(sizeof *own);
    Geometry last = p->l2.ways != 0 ? p->l2 : p->l1d;

    level_init(&own->l1d, p->l1d, allocate);
    if (p->l2.ways != 0)
        level_init(&own->l2, p->l2, allocate);
    last.policy = LRU;
    level_init(&own->taken, last, allocate);
    if (p->prefetched)
        level_init(&own->prefetched, last, allocate);
}

Private *privates_enter(Privates *p, unsigned thread)
{
    Private *own = p->of_thread[thread];

    if (!own->active) {
        own->active = 1;
        p->active[p->n_active++] = own;
    }
    return own;
}

Slot private_remove(Private *p, uint64_t line)
{
    Slot removed = level_remove(&p->l1d, line);

    if (p->l2.ways != 0)
        removed |= level_remove(&p->l2, line);
    if (p->prefetched.ways != 0)
        level_remove(&p->prefetched, line);
    return removed;
}

static Slot take(Private *p, uint64_t line)
{
    Slot forgotten;

    level_use(&p->taken, line, 0, &forgotten);
    return private_remove(p, line);
}

static int holds(const Private *p, uint64_t line)
{
    return level_holds(&p->l1d, line) || (p->l2.ways != 0 && level_holds(&p->l2, line));
}

Event privates_search(Privates *p, const Private *own, Event event)
{
    const uint64_t line = event >> EVENT_BITS;
    const int takes = (event & (WRITE | NON_TEMPORAL)) != 0;
    Slot found = 0;

    for (unsigned i = 0; i < p->n_active; i++)
        if (p->active[i] != own && holds(p->active[i], line))
            found |= takes ? take(p->active[i], line) : slot_of(line);
    *found_place(p, line) = line << 33 | (Found)p->turn << 1 | (!takes && found != 0);
    if ((event & NON_TEMPORAL) != 0)
        event |= found & DIRTY;
    return found != 0 ? event | SHARED : event;
}
