/* No C library, so that nothing but this runs: 400,000 reads and writes of aligned words in a
 * pseudo-random order over 16 MiB. */
static unsigned long area[16 << 17];

void _start(void)
{
    unsigned state = 12345;
    unsigned long sum = 0;

    for (int i = 0; i < 400000; i++) {
        state = state * 1664525u + 1013904223u;
        unsigned at = state >> 11;
        if (state & 0x400)
            area[at] = sum;
        else
            sum += area[at];
        sum += area[at & 0xfff];
    }
    __asm__ volatile("syscall" : : "a"(60L), "D"((long)(sum & 0)) : "rcx", "r11", "memory");
    __builtin_unreachable();
}
