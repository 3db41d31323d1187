#include "perf_event.h"

#include "user_read.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
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

struct perf_event_mmap_page *pe_map(int fd)
{
#if defined(__x86_64__) || defined(__aarch64__)
    void *page = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ, MAP_SHARED, fd, 0);
    return page == MAP_FAILED ? NULL : page;
#else
    (void)fd;
    return NULL; /* no register that user space reads is known here */
#endif
}

int pe_unmap(struct perf_event_mmap_page *page)
{
    return munmap(page, (size_t)sysconf(_SC_PAGESIZE)) < 0 ? -errno : 0;
}

static _Thread_local char mark;

const void *pe_this_thread(void)
{
    return &mark;
}

static inline __attribute__((always_inline)) int
user_read_group(const struct pe_reader *reader, size_t group, uint64_t *words)
{
    size_t size = (reader->offsets[group + 1] - reader->offsets[group] - 3) / 2;
    size_t first = (reader->offsets[group] - 3 * group) / 2;
    const struct perf_event_mmap_page *const *pages = reader->pages + first;
    if (!user_times(pages[0], clock_of_this_cpu, &words[1], &words[2]))
        return 0;
    for (size_t i = 0; i < size; i++) {
        if (!user_value(pages[i], register_of_this_cpu, &words[3 + 2 * i]))
            return 0;
        words[4 + 2 * i] = reader->ids[first + i];
    }
    words[0] = size;
    return 1;
}

/* These are inlined, so that a counted window holds as few instructions as can be. */
static inline __attribute__((always_inline)) void clear(const struct pe_reader *reader, uint64_t *words)
{
    /* The kernel writes nothing for a group that it could not place. */
    for (size_t i = 0; i < reader->n; i++)
        words[reader->offsets[i]] = 0;
}

static inline __attribute__((always_inline)) ssize_t read_group(const struct pe_reader *reader, size_t i,
                                                                uint64_t *words)
{
    const size_t *offsets = reader->offsets + i;
    return read(reader->leaders[i], words + offsets[0], (offsets[1] - offsets[0]) * sizeof *words);
}

static inline __attribute__((always_inline)) ssize_t read_groups(const struct pe_reader *reader,
                                                                 uint64_t *words)
{
    ssize_t got = 0;
    for (size_t i = 0; i < reader->n && got >= 0; i++)
        got = read_group(reader, i, words);
    return got;
}

static inline __attribute__((always_inline)) ssize_t
read_in_user_space(const struct pe_reader *reader, uint64_t *words)
{
    ssize_t got = 0;
    for (size_t i = 0; i < reader->n && got >= 0; i++)
        if (!user_read_group(reader, i, words + reader->offsets[i])) {
            words[reader->offsets[i]] = 0;
            got = read_group(reader, i, words);
        }
    return got;
}

static int is_mapped(const struct pe_reader *reader)
{
    return reader->pages && reader->thread == &mark;
}

int pe_read_groups(const struct pe_reader *reader, uint64_t *words)
{
    ssize_t got;
    if (is_mapped(reader)) {
        got = read_in_user_space(reader, words);
    } else {
        clear(reader, words);
        got = read_groups(reader, words);
    }
    return got < 0 ? -errno : 0;
}

int pe_read_own_groups(const struct pe_reader *reader, uint64_t *words)
{
    return reader->thread == &mark ? pe_read_groups(reader, words) : -EXDEV;
}

int pe_count_call(const struct pe_reader *reader, uint64_t *before, uint64_t *after,
                  uint64_t (*function)(uint64_t), uint64_t argument)
{
    clear(reader, before);
    clear(reader, after);
    ssize_t got;
    if (is_mapped(reader)) {
        if (read_in_user_space(reader, before) < 0)
            return -errno;
        function(argument);
        got = read_in_user_space(reader, after);
    } else {
        if (read_groups(reader, before) < 0)
            return -errno;
        function(argument);
        got = read_groups(reader, after);
    }
    return got < 0 ? -errno : 0;
}
