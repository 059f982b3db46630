"""Where a group is to go on reading: from what somebody wants to the offsets to commit, as a diff.

Pure: whoever asks the cluster hands in what is known of each partition, and the moment that is meant. The rules are
those of ``kafka-consumer-groups --reset-offsets`` (Kafka 4.1): an offset outside the log becomes its nearest end, a
time after the last record becomes the log's end, and what is committed in no partition cannot be shifted.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from rota.monitor.facts import Commit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rota.model import TopicPartition
    from rota.monitor.facts import GroupFacts, MemberFacts

__all__ = ["Effect", "Kind", "Known", "Plan", "Row", "Span", "Target", "Wanted", "plan_rows", "row_of"]


class Kind(StrEnum):
    """The scenarios, under the names of their options."""

    TO_EARLIEST = "to-earliest"
    TO_LATEST = "to-latest"
    TO_OFFSET = "to-offset"
    SHIFT_BY = "shift-by"
    TO_DATETIME = "to-datetime"
    BY_DURATION = "by-duration"
    TO_CURRENT = "to-current"
    FROM_FILE = "from-file"


class Target(NamedTuple):
    """A scenario and its value.

    ``value`` is an offset (TO_OFFSET), a number of offsets, negative for back (SHIFT_BY), or a moment in milliseconds
    since 1970 (TO_DATETIME, BY_DURATION: now less the duration); no other scenario has one.
    """

    kind: Kind
    value: int = 0

    @property
    def is_time(self) -> bool:
        """Whether the brokers have to be asked which offset belongs to a moment."""
        return self.kind in {Kind.TO_DATETIME, Kind.BY_DURATION}


class Known(NamedTuple):
    """What is known of one partition: its log's two ends, the group's commit, and for a moment the first record since.

    ``start`` and ``end`` are None where nobody could say, and ``why`` says why; ``since`` is None where no record is so
    young.
    """

    start: int | None
    end: int | None
    commit: Commit | None = None
    since: int | None = None
    why: str = ""


class Effect(StrEnum):
    """What a reset does to one partition."""

    AGAIN = "again"
    """Records are read once more."""
    SKIPPED = "skipped"
    """Records are never read."""
    FIRST = "first"
    """Nothing was committed before."""
    UNCHANGED = "unchanged"
    """The same, committed anew: Kafka keeps it from that moment on."""
    METADATA = "metadata"
    """The same offset, with another leader epoch or other metadata."""
    REMOVED = "removed"
    """The commit is taken away (a rollback to where there was none)."""
    IMPOSSIBLE = "impossible"


class Span(NamedTuple):
    """When the records that are skipped or read again were written, in milliseconds since 1970."""

    first_ms: int
    last_ms: int


class Wanted(NamedTuple):
    """What a file wants in one partition: a commit, or none at all.

    ``exact``: with this leader epoch and this metadata, also where that is none. Otherwise (CSV has no place for them)
    a commit at that offset keeps what the file does not say: metadata may tell what is done beyond the offset.
    """

    commit: Commit | None
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One partition: what is committed and what is to be.

    ``new`` is None where the commit is to be removed or, with a ``problem``, where nothing can be committed.
    ``remark`` says where the plan is not what was asked for. ``records`` counts offsets that still have a place in
    the log; with compaction or transactions there may be fewer records.
    """

    partition: TopicPartition
    old: Commit | None
    new: Commit | None
    effect: Effect
    records: int = 0
    remark: str = ""
    problem: str = ""
    span: Span | None = None

    @property
    def bounds(self) -> tuple[int, int] | None:
        """The first and the last offset that is skipped or read again; None where there is none."""
        if not self.records or self.old is None or self.new is None:
            return None
        low, high = sorted((self.old.offset, self.new.offset))
        return low, high - 1


@dataclass(frozen=True, slots=True)
class Plan:
    """What a reset would do to one group.

    ``left_out`` are partitions of the group's topics that have no commit and were not asked for: whoever gets one of
    them starts by ``auto.offset.reset``.
    """

    group: str
    facts: GroupFacts | None
    rows: tuple[Row, ...]
    left_out: tuple[TopicPartition, ...] = ()
    exists: bool = True

    @property
    def state(self) -> str:
        """The group's state as Kafka spells it; ``Dead`` for one that does not exist."""
        return self.facts.state if self.facts is not None else "Dead"

    @property
    def active(self) -> tuple[MemberFacts, ...]:
        """The members that would commit over it, by client id and host; Kafka refuses while there are any."""
        members = self.facts.members if self.facts is not None else ()
        return tuple(sorted(members, key=lambda member: (member.client_id, member.host, member.member_id)))

    @property
    def is_refused(self) -> bool:
        """Whether Kafka would say no: only a group without members takes offsets from others."""
        return self.state not in {"Empty", "Dead"}

    @property
    def problems(self) -> tuple[Row, ...]:
        """The partitions for which there is no offset."""
        return tuple(row for row in self.rows if row.problem)

    @property
    def remarks(self) -> tuple[Row, ...]:
        """The partitions where the plan is not what was asked for."""
        return tuple(row for row in self.rows if row.remark)

    @property
    def changes(self) -> tuple[Row, ...]:
        """The partitions where something will be different."""
        return tuple(row for row in self.rows if row.effect is not Effect.UNCHANGED)

    def commits(self) -> dict[TopicPartition, Commit]:
        """What is to be committed; also what stays the same, which Kafka then keeps for longer."""
        return {row.partition: row.new for row in self.rows if row.new is not None}

    def removals(self) -> list[TopicPartition]:
        """Where the commit is to be taken away."""
        return [row.partition for row in self.rows if row.effect is Effect.REMOVED and row.old is not None]

    def before(self) -> dict[TopicPartition, Wanted]:
        """What a rollback has to restore; exactly, where its offset alone would not say it."""
        return {
            row.partition: Wanted(row.old, exact=row.effect is Effect.METADATA)
            for row in self.changes
            if not row.problem
        }

    def total(self, effect: Effect) -> int:
        """How many records it does this to."""
        return sum(row.records for row in self.rows if row.effect is effect)

    def with_spans(self, spans: Mapping[TopicPartition, Span]) -> Plan:
        """The same, with times."""
        return replace(self, rows=tuple(replace(row, span=spans.get(row.partition)) for row in self.rows))


@dataclass(slots=True)
class _Choice:
    """An offset on its way from what is wanted to what can be."""

    offset: int
    remarks: list[str] = field(default_factory=list)


def plan_rows(
    partitions: Iterable[TopicPartition],
    known: Mapping[TopicPartition, Known],
    target: Target,
    wanted: Mapping[TopicPartition, Wanted] | None = None,
) -> tuple[Row, ...]:
    """One row for each partition, sorted; ``wanted`` is what a file says (FROM_FILE)."""
    return tuple(row_of(tp, known[tp], target, (wanted or {}).get(tp)) for tp in sorted(set(partitions)))


def row_of(tp: TopicPartition, known: Known, target: Target, wanted: Wanted | None = None) -> Row:
    """What the target means for one partition."""
    old = known.commit
    if target.kind is Kind.FROM_FILE and wanted is not None and wanted.commit is None:
        return Row(tp, old, None, Effect.UNCHANGED if old is None else Effect.REMOVED)
    if known.start is None or known.end is None:
        why = known.why or "nobody could say how far it goes"
        return Row(tp, old, None, Effect.IMPOSSIBLE, problem=why)
    if target.kind is Kind.SHIFT_BY and old is None:
        return Row(
            tp, old, None, Effect.IMPOSSIBLE, problem="nothing is committed there that could be shifted"
        )
    choice = _chosen(known, known.start, known.end, target, wanted)
    new = _commit(choice.offset, old, wanted)
    effect = _effect(old, new)
    records = _records(old.offset if old else None, new.offset, known.start, known.end)
    return Row(tp, old, new, effect, records, "; ".join(choice.remarks))


def _chosen(known: Known, start: int, end: int, target: Target, wanted: Wanted | None) -> _Choice:
    """The offset, and where it is another than what was asked for."""
    kind, old = target.kind, known.commit
    if kind is Kind.TO_EARLIEST:
        return _Choice(start)
    if kind is Kind.TO_LATEST:
        return _Choice(end)
    if kind is Kind.TO_CURRENT:
        # Not moved into the log, as in Kafka: this one is asked to leave everything as it is.
        return _Choice(old.offset) if old else _Choice(end, ["nothing is committed there: the log's end"])
    if target.is_time:
        return _Choice(known.since) if known.since is not None else _Choice(end, [_too_young(start, end)])
    if kind is Kind.SHIFT_BY:
        assert old is not None
        return _clamped(old.offset + target.value, start, end)
    if kind is Kind.FROM_FILE:
        assert wanted is not None
        assert wanted.commit is not None
        return _clamped(wanted.commit.offset, start, end)
    return _clamped(target.value, start, end)


def _too_young(start: int, end: int) -> str:
    what = "no record is there" if start == end else "no record is so young"
    return f"{what}: the log's end"


def _clamped(offset: int, start: int, end: int) -> _Choice:
    if offset > end:
        return _Choice(end, [f"{offset} is beyond the log's end"])
    if offset < start:
        return _Choice(start, [f"{offset} is before the log's start"])
    return _Choice(offset)


def _commit(offset: int, old: Commit | None, wanted: Wanted | None) -> Commit:
    """Epoch and metadata belong to an offset: they go with it, and not to another one."""
    kept = old if old is not None and old.offset == offset else Commit(offset)
    said = wanted.commit if wanted is not None else None
    if wanted is None or said is None or said.offset != offset:
        return Commit(offset, kept.leader_epoch, kept.metadata)
    if wanted.exact:
        return Commit(offset, said.leader_epoch, said.metadata)
    epoch = kept.leader_epoch if said.leader_epoch is None else said.leader_epoch
    return Commit(offset, epoch, said.metadata or kept.metadata)


def _effect(old: Commit | None, new: Commit) -> Effect:
    if old is None:
        return Effect.FIRST
    if new.offset == old.offset:
        same = (new.leader_epoch, new.metadata) == (old.leader_epoch, old.metadata)
        return Effect.UNCHANGED if same else Effect.METADATA
    return Effect.AGAIN if new.offset < old.offset else Effect.SKIPPED


def _records(old: int | None, new: int, start: int, end: int) -> int:
    """Offsets between the two that are still in the log."""
    if old is None:
        return 0
    low, high = sorted((old, new))
    return max(0, min(high, end) - max(low, start))
