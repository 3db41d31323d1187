#include "client_request.h"

uint64_t llcsim_request(uint64_t code, uint64_t a1, uint64_t a2, uint64_t a3)
{
#if defined(__x86_64__)
    /* Valgrind's public convention: four rotations of rdi that add up to 128
     * bits, then a no-op exchange. A processor runs them to no effect; Valgrind
     * takes the address of the arguments from rax and answers in rdx. */
    volatile uint64_t arguments[6] = {code, a1, a2, a3, 0, 0};
    uint64_t answer = 0;
    __asm__ volatile("rolq $3, %%rdi\n\t"
                     "rolq $13, %%rdi\n\t"
                     "rolq $61, %%rdi\n\t"
                     "rolq $51, %%rdi\n\t"
                     "xchgq %%rbx, %%rbx"
                     : "+d"(answer)
                     : "a"(&arguments[0])
                     : "cc", "memory");
    return answer;
#else
    (void)code;
    (void)a1;
    (void)a2;
    (void)a3;
    return 0;
#endif
}
