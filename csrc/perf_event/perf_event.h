/* The system calls of perf_event_open(2): one function, one call. All return a
 * value that is not negative, or -errno. */
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

/* Open one event, close-on-exec, with the read format GROUP | ID | TOTAL_TIME_*. */
int pe_open(const struct pe_event *event, uint32_t flags, int pid, int cpu, int group_fd);

int pe_id(int fd, uint64_t *id);
int pe_enable(int fd);
int pe_disable(int fd);

/* Read n groups, one after the other, group i into words + offsets[i], which has
 * room up to offsets[i + 1] (both in 64-bit words): nr, time_enabled, time_running,
 * then value and id for each event. The words must be 0 before: the kernel writes
 * nothing for a group that it could not place. */
int pe_read_groups(const int *leaders, const size_t *offsets, size_t n, uint64_t *words);

/* Read the groups, call function(argument), read them again: the window holds nothing
 * else. 0 or -errno; what the function returns is dropped. */
int pe_count_call(const int *leaders, const size_t *offsets, size_t n, uint64_t *before,
                  uint64_t *after, uint64_t (*function)(uint64_t), uint64_t argument);

#endif
