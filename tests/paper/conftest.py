"""Made-up records: a machine whose latencies and misses are what a test says they are."""

from __future__ import annotations

import itertools

import pytest

from formfn_profile.results import Count, Record

PATTERNS = ("standard", "factorized", "bottleneck", "dwseparable", "dwbottleneck", "grouped")

HOST = {
    "name": "host",
    "l1d_bytes": 2**15,
    "l1d_ways": 8,
    "l2_bytes": 2**20,
    "l2_ways": 16,
    "llc_bytes": 2**25,
    "llc_ways": 16,
    "source": "made up",
}
PAPER = HOST | {"name": "paper", "llc_bytes": 2**22}

FASTER = {
    ("torch", "f32"): 1,
    ("torch", "bf16"): 2,
    ("openvino-cpu", "f32"): 4,
    ("openvino-cpu", "int8"): 10,
}
RAN_IN_INT8 = {"operations": {"int8": 3, "f32": 1}, "operation_macs": {"int8": 99, "f32": 1}, "macs": 100}


class Maker:
    """Makes records; `made` holds them all in order."""

    def __init__(self):
        self.made = []

    def timed(self, seconds, *, spread=0.01, calls=11, **point):
        """A timed record whose median is `seconds`; its samples spread evenly by +- `spread` around it."""
        steps = [spread * (2 * i / (calls - 1) - 1) if calls > 1 else 0.0 for i in range(calls)]
        return self.add(launcher="native", latency_s=tuple(seconds * (1 + each) for each in steps), **point)

    def counted(self, misses, *, source="simulated", instructions=10_000_000, **point):
        """A counted record; `misses` for each cache by name, the hardware's under None."""
        counts = [Count(event="instructions", samples=(instructions,), source=source)]
        for cache, number in misses.items():
            for event, value in (
                ("LLC-misses", number),
                ("LLC-references", 4 * number),
                ("LLC-writebacks", number // 2),
            ):
                counts.append(Count(event=event, samples=(value,), source=source, cache=cache))
        caches = (
            () if source == "hardware" else tuple({"host": HOST, "paper": PAPER}[each] for each in misses)
        )
        launcher = "native" if source == "hardware" else "llcsim"
        return self.add(launcher=launcher, counts=tuple(counts), caches=caches, **point)

    def failed(self, reason, **point):
        return self.add(launcher="native", status="failed", reason=reason, **point)

    def add(self, *, network="standard", launcher="native", **fields):
        pattern = fields.pop("pattern", network)
        values = {
            "status": "ok",
            "run_id": "made-up",
            "time": "2026-01-01T00:00:00+00:00",
            "depth": 10,
            "width": 64,
            "resolution": 112,
            "batch": 1,
            "backend": "torch",
            "precision": "f32",
            "threads": 1,
            "isa": "avx2",
            "isa_cap": None if launcher == "llcsim" else "native",
            "machine": {"cpu": "Made-up CPU", "caches": "LLC 32 MiB/16-way", "virtual": True, "cores": 2},
            "versions": {"torch": "2.0", "openvino": "2026.0"},
        } | fields
        size = (values["depth"] or 1) * (values["width"] or 1) ** 2
        values.setdefault("flops", size * values["batch"] * 1000)
        record = Record(network=network, pattern=pattern, launcher=launcher, **values)
        self.made.append(record)
        return record

    def grid(self, seconds, misses=None, *, backends=("torch", "openvino-cpu"), **axes):
        """
        Records over the product of `axes`: `seconds(**point)` and `misses(**point)` say what each gives;
        None is nothing.
        """
        axes.setdefault("network", PATTERNS)
        names = [*axes, "backend"]
        for values in itertools.product(*axes.values(), backends):
            point = dict(zip(names, values, strict=True))
            precision = {"precision": "f16"} if point["backend"] == "openvino-gpu" else {}
            if (time := seconds(**point)) is not None:
                self.timed(time, **point, **precision)
            if misses and (number := misses(**point)) is not None:
                self.counted({"host": number, "paper": number}, **point, **precision)
        return self.made

    def precisions(self):
        """
        Each pattern's latencies of 8 s over `FASTER` and misses of a quarter million over it; three of four
        operations in int8, with 99% of the MACs. The simulated CPU has no bf16; OpenVINO's is of depth 30.
        """
        for network, (backend, precision) in itertools.product(PATTERNS, FASTER):
            faster = FASTER[backend, precision]
            point = {"network": network, "backend": backend, "precision": precision}
            ran = RAN_IN_INT8 if precision == "int8" else {}
            self.timed(8 / faster, spread=0, **point, **ran)
            if precision == "bf16":
                self.add(launcher="llcsim", status="skipped", reason=f"{backend} has no bf16 here", **point)
            else:
                self.counted({"paper": 250_000 // faster}, **point)
        self.timed(1.0, backend="openvino-cpu", precision="bf16", depth=30)
        return self.made


@pytest.fixture
def make():
    return Maker()


@pytest.fixture(scope="module")
def make_once():
    """A maker for a whole module: what takes long to make of its records is made once."""
    return Maker()
