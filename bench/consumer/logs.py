"""What contestants wrote down: which records were handled, when, by whom."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from bench.consumer.contestants.meter import HANDLED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

__all__ = ["Handled", "longest_silence", "read_log", "repeated", "unhandled"]


class Handled(NamedTuple):
    at_s: float
    partition: int
    offset: int


def read_log(file: Path) -> list[Handled]:
    """Every record that this process has handled; what a kill cut off is left out."""
    data = file.read_bytes() if file.exists() else b""
    whole = len(data) - len(data) % HANDLED.size
    return [Handled(*each) for each in HANDLED.iter_unpack(data[:whole])]


def repeated(handled: Iterable[Handled]) -> set[tuple[int, int]]:
    """Records that were handled more than once."""
    counts = Counter((each.partition, each.offset) for each in handled)
    return {record for record, count in counts.items() if count > 1}


def unhandled(handled: Iterable[Handled], ends: Mapping[int, int]) -> int:
    """How many records below these ends never were."""
    seen = {(each.partition, each.offset) for each in handled}
    return sum(ends.values()) - sum(offset < ends[partition] for partition, offset in seen)


def longest_silence(handled: Sequence[Handled], partitions: int, since_s: float, until_s: float) -> float:
    """The longest time, between these two, in which nothing of some partition was handled; seconds."""
    longest = 0.0
    for partition in range(partitions):
        times = sorted(each.at_s for each in handled if each.partition == partition)
        before = max((at for at in times if at <= since_s), default=since_s)
        marks = [before, *(at for at in times if since_s < at < until_s), until_s]
        longest = max(longest, *(later - at for at, later in pairwise(marks)))
    return longest
