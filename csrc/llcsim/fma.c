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
#include "llcsim.h"
#include "pub_tool_libcassert.h"
#include "pub_tool_libcbase.h"
#include "pub_tool_mallocfree.h"

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

static IRTemp new_temporary(Rewrite *r, IRType type, IRExpr *value)
{
    IRTemp t = newIRTemp(r->out->tyenv, type);
    addStmtToIRSB(r->out, IRStmt_WrTmp(t, value));
    return t;
}

static IRExpr *use(IRTemp t)
{
    return IRExpr_RdTmp(t);
}

static IRExpr *fake_rounding_mode(void)
{
    return IRExpr_Const(IRConst_U32(Irrm_NEAREST));
}

static Bool is_fma(const IRStmt *s)
{
    return s->tag == Ist_WrTmp && s->Ist.WrTmp.data->tag == Iex_Qop &&
           (s->Ist.WrTmp.data->Iex.Qop.details->op == Iop_MAddF32 ||
            s->Ist.WrTmp.data->Iex.Qop.details->op == Iop_MSubF32);
}

static const IRExpr *definition_of(const Rewrite *r, IRTemp t)
{
    return t < r->n_temporaries ? r->temporaries[t].definition : NULL;
}

/* The temporary that t is a plain copy of, or t. */
static IRTemp origin_of(const Rewrite *r, IRTemp t)
{
    const IRExpr *d;
    while ((d = definition_of(r, t)) != NULL && d->tag == Iex_RdTmp)
        t = d->Iex.RdTmp.tmp;
    return t;
}

/* An address as base temporary (or IRTemp_INVALID) plus constant. */
static void resolve_address(const Rewrite *r, const IRExpr *e, IRTemp *base, ULong *offset)
{
    *base = IRTemp_INVALID;
    *offset = 0;
    while (e != NULL && e->tag == Iex_RdTmp) {
        IRTemp t = origin_of(r, e->Iex.RdTmp.tmp);
        const IRExpr *d = definition_of(r, t);
        if (d == NULL || d->tag != Iex_Binop || d->Iex.Binop.op != Iop_Add64 ||
            d->Iex.Binop.arg1->tag != Iex_RdTmp || d->Iex.Binop.arg2->tag != Iex_Const) {
            *base = t;
            return;
        }
        *offset += d->Iex.Binop.arg2->Iex.Const.con->Ico.U64;
        e = d->Iex.Binop.arg1;
    }
    if (e != NULL && e->tag == Iex_Const)
        *offset += e->Iex.Const.con->Ico.U64;
}

/* Whether a statement writes any of the guest-state bytes [offset, offset + size). */
static Bool writes_state(const Rewrite *r, const IRStmt *s, Int offset, Int size)
{
    Int start, length;

    switch (s->tag) {
    case Ist_Put:
        start = s->Ist.Put.offset;
        length = sizeofIRType(typeOfIRExpr(r->in->tyenv, s->Ist.Put.data));
        return start < offset + size && offset < start + length;
    case Ist_PutI:
    case Ist_Dirty:
        return True;
    default:
        return False;
    }
}

static Bool state_unchanged(const Rewrite *r, UInt from, UInt to, Int offset, Int size)
{
    for (UInt i = from; i < to; i++)
        if (writes_state(r, r->in->stmts[i], offset, size))
            return False;
    return True;
}

static void become_lanes(Rewrite *r, const IRTemp lanes[LANES], IRTemp vector)
{
    for (UInt i = 0; i < LANES; i++) {
        Temporary *t = &r->temporaries[lanes[i]];
        if (t->vector == IRTemp_INVALID) {
            t->vector = vector;
            t->lane = i;
        }
    }
}

static IRTemp lanes_of_one_vector(const Rewrite *r, const IRTemp lanes[LANES])
{
    IRTemp vector = r->temporaries[lanes[0]].vector;
    for (UInt i = 0; i < LANES; i++)
        if (r->temporaries[lanes[i]].vector != vector || r->temporaries[lanes[i]].lane != i)
            return IRTemp_INVALID;
    return vector;
}

/* GETs of neighbouring lanes, all still in the guest state. */
static IRTemp vector_of_gets(Rewrite *r, const IRTemp lanes[LANES], const Range *now)
{
    Int start = definition_of(r, lanes[0])->Iex.Get.offset;

    for (UInt i = 0; i < LANES; i++) {
        const IRExpr *d = definition_of(r, lanes[i]);
        if (d == NULL || d->tag != Iex_Get || d->Iex.Get.offset != start + 4 * (Int)i ||
            (r->temporaries[lanes[i]].defined_at < now->first &&
             !state_unchanged(r, r->temporaries[lanes[i]].defined_at, now->first,
                              d->Iex.Get.offset, 4)))
            return IRTemp_INVALID;
    }
    return new_temporary(r, Ity_V128, IRExpr_Get(start, Ity_V128));
}

/* Loads of neighbouring lanes by the instruction under way. */
static IRTemp vector_of_loads(Rewrite *r, const IRTemp lanes[LANES], const Range *now)
{
    const IRExpr *first = definition_of(r, lanes[0]);
    IRTemp base, other_base;
    ULong offset, other_offset;

    resolve_address(r, first->Iex.Load.addr, &base, &offset);
    for (UInt i = 0; i < LANES; i++) {
        const IRExpr *d = definition_of(r, lanes[i]);
        if (d == NULL || d->tag != Iex_Load || r->temporaries[lanes[i]].defined_at < now->first)
            return IRTemp_INVALID;
        resolve_address(r, d->Iex.Load.addr, &other_base, &other_offset);
        if (other_base != base || other_offset != offset + 4 * i)
            return IRTemp_INVALID;
    }
    return new_temporary(r, Ity_V128, IRExpr_Load(Iend_LE, Ity_V128, first->Iex.Load.addr));
}

static IRTemp vector_of_scalars(Rewrite *r, const IRTemp lanes[LANES])
{
    IRTemp bits[LANES], half[2];

    for (UInt i = 0; i < LANES; i++)
        bits[i] = new_temporary(r, Ity_I32, IRExpr_Unop(Iop_ReinterpF32asI32, use(lanes[i])));
    for (UInt i = 0; i < 2; i++)
        half[i] = new_temporary(
            r, Ity_I64, IRExpr_Binop(Iop_32HLto64, use(bits[2 * i + 1]), use(bits[2 * i])));
    return new_temporary(r, Ity_V128, IRExpr_Binop(Iop_64HLtoV128, use(half[1]), use(half[0])));
}

static IRTemp negated(Rewrite *r, IRTemp vector)
{
    const ULong signs = 0x8000000080000000ULL;
    IRTemp mask = new_temporary(r, Ity_V128,
                                IRExpr_Binop(Iop_64HLtoV128, IRExpr_Const(IRConst_U64(signs)),
                                             IRExpr_Const(IRConst_U64(signs))));
    return new_temporary(r, Ity_V128, IRExpr_Binop(Iop_XorV128, use(vector), use(mask)));
}

/* A vector of four scalar temporaries, emitted here unless there is one. */
static IRTemp vector_of(Rewrite *r, const IRTemp given[LANES], const Range *now)
{
    IRTemp lanes[LANES], inner[LANES];
    IRTemp vector = IRTemp_INVALID;
    Bool all_negated = True;

    for (UInt i = 0; i < LANES; i++)
        lanes[i] = origin_of(r, given[i]);
    vector = lanes_of_one_vector(r, lanes);
    if (vector != IRTemp_INVALID)
        return vector;

    for (UInt i = 0; i < LANES; i++) {
        const IRExpr *d = definition_of(r, lanes[i]);
        all_negated = all_negated && d != NULL && d->tag == Iex_Unop &&
                      d->Iex.Unop.op == Iop_NegF32 && d->Iex.Unop.arg->tag == Iex_RdTmp;
        if (all_negated)
            inner[i] = d->Iex.Unop.arg->Iex.RdTmp.tmp;
    }
    const IRExpr *first = definition_of(r, lanes[0]);
    if (all_negated)
        vector = negated(r, vector_of(r, inner, now));
    else if (first != NULL && first->tag == Iex_Get)
        vector = vector_of_gets(r, lanes, now);
    else if (first != NULL && first->tag == Iex_Load)
        vector = vector_of_loads(r, lanes, now);
    if (vector == IRTemp_INVALID)
        vector = vector_of_scalars(r, lanes);
    become_lanes(r, lanes, vector);
    return vector;
}

/* Lane i of a vector as a scalar, for whoever reads it alone; mostly dead code. */
static IRExpr *lane_as_scalar(Rewrite *r, IRTemp vector, UInt i)
{
    IRTemp half = new_temporary(
        r, Ity_I64, IRExpr_Unop(i < 2 ? Iop_V128to64 : Iop_V128HIto64, use(vector)));
    IRTemp bits = new_temporary(
        r, Ity_I32, IRExpr_Unop(i % 2 == 0 ? Iop_64to32 : Iop_64HIto32, use(half)));
    return IRExpr_Unop(Iop_ReinterpI32asF32, use(bits));
}

/* Replace four fused multiply-adds by vector operations. */
static void emit_group(Rewrite *r, IRStmt *const group[LANES], const Range *now)
{
    const IROp op = group[0]->Ist.WrTmp.data->Iex.Qop.details->op;
    IRTemp operand[3], results[LANES];

    for (UInt a = 0; a < 3; a++) {
        IRTemp lanes[LANES];
        for (UInt i = 0; i < LANES; i++) {
            const IRQop *q = group[i]->Ist.WrTmp.data->Iex.Qop.details;
            const IRExpr *e = a == 0 ? q->arg2 : a == 1 ? q->arg3 : q->arg4;
            lanes[i] = e->Iex.RdTmp.tmp;
        }
        operand[a] = vector_of(r, lanes, now);
    }
    IRTemp product = new_temporary(
        r, Ity_V128,
        IRExpr_Triop(Iop_Mul32Fx4, fake_rounding_mode(), use(operand[0]), use(operand[1])));
    IRTemp vector = new_temporary(
        r, Ity_V128,
        IRExpr_Triop(op == Iop_MAddF32 ? Iop_Add32Fx4 : Iop_Sub32Fx4, fake_rounding_mode(),
                     use(product), use(operand[2])));
    for (UInt i = 0; i < LANES; i++) {
        results[i] = group[i]->Ist.WrTmp.tmp;
        IRExpr *scalar = lane_as_scalar(r, vector, i);
        addStmtToIRSB(r->out, IRStmt_WrTmp(results[i], scalar));
    }
    become_lanes(r, results, vector);
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
            !state_unchanged(r, now->first, i, e->Iex.Get.offset, sizeofIRType(e->Iex.Get.ty)))
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
    addStmtToIRSB(r->out, IRStmt_Put(offset, use(vector_of(r, lanes, now))));
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
            emit_group(r, group, now);
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

static void mark_use(Bool used[], const IRExpr *e)
{
    if (e == NULL)
        return;
    switch (e->tag) {
    case Iex_RdTmp:
        used[e->Iex.RdTmp.tmp] = True;
        break;
    case Iex_Unop:
        mark_use(used, e->Iex.Unop.arg);
        break;
    case Iex_Binop:
        mark_use(used, e->Iex.Binop.arg1);
        mark_use(used, e->Iex.Binop.arg2);
        break;
    case Iex_Triop:
        mark_use(used, e->Iex.Triop.details->arg1);
        mark_use(used, e->Iex.Triop.details->arg2);
        mark_use(used, e->Iex.Triop.details->arg3);
        break;
    case Iex_Qop:
        mark_use(used, e->Iex.Qop.details->arg1);
        mark_use(used, e->Iex.Qop.details->arg2);
        mark_use(used, e->Iex.Qop.details->arg3);
        mark_use(used, e->Iex.Qop.details->arg4);
        break;
    case Iex_Load:
        mark_use(used, e->Iex.Load.addr);
        break;
    case Iex_ITE:
        mark_use(used, e->Iex.ITE.cond);
        mark_use(used, e->Iex.ITE.iftrue);
        mark_use(used, e->Iex.ITE.iffalse);
        break;
    case Iex_CCall:
        for (UInt i = 0; e->Iex.CCall.args[i] != NULL; i++)
            mark_use(used, e->Iex.CCall.args[i]);
        break;
    case Iex_GetI:
        mark_use(used, e->Iex.GetI.ix);
        break;
    default:
        break;
    }
}

static void mark_uses(Bool used[], const IRStmt *s)
{
    switch (s->tag) {
    case Ist_WrTmp:
        mark_use(used, s->Ist.WrTmp.data);
        break;
    case Ist_Put:
        mark_use(used, s->Ist.Put.data);
        break;
    case Ist_PutI:
        mark_use(used, s->Ist.PutI.details->ix);
        mark_use(used, s->Ist.PutI.details->data);
        break;
    case Ist_AbiHint:
        mark_use(used, s->Ist.AbiHint.base);
        mark_use(used, s->Ist.AbiHint.nia);
        break;
    case Ist_Store:
        mark_use(used, s->Ist.Store.addr);
        mark_use(used, s->Ist.Store.data);
        break;
    case Ist_StoreG:
        mark_use(used, s->Ist.StoreG.details->addr);
        mark_use(used, s->Ist.StoreG.details->data);
        mark_use(used, s->Ist.StoreG.details->guard);
        break;
    case Ist_LoadG:
        mark_use(used, s->Ist.LoadG.details->addr);
        mark_use(used, s->Ist.LoadG.details->alt);
        mark_use(used, s->Ist.LoadG.details->guard);
        break;
    case Ist_CAS:
        mark_use(used, s->Ist.CAS.details->addr);
        mark_use(used, s->Ist.CAS.details->expdHi);
        mark_use(used, s->Ist.CAS.details->expdLo);
        mark_use(used, s->Ist.CAS.details->dataHi);
        mark_use(used, s->Ist.CAS.details->dataLo);
        break;
    case Ist_Dirty:
        mark_use(used, s->Ist.Dirty.details->guard);
        mark_use(used, s->Ist.Dirty.details->mAddr);
        for (UInt i = 0; s->Ist.Dirty.details->args[i] != NULL; i++)
            mark_use(used, s->Ist.Dirty.details->args[i]);
        break;
    case Ist_Exit:
        mark_use(used, s->Ist.Exit.guard);
        break;
    default:
        break;
    }
}

/* Drop what computes unused temporaries: the scalar loads above all, which must not
 * be recorded beside the vector load that took their place. */
static void remove_dead_code(IRSB *sb)
{
    Bool *used = VG_(calloc)("llcsim.dead", sb->tyenv->types_used, sizeof(Bool));
    Int kept = sb->stmts_used;

    mark_use(used, sb->next);
    for (Int i = sb->stmts_used - 1; i >= 0; i--) {
        IRStmt *s = sb->stmts[i];
        if (s->tag == Ist_NoOp || (s->tag == Ist_WrTmp && !used[s->Ist.WrTmp.tmp]))
            continue;
        mark_uses(used, s);
        sb->stmts[--kept] = s;
    }
    for (Int i = kept; i < sb->stmts_used; i++)
        sb->stmts[i - kept] = sb->stmts[i];
    sb->stmts_used -= kept;
    VG_(free)(used);
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
    remove_dead_code(r.out);
    return r.out;
}
