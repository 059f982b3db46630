"""What `json.loads` gives, as the type that a handler asked for: dataclasses, TypedDicts, lists and so on.

A converter is made once, when the handler is registered; what no converter can be made for is a TypeError
then. What does not fit is a `MismatchError` that says where: ``$.lines[2].price: 3 is no string``. Fields that
a type does not have are ignored, so that producers may add some.
"""

from __future__ import annotations

import dataclasses
import enum
import types
from collections.abc import Callable, Mapping, MutableSequence, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import (
    Annotated,
    Any,
    Literal,
    NewType,
    TypeAlias,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)
from uuid import UUID

__all__ = ["Converter", "MismatchError", "converter", "plain_type", "type_name"]

Converter: TypeAlias = Callable[[Any], Any]


class MismatchError(ValueError):
    """Something in the JSON is not as the type says; ``path`` is filled on the way out, innermost first."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what
        self.path: list[str] = []

    def __str__(self) -> str:
        return f"${''.join(reversed(self.path))}: {self.what}"


def converter(kind: Any) -> Converter:
    """From JSON's strings, numbers, lists and objects to ``kind``. Raises TypeError if there is no way."""
    return _converter(kind, {})


def type_name(kind: Any) -> str:
    """``list[Order]``, as one would write it."""
    return (
        kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind).replace("typing.", "")
    )


def plain_type(kind: Any) -> Any:
    """What an alias, a NewType or an Annotated stands for."""
    while True:
        if get_origin(kind) is Annotated:
            kind = get_args(kind)[0]
        elif type(kind).__name__ == "TypeAliasType":  # `type Order = …`, since Python 3.12
            kind = kind.__value__
        elif isinstance(kind, NewType):
            kind = kind.__supertype__
        else:
            return kind


def _converter(kind: Any, known: dict[Any, list[Converter]]) -> Converter:
    kind = plain_type(kind)
    if kind is Any or kind is object:
        return lambda value: value
    if kind is None or kind is types.NoneType:
        return _null
    if kind in _PLAIN:
        return _plain(kind)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _made(kind, kind, (ValueError,))
    if kind in _FROM_TEXT:
        return _made(kind, *_FROM_TEXT[kind])
    origin = get_origin(kind) or kind
    if origin is Literal:
        return _one_of(get_args(kind))
    if origin is Union or origin is types.UnionType:
        return _union(kind, [_converter(each, known) for each in get_args(kind)])
    if origin in _LISTS:
        return _list(origin, get_args(kind), known)
    if origin in (dict, Mapping):
        return _dict(get_args(kind), known)
    if dataclasses.is_dataclass(kind) or is_typeddict(kind):
        return _fields(kind, known)
    raise TypeError(f"JSON cannot become {type_name(kind)}")


_PLAIN: dict[Any, str] = {str: "string", int: "whole number", float: "number", bool: "boolean"}

_FROM_TEXT: dict[Any, tuple[Converter, tuple[type[Exception], ...]]] = {
    datetime: (datetime.fromisoformat, (ValueError, TypeError)),
    date: (date.fromisoformat, (ValueError, TypeError)),
    UUID: (UUID, (ValueError, AttributeError, TypeError)),
    Decimal: (lambda value: Decimal(str(value)), (InvalidOperation,)),
}

_LISTS: dict[Any, Callable[[list[Any]], Any]] = {
    list: lambda items: items,
    Sequence: lambda items: items,
    MutableSequence: lambda items: items,
    tuple: tuple,
    set: set,
    frozenset: frozenset,
    AbstractSet: frozenset,
}


def _null(value: Any) -> None:
    if value is not None:
        raise MismatchError(f"{_short(value)} is not null")


def _plain(kind: type) -> Converter:
    def convert(value: Any) -> Any:
        if type(value) is kind:  # a bool is no int here
            return value
        if kind is float and type(value) is int:
            return float(value)
        raise MismatchError(f"{_short(value)} is no {_PLAIN[kind]}")

    return convert


def _made(kind: Any, make: Converter, errors: tuple[type[Exception], ...]) -> Converter:
    def convert(value: Any) -> Any:
        try:
            return make(value)
        except errors:
            raise MismatchError(f"{_short(value)} is no {type_name(kind)}") from None

    return convert


def _one_of(values: tuple[Any, ...]) -> Converter:
    def convert(value: Any) -> Any:
        for each in values:
            if type(value) is type(each) and value == each:
                return each
        raise MismatchError(f"{_short(value)} is none of {', '.join(map(repr, values))}")

    return convert


def _union(kind: Any, choices: list[Converter]) -> Converter:
    def convert(value: Any) -> Any:
        problems = []
        for choice in choices:
            try:
                return choice(value)
            except MismatchError as problem:
                problems.append(problem)
        deepest = max(problems, key=lambda problem: len(problem.path))
        if deepest.path:  # it was meant to be that one
            raise deepest
        raise MismatchError(f"{_short(value)} is no {type_name(kind)}")

    return convert


def _list(origin: Any, arguments: tuple[Any, ...], known: dict[Any, list[Converter]]) -> Converter:
    make = _LISTS[origin]
    if origin is tuple and arguments and arguments[-1] is not Ellipsis:
        each = [_converter(argument, known) for argument in arguments]
    else:
        each = [_converter(arguments[0] if arguments else Any, known)]
    fixed = origin is tuple and bool(arguments) and arguments[-1] is not Ellipsis

    def convert(value: Any) -> Any:
        if type(value) is not list:
            raise MismatchError(f"{_short(value)} is no list")
        if fixed and len(value) != len(each):
            raise MismatchError(f"the list has {len(value)} items, not {len(each)}")
        items = []
        for index, item in enumerate(value):
            try:
                items.append(each[index if fixed else 0](item))
            except MismatchError as problem:
                problem.path.append(f"[{index}]")
                raise
        return make(items)

    return convert


def _dict(arguments: tuple[Any, ...], known: dict[Any, list[Converter]]) -> Converter:
    if arguments and arguments[0] not in (str, Any):
        raise TypeError(f"the keys of a JSON object are str, not {type_name(arguments[0])}")
    each = _converter(arguments[1] if arguments else Any, known)

    def convert(value: Any) -> Any:
        if type(value) is not dict:
            raise MismatchError(f"{_short(value)} is no object")
        return {name: _inside(each, name, item) for name, item in value.items()}

    return convert


def _fields(kind: Any, known: dict[Any, list[Converter]]) -> Converter:
    """A dataclass or a TypedDict. ``known`` holds those that are being made: types may contain themselves."""
    if kind in known:
        made = known[kind]
        return lambda value: made[0](value)  # noqa: PLW0108  # it is not there yet
    made = known[kind] = []
    hints = get_type_hints(kind)
    if is_typeddict(kind):
        names = {name: name in kind.__required_keys__ for name in hints}
        make: Callable[..., Any] = dict
    else:
        names = {field.name: _required(field) for field in dataclasses.fields(kind) if field.init}
        make = kind
    each = {name: _converter(hints[name], known) for name in names}
    required = [name for name, must in names.items() if must]

    def convert(value: Any) -> Any:
        if type(value) is not dict:
            raise MismatchError(f"{_short(value)} is no object, so no {type_name(kind)}")
        for name in required:
            if name not in value:
                raise MismatchError(f"the field {name} is missing")
        found = {name: _inside(each[name], name, value[name]) for name in each if name in value}
        return make(**found)

    made.append(convert)
    return convert


def _required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _inside(convert: Converter, name: str, value: Any) -> Any:
    try:
        return convert(value)
    except MismatchError as problem:
        problem.path.append(f".{name}")
        raise


def _short(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
