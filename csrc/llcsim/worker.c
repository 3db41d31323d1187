#include "worker.h"
#include "cache.h"
#include "pub_tool_libcbase.h"
#include "pub_tool_libcproc.h"
#include "pub_tool_libcsignal.h"
#include "pub_tool_vki.h"

/* So that the model may fall behind for a moment and catch up; all fit in an L3. Those used
 * last are used again first. */
#define BUFFERS 32
/* How many the model's thread, once asleep, is woken for. */
#define WAKE_AT 4
#define SPINS 300
#define STACK_BYTES 65536

/* Of linux/futex.h, linux/sched.h and the system call table of x86-64. */
enum { FUTEX_WAIT_PRIVATE = 128, FUTEX_WAKE_PRIVATE = 129 };
enum { SYS_clone = 56, SYS_futex = 202, SYS_sched_setaffinity = 203, SYS_sched_getaffinity = 204 };
#define THREAD_FLAGS 0x50f00 /* VM, FS, FILES, SIGHAND, THREAD, SYSVSEM */

/* What one side advances and the other one waits for. */
typedef struct {
    UInt value;           /* modulo 2^32 */
    UInt awaited, target; /* whether the other side sleeps, and until which value */
    UInt signal;          /* changes whenever it is woken */
} Counter;

static ULong buffers[BUFFERS][BUFFER_WORDS];
static struct {
    UInt buffer, client_thread;
    const ULong *end;
} filled[BUFFERS];                 /* in the order in which they were handed over */
static Counter produced, consumed; /* of these so far */
static UInt current;               /* the buffer to fill */
static UInt idle[BUFFERS], n_idle; /* the others that are free, */
static UInt collected;             /* among them those consumed up to here */
static UInt hurry;                 /* the program waits for the model */
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

static void wake(Counter *c)
{
    __atomic_add_fetch(&c->signal, 1, __ATOMIC_SEQ_CST);
    system_call(SYS_futex, (long)&c->signal, FUTEX_WAKE_PRIVATE, 1);
}

static void advance(Counter *c)
{
    __atomic_store_n(&c->value, c->value + 1, __ATOMIC_SEQ_CST);
    if (load(&c->awaited) != 0 && reached(c->value, c->target))
        wake(c);
}

/* Wait for one value, or asleep for a later one unless there is a hurry. */
static void wait_for(Counter *c, UInt value, UInt asleep, UInt spins)
{
    for (UInt i = 0; i < spins; i++) {
        if (reached(load(&c->value), value))
            return;
        __builtin_ia32_pause();
    }
    c->target = asleep;
    __atomic_store_n(&c->awaited, 1, __ATOMIC_SEQ_CST);
    for (;;) {
        const UInt signal = load(&c->signal);
        if (reached(load(&c->value), load(&hurry) ? value : asleep))
            break;
        system_call(SYS_futex, (long)&c->signal, FUTEX_WAIT_PRIVATE, signal);
    }
    __atomic_store_n(&c->awaited, 0, __ATOMIC_SEQ_CST);
}

static void consume(UInt buffer, const ULong *end, UInt client_thread)
{
    cache_set_thread(client_thread);
    cache_consume((const uint64_t *)buffers[buffer], (const uint64_t *)end);
}

static __attribute__((noreturn)) void model_thread(void)
{
    system_call(SYS_sched_setaffinity, 0, sizeof processors, (long)processors);
    for (;;) {
        const UInt i = consumed.value % BUFFERS;
        wait_for(&produced, consumed.value + 1, consumed.value + WAKE_AT, SPINS);
        consume(filled[i].buffer, filled[i].end, filled[i].client_thread);
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
    for (n_idle = 0; n_idle < BUFFERS - 1; n_idle++)
        idle[n_idle] = n_idle + 1;
}

ULong *worker_buffer(void)
{
    return buffers[current];
}

static UInt take_idle(void)
{
    /* None: wait for half of them, so that one sleep serves many. */
    if (n_idle == 0 && collected == load(&consumed.value)) {
        const UInt half = produced.value - BUFFERS / 2;
        wait_for(&consumed, half, half, 0);
    }
    for (const UInt done = load(&consumed.value); collected != done; collected++)
        idle[n_idle++] = filled[collected % BUFFERS].buffer;
    return idle[--n_idle];
}

/* Have the lines of the buffer to fill in this processor's caches for writing. The model's processor
 * has them: to ask for all at once is faster than for each when it is needed. */
static void take_over_lines(void)
{
    for (UInt i = 0; i < BUFFER_WORDS; i += LINE_SIZE / sizeof(ULong))
        *(volatile ULong *)&buffers[current][i] = 0;
}

ULong *worker_hand_over(const ULong *end, UInt client_thread)
{
    if (end == buffers[current])
        return buffers[current];
    if (!tried)
        start();
    if (!running) {
        consume(current, end, client_thread);
        return buffers[current];
    }
    if (!cache_has_thread(client_thread)) {
        worker_drain();
        cache_set_thread(client_thread); /* allocates, which only this thread may do */
    }
    filled[produced.value % BUFFERS].buffer = current;
    filled[produced.value % BUFFERS].client_thread = client_thread;
    filled[produced.value % BUFFERS].end = end;
    advance(&produced);
    current = take_idle();
    take_over_lines();
    return buffers[current];
}

void worker_drain(void)
{
    if (!running)
        return;
    __atomic_store_n(&hurry, 1, __ATOMIC_SEQ_CST);
    if (load(&produced.awaited) != 0)
        wake(&produced);
    wait_for(&consumed, produced.value, produced.value, SPINS);
    __atomic_store_n(&hurry, 0, __ATOMIC_SEQ_CST);
}
