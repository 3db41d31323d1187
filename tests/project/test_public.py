"""
What is public is listed, the rule of CONTRIBUTING.md: a module without `__all__` is internal, and so is a
name that its module's `__all__` leaves out.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import formfn_profile
import perfcounters

ROOT = Path(__file__).parents[2]
MODULES = {
    name: importlib.import_module(name)
    for package in (formfn_profile, perfcounters)
    for name in (
        package.__name__,
        *(each.name for each in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")),
    )
    if not name.endswith("__main__")
}
PUBLIC = {name: module for name, module in MODULES.items() if hasattr(module, "__all__")}
PAGES = (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"))
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
SOURCES = {path.name: path.read_text() for path in (ROOT / "examples").glob("*.py")} | {
    f"{path.relative_to(ROOT)} {number}": block
    for path in PAGES
    for number, block in enumerate(BLOCK.findall(path.read_text()), 1)
}


@pytest.mark.parametrize("name", PUBLIC)
def test_what_a_module_lists_is_there_and_has_a_docstring(name):
    module = PUBLIC[name]
    assert len(set(module.__all__)) == len(module.__all__)
    for each in module.__all__:
        thing = getattr(module, each)
        if inspect.isclass(thing) or inspect.isfunction(thing):
            assert thing.__doc__, f"{name}.{each}"
            assert not each.startswith("_")


@pytest.mark.parametrize("package", [formfn_profile, perfcounters])
def test_what_a_package_lists_its_module_lists(package):
    """A class or function is public where it is defined, too: there its reference is."""
    for each in package.__all__:
        thing = getattr(package, each)
        if inspect.isclass(thing) or inspect.isfunction(thing):
            home = thing.__module__
            assert home in PUBLIC or home.rpartition(".")[2].startswith("_"), f"{each} of {home}"
            assert home not in PUBLIC or each in PUBLIC[home].__all__


def test_a_private_module_lists_nothing():
    assert not [name for name in PUBLIC if name.rpartition(".")[2].startswith("_")]


@pytest.mark.parametrize("name", SOURCES)
def test_examples_and_pages_use_what_is_public(name):
    """What a reader may copy goes on working."""
    unlisted = set()
    for node in ast.walk(ast.parse(SOURCES[name])):
        if isinstance(node, ast.ImportFrom) and node.module in MODULES:
            listed = getattr(MODULES[node.module], "__all__", ())
            names = {alias.name for alias in node.names}
            unlisted |= {
                each for each in names if each not in listed and f"{node.module}.{each}" not in PUBLIC
            }
    assert unlisted == set()
