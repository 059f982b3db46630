"""Who holds which partition when.

A consumer's own word counts first: it owns a partition from `Assigned` to `Revoked` or `Lost`. Many do not
live to say so; ownership therefore also ends

- at a `Fault` that ends the consumer (`FaultKind.ends_ownership`), at `ConsumerStopped`, and when a consumer
  of the same name starts again;
- when another consumer is assigned the partition: a partition has one owner at any time, and who still
  believes
  to own it is found in `Ledger.overlaps`;
- at the first completed rebalance that gives the consumer no place in the group.

Of consumers that report nothing (a live cluster, a program under rehearsal) the coordinator's assignment is
taken: of a whole generation, or with KIP-848 of each member as it takes its part over.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rota.model import TopicPartition
    from rota.timeline.events import MemberJoined

__all__ = ["Ledger", "Move", "Names", "Overlap", "Span"]


@dataclass(frozen=True, slots=True)
class Span:
    """A consumer owned a partition from ``start_ms`` until before ``end_ms`` (None: it still does)."""

    consumer: str
    start_ms: int
    end_ms: int | None
    ended_by: str = ""
    """In words, as the end of a sentence that begins with the consumer's name."""


@dataclass(frozen=True, slots=True)
class Move:
    """A partition went from one consumer to another; nobody owned it in between."""

    partition: TopicPartition
    from_consumer: str
    to_consumer: str
    released_ms: int
    taken_ms: int


@dataclass(frozen=True, slots=True)
class Overlap:
    """The old owner believed to own a partition that the new one had already been given."""

    partition: TopicPartition
    old_consumer: str
    new_consumer: str
    start_ms: int
    end_ms: int


class Names:
    """The names under which people know the members of a group.

    A member is called by its client id if that is the name of a consumer that reports for itself, or if no
    other member has the same client id; else by ``group.instance.id``, else by its member id. A static member
    that comes back is called what it was called before.
    """

    def __init__(self) -> None:
        self.consumers: set[str] = set()
        """Consumers that report their own partitions."""
        self.known: set[str] = set()
        """Names of those who are or were members."""
        self._names: dict[str, str] = {}
        self._members: dict[str, str] = {}
        self._instances: dict[str, str] = {}

    def joined(self, event: MemberJoined) -> None:
        """Find a name for a member that joins."""
        name = self._instances.get(event.instance_id or "", event.client_id)
        if event.client_id in self.consumers:
            name = event.client_id
        taken_by = self._members.get(name, event.member)
        if not name or (name not in self.consumers and taken_by != event.member):
            name = event.instance_id or event.member
        if event.instance_id:
            self._instances[event.instance_id] = name
        self.known.add(name)
        self._names[event.member] = name
        self._members[name] = event.member

    def left(self, member: str) -> None:
        """Free the name of a member that left; `of` still knows it."""
        name = self._names.get(member)
        if name is not None and self._members.get(name) == member:
            del self._members[name]

    def forget(self, member: str) -> None:
        """Nobody asks for the name of a member any more that left."""
        self.left(member)
        name = self._names.pop(member, None)
        if name == member:  # others may be, or have been, called by any other name
            self.known.discard(name)

    def of(self, member: str) -> str:
        """The name of a member, which is its id if nothing better is known."""
        return self._names.get(member, member)

    @property
    def present(self) -> set[str]:
        """The names of those who are members now."""
        return set(self._members)

    def copy(self) -> Names:
        """An independent copy."""
        copied = Names()
        copied.consumers, copied.known = set(self.consumers), set(self.known)
        copied._names, copied._members = dict(self._names), dict(self._members)
        copied._instances = dict(self._instances)
        return copied


class Ledger:
    """The spans of every partition, in order of time and never overlapping. Times may not go backwards."""

    def __init__(self) -> None:
        self.spans: dict[TopicPartition, list[Span]] = {}
        self.overlaps: list[Overlap] = []
        self._held: dict[str, set[TopicPartition]] = {}
        self._displaced: dict[tuple[str, TopicPartition], tuple[str, int]] = {}

    def owner(self, partition: TopicPartition) -> str | None:
        """Who owns the partition now."""
        spans = self.spans.get(partition)
        return spans[-1].consumer if spans and spans[-1].end_ms is None else None

    def held(self, consumer: str) -> tuple[TopicPartition, ...]:
        """What the consumer owns now, sorted."""
        return tuple(sorted(self._held.get(consumer, ())))

    def assign(self, consumer: str, partitions: Iterable[TopicPartition], now_ms: int) -> None:
        """The consumer owns these from now on; what it owns already goes on."""
        for partition in partitions:
            self._displaced.pop((consumer, partition), None)
            owner = self.owner(partition)
            if owner == consumer:
                continue
            if owner is not None:
                self._end(partition, now_ms, f"was replaced by {consumer}")
                self._displaced[owner, partition] = consumer, now_ms
            for key, (successor, _) in self._displaced.items():
                if key[1] == partition and not successor:
                    self._displaced[key] = consumer, now_ms
            self.spans.setdefault(partition, []).append(Span(consumer, now_ms, None))
            self._held.setdefault(consumer, set()).add(partition)

    def release(self, consumer: str, partitions: Iterable[TopicPartition], now_ms: int, why: str) -> None:
        """The consumer no longer owns these; of those it does not own, note until when it believed to."""
        for partition in partitions:
            if self.owner(partition) == consumer:
                self._end(partition, now_ms, why)
            self._end_overlap(consumer, partition, now_ms)

    def release_all(self, consumer: str, now_ms: int, why: str) -> None:
        """The consumer owns nothing any more."""
        self.release(consumer, self.held(consumer), now_ms, why)
        for name, partition in [key for key in self._displaced if key[0] == consumer]:
            self._end_overlap(name, partition, now_ms)

    def completed(
        self, assignment: Mapping[str, Iterable[TopicPartition]], names: Names, now_ms: int
    ) -> None:
        """A rebalance gave these names these partitions: believe it for those who report nothing."""
        given = {name: set(partitions) for name, partitions in assignment.items()}
        for consumer in sorted(self._held):
            if consumer not in given:
                if consumer not in names.consumers or consumer in names.known:
                    self._exclude(consumer, now_ms, believes=consumer in names.consumers)
            else:
                self._give_up(consumer, given[consumer], names, now_ms)
        for consumer in sorted(given):
            if consumer not in names.consumers:
                self.assign(consumer, sorted(given[consumer]), now_ms)

    def holds(
        self, consumer: str, partitions: Iterable[TopicPartition], names: Names, now_ms: int
    ) -> list[TopicPartition]:
        """A member of a group holds these and no others: believe it if it reports nothing. Those that are new."""
        given = set(partitions)
        self._give_up(consumer, given, names, now_ms)
        new = [] if consumer in names.consumers else sorted(given - self._held.get(consumer, set()))
        self.assign(consumer, new, now_ms)
        return new

    def _give_up(self, consumer: str, kept: set[TopicPartition], names: Names, now_ms: int) -> None:
        if consumer not in names.consumers:
            gone = self._held.get(consumer, set()) - kept
            self.release(consumer, sorted(gone), now_ms, "had to give it up")

    def _exclude(self, consumer: str, now_ms: int, *, believes: bool) -> None:
        """The group goes on without a consumer, which may still run and believe to own what it did."""
        held = self.held(consumer)
        self.release(consumer, held, now_ms, "was no longer a member")
        if believes:
            self._displaced.update({(consumer, partition): ("", now_ms) for partition in held})

    def forget(self, consumer: str) -> None:
        """The consumer begins anew: nobody knows until when its forerunner believed to own anything."""
        for key in [key for key in self._displaced if key[0] == consumer]:
            del self._displaced[key]

    def moves(self) -> list[Move]:
        """Every change of owner, in order of time."""
        found = [
            Move(partition, old.consumer, new.consumer, old.end_ms, new.start_ms)
            for partition, spans in self.spans.items()
            for old, new in itertools.pairwise(spans)
            if old.consumer != new.consumer and old.end_ms is not None
        ]
        return sorted(found, key=lambda move: (move.taken_ms, move.partition))

    def _end(self, partition: TopicPartition, now_ms: int, why: str) -> None:
        spans = self.spans[partition]
        span = spans.pop()
        self._held[span.consumer].discard(partition)
        if now_ms > span.start_ms:
            spans.append(replace(span, end_ms=now_ms, ended_by=why))

    def _end_overlap(self, consumer: str, partition: TopicPartition, now_ms: int) -> None:
        displaced = self._displaced.pop((consumer, partition), None)
        if displaced is not None and displaced[0] and now_ms > displaced[1]:
            self.overlaps.append(Overlap(partition, consumer, displaced[0], displaced[1], now_ms))

    def copy(self) -> Ledger:
        """An independent copy; spans are never changed in place."""
        copied = Ledger()
        copied.spans = {partition: list(spans) for partition, spans in self.spans.items()}
        copied.overlaps = list(self.overlaps)
        copied._held = {consumer: set(held) for consumer, held in self._held.items()}
        copied._displaced = dict(self._displaced)
        return copied
