"""Records that were read or processed more than once, and records that were passed over.

A partition's stream of deliveries is kept as readings: what one consumer read between two changes of
ownership, as a set of intervals. Whatever a later reading shares with an earlier one was repeated.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rota.timeline.intervals import Activity, IntervalSet

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Reading", "Repeat", "Stream"]


@dataclass(slots=True)
class Reading:
    """What a consumer read of a partition, each record once, between two changes of ownership."""

    consumer: str
    epoch: int
    start_ms: int
    end_ms: int
    offsets: IntervalSet = field(default_factory=IntervalSet)

    def copy(self) -> Reading:
        """An independent copy."""
        return Reading(self.consumer, self.epoch, self.start_ms, self.end_ms, self.offsets.copy())


@dataclass(frozen=True, slots=True)
class Repeat:
    """These offsets, inclusive, had been read in one reading and came again in another."""

    first_offset: int
    last_offset: int
    before: Reading
    again: Reading


class Stream:
    """All deliveries (or all completed work) of one partition."""

    def __init__(self) -> None:
        self.offsets = IntervalSet()
        self.activity = Activity()
        self.repeated = 0
        """How many deliveries there were beyond the first of each record."""
        self.epoch = 0
        """Raised by the owner of this stream when the partition changes hands: readings end there."""
        self._readings: list[Reading] = []
        self._latest: dict[str, int] = {}

    def add(self, consumer: str, at_ms: int, first_offset: int, last_offset: int) -> None:
        """The consumer got these records."""
        if last_offset < first_offset:
            return
        before = self.offsets.count
        self.offsets.add(first_offset, last_offset)
        self.repeated += last_offset - first_offset + 1 - (self.offsets.count - before)
        self.activity.add(at_ms, first_offset, last_offset)
        reading = self._reading_of(consumer, at_ms)
        again = list(reading.offsets.within(first_offset, last_offset))
        if again:
            self._latest[consumer] = len(self._readings)
            reading = Reading(consumer, self.epoch, at_ms, at_ms)
            self._readings.append(reading)
        reading.offsets.add(first_offset, last_offset)
        reading.end_ms = max(reading.end_ms, at_ms)

    def _reading_of(self, consumer: str, at_ms: int) -> Reading:
        index = self._latest.get(consumer)
        if index is not None and self._readings[index].epoch == self.epoch:
            return self._readings[index]
        reading = Reading(consumer, self.epoch, at_ms, at_ms)
        self._latest[consumer] = len(self._readings)
        self._readings.append(reading)
        return reading

    def repeats(self) -> Iterator[Repeat]:
        """Every repetition, in order of time; a record read three times is in two of them."""
        if not self.repeated:
            return
        readings = sorted(self._readings, key=lambda reading: reading.start_ms)
        latest: list[tuple[int, int, Reading]] = []  # disjoint, by offset: who read it last
        for reading in readings:
            for first, last in reading.offsets:
                yield from _overlay(latest, first, last, reading)

    def copy(self) -> Stream:
        """An independent copy."""
        copied = Stream()
        copied.offsets, copied.activity = self.offsets.copy(), self.activity.copy()
        copied.repeated, copied.epoch = self.repeated, self.epoch
        # Only a consumer's latest reading can still grow; the others are shared.
        growing = set(self._latest.values())
        copied._readings = [
            reading.copy() if index in growing else reading for index, reading in enumerate(self._readings)
        ]
        copied._latest = dict(self._latest)
        return copied


def _overlay(latest: list[tuple[int, int, Reading]], first: int, last: int, reading: Reading) -> list[Repeat]:
    """Lay a range over the segments, sorted and disjoint, in place; returns what it covers."""
    low = bisect_left(latest, first, key=lambda segment: segment[1])
    high = bisect_right(latest, last, key=lambda segment: segment[0])
    shared = [
        Repeat(max(start, first), min(end, last), before, reading) for start, end, before in latest[low:high]
    ]
    segments = [(first, last, reading)]
    if low < high:
        start, _, before = latest[low]
        if start < first:
            segments.insert(0, (start, first - 1, before))
        _, end, before = latest[high - 1]
        if last < end:
            segments.append((last + 1, end, before))
    latest[low:high] = segments
    return shared
