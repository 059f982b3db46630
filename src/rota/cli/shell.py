"""Words of a command line that can be pasted into a shell."""

from __future__ import annotations

import shlex

__all__ = ["quoted"]


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
