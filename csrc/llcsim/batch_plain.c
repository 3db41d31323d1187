/* For any processor. */
#include "level.h"

INLINE unsigned find(const Slot *slots, Slot key, unsigned n)
{
    unsigned found = 0;
    for (unsigned i = 0; i < n; i++)
        found |= (unsigned)((slots[i] ^ key) < 2) << i;
    return found;
}

INLINE void push(Slot *slots, Slot front, unsigned to, unsigned n)
{
    (void)n;
    for (unsigned position = __builtin_ctz(to); position != 0; position--)
        slots[position] = slots[position - 1];
    slots[0] = front;
}

#define BATCH batch_plain
#include "batch_template.h"
