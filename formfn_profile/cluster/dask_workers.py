"""Which workers a Dask cluster has, what each is, and which of them may measure."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from formfn_profile.cluster import dask_client
from formfn_profile.cluster.errand import Description, describe, other_versions
from formfn_profile.measuring.machine import software

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from distributed import Client

    from formfn_profile.cluster.errand import Errand

LOOK_S = 1.0
_SAME = ("cpu", "caches", "cpus", "architecture")


@dataclass(eq=False)
class Worker:
    """
    A worker that may measure, with so many errands at once as it has `threads`; `refuses` holds which kind it
    cannot do (`Errand.tied`).
    """

    address: str
    threads: int
    tagged: bool
    what: Description
    refuses: set[bool] = field(default_factory=set)


class Workers:
    """
    The workers that are there, those that come later too.

    Left out are those with another version of this package, and those that carry the tag on another kind of
    machine than the `first` that did; `notes` say so.
    """

    def __init__(self, client: Client, tag: str) -> None:
        self.first: Description | None = None
        self.notes: list[str] = []
        self._client = client
        self._tag = tag
        self._there: dict[str, Worker] = {}
        self._left_out: set[str] = set()
        self._looked = -LOOK_S

    def __contains__(self, worker: Worker) -> bool:
        return worker.address in self._there

    def __len__(self) -> int:
        return len(self._there)

    @property
    def tagged(self) -> list[Worker]:
        """Those on the machine that is meant."""
        return [worker for worker in self._there.values() if worker.tagged]

    def look(self) -> None:
        """
        Take note of which have come and gone, once a second at most.

        Raises:
            MeasurementError: The connection to the scheduler is lost.
        """
        if time.monotonic() - self._looked < LOOK_S:
            return
        found = dask_client.workers(self._client)
        self._there = {address: each for address, each in self._there.items() if address in found}
        new = found.keys() - self._there.keys() - self._left_out
        tagged = {address: float(found[address]["resources"].get(self._tag, 0)) >= 1 for address in new}
        for address, answer in self._described(sorted(new, key=lambda each: (not tagged[each], each))):
            if said := self._unfit(answer, tagged=tagged[address]):
                self._left_out.add(address)
                self.notes.append(f"the worker {address} is left out: {said}")
            elif isinstance(answer, Description):
                threads = found[address]["nthreads"]
                self._there[address] = Worker(address, threads, tagged[address], answer)
                if tagged[address] and self.first is None:
                    self.first = answer
        self._looked = time.monotonic()

    def free_for(
        self, errand: Errand, under_way: Collection[tuple[Errand, Worker]], *, timing: bool
    ) -> Worker | None:
        """
        Return the worker that is to have an errand, or None while there is none.

        A machine with a tagged worker times one point, and does nothing else of ours meanwhile; nor does it
        simulate while anything is to be timed (`timing`), on whichever of its workers.
        """
        errands = Counter(worker.address for _, worker in under_way)
        busy = {worker.what.boot for _, worker in under_way}
        reserved = {worker.what.boot for worker in self.tagged} if timing else set()

        def may(worker: Worker) -> bool:
            if errand.tied:
                free = worker.tagged and worker.what.boot not in busy
            else:
                free = worker.what.boot not in reserved and errands[worker.address] < worker.threads
            fit = not other_versions(worker.what.versions, errand.versions)
            return free and fit and errand.tied not in worker.refuses

        free = filter(may, self._there.values())
        return min(free, key=lambda worker: errands[worker.address], default=None)

    def _described(self, addresses: Sequence[str]) -> Iterator[tuple[str, object]]:
        """Give what each says that it is, or what it raised; whoever does not answer is asked again later."""
        if addresses:
            answers = self._client.run(describe, workers=list(addresses), on_error="return")
            yield from ((each, answers[each]) for each in addresses if not isinstance(answers[each], OSError))

    def _unfit(self, answer: object, *, tagged: bool) -> str | None:
        ours = {"formfn_profile": software()["formfn_profile"]}
        if isinstance(answer, (ImportError, AttributeError)):
            return f"it has no formfn-profile {ours['formfn_profile']} ({answer}). Install it there"
        if not isinstance(answer, Description):
            return str(answer)
        if said := other_versions(answer.versions, ours):
            return said
        if tagged and self.first:
            wanted, found = (_kind(each.machine) for each in (self.first, answer))
            if wanted != found:
                return (
                    f"it carries the tag {self._tag}, and its machine ({found}) is of another kind than the"
                    f" first that did ({wanted}). Give it another tag"
                )
        return None


def _kind(machine: Mapping[str, Any]) -> str:
    return ", ".join(str(machine.get(name)) for name in _SAME)
