"""
The six macro-architecture design patterns: networks of equal blocks at constant width and resolution.

A network is a stem (3x3 convolution 3->C, batch norm, ReLU), `depth` blocks, global average pooling and a
linear layer C->10. Each convolution has stride 1, no bias, and is followed by batch norm and ReLU; there
are no shortcuts. A new pattern is one class, decorated with `@register`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeVar

from formfn_profile import calibration
from formfn_profile.calibration import IMAGE_CHANNELS
from formfn_profile.errors import PatternError, UnknownPatternError

if TYPE_CHECKING:
    import torch

__all__ = [
    "PATTERNS",
    "Convolution",
    "Pattern",
    "PatternSpec",
    "build",
    "example_input",
    "get",
    "macs",
    "register",
]

CLASSES = 10
REDUCTION = 4
GROUPS = 8

_SHIFT = 2.0  # in standard deviations; see `build`
_CENTRING = 0.98  # with 1, outputs would be small differences and carry their rounding errors
_CALIBRATION_SEED = 1_000_000  # far from those of example inputs
_CALIBRATION_PIXELS = 2**15


@dataclass(frozen=True)
class Convolution:
    """One convolution of a block: channels in and out, kernel (height, width), stride 1, "same" padding."""

    inputs: int
    outputs: int
    kernel: tuple[int, int]
    groups: int = 1


class Pattern(ABC):
    """
    A block, by name. `divisor` is what the width must be a multiple of, and `divisor_reason` why.

    `expandable` says whether the block takes an expansion factor.
    """

    name: ClassVar[str]
    divisor: ClassVar[int] = 1
    divisor_reason: ClassVar[str] = ""
    expandable: ClassVar[bool] = False

    @classmethod
    @abstractmethod
    def convolutions(cls, width: int, expansion: int | None = None) -> tuple[Convolution, ...]:
        """Return the block's convolutions in order, from `width` channels to `width` channels."""

    @classmethod
    @abstractmethod
    def macs_per_pixel(cls, width: int, expansion: int | None = None) -> int:
        """Return the closed form of a block's multiply-adds for each pixel of its output."""

    @classmethod
    def required_divisor(cls, expansion: int | None = None) -> int:
        """Return what the width must be a multiple of; an expansion narrows nothing."""
        return cls.divisor if expansion is None else 1


PATTERNS: dict[str, type[Pattern]] = {}
"""Every pattern by name, in the order in which they are shown."""

P = TypeVar("P", bound=type[Pattern])


def register(pattern: P) -> P:
    """Add a pattern class to `PATTERNS` under its name."""
    PATTERNS[pattern.name] = pattern
    return pattern


@register
class Standard(Pattern):
    """One 3x3 convolution."""

    name = "standard"

    @classmethod
    def convolutions(cls, width: int, expansion: int | None = None) -> tuple[Convolution, ...]:  # noqa: ARG003
        """3x3 C->C."""
        return (Convolution(width, width, (3, 3)),)

    @classmethod
    def macs_per_pixel(cls, width: int, expansion: int | None = None) -> int:  # noqa: ARG003
        """9C²."""
        return 9 * width**2


@register
class Factorized(Pattern):
    """A 3x3 convolution's receptive field from a row and a column."""

    name = "factorized"

    @classmethod
    def convolutions(cls, width: int, expansion: int | None = None) -> tuple[Convolution, ...]:  # noqa: ARG003
        """1x3 C->C, 3x1 C->C."""
        return (Convolution(width, width, (1, 3)), Convolution(width, width, (3, 1)))

    @classmethod
    def macs_per_pixel(cls, width: int, expansion: int | None = None) -> int:  # noqa: ARG003
        """6C²."""
        return 6 * width**2


@register
class Bottleneck(Pattern):
    """A 3x3 convolution between 1x1 convolutions that narrow and widen."""

    name = "bottleneck"
    divisor = REDUCTION
    divisor_reason = "the block narrows to a quarter"

    @classmethod
    def convolutions(cls, width: int, expansion: int | None = None) -> tuple[Convolution, ...]:  # noqa: ARG003
        """1x1 C->C/4, 3x3 C/4->C/4, 1x1 C/4->C."""
        inner = width // REDUCTION
        return (
            Convolution(width, inner, (1, 1)),
            Convolution(inner, inner, (3, 3)),
            Convolution(inner, width, (1, 1)),
        )

    @classmethod
    def macs_per_pixel(cls, width: int, expansion: int | None = None) -> int:  # noqa: ARG003
        """17C²/16."""
        return 17 * width**2 // 16


@register
class DepthwiseSeparable(Pattern):
    """A 3x3 convolution split into one for each channel and one over channels."""

    name = "dwseparable"

    @classmethod
    def convolutions(cls, width: int, expansion: int | None = None) -> tuple[Convolution, ...]:  # noqa: ARG003
        """Depthwise 3x3 C, 1x1 C->C."""
        return (Convolution(width, width, (3, 3), groups=width), Convolution(width, width, (1, 1)))

    @classmethod
    def macs_per_pixel(cls, width: int, expansion: int | None = None) -> int:  # noqa: ARG003
        """C² + 9C."""
        return width**2 + 9 * width


@register
class DepthwiseBottleneck(Pattern):
    """A depthwise 3x3 convolution between 1x1 convolutions; with an expansion t, MobileNetV2's block."""

    name = "dwbottleneck"
    divisor = REDUCTION
    divisor_reason = "the block narrows to a quarter"
    expandable = True

    @classmethod
    def convolutions(cls, width: int, expansion: int | None = None) -> tuple[Convolution, ...]:
        """1x1 C->C/4, depthwise 3x3, 1x1 C/4->C; with an expansion t, tC in place of C/4."""
        inner = width // REDUCTION if expansion is None else expansion * width
        return (
            Convolution(width, inner, (1, 1)),
            Convolution(inner, inner, (3, 3), groups=inner),
            Convolution(inner, width, (1, 1)),
        )

    @classmethod
    def macs_per_pixel(cls, width: int, expansion: int | None = None) -> int:
        """C²/2 + 9C/4; with an expansion t, 2tC² + 9tC."""
        if expansion is None:
            return width**2 // 2 + 9 * width // 4
        return 2 * expansion * width**2 + 9 * expansion * width


@register
class Grouped(Pattern):
    """One 3x3 convolution in groups of channels."""

    name = "grouped"
    divisor = GROUPS
    divisor_reason = f"the convolution has {GROUPS} groups"

    @classmethod
    def convolutions(cls, width: int, expansion: int | None = None) -> tuple[Convolution, ...]:  # noqa: ARG003
        """3x3 C->C in 8 groups."""
        return (Convolution(width, width, (3, 3), groups=GROUPS),)

    @classmethod
    def macs_per_pixel(cls, width: int, expansion: int | None = None) -> int:  # noqa: ARG003
        """9C²/8."""
        return 9 * width**2 // 8


def get(name: str) -> type[Pattern]:
    """
    Return the pattern of this name.

    Raises:
        UnknownPatternError: There is none; the message names the nearest.
    """
    if name not in PATTERNS:
        raise UnknownPatternError(name, PATTERNS)
    return PATTERNS[name]


@dataclass(frozen=True)
class PatternSpec:
    """
    A network of a pattern, fully determined: `depth` blocks, `width` channels, square images of
    `resolution` pixels a side, `batch` images a call, weights from `seed`.

    Raises:
        UnknownPatternError: There is no such pattern.
        PatternError: A value is out of range, the pattern takes no expansion, or the width does not
            divide; the message names the nearest widths that do.
    """

    pattern: str
    depth: int = 10
    width: int = 64
    resolution: int = 112
    batch: int = 1
    expansion: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        pattern = get(self.pattern)
        for name in ("depth", "width", "resolution", "batch", "expansion"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise PatternError(f"{self.pattern} with {name} {value}: it must be 1 or more")
        if self.expansion is not None and not pattern.expandable:
            able = ", ".join(name for name, each in PATTERNS.items() if each.expandable)
            raise PatternError(
                f"{self.pattern} takes no expansion, but {self.expansion} was given; it is for {able} only"
            )
        divisor = pattern.required_divisor(self.expansion)
        if self.width % divisor:
            below = self.width // divisor * divisor
            nearest = " and ".join(str(width) for width in (below, below + divisor) if width)
            raise PatternError(
                f"{self.pattern} cannot have width {self.width}: {pattern.divisor_reason}, so it must be a"
                f" multiple of {divisor}. Nearest: {nearest}"
            )

    @property
    def network(self) -> str:
        """What records call it."""
        return self.pattern

    def __str__(self) -> str:
        """Name it as progress and messages do."""
        return f"{self.pattern} depth {self.depth}"


def macs(spec: PatternSpec) -> int:
    """Return the multiply-adds of one call over the whole batch, in closed form: stem, blocks and head."""
    block = get(spec.pattern).macs_per_pixel(spec.width, spec.expansion)
    stem = 9 * IMAGE_CHANNELS * spec.width
    pixels = spec.resolution**2
    return spec.batch * (pixels * (stem + spec.depth * block) + spec.width * CLASSES)


def build(spec: PatternSpec) -> torch.nn.Module:
    """
    Build the network, in evaluation mode, with weights and batch-norm statistics that `spec` determines.

    Its parts are `features` (`stem`, `block1`, ...; output N x C x R x R), `pool`, `flatten` and `head`
    (output N x 10). The global random state is left as it was.

    Convolution weights are drawn as by He et al. 2015 (normal, fan-in, gain of ReLU). One pass over
    seeded images sets the batch-norm statistics, and takes most of their mean from the head's outputs:
    with the default ones the signal dies within 50 blocks, any two inputs give nearly the same output,
    and comparing outputs proves nothing. Batch norm's shift is 2: with 0, such a network is chaotic
    (Yang et al. 2019, "A mean field theory of batch normalization"), and rounding errors grow a
    million-fold in 90 layers; with 2, most units are in ReLU's linear part, and they hardly grow.
    """
    import torch
    from torch import nn

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(spec.seed)
        stages: OrderedDict[str, nn.Module] = OrderedDict(
            stem=_stage((Convolution(IMAGE_CHANNELS, spec.width, (3, 3)),))
        )
        block = get(spec.pattern).convolutions(spec.width, spec.expansion)
        for number in range(1, spec.depth + 1):
            stages[f"block{number}"] = _stage(block)
        model = nn.Sequential(
            OrderedDict(
                features=nn.Sequential(stages),
                pool=nn.AdaptiveAvgPool2d(1),
                flatten=nn.Flatten(),
                head=nn.Linear(spec.width, CLASSES),
            )
        )
    count = min(32, max(4, _CALIBRATION_PIXELS // spec.resolution**2))
    size = spec.resolution
    outputs = calibration.calibrate(
        model, calibration.images(count, size, size, spec.seed + _CALIBRATION_SEED)
    )
    with torch.no_grad():
        model.get_parameter("head.bias").sub_(_CENTRING * outputs.mean(0))
    return model


def example_input(spec: PatternSpec, seed: int = 0) -> torch.Tensor:
    """Return seeded images of the network's shape, NCHW float32; another seed gives other images."""
    return calibration.images(spec.batch, spec.resolution, spec.resolution, seed)


def _stage(convolutions: tuple[Convolution, ...]) -> torch.nn.Sequential:
    """Return the convolutions, each with its batch norm and ReLU."""
    from torch import nn

    layers: list[nn.Module] = []
    for each in convolutions:
        height, width = each.kernel
        convolution = nn.Conv2d(
            each.inputs,
            each.outputs,
            each.kernel,
            padding=(height // 2, width // 2),
            groups=each.groups,
            bias=False,
        )
        nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        norm = nn.BatchNorm2d(each.outputs)
        nn.init.constant_(norm.bias, _SHIFT)
        layers += [convolution, norm, nn.ReLU()]
    return nn.Sequential(*layers)
