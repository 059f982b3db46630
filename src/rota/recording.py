"""Events of a timeline as a file that survives ``kill -9``: one for each process, appended by single writes.

A process that is killed has written either all of a batch's events or, when it died inside the system call, a
torn last line, which a reader leaves out. Nothing is buffered in the process.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Self

from rota.timeline.events import Event, to_json

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

__all__ = ["EventLog", "clock_ms"]


def clock_ms() -> int:
    """Milliseconds since 1970, by this machine's clock: all processes of a machine share it."""
    return time.time_ns() // 1_000_000


class EventLog:
    """The writing end: each ``write`` is one append of whole lines, from any thread."""

    def __init__(self, path: Path | str) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def write(self, *events: Event) -> None:
        """Append the events; when this returns they outlive the process."""
        rest = memoryview("".join(to_json(event) + "\n" for event in events).encode())
        while rest:
            rest = rest[os.write(self._fd, rest) :]

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
