/* Between the two halves of the rewriting of fused multiply-adds. */
#ifndef LLCSIM_FMA_H
#define LLCSIM_FMA_H

#include "llcsim.h"

#define LANES 4

/* What is known of a temporary. */
typedef struct {
    const IRExpr *definition; /* of a temporary of the input; NULL: none yet */
    UInt defined_at;          /* index of the defining statement in the input */
    IRTemp vector;            /* the vector that it is a lane of, or IRTemp_INVALID */
    UChar lane;
    Bool late; /* depends on a result of the instruction under way */
} Temporary;

typedef struct {
    IRSB *in, *out;
    Temporary *temporaries;
    UInt n_temporaries;
} Rewrite;

typedef struct {
    UInt first, last; /* statements [first, last) of one instruction */
} Range;

/* Whether no statement of [from, to) writes any of the guest-state bytes
 * [offset, offset + size). */
Bool fma_state_unchanged(const Rewrite *r, UInt from, UInt to, Int offset, Int size);

/* A vector of four scalar temporaries, emitted here unless there is one. */
IRTemp fma_vector_of(Rewrite *r, const IRTemp given[LANES], const Range *now);

/* Replace four fused multiply-adds by vector operations. */
void fma_emit_group(Rewrite *r, IRStmt *const group[LANES], const Range *now);

#endif
