"""From declarations to bytes: one flat decode and one flat encode function a message and version.

Both are written as Python source and compiled when they are first asked for. Runs of fixed-width fields become
one ``struct`` call; strings, arrays and nested structs are unrolled in place. Measured, that is about as fast as
Python gets, and several times faster than a codec that walks a schema at run time.

A field that a version does not have is left out of its bytes, whatever its value: a handler fills in what it knows,
and each version shows what it has room for. (Kafka's own codec refuses some such values.)

Nothing is allocated because a length says so: every count is checked against the bytes that are really there.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, TypeVar

from rota.wire.errors import WireError
from rota.wire.schema import NEW, Field, Message, Struct

__all__ = [
    "MOST_ELEMENTS",
    "bounded_decoder",
    "decode",
    "decode_versioned",
    "decoder",
    "encode",
    "encode_versioned",
    "encoder",
    "has_records",
    "whole_encoder",
]

_M = TypeVar("_M", bound=Message)

FORMATS = {
    "bool": ("?", 1),
    "int8": ("b", 1),
    "int16": ("h", 2),
    "uint16": ("H", 2),
    "int32": ("i", 4),
    "uint32": ("I", 4),
    "int64": ("q", 8),
    "float64": ("d", 8),
    "uuid": ("16s", 16),
}
_LONGEST_STRING = 32_767
_LONGEST = 2**31 - 1
MOST_ELEMENTS = 256 * 1024
"""How many elements ``bounded_decoder`` reads; of a large Kafka cluster's largest requests a tenth of that is known."""


# --- entry points -------------------------------------------------------------------------------------------


@cache
def decoder(cls: type[Message], version: int) -> Callable[[bytes | memoryview, int], tuple[Any, int]]:
    """The function that reads ``cls`` in ``version`` from a buffer at a position, and where it ended."""
    return _DecoderSource(cls, version).compile()


@cache
def bounded_decoder(cls: type[Message], version: int) -> Callable[[bytes | memoryview, int], tuple[Any, int]]:
    """Like ``decoder``, for large frames: refuses more than ``MOST_ELEMENTS`` elements of arrays and tagged fields.

    Each costs up to a hundred times its bytes in memory. In a frame of so many bytes there cannot be more of them.
    """
    return _DecoderSource(cls, version, bounded=True).compile()


@cache
def encoder(cls: type[Message], version: int) -> Callable[[Any, list[Any]], None]:
    """The function that appends a message's chunks to a list; record bytes become chunks of their own."""
    from rota.wire.encoding import EncoderSource

    return EncoderSource(cls, version).compile()


@cache
def whole_encoder(cls: type[Message], version: int) -> Callable[[Any], bytes]:
    """The function that returns a message's bytes."""
    from rota.wire.encoding import EncoderSource

    if has_records(cls, version):
        return lambda message: b"".join(_chunks(message, version))
    return EncoderSource(cls, version).compile_whole()


@cache
def has_records(cls: type[Struct], version: int) -> bool:
    """Whether a message has record bytes somewhere, which are read and written without a copy."""
    return any(
        each.kind == "records" or (isinstance(each.element, type) and has_records(each.element, version))
        for each in cls.fields
        if version in each.versions
    )


def decode(cls: type[_M], version: int, data: bytes | bytearray | memoryview) -> _M:
    """Read one message that fills ``data``. Raises ``WireError``."""
    message, end = decoder(cls, version)(
        data if data.__class__ is bytes and not has_records(cls, version) else memoryview(data), 0
    )
    if end != len(data):
        raise WireError(f"{cls.__name__} v{version}: {len(data) - end} bytes too many")
    return message  # type: ignore[no-any-return]


def encode(message: Message, version: int) -> bytes:
    """The bytes of one message."""
    return whole_encoder(type(message), version)(message)


def _chunks(message: Message, version: int) -> list[Any]:
    chunks: list[Any] = []
    encoder(type(message), version)(message, chunks)
    return chunks


def decode_versioned(cls: type[_M], data: bytes | bytearray | memoryview) -> _M:
    """Read a message that begins with its own version (int16), as the records of Kafka's own topics do."""
    if len(data) < 2:
        raise WireError(f"{cls.__name__}: no version")
    version = int.from_bytes(data[:2], "big", signed=True)
    if version not in cls.versions:
        raise WireError(f"{cls.__name__}: version {version} is not known")
    return decode(cls, version, memoryview(data)[2:])


def encode_versioned(message: Message, version: int) -> bytes:
    """The bytes of a message behind its version (int16)."""
    return version.to_bytes(2, "big", signed=True) + encode(message, version)


# --- helpers that the compiled functions call ---------------------------------------------------------------


def _uvarint(buffer: bytes | memoryview, position: int) -> tuple[int, int]:
    """An unsigned varint of at most 32 bits."""
    value = shift = 0
    while True:
        byte = buffer[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value > 0xFFFFFFFF:
                raise WireError("a varint is larger than 32 bits")
            return value, position
        shift += 7
        if shift > 28:
            raise WireError("a varint is longer than 5 bytes")


def _long(buffer: bytes | memoryview, position: int, longest: int, what: str) -> tuple[int, int]:
    """Where a string or bytes begin and end that are longer than 126 bytes."""
    length, position = _uvarint(buffer, position)
    if not length:
        raise _null(what)
    if length - 1 > longest:
        raise WireError(f"{what} is longer than {longest} bytes")
    end = position + length - 1
    if end > len(buffer):
        raise _short(what)
    return position, end


def _short(what: str) -> WireError:
    return WireError(f"{what} is cut short")


def _null(what: str) -> WireError:
    return WireError(f"{what} is null")


def live(cls: type[Struct], version: int) -> Iterator[Field]:
    """The fields of a struct that are in a version outside the tagged ones."""
    return (each for each in cls.fields if version in each.versions and not _is_tagged(each, version))


def _is_tagged(each: Field, version: int) -> bool:
    return each.tag is not None and version in each.tagged


def tagged(cls: type[Struct], version: int) -> list[Field]:
    return [each for each in cls.fields if version in each.versions and _is_tagged(each, version)]


class Source:
    """Lines of the function being written, its constants, and fresh names."""

    def __init__(self, cls: type[Message], version: int) -> None:
        self.cls = cls
        self.version = version
        self.flexible = version in cls.flexible
        self.lines: list[str] = []
        self.scope: dict[str, Any] = {
            "NEW": NEW,
            "WireError": WireError,
            "struct_error": struct.error,
            "short": _short,
            "null": _null,
        }
        self._count = 0

    def fresh(self, stem: str) -> str:
        self._count += 1
        return f"{stem}{self._count}"

    def line(self, indent: int, text: str) -> None:
        self.lines.append("    " * indent + text)

    def constant(self, stem: str, value: Any) -> str:
        name = self.fresh(stem)
        self.scope[name] = value
        return name

    def packer(self, formats: str) -> struct.Struct:
        return struct.Struct(">" + formats)

    def compile_as(self, name: str) -> Any:
        source = "\n".join(self.lines)
        code = compile(source, f"<{name} {self.cls.__name__} v{self.version}>", "exec")
        exec(code, self.scope)  # noqa: S102 - our own declarations
        return self.scope[name]


# --- decoding -----------------------------------------------------------------------------------------------


class _DecoderSource(Source):
    """Writes ``decode(buf, pos) -> (message, pos)``; ``bounded``: it counts elements, see ``bounded_decoder``."""

    def __init__(self, cls: type[Message], version: int, *, bounded: bool = False) -> None:
        super().__init__(cls, version)
        self._bounded = bounded
        # Pieces of bytes are made faster than those of a view: only records are worth it that nothing is copied.
        self._in_place = has_records(cls, version)

    def compile(self) -> Callable[[bytes | memoryview, int], tuple[Any, int]]:
        self.scope |= {"uvarint": _uvarint, "long": _long}
        self.line(0, "def decode(buf, pos):")
        if not self._in_place:
            self.line(1, "if buf.__class__ is not bytes: buf = bytes(buf)")
        self.line(1, "end = len(buf)")
        if self._bounded:
            self.line(1, f"left = {MOST_ELEMENTS}")
        self.line(1, "try:")
        result = self._struct(2, self.cls)
        # Of a piece that is cut short nothing is missed before: what is behind it is not there either.
        self.line(2, f"if pos > end: raise short({self.cls.__name__!r})")
        self.line(2, f"return {result}, pos")
        self.line(1, "except (struct_error, IndexError):")
        self.line(2, f"raise short({self.cls.__name__!r}) from None")
        self.line(1, "except UnicodeDecodeError:")
        self.line(2, f"raise WireError({self.cls.__name__ + ': a string is not UTF-8'!r}) from None")
        function: Callable[[bytes | memoryview, int], tuple[Any, int]] = self.compile_as("decode")
        return function

    def _struct(self, indent: int, cls: type[Struct]) -> str:
        """Read a struct; the name of the variable that holds it."""
        values: dict[str, str] = {}
        run: list[tuple[Field, str]] = []
        for each in live(cls, self.version):
            if each.kind in FORMATS:
                variable = self.fresh("v")
                run.append((each, variable))
                values[each.name] = variable
                continue
            self._flush(indent, run)
            values[each.name] = self._value(indent, each, f"{cls.__name__}.{each.name}")
        self._flush(indent, run)
        unknown = self._tags(indent, cls, values) if self.flexible else None
        made = self.fresh("o")
        arguments = [values.get(each.name, self._absent(each)) for each in cls.fields]
        self.line(indent, f"{made} = {self.constant('C', cls)}({', '.join(arguments)})")
        if unknown is not None:
            self.line(indent, f"if {unknown}: {made}.unknown_tags = {unknown}")
        return made

    def _absent(self, each: Field) -> str:
        if each.kind in {"array", "struct"} and each.default is not None:
            return "NEW"
        return repr(each.default)

    def _flush(self, indent: int, run: list[tuple[Field, str]]) -> None:
        """Read a run of fixed-width fields with one call."""
        if not run:
            return
        packer = self.packer("".join(FORMATS[each.kind][0] for each, _ in run))
        unpack = self.constant("unpack", packer.unpack_from)
        targets = ", ".join(variable for _, variable in run)
        self.line(indent, f"{targets}{',' if len(run) == 1 else ''} = {unpack}(buf, pos)")
        self.line(indent, f"pos += {packer.size}")
        run.clear()

    def _value(self, indent: int, each: Field, what: str) -> str:
        nullable = self.version in each.nullable
        match each.kind:
            case "string" | "bytes" | "records":
                return self._sized(indent, each.kind, nullable=nullable, what=what)
            case "array":
                return self._array(indent, each, nullable=nullable, what=what)
            case "struct":
                return self._inner_struct(indent, each, nullable=nullable)
            case _:
                variable = self.fresh("v")
                self._flush(indent, [(each, variable)])
                return variable

    def _length(self, indent: int, *, wide: bool) -> str:
        """Read a length or count; -1 for null."""
        variable = self.fresh("n")
        if self.flexible:
            self.line(indent, f"{variable} = buf[pos]")
            self.line(indent, "pos += 1")
            self.line(indent, f"if {variable} > 127: {variable}, pos = uvarint(buf, pos - 1)")
            self.line(indent, f"{variable} -= 1")
        else:
            packer = self.packer("i" if wide else "h")
            unpack = self.constant("unpack", packer.unpack_from)
            self.line(indent, f"{variable}, = {unpack}(buf, pos)")
            self.line(indent, f"pos += {packer.size}")
        return variable

    def _sized(self, indent: int, kind: str, *, nullable: bool, what: str) -> str:
        variable, start, length = self.fresh("v"), self.fresh("s"), self.fresh("n")
        if self.flexible:
            self.line(indent, f"{length} = buf[pos]")
            self.line(indent, f"if 0 < {length} < 128:")
            self.line(indent + 1, f"{start} = pos + 1")
            self.line(indent + 1, f"pos += {length}")
            self._piece(indent + 1, kind, variable, start)
            if nullable:
                self.line(indent, f"elif not {length}:")
                self.line(indent + 1, f"{variable} = None")
                self.line(indent + 1, "pos += 1")
            # As in Kafka, no text is longer than the older versions can say.
            longest = _LONGEST_STRING if kind == "string" else _LONGEST
            self.line(indent, "else:")
            self.line(indent + 1, f"{start}, pos = long(buf, pos, {longest}, {what!r})")
            self._piece(indent + 1, kind, variable, start)
            return variable
        packer = self.packer("h" if kind == "string" else "i")
        unpack = self.constant("unpack", packer.unpack_from)
        self.line(indent, f"{length}, = {unpack}(buf, pos)")
        self.line(indent, f"{start} = pos + {packer.size}")
        self.line(indent, f"if {length} >= 0:")
        self.line(indent + 1, f"pos = {start} + {length}")
        self._piece(indent + 1, kind, variable, start)
        self.line(indent, "else:")
        self.line(indent + 1, f"if {length} < -1: raise WireError({what + ' has a negative length'!r})")
        self.line(indent + 1, f"{variable} = None" if nullable else f"raise null({what!r})")
        self.line(indent + 1, f"pos = {start}")
        return variable

    def _piece(self, indent: int, kind: str, variable: str, start: str) -> None:
        """What lies between ``start`` and the position, as text, bytes or records."""
        piece = f"buf[{start}:pos]"
        if self._in_place:
            shown = {"string": f"str({piece}, 'utf-8')", "bytes": f"bytes({piece})", "records": piece}[kind]
        else:
            shown = {"string": f"{piece}.decode()", "bytes": piece}[kind]
        self.line(indent, f"{variable} = {shown}")

    def _bound(self, indent: int, count: str) -> None:
        if self._bounded:
            self.line(indent, f"left -= {count}")
            text = f"more than {MOST_ELEMENTS} elements"
            self.line(indent, f"if left < 0: raise WireError({text!r})")

    def _array(self, indent: int, each: Field, *, nullable: bool, what: str) -> str:
        count = self._length(indent, wide=True)
        variable = self.fresh("v")
        element = each.element
        assert element is not None
        self.line(indent, f"if {count} < 0:")
        self.line(indent + 1, f"if {count} < -1: raise WireError({what + ' has a negative count'!r})")
        self.line(indent + 1, f"{variable} = None" if nullable else f"raise null({what!r})")
        least = self._least(element)
        self.line(indent, f"elif {count} * {least} > end - pos: raise short({what!r})")
        self.line(indent, "else:")
        self._bound(indent + 1, count)
        if isinstance(element, str) and element in FORMATS:
            code, size = FORMATS[element]
            if element == "uuid":
                self.line(
                    indent + 1,
                    f"{variable} = [bytes(buf[p:p + 16]) for p in range(pos, pos + {count} * 16, 16)]",
                )
            else:
                unpack = self.constant("unpack", struct.unpack_from)
                self.line(indent + 1, f"{variable} = list({unpack}('>%d{code}' % {count}, buf, pos))")
            self.line(indent + 1, f"pos += {count} * {size}")
            return variable
        append = self.fresh("a")
        self.line(indent + 1, f"{variable} = []")
        self.line(indent + 1, f"{append} = {variable}.append")
        self.line(indent + 1, f"for _ in range({count}):")
        if isinstance(element, str):
            item = self._sized(indent + 2, element, nullable=False, what=what)
        else:
            item = self._struct(indent + 2, element)
        self.line(indent + 2, f"{append}({item})")
        return variable

    def _inner_struct(self, indent: int, each: Field, *, nullable: bool) -> str:
        element = each.element
        assert isinstance(element, type)
        if not nullable:
            return self._struct(indent, element)
        # A byte says whether it is there: negative for null, 0 in a tagged field.
        variable = self.fresh("v")
        presence = self.fresh("n")
        self._flush(indent, [(Field("int8", each.versions, each.nullable, 0), presence)])
        self.line(indent, f"if {presence} < {int(each.tag is not None)}: {variable} = None")
        self.line(indent, "else:")
        made = self._struct(indent + 1, element)
        self.line(indent + 1, f"{variable} = {made}")
        return variable

    def _least(self, element: str | type[Struct]) -> int:
        """The fewest bytes one element can take, at least 1: what bounds a claimed count."""
        if isinstance(element, str):
            return FORMATS[element][1] if element in FORMATS else 1 if self.flexible else 2
        total = 1 if self.flexible else 0
        for each in live(element, self.version):
            if each.kind in FORMATS:
                total += FORMATS[each.kind][1]
            elif each.kind == "struct":
                assert isinstance(each.element, type)
                total += 1 if self.version in each.nullable else self._least(each.element)
            elif self.flexible:
                total += 1
            else:
                total += 2 if each.kind == "string" else 4
        return max(total, 1)

    def _tags(self, indent: int, cls: type[Struct], values: dict[str, str]) -> str:
        """Read the tagged fields; the name of the variable that holds those nobody declared."""
        known = tagged(cls, self.version)
        count, unknown = self.fresh("n"), self.fresh("u")
        for each in known:
            values[each.name] = variable = self.fresh("t")
            self.line(indent, f"{variable} = {self._absent(each)}")
        self.line(indent, f"{unknown} = None")
        self.line(indent, f"{count} = buf[pos]")
        self.line(indent, "pos += 1")
        self.line(indent, f"if {count}:")
        inner = indent + 1
        tag, size, stop = self.fresh("g"), self.fresh("s"), self.fresh("e")
        self.line(inner, f"if {count} > 127: {count}, pos = uvarint(buf, pos - 1)")
        self._bound(inner, count)
        self.line(inner, f"for _ in range({count}):")
        self.line(inner + 1, f"{tag}, pos = uvarint(buf, pos)")
        self.line(inner + 1, f"{size}, pos = uvarint(buf, pos)")
        self.line(inner + 1, f"{stop} = pos + {size}")
        self.line(inner + 1, f"if {stop} > end: raise short('a tagged field')")
        word = "if"
        for each in known:
            self.line(inner + 1, f"{word} {tag} == {each.tag}:")
            value = self._value(inner + 2, each, f"{cls.__name__}.{each.name}")
            self.line(inner + 2, f"{values[each.name]} = {value}")
            wrong = f"{cls.__name__}.{each.name} is not as long as its tag says"
            self.line(inner + 2, f"if pos != {stop}: raise WireError({wrong!r})")
            word = "elif"
        rest = inner + 1
        if known:
            self.line(inner + 1, "else:")
            rest += 1
        self.line(rest, f"if {unknown} is None: {unknown} = {{}}")
        self.line(rest, f"{unknown}[{tag}] = bytes(buf[pos:{stop}])")
        self.line(rest, f"pos = {stop}")
        return unknown
