#include "perf_event.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int pe_open(const struct pe_event *event, uint32_t flags, int pid, int cpu, int group_fd)
{
    struct perf_event_attr attr;
    memset(&attr, 0, sizeof attr);
    attr.size = sizeof attr;
    attr.type = event->type;
    attr.config = event->config;
    attr.config1 = event->config1;
    attr.config2 = event->config2;
    attr.bp_type = event->bp_type;
    attr.read_format = PERF_FORMAT_GROUP | PERF_FORMAT_ID | PERF_FORMAT_TOTAL_TIME_ENABLED |
                       PERF_FORMAT_TOTAL_TIME_RUNNING;
    attr.disabled = (flags & PE_DISABLED) != 0;
    attr.inherit = (flags & PE_INHERIT) != 0;
    attr.inherit_thread = (flags & PE_INHERIT_THREAD) != 0;
    attr.exclude_user = (flags & PE_EXCLUDE_USER) != 0;
    attr.exclude_kernel = (flags & PE_EXCLUDE_KERNEL) != 0;
    attr.exclude_hv = (flags & PE_EXCLUDE_KERNEL) != 0;
    attr.pinned = (flags & PE_PINNED) != 0;
    attr.enable_on_exec = (flags & PE_ENABLE_ON_EXEC) != 0;
    long fd = syscall(SYS_perf_event_open, &attr, pid, cpu, group_fd, PERF_FLAG_FD_CLOEXEC);
    return fd < 0 ? -errno : (int)fd;
}

int pe_id(int fd, uint64_t *id)
{
    return ioctl(fd, PERF_EVENT_IOC_ID, id) < 0 ? -errno : 0;
}

int pe_enable(int fd)
{
    return ioctl(fd, PERF_EVENT_IOC_ENABLE, 0) < 0 ? -errno : 0;
}

int pe_disable(int fd)
{
    return ioctl(fd, PERF_EVENT_IOC_DISABLE, 0) < 0 ? -errno : 0;
}

/* Inlined, so that a counted window holds as few instructions as can be. */
static inline __attribute__((always_inline)) ssize_t
read_groups(const int *leaders, const size_t *offsets, size_t n, uint64_t *words)
{
    ssize_t got = 0;
    for (size_t i = 0; i < n && got >= 0; i++)
        got = read(leaders[i], words + offsets[i], (offsets[i + 1] - offsets[i]) * sizeof *words);
    return got;
}

int pe_read_groups(const int *leaders, const size_t *offsets, size_t n, uint64_t *words)
{
    return read_groups(leaders, offsets, n, words) < 0 ? -errno : 0;
}

int pe_count_call(const int *leaders, const size_t *offsets, size_t n, uint64_t *before,
                  uint64_t *after, uint64_t (*function)(uint64_t), uint64_t argument)
{
    if (read_groups(leaders, offsets, n, before) < 0)
        return -errno;
    function(argument);
    return read_groups(leaders, offsets, n, after) < 0 ? -errno : 0;
}
