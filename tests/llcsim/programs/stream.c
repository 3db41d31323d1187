/* stream MODE BYTES: read or write a buffer once a pass; print the counts of the third pass. */
#include "ask.h"

#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    const int writes = argc > 2 && strcmp(argv[1], "write") == 0;
    const size_t n = strtoul(argv[2], NULL, 10);
    volatile uint64_t *buffer = aligned_alloc(4096, n);
    uint64_t sum = 0;

    for (size_t i = 0; i < n / 8; i++)
        buffer[i] = i;
    record(1);
    for (int pass = 0; pass < 3; pass++) {
        zero();
        if (writes)
            for (size_t i = 0; i < n / 8; i++)
                buffer[i] = i;
        else
            for (size_t i = 0; i < n / 8; i++)
                sum += buffer[i];
    }
    print_counts();
    record(0);
    return sum == 42;
}
