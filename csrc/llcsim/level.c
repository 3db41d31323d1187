#include "level.h"

void level_init(Level *level, Geometry geometry, Allocate allocate)
{
    level->sets = geometry.sets;
    level->ways = geometry.ways;
    level->stride = (geometry.ways + 7) / 8 * 8;
    level->mask = (geometry.sets & (geometry.sets - 1)) == 0 ? geometry.sets - 1 : 0;
    level->slots = allocate(geometry.sets * level->stride * sizeof(Slot));
    level->tree = geometry.policy == TREE_PLRU
                      ? allocate(geometry.sets * sizeof level->tree[0])
                      : 0;
}

/* Move the slot at `way` to the front of its set, the others after it. */
static void to_front(Slot *slots, unsigned way)
{
    const Slot moved = slots[way];
    for (; way != 0; way--)
        slots[way] = slots[way - 1];
    slots[0] = moved;
}

static void touch(Level *level, uint64_t set, unsigned way)
{
    if (level->tree != 0)
        level->tree[set] = tree_touched(level->tree[set], way, level->ways);
    else
        to_front(level->slots + set * level->stride, way);
}

/* Empty ways first; with LRU they are always the last. */
static unsigned victim(const Level *level, uint64_t set)
{
    if (level->tree == 0)
        return level->ways - 1;
    const unsigned empty = level_find(level, set, 0);
    return empty != level->ways ? empty : tree_victim(level->tree[set], level->ways);
}

int level_use(Level *level, uint64_t line, uint64_t dirty, Slot *evicted)
{
    const uint64_t set = level_set(level, line);
    Slot *slots = level->slots + set * level->stride;
    unsigned way = level_find(level, set, line);
    const int hit = way != level->ways;

    if (hit) {
        slots[way] |= (Slot)dirty;
    } else {
        way = victim(level, set);
        *evicted = slots[way];
        slots[way] = slot_of(line) | (Slot)dirty;
    }
    touch(level, set, way);
    return hit;
}

int level_mark_dirty(Level *level, uint64_t line)
{
    const uint64_t set = level_set(level, line);
    const unsigned way = level_find(level, set, line);

    if (way == level->ways)
        return 0;
    level->slots[set * level->stride + way] |= DIRTY;
    return 1;
}

Slot level_remove(Level *level, uint64_t line)
{
    const uint64_t set = level_set(level, line);
    Slot *slots = level->slots + set * level->stride;

    if (!level_holds(level, line))
        return 0;
    unsigned way = level_find(level, set, line);
    const Slot removed = slots[way];
    if (level->tree == 0)
        for (; way + 1 < level->ways; way++)
            slots[way] = slots[way + 1];
    slots[way] = 0;
    return removed;
}
