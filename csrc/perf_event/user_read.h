/* Reading a counter in user space, as the kernel documents it at struct
 * perf_event_mmap_page in linux/perf_event.h. */
#ifndef FORMFN_USER_READ_H
#define FORMFN_USER_READ_H

#include <linux/perf_event.h>
#include <stdint.h>

#define PE_INLINE static inline __attribute__((always_inline))

/* The counting register `index` of this CPU. */
typedef uint64_t (*pe_register)(uint32_t index);
/* The CPU's time stamp. */
typedef uint64_t (*pe_clock)(void);

struct pe_user_count {
    uint64_t enabled;
    uint64_t running;
    uint64_t value;
};

typedef const volatile struct perf_event_mmap_page pe_page;

/* Begin and end a read: what lies between belongs together if the lock has not changed. */
PE_INLINE uint32_t page_lock(pe_page *page)
{
    uint32_t lock = page->lock;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    return lock;
}

PE_INLINE int page_changed(pe_page *page, uint32_t lock)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    return __builtin_expect(page->lock != lock, 0);
}

/* Read the value of one event of the calling thread; 0 if that can't be done in user
 * space at this moment: it is not on a counter, or the kernel doesn't allow it. */
PE_INLINE int user_value(pe_page *page, pe_register counter, uint64_t *value)
{
    uint32_t lock;
    do {
        lock = page_lock(page);
        uint32_t index = page->index;
        /* The register's top bit, moved to the word's top and back, becomes the sign. */
        unsigned int unused = 64u - page->pmc_width;
        if (!page->cap_user_rdpmc || index == 0 || unused > 63)
            return 0;
        int64_t raw = (int64_t)(counter(index - 1) << unused) >> unused;
        *value = (uint64_t)page->offset + (uint64_t)raw;
    } while (page_changed(page, lock));
    return 1;
}

/* Bring the times of an event that is on a counter up to now; 0 if the kernel does not
 * say how. */
PE_INLINE int user_times(pe_page *page, pe_clock clock, uint64_t *enabled, uint64_t *running)
{
    uint32_t lock;
    do {
        lock = page_lock(page);
        if (!page->cap_user_time || page->index == 0)
            return 0;
        uint64_t cycles = clock();
        if (page->cap_user_time_short)
            cycles = page->time_cycles + ((cycles - page->time_cycles) & page->time_mask);
        uint32_t mult = page->time_mult;
        uint16_t shift = page->time_shift;
        uint64_t rest = cycles & (((uint64_t)1 << shift) - 1);
        uint64_t delta = page->time_offset + (cycles >> shift) * mult + ((rest * mult) >> shift);
        *enabled = page->time_enabled + delta;
        *running = page->time_running + delta;
    } while (page_changed(page, lock));
    return 1;
}

/* Both, for tests: with registers of one's own. */
int pe_user_read(const struct perf_event_mmap_page *page, pe_register counter, pe_clock clock,
                 struct pe_user_count *count);

#if defined(__aarch64__)

#define PE_REGISTER(n)                                                \
    case n:                                                           \
        __asm__ volatile("mrs %0, pmevcntr" #n "_el0" : "=r"(value)); \
        break;

PE_INLINE uint64_t register_of_this_cpu(uint32_t index)
{
    uint64_t value = 0;
    switch (index) {
        PE_REGISTER(0) PE_REGISTER(1) PE_REGISTER(2) PE_REGISTER(3) PE_REGISTER(4) PE_REGISTER(5)
        PE_REGISTER(6) PE_REGISTER(7) PE_REGISTER(8) PE_REGISTER(9) PE_REGISTER(10) PE_REGISTER(11)
        PE_REGISTER(12) PE_REGISTER(13) PE_REGISTER(14) PE_REGISTER(15) PE_REGISTER(16) PE_REGISTER(17)
        PE_REGISTER(18) PE_REGISTER(19) PE_REGISTER(20) PE_REGISTER(21) PE_REGISTER(22) PE_REGISTER(23)
        PE_REGISTER(24) PE_REGISTER(25) PE_REGISTER(26) PE_REGISTER(27) PE_REGISTER(28) PE_REGISTER(29)
        PE_REGISTER(30)
    case 31: /* the cycle counter has a name of its own */
        __asm__ volatile("mrs %0, pmccntr_el0" : "=r"(value));
        break;
    default:
        break;
    }
    return value;
}

PE_INLINE uint64_t clock_of_this_cpu(void)
{
    uint64_t value;
    __asm__ volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(value) : : "memory");
    return value;
}

#elif defined(__x86_64__)

PE_INLINE uint64_t register_of_this_cpu(uint32_t index)
{
    uint32_t low, high;
    __asm__ volatile("rdpmc" : "=a"(low), "=d"(high) : "c"(index));
    return (uint64_t)high << 32 | low;
}

PE_INLINE uint64_t clock_of_this_cpu(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

#else /* no page is ever mapped */

PE_INLINE uint64_t register_of_this_cpu(uint32_t index)
{
    return index;
}

PE_INLINE uint64_t clock_of_this_cpu(void)
{
    return 0;
}

#endif
#endif
