"""From what happened to the verdict and the exit code."""

from __future__ import annotations

from rota.model import TopicPartition
from rota.rehearsal.report import exit_code, summary_document, summary_lines
from rota.rehearsal.settings import LabSettings
from rota.timeline import Summary, Timeline
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


def summary_of(*events: Event) -> Summary:
    return Timeline.of(events, "web-events-group").summary()


def begin() -> list[Event]:
    return [
        ConsumerStarted(1_000, "consumer-1", 11),
        Assigned(1_100, "consumer-1", (P0,)),
        Produced(1_200, TOPIC, 0, 0, 9),
    ]


def read(at_ms: int, who: str, first: int, last: int) -> list[Event]:
    return [Delivered(at_ms, who, TOPIC, 0, first, last), Processed(at_ms + 1, who, TOPIC, 0, first, last)]


def test_every_acknowledged_record_was_processed() -> None:
    summary = summary_of(
        *begin(), *read(1_300, "consumer-1", 0, 9), Committed(1_400, "consumer-1", TOPIC, 0, 10)
    )
    assert exit_code(summary) == 0
    assert summary_lines(summary)[0] == "Nothing was lost: each of the 10 acknowledged records was processed."
    assert summary_document(summary)["verdict"] == "passed"


def test_a_record_that_the_group_went_past_is_lost() -> None:
    # Delivered, committed (as automatic commits do), and the consumer dies before its work is done.
    summary = summary_of(
        *begin(),
        Delivered(1_300, "consumer-1", TOPIC, 0, 0, 9),
        Processed(1_310, "consumer-1", TOPIC, 0, 0, 6),
        Committed(1_320, "consumer-1", TOPIC, 0, 10),
        Fault(1_330, "consumer-1", FaultKind.KILLED),
    )
    assert summary.lost == 3
    assert exit_code(summary) == 1
    assert summary_lines(summary)[0].startswith("LOST: 3 records had been acknowledged")
    assert summary_document(summary)["verdict"] == "failed"


def test_a_record_nobody_came_to_is_not_called_lost_but_fails() -> None:
    summary = summary_of(
        *begin(), *read(1_300, "consumer-1", 0, 6), Committed(1_400, "consumer-1", TOPIC, 0, 7)
    )
    assert (summary.lost, summary.waiting) == (0, 3)
    assert exit_code(summary) == 1
    assert summary_lines(summary)[0].startswith("UNFINISHED: 3 records")


def test_repeats_are_named_with_both_readers_and_the_cause() -> None:
    summary = summary_of(
        *begin(),
        *read(1_300, "consumer-1", 0, 6),
        Committed(1_350, "consumer-1", TOPIC, 0, 4),
        Fault(1_400, "consumer-1", FaultKind.KILLED),
        ConsumerStarted(1_500, "consumer-2", 12),
        Assigned(7_500, "consumer-2", (P0,)),
        *read(7_600, "consumer-2", 4, 9),
        Committed(7_700, "consumer-2", TOPIC, 0, 10),
    )
    assert exit_code(summary) == 0
    text = "\n".join(summary_lines(summary))
    assert "3 records processed twice" in text
    assert "offsets 4 to 6: by consumer-1, then again by consumer-2 (consumer-1 was killed with -9)" in text


def test_tells_what_differs_from_kafkas_defaults() -> None:
    assert [str(change) for change in LabSettings().changes()] == [
        "session.timeout.ms 6000 (Kafka's default: 45000)",
        "heartbeat.interval.ms 2000 (Kafka's default: 3000)",
        "max.poll.interval.ms 10000 (Kafka's default: 300000)",
        "topic.metadata.refresh.interval.ms 2000 (Kafka's default: 300000)",
        "group.initial.rebalance.delay.ms 500 (Kafka's default: 3000)",
    ]
    as_kafka = LabSettings(session_timeout_ms=45_000, wanted_max_poll_ms=300_000, bootstrap="somewhere:9092")
    assert [change.name for change in as_kafka.changes()] == ["topic.metadata.refresh.interval.ms"]
