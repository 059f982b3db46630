"""Classes that are their fields: written as dataclasses are, made in a fraction of the time.

    class Produced(Plain):
        topic: str
        partition: int = 0

``dataclasses`` imports ``inspect`` and compiles half a dozen functions for each class when it is declared. A broker
that starts for one test waits for all of that, so what it imports is made with this: slots, no change after
construction (unless ``frozen=False``), equality by value, a hash (if frozen) and a ``repr``. ``__init__`` is written
when the first instance is made. A default is given as it is; ``field(default_factory=list)`` makes a new one each time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NoReturn, TypeVar, dataclass_transform

__all__ = ["Plain", "field", "replace"]

_V = TypeVar("_V", bound="Plain")


class _Made:
    """The mark of a default that is made anew for each instance."""

    def __init__(self, factory: Callable[[], Any]) -> None:
        self.factory = factory


def field(*, default_factory: Callable[[], object]) -> Any:
    """A default that every instance gets one of its own of."""
    return _Made(default_factory)


@dataclass_transform(eq_default=True, frozen_default=True, field_specifiers=(field,))
class _PlainType(type):
    """Turns annotations into slots."""

    def __new__(
        mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], *, frozen: bool = True
    ) -> _PlainType:
        annotated: dict[str, str] = namespace.get("__annotations__", {})
        own = tuple(each for each, kind in annotated.items() if not kind.startswith("ClassVar"))
        defaults = {each: namespace.pop(each) for each in own if each in namespace}
        inherited: Any = bases[0] if bases else None
        if inherited is not None:
            namespace["fields"] = namespace["__match_args__"] = inherited.fields + own
            namespace["defaults"] = {**inherited.defaults, **defaults}
            namespace["__slots__"] = own
            if not frozen:
                namespace["__setattr__"] = object.__setattr__
                namespace["__delattr__"] = object.__delattr__
                namespace["__hash__"] = None
        cls = super().__new__(mcs, name, bases, namespace)
        if inherited is not None:
            _write_init_later(cls)
        return cls


def _write_init_later(cls: Any) -> None:
    def first_init(self: Any, *args: Any, **kwargs: Any) -> None:
        cls.__init__ = _make_init(cls)
        cls.__init__(self, *args, **kwargs)

    cls.__init__ = first_init


def _make_init(cls: Any) -> Any:
    """``__init__`` with the fields in order or as keywords; the slots' own setters know nothing of frozen."""
    scope: dict[str, Any] = {"NEW": _NEW}
    arguments, body = [], []
    for name in cls.fields:
        scope[f"set_{name}"] = getattr(cls, name).__set__
        value = name
        if name in cls.defaults:
            default = cls.defaults[name]
            if isinstance(default, _Made):
                scope[f"make_{name}"] = default.factory
                value = f"make_{name}() if {name} is NEW else {name}"
                default = _NEW
            scope[f"default_{name}"] = default
            arguments.append(f"{name}=default_{name}")
        else:
            arguments.append(name)
        body.append(f" set_{name}(self, {value})")
    source = f"def __init__(self, {', '.join(arguments)}):\n" + ("\n".join(body) or " pass")
    exec(source, scope)  # noqa: S102 - our own declarations
    function = scope["__init__"]
    function.__qualname__ = f"{cls.__qualname__}.__init__"
    return function


_NEW = object()


class Plain(metaclass=_PlainType):
    """The base of all of them."""

    __slots__ = ()
    fields: ClassVar[tuple[str, ...]] = ()
    """The names, in order."""
    defaults: ClassVar[dict[str, Any]] = {}

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__}.{name} cannot be changed")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__}.{name} cannot be deleted")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.fields)

    def __hash__(self) -> int:
        return hash(_contents(self))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.fields)
        return f"{type(self).__name__}({shown})"

    def __reduce__(self) -> tuple[type[Plain], tuple[Any, ...]]:
        return type(self), _contents(self)


def _contents(value: Plain) -> tuple[Any, ...]:
    return tuple([getattr(value, name) for name in value.fields])


def replace(value: _V, /, **changes: Any) -> _V:
    """A copy with other values in these fields."""
    return type(value)(**{name: getattr(value, name) for name in value.fields} | changes)
