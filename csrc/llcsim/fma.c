/* Packed single-precision fused multiply-adds, as vector operations.
 *
 * VEX translates one vfmadd of 8 lanes to 8 times MAddF32 on scalars, each a call
 * of a C helper. Here four lanes of one instruction become one Mul32Fx4 and one
 * Add32Fx4 (Sub32Fx4 for MSubF32): two roundings instead of one, and the same
 * addresses. Scalar and double-precision forms are left as they are.
 *
 * An instruction is rewritten as a whole. What does not depend on its results
 * (register and memory reads) is moved to its front, then come the vectors, then
 * the rest (negations and register writes). An instruction whose statements do not
 * allow that is left as it is.
 */
#include "fma.h"
#include "pub_tool_libcbase.h"
#include "pub_tool_mallocfree.h"

static Bool is_fma(const IRStmt *s)
{
    return s->tag == Ist_WrTmp && s->Ist.WrTmp.data->tag == Iex_Qop &&
           (s->Ist.WrTmp.data->Iex.Qop.details->op == Iop_MAddF32 ||
            s->Ist.WrTmp.data->Iex.Qop.details->op == Iop_MSubF32);
}

static Bool reads_late(const Rewrite *r, const IRExpr *e)
{
    return e->tag == Iex_RdTmp && r->temporaries[e->Iex.RdTmp.tmp].late;
}

/* Whether the expression (flat) reads a result of the instruction under way. */
static Bool depends_on_results(const Rewrite *r, const IRExpr *e)
{
    switch (e->tag) {
    case Iex_RdTmp:
        return reads_late(r, e);
    case Iex_Unop:
        return reads_late(r, e->Iex.Unop.arg);
    case Iex_Binop:
        return reads_late(r, e->Iex.Binop.arg1) || reads_late(r, e->Iex.Binop.arg2);
    case Iex_Load:
        return reads_late(r, e->Iex.Load.addr);
    default:
        return False;
    }
}

/* The forms of expression that may be moved within an instruction. */
static Bool is_movable(const IRExpr *e)
{
    switch (e->tag) {
    case Iex_Get:
    case Iex_Load:
    case Iex_RdTmp:
    case Iex_Const:
    case Iex_Unop:
    case Iex_Binop:
        return True;
    default:
        return False;
    }
}

static Bool has_temporary_operands(const IRStmt *s)
{
    const IRQop *q = s->Ist.WrTmp.data->Iex.Qop.details;
    return q->arg2->tag == Iex_RdTmp && q->arg3->tag == Iex_RdTmp && q->arg4->tag == Iex_RdTmp;
}

static Bool fma_is_late(const Rewrite *r, const IRStmt *s)
{
    const IRQop *q = s->Ist.WrTmp.data->Iex.Qop.details;
    return reads_late(r, q->arg2) || reads_late(r, q->arg3) || reads_late(r, q->arg4);
}

/* Sort out one instruction: mark what depends on its results; tell whether it can be
 * rewritten. */
static Bool can_rewrite(Rewrite *r, const Range *now)
{
    UInt n_fma = 0;
    IROp op = Iop_INVALID;

    for (UInt i = now->first; i < now->last; i++) {
        const IRStmt *s = r->in->stmts[i];
        switch (s->tag) {
        case Ist_NoOp:
        case Ist_IMark:
        case Ist_AbiHint:
        case Ist_Put:
            continue;
        case Ist_WrTmp:
            break;
        default:
            return False;
        }
        Temporary *t = &r->temporaries[s->Ist.WrTmp.tmp];
        if (is_fma(s)) {
            const IROp this_op = s->Ist.WrTmp.data->Iex.Qop.details->op;
            if ((op != Iop_INVALID && this_op != op) || !has_temporary_operands(s) ||
                fma_is_late(r, s))
                return False;
            op = this_op;
            n_fma++;
            t->late = True;
            continue;
        }
        if (!is_movable(s->Ist.WrTmp.data))
            return False;
        t->late = depends_on_results(r, s->Ist.WrTmp.data);
        const IRExpr *e = s->Ist.WrTmp.data;
        if (!t->late && e->tag == Iex_Get &&
            !fma_state_unchanged(r, now->first, i, e->Iex.Get.offset,
                                 sizeofIRType(e->Iex.Get.ty)))
            return False;
    }
    return n_fma != 0 && n_fma % LANES == 0;
}

/* If the PUT at `at` begins four PUTs of the lanes of one vector, put that vector and
 * mark the other three as done. */
static Bool put_vector(Rewrite *r, const Range *now, UInt at, Bool done[])
{
    const Int offset = r->in->stmts[at]->Ist.Put.offset;
    UInt puts[LANES] = {at}, found = 1;
    IRTemp lanes[LANES];

    if (r->in->stmts[at]->Ist.Put.data->tag != Iex_RdTmp)
        return False;
    lanes[0] = r->in->stmts[at]->Ist.Put.data->Iex.RdTmp.tmp;
    if (typeOfIRTemp(r->in->tyenv, lanes[0]) != Ity_F32 || !r->temporaries[lanes[0]].late)
        return False;
    for (UInt i = at + 1; i < now->last && found < LANES; i++) {
        const IRStmt *s = r->in->stmts[i];
        if (s->tag != Ist_Put || s->Ist.Put.offset != offset + 4 * (Int)found)
            continue;
        if (s->Ist.Put.data->tag != Iex_RdTmp ||
            typeOfIRTemp(r->in->tyenv, s->Ist.Put.data->Iex.RdTmp.tmp) != Ity_F32 ||
            !r->temporaries[s->Ist.Put.data->Iex.RdTmp.tmp].late)
            return False;
        puts[found] = i;
        lanes[found++] = s->Ist.Put.data->Iex.RdTmp.tmp;
    }
    if (found < LANES)
        return False;
    addStmtToIRSB(r->out, IRStmt_Put(offset, IRExpr_RdTmp(fma_vector_of(r, lanes, now))));
    for (UInt i = 0; i < LANES; i++)
        done[puts[i] - now->first] = True;
    return True;
}

static void rewrite_instruction(Rewrite *r, const Range *now)
{
    IRStmt *group[LANES];
    UInt in_group = 0;
    Bool done[now->last - now->first];

    VG_(memset)(done, 0, sizeof done);
    for (UInt i = now->first; i < now->last; i++) {
        IRStmt *s = r->in->stmts[i];
        Bool front = s->tag == Ist_IMark || s->tag == Ist_AbiHint ||
                     (s->tag == Ist_WrTmp && !r->temporaries[s->Ist.WrTmp.tmp].late);
        if (front)
            addStmtToIRSB(r->out, s);
        done[i - now->first] = front || s->tag == Ist_NoOp;
    }
    for (UInt i = now->first; i < now->last; i++) {
        IRStmt *s = r->in->stmts[i];
        if (!is_fma(s))
            continue;
        done[i - now->first] = True;
        group[in_group++] = s;
        if (in_group == LANES) {
            fma_emit_group(r, group, now);
            in_group = 0;
        }
    }
    /* Negations and copies of results first: a PUT of four of them reads all. */
    for (UInt i = now->first; i < now->last; i++) {
        if (!done[i - now->first] && r->in->stmts[i]->tag == Ist_WrTmp) {
            addStmtToIRSB(r->out, r->in->stmts[i]);
            done[i - now->first] = True;
        }
    }
    for (UInt i = now->first; i < now->last; i++)
        if (!done[i - now->first] && !put_vector(r, now, i, done))
            addStmtToIRSB(r->out, r->in->stmts[i]);
}

IRSB *llcsim_rewrite_fma(IRSB *sb)
{
    Bool any = False;
    Rewrite r;
    UInt i = 0;

    for (Int s = 0; s < sb->stmts_used && !any; s++)
        any = is_fma(sb->stmts[s]);
    if (!any)
        return sb;

    r.in = sb;
    r.out = deepCopyIRSBExceptStmts(sb);
    r.n_temporaries = sb->tyenv->types_used;
    r.temporaries = VG_(calloc)("llcsim.fma", r.n_temporaries, sizeof(Temporary));
    for (UInt t = 0; t < r.n_temporaries; t++)
        r.temporaries[t].vector = IRTemp_INVALID;

    while (i < (UInt)sb->stmts_used) {
        Range now = {i, i + 1};
        while (now.last < (UInt)sb->stmts_used && sb->stmts[now.last]->tag != Ist_IMark)
            now.last++;
        for (i = now.first; i < now.last; i++) {
            const IRStmt *s = sb->stmts[i];
            if (s->tag == Ist_WrTmp) {
                r.temporaries[s->Ist.WrTmp.tmp].definition = s->Ist.WrTmp.data;
                r.temporaries[s->Ist.WrTmp.tmp].defined_at = i;
            }
        }
        if (can_rewrite(&r, &now)) {
            rewrite_instruction(&r, &now);
        } else {
            for (i = now.first; i < now.last; i++)
                addStmtToIRSB(r.out, sb->stmts[i]);
        }
        for (i = now.first; i < now.last; i++)
            if (sb->stmts[i]->tag == Ist_WrTmp)
                r.temporaries[sb->stmts[i]->Ist.WrTmp.tmp].late = False;
        i = now.last;
    }
    VG_(free)(r.temporaries);
    llcsim_remove_dead_code(r.out);
    return r.out;
}
