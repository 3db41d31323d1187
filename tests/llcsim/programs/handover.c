/* handover ROUNDS LINES shared|own: two threads take turns, ROUNDS each. In its turn a thread writes
 * its own word of each of LINES lines, which are the other one's too, or its own, then hands over by
 * writing the turn, which has a line of its own. Prints the counts of the rounds after the first. */
#include "ask.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MOST_LINES 16

typedef struct {
    _Alignas(64) volatile uint64_t words[8];
} Line;

static Line lines[2][MOST_LINES];
static union {
    Line line;
    volatile uint32_t number;
} turn;
static int rounds, n_lines, shared;

static void await_turn(uint32_t me)
{
    while (turn.number != me)
        syscall(SYS_futex, &turn.number, FUTEX_WAIT_PRIVATE, !me, NULL);
}

static void use_turn(uint32_t me)
{
    for (int i = 0; i < n_lines; i++)
        lines[shared ? 0 : me][i].words[me]++;
    turn.number = !me;
    syscall(SYS_futex, &turn.number, FUTEX_WAKE_PRIVATE, 1);
}

static void *other(void *none)
{
    for (int i = 0; i <= rounds; i++) {
        await_turn(1);
        use_turn(1);
    }
    return none;
}

int main(int argc, char **argv)
{
    pthread_t thread;

    if (argc != 4)
        return 2;
    rounds = atoi(argv[1]);
    n_lines = atoi(argv[2]);
    shared = strcmp(argv[3], "shared") == 0;
    record(1);
    pthread_create(&thread, NULL, other, NULL);
    use_turn(0);
    await_turn(0);
    zero();
    for (int i = 0; i < rounds; i++) {
        use_turn(0);
        await_turn(0);
    }
    print_counts();
    pthread_join(thread, NULL);
    record(0);
    return 0;
}
