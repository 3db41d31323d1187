#include "worker.h"
#include "cache.h"
#include "pub_tool_libcbase.h"
#include "pub_tool_libcproc.h"
#include "pub_tool_libcsignal.h"
#include "pub_tool_vki.h"

#define BUFFERS 8
#define SPINS 300
#define STACK_BYTES 65536

/* Of linux/futex.h, linux/sched.h and the system call table of x86-64. */
enum { FUTEX_WAIT_PRIVATE = 128, FUTEX_WAKE_PRIVATE = 129 };
enum { SYS_clone = 56, SYS_futex = 202, SYS_sched_setaffinity = 203, SYS_sched_getaffinity = 204 };
#define THREAD_FLAGS 0x50f00 /* VM, FS, FILES, SIGHAND, THREAD, SYSVSEM */

typedef struct {
    UInt value; /* modulo 2^32 */
    UInt awaited, target;
} Counter;

static ULong buffers[BUFFERS][BUFFER_ENTRIES];
static struct {
    const ULong *end;
    UInt client_thread;
} filled[BUFFERS];
static Counter produced, consumed; /* buffers so far */
static Bool allowed = True, tried = False, running = False;
static ULong processors[128]; /* where this program could run at its start */

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

static Bool reached(UInt counter, UInt target)
{
    return (Int)(counter - target) >= 0;
}

/* A counter that one side advances and the other one waits for. */
static void wait_for(Counter *c, UInt target, UInt spins)
{
    UInt seen;

    for (UInt i = 0; i < spins; i++) {
        if (reached(load(&c->value), target))
            return;
        __builtin_ia32_pause();
    }
    c->target = target;
    __atomic_store_n(&c->awaited, 1, __ATOMIC_SEQ_CST);
    while (!reached(seen = load(&c->value), target))
        system_call(SYS_futex, (long)&c->value, FUTEX_WAIT_PRIVATE, seen);
    __atomic_store_n(&c->awaited, 0, __ATOMIC_SEQ_CST);
}

static void advance(Counter *c)
{
    __atomic_store_n(&c->value, c->value + 1, __ATOMIC_SEQ_CST);
    if (load(&c->awaited) != 0 && reached(c->value, c->target))
        system_call(SYS_futex, (long)&c->value, FUTEX_WAKE_PRIVATE, 1);
}

static void consume(UInt i)
{
    cache_set_thread(filled[i].client_thread);
    cache_consume((const uint64_t *)buffers[i], (const uint64_t *)filled[i].end);
}

static __attribute__((noreturn)) void model_thread(void)
{
    system_call(SYS_sched_setaffinity, 0, sizeof processors, (long)processors);
    for (;;) {
        wait_for(&produced, consumed.value + 1, SPINS);
        consume(consumed.value % BUFFERS);
        advance(&consumed);
    }
}

static UInt count_processors(void)
{
    UInt n = 0;
    for (UInt i = 0; i < sizeof processors / sizeof processors[0]; i++)
        n += __builtin_popcountll(processors[i]);
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

    VG_(memset)(&all, 0xff, sizeof all);
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
    if (!allowed || count_processors() < 2)
        return;
    VG_(atfork)(before_fork, NULL, in_child);
    running = start_thread();
}

void worker_allow(Bool thread)
{
    allowed = thread;
    system_call(SYS_sched_getaffinity, 0, sizeof processors, (long)processors);
}

ULong *worker_buffer(void)
{
    return buffers[produced.value % BUFFERS];
}

ULong *worker_hand_over(const ULong *end, UInt client_thread)
{
    const UInt i = produced.value % BUFFERS;

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
    advance(&produced);
    /* Full: wait for half of them, so that one sleep serves many. */
    if (produced.value - load(&consumed.value) == BUFFERS)
        wait_for(&consumed, produced.value - BUFFERS / 2, 0);
    return worker_buffer();
}

void worker_drain(void)
{
    if (running)
        wait_for(&consumed, produced.value, SPINS);
}
