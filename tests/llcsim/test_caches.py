"""Geometry: sysfs, lscpu, names and SIZE/WAYS."""

from __future__ import annotations

import json
import pickle

import pytest

from perfcounters import caches
from perfcounters.caches import Level, Processor
from perfcounters.errors import CacheGeometryError


def sysfs(folder, rows):
    """A cache folder as the kernel documents it (Documentation/ABI/testing/sysfs-devices-system-cpu)."""
    for i, (level, kind, size, ways) in enumerate(rows):
        index = folder / f"index{i}"
        index.mkdir(parents=True)
        for name, value in {
            "level": level,
            "type": kind,
            "size": size,
            "ways_of_associativity": ways,
            "coherency_line_size": 64,
        }.items():
            (index / name).write_text(f"{value}\n")
    return folder


SERVER = [(1, "Data", "48K", 12), (1, "Instruction", "64K", 16), (2, "Unified", "2048K", 16),
          (3, "Unified", "491520K", 16)]  # fmt: skip


def test_host_reads_sysfs(tmp_path):
    """A server whose LLC has a number of sets that is no power of two."""
    host = caches.host(sysfs(tmp_path, SERVER))
    assert (host.l1d, host.l2, host.llc) == (Level(49152, 12), Level(2 << 20, 16), Level(480 << 20, 16))
    assert host.llc.sets == 491_520
    assert "sysfs" in host.source


def test_host_without_an_l3_ends_at_its_l2(tmp_path):
    """Small cores: the L2 is the last level."""
    host = caches.host(sysfs(tmp_path, SERVER[:3]))
    assert (host.l2, host.llc) == (None, Level(2 << 20, 16))


def test_host_falls_back_to_lscpu(tmp_path):
    """No sysfs: `lscpu -B --json` is read; its numbers may be strings or numbers."""
    rows = [
        {"level": 1, "type": "Data", "one-size": "32768", "ways": "8", "coherency-size": 64},
        {"level": "2", "type": "Unified", "one-size": 262144, "ways": 4, "coherency-size": "64"},
        {"level": 3, "type": "Unified", "one-size": 6291456, "ways": 12, "coherency-size": 64},
    ]
    host = caches.host(tmp_path / "nothing", lambda: json.dumps({"caches": rows}))
    assert (host.l1d, host.l2, host.llc) == (Level(32768, 8), Level(262144, 4), Level(6 << 20, 12))
    assert "lscpu" in host.source


@pytest.mark.parametrize("answer", ["", "{}", "not json", '{"caches": []}'])
def test_host_unknown_names_the_remedy(tmp_path, answer):
    """Neither source: the message says to name the caches."""
    with pytest.raises(CacheGeometryError, match="--cache paper"):
        caches.host(tmp_path, lambda: answer)


def test_other_line_sizes_are_refused(tmp_path):
    """128-byte lines cannot be modelled, and the message says so."""
    folder = sysfs(tmp_path, SERVER)
    (folder / "index3" / "coherency_line_size").write_text("128\n")
    with pytest.raises(CacheGeometryError, match="128 bytes"):
        caches.host(folder)


def test_the_named_processors_are_as_published():
    """The paper's text for `paper`; Intel's data for the i5-7600K."""
    paper, i5 = caches.resolve("paper,i5-7600k")
    assert (paper.l1d, paper.l2, paper.llc) == (Level(32 << 10, 8), Level(256 << 10, 4), Level(4 << 20, 16))
    assert (i5.llc, i5.inclusion) == (Level(6 << 20, 12), "inclusive")
    (zen3,) = caches.resolve("zen3")
    assert (zen3.l2, zen3.llc, zen3.inclusion) == (Level(512 << 10, 8), Level(32 << 20, 16), "exclusive")


def test_size_and_ways_go_behind_the_own_caches(monkeypatch):
    """SIZE/WAYS is an LLC behind the host's L1d and L2; doubles are named once."""
    own = Processor("host", Level(49152, 12), Level(2 << 20, 16), Level(480 << 20, 16), "a test")
    monkeypatch.setattr(caches, "host", lambda: own)
    first, second = caches.resolve("6M/12, host, 6M/12")
    assert (first.l1d, first.l2, first.llc) == (own.l1d, own.l2, Level(6 << 20, 12))
    assert second == own
    (third,) = caches.resolve("8M/16/plru:exclusive")
    assert (third.llc, third.inclusion, third.l2) == (Level(8 << 20, 16, "plru"), "exclusive", own.l2)
    assert third.describe().startswith("exclusive LLC 8 MiB/16-way tree-PLRU behind")


def test_a_prefetcher_goes_with_any_cache(monkeypatch):
    """`:next-line` last: of a name, a size, this machine; a processor apart, by its name too."""
    own = Processor("host", Level(49152, 12), Level(2 << 20, 16), Level(480 << 20, 16), "a test")
    monkeypatch.setattr(caches, "host", lambda: own)
    plain, *others = caches.resolve("paper,paper:next-line,host:next-line,8M/16:exclusive:next-line")
    assert [p.prefetcher for p in (plain, *others)] == ["none", "next-line", "next-line", "next-line"]
    assert [p.name for p in others] == ["paper:next-line", "host:next-line", "8M/16:exclusive:next-line"]
    assert others[0].llc == plain.llc
    assert others[2].inclusion == "exclusive"
    assert others[0].describe().endswith("with a next-line prefetcher")


def test_an_l2_can_be_taken_away_or_changed():
    """`l2` replaces each processor's own."""
    assert caches.resolve("paper", l2=None)[0].l2 is None
    assert caches.resolve("paper", l2=Level(1 << 20, 16))[0].l2 == Level(1 << 20, 16)


@pytest.mark.parametrize(
    "spec, said",
    [
        ("papr", "did you mean paper"),
        ("4M", "SIZE/WAYS"),
        ("5M/7", "multiple"),
        ("0K/4", "multiple"),
        ("6M/12/plru", "power of two"),
        ("4M/16:exclusiv", "did you mean|unknown cache"),
        ("4M/16:next-line:exclusive", "unknown cache"),
        ("papr:next-line", "did you mean paper"),
        ("", "no cache to model"),
        (",", "no cache to model"),
    ],
)
def test_what_cannot_be_read_is_said(spec, said):
    """A wrong name or size is a CacheGeometryError that survives pickling."""
    with pytest.raises(CacheGeometryError, match=said) as caught:
        caches.resolve(spec)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_processor_survives_its_dict():
    """to_dict and from_dict are inverse, with and without an L2."""
    tree = Processor("t", Level(32768, 8, "plru"), None, Level(4 << 20, 16, "plru"), "a test", "exclusive")
    for processor in (*caches.resolve("paper,zen3,zen3:next-line"), *caches.resolve("paper", l2=None), tree):
        assert Processor.from_dict(processor.to_dict()) == processor
