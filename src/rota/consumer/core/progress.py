"""How far a partition has come: what may be committed, and what is done beyond it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Progress", "Range", "beyond", "join_ranges", "progress"]


class Range(NamedTuple):
    """Offsets from ``first`` up to, and without, ``end``."""

    first: int
    end: int


class Progress(NamedTuple):
    """``offset``: the first one that is not done, hence what may be committed. ``done``: ranges beyond it
    that are.
    """

    offset: int
    done: tuple[Range, ...]


def progress(undone: Iterable[int], position: int, kept: Sequence[Range] = ()) -> Progress:
    """Of a partition that was read up to ``position``, with these offsets ``undone``, in any order.

    ``kept``: ranges that were done before this process began, as far as they lie beyond ``position``. What
    was never handed out below ``position`` (holes that compaction leaves, markers of transactions) counts
    as done.

    >>> progress([5, 7], 10)
    Progress(offset=5, done=(Range(first=6, end=7), Range(first=8, end=10)))
    """
    missing = sorted(undone)
    later = [Range(max(first, position), end) for first, end in kept if end > position]
    if not missing:
        if later and later[0].first == position:
            return Progress(later[0].end, tuple(later[1:]))
        return Progress(position, tuple(later))
    ends = [*missing[1:], position]
    done = [Range(first + 1, end) for first, end in zip(missing, ends, strict=True) if first + 1 < end]
    return Progress(missing[0], join_ranges([*done, *later]))


def beyond(offset: int, done: Sequence[Range], position: int, kept: Sequence[Range]) -> Progress:
    """The same where only the first offset is known that is not done (or ``position``, if all are).

    ``done``: what was done when all was looked at; what was done since then beyond ``offset`` is left out.

    >>> beyond(5, [Range(3, 4), Range(6, 7)], 10, [])
    Progress(offset=5, done=(Range(first=6, end=7),))
    """
    if offset == position:
        return progress((), position, kept)
    return Progress(offset, tuple(item for item in done if item.first > offset))


def join_ranges(ranges: Iterable[Range]) -> tuple[Range, ...]:
    """The same offsets in as few ranges as can be, in order."""
    joined: list[Range] = []
    for item in sorted(ranges):
        if joined and item.first <= joined[-1].end:
            joined[-1] = Range(joined[-1].first, max(joined[-1].end, item.end))
        elif item.first < item.end:
            joined.append(item)
    return tuple(joined)
