"""The account of a group's rebalances: why each began, who moved where, and what waited meanwhile.

What `rota.timeline.summary` counts is here spelled out for one rebalance at a time, so that the question "why did
my group rebalance at 14:02?" has an answer of a few lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rota.model import count_of, number_runs
from rota.timeline.look import seconds
from rota.timeline.summary import to_plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rota.timeline.history import Generation, Rebalance
    from rota.timeline.ownership import Move
    from rota.timeline.pauses import Pause
    from rota.timeline.summary import Summary

__all__ = ["Account", "accounts", "between", "clock_text"]


def clock_text(at_ms: int) -> str:
    """The time of day, to the tenth of a second: ``14:02:07.3``."""
    moment = datetime.fromtimestamp(at_ms / 1000).astimezone()
    return f"{moment:%H:%M:%S}.{moment.microsecond // 100_000}"


@dataclass(frozen=True, slots=True)
class Account:
    """One rebalance with all that belongs to it; ``number`` is its place in the recording, from 1."""

    number: int
    rebalance: Rebalance
    generation: Generation | None
    """What it decided; None while it goes on."""
    moves: tuple[Move, ...]
    """Partitions that changed hands before the next rebalance."""
    pauses: tuple[Pause, ...]
    """Those that overlap it; a pause may overlap several."""

    def lines(self) -> list[str]:
        """A heading and its details, these with an indent."""
        done, took = self.rebalance, self.rebalance.duration_ms
        words = "; ".join((done.words, *done.also))
        lines = [f"#{self.number}  {clock_text(done.started_ms)}  {words}"]
        if took is None:
            lines.append("    not completed in this recording")
        elif done.reason is None:
            lines.append(f"    only its end was recorded: generation {done.generation}")
        else:
            lines.append(
                f"    completed after {seconds(took)}: generation {done.generation}{self._protocol()}"
            )
        if done.detail:
            lines.append(f"    note: {done.detail}")
        lines += [f"    moved: {line}" for line in self._moved()] or ["    nothing moved"]
        for pause in self.pauses:
            waited = f"waited {seconds(pause.duration_ms)}"
            if pause.end_ms is None:
                waited = f"waits for {seconds(pause.duration_ms)} already"
            lines.append(f"    {pause.partition} {waited} ({pause.cause})")
        return lines

    def document(self) -> dict[str, Any]:
        """The same for programs."""
        done = self.rebalance
        return {
            "number": self.number,
            **to_plain(done),
            "words": done.words,
            "duration_ms": done.duration_ms,
            "protocol": None if self.generation is None else self.generation.protocol,
            "assignment": None if self.generation is None else to_plain(self.generation.assignment),
            "moves": to_plain(self.moves),
            "pauses": to_plain(self.pauses),
        }

    def _protocol(self) -> str:
        made = self.generation
        if made is None:
            return ""
        shares = count_of(len(made.assignment), "member")
        return f", {shares}{f', {made.protocol}' if made.protocol else ''}"

    def _moved(self) -> list[str]:
        """A line for each giver, taker and topic."""
        found: dict[tuple[str, str, str], list[int]] = {}
        for move in self.moves:
            key = move.from_consumer, move.to_consumer, move.partition.topic
            found.setdefault(key, []).append(move.partition.partition)
        return [
            f"{topic} {', '.join(number_runs(sorted(set(numbers))))} from {giver} to {taker}"
            for (giver, taker, topic), numbers in found.items()
        ]


def accounts(summary: Summary) -> list[Account]:
    """One for each rebalance, in order of time."""
    found = []
    rebalances = [item.rebalance for item in summary.rebalances]
    made = {(item.generation, item.at_ms): item for item in summary.generations}
    for index, rebalance in enumerate(rebalances):
        until_ms = rebalances[index + 1].started_ms if index + 1 < len(rebalances) else summary.end_ms + 1
        done_ms = summary.end_ms if rebalance.completed_ms is None else rebalance.completed_ms
        found.append(
            Account(
                index + 1,
                rebalance,
                None if rebalance.completed_ms is None else made.get((rebalance.generation, done_ms)),
                tuple(move for move in summary.moves if rebalance.started_ms <= move.taken_ms < until_ms),
                tuple(_overlapping(summary.pauses, rebalance.started_ms, done_ms)),
            )
        )
    return found


def between(found: Sequence[Account], since_ms: int, until_ms: int) -> list[Account]:
    """Those that went on at some moment from ``since_ms`` up to, and without, ``until_ms``."""
    return [
        item
        for item in found
        if item.rebalance.started_ms < until_ms
        and (item.rebalance.completed_ms is None or item.rebalance.completed_ms >= since_ms)
    ]


def _overlapping(pauses: Iterable[Pause], since_ms: int, until_ms: int) -> list[Pause]:
    return [
        pause
        for pause in pauses
        if pause.start_ms <= until_ms and since_ms <= pause.start_ms + pause.duration_ms
    ]
