"""Evidence from a few lines of text, for the unit tests of rules.

    group orders classic Stable range
      a @10.2.1.4: orders-0 orders-1
      b: orders-2
      orders-0  45000/50000  45100/50200    # one column for each look, the last for the looks that are left
      orders-1  10/100 start=0,20           # so have options, with commas
    topic orders retention.ms=60000

The lines are those of `tests.monitor.snapshots`, but for the columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tests.monitor.snapshots import START_MS, look, tp

from rota.monitor.doctor import Evidence
from rota.monitor.facts import Snapshot
from rota.monitor.looks import Looks
from rota.monitor.view import GroupView, Method, Quality, TimeLag

__all__ = ["START_MS", "evidence", "tp"]


def evidence(
    text: str, *, every_s: float = 10, late: Mapping[str, float] | None = None, **rest: Any
) -> Evidence:
    """The evidence that the text tells: its first look is at START_MS, the others `every_s` apart.

    ``late`` gives lags in seconds (`orders-0`); the first group that is named is the group; everything in ``rest`` is
    a field of `Evidence`.
    """
    looks = _looks(text, every_s)
    group = next(iter(looks[-1].groups))
    return replace(Evidence(_view(group, looks, late or {}), looks), **rest)


def _looks(text: str, every_s: float) -> tuple[Snapshot, ...]:
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    number = max((_columns(line) for line in lines), default=1)
    return tuple(
        look("\n".join(_at(line, index) for line in lines), START_MS + round(1000 * every_s * index))
        for index in range(number)
    )


def _columns(line: str) -> int:
    """How many looks this line tells of."""
    return max(1, len([word for word in line.split()[1:] if "/" in word])) if _is_partition(line) else 1


def _at(line: str, index: int) -> str:
    """The line as one look has it."""
    if not _is_partition(line):
        return line
    name, *words = line.split()
    values = [word for word in words if "/" in word]
    options = [word.partition("=") for word in words if "/" not in word]
    told = [
        f"{key}{equals}{(steps := value.split(','))[min(index, len(steps) - 1)]}"
        for key, equals, value in options
    ]
    return " ".join([name, values[min(index, len(values) - 1)], *told])


def _is_partition(line: str) -> bool:
    return bool(line) and ":" not in line and line.split(maxsplit=1)[0] not in ("group", "topic", "fail")


def _view(group: str, looks: tuple[Snapshot, ...], late: Mapping[str, float]) -> GroupView:
    """The newest look as screens have it, with the lags in seconds that are told."""
    window = Looks(window_ms=max(looks[-1].at_ms - looks[0].at_ms, 1_000))
    for each in looks:
        view = window.look(each)[group]
    parts = tuple(
        replace(part, time=TimeLag(seconds, None, Method.RECORD, Quality.EXACT))
        if (seconds := late.get(str(part.partition))) is not None
        else part
        for part in view.partitions
    )
    return replace(view, partitions=parts)
