"""Runs of neighbouring offsets: many records become a few events."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["runs"]


def runs(records: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int, int]]:
    """(partition, offset) pairs as (partition, first, last), by partition; offsets that do not follow start anew.

    The order inside a partition is kept, so that an offset seen twice is told twice.
    """
    by_partition: dict[int, list[int]] = {}
    for partition, offset in records:
        by_partition.setdefault(partition, []).append(offset)
    for partition in sorted(by_partition):
        first = last = -1
        for offset in by_partition[partition]:
            if first >= 0 and offset == last + 1:
                last = offset
                continue
            if first >= 0:
                yield partition, first, last
            first = last = offset
        yield partition, first, last
