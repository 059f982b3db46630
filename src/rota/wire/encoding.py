"""The half of the codec that writes: one flat encode function a message and version, as Python source."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from rota.wire.codec import FORMATS, Source, live, tagged
from rota.wire.schema import Field, Message, Struct

__all__ = ["EncoderSource"]


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

# A length or count in a flexible version: one more, as a varint.
_SHORT_LENGTH = "(small[{0} + 1] if {0} < 127 else uv({0} + 1))"


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


class EncoderSource(Source):
    """Writes ``encode(message, out)``, which appends chunks to ``out``, or ``encode(message)``, which returns bytes.

    Pieces are gathered in a list ``p`` where there are loops and choices; they become one chunk at the end, or before
    records, which are chunks of their own. What is written without any is one expression.
    """

    def __init__(self, cls: type[Message], version: int) -> None:
        super().__init__(cls, version)
        self._formats = ""
        self._packed: list[str] = []
        self._pieces: list[str] = []  # expressions that are yet to be appended
        self._list = "p"
        self._uses_list = False

    def compile(self) -> Callable[[Any, list[Any]], None]:
        self._write("def encode(m, out):", "out.append({})")
        function: Callable[[Any, list[Any]], None] = self.compile_as("encode")
        return function

    def compile_whole(self) -> Callable[[Any], bytes]:
        """The function that returns everything at once, of a message without records."""
        self._write("def encode(m):", "return {}")
        function: Callable[[Any], bytes] = self.compile_as("encode")
        return function

    def _write(self, head: str, end: str) -> None:
        self.scope |= {
            "uv": _pack_uvarint,
            "small": _SMALL,
            "pack_tags": _pack_tags,
            "record_chunks": _record_chunks,
            "join": b"".join,
        }
        self._struct(1, self.cls, "m")
        self._close_run()
        if self._uses_list:
            self._flush(1)
            start = [head, "    p = []", "    a = p.append"]
            self.line(1, end.format("join(p)"))
        else:
            start = [head]
            every = ", ".join(self._pieces)
            self.line(1, end.format(every if len(self._pieces) == 1 else f"join(({every}))"))
        self.lines[:0] = start

    def _fixed(self, format_: str, expression: str) -> None:
        self._formats += format_
        self._packed.append(expression)

    def _close_run(self) -> None:
        """The waiting run of fixed-width values becomes one piece."""
        if self._packed:
            packer = self.constant("pack", self.packer(self._formats).pack)
            self._pieces.append(f"{packer}({', '.join(self._packed)})")
            self._formats, self._packed = "", []

    def _piece(self, expression: str) -> None:
        self._close_run()
        self._pieces.append(expression)

    def _flush(self, indent: int) -> None:
        """Append what waits, before a loop or a choice begins or ends."""
        self._close_run()
        if len(self._pieces) == 1:
            self._append(indent, self._pieces[0])
        elif self._pieces:
            self._uses_list |= self._list == "p"
            self.line(indent, f"{self._list} += ({', '.join(self._pieces)})")
        self._pieces = []

    def _append(self, indent: int, expression: str) -> None:
        if self._list == "p":
            self._uses_list = True
            self.line(indent, f"a({expression})")
        else:
            self.line(indent, f"{self._list}.append({expression})")

    def _struct(self, indent: int, cls: type[Struct], source: str) -> None:
        for each in live(cls, self.version):
            self._value(indent, each, f"{source}.{each.name}")
        if self.flexible:
            self._tags(indent, cls, source)

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
                self._fixed(FORMATS[each.kind][0], expression)

    def _length(self, count: str, *, wide: bool) -> None:
        if self.flexible:
            self._piece(_SHORT_LENGTH.format(count))
        else:
            self._fixed("i" if wide else "h", count)

    def _null(self, *, wide: bool) -> str:
        return repr(b"\0" if self.flexible else b"\xff" * (4 if wide else 2))

    def _sized(self, indent: int, kind: str, expression: str, *, nullable: bool) -> None:
        wide = kind != "string"
        variable, count = self.fresh("v"), self.fresh("n")
        coded = "{}.encode()" if kind == "string" else "{}"
        if not nullable:
            self.line(indent, f"{variable} = {coded.format(expression)}")
            self.line(indent, f"{count} = len({variable})")
            self._length(count, wide=wide)
            self._piece(variable)
            return
        self.line(indent, f"{variable} = {expression}")
        self.line(indent, f"if {variable} is None: {variable} = {self._null(wide=wide)}")
        self.line(indent, "else:")
        if kind == "string":
            self.line(indent + 1, f"{variable} = {coded.format(variable)}")
        self.line(indent + 1, f"{count} = len({variable})")
        if self.flexible:
            length = _SHORT_LENGTH.format(count)
        else:
            length = f"{self.constant('pack', self.packer('i' if wide else 'h').pack)}({count})"
        self.line(indent + 1, f"{variable} = {length} + {variable}")
        self._piece(variable)

    def _records(self, indent: int, expression: str) -> None:
        variable, count = self.fresh("v"), self.fresh("n")
        self._flush(indent)
        self.line(indent, f"{variable} = {expression}")
        self.line(indent, f"if {variable} is None:")
        self._append(indent + 1, self._null(wide=True))
        self.line(indent, "else:")
        self.line(indent + 1, f"{variable}, {count} = record_chunks({variable})")
        self._length(count, wide=True)
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
            self._append(indent + 1, self._null(wide=True))
            self.line(indent, "else:")
            indent += 1
        self.line(indent, f"{count} = len({variable})")
        self._length(count, wide=True)
        if isinstance(element, str) and element in FORMATS:
            code = FORMATS[element][0]
            if element == "uuid":
                self._piece(f"join({variable})")
            else:
                pack = self.constant("pack", struct.pack)
                self._piece(f"{pack}('>%d{code}' % {count}, *{variable})")
        else:
            self._flush(indent)
            self._elements(indent, element, variable)
        if nullable:
            self._flush(indent)

    def _elements(self, indent: int, element: str | type[Struct], variable: str) -> None:
        item = self.fresh("i")
        self.line(indent, f"for {item} in {variable}:")
        before = len(self.lines)
        if isinstance(element, str):
            self._sized(indent + 1, element, item, nullable=False)
        else:
            self._struct(indent + 1, element, item)
        self._flush(indent + 1)
        if len(self.lines) == before:
            self.line(indent + 1, "pass")

    def _inner_struct(self, indent: int, each: Field, expression: str, *, nullable: bool) -> None:
        assert isinstance(each.element, type)
        variable = self.fresh("v")
        self.line(indent, f"{variable} = {expression}")
        if nullable:
            self._flush(indent)
            self.line(indent, f"if {variable} is None:")
            self._append(indent + 1, r"b'\xff'")
            self.line(indent, "else:")
            indent += 1
            self._fixed("b", "1")
        self._struct(indent, each.element, variable)
        if nullable:
            self._flush(indent)

    def _tags(self, indent: int, cls: type[Struct], source: str) -> None:
        known = tagged(cls, self.version)
        unknown = f"{source}.unknown_tags"
        if not known:
            self._piece(rf"(b'\0' if {unknown} is None else pack_tags([], {unknown}))")
            return
        # Mostly all of them have their defaults, and nothing is written but that there is none.
        self._close_run()
        waiting, self._pieces = self._pieces, []
        tags, written = self.fresh("g"), self.fresh("t")
        values = [f"{source}.{each.name}" for each in known]
        conditions = [f"({self._differs(each, value)})" for each, value in zip(known, values, strict=True)]
        self.line(indent, rf"{written} = b'\0'")
        self.line(indent, f"if {unknown} is not None or {' or '.join(conditions)}:")
        self.line(indent + 1, f"{tags} = []")
        for each, value, condition in zip(known, values, conditions, strict=True):
            self.line(indent + 1, f"if {condition}:")
            self._tag(indent + 2, each, value, tags)
        self.line(indent + 1, f"{written} = pack_tags({tags}, {unknown})")
        self._pieces = [*waiting, written]

    def _tag(self, indent: int, each: Field, value: str, tags: str) -> None:
        """Write one tagged field into bytes of its own."""
        outer, self._list = self._list, self.fresh("p")
        self.line(indent, f"{self._list} = []")
        self._value(indent, each, value)
        self._flush(indent)
        self.line(indent, f"{tags}.append(({each.tag}, join({self._list})))")
        self._list = outer

    def _differs(self, each: Field, value: str) -> str:
        if each.default is None:
            return f"{value} is not None"
        if each.kind == "array":
            return f"{value} is None or {value}" if self.version in each.nullable else value
        if isinstance(each.element, type) and all(inner.kind in FORMATS for inner in each.element.fields):
            differing = [f"{value}.{inner.name} != {inner.default!r}" for inner in each.element.fields]
            return " or ".join([*differing, f"{value}.unknown_tags"])
        default = self.constant("D", each.element() if each.kind == "struct" else each.default)  # type: ignore[operator,misc]
        return f"{value} != {default}"
