"""Command lines that can be pasted into a shell, whatever names are in them."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["quoted", "shell_line"]


def shell_line(words: Iterable[str]) -> str:
    """All of them ``quoted``, on one line."""
    return " ".join(map(quoted, words))


def quoted(word: str) -> str:
    """One word, printable whatever is in it: ``tour``, ``'two words'``, and ``$'a\\033b'`` (POSIX 2024) for a name with
    control characters, which a terminal would obey.
    """
    if word.isprintable():
        return shlex.quote(word)
    return f"$'{''.join(map(_escaped, word))}'"


def _escaped(letter: str) -> str:
    if letter in "\\'":
        return f"\\{letter}"
    if letter.isprintable():
        return letter
    return "".join(f"\\{byte:03o}" for byte in letter.encode(errors="surrogateescape"))
