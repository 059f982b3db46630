"""Which groups readers need not remember any more, and what is new of the others.

A cluster may see a hundred thousand groups in a day that live for a minute (`console-consumer-83021`). Of those that
are gone the last ones are remembered: somebody may ask what became of them.
"""

from __future__ import annotations

__all__ = ["MOST_GONE", "Gone", "Versions"]

MOST_GONE = 2_000


class Gone:
    """Groups that are gone, in the order of going."""

    def __init__(self) -> None:
        self._groups: dict[str, None] = {}

    def mark(self, group: str) -> list[str]:
        """It is gone. Those that are too many now, the first to go first."""
        self._groups[group] = None
        over = []
        while len(self._groups) > MOST_GONE:
            over.append(first := next(iter(self._groups)))
            del self._groups[first]
        return over

    def back(self, group: str) -> None:
        """It is there, again or still."""
        self._groups.pop(group, None)


class Versions:
    """Each group's version. Who asks ten times a second pays for what has changed."""

    def __init__(self) -> None:
        self._all: dict[str, int] = {}
        self._new: dict[str, int | None] = {}

    def put(self, group: str, version: int | None) -> None:
        """Its version now; None: it is forgotten."""
        if (self._new[group] if group in self._new else self._all.get(group)) != version:
            self._new[group] = version

    def all(self) -> dict[str, int]:
        """Of all groups; the same dictionary as long as nothing has changed, and one does not change any more."""
        if self._new:
            made = dict(self._all)
            for group, version in self._new.items():
                if version is None:
                    made.pop(group, None)
                else:
                    made[group] = version
            self._all, self._new = made, {}
        return self._all
