/* For any processor. */
#include "level.h"

INLINE unsigned find4(const Slot *slots, Slot key)
{
    return ((slots[0] ^ key) < 2) | ((slots[1] ^ key) < 2) << 1 | ((slots[2] ^ key) < 2) << 2 |
           ((slots[3] ^ key) < 2) << 3;
}

#define FIND4(slots, key) find4(slots, key)
#define BATCH batch_plain
#include "batch_template.h"
