"""The state that events, applied in order of time, add up to; `rota.timeline.timeline` sees to the order.

Few events are kept as they are (rebalances, faults, starts and stops: as many as there were incidents); those
that come with every record become intervals at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

from rota.model import TopicPartition
from rota.timeline import events as ev
from rota.timeline.intervals import Activity, IntervalSet
from rota.timeline.ownership import Ledger, Names
from rota.timeline.repeats import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Generation", "History", "Incident", "PartitionRecord", "Rebalance"]


@dataclass(frozen=True, slots=True)
class Rebalance:
    """A group shared out its partitions anew. ``completed_ms`` None: it is still at it."""

    generation: int
    """The new generation; while it is not completed, the one that ends."""
    started_ms: int
    completed_ms: int | None
    reason: ev.RebalanceReason | None
    """None: only the completion was seen."""
    member: str
    detail: str = ""
    also: tuple[str, ...] = ()
    """Further reasons that came up before it was completed, in words."""

    @property
    def duration_ms(self) -> int | None:
        """From the first sign to the new assignment."""
        return None if self.completed_ms is None else self.completed_ms - self.started_ms

    @property
    def words(self) -> str:
        """The reason in plain English: ``c3 was silent for its whole session timeout``."""
        return "for an unknown reason" if self.reason is None else reason_words(self.reason, self.member)


def reason_words(reason: ev.RebalanceReason, member: str) -> str:
    """A reason as a sentence about the member it concerns, if it concerns one."""
    own_subject = (
        ev.RebalanceReason.PARTITIONS_ADDED,
        ev.RebalanceReason.LEADER_REJOINED,
        ev.RebalanceReason.STATIC_MEMBER_REPLACED,
        ev.RebalanceReason.OPERATOR,
    )
    if reason in own_subject:
        return f"{reason.words} ({member})" if member else reason.words
    return f"{member or 'a member'} {reason.words}"


@dataclass(frozen=True, slots=True)
class Generation:
    """What a completed rebalance decided."""

    generation: int
    at_ms: int
    protocol: str | None
    leader: str | None
    assignment: Mapping[str, tuple[TopicPartition, ...]]
    """By the members' names, see `rota.timeline.ownership.Names`."""


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that befell one consumer ("" = the broker); ``words`` may follow its name."""

    at_ms: int
    consumer: str
    kind: str
    """A fault's kind, or "started" or "stopped"."""
    words: str


class PartitionRecord:
    """Everything known of the records of one partition."""

    def __init__(self) -> None:
        self.produced = IntervalSet()
        self.production = Activity()
        self.delivered = Stream()
        self.processed = Stream()
        self.committed = -1
        """The highest offset committed (of the next record), -1 for none."""

    @property
    def served(self) -> Stream:
        """By what to judge whether the partition is served: deliveries, or what was processed if only that
        is known.
        """
        return self.delivered if self.delivered.offsets else self.processed

    @property
    def done(self) -> Stream:
        """By what to judge losses: what was processed, or deliveries if nobody reports what was processed."""
        return self.processed if self.processed.offsets else self.delivered

    def copy(self) -> PartitionRecord:
        """An independent copy."""
        copied = PartitionRecord()
        copied.produced, copied.production = self.produced.copy(), self.production.copy()
        copied.delivered, copied.processed = self.delivered.copy(), self.processed.copy()
        copied.committed = self.committed
        return copied


class History:
    """A group's life so far. `apply` wants events in order of time."""

    def __init__(self, group: str | None = None) -> None:
        self.group = group
        self.start_ms: int | None = None
        self.end_ms = 0
        self.partitions: dict[TopicPartition, PartitionRecord] = {}
        self.ledger = Ledger()
        self.names = Names()
        self.rebalances: list[Rebalance] = []
        self.generations: list[Generation] = []
        self.incidents: list[Incident] = []
        self.revocations: list[tuple[int, str, int]] = []
        """When who gave back or lost how many partitions."""
        self.alive: dict[str, bool] = {}
        """Every consumer seen, in order of appearance, and whether it runs (is a member) now."""

    def record_of(self, partition: TopicPartition) -> PartitionRecord:
        """The record of a partition, begun if need be."""
        record = self.partitions.get(partition)
        if record is None:
            record = self.partitions[partition] = PartitionRecord()
        return record

    def apply(self, event: ev.Event) -> None:
        """Take in the next event; one of another group than the one asked for is passed over."""
        group = getattr(event, "group", None)
        if group is not None and self.group is not None and group != self.group:
            return
        now_ms = max(event.at_ms, self.end_ms)
        if self.start_ms is None:
            self.start_ms = now_ms
        self.end_ms = now_ms
        self._APPLY[type(event)](self, event, now_ms)

    def _seen(self, consumer: str) -> None:
        self.alive.setdefault(consumer, True)

    def _produced(self, event: ev.Produced, now_ms: int) -> None:
        record = self.record_of(TopicPartition(event.topic, event.partition))
        record.produced.add(event.first_offset, event.last_offset)
        record.production.add(now_ms, event.first_offset, event.last_offset)

    def _delivered(self, event: ev.Delivered, now_ms: int) -> None:
        self._seen(event.consumer)
        record = self.record_of(TopicPartition(event.topic, event.partition))
        record.delivered.add(event.consumer, now_ms, event.first_offset, event.last_offset)

    def _processed(self, event: ev.Processed, now_ms: int) -> None:
        self._seen(event.consumer)
        record = self.record_of(TopicPartition(event.topic, event.partition))
        record.processed.add(event.consumer, now_ms, event.first_offset, event.last_offset)

    def _committed(self, event: ev.Committed | ev.OffsetCommitted, _now_ms: int) -> None:
        record = self.record_of(TopicPartition(event.topic, event.partition))
        record.committed = max(record.committed, event.offset)

    def _started(self, event: ev.ConsumerStarted, now_ms: int) -> None:
        self.ledger.forget(event.consumer)
        self.ledger.release_all(event.consumer, now_ms, "started again")
        self.alive[event.consumer] = True
        self.incidents.append(Incident(now_ms, event.consumer, "started", f"started (pid {event.pid})"))
        self._new_epoch()

    def _stopped(self, event: ev.ConsumerStopped, now_ms: int) -> None:
        why = f"stopped ({event.how})" if event.how else "stopped"
        self._seen(event.consumer)
        if self.alive[event.consumer]:
            self.incidents.append(Incident(now_ms, event.consumer, "stopped", why))
        self.ledger.release_all(event.consumer, now_ms, why)
        self.alive[event.consumer] = False

    def _fault(self, event: ev.Fault, now_ms: int) -> None:
        words = _fault_words(event.kind) if event.consumer else _broker_words(event.kind)
        words += f" ({event.detail})" if event.detail else ""
        self.incidents.append(Incident(now_ms, event.consumer, event.kind, words))
        if event.consumer:
            self._seen(event.consumer)
        if event.kind in ev.FATAL_KINDS:
            self.ledger.release_all(event.consumer, now_ms, words)
            self.alive[event.consumer] = False
        elif event.kind == ev.FaultKind.THAWED:
            self._new_epoch()

    def _assigned(self, event: ev.Assigned, now_ms: int) -> None:
        self._seen(event.consumer)
        self.names.consumers.add(event.consumer)
        self.ledger.assign(event.consumer, event.partitions, now_ms)
        for partition in event.partitions:
            record = self.record_of(partition)
            record.delivered.epoch += 1
            record.processed.epoch += 1

    def _revoked(self, event: ev.Revoked | ev.Lost, now_ms: int) -> None:
        self._seen(event.consumer)
        self.names.consumers.add(event.consumer)
        why = "gave it back" if isinstance(event, ev.Revoked) else "lost it"
        self.ledger.release(event.consumer, event.partitions, now_ms, why)
        self.revocations.append((now_ms, event.consumer, len(event.partitions)))

    def _joined(self, event: ev.MemberJoined, _now_ms: int) -> None:
        self.names.joined(event)
        self.alive[self.names.of(event.member)] = True

    def _left(self, event: ev.MemberLeft, now_ms: int) -> None:
        name = self.names.of(event.member)
        self.names.left(event.member)
        if event.reason is ev.RebalanceReason.STATIC_MEMBER_REPLACED:
            # Its successor joins at once and has its partitions; no `RebalanceCompleted` will say so.
            return
        if name not in self.names.present and name not in self.names.consumers:
            self.ledger.release_all(name, now_ms, reason_words(event.reason, "").removeprefix("a member "))
            self.alive[name] = False

    def _rebalance_started(self, event: ev.RebalanceStarted, now_ms: int) -> None:
        name = self.names.of(event.member)
        if self.rebalances and self.rebalances[-1].completed_ms is None:
            last = self.rebalances[-1]
            more = reason_words(event.reason, name)
            if more != last.words and more not in last.also:
                self.rebalances[-1] = replace(last, also=(*last.also, more))
            return
        self.rebalances.append(Rebalance(event.generation, now_ms, None, event.reason, name, event.detail))

    def _rebalance_completed(self, event: ev.RebalanceCompleted, now_ms: int) -> None:
        named = {self.names.of(member): tuple(held) for member, held in event.assignment.items()}
        leader = None if event.leader is None else self.names.of(event.leader)
        self.generations.append(Generation(event.generation, now_ms, event.protocol, leader, named))
        if self.rebalances and self.rebalances[-1].completed_ms is None:
            last = self.rebalances[-1]
            self.rebalances[-1] = replace(last, generation=event.generation, completed_ms=now_ms)
        else:
            self.rebalances.append(Rebalance(event.generation, now_ms, now_ms, None, ""))
        for name in named:
            self._seen(name)
        self.ledger.completed(named, self.names, now_ms)
        for partition in self.ledger.spans:
            self.record_of(partition)
        self._new_epoch()

    def _member_reconciled(self, event: ev.MemberReconciled, now_ms: int) -> None:
        name = self.names.of(event.member)
        self._seen(name)
        for partition in self.ledger.holds(name, event.partitions, self.names, now_ms):
            record = self.record_of(partition)
            record.delivered.epoch += 1
            record.processed.epoch += 1

    def _new_epoch(self) -> None:
        for record in self.partitions.values():
            record.delivered.epoch += 1
            record.processed.epoch += 1

    _APPLY: ClassVar[Mapping[type[ev.Event], Callable[[History, Any, int], None]]] = {
        ev.RebalanceStarted: _rebalance_started,
        ev.RebalanceCompleted: _rebalance_completed,
        ev.MemberReconciled: _member_reconciled,
        ev.MemberJoined: _joined,
        ev.MemberLeft: _left,
        ev.OffsetCommitted: _committed,
        ev.ConsumerStarted: _started,
        ev.ConsumerStopped: _stopped,
        ev.Assigned: _assigned,
        ev.Revoked: _revoked,
        ev.Lost: _revoked,
        ev.Produced: _produced,
        ev.Delivered: _delivered,
        ev.Processed: _processed,
        ev.Committed: _committed,
        ev.Fault: _fault,
    }

    def copy(self) -> History:
        """An independent copy, at the cost of copying what is compact already."""
        copied = History(self.group)
        copied.start_ms, copied.end_ms = self.start_ms, self.end_ms
        copied.partitions = {partition: record.copy() for partition, record in self.partitions.items()}
        copied.ledger, copied.names = self.ledger.copy(), self.names.copy()
        copied.rebalances, copied.generations = list(self.rebalances), list(self.generations)
        copied.incidents, copied.revocations = list(self.incidents), list(self.revocations)
        copied.alive = dict(self.alive)
        return copied


_FAULT_WORDS: Final[Mapping[str, str]] = {
    ev.FaultKind.KILLED: "was killed with -9",
    ev.FaultKind.CRASHED: "crashed",
    ev.FaultKind.FROZEN: "was frozen",
    ev.FaultKind.THAWED: "was let go on",
    ev.FaultKind.CUT_OFF: "was cut off from the network",
    ev.FaultKind.RECONNECTED: "was connected again",
    ev.FaultKind.SLOWED: "was slowed down",
}


def _broker_words(kind: str) -> str:
    return "did not answer" if kind == ev.FaultKind.CUT_OFF else _fault_words(kind)


def _fault_words(kind: str) -> str:
    return _FAULT_WORDS.get(kind, kind)
