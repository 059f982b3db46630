"""Which part of a table that is longer than its room is shown."""

from __future__ import annotations

__all__ = ["Scroll", "around"]


class Scroll:
    """The first row shown, moved by keys. How many rows there are, and room for, is known when it is drawn."""

    def __init__(self) -> None:
        self.first = 0
        self._room = 1

    def press(self, key: str) -> bool:
        """Whether this key scrolls."""
        page = max(1, self._room - 1)
        steps = {
            "up": -1,
            "down": 1,
            "page-up": -page,
            "page-down": page,
            "home": -1_000_000,
            "end": 1_000_000,
        }
        if key not in steps:
            return False
        self.first = max(0, self.first + steps[key])
        return True

    def fit(self, count: int, room: int) -> range:
        """The rows to show of so many."""
        self._room = max(1, room)
        self.first = max(0, min(self.first, count - self._room))
        return range(self.first, min(count, self.first + self._room))


def around(chosen: int, count: int, room: int) -> range:
    """So many rows out of ``count`` that the chosen one is among them."""
    first = max(0, min(chosen - room // 2, count - room))
    return range(first, min(count, first + room))
