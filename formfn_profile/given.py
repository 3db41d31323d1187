"""What a user hands over, models with their inputs and records in any form, as the rest takes it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast

from formfn_profile import live, models, patterns, preparation
from formfn_profile.errors import MeasurementError, NetworkError, ResultsError
from formfn_profile.gather import gather, one_machine
from formfn_profile.models import Input, ModelSpec
from formfn_profile.patterns import PatternSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import torch

    from formfn_profile.preparation import Spec
    from formfn_profile.results import Record

    Model: TypeAlias = torch.nn.Module | PatternSpec | ModelSpec | str | os.PathLike[str]
    OneInput: TypeAlias = torch.Tensor | Input | str
    Inputs: TypeAlias = OneInput | Sequence[OneInput]
    Records: TypeAlias = Iterable[Record] | str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


def spec(model: Model, inputs: Inputs | None, *, name: str | None = None, batch: int = 1) -> Spec:
    """
    Return what stands for a model, fully determined.

    Raises:
        NetworkError: There is no such model, or its inputs are not told or do not suit.
        UnknownNameError: It is no file, no function and no named network.
    """
    given = _several(inputs)
    if (live_one := _module(model)) is not None:
        return live.pack(live_one, given, name)
    if isinstance(model, (PatternSpec, ModelSpec)):
        if given:
            raise NetworkError(f"{model} says its inputs itself: leave inputs out")
        return model
    if not isinstance(model, (str, os.PathLike)):
        raise NetworkError(
            f"cannot measure {model!r}: give a torch.nn.Module (not its class), a name, a file, a PatternSpec"
            " or a Point"
        )
    text = os.fspath(model)
    if text in patterns.PATTERNS and not given:
        return PatternSpec(text, batch=batch)
    shapes = [Input.parse(each) if isinstance(each, str) else each for each in given]
    told = [each for each in shapes if isinstance(each, Input)]
    if len(told) < len(shapes):
        raise NetworkError(f'{text} takes shapes of inputs, such as "1x3x224x224", not tensors')
    return models.resolve(text, told, batch=batch)


def module(model: Model, inputs: Inputs | None) -> tuple[torch.nn.Module, tuple[torch.Tensor, ...]]:
    """
    Return a module that PyTorch can run, a user's own as it is, and its inputs.

    Raises:
        NetworkError: There is no such model, its inputs are not told, or PyTorch cannot read it.
    """
    live_one = _module(model)
    if live_one is not None and inputs is not None:
        return live_one, live.tensors(_several(inputs))
    built = preparation.built(spec(model, inputs))
    if built.module is None:
        raise NetworkError(f"PyTorch cannot read {model}, and running it in PyTorch is how FLOPs are counted")
    return built.module, built.inputs


def records(found: Records) -> list[Record]:
    """
    Return one machine's records, in the order they were measured.

    Raises:
        ResultsError: A file cannot be read or holds none, or they are of several machines.
    """
    if isinstance(found, (str, os.PathLike)):
        return gather([Path(found)])
    given = list(found)
    paths = [Path(each) for each in given if isinstance(each, (str, os.PathLike))]
    if paths and len(paths) < len(given):
        raise ResultsError("give either records or files of records, not both at once")
    return gather(paths) if paths else one_machine(cast("list[Record]", given))


def names(given: Sequence[str] | str) -> tuple[str, ...]:
    """Return several names, or one alone."""
    return (given,) if isinstance(given, str) else tuple(given)


def refuse_beside_points(**given: object) -> None:
    """
    Refuse what points say themselves.

    Raises:
        MeasurementError: Something is given.
    """
    for name, value in given.items():
        if value is not None:
            raise MeasurementError(
                f"a Point says its {name} itself: leave {name} out, or give a model instead"
            )


def _module(model: object) -> torch.nn.Module | None:
    """The model if it is a module: who has one has imported torch."""
    loaded = sys.modules.get("torch")
    return cast("torch.nn.Module", model) if loaded and isinstance(model, loaded.nn.Module) else None


def _several(inputs: Inputs | None) -> tuple[OneInput, ...]:
    if inputs is None:
        return ()
    return tuple(inputs) if isinstance(inputs, (list, tuple)) else (cast("OneInput", inputs),)
