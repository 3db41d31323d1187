"""
PyTorch compiled by Inductor, the compiler of `torch.compile`, ahead of time (AOTInductor).

Ahead of time, since `torch.compile` in the worker would time and count something else than the kernels: it
compiles within the process, whose heap then holds what a compiler leaves, where every other backend finds a
fresh one; and under Valgrind it would take minutes for each network, and build for the CPU that the C++
compiler sees, which is not the one that Valgrind shows. Here the network is exported when it is prepared; a
process of its own compiles it natively, once for each number of threads and instruction set, and timed and
simulated workers load the library. Kernels and their fusion are `torch.compile`'s. What differs: C++ calls
them, not Python, which saves some microseconds a call; and the network is one graph or none, where
`torch.compile` would break it and leave parts to eager PyTorch.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from formfn_profile.backends import torch_inductor
from formfn_profile.backends.inputs import as_tuple
from formfn_profile.backends.isa import family, isa_environment
from formfn_profile.backends.torch_cpu import TorchCpu, TorchSession, inputs_path
from formfn_profile.backends.torch_export import exported
from formfn_profile.errors import BackendError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch

    from formfn_profile.backends.inputs import Model, Read

_MARCH = {"avx2": "x86-64-v3"}
_TOLD_BY_OTHERS = ("convolution", "mkldnn", "mkl_linear")


@dataclass(frozen=True)
class TorchCompile(TorchCpu):
    """PyTorch compiled as one graph; single precision, weights as they are (no freezing), as by default."""

    layers_countable: bool = False

    def prepare(self, model: Model, inputs: torch.Tensor | Sequence[torch.Tensor], folder: Path) -> Path:
        """Write the network as one graph; see `Backend.prepare`."""
        import torch

        if isinstance(model, torch.jit.ScriptModule):
            raise UnavailableError(
                f"{self.name} cannot run TorchScript, which torch.compile leaves to eager PyTorch whole. Give"
                " the module (package.module:function) or what torch.export saved (.pt2)"
            )
        if not isinstance(model, Path):  # a file is refused as eager PyTorch does
            model = exported(model, as_tuple(inputs), self.name)
        return super().prepare(model, inputs, folder)

    def load(self, prepared: Path, *, threads: int, precision: str = "f32") -> CompiledSession:
        """Compile what `prepare` wrote, unless that has been done, and load it; see `Backend.load`."""
        import torch

        if precision != "f32":
            raise UnavailableError(f"{self.name} runs f32 here, not {precision}")
        torch.set_num_threads(threads)
        torch.backends.mkldnn.enabled = True  # type: ignore[assignment]  # for what is left to PyTorch
        told = _compiled(self.name, prepared.resolve(), threads)
        model = torch._C._aoti.AOTIModelContainerRunnerCpu(told["library"], 1)  # noqa: SLF001 - has no other name
        return CompiledSession(model, torch.load(inputs_path(prepared), weights_only=True), told)

    def layers(
        self,
        prepared: Path,  # noqa: ARG002 - nothing can be told
        *,
        threads: int,  # noqa: ARG002
        precision: str,  # noqa: ARG002
        calls: int,  # noqa: ARG002
        read: Read,  # noqa: ARG002
    ) -> NoReturn:
        """Refuse: Inductor's kernels are of several layers each."""
        raise UnavailableError(
            f"{self.name} tells no layers: Inductor's kernels are of several each, and call nothing of ours"
        )


class CompiledSession(TorchSession):
    """A compiled network, `told` what its compiler said of it."""

    def __init__(self, model: Any, inputs: Sequence[torch.Tensor], told: Mapping[str, Any]) -> None:
        super().__init__(model, inputs)
        self._told = told

    def infer(self) -> None:
        """Infer once."""
        self._out = self.model.run(self._inputs)

    def families(self) -> dict[str, str | None]:
        """Of PyTorch's libraries, and of the kernels that Inductor wrote."""
        return super().families() | {"inductor": family(self._told["isa"])}

    def facts(self) -> dict[str, object]:
        """As for any PyTorch session, with Inductor's kernels, and what these are made for."""
        facts = super().facts()
        ran: dict[str, int] = facts["kernels"]  # type: ignore[assignment]
        others = {
            name: calls
            for name, calls in self._told["kernels"].items()
            if not any(word in name for word in _TOLD_BY_OTHERS)
        }
        for_others = [number for number in self._told["threads"] if number != facts["threads"]]
        return facts | {
            "threads": for_others or facts["threads"],
            "memory_format": "Inductor's own",
            "compile_s": self._told["seconds"],
            "kernels": ran | others,
            "graph_breaks": 0,
            "march": self._told["march"],
            "versions": facts["versions"] | {"cxx": self._told["cxx"]},  # type: ignore[operator]
        }


def _compiled(name: str, prepared: Path, threads: int) -> dict[str, Any]:
    """Return what is told of the library for so many threads and this process's instruction set."""
    import torch

    vectors = family(torch.backends.cpu.get_cpu_capability())
    folder = prepared.parent / f"{torch.__version__}-{vectors}-{threads}"
    if not (folder / torch_inductor.TOLD).exists():
        compiler = os.environ.get("CXX", "g++")
        if shutil.which(compiler) is None:
            raise UnavailableError(
                f"{name} needs a C++ compiler, and there is no {compiler} here. Install one (Debian: apt-get"
                " install g++), or name another: CXX=clang++"
            )
        folder.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=prepared.parent) as cache:
            _compile(name, [prepared, inputs_path(prepared), folder, threads], _environment(vectors, cache))
    told: dict[str, Any] = json.loads((folder / torch_inductor.TOLD).read_text(encoding="utf-8"))
    return told


def _compile(name: str, arguments: Sequence[object], environment: Mapping[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", torch_inductor.__name__, *map(str, arguments)],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"the compiler ended with {done.returncode}"]
        raise BackendError(f"{name} could not compile the network: {said[-1]}")


def _environment(vectors: str | None, cache: str) -> dict[str, str]:
    """
    Return the environment to compile in: for these vectors, though the CPU may have wider ones (a process
    under Valgrind, or one held to less, asks); from nothing, and with nothing left behind.
    """
    private = {"TORCHINDUCTOR_CACHE_DIR": cache, "TMPDIR": cache, "TORCHINDUCTOR_COMPILE_THREADS": "1"}
    if vectors not in _MARCH:
        return os.environ | private
    return os.environ | private | isa_environment(vectors) | {torch_inductor.MARCH: _MARCH[vectors]}
