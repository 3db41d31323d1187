/* Recording of data accesses, inline.
 *
 * A superblock loads the position in the buffer once and stores an entry (cache.h)
 * for each access at a constant distance from it. Before every exit it stores the new
 * position and adds the instructions executed since the last such point. The buffer
 * is emptied at the head of a superblock, when what is left could be too little.
 */
#include "llcsim.h"
#include "pub_tool_basics.h"
#include "pub_tool_libcassert.h"
#include "pub_tool_machine.h"
#include "pub_tool_tooliface.h"

/* The buffer fits in a small L2. No superblock makes as many as RESERVE accesses. */
#define BUFFER_ENTRIES 16384
#define RESERVE 4096

static ULong buffer[BUFFER_ENTRIES];
static ULong *position = buffer;
ULong llcsim_instructions = 0;

void llcsim_flush(void)
{
    cache_consume((const uint64_t *)buffer, (const uint64_t *)position);
    position = buffer;
}

typedef struct {
    IRSB *out;
    IRTemp start; /* the position at the head of this superblock */
    UInt entries; /* recorded so far */
    UInt instructions; /* since the last exit */
} Recorder;

static IRExpr *constant(ULong value)
{
    return IRExpr_Const(IRConst_U64(value));
}

static IRExpr *address_of(const void *object)
{
    return constant((ULong)(HWord)object);
}

static IRExpr *assign(Recorder *r, IRType type, IRExpr *value)
{
    IRTemp t = newIRTemp(r->out->tyenv, type);
    addStmtToIRSB(r->out, IRStmt_WrTmp(t, value));
    return IRExpr_RdTmp(t);
}

static void store(Recorder *r, IRExpr *address, IRExpr *value)
{
    addStmtToIRSB(r->out, IRStmt_Store(Iend_LE, address, value));
}

static IRExpr *buffer_at(Recorder *r, UInt entry)
{
    if (entry == 0)
        return IRExpr_RdTmp(r->start);
    return assign(r, Ity_I64,
                  IRExpr_Binop(Iop_Add64, IRExpr_RdTmp(r->start), constant(8 * (ULong)entry)));
}

/* At the head: empty the buffer if it is nearly full, then load the position. */
static void begin(Recorder *r)
{
    IRExpr *at = assign(r, Ity_I64, IRExpr_Load(Iend_LE, Ity_I64, address_of(&position)));
    IRExpr *full = assign(
        r, Ity_I1,
        IRExpr_Binop(Iop_CmpLT64U, address_of(&buffer[BUFFER_ENTRIES - RESERVE]), at));
    IRDirty *flush = unsafeIRDirty_0_N(0, "llcsim_flush", VG_(fnptr_to_fnentry)(llcsim_flush),
                                       mkIRExprVec_0());
    flush->guard = full;
    addStmtToIRSB(r->out, IRStmt_Dirty(flush));
    r->start = newIRTemp(r->out->tyenv, Ity_I64);
    addStmtToIRSB(r->out, IRStmt_WrTmp(r->start, IRExpr_Load(Iend_LE, Ity_I64,
                                                             address_of(&position))));
}

/* Before an exit: make what was recorded and counted so far visible. */
static void settle(Recorder *r)
{
    if (r->entries != 0)
        store(r, address_of(&position), buffer_at(r, r->entries));
    if (r->instructions != 0) {
        IRExpr *before = assign(
            r, Ity_I64, IRExpr_Load(Iend_LE, Ity_I64, address_of(&llcsim_instructions)));
        store(r, address_of(&llcsim_instructions),
              assign(r, Ity_I64, IRExpr_Binop(Iop_Add64, before, constant(r->instructions))));
        r->instructions = 0;
    }
}

/* Record one access; guard is NULL or an I1 atom. */
static void record(Recorder *r, IRExpr *address, UInt size, Bool write, IRExpr *guard)
{
    for (UInt done = 0; done < size; done += LINE_SIZE) {
        UInt part = size - done < LINE_SIZE ? size - done : LINE_SIZE;
        ULong tag = ((ULong)part << ENTRY_SIZE_SHIFT) | (write ? ENTRY_WRITE : 0);
        IRExpr *entry;

        tl_assert(r->entries < RESERVE);
        if (address->tag == Iex_Const) {
            entry = constant((address->Iex.Const.con->Ico.U64 + done) | tag);
        } else {
            IRExpr *part_address =
                done == 0 ? address
                          : assign(r, Ity_I64, IRExpr_Binop(Iop_Add64, address, constant(done)));
            entry = assign(r, Ity_I64, IRExpr_Binop(Iop_Or64, part_address, constant(tag)));
        }
        if (guard != NULL)
            entry = assign(r, Ity_I64, IRExpr_ITE(guard, entry, constant(0)));
        store(r, buffer_at(r, r->entries++), entry);
    }
}

static UInt size_of(IRType type)
{
    return sizeofIRType(type);
}

static void record_guarded_load(Recorder *r, const IRLoadG *load)
{
    IRType converted, loaded;
    typeOfIRLoadGOp(load->cvt, &converted, &loaded);
    record(r, load->addr, size_of(loaded), False, load->guard);
}

static void record_cas(Recorder *r, const IRSB *sb, const IRCAS *cas)
{
    UInt size = size_of(typeOfIRExpr(sb->tyenv, cas->dataLo));
    record(r, cas->addr, cas->dataHi != NULL ? 2 * size : size, True, NULL);
}

static void record_dirty(Recorder *r, const IRDirty *dirty)
{
    if (dirty->mFx == Ifx_None)
        return;
    IRExpr *guard = dirty->guard->tag == Iex_Const ? NULL : dirty->guard;
    record(r, dirty->mAddr, dirty->mSize, dirty->mFx != Ifx_Read, guard);
}

static void record_statement(Recorder *r, const IRSB *sb, IRStmt *s)
{
    switch (s->tag) {
    case Ist_IMark:
        r->instructions++;
        break;
    case Ist_WrTmp:
        if (s->Ist.WrTmp.data->tag == Iex_Load)
            record(r, s->Ist.WrTmp.data->Iex.Load.addr,
                   size_of(s->Ist.WrTmp.data->Iex.Load.ty), False, NULL);
        break;
    case Ist_Store:
        record(r, s->Ist.Store.addr, size_of(typeOfIRExpr(sb->tyenv, s->Ist.Store.data)), True,
               NULL);
        break;
    case Ist_LoadG:
        record_guarded_load(r, s->Ist.LoadG.details);
        break;
    case Ist_StoreG:
        record(r, s->Ist.StoreG.details->addr,
               size_of(typeOfIRExpr(sb->tyenv, s->Ist.StoreG.details->data)), True,
               s->Ist.StoreG.details->guard);
        break;
    case Ist_CAS:
        record_cas(r, sb, s->Ist.CAS.details);
        break;
    case Ist_Dirty:
        record_dirty(r, s->Ist.Dirty.details);
        break;
    case Ist_Exit:
        settle(r);
        break;
    default:
        break;
    }
}

IRSB *llcsim_record(IRSB *sb)
{
    Recorder r = {deepCopyIRSBExceptStmts(sb), IRTemp_INVALID, 0, 0};
    Int i = 0;

    while (i < sb->stmts_used && sb->stmts[i]->tag != Ist_IMark)
        addStmtToIRSB(r.out, sb->stmts[i++]);
    begin(&r);
    for (; i < sb->stmts_used; i++) {
        record_statement(&r, sb, sb->stmts[i]);
        addStmtToIRSB(r.out, sb->stmts[i]);
    }
    settle(&r);
    return r.out;
}
