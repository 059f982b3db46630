"""What really happened: every attempt that any member made, and whether that was right."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

__all__ = ["Account", "Attempt", "Event", "Place", "read_attempts", "read_events"]

Place = tuple[int, int]
"""Partition and offset."""


class Attempt(NamedTuple):
    """One call of a handler; times are nanoseconds of a clock that all processes share. ``end_ns`` is None if it never
    came to an end.
    """

    member: str
    partition: int
    offset: int
    key: str
    number: int
    start_ns: int
    end_ns: int | None
    failed: bool

    @property
    def place(self) -> Place:
        return self.partition, self.offset

    @property
    def finished(self) -> bool:
        return self.end_ns is not None and not self.failed


class Event(NamedTuple):
    """What the runtime told: ``words[0]`` is assigned, revoked, lost, committed or commit-failed."""

    at_ns: int
    words: tuple[str, ...]


class Account:
    """All attempts of all members. ``dead``: records that went to the dead-letter topic, and so are done."""

    def __init__(self, attempts: Iterable[Attempt], dead: Iterable[Place] = ()) -> None:
        self.attempts = sorted(attempts, key=lambda each: each.start_ns)
        self._dead = set(dead)

    def finished(self, member: str | None = None) -> set[Place]:
        """What was brought to an end, by this member or by anybody."""
        return {each.place for each in self.attempts if each.finished and member in {None, each.member}}

    def missing(self, ends: Mapping[int, int]) -> set[Place]:
        """Records below these ends that nobody finished."""
        return {
            (partition, offset) for partition, end in ends.items() for offset in range(end)
        } - self._done().keys()

    def repeated(self) -> set[Place]:
        """Records that were finished more than once."""
        counts = Counter(each.place for each in self.attempts if each.finished)
        return {place for place, count in counts.items() if count > 1}

    def out_of_order(self) -> list[str]:
        """Attempts that began before the record of the same key before them was done, by anybody."""
        done = self._done()
        offsets: dict[tuple[int, str], set[int]] = defaultdict(set)
        for each in self.attempts:
            offsets[each.partition, each.key].add(each.offset)
        before = {
            (partition, later): earlier
            for (partition, _), found in offsets.items()
            for earlier, later in pairwise(sorted(found))
        }
        return [
            f"{each} began before offset {before[each.place]} was done"
            for each in self.attempts
            if each.place in before
            and done.get((each.partition, before[each.place]), each.start_ns + 1) > each.start_ns
        ]

    def at_once(self) -> list[str]:
        """Attempts of one key that ran at the same time."""
        by_key: dict[tuple[int, str], list[Attempt]] = defaultdict(list)
        for each in self.attempts:
            by_key[each.partition, each.key].append(each)
        return [
            f"{later} began while {earlier} ran"
            for found in by_key.values()
            for earlier, later in pairwise(found)
            if earlier.end_ns is not None and earlier.end_ns > later.start_ns
        ]

    def _done(self) -> dict[Place, int]:
        """When each record was done first."""
        done: dict[Place, int] = {}
        for each in self.attempts:
            if each.end_ns is not None and (not each.failed or each.place in self._dead):
                done[each.place] = (
                    each.end_ns if each.failed else min(each.end_ns, done.get(each.place, each.end_ns))
                )
        return done


def read_attempts(file: Path) -> list[Attempt]:
    """Every attempt of the member that wrote this file."""
    attempts: list[Attempt] = []
    open_at: dict[Place, int] = {}
    for at_ns, words in _lines(file):
        place = int(words[1]), int(words[2])
        if words[0] == "began":
            assert place not in open_at, f"{file.stem} runs {place} twice at once"
            open_at[place] = len(attempts)
            attempts.append(Attempt(file.stem, *place, words[3], int(words[4]), at_ns, None, False))
        else:
            index = open_at.pop(place)
            attempts[index] = attempts[index]._replace(end_ns=at_ns, failed=words[0] == "failed")
    return attempts


def read_events(file: Path) -> list[Event]:
    """What the runtime told the member that wrote this file."""
    return [Event(at_ns, words) for at_ns, words in _lines(file)]


def _lines(file: Path) -> list[tuple[int, tuple[str, ...]]]:
    text = file.read_text() if file.exists() else ""
    whole = text[: text.rfind("\n") + 1]
    found = []
    for line in whole.splitlines():
        at_ns, *words = line.split()
        found.append((int(at_ns), tuple(words)))
    return found
