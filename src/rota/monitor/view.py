"""What a person is shown of a group, on whatever screen: the terminal, the browser, the exporter, a JSON document.

Made by `rota.monitor.lag`, `window` and `rebalances` from one or more looks; screens only lay it out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from rota.model import TopicPartition
from rota.monitor.facts import Commit, GroupFacts, MemberFacts
from rota.monitor.findings import Finding
from rota.timeline.events import Event

if TYPE_CHECKING:
    from rota.monitor.rebalances.told import Told

__all__ = [
    "GroupView",
    "Level",
    "MemberView",
    "Method",
    "PartitionView",
    "Quality",
    "Rates",
    "RebalanceView",
    "TimeLag",
    "Totals",
]


class Level(StrEnum):
    """What a lag does, judged over a window of looks, never from one of them."""

    CAUGHT_UP = "caught up"
    STABLE = "stable"
    FALLING = "falling"
    GROWING = "growing"
    VERY_LARGE = "very large"
    UNKNOWN = "unknown"
    """Too few looks so far."""


class Method(StrEnum):
    """How a lag in time was found."""

    CAUGHT_UP = "caught-up"
    """Nothing is left to read: 0 without asking anybody."""
    RECORD = "record"
    """The timestamp of the first record that is not consumed, from its batch's header."""
    SEARCH = "search"
    """The same by asking for offsets of timestamps (ListOffsets): where records may not be read."""
    HISTORY = "history"
    """When the log's end was seen at the committed offset, between two looks."""
    NONE = "none"


class Quality(StrEnum):
    """What is to be thought of a lag in time."""

    EXACT = "exact"
    AT_LEAST = "at-least"
    """Records between the commit and the first that is left were taken away by compaction or retention."""
    ABOUT = "about"
    """Between two looks or two steps of a search, or by a batch's first record."""
    CLOCK = "clock"
    """The record's timestamp is none, or in the future: only ``event_delay_s`` is of use."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class TimeLag:
    """How late a partition or group is, in seconds; None is unknown.

    ``seconds``: now less the timestamp of the first record that is not consumed. ``event_delay_s``: the timestamp of
    the newest record less that one; it does not grow while nobody produces.
    """

    seconds: float | None
    event_delay_s: float | None = None
    method: Method = Method.NONE
    quality: Quality = Quality.UNKNOWN


@dataclass(frozen=True, slots=True)
class Rates:
    """Records a second over the window, and when the lag will be gone; None is unknown.

    ``eta_s`` is None where the lag is not falling; 0 where there is none.
    """

    produced_per_s: float | None = None
    consumed_per_s: float | None = None
    eta_s: float | None = None
    level: Level = Level.UNKNOWN


@dataclass(frozen=True, slots=True)
class PartitionView:
    """One partition of a group: committed, assigned or both.

    ``lag`` is in records, 0 at least, None where nothing is committed or the end is unknown. With ``at_most`` there
    may be fewer records than offsets (compaction, transactions' markers). ``lost`` counts records that were deleted
    before they were read; ``blocked_by_transaction`` those behind an open transaction, which readers of committed
    records cannot have.
    """

    partition: TopicPartition
    commit: Commit | None
    start: int | None
    end: int | None
    stable: int | None
    lag: int | None
    member: MemberFacts | None
    time: TimeLag = TimeLag(None)
    rates: Rates = Rates()
    at_most: bool = False
    lost: int = 0
    blocked_by_transaction: int = 0
    beyond_end: int = 0
    """How far the commit is beyond the end, seen twice: the topic was cut or made anew."""
    leaderless: bool = False


@dataclass(frozen=True, slots=True)
class Totals:
    """Lag of several partitions together. ``uncommitted`` and ``unknown`` partitions are in no sum."""

    lag: int
    partitions: int
    uncommitted: int = 0
    unknown: int = 0
    worst: TopicPartition | None = None
    time: TimeLag = TimeLag(None)
    """That of the latest partition."""
    rates: Rates = Rates()


@dataclass(frozen=True, slots=True)
class MemberView:
    """One member with its partitions' lag together."""

    member: MemberFacts
    totals: Totals


@dataclass(frozen=True, slots=True)
class RebalanceView:
    """The rebalance that goes on. ``waiting_for``: who has not joined again or not let go yet (names for people)."""

    started_ms: int
    words: str
    paused: Mapping[TopicPartition, int]
    """Since when each partition is with nobody that reads it, in milliseconds since 1970."""
    waiting_for: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupView:
    """One group as it is now, and as it was of late.

    ``partitions`` are sorted by topic and number; ``history`` are (when in ms, lag, produced/s, consumed/s) of the
    last looks, oldest first, for small charts; ``events`` the last of its life, oldest first.
    """

    at_ms: int
    facts: GroupFacts
    partitions: tuple[PartitionView, ...]
    members: tuple[MemberView, ...]
    topics: Mapping[str, Totals]
    totals: Totals
    history: tuple[tuple[int, int | None, float | None, float | None], ...] = ()
    rebalance: RebalanceView | None = None
    events: tuple[Event, ...] = ()
    findings: tuple[Finding, ...] = ()
    told: tuple[Told, ...] = ()
    """The account of each rebalance, oldest first; only where somebody looks closely."""
