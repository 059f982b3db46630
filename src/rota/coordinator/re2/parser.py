"""The text of a regular expression, read into a tree. What RE2 refuses is refused: references, look-ahead and -behind.

Topics' names are lines of ASCII, and whole names are matched: which of several ways of matching is the first, and what
lines are, make no difference here, so greediness and most flags are read and not kept.
"""

from __future__ import annotations

from typing import Final

from rota.coordinator.re2.classes import ESCAPED_CLASSES, POSIX_CLASSES, Accepts, any_of, property_class
from rota.coordinator.re2.syntax import Assertion, Choice, Node, One, Repeat, Sequence

__all__ = ["PatternError", "parse"]

_MOST_REPEATS: Final = 1_000
_DEEPEST: Final = 200
_PLAIN_ESCAPES: Final = {"a": "\a", "f": "\f", "t": "\t", "n": "\n", "r": "\r", "v": "\v"}
_OCTAL, _HEX, _DIGITS = "01234567", "0123456789abcdefABCDEF", "0123456789"


class PatternError(ValueError):
    """The text is no regular expression; the message says why."""


def _is_word(text: str, position: int) -> bool:
    return 0 <= position < len(text) and (
        text[position] == "_" or (text[position].isascii() and text[position].isalnum())
    )


def _at_boundary(text: str, position: int) -> bool:
    return _is_word(text, position - 1) != _is_word(text, position)


_ASSERTIONS: Final = {
    "A": Assertion(lambda _, position: position == 0),
    "z": Assertion(lambda text, position: position == len(text)),
    "b": Assertion(_at_boundary),
    "B": Assertion(lambda text, position: not _at_boundary(text, position)),
}


def parse(text: str) -> Node:
    """The tree of a regular expression.

    Raises:
        PatternError
    """
    parser = _Parser(text)
    node = parser.choice()
    if parser.position < len(text):
        raise PatternError("unexpected )")
    return node


class _Parser:
    """Reads from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.depth = 0
        self.ignores_case = False
        self.names: set[str] = set()

    def peek(self, expected: str) -> bool:
        return self.text.startswith(expected, self.position)

    def take(self, expected: str) -> bool:
        if self.peek(expected):
            self.position += len(expected)
            return True
        return False

    def next(self, why: str) -> str:
        if self.position >= len(self.text):
            raise PatternError(why)
        self.position += 1
        return self.text[self.position - 1]

    # --- structure ------------------------------------------------------------------------------------------

    def choice(self) -> Node:
        options = [self.sequence()]
        while self.take("|"):
            options.append(self.sequence())
        return options[0] if len(options) == 1 else Choice(tuple(options))

    def sequence(self) -> Node:
        parts: list[Node] = []
        while self.position < len(self.text) and not self.peek("|") and not self.peek(")"):
            if self.take("\\Q"):
                quoted, _, _ = self.text[self.position :].partition("\\E")
                self.position = min(self.position + len(quoted) + 2, len(self.text))
                parts += [self.literal(character) for character in quoted]
                if not quoted:
                    continue
            elif not (flags := self.flags()):
                parts.append(self.atom())
            elif flags == "only":
                continue
            if parts:
                parts[-1] = self.repeated(parts[-1])
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def flags(self) -> str:
        """``(?i)``: flags for what follows in this group; "only" if there were some."""
        end = self.text.find(")", self.position)
        if not self.peek("(?") or end < 0 or not (flags := self.text[self.position + 2 : end]):
            return ""
        if set(flags) - set("imsU-"):
            return ""
        self.set_flags(flags)
        self.position = end + 1
        return "only"

    def set_flags(self, flags: str) -> None:
        on, minus, off = flags.partition("-")
        if set(on + off) - set("imsU") or (minus and not off):
            raise PatternError("invalid or unsupported flags")
        self.ignores_case = "i" not in off and ("i" in on or self.ignores_case)

    def repeated(self, part: Node) -> Node:
        times = self.times()
        if times is None:
            return part
        self.take("?")
        if self.times() is not None:
            raise PatternError("one repetition of another, without brackets between them")
        least, most = times
        return Repeat(part, least, most)

    def times(self) -> tuple[int, int | None] | None:
        for operator, times in {"*": (0, None), "+": (1, None), "?": (0, 1)}.items():
            if self.take(operator):
                return times
        end = self.text.find("}", self.position)
        if not self.peek("{") or end < 0:
            return None
        low, comma, high = self.text[self.position + 1 : end].partition(",")
        if not low or not set(low + high) <= set(_DIGITS):
            return None  # a brace that means itself
        self.position = end + 1
        if len(low) > 4 or len(high) > 4:
            raise PatternError("a repetition of more than 1000 times")
        least = int(low)
        most = int(high) if high else None if comma else least
        if max(least, most or 0) > _MOST_REPEATS or (most is not None and most < least):
            raise PatternError(f"an impossible repetition: {{{low}{comma}{high}}}")
        return least, most

    # --- atoms ----------------------------------------------------------------------------------------------

    def atom(self) -> Node:
        character = self.next("nothing")
        match character:
            case "(":
                return self.group()
            case "[":
                return One(self.character_class())
            case ".":
                return One(lambda _: True)
            case "^":
                return _ASSERTIONS["A"]
            case "$":
                return _ASSERTIONS["z"]
            case "*" | "+" | "?":
                raise PatternError(f"nothing that {character} could repeat")
            case "\\":
                return self.escape()
        return self.literal(character)

    def literal(self, character: str) -> Node:
        if self.ignores_case:
            wanted = character.casefold()
            return One(lambda other: other.casefold() == wanted)
        return One(lambda other: other == character)

    def group(self) -> Node:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise PatternError("too many brackets in brackets")
        ignores_case = self.ignores_case
        if self.take("?"):
            self.group_kind()
        node = self.choice()
        if not self.take(")"):
            raise PatternError("missing closing )")
        self.ignores_case = ignores_case
        self.depth -= 1
        return node

    def group_kind(self) -> None:
        if self.take("P<") or (
            self.peek("<") and not self.peek("<=") and not self.peek("<!") and self.take("<")
        ):
            name, closed, _ = self.text[self.position :].partition(">")
            if not closed or not name.isascii() or not name.isidentifier() or name in self.names:
                raise PatternError("a group's name that cannot be")
            self.names.add(name)
            self.position += len(name) + 1
            return
        flags, colon, _ = self.text[self.position :].partition(":")
        if not colon or set(flags) - set("imsU-"):
            raise PatternError("invalid or unsupported Perl syntax")
        if flags:
            self.set_flags(flags)
        self.position += len(flags) + 1

    def escape(self) -> Node:
        character = self.next("a trailing backslash")
        if character in _ASSERTIONS:
            return _ASSERTIONS[character]
        if character == "C":
            return One(lambda _: True)
        accepts = self.escaped_class(character)
        return One(accepts) if accepts else self.literal(self.escaped_character(character))

    def escaped_class(self, character: str) -> Accepts | None:
        if character in ESCAPED_CLASSES:
            return ESCAPED_CLASSES[character]
        if character not in "pP":
            return None
        name = self.next("a property without a name")
        if name == "{":
            name, closed, _ = self.text[self.position :].partition("}")
            if not closed:
                raise PatternError("a property whose name does not end")
            self.position += len(name) + 1
        is_negated = (character == "P") != name.startswith("^")
        accepts = property_class(name.removeprefix("^"))
        if accepts is None:
            raise PatternError(f"an unknown property: {name}")
        return (lambda each: not accepts(each)) if is_negated else accepts

    def escaped_character(self, character: str) -> str:
        if character in _PLAIN_ESCAPES:
            return _PLAIN_ESCAPES[character]
        if character == "0" or (
            character in "1234567" and self.text[self.position : self.position + 1] in set(_OCTAL)
        ):
            digits = character
            while len(digits) < 3 and self.text[self.position : self.position + 1] in set(_OCTAL):
                digits += self.next("")
            return chr(int(digits, 8))
        if character == "x":
            return self.hexadecimal()
        if character.isascii() and not character.isalnum():
            return character
        raise PatternError(f"an unknown escape: \\{character}")

    def hexadecimal(self) -> str:
        if self.take("{"):
            digits, closed, _ = self.text[self.position :].partition("}")
            self.position += len(digits) + len(closed)
        else:
            digits, closed = self.text[self.position : self.position + 2], "}"
            self.position += 2
            if len(digits) < 2:
                raise PatternError("\\x with too few digits")
        if (
            not closed
            or not digits
            or set(digits) - set(_HEX)
            or len(digits) > 6
            or int(digits, 16) > 0x10FFFF
        ):
            raise PatternError("\\x without a number")
        return chr(int(digits, 16))

    # --- classes --------------------------------------------------------------------------------------------

    def character_class(self) -> Accepts:
        is_negated = self.take("^")
        parts: list[Accepts] = []
        is_first = True
        while is_first or not self.peek("]"):
            is_first = False
            parts.append(self.class_part())
        self.position += 1
        accepts = any_of(parts)
        if self.ignores_case:
            sensitive = accepts
            accepts = lambda each: sensitive(each.lower()) or sensitive(each.upper())  # noqa: E731
        return (lambda each: not accepts(each)) if is_negated else accepts

    def class_part(self) -> Accepts:
        why = "missing closing ]"
        if self.peek("[:") and (end := self.text.find(":]", self.position)) > 0:
            name = self.text[self.position + 2 : end]
            posix = POSIX_CLASSES.get(name.removeprefix("^"))
            if posix is None:
                raise PatternError(f"an unknown class: [:{name}:]")
            self.position = end + 2
            return (lambda each: not posix(each)) if name.startswith("^") else posix
        character = self.next(why)
        if character == "\\":
            escaped = self.next(why)
            accepts = self.escaped_class(escaped)
            if accepts is not None:
                return accepts
            character = self.escaped_character(escaped)
        if not self.peek("-") or self.peek("-]"):
            return lambda each: each == character
        self.position += 1
        last = self.next(why)
        if last == "\\":
            last = self.escaped_character(self.next(why))
        if last < character:
            raise PatternError(f"a range that ends before it begins: {character}-{last}")
        return lambda each: character <= each <= last
