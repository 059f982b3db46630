"""The broker's clock: milliseconds since the epoch that never step back."""

from __future__ import annotations

import time

__all__ = ["Clock"]


class Clock:
    """Wall-clock time at start, carried on by the monotonic clock.

    Session deadlines must not be shortened or stretched by a correction of the system's clock. A test moves
    time forward with ``advance``.
    """

    def __init__(self) -> None:
        self._origin_ms = time.time() * 1000 - time.monotonic() * 1000

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        return int(self._origin_ms + time.monotonic() * 1000)

    def advance(self, ms: int) -> None:
        """Let ``ms`` milliseconds pass at once, for tests and lessons."""
        self._origin_ms += ms
