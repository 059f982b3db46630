"""Random messages of any declared class, valid in a given version."""

from __future__ import annotations

import random
from typing import Any

from rota.model import ErrorCode
from rota.wire.schema import Field, Struct

__all__ = ["random_struct"]

_BITS = {"int8": 8, "int16": 16, "int32": 32, "int64": 64}
_UNSIGNED = {"uint16": 16, "uint32": 32}
_CODES = [int(code) for code in ErrorCode]


def random_struct(cls: type[Struct], version: int, source: random.Random, *, depth: int = 0) -> Any:
    """An instance whose fields outside ``version`` have their defaults."""
    made = cls()
    for each in cls.fields:
        if version in each.versions:
            setattr(made, each.name, _value(each, version, source, depth))
    return made


def _value(each: Field, version: int, source: random.Random, depth: int) -> Any:
    if version in each.nullable and source.random() < 0.25:
        return None
    if each.kind == "array":
        assert each.element is not None
        count = source.choice([0, 1, 2, 3] if depth < 2 else [0, 1])
        return [_element(each.element, version, source, depth, each.name) for _ in range(count)]
    if each.kind == "struct":
        assert isinstance(each.element, type)
        return random_struct(each.element, version, source, depth=depth + 1)
    return _primitive(each.kind, source, each.name)


def _element(element: str | type[Struct], version: int, source: random.Random, depth: int, name: str) -> Any:
    if isinstance(element, str):
        return _primitive(element, source, name)
    return random_struct(element, version, source, depth=depth + 1)


def _primitive(kind: str, source: random.Random, name: str) -> Any:
    if kind in _BITS:
        if kind == "int16" and name.endswith("error_code"):
            return source.choice(_CODES)
        if name.endswith("_ms"):
            return source.randint(-1, 2**31 - 1)
        limit = 1 << (_BITS[kind] - 1)
        return source.choice([0, -1, 1, source.randint(-limit, limit - 1)])
    if kind in _UNSIGNED:
        return source.randint(0, (1 << _UNSIGNED[kind]) - 1)
    if kind == "bool":
        return source.random() < 0.5
    if kind == "float64":
        return source.uniform(-1e9, 1e9)
    if kind == "uuid":
        return source.randbytes(16)
    if kind == "string":
        return "".join(source.choice("aZ09-_.ü€𝄞 ") for _ in range(source.choice([0, 1, 5, 60, 200])))
    return source.randbytes(source.choice([0, 1, 30, 130, 300]))
