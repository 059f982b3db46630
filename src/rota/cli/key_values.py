"""``k=v`` words of a command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["key_values"]


def key_values(pairs: Iterable[str], option: str) -> dict[str, str]:
    """``k=v`` words as a dict; anything else is wrong usage and says so."""
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise RotaError(f"{option} wants name=value, not {pair!r}", exit_code=2)
        found[name.strip()] = value.strip()
    return found
