"""Whoever only watches does no harm: what it raises is nobody's failure but its own."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ParamSpec, TypeVar

    P = ParamSpec("P")
    T = TypeVar("T")

__all__ = ["Harmless"]

log = logging.getLogger("rota.consumer")


class Harmless:
    """Calls what watches; None where that raises. ``what`` it is, for the log, which hears of it once."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._told = False

    def __call__(self, watch: Callable[P, T], *args: P.args, **more: P.kwargs) -> T | None:
        try:
            return watch(*args, **more)
        except Exception:
            if not self._told:
                self._told = True
                log.exception("%s failed; records go on, and this is not told again", self._what)
            return None
