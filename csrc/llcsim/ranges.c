#include "ranges.h"

static AddressRange ranges[MAX_RANGES];
unsigned range_count;

int cache_set_ranges(const AddressRange *given, unsigned n)
{
    if (n > MAX_RANGES)
        return 0;
    for (unsigned i = 0; i < n; i++) {
        if (given[i].first >= given[i].end || given[i].label == 0 || given[i].label > RANGE_LABELS ||
            (i != 0 && given[i].first < given[i - 1].end))
            return 0;
    }
    for (unsigned i = 0; i < n; i++)
        ranges[i] = given[i];
    range_count = n;
    return 1;
}

unsigned range_label(uint64_t line)
{
    const uint64_t first = line << LINE_BITS, end = first + LINE_SIZE;
    unsigned low = 0, high = range_count; /* the first range that ends after `first` */

    while (low < high) {
        const unsigned middle = (low + high) / 2;
        if (ranges[middle].end > first)
            high = middle;
        else
            low = middle + 1;
    }
    return low < range_count && ranges[low].first < end ? ranges[low].label : 0;
}
