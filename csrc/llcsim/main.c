/* llcsim: options, client requests, start and end. */
#include "llcsim.h"
#include "requests.h"
#include "pub_tool_libcassert.h"
#include "pub_tool_libcbase.h"
#include "pub_tool_libcfile.h"
#include "pub_tool_libcprint.h"
#include "pub_tool_libcproc.h"
#include "pub_tool_machine.h"
#include "pub_tool_mallocfree.h"
#include "pub_tool_options.h"
#include "pub_tool_transtab.h"
#include "pub_tool_threadstate.h"
#include "pub_tool_vki.h"

static Processor processors[MAX_PROCESSORS];
static UInt n_processors;
static Bool start_recording = False;
static Bool exact_fma = False;
static Bool correct_cpuid = True;
static Bool curves = False;
static Bool model_thread = True;
static const HChar *counts_file = NULL;

static Bool recording = False;
static Int first_process;

/* The text after `word`, NULL if it does not begin so. */
static const HChar *after(const HChar *text, const HChar *word)
{
    const SizeT length = VG_(strlen)(word);
    return VG_(strncmp)(text, word, length) == 0 ? text + length : NULL;
}

/* One "SIZE/WAYS" in bytes with "/plru" after it or not, or "none"; returns what follows
 * it, or NULL. */
static const HChar *parse_geometry(const HChar *text, Geometry *geometry, Bool optional)
{
    HChar *end;

    if (optional && after(text, "none") != NULL) {
        *geometry = (Geometry){0, 0, LRU};
        return after(text, "none");
    }
    ULong size = VG_(strtoull10)(text, &end);
    if (end == text || *end != '/')
        return NULL;
    text = end + 1;
    ULong ways = VG_(strtoull10)(text, &end);
    if (end == text || ways == 0 || ways > 1024 || size == 0 || size % (LINE_SIZE * ways) != 0)
        return NULL;
    *geometry = (Geometry){size / (LINE_SIZE * ways), (uint32_t)ways, LRU};
    text = after(end, "/plru");
    if (text == NULL)
        return end;
    geometry->policy = TREE_PLRU;
    return (ways & (ways - 1)) == 0 && ways <= 64 ? text : NULL;
}

static Bool skip(const HChar **text, const HChar *word)
{
    const HChar *rest = after(*text, word);

    if (rest != NULL)
        *text = rest;
    return rest != NULL;
}

/* --cache=L1D:L2:LLC, each SIZE/WAYS[/plru], then perhaps :inclusive or :exclusive, then
 * perhaps :next-line; L2 may be "none". */
static Bool parse_processor(const HChar *text)
{
    Processor *p = &processors[n_processors];

    if (n_processors == MAX_PROCESSORS)
        return False;
    if ((text = parse_geometry(text, &p->l1d, False)) == NULL || *text++ != ':' ||
        (text = parse_geometry(text, &p->l2, True)) == NULL || *text++ != ':' ||
        (text = parse_geometry(text, &p->llc, False)) == NULL)
        return False;
    p->inclusion = skip(&text, ":inclusive")   ? INCLUSIVE
                   : skip(&text, ":exclusive") ? EXCLUSIVE
                                               : NON_INCLUSIVE;
    p->next_line = skip(&text, ":next-line");
    if (*text != '\0')
        return False;
    n_processors++;
    return True;
}

static Bool process_option(const HChar *arg)
{
    const HChar *text;

    if (VG_STR_CLO(arg, "--cache", text)) {
        if (!parse_processor(text))
            VG_(fmsg_bad_option)(arg, "expected L1D:L2:LLC, each BYTES/WAYS[/plru] (L2 may be "
                                      "none), then :inclusive, :exclusive or nothing, then "
                                      ":next-line or nothing, at most %d of them\n",
                            MAX_PROCESSORS);
        return True;
    }
    return VG_BOOL_CLO(arg, "--record-from-start", start_recording) ||
           VG_BOOL_CLO(arg, "--exact-fma", exact_fma) ||
           VG_BOOL_CLO(arg, "--curve", curves) ||
           VG_BOOL_CLO(arg, "--model-thread", model_thread) ||
           VG_XACT_CLO(arg, "--cpuid=model", correct_cpuid, True) ||
           VG_XACT_CLO(arg, "--cpuid=valgrind", correct_cpuid, False) ||
           VG_STR_CLO(arg, "--counts-file", counts_file);
}

static void print_usage(void)
{
    VG_(printf)(
        "    --cache=L1D:L2:LLC[:inclusive|:exclusive][:next-line]\n"
        "                               a processor to model, each level BYTES/WAYS[/plru], L2\n"
        "                               or none, perhaps with a prefetcher of the next line\n"
        "                               (repeat for several; one at least)\n"
        "    --curve=no|yes             count misses by LLC size too, 1 to 64 ways [no]\n"
        "    --record-from-start=no|yes record from the first instruction [no: on request]\n"
        "    --counts-file=FILE         write the counts there as JSON when the program ends\n"
        "    --exact-fma=no|yes         emulate fused multiply-adds as Valgrind does [no]\n"
        "    --model-thread=yes|no      run the cache model beside the program where there is a\n"
        "                               second processor [yes]\n"
        "    --cpuid=model|valgrind     caches that CPUID tells: of the first --cache, or as\n"
        "                               Valgrind has them [model]\n");
}

static void print_debug_usage(void)
{
    VG_(printf)("    (none)\n");
}

void *llcsim_allocate(uint64_t bytes)
{
    const Addr memory = (Addr)VG_(calloc)("llcsim.cache", 1, bytes + LINE_SIZE);
    return (void *)VG_ROUNDUP(memory, LINE_SIZE);
}

static void post_options(void)
{
    if (n_processors == 0) {
        VG_(fmsg)("llcsim: no processor to model: give --cache=L1D:L2:LLC\n");
        VG_(exit)(1);
    }
    cache_configure(processors, n_processors, VG_N_THREADS, curves, llcsim_allocate);
    llcsim_start_recording(model_thread);
    llcsim_show_caches_of(&processors[0]);
    first_process = VG_(getpid)();
    recording = start_recording;
}

static IRSB *instrument(VgCallbackClosure *closure, IRSB *sb, const VexGuestLayout *layout,
                        const VexGuestExtents *extents, const VexArchInfo *host,
                        IRType guest_word, IRType host_word)
{
    (void)closure, (void)layout, (void)extents, (void)host;
    tl_assert(guest_word == Ity_I64 && host_word == Ity_I64);
    if (correct_cpuid)
        llcsim_correct_cpuid(sb);
    if (!exact_fma)
        sb = llcsim_rewrite_fma(sb);
    return recording ? llcsim_record(sb) : sb;
}

/* The stack is at the top of what Valgrind gives out. */
static void refuse_high_addresses(ThreadId tid)
{
    static Bool checked = False;

    if (!checked && VG_(get_SP)(tid) >= MAX_ADDRESS) {
        VG_(fmsg)("llcsim: this Valgrind gives out addresses above %u GiB, which the model "
                  "does not tell apart: use another version\n", (UInt)(MAX_ADDRESS >> 30));
        VG_(exit)(1);
    }
    checked = True;
}

static void start_client_code(ThreadId tid, ULong blocks)
{
    (void)blocks;
    refuse_high_addresses(tid);
    llcsim_set_client_thread(tid);
}

static void set_recording(Bool on)
{
    if (on == recording)
        return;
    recording = on;
    VG_(discard_translations_safely)((Addr)0x1000, ~(SizeT)0xfff, "llcsim");
}

#define ALL_WORDS                                                                              \
    (LLCSIM_COMMON_WORDS + (LLCSIM_PROCESSOR_WORDS + LLCSIM_CURVE_WAYS) * MAX_PROCESSORS)

static UInt read_counts(ULong *words)
{
    AccessCounts accesses;
    ULong *next = words;

    llcsim_read_accesses(&accesses);
    *next++ = llcsim_instructions;
    *next++ = accesses.reads;
    *next++ = accesses.writes;
    *next++ = accesses.non_temporal_stores;
    *next++ = accesses.non_temporal_bytes;
    for (UInt p = 0; p < n_processors; p++) {
        CacheCounts c;
        cache_read(p, &c);
        *next++ = c.l1d_misses;
        *next++ = c.l2_misses;
        *next++ = c.llc_references;
        *next++ = c.llc_misses;
        *next++ = c.llc_writebacks;
        for (UInt label = 0; label < RANGE_LABELS; label++)
            *next++ = c.labelled[label];
        *next++ = c.coherence_misses;
        *next++ = c.llc_prefetches;
        *next++ = c.llc_prefetch_misses;
        *next++ = c.useful_prefetches;
    }
    for (UInt p = 0; p < n_processors && curves; p++, next += LLCSIM_CURVE_WAYS)
        cache_read_curve(p, (uint64_t *)next);
    return next - words;
}

static UInt give_counts(ULong *words, UInt n)
{
    static ULong all[ALL_WORDS];
    const UInt known = read_counts(all);

    if (n > known)
        n = known;
    VG_(memcpy)(words, all, n * sizeof words[0]);
    return n;
}

static Bool handle_request(ThreadId tid, UWord *args, UWord *answer)
{
    (void)tid;
    switch (args[0]) {
    case LLCSIM_PING:
        *answer = LLCSIM_PROTOCOL;
        return True;
    case LLCSIM_ON:
    case LLCSIM_OFF:
        *answer = recording ? 2 : 1;
        set_recording(args[0] == LLCSIM_ON);
        return True;
    case LLCSIM_ZERO:
        llcsim_zero_counts();
        *answer = 1;
        return True;
    case LLCSIM_READ:
        *answer = give_counts((ULong *)args[1], args[2]);
        return True;
    case LLCSIM_RANGES:
        *answer = llcsim_set_ranges((const AddressRange *)args[1], args[2]);
        return True;
    default:
        return False;
    }
}

/* What READ gives, as a JSON list. */
static void write_counts(VgFile *f)
{
    static ULong words[ALL_WORDS];
    const UInt n = read_counts(words);

    for (UInt i = 0; i < n; i++)
        VG_(fprintf)(f, "%s%llu", i == 0 ? "[" : ", ", words[i]);
    VG_(fprintf)(f, "]\n");
}

/* A child made by fork() ends here too: the counts are those of the first process. */
static void finish(Int exit_code)
{
    (void)exit_code;
    if (counts_file == NULL || VG_(getpid)() != first_process)
        return;
    VgFile *f = VG_(fopen)(counts_file, VKI_O_CREAT | VKI_O_WRONLY | VKI_O_TRUNC, 0600);
    if (f == NULL) {
        VG_(umsg)("llcsim: cannot write %s\n", counts_file);
        return;
    }
    write_counts(f);
    VG_(fclose)(f);
}

static void pre_options(void)
{
    VG_(details_name)("llcsim");
    VG_(details_version)(NULL);
    VG_(details_description)("a model of L1d, L2 and last-level caches");
    VG_(details_copyright_author)("Copyright (C) 2026, and GNU GPL'd (version 2 or later), by "
                                  "the formfn-profile developers.");
    VG_(details_bug_reports_to)("the issue tracker of formfn-profile");
    VG_(details_avg_translation_sizeB)(500);
    VG_(basic_tool_funcs)(post_options, instrument, finish);
    VG_(needs_command_line_options)(process_option, print_usage, print_debug_usage);
    VG_(needs_client_requests)(handle_request);
    VG_(track_start_client_code)(start_client_code);
}

VG_DETERMINE_INTERFACE_VERSION(pre_options)
