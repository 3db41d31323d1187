"""Whether the fields of a dataclass hold what their annotations say, for values that come from a file."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from functools import cache
from types import UnionType
from typing import Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

_LARGEST = 1 << 63

Check: TypeAlias = Callable[[Any], bool]


def wrong_field(instance: Any) -> str | None:
    """Return the name of the first field whose value is not of its type; None if all are."""
    kind: Any = type(instance)
    checks = _checks(kind)
    return next((name for name, fits in checks if not fits(getattr(instance, name))), None)


@cache
def _checks(kind: Any) -> tuple[tuple[str, Check], ...]:
    hints = get_type_hints(kind)
    return tuple((each.name, _check(hints[each.name])) for each in dataclasses.fields(kind))


def _check(kind: Any) -> Check:
    """Numbers are finite, and whole ones fit into 64 bits; a tuple's items are all of one kind."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Literal:
        return lambda value: value in parts
    inner = [_check(part) for part in parts if part is not Ellipsis]
    if origin in (Union, UnionType):
        one, *others = (fits for fits, part in zip(inner, parts, strict=True) if part is not type(None))
        if others or type(None) not in parts:
            return lambda value: any(fits(value) for fits in inner)
        return lambda value: value is None or one(value)
    if origin is tuple:
        return lambda value: isinstance(value, tuple) and all(map(inner[0], value))
    if origin is Mapping:
        return lambda value: isinstance(value, Mapping) and all(map(inner[1], value.values()))
    plain: dict[Any, Check] = {Any: lambda _: True, int: _is_whole, float: _is_number}
    return plain.get(kind, lambda value: isinstance(value, kind))


def _is_whole(value: Any) -> bool:
    return type(value) is int and -_LARGEST <= value < _LARGEST


def _is_number(value: Any) -> bool:
    return math.isfinite(value) if type(value) is float else _is_whole(value)
