"""Seeded images, and batch-norm statistics from them, for networks without trained weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

IMAGE_CHANNELS = 3


def images(count: int, height: int, width: int, seed: int) -> torch.Tensor:
    """
    Return seeded images, NCHW float32 with 3 channels: each a colour, coarse structure and a little
    noise. Pure noise would be the same image always, once pooled.
    """
    import torch
    from torch.nn import functional as F

    generator = torch.Generator().manual_seed(seed)

    def draw(height: int, width: int) -> torch.Tensor:
        return torch.randn(count, IMAGE_CHANNELS, height, width, generator=generator)

    coarse = F.interpolate(draw(4, 4), size=(height, width), mode="bilinear", align_corners=False)
    return draw(1, 1) + 0.3 * coarse + 0.05 * draw(height, width)


def calibrate(model: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """
    Put `model` in evaluation mode, set the statistics of every 2-d batch norm to those of its input when
    `x` passes, and return that pass's output.
    """
    import torch
    from torch import nn

    norms = [module for module in model.eval().modules() if isinstance(module, nn.BatchNorm2d)]
    usual = [norm.momentum for norm in norms]
    for norm in norms:
        norm.train().momentum = 1.0
    with torch.no_grad():
        output: torch.Tensor = model(x)
    for norm, momentum in zip(norms, usual, strict=True):
        norm.eval().momentum = momentum
    return output
