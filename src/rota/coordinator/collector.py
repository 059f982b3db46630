"""Keeps Python's cyclic garbage collector out of what makes many objects at once.

An assignment of a large group makes 100,000 small tuples that refer to no cycle and are all kept, an answer with all
offsets of many groups as many that are all dropped. The collector, woken by every 700 new ones, would look through them
again and again, and now and then through all that there is, and double the time.
"""

from __future__ import annotations

import gc
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["collector_paused"]

P = ParamSpec("P")
R = TypeVar("R")


def collector_paused(function: Callable[P, R]) -> Callable[P, R]:
    """Run ``function`` with the collector off, and leave it as it was found."""

    @wraps(function)
    def paused(*args: P.args, **kwargs: P.kwargs) -> R:
        if not gc.isenabled():
            return function(*args, **kwargs)
        gc.disable()
        try:
            return function(*args, **kwargs)
        finally:
            gc.enable()

    return paused
