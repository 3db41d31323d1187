"""A network as one graph with every dimension fixed: what compilers and ONNX's exporter take."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from formfn_profile.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from torch.export import ExportedProgram


def exported(
    model: torch.nn.Module | ExportedProgram, inputs: Sequence[torch.Tensor], wants: str
) -> ExportedProgram:
    """
    Return `model` as an exported program for inputs of these shapes; `wants` is who needs it, for messages.

    Raises:
        BackendError: It is no one graph: its code chooses its way by values, say.
    """
    import torch

    if isinstance(model, torch.export.ExportedProgram):
        if not model.range_constraints:  # no dimension is open
            return model
        model = model.module()
    else:
        model = model.eval()
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of tracing: the outputs are compared
            return torch.export.export(model, tuple(inputs), strict=False)
    except Exception as error:
        raise BackendError(
            f"{wants} needs the network as one graph, and torch.export makes none of it:"
            f" {type(error).__name__}: {error}"
        ) from error
