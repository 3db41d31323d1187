"""
The twelve networks of the paper's comparison, by name, built by `pytorchcv` (the extra `[networks]`)
with seeded weights.

`pytorchcv`'s modules are imported one by one: its `model_provider` imports hundreds.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from formfn_profile.errors import NetworkError, UnknownNetworkError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

__all__ = ["NETWORKS", "Network", "build", "example_input", "get", "outline"]

_CALIBRATION_IMAGES = 2
_CALIBRATION_SEED = 1_000_000  # far from those of example inputs


@dataclass(frozen=True)
class Network:
    """
    A named network: `function` of `pytorchcv.models.<module>` with `arguments`, native images of
    `resolution` pixels a side, and the design `pattern` that its blocks follow.

    `torch_backend` is what "native PyTorch" means for it.
    """

    name: str
    pattern: str
    resolution: int
    module: str
    function: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    torch_backend: str = "torch"


_X101 = {"blocks": 101, "cardinality": 32, "bottleneck_width": 8}

NETWORKS: dict[str, Network] = {
    each.name: each
    for each in (
        Network("resnet18", "standard", 224, "resnet", "resnet18"),
        Network("resnet34", "standard", 224, "resnet", "resnet34"),
        # The "b" forms have the stride in the 3x3 convolution, as the published figures do.
        Network("resnet50", "bottleneck", 224, "resnet", "resnet50b"),
        Network("resnet101", "bottleneck", 224, "resnet", "resnet101b"),
        Network("resnet152", "bottleneck", 224, "resnet", "resnet152b"),
        Network("resnext50", "grouped", 224, "resnext", "resnext50_32x4d"),
        Network("resnext101", "grouped", 224, "resnext", "get_resnext", _X101),
        Network("mobilenetv2", "dwbottleneck", 224, "mobilenetv2", "mobilenetv2b_w1"),
        Network("inceptionv3", "factorized", 299, "inceptionv3", "inceptionv3"),
        Network("nasnet-large", "dwseparable", 331, "nasnet", "nasnet_6a4032"),
        Network("darts", "dwseparable", 224, "darts", "darts"),
        Network("darts-optimized", "dwseparable", 224, "darts", "darts", torch_backend="torch-onednn"),
    )
}
"""Every named network, in the order in which they are shown. The last is the one before it, run by oneDNN."""


def get(name: str) -> Network:
    """
    Return the network of this name.

    Raises:
        UnknownNetworkError: There is none; the message names the nearest.
    """
    if name not in NETWORKS:
        raise UnknownNetworkError(name, NETWORKS)
    return NETWORKS[name]


def build(name: str, seed: int = 0) -> torch.nn.Module:
    """
    Build a network, in evaluation mode, with weights and batch-norm statistics that `seed` determines.

    The global random state is left as it was.

    Raises:
        UnknownNetworkError: There is no such network.
        NetworkError: pytorchcv is not installed.
    """
    import torch

    from formfn_profile import calibration

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _made(name)
    size = get(name).resolution
    images = calibration.images(_CALIBRATION_IMAGES, size, size, seed + _CALIBRATION_SEED)
    calibration.calibrate(model, images)
    return model


def outline(name: str) -> torch.nn.Module:
    """
    Build a network on PyTorch's meta device, in evaluation mode: its layers and shapes without weights.

    Raises:
        UnknownNetworkError: There is no such network.
        NetworkError: pytorchcv is not installed.
    """
    import torch

    with torch.device("meta"):
        return _made(name).eval()


def _made(name: str) -> torch.nn.Module:
    network = get(name)
    try:
        module = importlib.import_module(f"pytorchcv.models.{network.module}")
    except ModuleNotFoundError as error:
        raise NetworkError(
            f"{name} is built by pytorchcv, which is not installed ({error})."
            " Run: pip install 'formfn-profile[networks]'"
        ) from error
    model: torch.nn.Module = getattr(module, network.function)(**network.arguments)
    return model


def example_input(name: str, batch: int = 1, seed: int = 0) -> torch.Tensor:
    """Return seeded images of the network's native size, NCHW float32; another seed gives other images."""
    from formfn_profile import calibration

    size = get(name).resolution
    return calibration.images(batch, size, size, seed)
