"""A record that cannot be handled yet, through no fault of its own."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["RetryLaterError", "later"]

_LONGEST_S = 86_400.0


class RetryLaterError(Exception):
    """Raised in a handler: the record is tried again in ``wait_s`` seconds, as often as it takes.

    This is not counted as an attempt, and never leads to a dead-letter topic: somebody else holds what the
    record needs, or a limit has been reached. Records of its order key wait behind it, all others go on.
    A ``wait_s`` that is no number is a ValueError, which fails the record as any other does.
    """

    wait_s: float = 1.0

    def __init__(self, reason: str, wait_s: float) -> None:
        super().__init__(reason)
        self.wait_s = _seconds(wait_s)
        if math.isnan(self.wait_s):
            raise ValueError(f"later({wait_s!r}): it wants a number of seconds")

    def __reduce__(self) -> Any:
        return type(self), (*self.args, self.wait_s)  # from the process of a handler

    @property
    def wait_ms(self) -> int:
        """The same in milliseconds, a day at the most; a second if somebody has made it no number since."""
        seconds = _seconds(self.wait_s)
        return 1_000 if math.isnan(seconds) else int(1000 * min(max(seconds, 0.001), _LONGEST_S))


def later(wait_s: float, reason: str = "") -> RetryLaterError:
    """``raise later(5, "the API asks for patience")``: try this record again in so many seconds."""
    return RetryLaterError(reason or "the handler asked for it", wait_s)


def _seconds(wait_s: object) -> float:
    """NaN: it is no number of seconds."""
    try:
        seconds = float(wait_s)  # type: ignore[arg-type]
    except Exception:  # whatever the application's own object says to that
        return math.nan
    return seconds if math.isfinite(seconds) else math.nan
