"""Where partitions end, as the brokers say while the consumer itself has stopped fetching; on Rota's broker and on
Apache Kafka.
"""

from __future__ import annotations

import threading
import time

from confluent_kafka import Producer
from tests.clients.desk import Desk
from tests.kafka.ports import PATIENCE_S, wait_until

from rota.consumer import App, Health, Record
from rota.consumer.operations.ends import Ends
from rota.model import TopicPartition


def test_the_brokers_know_the_end_of_a_partition_that_is_not_fetched(desk: Desk) -> None:
    topic, group = desk.topic(partitions=2), desk.name("group")
    first, second = TopicPartition(topic, 0), TopicPartition(topic, 1)
    producer = Producer({"bootstrap.servers": desk.bootstrap_servers})
    done = threading.Semaphore(0)
    config = {"bootstrap.servers": desk.bootstrap_servers, "group.id": group}
    app = App(config)

    @app.handler(topic)
    def handle(record: Record[bytes]) -> None:
        done.release()

    def produce(count: int) -> None:
        for _ in range(count):
            producer.produce(topic, b"x", partition=0)
        assert producer.flush(PATIENCE_S) == 0

    ends = Ends(config, 0)
    try:
        with app.start() as running:
            produce(3)
            for _ in range(3):
                assert done.acquire(timeout=PATIENCE_S)
            running.pause(topic, 0)
            wait_until("it is paused", lambda: running.state and running.state.partitions[0].paused)
            produce(8)
            wait_until(
                "the brokers have answered",
                lambda: ends.of([first, second], 0) == {first: 11, second: 0},
            )
            seen = running.state
            assert seen is not None
            assert seen.partitions[0].position is not None
            assert seen.partitions[0].position < 11
    finally:
        ends.close()


def test_nobody_waits_for_brokers_that_do_not_answer() -> None:
    ends = Ends({"bootstrap.servers": "127.0.0.1:1", "group.id": "g"}, 1_000)
    partition = TopicPartition("orders", 0)
    assert ends.of([partition], 0) == {}
    assert ends.of([partition], 2_000) == {}  # the first question is still on its way
    ends.close()


def test_nobody_is_asked_for_nothing() -> None:
    before = threading.active_count()
    ends = Ends({"bootstrap.servers": "127.0.0.1:1", "group.id": "g"}, 1_000)
    assert ends.of([], 0) == {}
    assert threading.active_count() == before


def test_a_consumer_that_fetches_is_never_stuck_though_a_transaction_stays_open(desk: Desk) -> None:
    topic, group = desk.topic(partitions=1), desk.name("group")
    app = App(
        {"bootstrap.servers": desk.bootstrap_servers, "group.id": group}, health=Health(partition_stuck=2_000)
    )
    done = threading.Semaphore(0)

    @app.handler(topic)
    def handle(record: Record[bytes]) -> None:
        done.release()

    producer = Producer(
        {"bootstrap.servers": desk.bootstrap_servers, "transactional.id": desk.name("transactional")}
    )
    producer.init_transactions(PATIENCE_S)
    with app.start() as running:
        for _ in range(2):
            producer.begin_transaction()
            producer.produce(topic, b"x")
            assert producer.flush(PATIENCE_S) == 0
            for _ in range(16):
                verdict = running.operations.live()
                assert verdict.ok, verdict.words
                time.sleep(0.25)
            producer.commit_transaction(PATIENCE_S)
            assert done.acquire(timeout=PATIENCE_S)
