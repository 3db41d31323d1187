"""Layers: their work is the network's, their counts are of their own code, their times are steady ones."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
from torch import nn

from formfn_profile import backends, by_layer, layer_table, patterns, results, store
from formfn_profile.backends import torch_layers
from formfn_profile.backends.inputs import Read
from formfn_profile.patterns import PatternSpec

NOTHING = Read(tuple, lambda _: {})


@pytest.mark.slow
@pytest.mark.parametrize("pattern", patterns.PATTERNS)
def test_openvinos_layers_do_the_work_of_the_network(pattern, tmp_path):
    """MACs from the shapes of what OpenVINO really runs, fused and folded, are the closed form exactly."""
    spec = PatternSpec(pattern, depth=2, width=32, resolution=16, batch=2)
    chosen = backends.get("openvino-cpu")
    prepared = chosen.prepare(patterns.build(spec), patterns.example_input(spec), tmp_path)
    found = chosen.layers(prepared, threads=1, precision="f32", calls=1, read=NOTHING)
    assert sum(layer["macs"] or 0 for layer in found) == patterns.macs(spec)


def test_counts_belong_to_the_module_that_ran():
    """A counter that each kind of module moves by a known amount; what is left is outside."""
    count = [0, 0]

    class Moves(nn.Module):
        def __init__(self, by):
            super().__init__()
            self.by = by

        def forward(self, x):
            count[0] += self.by
            return x

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = Moves(3), Moves(5)

        def forward(self, x):
            count[0] += 7
            return self.two(self.one(self.one(x)))

    net, x = Net(), torch.ones(1)
    read = Read(lambda: list(count), lambda numbers: {"moves": numbers[0]})
    found = torch_layers.measure(net, lambda: net(x), 3, read)
    assert [(layer["name"], layer["counts"]["moves"]) for layer in found] == [
        ("one", 3), ("one", 3), ("two", 5), (torch_layers.OUTSIDE, 7),
    ]  # fmt: skip
    assert not net.one._forward_hooks


@pytest.mark.parametrize("seconds, said", [(None, "-"), (0.0, "<1"), (12.34e-6, "12.3")])
def test_a_layer_too_fast_for_the_profiler_does_not_take_nothing(seconds, said):
    layer = by_layer.Layer("a", "Add", (), seconds, *[None] * 6)
    assert layer_table._microseconds(layer) == said


@pytest.mark.slow
@pytest.mark.simulator
def test_the_command_charges_misses_to_the_layer_that_streams(tmp_path):
    """
    Ten thousand kibibytes read once by one module, which no 1 MiB cache holds: an LLC miss for each of
    their 64-byte lines, give or take what the rest does; the other module touches nothing of that size.
    """
    (tmp_path / "streams_for_tests.py").write_text(
        "import torch\nfrom torch import nn\n"
        "class Streams(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.register_buffer('table', torch.ones(2560 * 1024))\n"
        "    def forward(self, x):\n"
        "        return x + self.table.max()\n"
        "def net():\n"
        "    return nn.Sequential(Streams(), nn.ReLU())\n"
    )
    out = tmp_path / "r.jsonl"
    command = [
        *(sys.executable, "-m", "formfn_profile", "layers", "streams_for_tests:net", "--input", "1x8"),
        *("--backends", "torch", "--cache", "1M/16", "--calls", "2", "--seconds", "0", "--layers", "2"),
        *("--out", str(out)),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (measured,) = by_layer.of_records(store.load(out))
    streams, relu, outside = measured.layers
    lines = 4 * 2560 * 1024 // 64
    assert lines * 0.99 < streams.misses < lines * 1.03
    assert relu.misses < lines * 0.01
    assert streams.weight_misses >= lines * 0.99
    assert streams.activation_misses < lines * 0.01
    assert outside.name == torch_layers.OUTSIDE
    assert streams.memory_bytes >= 64 * streams.misses
    assert "The layers take" in done.stdout
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_layers_that_differ_are_not_put_side_by_side():
    """Another ISA may have other layers: then there are times and no counts, never a mixture."""
    base = {
        "schema": 2, "status": "ok", "run_id": "a", "time": "t", "network": "net", "pattern": None,
        "backend": "torch", "precision": "f32", "threads": 1,
    }  # fmt: skip
    one = {"name": "a", "kind": "K", "modules": ["a"], "macs": 4, "seconds": 1.0, "counts": {}}
    counts = {"LLC-misses": 9, "LLC-prefetch-misses": 3, "LLC-writebacks": 1, "instructions": 5}
    counted = {**one, "counts": counts}
    timed = {**base, "launcher": "native", "latency_s": [1.0], "layers": [one]}
    count = {"event": "LLC-misses", "samples": [9], "source": "simulated"}
    for name, misses in (("a", 9), ("b", None)):
        simulated = {**base, "launcher": "llcsim", "counts": [count], "layers": [{**counted, "name": name}]}
        records = [results.Record.from_dict(json.loads(json.dumps(each))) for each in (timed, simulated)]
        (found,) = by_layer.of_records(records)
        assert [(layer.seconds, layer.misses) for layer in found.layers] == [(1.0, misses)]
        assert found.layers[0].memory_bytes == (misses and 64 * (9 + 3 + 1))
    assert found.latency_s == 1.0
