"""A consumer's own timeline, read by the same analysis as the lab's."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
from tests.consumer.fakes import FakeMessage
from tests.consumer.running_app import broker_with, config, produce
from tests.kafka.ports import wait_until

from rota.consumer import App, Record, Records, Retry
from rota.consumer.clients.client import Offset
from rota.consumer.core.offset_metadata import encode_done
from rota.consumer.core.progress import Range
from rota.consumer.handlers import Batch
from rota.consumer.operations.timeline_observer import TimelineObserver, spans
from rota.model import RotaError, TopicPartition
from rota.timeline import Timeline
from rota.timeline.events import (
    Assigned,
    Committed,
    ConsumerStarted,
    ConsumerStopped,
    Delivered,
    Event,
    Processed,
    Revoked,
    read_events,
)

P0 = TopicPartition("orders", 0)
P1 = TopicPartition("orders", 1)


def test_records_become_spans_of_offsets_that_follow_each_other() -> None:
    messages = [FakeMessage(P0, at, None) for at in (3, 4, 6)]
    messages.insert(1, FakeMessage(P1, 9, None))
    assert sorted(spans(messages)) == [(P0, (3, 4)), (P0, (6, 6)), (P1, (9, 9))]
    assert list(spans([])) == []


def events(path: Path) -> list[Event]:
    return list(read_events(path.read_text().splitlines(keepends=True)))


def offsets(found: list[Event], kind: type[Delivered | Processed]) -> list[int]:
    return sorted(
        offset
        for event in found
        if isinstance(event, kind)
        for offset in range(event.first_offset, event.last_offset + 1)
    )


def test_a_run_is_recorded_and_read_by_the_analysis(tmp_path: Path) -> None:
    path = tmp_path / "app.jsonl"
    with broker_with(orders=1) as broker:
        app = App(config(broker, **{"client.id": "billing-1"}), timeline=path)
        done = []

        @app.handler("orders", retry=Retry(attempts=2, backoff=(0.01, 0.01)), on_failure="skip")
        def handle(record: Record[bytes]) -> None:
            if record.offset == 4:
                raise OSError("down")
            done.append(record.offset)

        with app.start():
            produce(broker, "orders", 10)
            wait_until("the records are done", lambda: len(done) == 9)
            wait_until("the failed one is skipped", lambda: 4 in offsets(events(path), Processed))
        found = events(path)
    assert isinstance(found[0], ConsumerStarted)
    assert isinstance(found[-1], ConsumerStopped)
    assert found[-1].how == "asked to stop"
    assert any(isinstance(event, Assigned) and event.partitions == (P0,) for event in found)
    assert offsets(found, Delivered) == list(range(10))
    assert offsets(found, Processed) == list(range(10))
    commits = [event for event in found if isinstance(event, Committed)]
    assert commits[-1].offset == 10
    summary = Timeline.of(found).summary()
    (shown,) = summary.partitions
    assert shown.partition == P0
    assert not summary.duplicates
    assert {event.consumer for event in found if isinstance(event, Processed)} == {"billing-1"}


def test_what_other_processes_handle_counts_when_it_is_committed(tmp_path: Path) -> None:
    path = tmp_path / "app.jsonl"
    observer = TimelineObserver(path, "billing-1", elsewhere=lambda topic: topic == "orders")
    observer.fetched([FakeMessage(P0, at, None) for at in range(3, 10)])
    assert offsets(events(path), Processed) == []
    observer.committed(P0, Offset(5, encode_done(5, [Range(7, 9)])))
    assert offsets(events(path), Processed) == [3, 4, 7, 8]
    observer.committed(P0, Offset(10))
    assert offsets(events(path), Processed) == list(range(3, 10))
    observer.fetched([FakeMessage(P0, 10, None)])
    observer.revoked([P0])
    observer.committed(P0, Offset(11))
    assert offsets(events(path), Processed) == list(range(3, 10))
    observer.stopped("asked to stop")


def test_a_timeline_that_cannot_be_written_any_more_ends_and_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "app.jsonl"
    observer = TimelineObserver(path, "billing-1")
    observer.processed([FakeMessage(P0, 1, None)])
    writable = os.dup(observer._log._fd)
    unwritable = os.open(path, os.O_RDONLY)
    os.dup2(unwritable, observer._log._fd)
    with caplog.at_level(logging.ERROR, "rota.consumer"):
        observer.processed([FakeMessage(P0, 2, None)])
        observer.assigned([P0])
        os.dup2(writable, observer._log._fd)
        observer.processed([FakeMessage(P0, 3, None)])  # there is room again, but a hole before it
        observer.stopped("asked to stop")
    (said,) = caplog.records
    assert said.getMessage().startswith(f"the timeline {path} ends here, it cannot be written: ")
    assert [type(event) for event in events(path)] == [ConsumerStarted, Processed]
    os.close(writable)
    os.close(unwritable)


def test_a_handler_that_runs_on_after_the_end_writes_nowhere(tmp_path: Path) -> None:
    observer = TimelineObserver(tmp_path / "app.jsonl", "billing-1")
    number = observer._log._fd
    observer.stopped("asked to stop")
    somebodys = tmp_path / "orders.csv"
    opened = os.open(somebodys, os.O_WRONLY | os.O_CREAT)
    if opened != number:
        os.dup2(opened, number)
    observer.processed([FakeMessage(P0, 1, None)])
    assert somebodys.read_bytes() == b""
    for descriptor in {opened, number}:
        os.close(descriptor)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is full is Linux's")
def test_a_disk_that_is_full_at_the_start_is_an_error() -> None:
    with pytest.raises(RotaError, match="cannot write the timeline /dev/full: No space left"):
        TimelineObserver("/dev/full", "billing-1")


def test_what_was_finished_is_written_when_it_is_finished(tmp_path: Path) -> None:
    """Async handlers and batches too; and a revocation, with what came before it."""
    path = tmp_path / "app.jsonl"
    with broker_with(one=1, many=1) as broker:
        app = App(config(broker), timeline=path)
        seen = []

        @app.handler("one")
        async def handle_one(record: Record[bytes]) -> None:
            seen.append(record.offset)

        @app.handler("many", batch=Batch(most=5))
        def handle_many(records: Records[bytes]) -> None:
            seen.extend(record.offset for record in records)

        with app.start():
            produce(broker, "one", 5)
            produce(broker, "many", 7)
            wait_until("they are done", lambda: len(seen) == 12)
            wait_until("they are written", lambda: len(offsets(events(path), Processed)) == 12)
            broker.force_rebalance("billing")
            wait_until(
                "partitions go or come",
                lambda: sum(isinstance(event, Assigned | Revoked) for event in events(path)) >= 1,
            )
    found = events(path)
    assert sorted(offsets(found, Processed)) == sorted([*range(5), *range(7)])
