"""Which form for this machine: networks that were not measured, predicted and ranked under a budget."""

from __future__ import annotations

import statistics
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from formfn_profile import (
    cost_model,
    cost_text,
    live,
    models,
    networks,
    operations,
    patterns,
    tabular,
)
from formfn_profile.errors import MeasurementError, NetworkError, ResultsError, UnknownBackendError
from formfn_profile.models import Input, ModelSpec
from formfn_profile.patterns import PatternSpec
from formfn_profile.ranking import Comparison, Ranked, Ranking
from formfn_profile.results import pair
from perfcounters._terminal import fitted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import torch

    from formfn_profile.cost_model import CostModel, Prediction
    from formfn_profile.operations import Operation
    from formfn_profile.results import Record

    Candidate: TypeAlias = PatternSpec | ModelSpec | torch.nn.Module | str
    Inputs: TypeAlias = torch.Tensor | Input | str | Sequence[torch.Tensor | Input | str]

WIDTHS = (32, 64, 96, 128, 192, 256)
DEPTHS = tuple(range(1, 51))

__all__ = ["Advice"]


@dataclass(frozen=True, repr=False)
class Advice(tabular.Shown):
    """
    What one machine's records say of networks that were not measured on it.

    Printed, it is the costs fitted for each backend and the errors of patterns left out of the fit.
    """

    models: Mapping[str, CostModel]
    records: tuple[Record, ...]

    def predict(self, model: Candidate, inputs: Inputs | None = None, *, backend: str) -> Prediction:
        """
        Predict the latency of a network from its operations; it is not run.

        Args:
            model: A `PatternSpec`; a `torch.nn.Module` with its `inputs`, on the meta device or another; the
                name of a pattern or network, "package.module:function", a file; a `ModelSpec`.
            inputs: Tensors, or shapes such as "1x3x224x224"; a tuple or list for several.
            backend: The backend to predict for, one of `models`.

        Raises:
            UnknownBackendError: No model was fitted for this backend.
            NetworkError: There is no such network, or its operations cannot be told.
        """
        return self._model(backend).predict(_operations(model, inputs))

    def rank(
        self,
        candidates: Iterable[Candidate],
        budget_s: float,
        *,
        backend: str,
        inputs: Inputs | None = None,
        key: Callable[[Ranked], float] | None = None,
    ) -> Ranking:
        """
        Return the candidates that are predicted to take `budget_s` seconds at most, best first.

        Args:
            candidates: Networks, as `predict` takes them.
            budget_s: Seconds that a call may take.
            backend: The backend to predict for.
            inputs: The inputs of all candidates that do not tell their own.
            key: What makes a candidate better, the larger the better; its FLOPs where not given.

        Raises:
            FormfnError: As `predict` raises them.
        """
        if not budget_s > 0:
            raise MeasurementError(f"a budget of {budget_s} s: it must be above 0")
        model, given = self._model(backend), list(candidates)
        every = []
        for each in given:
            found = _operations(each, inputs)
            every.append(Ranked(each, model.predict(found), sum(one.macs for one in found)))
        within = [each for each in every if each.prediction.latency_s <= budget_s]
        within.sort(key=key or (lambda each: each.flops), reverse=True)
        return Ranking(backend, budget_s, len(given), tuple(within))

    def forms(
        self,
        budget_s: float,
        *,
        backend: str,
        names: Sequence[str] = tuple(patterns.PATTERNS),
        widths: Sequence[int] = WIDTHS,
        depths: Sequence[int] = DEPTHS,
        resolution: int = 112,
        batch: int = 1,
        key: Callable[[Ranked], float] | None = None,
    ) -> Ranking:
        """
        Return each pattern's deepest network of each width that takes `budget_s` seconds at most, best first.

        Args:
            budget_s: Seconds that a call may take.
            backend: The backend to predict for.
            names: Patterns.
            widths: Channels; one that a pattern cannot have is left out.
            depths: Numbers of blocks to choose among.
            resolution: Pixels a side.
            batch: Images a call.
            key: As `rank` has it.

        Raises:
            FormfnError: As `rank` raises them.
        """
        every = [
            PatternSpec(name, depth, width, resolution, batch)
            for name in names
            for width in widths
            if width % patterns.get(name).required_divisor() == 0
            for depth in depths
        ]
        found = self.rank(every, budget_s, backend=backend, key=key)
        deepest: dict[tuple[str, int], int] = {}
        for each in found:
            place = each.candidate.pattern, each.candidate.width
            deepest[place] = max(each.candidate.depth, deepest.get(place, 0))
        kept = (
            each
            for each in found
            if each.candidate.depth == deepest[each.candidate.pattern, each.candidate.width]
        )
        return Ranking(backend, budget_s, len(every), tuple(kept))

    def compare(self) -> list[Comparison]:
        """
        Predict the named networks that the records have timed, for each backend with a model: none of them
        was fitted on. As in Figure 5, a network that has a form of PyTorch of its own is with "torch".

        Raises:
            NetworkError: A network cannot be built, as without pytorchcv.
        """
        found = []
        rows = [row for row in pair(self.records) if row.timed and row.point.network in networks.NETWORKS]
        network: dict[tuple[str, int], tuple[Operation, ...]] = {}
        for backend, model in self.models.items():
            told = []
            for row in rows:
                point = row.point
                if (point.precision, point.threads) != (model.precision, model.threads):
                    continue
                if _figure5_backend(point) != backend:
                    continue
                asked = point.network, point.batch
                if asked not in network:
                    network[asked] = _operations(models.resolve(point.network, batch=point.batch), None)
                seconds = statistics.median(row.latency())
                by_flops = model.flops_only * sum(each.macs for each in network[asked])
                told.append((point.network, seconds, model.predict(network[asked]), by_flops))
            if told:
                found.append(Comparison(backend, tuple(told)))
        return found

    def text(self, width: int | None = None) -> str:
        """Return the costs and the errors of each backend."""
        return "\n\n".join(fitted(cost_text.lines(each), width) for each in self.models.values())

    def _repr_html_(self) -> str:
        return tabular.html([cost_text.lines(each) for each in self.models.values()])

    def _model(self, backend: str) -> CostModel:
        if backend not in self.models:
            raise UnknownBackendError(backend, self.models)
        return self.models[backend]


def advise(
    records: Sequence[Record],
    *,
    backends: Sequence[str] | None = None,
    threads: int | None = None,
    precision: str | None = None,
) -> Advice:
    """
    Fit a model for each backend, or for those named, on one machine's records.

    Raises:
        ResultsError: They are too few, or of several numbers of threads or precisions and none is chosen.
    """
    chosen = tuple(
        each for each in records if threads in (None, each.threads) and precision in (None, each.precision)
    )
    if records and not chosen:
        wanted = {"threads": threads, "precision": precision}
        asked = " and ".join(f"{name} {value}" for name, value in wanted.items() if value is not None)
        raise ResultsError(f"there is no record of {asked}")
    fitted = cost_model.fit([each for each in chosen if backends is None or each.backend in backends])
    if missing := [name for name in backends or () if name not in fitted]:
        raise ResultsError(f"{missing[0]}'s records do not suffice for a fit: {cost_model.NEEDED}")
    return Advice(fitted, chosen)


def _figure5_backend(point: Record) -> str:
    return "torch" if point.backend == networks.get(point.network).torch_backend else point.backend


def _operations(model: Candidate, inputs: Inputs | None) -> tuple[Operation, ...]:
    given: tuple[Any, ...] = (
        () if inputs is None else tuple(inputs) if isinstance(inputs, (list, tuple)) else (inputs,)
    )
    loaded = sys.modules.get("torch")
    if loaded and isinstance(model, loaded.nn.Module):
        return operations.of_module(model, live.tensors(given))
    spec = _spec(model, given) if isinstance(model, str) else model
    if isinstance(spec, PatternSpec):
        return operations.of_pattern(spec)
    if not isinstance(spec, ModelSpec):
        raise NetworkError(
            f"cannot predict {model!r}: give a torch.nn.Module (not its class), a name or a PatternSpec"
        )
    if spec.source in networks.NETWORKS:
        return operations.of_module(networks.outline(spec.source), live.tensors(spec.inputs))
    built = models.build(spec) if spec.packed is None else live.unpack(spec)
    if built.module is None:
        raise NetworkError(f"PyTorch cannot read {spec}, and its operations are told by PyTorch")
    return operations.of_module(built.module, built.inputs)


def _spec(name: str, given: Sequence[torch.Tensor | Input | str]) -> PatternSpec | ModelSpec:
    if name in patterns.PATTERNS and not given:
        return PatternSpec(name)
    shapes = [Input.parse(each) if isinstance(each, str) else each for each in given]
    told = [each for each in shapes if isinstance(each, Input)]
    if len(told) < len(shapes):
        raise NetworkError(f'{name} takes shapes of inputs, such as "1x3x224x224", not tensors')
    return models.resolve(name, told)
