/* Dead code of a superblock. */
#include "llcsim.h"
#include "pub_tool_mallocfree.h"

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

void llcsim_remove_dead_code(IRSB *sb)
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
