"""How a command that runs until it is told to stop is told: Ctrl+C, or SIGTERM as a supervisor sends it.

The signal only leaves word, and the command stops between two records. An exception out of nowhere could strike
after a record was printed and before it was noted as done, or inside a client library's callback.
"""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, TypeVar

from rota.cli.reader import sleep_while_read

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

__all__ = ["StopRequest"]

_T = TypeVar("_T")


class StopRequest:
    """From its making on, SIGINT and SIGTERM are remembered here; ``code`` is then 128 plus the number."""

    def __init__(self) -> None:
        self.code = 0
        self._reading = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._heed)

    def _heed(self, number: int, _frame: FrameType | None) -> None:
        self.code = 128 + number
        if self._reading:
            raise KeyboardInterrupt

    def items(self, source: Iterator[_T]) -> Iterator[_T]:
        """The source's items until it ends or a stop is wanted, which also ends a wait for the next line."""
        while not self.code:
            self._reading = True
            try:
                item = next(source)
            except (StopIteration, KeyboardInterrupt):
                return
            finally:
                self._reading = False
            yield item

    def sleep(self, seconds: float) -> None:
        """Sleep, but not through a stop."""
        end = time.monotonic() + seconds
        while not self.code and (left := end - time.monotonic()) > 0:
            sleep_while_read(min(left, 0.1))
