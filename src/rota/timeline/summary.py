"""What a timeline comes to: the findings that a lab prints and a verdict judges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from rota.model import TopicPartition

if TYPE_CHECKING:
    from rota.timeline.history import Generation, Incident, Rebalance
    from rota.timeline.ownership import Move, Overlap
    from rota.timeline.pauses import Pause

__all__ = ["Duplicate", "Loss", "PartitionSummary", "RebalanceSummary", "Summary", "to_plain"]


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Records, offsets inclusive, that came once more after somebody had had them already."""

    kind: str
    """"delivered" or "processed"."""
    partition: TopicPartition
    first_offset: int
    last_offset: int
    first_by: str
    again_by: str
    at_ms: int
    """When the reading began that repeated them."""
    cause: str
    """The event that led to it, in words."""

    @property
    def count(self) -> int:
        """How many records."""
        return self.last_offset - self.first_offset + 1


@dataclass(frozen=True, slots=True)
class Loss:
    """Acknowledged records, offsets inclusive, that nobody processed though the group went past them."""

    partition: TopicPartition
    first_offset: int
    last_offset: int

    @property
    def count(self) -> int:
        """How many records."""
        return self.last_offset - self.first_offset + 1


@dataclass(frozen=True, slots=True)
class RebalanceSummary:
    """One rebalance and what it cost."""

    rebalance: Rebalance
    revoked: int
    """How many partitions consumers gave back or lost because of it."""
    moved: int
    """Partitions that changed their owner between its start and the start of the next one."""
    paused: int
    """Partitions with a pause in `Summary.pauses` while it went on."""
    longest_pause_ms: int
    """The longest that records of any partition waited while it went on, however short, unless that partition's
    own pace explains it.
    """


@dataclass(frozen=True, slots=True)
class PartitionSummary:
    """One partition: numbers of records, and how well it was served."""

    partition: TopicPartition
    owner: str | None
    produced: int
    delivered: int
    """Distinct records."""
    processed: int
    delivered_again: int
    """Deliveries beyond each record's first."""
    processed_again: int
    committed: int
    """-1: no commit was seen."""
    lost: int
    waiting: int
    """Acknowledged records that the group has yet to come to."""
    pauses: int
    longest_pause_ms: int
    total_pause_ms: int


@dataclass(frozen=True, slots=True)
class Summary:
    """The findings. Counts are of records unless they say otherwise; times are milliseconds since 1970."""

    start_ms: int
    end_ms: int
    consumers: tuple[str, ...]
    """In order of appearance."""
    idle: tuple[str, ...]
    """Consumers that run, or are members, and own nothing."""
    partitions: tuple[PartitionSummary, ...]
    produced: int
    delivered: int
    processed: int
    delivered_again: int
    processed_again: int
    lost: int
    waiting: int
    rebalances: tuple[RebalanceSummary, ...]
    generations: tuple[Generation, ...]
    pauses: tuple[Pause, ...]
    moves: tuple[Move, ...]
    overlaps: tuple[Overlap, ...]
    duplicates: tuple[Duplicate, ...]
    losses: tuple[Loss, ...]
    incidents: tuple[Incident, ...]
    late_events: int
    """Events that came too late to be put in their place, see `rota.timeline.Timeline`."""

    @property
    def longest_pause_ms(self) -> int:
        """Of all partitions, 0 if none paused."""
        return max((pause.duration_ms for pause in self.pauses), default=0)

    @property
    def paused_partitions(self) -> tuple[TopicPartition, ...]:
        """Those that paused at all, sorted."""
        return tuple(sorted({pause.partition for pause in self.pauses}))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; a partition is written ``orders-0``."""
        plain: dict[str, Any] = to_plain(self)
        plain["longest_pause_ms"] = self.longest_pause_ms
        plain["paused_partitions"] = to_plain(self.paused_partitions)
        for entry, item in zip(plain["rebalances"], self.rebalances, strict=True):
            entry["words"] = item.rebalance.words
            entry["duration_ms"] = item.rebalance.duration_ms
        for name in ("duplicates", "losses"):
            for entry, found in zip(plain[name], getattr(self, name), strict=True):
                entry["count"] = found.count
        return plain


def to_plain(value: object) -> Any:
    """Dataclasses as dicts, tuples as lists, partitions as text; for JSON."""
    if isinstance(value, TopicPartition):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: to_plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    return value
