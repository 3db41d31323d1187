/* Requests from a program to the Valgrind tool that runs it. */
#ifndef FORMFN_CLIENT_REQUEST_H
#define FORMFN_CLIENT_REQUEST_H

#include <stdint.h>

/* Send one client request and return the tool's answer; 0 where no Valgrind runs
 * this program (and on processors other than x86-64). */
uint64_t llcsim_request(uint64_t code, uint64_t a1, uint64_t a2, uint64_t a3);

#endif
