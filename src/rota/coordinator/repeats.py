"""Groups that one request names again and again: a few bytes each time, whose answers together would be gigabytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

__all__ = ["named_too_often"]

_MOST_TIMES: Final = 10


def named_too_often(group_ids: Iterable[str]) -> list[bool]:
    """For each, whether it was named ten times before; it is refused then (INVALID_REQUEST)."""
    times: Counter[str] = Counter()
    found = []
    for group_id in group_ids:
        times[group_id] += 1
        found.append(times[group_id] > _MOST_TIMES)
    return found
