/* Recording of data accesses, inline.
 *
 * The accesses up to an exit are recorded as one run of a shape (shape.h). A superblock loads
 * the position in the buffer once and stores the words of its runs at constant distances from
 * it. Before every exit it stores the new position and adds the instructions executed since
 * the last such point. The buffer is emptied at the head of a superblock, when what is left
 * could be too little.
 *
 * An access that follows another at ascending addresses of the same base, within 64
 * bytes in all, is joined with it: the two touch the same lines in the same order as
 * one access of their joint size. So is a repetition of the same access.
 */
#include "llcsim.h"
#include "shape.h"
#include "worker.h"
#include "pub_tool_basics.h"
#include "pub_tool_libcassert.h"
#include "pub_tool_machine.h"
#include "pub_tool_mallocfree.h"
#include "pub_tool_tooliface.h"

/* No superblock records as many words. */
#define RESERVE 4096

static ULong *position, *limit; /* in the buffer under way */
static UInt client_thread = 0;
ULong llcsim_instructions = 0;

static void use_buffer(ULong *buffer)
{
    position = buffer;
    limit = buffer + BUFFER_WORDS - RESERVE;
}

static void llcsim_flush(void)
{
    use_buffer(worker_hand_over(position, client_thread));
}

void llcsim_start_recording(Bool model_thread)
{
    worker_allow(model_thread);
    use_buffer(worker_buffer());
}

void llcsim_set_client_thread(UInt thread)
{
    if (thread == client_thread)
        return;
    llcsim_flush();
    client_thread = thread;
}

void llcsim_zero_counts(void)
{
    llcsim_flush();
    worker_drain();
    llcsim_instructions = 0;
    cache_zero_counts();
}

int llcsim_set_ranges(const AddressRange *ranges, UInt n)
{
    llcsim_flush();
    worker_drain();
    return cache_set_ranges(ranges, n);
}

void llcsim_read_accesses(AccessCounts *counts)
{
    llcsim_flush();
    worker_drain();
    cache_read_accesses(counts);
}

/* An address as a temporary, IRTemp_INVALID for none, plus a constant. */
typedef struct {
    IRTemp base;
    ULong offset;
} Place;

typedef struct {
    UInt base;
    ULong offset;
    UInt size; /* 0: it cannot be joined */
    Bool write;
} Access;

typedef struct {
    IRSB *out;
    IRTemp start;      /* the position at the head of this superblock */
    UInt words;        /* recorded so far, without the run under way */
    UInt instructions; /* since the last exit */
    Bool non_temporal; /* the instruction under way stores past the caches */
    Place *places;     /* of the temporaries that were here before */
    Shape run;         /* the one under way, */
    Access latest;     /* its latest access, */
    IRTemp bases[SHAPE_BASES]; /* its bases, IRTemp_INVALID for a constant, */
    ULong origin;      /* and that constant */
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

static IRExpr *buffer_at(Recorder *r, UInt word)
{
    if (word == 0)
        return IRExpr_RdTmp(r->start);
    return assign(r, Ity_I64,
                  IRExpr_Binop(Iop_Add64, IRExpr_RdTmp(r->start), constant(8 * (ULong)word)));
}

/* At the head: empty the buffer if it is nearly full, then load the position. */
static void begin(Recorder *r)
{
    IRExpr *at = assign(r, Ity_I64, IRExpr_Load(Iend_LE, Ity_I64, address_of(&position)));
    IRExpr *full = assign(
        r, Ity_I1,
        IRExpr_Binop(Iop_CmpLT64U,
                     assign(r, Ity_I64, IRExpr_Load(Iend_LE, Ity_I64, address_of(&limit))), at));
    IRDirty *flush = unsafeIRDirty_0_N(0, "llcsim_flush", VG_(fnptr_to_fnentry)(llcsim_flush),
                                       mkIRExprVec_0());
    flush->guard = full;
    addStmtToIRSB(r->out, IRStmt_Dirty(flush));
    r->start = newIRTemp(r->out->tyenv, Ity_I64);
    addStmtToIRSB(r->out, IRStmt_WrTmp(r->start, IRExpr_Load(Iend_LE, Ity_I64,
                                                             address_of(&position))));
}

static void add_to(Recorder *r, ULong *counter, ULong amount)
{
    if (amount == 0)
        return;
    IRExpr *before = assign(r, Ity_I64, IRExpr_Load(Iend_LE, Ity_I64, address_of(counter)));
    store(r, address_of(counter),
          assign(r, Ity_I64, IRExpr_Binop(Iop_Add64, before, constant(amount))));
}

/* End the run under way: store what it is a run of before its bases. */
static void end_run(Recorder *r)
{
    if (r->run.n_accesses == 0)
        return;
    store(r, buffer_at(r, r->words), constant(shape_head(&r->run, llcsim_allocate)));
    r->words += 1 + r->run.n_bases;
    tl_assert(r->words < RESERVE);
    r->run = (Shape){0};
}

/* Before an exit: make what was recorded and counted so far visible. */
static void settle(Recorder *r)
{
    end_run(r);
    if (r->words != 0)
        store(r, address_of(&position), buffer_at(r, r->words));
    add_to(r, &llcsim_instructions, r->instructions);
    r->instructions = 0;
}

static Place place_of(const Recorder *r, const IRExpr *address)
{
    if (address->tag == Iex_Const)
        return (Place){IRTemp_INVALID, address->Iex.Const.con->Ico.U64};
    return r->places[address->Iex.RdTmp.tmp];
}

/* Note what a temporary is, if it is an address plus a constant. */
static void note_place(Recorder *r, IRTemp t, const IRExpr *e)
{
    r->places[t] = (Place){t, 0};
    if (e->tag == Iex_RdTmp)
        r->places[t] = r->places[e->Iex.RdTmp.tmp];
    if (e->tag != Iex_Binop || (e->Iex.Binop.op != Iop_Add64 && e->Iex.Binop.op != Iop_Sub64) ||
        e->Iex.Binop.arg1->tag != Iex_RdTmp || e->Iex.Binop.arg2->tag != Iex_Const)
        return;
    const ULong distance = e->Iex.Binop.arg2->Iex.Const.con->Ico.U64;
    Place from = r->places[e->Iex.Binop.arg1->Iex.RdTmp.tmp];
    from.offset += e->Iex.Binop.op == Iop_Add64 ? distance : -distance;
    r->places[t] = from;
}

/* Store a base of the run under way; returns its number. */
static UInt add_base(Recorder *r, IRTemp base, IRExpr *value)
{
    const UInt k = r->run.n_bases++;
    r->bases[k] = base;
    store(r, buffer_at(r, r->words + 1 + k), value);
    return k;
}

/* The number of the base that a place is relative to, which is stored if it was not yet. */
static UInt base_of(Recorder *r, Place place)
{
    for (UInt k = 0; k < r->run.n_bases; k++)
        if (r->bases[k] == place.base)
            return k;
    if (r->run.n_bases == SHAPE_BASES)
        end_run(r);
    if (place.base != IRTemp_INVALID)
        return add_base(r, place.base, IRExpr_RdTmp(place.base));
    r->origin = place.offset;
    return add_base(r, place.base, constant(r->origin));
}

/* Have the latest access include another one, if it may. */
static Bool join(Recorder *r, const Access *a)
{
    Access *latest = &r->latest;

    if (r->run.n_accesses == 0 || latest->size == 0 || latest->base != a->base)
        return False;
    const ULong ahead = a->offset - latest->offset;
    const Bool same = ahead == 0 && a->size == latest->size;
    if (!same && (a->write != latest->write || ahead < latest->size || ahead > LINE_SIZE - a->size))
        return False;
    latest->write |= a->write;
    latest->size = ahead + a->size;
    r->run.term[r->run.n_accesses - 1] = shape_term(latest->offset, latest->size, latest->write, False);
    return True;
}

/* An access that takes place if guard, an I1 atom, is true. */
static void record_guarded(Recorder *r, IRExpr *address, UInt size, Bool write, IRExpr *guard)
{
    for (UInt done = 0; done < size; done += LINE_SIZE) {
        const UInt part = size - done < LINE_SIZE ? size - done : LINE_SIZE;
        if (r->run.n_accesses == SHAPE_ACCESSES || r->run.n_bases == SHAPE_BASES)
            end_run(r);
        IRExpr *at = assign(r, Ity_I64, IRExpr_Binop(Iop_Add64, address, constant(done)));
        IRExpr *base = assign(r, Ity_I64, IRExpr_ITE(guard, at, constant(0)));
        /* No place is relative to `start`: nothing else takes this base. */
        shape_add(&r->run, add_base(r, r->start, base), shape_term(0, part, write, False), True);
        r->latest.size = 0;
    }
}

static void record(Recorder *r, IRExpr *address, UInt size, Bool write)
{
    const Bool past_caches = write && r->non_temporal;
    Place place = place_of(r, address);

    for (UInt done = 0; done < size; done += LINE_SIZE, place.offset += LINE_SIZE) {
        const UInt part = size - done < LINE_SIZE ? size - done : LINE_SIZE;
        if (r->run.n_accesses == SHAPE_ACCESSES)
            end_run(r);
        const UInt base = base_of(r, place);
        const ULong origin = place.base == IRTemp_INVALID ? r->origin : 0;
        const Access a = {base, place.offset - origin, past_caches ? 0 : part, write};

        if (past_caches || !join(r, &a)) {
            shape_add(&r->run, base, shape_term(a.offset, part, write, past_caches), False);
            r->latest = a;
        }
        r->run.reads += !write;
        r->run.writes += write;
        r->run.non_temporal_stores += past_caches;
        r->run.non_temporal_bytes += past_caches ? part : 0;
    }
}

/* Whether an instruction is a MOVNT store (MOVNTI, MOVNTQ, MOVNTDQ, MOVNTPS, MOVNTPD and
 * their VEX forms), of which nothing is left in the IR. */
static Bool is_non_temporal_store(const UChar *code, UInt length)
{
    const UChar *end = code + length;

    if (code + 3 <= end && code[0] == 0xc5)
        return code[2] == 0x2b || code[2] == 0xe7;
    if (code + 4 <= end && code[0] == 0xc4)
        return (code[1] & 0x1f) == 1 && (code[3] == 0x2b || code[3] == 0xe7);
    while (code < end && (*code == 0x66 || *code == 0x2e || *code == 0x36 || *code == 0x3e ||
                          *code == 0x26 || *code == 0x64 || *code == 0x65 || *code == 0x67))
        code++;
    if (code < end && (*code & 0xf0) == 0x40)
        code++;
    return code + 2 <= end && code[0] == 0x0f &&
           (code[1] == 0x2b || code[1] == 0xe7 || code[1] == 0xc3);
}

static UInt size_of(IRType type)
{
    return sizeofIRType(type);
}

static void record_guarded_load(Recorder *r, const IRLoadG *load)
{
    IRType converted, loaded;
    typeOfIRLoadGOp(load->cvt, &converted, &loaded);
    record_guarded(r, load->addr, size_of(loaded), False, load->guard);
}

static void record_cas(Recorder *r, const IRSB *sb, const IRCAS *cas)
{
    UInt size = size_of(typeOfIRExpr(sb->tyenv, cas->dataLo));
    record(r, cas->addr, cas->dataHi != NULL ? 2 * size : size, True);
}

static void record_dirty(Recorder *r, const IRDirty *dirty)
{
    if (dirty->mFx == Ifx_None)
        return;
    if (dirty->guard->tag == Iex_Const)
        record(r, dirty->mAddr, dirty->mSize, dirty->mFx != Ifx_Read);
    else
        record_guarded(r, dirty->mAddr, dirty->mSize, dirty->mFx != Ifx_Read, dirty->guard);
}

static void record_statement(Recorder *r, const IRSB *sb, IRStmt *s)
{
    switch (s->tag) {
    case Ist_IMark:
        r->instructions++;
        r->non_temporal = is_non_temporal_store((const UChar *)(Addr)s->Ist.IMark.addr,
                                                s->Ist.IMark.len);
        break;
    case Ist_WrTmp:
        note_place(r, s->Ist.WrTmp.tmp, s->Ist.WrTmp.data);
        if (s->Ist.WrTmp.data->tag == Iex_Load)
            record(r, s->Ist.WrTmp.data->Iex.Load.addr,
                   size_of(s->Ist.WrTmp.data->Iex.Load.ty), False);
        break;
    case Ist_Store:
        record(r, s->Ist.Store.addr, size_of(typeOfIRExpr(sb->tyenv, s->Ist.Store.data)), True);
        break;
    case Ist_LoadG:
        record_guarded_load(r, s->Ist.LoadG.details);
        break;
    case Ist_StoreG:
        record_guarded(r, s->Ist.StoreG.details->addr,
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
    Recorder r = {.out = deepCopyIRSBExceptStmts(sb), .start = IRTemp_INVALID};
    Int i = 0;

    r.places = VG_(malloc)("llcsim.record", sb->tyenv->types_used * sizeof r.places[0]);
    for (Int t = 0; t < sb->tyenv->types_used; t++)
        r.places[t] = (Place){t, 0};
    while (i < sb->stmts_used && sb->stmts[i]->tag != Ist_IMark)
        addStmtToIRSB(r.out, sb->stmts[i++]);
    begin(&r);
    for (; i < sb->stmts_used; i++) {
        record_statement(&r, sb, sb->stmts[i]);
        addStmtToIRSB(r.out, sb->stmts[i]);
    }
    settle(&r);
    VG_(free)(r.places);
    return r.out;
}
