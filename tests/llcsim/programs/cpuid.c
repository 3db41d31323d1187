/* Prints the cache leaves of CPUID, one "LEAF SUBLEAF EAX EBX ECX EDX" a line in hexadecimal,
 * then what the C library makes of them. */
#include <cpuid.h>
#include <stdio.h>
#include <unistd.h>

static void print_leaf(unsigned leaf, unsigned subleaf)
{
    unsigned a = 0, b = 0, c = 0, d = 0;
    __cpuid_count(leaf, subleaf, a, b, c, d);
    printf("%x %x %x %x %x %x\n", leaf, subleaf, a, b, c, d);
}

int main(void)
{
    print_leaf(2, 0);
    for (unsigned i = 0; i < 5; i++)
        print_leaf(4, i);
    print_leaf(0x80000005, 0);
    print_leaf(0x80000006, 0);
    for (unsigned i = 0; i < 5; i++)
        print_leaf(0x8000001d, i);
    static const int names[] = {
        _SC_LEVEL1_DCACHE_SIZE, _SC_LEVEL1_DCACHE_ASSOC, _SC_LEVEL2_CACHE_SIZE,
        _SC_LEVEL2_CACHE_ASSOC, _SC_LEVEL3_CACHE_SIZE,   _SC_LEVEL3_CACHE_ASSOC,
    };
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        printf("%ld ", sysconf(names[i]));
    printf("\n");
    return 0;
}
