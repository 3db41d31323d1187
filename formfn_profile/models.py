"""
Any network that a user names: one of the twelve, a function that makes a module, or a file.

Files are data, not code: one that may run code when it is loaded is refused unless trusted.
"""

from __future__ import annotations

import hashlib
import importlib
import re
import sys
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from formfn_profile import model_files, networks
from formfn_profile.backends.openvino_module import openvino, reason
from formfn_profile.errors import NetworkError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch

    from formfn_profile.backends.inputs import Model

__all__ = ["Built", "Input", "ModelSpec", "build", "resolve"]

_INPUT = re.compile(r"(\d+(?:x\d+)*)(?::(\w+))?")
DTYPES = {
    "f32": "float32",
    "f64": "float64",
    "i64": "int64",
    "i32": "int32",
    "u8": "uint8",
    "bool": "bool",
}
"""Types of inputs: our short names, and PyTorch's."""
_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_FILES = (".pt2", ".pt", ".pth", ".ts", ".onnx", ".xml")
_INTEGERS_BELOW = 2


@dataclass(frozen=True)
class Input:
    """One input tensor: its shape, batch first, and its type ("f32", "f64", "i64", "i32", "u8", "bool")."""

    shape: tuple[int, ...]
    dtype: str = "f32"

    @classmethod
    def parse(cls, text: str) -> Input:
        """
        Read ``1x3x224x224`` or ``1x128:i64``.

        Raises:
            NetworkError: The text has another form.
        """
        match = _INPUT.fullmatch(text.strip())
        shape = tuple(int(part) for part in match[1].split("x")) if match else ()
        dtype = (match[2] if match else None) or "f32"
        if not shape or min(shape) < 1 or dtype not in DTYPES:
            raise NetworkError(
                f"cannot read the input {text!r}: expected a shape and perhaps a type, such as"
                f" 1x3x224x224 or 1x128:i64 (types: {', '.join(DTYPES)})"
            )
        return cls(shape, dtype)

    def __str__(self) -> str:
        """Write it as `parse` reads it."""
        return f"{'x'.join(map(str, self.shape))}:{self.dtype}"

    def tensor(self, seed: int) -> torch.Tensor:
        """
        Return seeded values: images where it has the shape of images, normal numbers otherwise, 0 and 1 for
        whole numbers (every vocabulary holds these).
        """
        import torch

        from formfn_profile import calibration

        if len(self.shape) == 4 and self.shape[1] == calibration.IMAGE_CHANNELS and self.dtype == "f32":
            count, _, height, width = self.shape
            return calibration.images(count, height, width, seed)
        generator = torch.Generator().manual_seed(seed)
        dtype: torch.dtype = getattr(torch, DTYPES[self.dtype])
        if dtype.is_floating_point:
            return torch.randn(self.shape, generator=generator, dtype=dtype)
        return torch.randint(0, _INTEGERS_BELOW, self.shape, generator=generator).to(dtype)


@dataclass(frozen=True)
class Built:
    """A network ready to be prepared: the model in one of the forms that backends take, and its inputs."""

    model: Model
    inputs: tuple[torch.Tensor, ...]

    @cached_property
    def module(self) -> torch.nn.Module | None:
        """What PyTorch can run; None for a file that it does not read."""
        import torch

        if isinstance(self.model, torch.export.ExportedProgram):
            return self.model.module()
        return None if isinstance(self.model, Path) else self.model


@dataclass(frozen=True)
class ModelSpec:
    """
    A network and its inputs, fully determined.

    `source` is one of `networks.NETWORKS`, ``package.module:function`` (a function without arguments
    that returns a module), or a file: what `torch.export.save` wrote (.pt2), TorchScript (.pt), ONNX
    (.onnx), OpenVINO IR (.xml); `digest` is the SHA-256 of its bytes then. `trust` lets what
    `torch.export.save` wrote and a pickled module be loaded, which may run code in the file. Or it is the
    name of a module that was in memory, and `packed` is what `live.pack` made of it, `digest` the SHA-256
    of that.
    """

    source: str
    inputs: tuple[Input, ...] = ()
    batch: int = 1
    seed: int = 0
    trust: bool = False
    digest: str | None = None

    pattern: str | None = None
    depth: int | None = None
    width: int | None = None
    resolution: int | None = None
    expansion: int | None = None
    packed: bytes | None = field(default=None, repr=False, compare=False)  # `digest` stands for it

    @property
    def network(self) -> str:
        """What records call it."""
        return self.source

    def __str__(self) -> str:
        """Name it as progress and messages do."""
        return self.source if self.batch == 1 else f"{self.source} batch {self.batch}"


def resolve(
    source: str, inputs: Sequence[Input] = (), *, batch: int = 1, seed: int = 0, trust: bool = False
) -> ModelSpec:
    """
    Return what `source` names (see `ModelSpec`), with all that can be told without building it.

    Raises:
        NetworkError: A file is not there, or is of no known kind, or `inputs` don't suit.
        UnknownNameError: It is no file, no function and no named network.
    """
    if source in networks.NETWORKS:
        network = networks.get(source)
        if inputs:
            raise NetworkError(f"{source} has an input of its own; give --batch, not --input")
        size = network.resolution
        return ModelSpec(
            source,
            (Input((batch, 3, size, size)),),
            batch=batch,
            seed=seed,
            pattern=network.pattern,
            resolution=size,
        )
    if _FUNCTION.fullmatch(source):
        if not inputs:
            raise NetworkError(f"give the inputs of {source} with --input, such as 1x3x224x224")
        return ModelSpec(source, tuple(inputs), batch=inputs[0].shape[0], seed=seed)
    path = Path(source)
    if path.suffix in _FILES or path.exists():
        if path.suffix not in _FILES:
            raise NetworkError(f"{source}: no kind of model is known by {path.suffix!r}; {_kinds()}")
        try:
            digest = _digest(path)
        except OSError as error:
            raise NetworkError(f"cannot read the model {source}: {error.strerror}") from None
        told = tuple(inputs) or _told_by(path, trust=trust)
        return ModelSpec(source, told, batch=told[0].shape[0], seed=seed, trust=trust, digest=digest)
    raise _UnknownModelError(source, (*networks.NETWORKS, "package.module:function", "FILE"))


def _digest(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            found.update(chunk)
    return found.hexdigest()


def _unchanged(path: Path, digest: str | None) -> Path:
    """Records name a file by its SHA-256: what is measured must be that, on another machine too."""
    try:
        found = digest and _digest(path)
    except OSError as error:
        raise NetworkError(f"cannot read the model {path}: {error.strerror}") from None
    if found != digest:
        raise NetworkError(
            f"{path} is another file than the one that was named: its SHA-256 is {found}, not {digest}."
            " Put the same file there"
        )
    return path


class _UnknownModelError(UnknownNameError):
    kind = "model"


def build(spec: ModelSpec) -> Built:
    """
    Build or read the network of `spec`, in evaluation mode, and make its inputs.

    Raises:
        NetworkError: It can't be had; the message says why and what to do.
    """
    if spec.source in networks.NETWORKS:
        model: Model = networks.build(spec.source, spec.seed)
        return Built(model, (networks.example_input(spec.source, spec.batch, spec.seed),))
    if _FUNCTION.fullmatch(spec.source):
        model = _called(spec.source)
    else:
        model = _read(_unchanged(Path(spec.source), spec.digest), trust=spec.trust)
    return Built(model, tuple(each.tensor(spec.seed + n) for n, each in enumerate(spec.inputs)))


def _called(source: str) -> torch.nn.Module:
    import torch

    name, _, function = source.partition(":")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        maker: Callable[[], Any] = getattr(importlib.import_module(name), function)
    except ImportError as error:
        raise NetworkError(f"cannot import {name} for {source}: {error}") from error
    except AttributeError:
        raise NetworkError(f"{name} has no function {function}") from None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            model = maker()
        except Exception as error:
            raise NetworkError(f"{source}() raised {type(error).__name__}: {error}") from error
    if not isinstance(model, torch.nn.Module):
        raise NetworkError(f"{source}() returned {type(model).__name__}, not a torch.nn.Module")
    return model.eval()


def _read(path: Path, *, trust: bool) -> Model:
    import torch

    if path.suffix in (".onnx", ".xml"):
        return path
    model_files.check(path, trust=trust)
    try:
        if path.suffix == ".pt2":
            return torch.export.load(path)
        try:
            scripted: torch.nn.Module = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
        except RuntimeError:
            return _pickled(path, trust=trust)
        return scripted.eval()
    except NetworkError:
        raise
    except Exception as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise NetworkError(f"cannot read the model {path}: {said[0]}") from error


def _pickled(path: Path, *, trust: bool) -> torch.nn.Module:
    import torch

    if not trust:
        raise NetworkError(
            f"{path} is not TorchScript. If it is a pickled module, loading it runs whatever code is in the"
            " file: say --trust if you know where it comes from, or save it as TorchScript, ONNX or IR"
        )
    model = torch.load(path, map_location="cpu", weights_only=False)  # the user trusts it  # nosec B614
    if not isinstance(model, torch.nn.Module):
        raise NetworkError(f"{path} holds {type(model).__name__}, not a module: weights alone are no network")
    return model.eval()


def _told_by(path: Path, *, trust: bool) -> tuple[Input, ...]:
    """The inputs that a file tells itself."""
    model = _read(path, trust=trust)
    if isinstance(model, Path):
        return _static_inputs(model)
    example = getattr(model, "example_inputs", None)  # of an exported program
    if not example or example[1]:
        raise NetworkError(f"{path} does not tell its inputs: give each with --input, such as 1x3x224x224")
    return tuple(Input(tuple(x.shape), _short(str(x.dtype).split(".")[1], path)) for x in example[0])


def _static_inputs(path: Path) -> tuple[Input, ...]:
    ov = openvino()

    try:
        ports = ov.Core().read_model(path).inputs
    except RuntimeError as error:
        raise NetworkError(f"OpenVINO cannot read {path}: {reason(error)}") from error
    if any(port.partial_shape.is_dynamic for port in ports):
        shapes = ", ".join(str(port.partial_shape) for port in ports)
        raise NetworkError(f"{path} leaves the shape of its inputs open ({shapes}): give each with --input")
    return tuple(Input(tuple(port.shape), _short(port.element_type.to_dtype().name, path)) for port in ports)


def _short(dtype: str, path: Path) -> str:
    known = {long: short for short, long in DTYPES.items()}
    if dtype not in known:
        raise NetworkError(f"{path} has an input of type {dtype}, which is not one of {', '.join(known)}")
    return known[dtype]


def _kinds() -> str:
    return "there are .pt2 (torch.export), .pt (TorchScript), .onnx, .xml (OpenVINO IR)"
