"""The caches that CPUID tells a program under the simulator, as Intel's and AMD's manuals lay them out."""

from __future__ import annotations

import pytest
from conftest import processor

from perfcounters.caches import Level, Processor

pytestmark = pytest.mark.simulator

KIB = 1 << 10
DATA, INSTRUCTIONS, UNIFIED = 1, 2, 3


@pytest.fixture
def told(simulate, compile_program):
    """Give CPUID's leaves by (leaf, subleaf), and what glibc's sysconf says of L1d, L2 and L3."""

    def run(model: Processor, **options: object) -> tuple[dict[tuple[int, int], list[int]], list[int]]:
        *rows, sizes = simulate([compile_program("programs/cpuid.c", "-O1")], [model], **options).splitlines()
        leaves = {}
        for row in rows:
            leaf, subleaf, *registers = (int(word, 16) for word in row.split())
            leaves[leaf, subleaf] = registers
        return leaves, [int(word) for word in sizes.split()]

    return run


def decoded(registers: list[int]) -> tuple[int, int, Level] | None:
    """Kind, level and geometry of a subleaf of leaf 4 (Intel SDM volume 2A, CPUID, table 3-8)."""
    eax, ebx, ecx, _ = registers
    if eax & 31 == 0:
        return None
    ways, partitions, line = (ebx >> 22) + 1, (ebx >> 12 & 0x3FF) + 1, (ebx & 0xFFF) + 1
    assert (partitions, line) == (1, 64)
    return eax & 31, eax >> 5 & 7, Level(ways * line * (ecx + 1), ways)


MODELS = [
    processor("paper", "32K/8", "256K/4", "4M/16"),
    processor("no power of two", "48K/12", "2M/16", "30M/15"),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_the_leaves_tell_the_modelled_caches(told, model):
    """Leaf 4 and AMD's 0x8000001D: L1d, L1i, L2, LLC, then the end; 0x80000006 has the L2."""
    leaves, sizes = told(model)
    for leaf in (4, 0x8000001D):
        caches = [decoded(leaves[leaf, i]) for i in range(5)]
        assert caches[0] == (DATA, 1, model.l1d)
        assert caches[1] is not None
        assert caches[1][:2] == (INSTRUCTIONS, 1)
        assert caches[2:] == [(UNIFIED, 2, model.l2), (UNIFIED, 3, model.llc), None]
    ecx = leaves[0x80000006, 0][2]
    code = {4: 4, 16: 8}[model.l2.ways]  # AMD APM volume 3, appendix E.4.5
    assert (ecx >> 16, ecx >> 12 & 15, ecx & 255) == (model.l2.size // KIB, code, 64)
    # 0xFF among leaf 2's descriptors: "use leaf 4".
    assert 0xFF in b"".join(word.to_bytes(4, "little") for word in leaves[2, 0])[1:]
    assert sizes == [n for level in (model.l1d, model.l2, model.llc) for n in (level.size, level.ways)]


def test_without_an_l2_the_llc_is_the_second_level(told, without_l2):
    """Two levels are told as two."""
    leaves, sizes = told(without_l2)
    caches = [decoded(leaves[4, i]) for i in (0, 2, 3)]
    assert caches == [(DATA, 1, without_l2.l1d), (UNIFIED, 2, without_l2.llc), None]
    assert sizes[:4] == [32 * KIB, 8, 4096 * KIB, 16]


def test_valgrinds_own_caches_on_request(told):
    """With cpuid="valgrind": 256 KiB of L2 and 8 MiB of L3, whatever is modelled."""
    _, sizes = told(MODELS[1], cpuid="valgrind")
    assert sizes[2::2] == [256 * KIB, 8192 * KIB]
