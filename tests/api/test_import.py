"""What importing the package costs, and that its names stay what they are whatever is imported when."""

from __future__ import annotations

import inspect
import pkgutil
import subprocess
import sys

import pytest

import formfn_profile as ff

HEAVY = ("torch", "openvino", "numpy", "matplotlib", "pandas", "cffi", "perfcounters")
FUNCTIONS = ("advise", "claims", "correlate", "count_flops", "layers", "load", "measure", "report", "study")
MODULES = ("backends", "errors", "models", "networks", "patterns", "plot")


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_importing_and_looking_loads_nothing_heavy():
    """Issue 8's bound; `dir` and tab completion ask for names, not for what they stand for."""
    code = f"import sys, formfn_profile as ff; dir(ff); print([n for n in {HEAVY} if n in sys.modules])"
    assert python(code) == "[]\n"


def test_dir_is_all():
    assert dir(ff) == sorted(ff.__all__)
    assert len(set(ff.__all__)) == len(ff.__all__)


@pytest.mark.parametrize("name", ff.__all__)
def test_every_name_is_there_with_a_docstring(name):
    found = getattr(ff, name)
    assert name == "__version__" or len(inspect.getdoc(found)) > 20


def test_what_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'formfn_profile' has no attribute 'measur'"):
        ff.measur  # noqa: B018
    assert not hasattr(ff, "tabular_")


def test_no_module_has_the_name_of_a_function_or_class():
    """Importing it would put the module in the function's place."""
    modules = {module.name for module in pkgutil.iter_modules(ff.__path__)}
    assert modules & set(ff.__all__) == set(MODULES)


@pytest.mark.parametrize("first", ["names", "modules"])
def test_names_stay_functions_in_every_order_of_import(first):
    """All modules before the names are asked for, and after."""
    names = f"assert all(callable(getattr(ff, name)) for name in {FUNCTIONS})\n"
    modules = (
        "for module in pkgutil.walk_packages(ff.__path__, 'formfn_profile.'):\n"
        "    if not module.name.endswith('__main__'): importlib.import_module(module.name)\n"
    )
    order = names + modules if first == "names" else modules
    python(f"import importlib, pkgutil, formfn_profile as ff\n{order}{names}")
