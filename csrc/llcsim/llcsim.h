/* Between the parts of the tool. */
#ifndef LLCSIM_H
#define LLCSIM_H

#include "cache.h"
#include "pub_tool_basics.h"
#include "pub_tool_tooliface.h"

/* fma.c: replace the scalar emulation of packed single-precision fused
 * multiply-adds by vector operations. Returns sb itself where it has none. */
IRSB *llcsim_rewrite_fma(IRSB *sb);

/* dead_code.c: drop what computes temporaries that nothing uses: scalar loads above
 * all, which must not be recorded beside the vector load that took their place. */
void llcsim_remove_dead_code(IRSB *sb);

/* cpuid.c: make CPUID, which sb may call, tell the caches of this processor. */
void llcsim_show_caches_of(const Processor *processor);
void llcsim_correct_cpuid(IRSB *sb);

/* record.c: add the recording of data accesses and the counting of instructions. */
IRSB *llcsim_record(IRSB *sb);

/* main.c: zeroed memory that is never freed, aligned to LINE_SIZE. */
void *llcsim_allocate(uint64_t bytes);

/* record.c: get ready, once; whether the model may have a thread of its own. */
void llcsim_start_recording(Bool model_thread);

/* record.c: what is recorded from now on are accesses of this client thread. */
void llcsim_set_client_thread(UInt thread);

/* record.c: zero all counts, of the cache model too; the caches keep their lines. */
void llcsim_zero_counts(void);

/* As cache_set_ranges, once all before is counted. */
int llcsim_set_ranges(const AddressRange *ranges, UInt n);

/* record.c: accesses so far; the model has seen them all then. */
void llcsim_read_accesses(AccessCounts *counts);

/* record.c: instructions executed while recording. */
extern ULong llcsim_instructions;

#endif
