/* Four scalar temporaries as one vector, and four fused multiply-adds on such.
 *
 * The vector is one that the four are lanes of already, a wider register or memory
 * read where they were read from neighbouring places, the negation of another, or put
 * together from the scalars.
 */
#include "fma.h"

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

Bool fma_state_unchanged(const Rewrite *r, UInt from, UInt to, Int offset, Int size)
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
             !fma_state_unchanged(r, r->temporaries[lanes[i]].defined_at, now->first,
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

IRTemp fma_vector_of(Rewrite *r, const IRTemp given[LANES], const Range *now)
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
        vector = negated(r, fma_vector_of(r, inner, now));
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

void fma_emit_group(Rewrite *r, IRStmt *const group[LANES], const Range *now)
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
        operand[a] = fma_vector_of(r, lanes, now);
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
