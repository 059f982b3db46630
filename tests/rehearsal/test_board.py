"""The live table's numbers, when news comes late or not at all."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from rota.model import TopicPartition
from rota.rehearsal.board import Board, Meter, PartitionRow
from rota.rehearsal.screen import _help
from rota.rehearsal.settings import LabSettings
from rota.timeline import Timeline
from rota.timeline.events import (
    Assigned,
    Committed,
    ConsumerStarted,
    Delivered,
    Event,
    Fault,
    FaultKind,
    Processed,
    Produced,
)

TOPIC = "web-events-partitioned"
P0 = TopicPartition(TOPIC, 0)


def row(now_ms: int, *events: Event) -> PartitionRow:
    """The row of partition 0 at that time."""
    lab: Any = SimpleNamespace(
        timeline=Timeline.of(events, "web-events-group"),
        partitions=lambda: [P0],
        seats=[],
        settings=LabSettings(),
        view=lambda: None,
    )
    return Board.of(lab, Meter(), now_ms).partitions[0]


def begin(last: int) -> list[Event]:
    return [
        ConsumerStarted(1_000, "consumer-1", 11),
        Assigned(1_100, "consumer-1", (P0,)),
        Produced(1_200, TOPIC, 0, 0, last),
        Delivered(1_300, "consumer-1", TOPIC, 0, 0, 9),
        Processed(1_301, "consumer-1", TOPIC, 0, 0, 9),
        Committed(1_400, "consumer-1", TOPIC, 0, 10),
    ]


def test_a_commit_is_never_beyond_the_end_of_the_log() -> None:
    found = row(1_500, *begin(last=7))  # the producer's word of offsets 8 and 9 is still on its way
    assert (found.committed, found.log_end, found.lag) == (10, 10, 0)


def test_lag_counts_from_the_commit_to_the_end() -> None:
    found = row(1_500, *begin(last=14))
    assert (found.committed, found.log_end, found.lag) == (10, 15, 5)


def test_a_wait_grows_with_the_clock_though_no_event_comes() -> None:
    events = [
        *begin(last=14),
        Fault(1_500, "consumer-1", FaultKind.KILLED),
        Produced(2_500, TOPIC, 0, 15, 20),
    ]
    first, later = row(3_000, *events).waits_ms, row(5_000, *events).waits_ms
    assert first is not None
    assert later == first + 2_000


def test_help_says_when_a_static_members_stop_is_noticed() -> None:
    polite, static = (" ".join(line.plain for line in _help(200, static=each)) for each in (False, True))
    assert "it commits and leaves; the group notices at once" in polite
    assert "noticed only after the session timeout" in static
    assert "at once" not in static
