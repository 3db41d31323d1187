/* CPUID, as the program sees it: Valgrind's, with the caches of a modelled processor.
 *
 * Libraries block their loops by the cache sizes that CPUID tells, and Valgrind's are
 * those of one fixed processor. VEX translates the instruction to a call of a helper
 * on the guest's registers; here that call is led through one that puts the caches
 * right afterwards. How many hardware threads share a cache stays as Valgrind has it.
 */
#include "llcsim.h"
#include "pub_tool_libcassert.h"
#include "pub_tool_libcbase.h"
#include "pub_tool_machine.h"
#include "libvex_guest_amd64.h"

enum { DATA = 1, INSTRUCTIONS = 2, UNIFIED = 3 };

#define LEAF_DESCRIPTORS 2u
#define LEAF_CACHES 4u
#define LEAF_AMD_L1 0x80000005u
#define LEAF_AMD_L2_L3 0x80000006u
#define LEAF_AMD_CACHES 0x8000001du
#define DESCRIPTOR_SEE_LEAF_4 0xffu
#define AUTHENTIC_AMD_EBX 0x68747541u

/* Later versions of Valgrind tell the helper what else the processor has. */
#define FURTHER_ARGUMENTS 5
typedef void (*Helper)(VexGuestAMD64State *, UWord, UWord, UWord, UWord, UWord);

typedef struct {
    UInt eax, ebx, ecx, edx;
} Registers;

static Helper valgrinds = NULL;
static UWord further[FURTHER_ARGUMENTS];
static Processor modelled;

static void call_valgrinds(VexGuestAMD64State *state)
{
    valgrinds(state, further[0], further[1], further[2], further[3], further[4]);
}

static Registers ask_valgrind(UInt leaf, UInt subleaf)
{
    static VexGuestAMD64State scratch;

    scratch.guest_RAX = leaf;
    scratch.guest_RCX = subleaf;
    call_valgrinds(&scratch);
    return (Registers){scratch.guest_RAX, scratch.guest_RBX, scratch.guest_RCX,
                       scratch.guest_RDX};
}

static Bool is_amd(void)
{
    return ask_valgrind(0, 0).ebx == AUTHENTIC_AMD_EBX;
}

static UInt kibibytes(Geometry g, UInt most)
{
    ULong size = g.sets * g.ways * LINE_SIZE / 1024;
    return size > most ? most : (UInt)size;
}

/* AMD's four-bit code of an associativity; Intel uses it for the L2 too. */
static UInt associativity_code(UInt ways)
{
    static const struct {
        UInt ways, code;
    } known[] = {{128, 14}, {96, 13}, {64, 12}, {48, 11}, {32, 10}, {16, 8}, {8, 6}, {4, 4}, {2, 2}};

    for (UInt i = 0; i < sizeof known / sizeof known[0]; i++)
        if (ways >= known[i].ways)
            return known[i].code;
    return 1;
}

/* The caches in the order of leaf 4: L1d, L1i, then the outer ones. Valgrind's own answer
 * for L1i is kept, and its words on sharing for all. */
static Registers cache_leaf(UInt subleaf)
{
    const Bool has_l2 = modelled.l2.ways != 0;
    const UInt last = has_l2 ? 3 : 2;
    const Registers given = ask_valgrind(LEAF_CACHES, subleaf == last ? 3 : subleaf);
    const UInt sharing = given.eax & ~0x3fffu;
    const UInt self_initializing = 1u << 8;
    Geometry g;
    Registers r = {0, 0, 0, 0};

    if (subleaf == 1)
        return given;
    if (subleaf > last)
        return r;
    g = subleaf == 0 ? modelled.l1d : subleaf == last ? modelled.llc : modelled.l2;
    r.eax = sharing | self_initializing | (subleaf == 0 ? 1 : subleaf) << 5 |
            (subleaf == 0 ? DATA : UNIFIED);
    r.ebx = (g.ways - 1) << 22 | (LINE_SIZE - 1);
    r.ecx = g.sets - 1;
    if (subleaf == last)
        r.edx = (modelled.inclusion == INCLUSIVE) << 1;
    return r;
}

static Registers l2_and_l3(Registers r)
{
    const Bool has_l2 = modelled.l2.ways != 0;
    const Geometry second = has_l2 ? modelled.l2 : modelled.llc;

    r.ecx = kibibytes(second, 0xffff) << 16 | associativity_code(second.ways) << 12 | LINE_SIZE;
    if (is_amd())
        r.edx = has_l2 ? kibibytes(modelled.llc, 0x3fff * 512) / 512 << 18 |
                             associativity_code(modelled.llc.ways) << 12 | LINE_SIZE
                       : 0;
    return r;
}

/* Leaf 2 lists one-byte descriptors; Intel's newer processors name no cache there but
 * refer to leaf 4. */
static Bool refers_to_leaf_4(Registers r)
{
    const UInt words[4] = {r.eax & ~0xffu, r.ebx, r.ecx, r.edx};

    for (UInt i = 0; i < 16; i++)
        if ((words[i / 4] >> i % 4 * 8 & 0xff) == DESCRIPTOR_SEE_LEAF_4)
            return True;
    return False;
}

static Registers corrected(UInt leaf, UInt subleaf, Registers r)
{
    switch (leaf) {
    case LEAF_DESCRIPTORS:
        return is_amd() || refers_to_leaf_4(r)
                   ? r
                   : (Registers){DESCRIPTOR_SEE_LEAF_4 << 8 | 1, 0, 0, 0};
    case LEAF_CACHES:
        return is_amd() ? r : cache_leaf(subleaf);
    case LEAF_AMD_CACHES:
        return cache_leaf(subleaf);
    case LEAF_AMD_L1:
        if (is_amd())
            r.ecx = kibibytes(modelled.l1d, 0xff) << 24 | modelled.l1d.ways << 16 | 1 << 8 | LINE_SIZE;
        return r;
    case LEAF_AMD_L2_L3:
        return l2_and_l3(r);
    default:
        return r;
    }
}

static void cpuid(VexGuestAMD64State *state, UWord a, UWord b, UWord c, UWord d, UWord e)
{
    const UInt leaf = state->guest_RAX, subleaf = state->guest_RCX;
    const UWord given[FURTHER_ARGUMENTS] = {a, b, c, d, e};

    VG_(memcpy)(further, given, sizeof further);
    call_valgrinds(state);
    const Registers r = corrected(leaf, subleaf,
                                  (Registers){state->guest_RAX, state->guest_RBX,
                                              state->guest_RCX, state->guest_RDX});
    state->guest_RAX = r.eax;
    state->guest_RBX = r.ebx;
    state->guest_RCX = r.ecx;
    state->guest_RDX = r.edx;
}

void llcsim_show_caches_of(const Processor *processor)
{
    modelled = *processor;
}

void llcsim_correct_cpuid(IRSB *sb)
{
    static const HChar stem[] = "amd64g_dirtyhelper_CPUID_";

    for (Int i = 0; i < sb->stmts_used; i++) {
        IRStmt *s = sb->stmts[i];
        if (s->tag != Ist_Dirty ||
            VG_(strncmp)(s->Ist.Dirty.details->cee->name, stem, sizeof stem - 1) != 0)
            continue;
        IRDirty *call = s->Ist.Dirty.details;
        IRExpr *arguments[1 + FURTHER_ARGUMENTS];
        UInt n = 0;

        for (; call->args[n] != NULL; n++) {
            tl_assert(n < 1 + FURTHER_ARGUMENTS);
            arguments[n] = call->args[n];
        }
        while (n < 1 + FURTHER_ARGUMENTS)
            arguments[n++] = IRExpr_Const(IRConst_U64(0));
        valgrinds = (Helper)call->cee->addr;
        call->cee = mkIRCallee(call->cee->regparms, "llcsim_cpuid", VG_(fnptr_to_fnentry)(cpuid));
        call->args = mkIRExprVec_6(arguments[0], arguments[1], arguments[2], arguments[3],
                                   arguments[4], arguments[5]);
    }
}
