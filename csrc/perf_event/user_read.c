#include "user_read.h"

int pe_user_read(const struct perf_event_mmap_page *page, pe_register counter, pe_clock clock,
                 struct pe_user_count *count)
{
    return user_times(page, clock, &count->enabled, &count->running) &&
           user_value(page, counter, &count->value);
}
