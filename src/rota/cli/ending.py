"""How a command that runs until it is told to stop is told: Ctrl+C, or SIGTERM as a supervisor sends it."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["INTERRUPTED", "exit_code", "heed_sigterm"]

INTERRUPTED = 130
TERMINATED = 143


class TerminatedError(KeyboardInterrupt):
    """SIGTERM, which takes the same way out as Ctrl+C."""


def heed_sigterm() -> None:
    """From now on SIGTERM lets a command finish properly instead of killing it."""

    def stop(_signal: int, _frame: FrameType | None) -> NoReturn:
        raise TerminatedError

    signal.signal(signal.SIGTERM, stop)


def exit_code(interrupt: KeyboardInterrupt) -> int:
    """128 plus the signal's number, as shells have it."""
    return TERMINATED if isinstance(interrupt, TerminatedError) else INTERRUPTED
