#include "worker.h"
#include "cache.h"
#include "pub_tool_libcproc.h"
#include "pub_tool_libcsignal.h"
#include "pub_tool_vki.h"

#define BUFFERS 8
#define SPINS 300
#define STACK_BYTES 65536

/* Of linux/futex.h, linux/sched.h and the system call table of x86-64. */
enum { FUTEX_WAIT_PRIVATE = 128, FUTEX_WAKE_PRIVATE = 129 };
enum { SYS_clone = 56, SYS_futex = 202, SYS_sched_getaffinity = 204 };
#define THREAD_FLAGS 0x50f00 /* VM, FS, FILES, SIGHAND, THREAD, SYSVSEM */

static ULong buffers[BUFFERS][BUFFER_ENTRIES];
static struct {
    const ULong *end;
    UInt client_thread;
} filled[BUFFERS];
static UInt produced = 0, consumed = 0; /* buffers so far, modulo 2^32 */
static UInt model_waits = 0, client_waits = 0;
static Bool allowed = True, tried = False, running = False;

static long system_call(long number, long a, long b, long c)
{
    register long r10 __asm__("r10") = 0;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "0"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
                     : "rcx", "r11", "memory");
    return result;
}

static UInt load(const UInt *counter)
{
    return __atomic_load_n(counter, __ATOMIC_SEQ_CST);
}

/* Wait while *counter is `value`; the other side looks at *waits. */
static void wait_while(UInt *counter, UInt value, UInt *waits)
{
    for (UInt i = 0; i < SPINS; i++) {
        if (load(counter) != value)
            return;
        __builtin_ia32_pause();
    }
    __atomic_store_n(waits, 1, __ATOMIC_SEQ_CST);
    while (load(counter) == value)
        system_call(SYS_futex, (long)counter, FUTEX_WAIT_PRIVATE, value);
    __atomic_store_n(waits, 0, __ATOMIC_SEQ_CST);
}

static void advance(UInt *counter, const UInt *waits)
{
    __atomic_store_n(counter, *counter + 1, __ATOMIC_SEQ_CST);
    if (load(waits) != 0)
        system_call(SYS_futex, (long)counter, FUTEX_WAKE_PRIVATE, 1);
}

static void consume(UInt i)
{
    cache_set_thread(filled[i].client_thread);
    cache_consume((const uint64_t *)buffers[i], (const uint64_t *)filled[i].end);
}

static __attribute__((noreturn)) void model_thread(void)
{
    for (;;) {
        wait_while(&produced, consumed, &model_waits);
        consume(consumed % BUFFERS);
        advance(&consumed, &client_waits);
    }
}

static UInt available_processors(void)
{
    ULong mask[128] = {0};
    UInt n = 0;

    if (system_call(SYS_sched_getaffinity, 0, sizeof mask, (long)mask) < 0)
        return 1;
    for (UInt i = 0; i < sizeof mask / sizeof mask[0]; i++)
        n += __builtin_popcountll(mask[i]);
    return n;
}

/* Returns the thread's number, or a negative error. */
static long clone_thread(void (*function)(void), void *stack_top)
{
    register void (*r9)(void) __asm__("r9") = function;
    register long r10 __asm__("r10") = 0;
    register long r8 __asm__("r8") = 0;
    long result;

    __asm__ volatile("syscall\n\t"
                     "testq %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "xorl %%ebp, %%ebp\n\t"
                     "call *%%r9\n\t"
                     "1:"
                     : "=a"(result)
                     : "0"((long)SYS_clone), "D"((long)THREAD_FLAGS), "S"(stack_top), "d"(0L),
                       "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

/* A thread that Valgrind doesn't know of. It takes no signal and calls nothing but the
 * model and the kernel. */
static Bool start_thread(void)
{
    static _Alignas(16) UChar stack[STACK_BYTES];
    vki_sigset_t all, before;

    VG_(sigfillset)(&all);
    VG_(sigprocmask)(VKI_SIG_SETMASK, &all, &before);
    const long thread = clone_thread(model_thread, stack + STACK_BYTES);
    VG_(sigprocmask)(VKI_SIG_SETMASK, &before, NULL);
    return thread > 0;
}

static void before_fork(ThreadId tid)
{
    (void)tid;
    worker_drain();
}

/* fork() copies the calling thread alone. */
static void in_child(ThreadId tid)
{
    (void)tid;
    running = False;
}

static void start(void)
{
    tried = True;
    if (!allowed || available_processors() < 2)
        return;
    VG_(atfork)(before_fork, NULL, in_child);
    running = start_thread();
}

void worker_allow(Bool thread)
{
    allowed = thread;
}

ULong *worker_buffer(void)
{
    return buffers[produced % BUFFERS];
}

ULong *worker_hand_over(const ULong *end, UInt client_thread)
{
    const UInt i = produced % BUFFERS;

    if (end == buffers[i])
        return buffers[i];
    if (!tried)
        start();
    filled[i].end = end;
    filled[i].client_thread = client_thread;
    if (!running) {
        consume(i);
        return buffers[i];
    }
    if (!cache_has_thread(client_thread)) {
        worker_drain();
        cache_set_thread(client_thread); /* allocates, which only this thread may do */
    }
    advance(&produced, &model_waits);
    if (produced - load(&consumed) == BUFFERS)
        wait_while(&consumed, produced - BUFFERS, &client_waits);
    return worker_buffer();
}

void worker_drain(void)
{
    UInt seen;
    while (running && (seen = load(&consumed)) != produced)
        wait_while(&consumed, seen, &client_waits);
}
