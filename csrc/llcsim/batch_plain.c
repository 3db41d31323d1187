/* For any processor. */
#include "batch.h"

INLINE unsigned find(const Slot *slots, Slot key, unsigned n)
{
    unsigned found = 0;
    for (unsigned i = 0; i < n; i++)
        found |= (unsigned)(((slots[i] ^ key) & ~DIRTY) == 0) << i;
    return found;
}

INLINE unsigned use(Slot *slots, Slot used, unsigned ways, unsigned n)
{
    const unsigned found = find(slots, used, n);
    unsigned way = found != 0 ? (unsigned)__builtin_ctz(found) : ways - 1;

    used |= found != 0 ? slots[way] : 0;
    for (; way != 0; way--)
        slots[way] = slots[way - 1];
    slots[0] = used;
    return found;
}

INLINE int any(Words words)
{
    uint64_t bits = 0;
    for (unsigned i = 0; i < sizeof words / sizeof bits; i++)
        bits |= words[i];
    return bits != 0;
}

#define BATCH batch_plain
#include "batch_template.h"
