"""
What importing the package adds to the start of Python, beside what it would with all it loads when used.

    python benchmarks/import_time.py [RUNS]

Medians of fresh interpreters that take turns.
"""

import statistics
import subprocess
import sys
import time

PROGRAMS = {
    "Python alone": "pass",
    "import formfn_profile": "import formfn_profile",
    "import perfcounters": "import perfcounters",
    "formfn_profile.measure": "import formfn_profile; formfn_profile.measure",
    "import torch": "import torch",
}


def main() -> None:
    """Print the table."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    times: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for _ in range(runs):
        for name, code in PROGRAMS.items():
            started = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            times[name].append(time.perf_counter() - started)
    alone = statistics.median(times["Python alone"])
    print(f"{'':<24} {'ms':>8} {'added':>8} {'ratio':>6}")
    for name, samples in times.items():
        took = statistics.median(samples)
        print(f"{name:<24} {took * 1e3:>8.1f} {(took - alone) * 1e3:>8.1f} {took / alone:>6.2f}")


if __name__ == "__main__":
    main()
