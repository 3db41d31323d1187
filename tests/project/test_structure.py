"""The dependency rule (imports point one way, nothing imports a command line), and how long code may be."""

from __future__ import annotations

import ast
import graphlib
import re
from typing import TYPE_CHECKING

import pytest
from architecture import C_CODE, MODULES, OUTSIDE, PARTS, PICTURE, ROOT, imports, part_of, svg

if TYPE_CHECKING:
    from collections.abc import Iterator

FROM_RECORDS_ONLY = (
    "formfn_profile.table",
    "formfn_profile.notes",
    "formfn_profile.flags",
    "formfn_profile.compare",
    "formfn_profile.export",
    "formfn_profile.observations",
    "formfn_profile.correlation",
    "formfn_profile.findings.__init__",
    "formfn_profile.plot.__init__",
    "formfn_profile.reporting.__init__",
    "formfn_profile.display",
    "formfn_profile.cost_model",
)
COMMANDS = (
    "formfn_profile.llc",
    "formfn_profile.layers_command",
    "formfn_profile.study_command",
    "formfn_profile.compare_command",
    "formfn_profile.export_command",
    "formfn_profile.correlate_command",
    "formfn_profile.claims_command",
    "formfn_profile.plot_command",
    "formfn_profile.report_command",
    "formfn_profile.roofline_command",
    "formfn_profile.advise_command",
    "formfn_profile.__main__",
    "perfcounters.__main__",
    "perfcounters.doctor",
)


@pytest.mark.parametrize("module", sorted(MODULES.keys() - set(OUTSIDE)))
def test_imports_point_down(module):
    """In the picture of docs/explanation/architecture.md; nobody has thought about what has no part."""
    mine = part_of(module)
    assert mine, f"name a part for {module}, in tools/architecture.py"
    others = [(name, part_of(name)) for name in imports(module) - set(OUTSIDE)]
    assert [name for name, part in others if part is not mine and part.row <= mine.row] == []


def test_every_part_is_there():
    every = {member for part in PARTS for member in part.members}
    assert {each for each in every if each not in MODULES and f"{each}.__init__" not in MODULES} == set()
    assert all((ROOT / folder).is_dir() for folder, *_ in C_CODE)


def test_no_module_imports_itself_by_way_of_others():
    ours = [module for module in MODULES if module.startswith("formfn_profile")]
    order = graphlib.TopologicalSorter({module: imports(module) - set(OUTSIDE) for module in ours})
    assert set(order.static_order()) >= set(ours) - set(OUTSIDE)


def test_the_picture_is_that_of_the_imports():
    """Else: python tools/architecture.py."""
    assert PICTURE.read_text() == svg()


def test_nothing_imports_a_command_line():
    """Whoever wants what a command does calls what the command calls."""
    importers = {
        (module, command)
        for module in MODULES
        for command in COMMANDS
        if command in imports(module) and not module.endswith("__main__")
    }
    assert importers == set()


@pytest.mark.parametrize("module", FROM_RECORDS_ONLY)
def test_pictures_and_tables_never_measure(module):
    """They read records: nothing that runs a network may be reached from them."""
    reached, waiting = set(), {module}
    while waiting:
        one = waiting.pop()
        reached.add(one)
        waiting |= imports(one) - reached - set(OUTSIDE)
    measuring = ("formfn_profile.backends", "formfn_profile.measuring", "formfn_profile.execution")
    assert {name for name in reached if name.startswith(measuring)} == set()


LONGEST_MODULE = 400
LONGEST_FUNCTION = 60
SOURCES = [
    path
    for folder in (
        "perfcounters",
        "formfn_profile",
        "csrc",
        "tools",
        "examples",
        "benchmarks",
        "fuzz",
        "tests",
    )
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in (".py", ".c", ".h") and path.name != "_perf.c"
]
# Beside what is longer, in a comment or docstring of its own: why.
REASON = re.compile(r"(?:#|\*) Long: \w")


def python_functions(text: str) -> Iterator[tuple[int, int]]:
    """Where each function begins, without its decorators, and how many lines it has."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, node.end_lineno - node.lineno + 1


def c_functions(text: str) -> Iterator[tuple[int, int]]:
    """As the code is laid out: a body's braces stand alone in the first column, below the signature."""
    lines = ["", *text.splitlines()]
    for opening, line in enumerate(lines):
        if line == "{":
            first = opening
            while re.match(r"[\w ]", lines[first - 1]):
                first -= 1
            yield first, lines.index("}", opening) - first + 1


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_and_functions_are_short(path):
    """At most 400 lines a module and 60 a function, unless a comment in line 1, or right above, says why."""
    text = path.read_text()
    lines = text.splitlines()
    assert len(lines) <= LONGEST_MODULE or REASON.search(lines[0])
    functions = python_functions if path.suffix == ".py" else c_functions
    long = [(first, length) for first, length in functions(text) if length > LONGEST_FUNCTION]
    unexplained = [lines[first - 1] for first, _ in long if not REASON.search(lines[first - 2])]
    assert unexplained == []


@pytest.mark.parametrize(
    "functions, text",
    [
        (python_functions, "x = 1\n@mark\ndef f(\n    a,\n):\n    pass\n"),
        (c_functions, "int x;\n\nstatic int f(int a,\n             int b)\n{\n    if (a) {\n    }\n}\n"),
    ],
)
def test_functions_are_measured_from_signature_to_end(functions, text):
    """Four lines of Python from the third on, six of C."""
    ((first, length),) = functions(text)
    assert (first, length) == ((3, 4) if functions is python_functions else (3, 6))
