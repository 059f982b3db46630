"""A group's life, taken in event by event and asked at any time.

Events of several processes arrive a little out of order, for each has its own clock and its own pipe.
`Timeline` therefore holds the events of the last ``skew_ms`` back until they can be put in their place; a
question sees them all the same, sorted, on top of a copy of what is settled. An event that comes later still
is counted in `Summary.late_events` and taken as if it had happened at the edge of what is settled.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from rota.timeline import events as ev
from rota.timeline.causes import Interruption, cause_of_repeat, interruptions
from rota.timeline.history import Generation, History, PartitionRecord, Rebalance
from rota.timeline.pauses import Pause, find_pauses
from rota.timeline.summary import Duplicate, Loss, PartitionSummary, RebalanceSummary, Summary

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rota.model import TopicPartition
    from rota.timeline.ownership import Move, Overlap, Span
    from rota.timeline.repeats import Repeat

__all__ = ["DEFAULT_PAUSE_MS", "Timeline"]

DEFAULT_PAUSE_MS: Final = 250
"""From what length on a gap is called a pause; shorter ones are the breath of any consumer."""

_BATCH: Final = 1024
_LEAVING_MS: Final = 2000  # a revocation so soon before its consumer stops belongs to the stop

# Events of the same millisecond: ends before beginnings, causes before effects.
_RANK: Final = {
    kind: rank
    for rank, kind in enumerate(
        (
            ev.Fault,
            ev.ConsumerStopped,
            ev.ConsumerStarted,
            ev.MemberLeft,
            ev.MemberJoined,
            ev.RebalanceStarted,
            ev.Lost,
            ev.Revoked,
            ev.MemberReconciled,
            ev.RebalanceCompleted,
            ev.Assigned,
            ev.Produced,
            ev.Delivered,
            ev.Processed,
            ev.Committed,
            ev.OffsetCommitted,
        )
    )
}
_RECORDS: Final = (ev.Delivered, ev.Processed)


def _place(event: ev.Event) -> tuple[Any, ...]:
    """Where an event belongs: the same for every order of arrival."""
    rank = _RANK[type(event)]
    if isinstance(event, _RECORDS):
        key: tuple[Any, ...] = (
            event.consumer,
            event.topic,
            event.partition,
            event.first_offset,
            event.last_offset,
        )
    elif isinstance(event, ev.MemberReconciled):
        # In one epoch a member only gets more.
        key = event.group, event.member, event.epoch, len(event.partitions), event.partitions
    elif isinstance(event, ev.Produced):
        key = event.topic, event.partition, event.first_offset, event.last_offset
    else:
        key = (repr(event),)
    return event.at_ms, rank, key


class Timeline:
    """Who held which partition when; what was delivered, processed, committed and repeated.

    ``group``: pass over what coordinators tell of other groups. ``skew_ms``: how far out of order events may
    come. Answers are computed when asked for; `add` is cheap, its memory grows with incidents and not with
    records.
    """

    def __init__(self, group: str | None = None, *, skew_ms: int = 2000) -> None:
        self._skew_ms = skew_ms
        self._settled = History(group)
        self._pending: list[ev.Event] = []
        self._settle_at = _BATCH
        self._newest_ms = 0
        self._late = 0
        self._seen: History | None = None

    @classmethod
    def of(cls, events: Iterable[ev.Event], group: str | None = None) -> Timeline:
        """The timeline of a whole recording, in whatever order its events are."""
        timeline = cls(group)
        timeline._pending = list(events)
        timeline._newest_ms = max((event.at_ms for event in timeline._pending), default=0)
        timeline._settle()
        return timeline

    def add(self, event: ev.Event) -> None:
        """Take in one event."""
        self._seen = None
        self._newest_ms = max(self._newest_ms, event.at_ms)
        self._pending.append(event)
        if len(self._pending) >= self._settle_at:
            self._settle()

    def extend(self, events: Iterable[ev.Event]) -> None:
        """Take in several events."""
        for event in events:
            self.add(event)

    def _settle(self) -> None:
        self._pending.sort(key=_place)
        edge_ms = self._newest_ms - self._skew_ms
        count = 0
        for event in self._pending:
            if event.at_ms >= edge_ms:
                break
            self._late += event.at_ms < self._settled.end_ms
            self._settled.apply(event)
            count += 1
        del self._pending[:count]
        # Sort again only once as much has been added: an event is sorted a few times, however fast they come.
        self._settle_at = max(_BATCH, 2 * len(self._pending))

    @property
    def history(self) -> History:
        """All that is known by now, for drawing; not to be changed."""
        if self._seen is None:
            self._settle()
            seen = self._settled.copy()
            for event in sorted(self._pending, key=_place):
                seen.apply(event)
            self._seen = seen
        return self._seen

    # What there is

    @property
    def start_ms(self) -> int:
        """When the first event happened; 0 before there is one."""
        return self.history.start_ms or 0

    @property
    def end_ms(self) -> int:
        """When the latest event happened; 0 before there is one."""
        return self.history.end_ms

    def consumers(self) -> list[str]:
        """Every consumer seen, in order of appearance."""
        return list(self.history.alive)

    def partitions(self) -> list[TopicPartition]:
        """Every partition seen, sorted."""
        return sorted(self.history.partitions)

    # Ownership

    def ownership(self, partition: TopicPartition) -> list[Span]:
        """Who held the partition when, in order; spans never overlap."""
        return list(self.history.ledger.spans.get(partition, ()))

    def owners_now(self) -> dict[TopicPartition, str | None]:
        """Of every partition, by whom it is held."""
        return {partition: self.history.ledger.owner(partition) for partition in self.partitions()}

    def idle_consumers(self) -> list[str]:
        """Consumers that run but own nothing."""
        history = self.history
        return [name for name, alive in history.alive.items() if alive and not history.ledger.held(name)]

    def moves(self) -> list[Move]:
        """Every change of owner, in order of time."""
        return self.history.ledger.moves()

    def overlaps(self) -> list[Overlap]:
        """When an old owner still believed to own what a new one had been given, in order of the end."""
        return list(self.history.ledger.overlaps)

    def rebalances(self) -> list[Rebalance]:
        """Every rebalance, in order of time."""
        return list(self.history.rebalances)

    def generations(self) -> list[Generation]:
        """What each completed rebalance decided."""
        return list(self.history.generations)

    # Records

    def pauses(
        self, partition: TopicPartition | None = None, *, min_ms: int = DEFAULT_PAUSE_MS
    ) -> list[Pause]:
        """The pauses of one partition or of all, by start; `rota.timeline.pauses` says what a pause is."""
        chosen = self.partitions() if partition is None else [partition]
        found = [pause for each in chosen for pause in find_pauses(self.history, each, min_ms)]
        return sorted(found, key=lambda pause: (pause.start_ms, pause.partition))

    def duplicates(self, kind: str | None = None) -> list[Duplicate]:
        """What was delivered or processed more than once; ``kind`` "delivered" or "processed" for one of
        both.
        """
        found: list[Duplicate] = []
        for partition, record in self.history.partitions.items():
            streams = (("delivered", record.delivered), ("processed", record.processed))
            for name, stream in streams:
                if kind in (None, name) and stream.repeated:
                    known = interruptions(self.history, partition)
                    spans = self.ownership(partition)
                    found += [
                        _duplicate(name, partition, repeat, cause_of_repeat(spans, known, repeat))
                        for repeat in stream.repeats()
                    ]
        return sorted(
            _joined(found), key=lambda item: (item.at_ms, item.partition, item.kind, item.first_offset)
        )

    def losses(self, *, live: bool = False) -> list[Loss]:
        """Acknowledged records that nobody processed although the group has gone past them.

        The group has gone past what it committed or, where no commit was seen, what it processed. Records it
        has yet to come to are `PartitionSummary.waiting`. Where nobody reports `Processed`, deliveries count
        instead. ``live``: leave out commits so young that news of the work before them may still be on its
        way.
        """
        found = []
        for partition, record in sorted(self.history.partitions.items()):
            bound = self._passed(partition, record, live)
            for first, last in record.produced:
                if first < bound:
                    missing = record.done.offsets.missing(first, min(last, bound - 1))
                    found += [Loss(partition, start, end) for start, end in missing]
        return found

    def _passed(self, partition: TopicPartition, record: PartitionRecord, live: bool) -> int:
        if live:
            settled = self._settled.partitions.get(partition)
            if settled is None:
                return 0
            record = settled
        return record.committed if record.committed >= 0 else record.done.offsets.highest + 1

    # Everything

    def summary(self, *, min_pause_ms: int = DEFAULT_PAUSE_MS, live: bool = False) -> Summary:
        """All findings; ``live`` as for `losses`."""
        history = self.history
        every_gap = self.pauses(min_ms=0)
        pauses = [pause for pause in every_gap if pause.duration_ms >= min_pause_ms]
        losses = self.losses(live=live)
        parts = tuple(self._partition(partition, pauses, losses) for partition in self.partitions())
        return Summary(
            start_ms=self.start_ms,
            end_ms=self.end_ms,
            consumers=tuple(history.alive),
            idle=tuple(self.idle_consumers()),
            partitions=parts,
            produced=sum(part.produced for part in parts),
            delivered=sum(part.delivered for part in parts),
            processed=sum(part.processed for part in parts),
            delivered_again=sum(part.delivered_again for part in parts),
            processed_again=sum(part.processed_again for part in parts),
            lost=sum(part.lost for part in parts),
            waiting=sum(part.waiting for part in parts),
            rebalances=tuple(self._costs(every_gap, min_pause_ms)),
            generations=tuple(history.generations),
            pauses=tuple(pauses),
            moves=tuple(self.moves()),
            overlaps=tuple(history.ledger.overlaps),
            duplicates=tuple(self.duplicates()),
            losses=tuple(losses),
            incidents=tuple(history.incidents),
            late_events=self._late,
        )

    def _partition(
        self, partition: TopicPartition, pauses: list[Pause], losses: list[Loss]
    ) -> PartitionSummary:
        record = self.history.partitions[partition]
        lengths = [pause.duration_ms for pause in pauses if pause.partition == partition]
        lost = sum(loss.count for loss in losses if loss.partition == partition)
        return PartitionSummary(
            partition=partition,
            owner=self.history.ledger.owner(partition),
            produced=record.produced.count,
            delivered=record.delivered.offsets.count,
            processed=record.processed.offsets.count,
            delivered_again=record.delivered.repeated,
            processed_again=record.processed.repeated,
            committed=record.committed,
            lost=lost,
            waiting=record.produced.minus(record.done.offsets).count - lost,
            pauses=len(lengths),
            longest_pause_ms=max(lengths, default=0),
            total_pause_ms=sum(lengths),
        )

    def _costs(self, gaps: list[Pause], min_pause_ms: int) -> list[RebalanceSummary]:
        rebalances, moves, revocations = self.history.rebalances, self.moves(), self._revocations()
        costs = []
        for index, rebalance in enumerate(rebalances):
            later = index + 1 < len(rebalances)
            until_ms = rebalances[index + 1].started_ms if later else self.end_ms + 1
            done_ms = self.end_ms if rebalance.completed_ms is None else rebalance.completed_ms
            here = [
                gap
                for gap in gaps
                if gap.start_ms <= done_ms and rebalance.started_ms <= gap.start_ms + gap.duration_ms
            ]
            paused = {gap.partition for gap in here if gap.duration_ms >= min_pause_ms}
            moved = {move.partition for move in moves if rebalance.started_ms <= move.taken_ms < until_ms}
            longest = max((gap.duration_ms for gap in here), default=0)
            revoked = sum(count for at, _, count in revocations if rebalance.started_ms <= at < until_ms)
            costs.append(RebalanceSummary(rebalance, revoked, len(moved), len(paused), longest))
        return costs

    def _revocations(self) -> list[tuple[int, str, int]]:
        """Without those of consumers that gave their partitions back because they were about to stop."""
        stops = [(item.consumer, item.at_ms) for item in self.history.incidents if item.kind == "stopped"]
        return [
            (at_ms, consumer, count)
            for at_ms, consumer, count in self.history.revocations
            if any(_is_going_on(rebalance, at_ms) for rebalance in self.history.rebalances)
            or not any(who == consumer and at_ms <= when <= at_ms + _LEAVING_MS for who, when in stops)
        ]


def _is_going_on(rebalance: Rebalance, at_ms: int) -> bool:
    return rebalance.started_ms < at_ms and (
        rebalance.completed_ms is None or at_ms <= rebalance.completed_ms
    )


def _duplicate(kind: str, partition: TopicPartition, repeat: Repeat, cause: Interruption | None) -> Duplicate:
    before, again = repeat.before, repeat.again
    words = f"{again.consumer} went back" if cause is None else cause.words
    return Duplicate(
        kind,
        partition,
        repeat.first_offset,
        repeat.last_offset,
        before.consumer,
        again.consumer,
        again.start_ms,
        words,
    )


def _joined(found: list[Duplicate]) -> list[Duplicate]:
    """Neighbouring ranges of the same repetition as one."""
    joined: list[Duplicate] = []
    for item in sorted(
        found, key=lambda each: (each.kind, each.partition, each.at_ms, each.again_by, each.first_offset)
    ):
        if joined and _continues(joined[-1], item):
            item = replace(item, first_offset=joined.pop().first_offset)
        joined.append(item)
    return joined


def _continues(one: Duplicate, other: Duplicate) -> bool:
    return one.last_offset + 1 == other.first_offset and (
        (one.kind, one.partition, one.first_by, one.again_by, one.at_ms, one.cause)
        == (other.kind, other.partition, other.first_by, other.again_by, other.at_ms, other.cause)
    )
