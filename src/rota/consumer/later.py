"""A record that cannot be handled yet, through no fault of its own."""

from __future__ import annotations

__all__ = ["RetryLaterError", "later"]


class RetryLaterError(Exception):
    """Raised in a handler: the record is tried again in ``wait_s`` seconds, as often as it takes.

    This is not counted as an attempt, and never leads to a dead-letter topic: somebody else holds what the
    record needs, or a limit has been reached. Records of its order key wait behind it, all others go on.
    """

    def __init__(self, reason: str, wait_s: float) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


def later(wait_s: float, reason: str = "") -> RetryLaterError:
    """``raise later(5, "the API asks for patience")``: try this record again in so many seconds."""
    return RetryLaterError(reason or "the handler asked for it", wait_s)
