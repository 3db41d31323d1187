"""
Count what any code does, not only a network: here, summing a matrix by its rows and by its columns.

    python examples/count_any_code.py

Rows lie together in memory, columns do not: the same sums, other counts. What this machine cannot count
is left out, and why is said.
"""

import numpy as np

from perfcounters import Counters, countable

WANTED = ("task-clock", "page-faults", "instructions", "LLC-misses")
SIDE = 4000


def main() -> None:
    found = countable(WANTED)
    for name, error in found.items():
        if error is not None:
            print(f"Not counted: {name}. {error}")
    events = [name for name, error in found.items() if error is None]
    matrix = np.ones((SIDE, SIDE))
    for way in ("rows", "columns"):
        lines = matrix if way == "rows" else matrix.T
        with Counters(*events) as counters:
            total = sum(float(line.sum()) for line in lines)
        print(f"\nBy {way}: {total:.0f}\n{counters.reading.table()}")


if __name__ == "__main__":
    main()
