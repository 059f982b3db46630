"""The notation in which Kafka's messages are declared: one class a message, one line a field.

    class HeartbeatRequest(Message, api_key=12, versions="0-4", flexible="4+"):
        group_id: str = string(default="")
        generation_id: int = int32(default=0)
        group_instance_id: str | None = string("3+", nullable="3+", default=None)

A class is the union of all versions of its message. A field is there in ``versions`` ("0+" unless given), may be
null in ``nullable``, and with a ``tag`` travels among the tagged fields of ``tagged`` (KIP-482). What bytes that
means in one version is the codec's business (``rota.wire.codec``). Instances have slots, compare by value, and
take their fields as keywords; tagged fields nobody declared are kept in ``unknown_tags``.

Types in Python: ``uuid`` is 16 bytes; ``records`` is read as a memoryview of the frame and written from None,
bytes or a list of chunks; arrays are lists; timestamps are whole milliseconds.
"""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar, dataclass_transform

from rota.plain import Plain

__all__ = [
    "Field",
    "Message",
    "Records",
    "Struct",
    "Versions",
    "array",
    "boolean",
    "bytes_",
    "float64",
    "int8",
    "int16",
    "int32",
    "int64",
    "records",
    "string",
    "struct",
    "uint16",
    "uint32",
    "uuid",
]

_FOREVER = 32_767

Records = Any
"""What a ``records`` field holds: None, bytes-like, or a list of chunks with a length each (file regions too)."""


class Versions(Plain):
    """An inclusive range of versions; empty when ``last`` is below ``first``."""

    first: int
    last: int

    @classmethod
    @cache
    def parse(cls, text: str) -> Versions:
        """From Kafka's notation: "3", "0-4", "2+" or "none"."""
        if text == "none":
            return cls(0, -1)
        if text.endswith("+"):
            return cls(int(text[:-1]), _FOREVER)
        first, _, last = text.partition("-")
        return cls(int(first), int(last or first))

    def __contains__(self, version: object) -> bool:
        return isinstance(version, int) and self.first <= version <= self.last


_NEVER = Versions(0, -1)


class Field(Plain, frozen=False):
    """One declared field. ``kind`` is Kafka's type name, "array" or "struct"; ``element`` an array's or struct's."""

    kind: str
    versions: Versions
    nullable: Versions
    default: Any
    tag: int | None = None
    tagged: Versions = _NEVER
    element: str | type[Struct] | None = None
    name: str = ""


def _field(
    kind: str,
    versions: str,
    nullable: str,
    default: Any,
    tag: int | None,
    tagged: str,
    element: str | type[Struct] | None = None,
) -> Any:
    return Field(
        kind,
        Versions.parse(versions),
        Versions.parse(nullable),
        default,
        tag,
        Versions.parse(tagged),
        element,
    )


def boolean(versions: str = "0+", *, default: bool, tag: int | None = None, tagged: str = "none") -> Any:
    """One byte, 0 or 1."""
    return _field("bool", versions, "none", default, tag, tagged)


def int8(versions: str = "0+", *, default: int, tag: int | None = None, tagged: str = "none") -> Any:
    """A signed byte."""
    return _field("int8", versions, "none", default, tag, tagged)


def int16(versions: str = "0+", *, default: int, tag: int | None = None, tagged: str = "none") -> Any:
    """A signed 16-bit number."""
    return _field("int16", versions, "none", default, tag, tagged)


def uint16(versions: str = "0+", *, default: int, tag: int | None = None, tagged: str = "none") -> Any:
    """An unsigned 16-bit number."""
    return _field("uint16", versions, "none", default, tag, tagged)


def int32(versions: str = "0+", *, default: int, tag: int | None = None, tagged: str = "none") -> Any:
    """A signed 32-bit number."""
    return _field("int32", versions, "none", default, tag, tagged)


def uint32(versions: str = "0+", *, default: int, tag: int | None = None, tagged: str = "none") -> Any:
    """An unsigned 32-bit number."""
    return _field("uint32", versions, "none", default, tag, tagged)


def int64(versions: str = "0+", *, default: int, tag: int | None = None, tagged: str = "none") -> Any:
    """A signed 64-bit number."""
    return _field("int64", versions, "none", default, tag, tagged)


def float64(versions: str = "0+", *, default: float, tag: int | None = None, tagged: str = "none") -> Any:
    """An IEEE 754 double."""
    return _field("float64", versions, "none", default, tag, tagged)


def uuid(versions: str = "0+", *, default: bytes, tag: int | None = None, tagged: str = "none") -> Any:
    """16 bytes; all zero means none."""
    return _field("uuid", versions, "none", default, tag, tagged)


def string(
    versions: str = "0+",
    *,
    nullable: str = "none",
    default: str | None,
    tag: int | None = None,
    tagged: str = "none",
) -> Any:
    """UTF-8 with a length."""
    return _field("string", versions, nullable, default, tag, tagged)


def bytes_(
    versions: str = "0+",
    *,
    nullable: str = "none",
    default: bytes | None,
    tag: int | None = None,
    tagged: str = "none",
) -> Any:
    """Bytes with a length; copied out of the frame when read."""
    return _field("bytes", versions, nullable, default, tag, tagged)


def records(versions: str = "0+", *, nullable: str = "none", default: None = None) -> Any:
    """Record batches with a length; read and written without a copy."""
    return _field("records", versions, nullable, default, None, "none")


def array(
    element: str | type[Struct],
    versions: str = "0+",
    *,
    nullable: str = "none",
    default: list[Any] | None,
    tag: int | None = None,
    tagged: str = "none",
) -> Any:
    """A list of structs, or of a primitive type named as Kafka names it."""
    return _field("array", versions, nullable, default, tag, tagged, element)


def struct(
    element: type[Struct],
    versions: str = "0+",
    *,
    nullable: str = "none",
    default: Struct | None,
    tag: int | None = None,
    tagged: str = "none",
) -> Any:
    """One struct inside another."""
    return _field("struct", versions, nullable, default, tag, tagged, element)


class _New:
    """The mark of an argument that was not given and whose default has to be made anew."""

    def __repr__(self) -> str:
        return "NEW"


NEW = _New()


@dataclass_transform(
    eq_default=True,
    kw_only_default=True,
    field_specifiers=(
        array, boolean, bytes_, float64, int8, int16, int32, int64, records, string, struct, uint16, uint32, uuid,
    ),
)  # fmt: skip
class _StructType(type):
    """Turns declared fields into slots, and writes ``__init__`` when it is needed."""

    def __new__(
        mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any
    ) -> _StructType:
        declared: list[Field] = []
        for key, value in list(namespace.items()):
            if isinstance(value, Field):
                value.name = key
                declared.append(value)
                del namespace[key]
        if bases:
            namespace["__slots__"] = tuple(each.name for each in declared)
        namespace["fields"] = tuple(declared)
        cls = super().__new__(mcs, name, bases, namespace, **options)
        if declared:
            _write_init_later(cls, declared)
        return cls


def _write_init_later(cls: Any, declared: list[Field]) -> None:
    """Most of the messages that are imported are never made: ``__init__`` is written for the first that is."""

    def first_init(self: Any, *args: Any, **kwargs: Any) -> None:
        cls.__init__ = _make_init(declared)
        cls.__init__(self, *args, **kwargs)

    cls.__init__ = first_init


def _make_init(declared: list[Field]) -> Any:
    """An ``__init__`` that takes the fields in order or as keywords: written as source, for it is on the hot path."""
    scope: dict[str, Any] = {"NEW": NEW}
    arguments, body = [], []
    for each in declared:
        name = each.name
        if each.kind == "array" and each.default is not None:
            arguments.append(f"{name}=NEW")
            body.append(f" self.{name} = [] if {name} is NEW else {name}")
        elif each.kind == "struct" and each.default is not None:
            scope[f"make_{name}"] = each.element
            arguments.append(f"{name}=NEW")
            body.append(f" self.{name} = make_{name}() if {name} is NEW else {name}")
        else:
            arguments.append(f"{name}={each.default!r}")
            body.append(f" self.{name} = {name}")
    body.append(" self.unknown_tags = None")
    source = f"def __init__(self, {', '.join(arguments)}):\n" + "\n".join(body)
    exec(source, scope)  # noqa: S102 - our own declarations
    return scope["__init__"]


class _Tagged:
    """What is no declared field: tagged fields of a later Kafka, kept as they came."""

    __slots__ = ("unknown_tags",)

    unknown_tags: dict[int, bytes] | None

    def __init__(self) -> None:
        self.unknown_tags = None


class Struct(_Tagged, metaclass=_StructType):
    """A group of fields inside a message."""

    __slots__ = ()
    fields: ClassVar[tuple[Field, ...]]

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return (self.unknown_tags or None) == (other.unknown_tags or None) and all(
            getattr(self, each.name) == getattr(other, each.name) for each in self.fields
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = [
            f"{each.name}={value!r}"
            for each in self.fields
            if (value := getattr(self, each.name)) != each.default
        ]
        if self.unknown_tags:
            shown.append(f"unknown_tags={self.unknown_tags!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


class Message(Struct):
    """A message of its own: a request, a response, or a record of a log."""

    __slots__ = ()
    api_key: ClassVar[int] = -1
    versions: ClassVar[Versions] = _NEVER
    flexible: ClassVar[Versions] = _NEVER

    def __init_subclass__(cls, *, api_key: int = -1, versions: str = "0", flexible: str = "none") -> None:
        cls.api_key = api_key
        cls.versions = Versions.parse(versions)
        cls.flexible = Versions.parse(flexible)
