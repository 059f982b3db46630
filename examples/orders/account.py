"""What became of the orders of one run: which were processed twice, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from examples.orders.group_log import Commit, Generation

from rota.model import number_runs

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["FIRST_NEW", "Account", "Order", "Repeat", "Work", "by_reason", "listed"]

FIRST_NEW = 100
"""The orders before it were done and committed long ago."""

_ZOMBIE = "held it from its last poll, and finished it when the partition was not its own any more"

Order = tuple[int, int]
"""Partition and offset."""


@dataclass(frozen=True, slots=True)
class Work:
    """One consumer at one order; ``finished_ms`` is None while it is at it."""

    who: str
    order: Order
    began_ms: int
    finished_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Repeat:
    """An order that was finished twice: by ``first``, then by ``again``, for a reason."""

    order: Order
    first: Work
    again: Work
    reason: str


@dataclass
class Account:
    """Everything that was heard, in the order of its time as far as it matters."""

    orders: frozenset[Order]
    commits: list[Commit] = field(default_factory=list)
    generations: list[Generation] = field(default_factory=list)
    finished: list[Work] = field(default_factory=list)
    _begun: dict[tuple[str, Order], int] = field(default_factory=dict)

    def begins(self, who: str, order: Order, at_ms: int) -> None:
        """A consumer begins with an order."""
        self._begun[who, order] = at_ms

    def finishes(self, who: str, order: Order, at_ms: int) -> Work:
        """And has finished it."""
        work = Work(who, order, self._begun.pop((who, order)), at_ms)
        self.finished.append(work)
        return work

    def done_before(self, order: Order) -> Work | None:
        """Who has finished an order already."""
        return next((work for work in self.finished if work.order == order), None)

    def committed(self, partition: int, at_ms: int | None = None) -> Commit:
        """The last commit of a partition (before a moment)."""
        found = [
            commit
            for commit in self.commits
            if commit.partition == partition and (at_ms is None or commit.at_ms <= at_ms)
        ]
        return found[-1] if found else Commit(0, partition, FIRST_NEW)

    def uncommitted(self) -> list[Order]:
        """Finished, and not committed: what comes again if somebody else takes over now."""
        done = {work.order for work in self.finished}
        return sorted(order for order in done if order[1] >= self.committed(order[0]).offset)

    def reader(self, partition: int, at_ms: int) -> str:
        """Who had a partition at that moment; nobody: an empty name."""
        name = ""
        for generation in self.generations:
            if generation.at_ms <= at_ms:
                name = next((who for who, held in generation.reads.items() if partition in held), "")
        return name

    def lost(self) -> list[Order]:
        """Orders that the group counts as done and nobody has finished."""
        done = {work.order for work in self.finished}
        return sorted(order for order in self.orders - done if order[1] < self.committed(order[0]).offset)

    def repeats(self) -> list[Repeat]:
        """Orders that were finished more than once, in the order of the repetitions."""
        found = []
        first: dict[Order, Work] = {}
        for work in sorted(self.finished, key=lambda work: work.finished_ms or 0):
            before = first.setdefault(work.order, work)
            if before is not work:
                found.append(Repeat(work.order, before, work, self._reason(before, work)))
        return found

    def _reason(self, first: Work, again: Work) -> str:
        partition = first.order[0]
        assert first.finished_ms is not None
        assert again.finished_ms is not None
        if self.reader(partition, first.finished_ms) != first.who:
            return f"{first.who} {_ZOMBIE}"
        if self.reader(partition, again.finished_ms) != again.who:
            return f"{again.who} {_ZOMBIE}"
        commit = self.committed(partition, again.began_ms)
        what = f"{first.who} had finished it, and not committed it"
        return f"{what}: the last commit was {commit.offset}, so {again.who} began there"


def listed(orders: Iterable[Order]) -> str:
    """``100-103 of partition 0, 100 of partition 1``."""
    by_partition: dict[int, set[int]] = {}
    for partition, offset in orders:
        by_partition.setdefault(partition, set()).add(offset)
    return ", ".join(
        f"{', '.join(number_runs(offsets, least=3))} of partition {partition}"
        for partition, offsets in sorted(by_partition.items())
    )


def by_reason(repeats: Iterable[Repeat]) -> dict[str, list[Order]]:
    """Why, and which orders."""
    found: dict[str, list[Order]] = {}
    for repeat in repeats:
        found.setdefault(repeat.reason, []).append(repeat.order)
    return found
