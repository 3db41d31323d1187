"""Any order of opening, closing, entering, leaving and reading, against a plain model of what it means."""

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from perfcounters import Counters, errors

OPERATIONS = ("open", "close", "enter", "leave", "read", "reading", "snapshot")


class Model:
    """What Counters are documented to do; a read of the fake kernel at turn t gives 10 t."""

    def __init__(self, kernel):
        self.kernel = kernel
        self.is_open = False
        self.by_with = False
        self.entered = []  # the turns at which withs began
        self.last = None  # what the last with that ended counted

    def open(self):
        self.is_open = True

    def close(self):
        self.is_open = self.by_with = False
        self.entered.clear()

    def enter(self):
        if not self.is_open:
            self.is_open = self.by_with = True
        self.entered.append(self.kernel.turn)

    def leave(self):
        if not self.is_open or not self.entered:
            return "error"
        self.last = 10 * (self.kernel.turn - self.entered.pop())
        if self.by_with and not self.entered:
            self.is_open = self.by_with = False
        return None

    def read(self):
        if not self.is_open or not self.entered:
            return "error"
        return 10 * (self.kernel.turn - self.entered[-1])

    def reading(self):
        return "error" if self.last is None else self.last

    def snapshot(self):
        return None if self.is_open else "error"


def does(counters, operation):
    """Do it, and give what a user sees: a value, None or an error."""
    try:
        if operation == "enter":
            counters.__enter__()
        elif operation == "leave":
            counters.__exit__(None, None, None)
        elif operation == "read":
            return counters.read()["page-faults"].value
        elif operation == "reading":
            return counters.reading["page-faults"].value
        else:
            getattr(counters, operation)()
    except errors.CounterStateError:
        return "error"
    return None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@example(["open", "enter", "leave", "enter", "enter", "read", "leave", "reading", "read", "leave", "reading"])
@example(
    ["open", "enter", "leave", "enter", "close", "open", "leave", "reading", "enter", "leave", "reading"]
)
@example(["enter", "open", "leave", "reading", "snapshot", "enter", "leave", "reading"])
@given(st.lists(st.sampled_from(OPERATIONS), max_size=20))
def test_any_order(kernel, machine, operations):
    kernel.turn = 0
    counters, model = Counters("page-faults", scope="thread"), Model(kernel)
    for i, operation in enumerate(operations):
        seen = does(counters, operation)
        expected = getattr(model, operation)()
        assert seen == expected, operations[: i + 1]
        assert bool(kernel.live) == model.is_open, operations[: i + 1]
    counters.close()
    assert not kernel.live
