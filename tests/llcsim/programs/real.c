/* A small real program: sort 200,000 integers, fill 4 MiB, look up at the sorted places. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

int main(void)
{
    const int n = 200000;
    int *keys = malloc(n * sizeof *keys);
    char *table = malloc(1 << 22);
    unsigned state = 1;
    unsigned long sum = 0;

    for (int i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        keys[i] = state >> 1;
    }
    qsort(keys, n, sizeof *keys, compare);
    memset(table, 1, 1 << 22);
    for (int i = 0; i < n; i++)
        sum += keys[i] + table[(unsigned)keys[i] % (1 << 22)];
    printf("%lu\n", sum);
    return 0;
}
