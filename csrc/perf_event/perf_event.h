/* The system calls of perf_event_open(2): one function, one call. All return a
 * value that is not negative, or -errno, unless they say otherwise. */
#ifndef FORMFN_PERF_EVENT_H
#define FORMFN_PERF_EVENT_H

#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <stddef.h>
#include <stdint.h>

enum pe_flags {
    PE_DISABLED = 1,
    PE_INHERIT = 2,         /* threads and children created later */
    PE_INHERIT_THREAD = 4,  /* of these, threads only */
    PE_EXCLUDE_USER = 8,
    PE_EXCLUDE_KERNEL = 16, /* and the hypervisor */
    PE_PINNED = 32,
    PE_ENABLE_ON_EXEC = 64,
};

struct pe_event {
    uint32_t type;
    uint32_t bp_type; /* breakpoints: HW_BREAKPOINT_R, _W */
    uint64_t config;
    uint64_t config1; /* breakpoints: the address */
    uint64_t config2; /* breakpoints: the length in bytes */
};

/* What is read together: n groups, group i into words + offsets[i], which has room
 * up to offsets[i + 1] (both in 64-bit words). */
struct pe_reader {
    size_t n;
    const int *leaders;
    const size_t *offsets;
    const uint64_t *ids;                              /* of the events, group after group */
    const struct perf_event_mmap_page *const *pages;  /* likewise; NULL: always read(2) */
    const void *thread;                               /* pe_this_thread() of whom they count; or NULL */
};

/* Open one event, close-on-exec, with the read format GROUP | ID | TOTAL_TIME_*. */
int pe_open(const struct pe_event *event, uint32_t flags, int pid, int cpu, int group_fd);

int pe_id(int fd, uint64_t *id);
int pe_enable(int fd);

/* Map an event's page for pe_read_groups; NULL where the kernel refuses. */
struct perf_event_mmap_page *pe_map(int fd);
int pe_unmap(struct perf_event_mmap_page *page);

/* A mark of the calling thread, which no other thread has while this one lives. */
const void *pe_this_thread(void);

/* Read the groups, one after the other. For each: nr, time_enabled, time_running, then
 * value and id for each event; nr is 0 where the kernel gave nothing, because it could
 * not place the group. A group whose events are all on the PMU and mapped is read in
 * user space; any other with read(2). */
int pe_read_groups(const struct pe_reader *reader, uint64_t *words);

/* The same for the thread that is counted; any other gets -EXDEV. */
int pe_read_own_groups(const struct pe_reader *reader, uint64_t *words);

/* Read the groups, call function(argument), read them again: the window holds nothing
 * else. 0 or -errno; what the function returns is dropped. */
int pe_count_call(const struct pe_reader *reader, uint64_t *before, uint64_t *after,
                  uint64_t (*function)(uint64_t), uint64_t argument);

#endif
