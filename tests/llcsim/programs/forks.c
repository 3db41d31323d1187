/* While recorded: a child made by fork() walks 1 MiB and ends, another one runs true(1), then this
 * process reads 8 MiB. Prints the counts of it all. */
#include "ask.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t walk(volatile uint64_t *words, size_t bytes)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < bytes / 8; i += 8)
        sum += words[i];
    return sum;
}

int main(void)
{
    volatile uint64_t *area = aligned_alloc(4096, 8 << 20);
    int status[2] = {1, 1};

    for (size_t i = 0; i < (8 << 20) / 8; i++)
        area[i] = i;
    record(1);
    walk(area, 8 << 20);
    zero();
    for (int i = 0; i < 2; i++) {
        const pid_t child = fork();
        if (child == 0 && i == 0)
            _exit(walk(area, 1 << 20) == 0);
        if (child == 0)
            execlp("true", "true", (char *)NULL), _exit(9);
        waitpid(child, &status[i], 0);
    }
    walk(area, 8 << 20);
    print_counts();
    return status[0] != 0 || status[1] != 0;
}
