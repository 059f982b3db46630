"""The table of who owns what: numbers for every screen, put together from the timeline."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rota.monitor.findings import worst
from rota.monitor.words import finding_text, lag_text
from rota.timeline.events import Event, Processed
from rota.timeline.look import Look, looks, seconds

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rota.monitor.view import GroupView
    from rota.rehearsal.lab import Lab
    from rota.timeline import Summary

__all__ = ["Board", "ConsumerRow", "Meter", "PartitionRow", "draw_board", "more_findings"]

WINDOW_MS = 2_000


@dataclass(frozen=True, slots=True)
class PartitionRow:
    """One partition now. ``waits_ms`` is the running pause, None when records flow."""

    partition: int
    owner: str | None
    committed: int
    log_end: int
    lag: int
    rate: float
    waits_ms: int | None
    longest_ms: int
    again: int


@dataclass(frozen=True, slots=True)
class ConsumerRow:
    """One consumer now."""

    number: int
    name: str
    look: Look
    pid: int | None
    state: str
    held: tuple[int, ...]
    rate: float
    delay_ms: float


class Meter:
    """Records a second, over the last two seconds, by partition and by consumer."""

    def __init__(self) -> None:
        self._recent: deque[Processed] = deque()

    def take(self, events: Iterable[Event]) -> None:
        """Take in what was processed."""
        self._recent.extend(event for event in events if isinstance(event, Processed))

    def rates(self, now_ms: int) -> tuple[dict[int, float], dict[str, float]]:
        """By partition number, and by consumer."""
        while self._recent and self._recent[0].at_ms < now_ms - WINDOW_MS:
            self._recent.popleft()
        partitions: dict[int, float] = {}
        consumers: dict[str, float] = {}
        for event in self._recent:
            share = (event.last_offset - event.first_offset + 1) * 1000 / WINDOW_MS
            partitions[event.partition] = partitions.get(event.partition, 0.0) + share
            consumers[event.consumer] = consumers.get(event.consumer, 0.0) + share
        return partitions, consumers


@dataclass(frozen=True, slots=True)
class Board:
    """Everything a screen shows of one moment."""

    partitions: tuple[PartitionRow, ...]
    consumers: tuple[ConsumerRow, ...]
    state: str
    generation: int | None
    generation_word: str
    last_rebalance: str
    summary: Summary
    view: GroupView | None = None
    """What `rota top` shows of the group; None while nobody knows."""

    @classmethod
    def of(cls, lab: Lab, meter: Meter, now_ms: int) -> Board:
        """The lab at this moment."""
        timeline = lab.timeline
        summary = timeline.summary(live=True)
        by_partition, by_consumer = meter.rates(now_ms)
        found = {part.partition: part for part in summary.partitions}
        waits = {pause.partition: pause for pause in summary.pauses if pause.end_ms is None}
        rows = []
        for partition in lab.partitions():
            part = found.get(partition)
            history = timeline.history.partitions.get(partition)
            produced = history.produced.highest + 1 if history is not None and history.produced else 0
            committed = max(part.committed, 0) if part is not None else 0
            log_end = max(produced, committed)  # word of a commit may come before that of the record
            pause = waits.get(partition)
            rows.append(
                PartitionRow(
                    partition.partition,
                    part.owner if part is not None else None,
                    committed,
                    log_end,
                    log_end - committed,
                    by_partition.get(partition.partition, 0.0),
                    None if pause is None else max(pause.duration_ms, now_ms - pause.start_ms),
                    part.longest_pause_ms if part is not None else 0,
                    part.processed_again if part is not None else 0,
                )
            )
        consumers = _consumers(lab, {row.partition: row.owner for row in rows}, by_consumer)
        state, generation, last = _group(lab, summary, now_ms)
        word = lab.settings.generation_word
        return cls(tuple(rows), consumers, state, generation, word, last, summary, lab.view())


def _consumers(lab: Lab, owners: dict[int, str | None], rates: dict[str, float]) -> tuple[ConsumerRow, ...]:
    shown = looks(seat.name for seat in lab.seats)
    return tuple(
        ConsumerRow(
            seat.number,
            seat.name,
            shown[seat.name],
            seat.actor.pid if seat.actor is not None and seat.running else None,
            seat.state.value,
            tuple(number for number, owner in owners.items() if owner == seat.name),
            rates.get(seat.name, 0.0),
            seat.delay_ms,
        )
        for seat in lab.seats
    )


def _group(lab: Lab, summary: Summary, now_ms: int) -> tuple[str, int | None, str]:
    """The group's state, its generation, and its last rebalance in words."""
    if not summary.rebalances:
        return "no members yet", None, "none so far"
    last = summary.rebalances[-1].rebalance
    if last.completed_ms is None:
        age = seconds(max(0, now_ms - last.started_ms))
        return f"rebalancing for {age}", last.generation, f"{last.words}; going on"
    members = sum(seat.running for seat in lab.seats)
    state = "stable" if members else "empty"
    took = "" if last.duration_ms is None or last.reason is None else f", took {seconds(last.duration_ms)}"
    ago = (now_ms - last.completed_ms) // 1000
    return state, last.generation, f"{last.words}; {ago} s ago{took}"


def draw_board(board: Board) -> list[str]:
    """The table as plain lines, for a log."""
    seats = {row.name: row for row in board.consumers}
    generation = "" if board.generation is None else f", {board.generation_word} {board.generation}"
    lines = [
        f"group {board.state}{generation}; last rebalance: {board.last_rebalance}",
        f"{'PARTITION':<9}  {'OWNER':<14}  {'COMMITTED':>9}  {'LOG-END':>7}  {'LAG':>5}  {'RATE':>6}  PAUSE",
    ]
    for row in board.partitions:
        owner = "nobody" if row.owner is None else f"{_sign(row.owner, seats)} {row.owner}"
        pause = f"waiting for {seconds(row.waits_ms)}" if row.waits_ms is not None else "-"
        lines.append(
            f"{row.partition:<9}  {owner:<14}  {row.committed:>9}  {row.log_end:>7}  {row.lag:>5}  "
            f"{row.rate:>4.0f}/s  {pause}"
        )
    idle = [row.name for row in board.consumers if row.pid is not None and not row.held]
    if idle:
        lines.append(f"without a partition: {', '.join(idle)}")
    return lines if board.view is None else [*lines, *_seen_lines(board.view)]


def _seen_lines(view: GroupView) -> list[str]:
    """The group's lag, and the worst that the doctor has found."""
    lines = [f"lag: {lag_text(view)}"]
    found = worst(view.findings)
    if found is not None:
        lines.append(f"doctor: {finding_text(found)}{more_findings(view)}")
    return lines


def more_findings(view: GroupView) -> str:
    """What is said beside the worst finding of several."""
    return f" (and {len(view.findings) - 1} more)" if len(view.findings) > 1 else ""


def _sign(name: str, seats: dict[str, ConsumerRow]) -> str:
    return f"[{seats[name].look.sign}]" if name in seats else "[?]"
