"""Batches and records at offsets, and who wrote them, on both brokers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Producer
from confluent_kafka import TopicPartition as ClientPartition
from tests.kafka.ports import PATIENCE_S, wait_until

from rota.admin import At, Position
from rota.model import RotaError, TopicPartition
from rota.monitor.facts import BatchFacts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.clients.desk import Desk

    from rota.admin import Admin


def produce(
    desk: Desk, topic: str, values: list[bytes], partition: int = 0, at_ms: int = 0, codec: str = "none"
) -> None:
    """Each value is a batch of its own."""
    producer = Producer(
        {
            "bootstrap.servers": desk.bootstrap_servers,
            "linger.ms": 0,
            "log_level": 0,
            "compression.type": codec,
        }
    )
    for number, value in enumerate(values):
        stamp = at_ms + number if at_ms else 0
        producer.produce(
            topic, value, key=b"k%d" % number, partition=partition, timestamp=stamp, headers=[("h", b"1")]
        )
        assert producer.flush(PATIENCE_S) == 0


def batch(answer: object) -> BatchFacts:
    assert isinstance(answer, BatchFacts), answer
    return answer


def test_a_batch_header_tells_the_time_of_the_first_record_left(admin: Admin, desk: Desk) -> None:
    topic = desk.topic("orders", 2)
    tp, empty = TopicPartition(topic, 0), TopicPartition(topic, 1)
    produce(desk, topic, [b"a", b"b", b"c"], at_ms=1_700_000_000_000)
    found = admin.batches({tp: 1, empty: 0})
    header = batch(found[tp])
    assert (header.base_offset, header.last_offset, header.records) == (1, 1, 1)
    assert header.base_timestamp_ms == header.max_timestamp_ms == 1_700_000_000_001
    assert (header.log_append, header.control) == (False, False)
    assert found[empty] is None
    assert admin.batches({tp: 3}) == {tp: None}
    beyond = admin.batches({tp: 99})
    assert beyond == {tp: None}


def test_large_batches_of_many_partitions_are_all_read(admin: Admin, desk: Desk) -> None:
    topic = desk.topic("orders", 6)
    large = 700_000
    for number in range(6):
        produce(desk, topic, [b"x" * large, b"y"], number)
    found = admin.batches({TopicPartition(topic, number): number % 2 for number in range(6)})
    for tp, answer in found.items():
        assert batch(answer).base_offset == tp.partition % 2
        assert (batch(answer).size > large) == (tp.partition % 2 == 0)


def test_what_retention_took_away_begins_where_the_log_does(admin: Admin, desk: Desk) -> None:
    topic = desk.topic("orders", 1)
    produce(desk, topic, [b"a", b"b", b"c", b"d"])
    desk.admin.delete_records([ClientPartition(topic, 0, 2)])[ClientPartition(topic, 0)].result(PATIENCE_S)
    tp = TopicPartition(topic, 0)
    assert admin.offsets([tp], At.EARLIEST) == {tp: 2}
    assert batch(admin.batches({tp: 0})[tp]).base_offset == 2
    record = admin.record_at(tp, 0)
    assert record is not None
    assert (record.offset, record.value) == (2, b"c")


@pytest.mark.parametrize("codec", ["none", "zstd"])
def test_a_record_is_read_with_key_headers_and_time(admin: Admin, desk: Desk, codec: str) -> None:
    topic = desk.topic("orders", 1)
    produce(desk, topic, [b"a" * 2000, b"b"], at_ms=1_700_000_000_000, codec=codec)
    record = admin.record_at(TopicPartition(topic, 0), 0)
    assert record is not None
    assert (record.offset, record.timestamp, record.key, record.value) == (
        0,
        1_700_000_000_000,
        b"k0",
        b"a" * 2000,
    )
    assert list(record.headers) == [("h", b"1")]
    assert admin.record_at(TopicPartition(topic, 0), 2) is None


def test_an_unknown_partition_is_an_error_in_its_place(admin: Admin, desk: Desk) -> None:
    topic = desk.topic("orders", 1)
    produce(desk, topic, [b"a"])
    there, missing = TopicPartition(topic, 0), TopicPartition(topic, 5)
    found = admin.batches({there: 0, missing: 0})
    assert batch(found[there]).base_offset == 0
    assert isinstance(found[missing], RotaError)
    with pytest.raises(RotaError, match="does not exist"):
        admin.record_at(missing, 0)


def test_offsets_of_times(admin: Admin, desk: Desk) -> None:
    topic = desk.topic("orders", 2)
    start_ms = 1_700_000_000_000
    produce(desk, topic, [b"a", b"b", b"c"], at_ms=start_ms)
    tp, empty = TopicPartition(topic, 0), TopicPartition(topic, 1)
    wanted: Mapping[int, dict[TopicPartition, int | None]] = {
        start_ms + 1: {tp: 1, empty: None},
        start_ms + 99: {tp: None, empty: None},
        At.LATEST: {tp: 3, empty: 0},
        At.EARLIEST: {tp: 0, empty: 0},
        At.MAX_TIMESTAMP: {tp: 2, empty: None},
    }
    for at, expected in wanted.items():
        assert admin.offsets([tp, empty], at) == expected, at
    newest = admin.positions([tp], At.MAX_TIMESTAMP)[tp]
    assert isinstance(newest, Position)
    assert newest.timestamp_ms == start_ms + 2


def test_an_open_transaction_is_seen_from_every_side(admin: Admin, desk: Desk) -> None:
    topic, name = desk.topic("orders", 1), desk.name("transactional")
    tp = TopicPartition(topic, 0)
    produce(desk, topic, [b"before"])
    producer = Producer(
        {
            "bootstrap.servers": desk.bootstrap_servers,
            "transactional.id": name,
            "transaction.timeout.ms": 55_000,
            "log_level": 0,
        }
    )
    producer.init_transactions(PATIENCE_S)
    producer.begin_transaction()
    producer.produce(topic, b"open", partition=0)
    producer.flush(PATIENCE_S)
    assert admin.offsets([tp], At.STABLE) == {tp: 1}
    assert admin.offsets([tp], At.LATEST) == {tp: 2}
    writers = admin.producers([tp])[tp]
    assert not isinstance(writers, RotaError)
    (writer,) = [each for each in writers if each.transaction_start is not None]
    assert writer.transaction_start == 1
    ids, failure = admin.list_transactions(states=["Ongoing"], producer_ids=[writer.producer_id])
    assert (ids, failure) == ((name,), None)
    facts = admin.transactions([name, "nobody"])
    found = facts[name]
    assert not isinstance(found, RotaError)
    assert (found.state, found.producer_id, found.timeout_ms) == ("Ongoing", writer.producer_id, 55_000)
    assert found.partitions == (tp,)
    assert found.since_ms is not None
    assert isinstance(facts["nobody"], RotaError)
    producer.commit_transaction(PATIENCE_S)
    # The marker has an offset too, and is no record. Apache Kafka writes it after it has answered.
    wait_until("the marker is written", lambda: admin.offsets([tp], At.STABLE) == {tp: 3})
    assert batch(admin.batches({tp: 2})[tp]).control
    assert admin.record_at(tp, 2) is None


def test_settings_of_brokers_and_groups(admin: Admin, desk: Desk) -> None:
    topic, group = desk.topic("orders", 1), desk.name("group")
    number = admin.nodes()[0].id
    found = admin.broker_configs(["group.min.session.timeout.ms", "offsets.retention.minutes"])
    assert found == {number: {"group.min.session.timeout.ms": "1000", "offsets.retention.minutes": "10080"}}
    every = admin.broker_configs()[number]
    assert not isinstance(every, RotaError)
    assert len(every) > 50
    settings = admin.group_configs([group])[group]
    assert not isinstance(settings, RotaError)
    assert settings["consumer.session.timeout.ms"] == "45000"
    assert admin.topics([topic])[topic] == admin.topics()[topic]
