"""The functions of the package, ``import formfn_profile as ff``: what a script or a notebook calls."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from formfn_profile import cluster, display, given, grid, source, store
from formfn_profile.errors import MeasurementError
from formfn_profile.measuring.launcher import Settings
from formfn_profile.measuring.protocol import Protocol
from formfn_profile.plan import Plan, Point

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from formfn_profile.advisor import Advice
    from formfn_profile.ceilings import Ceilings
    from formfn_profile.cluster import AnyExecutor, Here
    from formfn_profile.cluster.dispatch import Pool
    from formfn_profile.display import Claims, Correlations, Results
    from formfn_profile.flops import FlopCount
    from formfn_profile.given import Inputs, Model, Records
    from formfn_profile.preparation import Spec

__all__ = [
    "BACKENDS",
    "FEW_CALLS",
    "advise",
    "claims",
    "correlate",
    "count_flops",
    "layers",
    "load",
    "measure",
    "report",
    "study",
]

BACKENDS = ("torch", "openvino-cpu")
"""The backends that are compared where none is named."""

FEW_CALLS = Protocol(calls=10, seconds=0.3, warmup_seconds=3.0)
"""How a call is timed where few points are measured: ten calls, and 0.3 s, at least."""


# Long: each keyword has its line, and one that says what it is.
def measure(  # noqa: PLR0913 - what a measurement may be asked for
    model: Model | Point | Sequence[Model | Point],
    inputs: Inputs | None = None,
    *,
    backends: Sequence[str] | None = None,
    threads: int | None = None,
    precision: str | None = None,
    name: str | None = None,
    counters: source.Asked = "auto",
    cache: str | None = None,
    isa: Literal["native", "avx2"] = "native",
    protocol: Protocol = FEW_CALLS,
    processes: int = 1,
    curve: bool = False,
    fixed_layout: bool = False,
    time_limit: float | None = None,
    out: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> Results:
    """
    Measure latency, FLOPs, LLC misses and instructions of a model on each backend.

    Args:
        model: A `torch.nn.Module` with its `inputs`, in evaluation mode whatever its own; a `PatternSpec`;
            a pattern's or network's name ("dwbottleneck", "resnet50"); "package.module:function"; a file
            (.pt, .onnx, .xml); a `Point`, which says its backend itself; or a list of these. A .pt2 file may
            run code when it is loaded: give ``models.resolve(file, trust=True)`` of one that you trust.
        inputs: Tensors, or shapes such as "1x3x224x224" or "1x128:i64" that stand for seeded values; a
            tuple or list of them for several inputs. A named network, a pattern, an exported program and a
            file with closed shapes tell their own.
        backends: Names (`backends.BACKENDS`); PyTorch and OpenVINO on the CPU where none is given.
        threads: Threads of each backend; 1 where not given.
        precision: "f32", "f16", "bf16" or "int8", of weights and arithmetic; "f32" where not given.
        name: What records call a module; its class's name where not given.
        counters: "hardware", "simulated" or "none"; "auto" is hardware where it counts right on this
            machine, else the simulator.
        cache: Caches to simulate, which asks for the simulator: "host", "paper", "i5-7600k", "8M/16", or
            several by commas. "host,paper" where the simulator is used and none is given.
        isa: "avx2" holds the timed kernels to the instruction set of the simulated ones.
        protocol: How many calls are timed for how long, and how long the warm-up may last.
        processes: Fresh processes in which timing is repeated.
        curve: Simulate LLCs of all sizes of 1 to 64 ways too (`Record.curve`).
        fixed_layout: Simulate with the same addresses in each run, so that two runs count the same.
        time_limit: Seconds after which a point is given up.
        out: A file to which each record is appended as soon as it is measured. What it holds already, of
            the same points on the same machine with the same software, is not measured again, and is among
            the results. Without one, records are in memory alone.
        progress: Say on stderr how far it has come.

    Raises:
        MeasurementError: It cannot be measured as asked. A point that fails is a record with the reason.
        NetworkError: There is no such model, or its inputs are not told or do not suit.
        UnknownNameError: There is no such backend, pattern or network.
        ResultsError: `out` cannot be read or written.
    """
    several = model if isinstance(model, (list, tuple)) else (model,)
    points: list[Point] = []
    for each in several:
        if isinstance(each, Point):
            given.refuse_beside_points(inputs=inputs, backends=backends, threads=threads, precision=precision)
            points.append(each)
        else:
            points += grid.points(
                [given.spec(each, inputs, name=name)],
                given.names(BACKENDS if backends is None else backends),
                threads=(1 if threads is None else threads,),
                precisions=(precision or "f32",),
            )
    chosen = source.choose(counters, cache=cache, curve=curve)
    plan = Plan(
        tuple(points),
        protocol,
        chosen.counters,
        chosen.processors,
        isa=isa,
        processes=processes,
        time_limit=time_limit,
        settings=Settings(curve=curve, fixed_layout=fixed_layout),
    )
    return _carry_out(plan, chosen.why, out, cluster.Here(), progress=progress)


# Long: each keyword has its line, and one that says what it is.
def study(  # noqa: PLR0913 - every axis of the grid
    *,
    patterns: Sequence[str] | str = (),
    models: Sequence[Model] | Model = (),
    inputs: Inputs | None = None,
    depths: Sequence[int] = (10,),
    widths: Sequence[int] = (64,),
    resolutions: Sequence[int] = (112,),
    batches: Sequence[int] = (1,),
    backends: Sequence[str] = BACKENDS,
    precisions: Sequence[str] = ("f32",),
    threads: Sequence[int] = (1,),
    counters: source.Asked = "auto",
    cache: str | None = None,
    isa: Literal["native", "avx2"] = "native",
    protocol: Protocol = Protocol(),  # noqa: B008 - frozen
    processes: int = 1,
    curve: bool = False,
    fixed_layout: bool = False,
    time_limit: float | None = None,
    out: str | os.PathLike[str] | None = None,
    progress: bool = True,
    executor: AnyExecutor | None = None,
    machine_tag: str | None = None,
    timed_anywhere: bool = False,
) -> Results:
    """
    Measure a grid: every combination of what is listed, going on where an earlier run of the same `out`
    stopped.

    Args:
        patterns: Patterns by name, or "all"; each is built at every depth, width, resolution and batch size.
        models: Models as `measure` takes them.
        inputs: The inputs of the models, as `measure` takes them; their batch size is the only one then.
        depths: Blocks of a pattern.
        widths: Channels of a pattern.
        resolutions: Pixels a side of a pattern's images.
        batches: Images a call, of patterns and named networks.
        backends: Names (`backends.BACKENDS`).
        precisions: "f32", "f16", "bf16", "int8".
        threads: Threads of each backend.
        counters: As `measure` has it, as are all that follow; the protocol has 50 calls and 1 s at least.
        cache: Caches to simulate.
        isa: "avx2" holds the timed kernels to the instruction set of the simulated ones.
        protocol: How many calls are timed for how long, and how long the warm-up may last.
        processes: Fresh processes in which timing is repeated.
        curve: Simulate LLCs of all sizes too.
        fixed_layout: Simulate with the same addresses in each run.
        time_limit: Seconds after which a point is given up.
        out: The file of records.
        progress: Say on stderr how far it has come.
        executor: What has the points measured, on this machine where there is none: a Dask client,
            "dask://HOST:PORT", or any `concurrent.futures.Executor`.
        machine_tag: The Dask resource of the workers that may time points and count by hardware; what is
            simulated goes to any worker.
        timed_anywhere: Any worker of an executor may time, Dask's apart: they are all on the machine that
            is meant.

    Raises:
        MeasurementError: It cannot be measured as asked.
        FormfnError: As `measure` raises them.
    """
    specs: list[Spec] = [
        *grid.pattern_specs(
            given.names(patterns), depths=depths, widths=widths, resolutions=resolutions, batches=batches
        )
    ]
    several = models if isinstance(models, (list, tuple)) else (models,)
    for batch in batches if inputs is None else (1,):
        specs += [given.spec(each, inputs, batch=batch) for each in several]
    if not specs:
        raise MeasurementError("nothing to measure: name patterns or models")
    points = grid.points(specs, given.names(backends), threads=threads, precisions=precisions)
    with cluster.opened(executor, machine_tag, timed_anywhere=timed_anywhere) as where:
        chosen: source.Source = where.ask(source.choose, counters, cache=cache, curve=curve)
        plan = Plan(
            points,
            protocol,
            chosen.counters,
            chosen.processors,
            isa=isa,
            processes=processes,
            time_limit=time_limit,
            settings=Settings(curve=curve, fixed_layout=fixed_layout),
        )
        return _carry_out(plan, chosen.why, out, where, progress=progress)


def layers(  # noqa: PLR0913 - what a measurement may be asked for
    model: Model,
    inputs: Inputs | None = None,
    *,
    backends: Sequence[str] = BACKENDS,
    threads: int = 1,
    precision: str = "f32",
    name: str | None = None,
    calls: int = 5,
    counters: source.Asked = "auto",
    cache: str | None = None,
    protocol: Protocol = FEW_CALLS,
    time_limit: float | None = None,
    out: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> Results:
    """
    Measure a model layer by layer: FLOPs, time, LLC misses, bytes from and to memory, instructions.

    In PyTorch, clock and counters are read where each innermost module begins and ends. OpenVINO tells its
    own layers' times; it fuses layers, and nothing can be counted between them. The results show a table of
    layers for each backend; `Results.layers` has them as numbers.

    Args:
        model: A model, as `measure` takes it.
        inputs: Its inputs, as `measure` takes them.
        backends: Names (`backends.BACKENDS`).
        threads: Threads of each backend.
        precision: "f32", "f16", "bf16" or "int8".
        name: What records call a module; its class's name where not given.
        calls: Calls whose layers are measured; medians are shown.
        counters: As `measure` has it, as are all that follow.
        cache: Caches to simulate; layers are counted in the first.
        protocol: How the network as a whole is timed.
        time_limit: Seconds after which a point is given up.
        out: A file to which each record is appended.
        progress: Say on stderr how far it has come.

    Raises:
        MeasurementError: It cannot be measured as asked.
        FormfnError: As `measure` raises them.
    """
    points = grid.points(
        [given.spec(model, inputs, name=name)],
        given.names(backends),
        threads=(threads,),
        precisions=(precision,),
    )
    chosen = source.choose(counters, cache=cache)
    plan = Plan(points, protocol, chosen.counters, chosen.processors, time_limit=time_limit, layers=calls)
    return _carry_out(plan, chosen.why, out, cluster.Here(), progress=progress)


def load(*paths: str | os.PathLike[str]) -> Results:
    """
    Return the records of one file or several, in the order they were written.

    Raises:
        ResultsError: A file cannot be read, or a finished line is not a record.
    """
    return display.Results(tuple(record for path in paths for record in store.read(Path(path))))


def count_flops(model: Model, inputs: Inputs | None = None) -> FlopCount:
    """
    Count FLOPs, multiply-accumulates, parameters and bytes of one call of a model over the whole batch.

    A module runs once as it is, in its present mode and without gradients. Operations that have no formula
    are named in `uncounted`.

    Args:
        model: A model, as `measure` takes it.
        inputs: Its inputs, as `measure` takes them.

    Raises:
        NetworkError: There is no such model, its inputs are not told, or PyTorch cannot read it.
    """
    from formfn_profile import flops

    module, values = given.module(model, inputs)
    return flops.count(module, *values)


def report(
    records: Records, path: str | os.PathLike[str] = "report.html", *, ceilings: Ceilings | None = None
) -> Path:
    """
    Write a report of one machine's records and return its path: figures, the paper's findings,
    correlations, every point, flags, and the records themselves.

    Args:
        records: Results, records, or files of them.
        path: The page, which needs no network; or, named .md, Markdown with its pictures in a folder beside.
        ceilings: The machine's peaks, for the roofline (`formfn-profile roofline`).

    Raises:
        ResultsError: There is no record, they are of several machines, or a file cannot be written.
    """
    from formfn_profile import reporting

    file = Path(path)
    write = reporting.write_markdown if file.suffix == ".md" else reporting.write_html
    write(given.records(records), file, ceilings)
    return file


def correlate(records: Records) -> Correlations:
    """
    Say how FLOPs, LLC misses, instructions and latency go together, for each backend.

    Args:
        records: Results, records, or files of them, of one machine.

    Raises:
        ResultsError: They cannot be read, or are of several machines.
    """
    return display.Correlations.of(given.records(records))


def claims(records: Records) -> Claims:
    """
    Test the findings of "Does Form Follow Function?" (TinyML 2021) on one machine's records: for each a
    verdict (holds, doesn't, inconclusive, not measured) and the figures that it rests on.

    Args:
        records: Results, records, or files of them.

    Raises:
        ResultsError: They cannot be read, or are of several machines.
    """
    return display.Claims.of(given.records(records))


def advise(
    records: Records,
    *,
    backends: Sequence[str] | str | None = None,
    threads: int | None = None,
    precision: str | None = None,
) -> Advice:
    """
    Fit a model of latency on one machine's records of patterns, for networks that were not measured:
    `Advice.predict` and `Advice.rank` take any, `Advice.forms` finds the deepest of each pattern.

    Args:
        records: Results, records, or files of them, of one machine. Named networks among them are not fitted
            on; `Advice.compare` predicts them beside what was measured.
        backends: The backends to advise on; all whose records suffice where not given.
        threads: Which records to take, where they are of several numbers of threads.
        precision: Which records to take, where they are of several precisions.

    Raises:
        ResultsError: They cannot be read, are too few, or are of several machines, precisions or numbers of
            threads.
    """
    from formfn_profile import advisor

    chosen = None if backends is None else given.names(backends)
    return advisor.advise(given.records(records), backends=chosen, threads=threads, precision=precision)


def _carry_out(
    plan: Plan,
    why: str,
    out: str | os.PathLike[str] | None,
    where: Here | Pool,
    *,
    progress: bool,
) -> Results:
    from formfn_profile import backends, recording

    for point in plan.points:
        backends.get(point.backend)
    path = None if out is None else Path(out)
    records = recording.measured(plan, why, path, where, quiet=not progress)
    return display.Results(tuple(records), why)
