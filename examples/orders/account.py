"""What became of the orders of one run: which were processed twice, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from examples.orders.group_log import Commit, Generation

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["FIRST_NEW", "Account", "Order", "Repeat", "Work"]

FIRST_NEW = 100
"""The orders before it were done and committed long ago."""

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
        reader = self.reader(partition, again.finished_ms or 0)
        assert first.finished_ms is not None
        if first.finished_ms <= again.began_ms:
            commit = self.committed(partition, again.began_ms)
            return (
                f"{first.who} had finished it, but the group's last commit was still {commit.offset}, "
                f"so {again.who} began there"
            )
        if reader == first.who:
            return f"{again.who} held it from an earlier poll and went on with it"
        return f"both worked on it: {first.who} held it from an earlier poll, {again.who} began at the last commit"


def by_reason(repeats: Iterable[Repeat]) -> dict[tuple[str, str, str], list[Repeat]]:
    """Who, again who, and why: the repeated orders."""
    found: dict[tuple[str, str, str], list[Repeat]] = {}
    for repeat in repeats:
        found.setdefault((repeat.first.who, repeat.again.who, repeat.reason), []).append(repeat)
    return found
