"""Apps as applications write them, on a real broker through the real client."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Consumer
from tests.consumer import process_app
from tests.consumer.kafka_tools import Order, app_for, committed, create, orders, produce, total_committed
from tests.kafka.ports import PATIENCE_S, free_ports, wait_until

from rota.consumer import App, Batch, DeadLetter, Limits, Record, Records, Retry
from rota.model import RotaError, TopicPartition
from rota.testing import Broker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rota.consumer import Context


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker({"auto.create.topics.enable": False}) as broker:
        yield broker


def test_records_are_handled_and_committed(broker: Broker) -> None:
    orders(broker)
    app = app_for(broker)
    seen: list[int] = []

    @app.handler("orders")
    def handle(record: Record[Order], context: Context) -> None:
        assert context.attempt == 1
        seen.append(record.value.id)

    with app.start():
        wait_until("all records", lambda: len(seen) >= 100)
    assert sorted(seen) == list(range(100))
    assert total_committed(broker, "orders", 2) == 100


def test_async_handlers_run_many_at_once(broker: Broker) -> None:
    orders(broker, 64)
    app = app_for(broker, order="none", concurrency=64)
    at_once = most = 0
    seen: list[int] = []

    @app.handler("orders")
    async def handle(record: Record[Order]) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        while most < 32:  # nobody ends before so many have begun
            await asyncio.sleep(0.01)
        at_once -= 1
        seen.append(record.value.id)

    with app.start():
        wait_until("all records", lambda: len(seen) >= 64)
    assert sorted(seen) == list(range(64))
    assert 32 <= most <= 64
    assert total_committed(broker, "orders", 2) == 64


def test_batches_are_handled_whole(broker: Broker) -> None:
    orders(broker, 500, partitions=1)
    app = app_for(broker, order="partition")
    sizes: list[int] = []
    seen: list[int] = []

    @app.handler("orders", batch=Batch(most=100, wait_ms=50))
    def handle(records: Records[Order]) -> None:
        sizes.append(len(records))
        seen.extend(order.id for order in records.values)

    with app.start():
        wait_until("all records", lambda: len(seen) >= 500)
    assert seen == list(range(500))
    assert max(sizes) <= 100
    assert len(sizes) < 100
    assert committed(broker, "orders") == 500


@pytest.mark.parametrize("batch", [None, Batch(most=20, wait_ms=20)], ids=["records", "batches"])
def test_handlers_run_in_processes(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: Batch | None
) -> None:
    journal = tmp_path / "journal"
    journal.touch()
    monkeypatch.setenv(process_app.JOURNAL, str(journal))
    orders(broker)
    app = app_for(broker, concurrency=2)
    function = process_app.handle if batch is None else process_app.handle_many
    app.handler("orders", workers="processes", key=bytes.decode, batch=batch)(function)
    with app.start():
        wait_until("all records", lambda: len(journal.read_text().splitlines()) >= 100)
    rows = [line.split() for line in journal.read_text().splitlines()]
    assert sorted(int(number) for _, _, number, _ in rows) == list(range(100))
    assert str(os.getpid()) not in {pid for pid, _, _, _ in rows}
    assert {key[0] for _, key, _, _ in rows} == {"k" if batch is None else "-"}
    assert total_committed(broker, "orders", 2) == 100


def test_a_handler_that_no_process_can_import_is_refused(broker: Broker) -> None:
    app = app_for(broker)
    app.handler("orders", workers="processes")(lambda _: None)
    with pytest.raises(RotaError, match="is a lambda, and a process imports its handler by name"):
        app.start()


def test_what_the_client_refuses_while_it_runs_is_one_line(broker: Broker) -> None:
    app = app_for(broker)
    app.handler("^orders-(?:a|b)")(lambda _: None)  # Python's language, and not librdkafka's
    with pytest.raises(RotaError, match=r"the client cannot subscribe to the pattern \^orders-\(\?:a\|b\): "):
        app.start().wait(PATIENCE_S)


def test_a_payload_that_cannot_be_read_goes_to_the_dead_letters_and_holds_up_nobody(broker: Broker) -> None:
    create(broker, "orders")
    create(broker, "orders.dlq")
    produce(broker, "orders", [b'{"id": 1}', b"{", b'{"id": 2}', None, b'{"id": 3}'], key="same")
    app = app_for(broker)
    seen: list[int] = []

    @app.handler("orders", dead_letter=DeadLetter("orders.dlq"), retry=Retry(attempts=5, backoff=(60, 60)))
    def handle(record: Record[Order]) -> None:
        seen.append(record.value.id)

    with app.start():
        wait_until("the readable records", lambda: len(seen) >= 3)
        letters = _read(broker, "orders.dlq", 2)
    assert seen == [1, 2, 3]
    assert committed(broker, "orders") == 5
    assert [letter.value() for letter in letters] == [b"{", None]
    headers = dict(letters[0].headers())
    assert headers["rota-attempts"] == b"1"
    assert headers["rota-exception-message"].startswith(
        b"the value of orders-0 at offset 1 cannot be decoded"
    )


@pytest.mark.parametrize("is_async", [False, True], ids=["threads", "loop"])
def test_a_batch_is_handled_around_a_payload_that_cannot_be_read(broker: Broker, is_async: bool) -> None:
    create(broker, "orders")
    create(broker, "orders.dlq")
    values = [b"{" if number in (0, 4, 5) else b'{"id": %d}' % number for number in range(10)]
    produce(broker, "orders", values, key="same")
    app = app_for(broker)
    seen: list[int] = []

    def handle(records: Records[Order]) -> None:
        seen.extend(order.id for order in records.values)

    async def handle_async(records: Records[Order]) -> None:
        handle(records)

    options: dict[str, Any] = {"batch": Batch(most=100, wait_ms=100), "dead_letter": DeadLetter("orders.dlq")}
    app.handler("orders", **options)(handle_async if is_async else handle)
    with app.start():
        wait_until("the readable records", lambda: len(seen) >= 7)
        letters = _read(broker, "orders.dlq", 3)
    assert seen == [1, 2, 3, 6, 7, 8, 9]
    assert [dict(letter.headers())["rota-original-offset"] for letter in letters] == [b"0", b"4", b"5"]
    assert committed(broker, "orders") == 10


def _read(broker: Broker, topic: str, count: int) -> list[Any]:
    from confluent_kafka import TopicPartition as ClientPartition

    consumer = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": "reader"})
    found: list[Any] = []

    def read(consumer: Consumer) -> int:
        found.extend(consumer.consume(count, 0.2))
        return len(found)

    try:
        consumer.assign([ClientPartition(topic, 0, 0)])
        wait_until(f"{count} records in {topic}", lambda: read(consumer) >= count)
    finally:
        consumer.close()
    return found


def test_without_dead_letters_it_stops_the_consumer_and_is_not_committed(broker: Broker) -> None:
    create(broker, "orders")
    produce(broker, "orders", [b'{"id": 1}', b"{", b'{"id": 2}'], key="same")
    app = app_for(broker)
    seen: list[int] = []

    @app.handler("orders")
    def handle(record: Record[Order]) -> None:
        seen.append(record.value.id)

    with pytest.raises(RotaError, match="PayloadError: the value of orders-0 at offset 1 cannot be decoded"):
        app.start().wait(PATIENCE_S)
    assert seen == [1]
    assert committed(broker, "orders") == 1


def test_a_topic_that_does_not_exist_is_told_and_read_when_it_does(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    app = app_for(broker, {"topic.metadata.refresh.interval.ms": 500})
    seen: list[object] = []
    app.handler("orders")(seen.append)
    with app.start():
        wait_until("the warning", lambda: "the topic orders does not exist" in caplog.text)
        create(broker, "orders")
        produce(broker, "orders", [b"1"])
        wait_until("the record", lambda: seen)


def test_a_broker_that_is_away_is_told_within_seconds_and_waited_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "rota.consumer")
    (port,) = free_ports(1)
    address = f"127.0.0.1:{port}"
    app = App({"bootstrap.servers": address, "group.id": "g", "reconnect.backoff.max.ms": 500})
    seen: list[object] = []
    app.handler("orders")(seen.append)
    with app.start():
        began = time.monotonic()
        wait_until("the warning", lambda: f"waiting: no broker of {address} answers (" in caplog.text)
        assert time.monotonic() - began < 30
        with Broker(port=port) as broker:
            orders(broker, 5)
            wait_until("the records", lambda: len(seen) >= 5)
            assert f"going on: {address} answers again" in caplog.text
            wait_until("the commit", lambda: total_committed(broker, "orders", 2) == 5)


def test_who_cannot_reach_a_broker_still_stops(caplog: pytest.LogCaptureFixture) -> None:
    (port,) = free_ports(1)
    app = App({"bootstrap.servers": f"127.0.0.1:{port}", "group.id": "g"})
    app.handler("orders")(lambda _: None)
    with app.start():
        wait_until("the warning", lambda: "waiting: no broker" in caplog.text)
        began = time.monotonic()
    assert time.monotonic() - began < 20


def test_a_wrong_property_is_told_at_start(broker: Broker) -> None:
    app = app_for(broker, {"sesion.timeout.ms": 6000})
    app.handler("orders")(lambda _: None)
    with pytest.raises(
        RotaError, match=r"no configuration property sesion\.timeout\.ms: did you mean session\.timeout\.ms"
    ):
        app.start()


def test_the_configuration_is_told_once_without_secrets(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "rota.consumer")
    orders(broker, 1)
    app = app_for(broker, {"sasl.password": "hunter2"})
    app.handler("orders")(lambda _: None)
    with app.start():
        pass
    lines = [record.getMessage() for record in caplog.records]
    assert sum(line.startswith("the client's configuration: ") for line in lines) == 1
    assert any("fetch.queue.backoff.ms=5 (librdkafka: 1000" in line for line in lines)
    assert "hunter2" not in caplog.text


def test_a_partition_can_be_paused(broker: Broker) -> None:
    create(broker, "orders", 2)
    app = app_for(broker)
    seen: Counter[int] = Counter()

    @app.handler("orders")
    def handle(record: Record[bytes]) -> None:
        seen[record.partition] += 1

    with app.start() as running:
        produce(broker, "orders", [b"1"] * 10, partition=0)
        wait_until("the first ten", lambda: seen[0] >= 10)
        running.pause("orders", 0)
        wait_until("the pause", lambda: running.owner.ask(_paused).result() == {TopicPartition("orders", 0)})
        produce(broker, "orders", [b"1"] * 10, partition=0)
        produce(broker, "orders", [b"1"] * 10, partition=1)
        wait_until("the others", lambda: seen[1] >= 10)
        assert seen[0] == 10
        running.resume("orders", 0)
        wait_until("the rest", lambda: seen[0] >= 20)


def _paused(engine: Any) -> set[TopicPartition]:
    return {partition for partition, state in engine.partitions.items() if state.paused}


def test_the_end_does_not_wait_for_ever_for_a_handler(broker: Broker) -> None:
    create(broker, "orders")
    produce(broker, "orders", [b"1"])
    app = app_for(broker, limits=Limits(shutdown_drain=300))
    begun, gate = threading.Event(), threading.Event()

    @app.handler("orders")
    def handle(record: Record[bytes]) -> None:
        begun.set()
        gate.wait(PATIENCE_S)

    try:
        running = app.start()
        assert begun.wait(PATIENCE_S)
        running.stop()
        assert not gate.is_set()
    finally:
        gate.set()
    assert committed(broker, "orders") in (None, 0)


def test_what_the_block_raises_is_not_hidden_by_the_consumers_end(broker: Broker) -> None:
    create(broker, "orders")
    produce(broker, "orders", [b"1"])
    app = app_for(broker)
    failed = threading.Event()

    @app.handler("orders")
    def handle(record: Record[bytes]) -> None:
        failed.set()
        raise OSError("no disk")

    with pytest.raises(KeyError, match="mine"), app.start():  # noqa: PT012  # what is in it matters
        assert failed.wait(PATIENCE_S)
        raise KeyError("mine")


def test_run_works_outside_of_the_main_thread(broker: Broker) -> None:
    create(broker, "orders")
    produce(broker, "orders", [b"1"])
    app = app_for(broker)
    raised: list[BaseException] = []

    @app.handler("orders")
    def handle(record: Record[bytes]) -> None:
        raise OSError("no disk")

    def run() -> None:
        try:
            app.run()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(PATIENCE_S)
    assert isinstance(raised[0], RotaError)
    assert "the record in orders-0 at offset 0 failed 1 time, at last with OSError: no disk" in str(raised[0])
