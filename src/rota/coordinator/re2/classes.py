"""Sets of characters that have names."""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

__all__ = ["ESCAPED_CLASSES", "POSIX_CLASSES", "Accepts", "any_of", "property_class"]

Accepts: TypeAlias = Callable[[str], bool]


def any_of(parts: Sequence[Accepts]) -> Accepts:
    """What any of them accepts."""
    return lambda each: any(part(each) for part in parts)


def _in(characters: str) -> Accepts:
    return frozenset(characters).__contains__


def _not_in(characters: str) -> Accepts:
    without = frozenset(characters)
    return lambda each: each not in without


_WORD: Final = string.ascii_letters + string.digits + "_"
_SPACE: Final = "\t\n\f\r "
_ASCII: Final = "".join(map(chr, range(128)))

ESCAPED_CLASSES: Final[Mapping[str, Accepts]] = {
    "d": _in(string.digits),
    "D": _not_in(string.digits),
    "s": _in(_SPACE),
    "S": _not_in(_SPACE),
    "w": _in(_WORD),
    "W": _not_in(_WORD),
}

POSIX_CLASSES: Final[Mapping[str, Accepts]] = {
    "alnum": _in(string.ascii_letters + string.digits),
    "alpha": _in(string.ascii_letters),
    "ascii": _in(_ASCII),
    "blank": _in("\t "),
    "cntrl": _in(_ASCII[:32] + "\x7f"),
    "digit": _in(string.digits),
    "graph": _in(_ASCII[33:127]),
    "lower": _in(string.ascii_lowercase),
    "print": _in(_ASCII[32:127]),
    "punct": _in(string.punctuation),
    "space": _in(_SPACE + "\v"),
    "upper": _in(string.ascii_uppercase),
    "word": _in(_WORD),
    "xdigit": _in(string.hexdigits),
}

_CATEGORIES: Final[Mapping[str, str]] = {
    "C": "cfos",
    "L": "lmotu",
    "M": "cen",
    "N": "dlo",
    "P": "cdefios",
    "S": "ckmo",
    "Z": "lps",
}
"""The general categories, and what each of them is divided into."""


def property_class(name: str) -> Accepts | None:
    """The characters with a Unicode property: a general category, or a script, as far as it is in names of topics."""
    if name == "Any":
        return lambda _: True
    if name[:1] in _CATEGORIES and (len(name) == 1 or (len(name) == 2 and name[1] in _CATEGORIES[name[0]])):
        return lambda each: unicodedata.category(each).startswith(name)
    if name == "Latin":
        return _in(string.ascii_letters)
    if name == "Common":
        return lambda each: each.isascii() and not each.isalpha()
    if len(name) > 2 and name.isascii() and name[0].isupper() and name.replace("_", "").isalpha():
        return lambda _: False  # some other script
    return None
