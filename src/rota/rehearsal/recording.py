"""Recordings, one for each process (`rota.recording` writes them), read while they grow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rota.recording import EventLog, clock_ms
from rota.timeline.events import from_json

if TYPE_CHECKING:
    from rota.timeline.events import Event

__all__ = ["EventLog", "EventTail", "clock_ms"]


class EventTail:
    """The reading end: ``read`` gives what was added since the last time."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._position = 0
        self._torn = b""

    def read(self) -> list[Event]:
        """Whole new lines as events; none while the file does not exist. A line without its end waits for it."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._position)
                data = file.read()
        except FileNotFoundError:
            return []
        self._position += len(data)
        *lines, self._torn = (self._torn + data).split(b"\n")
        return [from_json(line) for line in lines if line.strip()]
