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

__all__ = ["decode", "decode_versioned", "decoder", "encode", "encode_versioned", "encoder"]

_M = TypeVar("_M", bound=Message)

_FORMATS = {
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


# --- entry points -------------------------------------------------------------------------------------------


@cache
def decoder(cls: type[Message], version: int) -> Callable[[memoryview, int], tuple[Any, int]]:
    """The function that reads ``cls`` in ``version`` from a buffer at a position, and where it ended."""
    return _DecoderSource(cls, version).compile()


@cache
def encoder(cls: type[Message], version: int) -> Callable[[Any, list[Any]], None]:
    """The function that appends a message's chunks to a list; record bytes become chunks of their own."""
    return _EncoderSource(cls, version).compile()


def decode(cls: type[_M], version: int, data: bytes | bytearray | memoryview) -> _M:
    """Read one message that fills ``data``. Raises ``WireError``."""
    view = memoryview(data)
    message, end = decoder(cls, version)(view, 0)
    if end != len(view):
        raise WireError(f"{cls.__name__} v{version}: {len(view) - end} bytes too many")
    return message  # type: ignore[no-any-return]


def encode(message: Message, version: int) -> bytes:
    """The bytes of one message."""
    chunks: list[Any] = []
    encoder(type(message), version)(message, chunks)
    return b"".join(chunks)


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


def _uvarint(buffer: memoryview, position: int) -> tuple[int, int]:
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


def _pack_uvarint(value: int) -> bytes:
    if value < 0x80:
        return _SMALL[value]
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


_SMALL = [bytes([each]) for each in range(128)]


def _short(what: str) -> WireError:
    return WireError(f"{what} is cut short")


def _null(what: str) -> WireError:
    return WireError(f"{what} is null")


def _pack_tags(known: list[tuple[int, bytes]], unknown: dict[int, bytes] | None) -> bytes:
    """The tagged fields of a struct, in the order of their tags."""
    if not known and not unknown:
        return b"\0"
    every = sorted([*known, *(unknown or {}).items()])
    out = [_pack_uvarint(len(every))]
    for tag, data in every:
        out += (_pack_uvarint(tag), _pack_uvarint(len(data)), data)
    return b"".join(out)


def _record_chunks(value: Any) -> tuple[Any, int]:
    """Record bytes as a sequence of chunks, and their length."""
    if isinstance(value, list | tuple):
        return value, sum(map(len, value))
    return (value,), len(value)


def _live(cls: type[Struct], version: int) -> Iterator[Field]:
    """The fields of a struct that are in a version outside the tagged ones."""
    return (each for each in cls.fields if version in each.versions and not _is_tagged(each, version))


def _is_tagged(each: Field, version: int) -> bool:
    return each.tag is not None and version in each.tagged


def _tagged(cls: type[Struct], version: int) -> list[Field]:
    return [each for each in cls.fields if version in each.versions and _is_tagged(each, version)]


class _Source:
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


class _DecoderSource(_Source):
    """Writes ``decode(buf, pos) -> (message, pos)``."""

    def compile(self) -> Callable[[memoryview, int], tuple[Any, int]]:
        self.scope["uvarint"] = _uvarint
        self.line(0, "def decode(buf, pos):")
        self.line(1, "end = len(buf)")
        self.line(1, "try:")
        result = self._struct(2, self.cls)
        self.line(2, f"return {result}, pos")
        self.line(1, "except (struct_error, IndexError):")
        self.line(2, f"raise short({self.cls.__name__!r}) from None")
        self.line(1, "except UnicodeDecodeError:")
        self.line(2, f"raise WireError({self.cls.__name__ + ': a string is not UTF-8'!r}) from None")
        function: Callable[[memoryview, int], tuple[Any, int]] = self.compile_as("decode")
        return function

    def _struct(self, indent: int, cls: type[Struct]) -> str:
        """Read a struct; the name of the variable that holds it."""
        values: dict[str, str] = {}
        run: list[tuple[Field, str]] = []
        for each in _live(cls, self.version):
            if each.kind in _FORMATS:
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
        packer = self.packer("".join(_FORMATS[each.kind][0] for each, _ in run))
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
        length = self._length(indent, wide=kind != "string")
        variable, stop = self.fresh("v"), self.fresh("e")
        self.line(indent, f"if {length} < 0:")
        self.line(
            indent + 1,
            f"if {length} < -1: raise WireError({what + ' has a negative length'!r})",
        )
        self.line(indent + 1, f"{variable} = None" if nullable else f"raise null({what!r})")
        self.line(indent, "else:")
        self.line(indent + 1, f"{stop} = pos + {length}")
        self.line(indent + 1, f"if {stop} > end: raise short({what!r})")
        if (
            kind == "string" and self.flexible
        ):  # as in Kafka, no text is longer than the older versions can say
            too_long = f"{what} is longer than {_LONGEST_STRING} bytes"
            self.line(indent + 1, f"if {length} > {_LONGEST_STRING}: raise WireError({too_long!r})")
        piece = f"buf[pos:{stop}]"
        shown = {"string": f"str({piece}, 'utf-8')", "bytes": f"bytes({piece})", "records": piece}[kind]
        self.line(indent + 1, f"{variable} = {shown}")
        self.line(indent + 1, f"pos = {stop}")
        return variable

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
        if isinstance(element, str) and element in _FORMATS:
            code, size = _FORMATS[element]
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
            return _FORMATS[element][1] if element in _FORMATS else 1 if self.flexible else 2
        total = 1 if self.flexible else 0
        for each in _live(element, self.version):
            if each.kind in _FORMATS:
                total += _FORMATS[each.kind][1]
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
        known = _tagged(cls, self.version)
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


# --- encoding -----------------------------------------------------------------------------------------------


class _EncoderSource(_Source):
    """Writes ``encode(message, out)``, which appends chunks to ``out``.

    Bytes are gathered in a list ``p`` that becomes one chunk at the end, or before records, which are chunks of
    their own.
    """

    def __init__(self, cls: type[Message], version: int) -> None:
        super().__init__(cls, version)
        self._formats = ""
        self._packed: list[str] = []

    def compile(self) -> Callable[[Any, list[Any]], None]:
        self.scope |= {
            "uv": _pack_uvarint,
            "small": _SMALL,
            "pack_tags": _pack_tags,
            "record_chunks": _record_chunks,
            "join": b"".join,
        }
        self.line(0, "def encode(m, out):")
        self.line(1, "p = []")
        self.line(1, "a = p.append")
        self._struct(1, self.cls, "m")
        self.line(1, "out.append(join(p))")
        function: Callable[[Any, list[Any]], None] = self.compile_as("encode")
        return function

    def _fixed(self, format_: str, expression: str) -> None:
        self._formats += format_
        self._packed.append(expression)

    def _flush(self, indent: int, *more: str) -> None:
        """Append the waiting run of fixed-width values, and what follows it, as one piece."""
        pieces = list(more)
        if self._packed:
            packer = self.constant("pack", self.packer(self._formats).pack)
            pieces.insert(0, f"{packer}({', '.join(self._packed)})")
            self._formats, self._packed = "", []
        if pieces:
            self.line(indent, f"a({' + '.join(pieces)})")

    def _struct(self, indent: int, cls: type[Struct], source: str) -> None:
        for each in _live(cls, self.version):
            self._value(indent, each, f"{source}.{each.name}")
        if self.flexible:
            self._tags(indent, cls, source)
        else:
            self._flush(indent)

    def _value(self, indent: int, each: Field, expression: str) -> None:
        nullable = self.version in each.nullable
        match each.kind:
            case "string" | "bytes":
                self._sized(indent, each.kind, expression, nullable=nullable)
            case "records":
                self._records(indent, expression)
            case "array":
                self._array(indent, each, expression, nullable=nullable)
            case "struct":
                self._inner_struct(indent, each, expression, nullable=nullable)
            case _:
                self._fixed(_FORMATS[each.kind][0], expression)

    def _length(self, indent: int, count: str, *, wide: bool, follow: str = "") -> None:
        """Append a length, and ``follow`` behind it."""
        more = (follow,) if follow else ()
        if self.flexible:
            packed = f"(small[{count} + 1] if {count} < 127 else uv({count} + 1))"
            self._flush(indent, packed, *more)
        else:
            self._fixed("i" if wide else "h", count)
            if follow:
                self._flush(indent, *more)

    def _null(self, indent: int, *, wide: bool) -> None:
        if self.flexible:
            self._flush(indent, r"b'\0'")
        else:
            self._flush(indent, repr(b"\xff" * (4 if wide else 2)))

    def _sized(self, indent: int, kind: str, expression: str, *, nullable: bool) -> None:
        wide = kind != "string"
        variable, count = self.fresh("v"), self.fresh("n")
        self.line(indent, f"{variable} = {expression}")
        if nullable:
            self._flush(indent)
            self.line(indent, f"if {variable} is None:")
            self._null(indent + 1, wide=wide)
            self.line(indent, "else:")
            indent += 1
        if kind == "string":
            self.line(indent, f"{variable} = {variable}.encode()")
        self.line(indent, f"{count} = len({variable})")
        self._length(indent, count, wide=wide, follow=variable)

    def _records(self, indent: int, expression: str) -> None:
        variable, count = self.fresh("v"), self.fresh("n")
        self._flush(indent)
        self.line(indent, f"{variable} = {expression}")
        self.line(indent, f"if {variable} is None:")
        self._null(indent + 1, wide=True)
        self.line(indent, "else:")
        self.line(indent + 1, f"{variable}, {count} = record_chunks({variable})")
        self._length(indent + 1, count, wide=True)
        self._flush(indent + 1)
        self.line(indent + 1, f"if {count}:")
        self.line(indent + 2, "out.append(join(p))")
        self.line(indent + 2, "p.clear()")
        self.line(indent + 2, f"out.extend({variable})")

    def _array(self, indent: int, each: Field, expression: str, *, nullable: bool) -> None:
        element = each.element
        assert element is not None
        variable, count = self.fresh("v"), self.fresh("n")
        self.line(indent, f"{variable} = {expression}")
        if nullable:
            self._flush(indent)
            self.line(indent, f"if {variable} is None:")
            self._null(indent + 1, wide=True)
            self.line(indent, "else:")
            indent += 1
        self.line(indent, f"{count} = len({variable})")
        self._length(indent, count, wide=True)
        if isinstance(element, str) and element in _FORMATS:
            code = _FORMATS[element][0]
            if element == "uuid":
                self._flush(indent, f"join({variable})")
            else:
                pack = self.constant("pack", struct.pack)
                self._flush(indent, f"{pack}('>%d{code}' % {count}, *{variable})")
            return
        self._flush(indent)
        item = self.fresh("i")
        self.line(indent, f"for {item} in {variable}:")
        if isinstance(element, str):
            self._sized(indent + 1, element, item, nullable=False)
            self._flush(indent + 1)
        else:
            before = len(self.lines)
            self._struct(indent + 1, element, item)
            if len(self.lines) == before:
                self.line(indent + 1, "pass")

    def _inner_struct(self, indent: int, each: Field, expression: str, *, nullable: bool) -> None:
        assert isinstance(each.element, type)
        variable = self.fresh("v")
        self.line(indent, f"{variable} = {expression}")
        if nullable:
            self._flush(indent)
            self.line(indent, f"if {variable} is None:")
            self.line(indent + 1, r"a(b'\xff')")
            self.line(indent, "else:")
            indent += 1
            self._fixed("b", "1")
        self._struct(indent, each.element, variable)
        self._flush(indent)

    def _tags(self, indent: int, cls: type[Struct], source: str) -> None:
        known = _tagged(cls, self.version)
        unknown = f"{source}.unknown_tags"
        if not known:
            self._flush(indent, rf"(b'\0' if {unknown} is None else pack_tags([], {unknown}))")
            return
        self._flush(indent)
        tags = self.fresh("g")
        self.line(indent, f"{tags} = []")
        for each in known:
            value = f"{source}.{each.name}"
            self.line(indent, f"if {self._differs(each, value)}:")
            self._tag(indent + 1, each, value, tags)
        self.line(indent, f"a(pack_tags({tags}, {unknown}))")

    def _tag(self, indent: int, each: Field, value: str, tags: str) -> None:
        """Write one tagged field into bytes of its own."""
        outer = self.fresh("p")
        self.line(indent, f"{outer} = p")
        self.line(indent, "p = []")
        self.line(indent, "a = p.append")
        self._value(indent, each, value)
        self._flush(indent)
        self.line(indent, f"{tags}.append(({each.tag}, join(p)))")
        self.line(indent, f"p = {outer}")
        self.line(indent, "a = p.append")

    def _differs(self, each: Field, value: str) -> str:
        if each.default is None:
            return f"{value} is not None"
        if each.kind == "array":
            return f"{value} is None or {value}" if self.version in each.nullable else value
        default = self.constant("D", each.element() if each.kind == "struct" else each.default)  # type: ignore[operator,misc]
        return f"{value} != {default}"
