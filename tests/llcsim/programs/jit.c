/* Code made and changed while it runs, before recording and in it: a function that returns a
 * number and stores it, written anew for each call, 200 times in place and 200 times elsewhere.
 * Prints how many calls returned what was last written. */
#include "ask.h"

#include <string.h>
#include <sys/mman.h>

typedef int (*Function)(int *);

static Function make(unsigned char *at, int number)
{
    /* mov $number, %eax; mov %eax, (%rdi); ret */
    unsigned char code[] = {0xb8, 0, 0, 0, 0, 0x89, 0x07, 0xc3};
    memcpy(code + 1, &number, sizeof number);
    memcpy(at, code, sizeof code);
    return (Function)at;
}

static int right_calls(unsigned char *pages)
{
    int right = 0, stored = 0;
    for (int i = 0; i < 200; i++) {
        right += make(pages, i)(&stored) == i && stored == i;
        right += make(pages + 16 * i, -i)(&stored) == -i && stored == -i;
    }
    return right;
}

int main(void)
{
    unsigned char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE | PROT_EXEC,
                                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        return 1;
    int right = right_calls(pages);
    record(1);
    right += right_calls(pages);
    record(0);
    right += right_calls(pages);
    printf("%d\n", right);
    return 0;
}
