/* threads N ROUNDS: N threads walk 16 KiB of their own each, all of them once a round. Prints the
 * counts of the rounds after the first. */
#include "ask.h"

#include <pthread.h>
#include <stdlib.h>

#define WORDS (16384 / 8)

static pthread_barrier_t barrier;
static int rounds;

static void *walk(void *own)
{
    volatile uint64_t *words = own;
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < WORDS; i += 8)
            words[i]++;
        pthread_barrier_wait(&barrier);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    const int n = argc > 2 ? atoi(argv[1]) : 1;
    pthread_t threads[16];

    rounds = argc > 2 ? atoi(argv[2]) : 1;
    pthread_barrier_init(&barrier, NULL, n + 1);
    for (int i = 0; i < n; i++)
        pthread_create(&threads[i], NULL, walk, aligned_alloc(4096, 16384));
    record(1);
    for (int round = 0; round < rounds; round++) {
        pthread_barrier_wait(&barrier);
        if (round == 1)
            zero();
    }
    print_counts();
    for (int i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    record(0);
    return 0;
}
