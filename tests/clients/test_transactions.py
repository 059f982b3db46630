"""Transactions with the clients' own means: what is read, what is committed, who is fenced."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import confluent_kafka
import pytest
from confluent_kafka import KafkaException, TopicPartition
from tests.brokers import BrokerUnderTest, new_broker
from tests.clients.desk import Desk
from tests.clients.franz_go_member import ask_franz_go
from tests.kafka.tools import offline_tool

from rota.coordinator.transactions import Transaction
from rota.coordinator.transactions.log_format import decode_record
from rota.wire.records import iter_batches, iter_records

TIMEOUT_S = 30.0
COMMITTED, UNCOMMITTED = "read_committed", "read_uncommitted"


# --- librdkafka ---------------------------------------------------------------------------------------------


def producer(desk: Desk, name: str, **config: object) -> confluent_kafka.Producer:
    """A transactional producer that has begun; a transaction that another left open is aborted first."""
    made = confluent_kafka.Producer(
        {"bootstrap.servers": desk.broker.bootstrap_servers, "transactional.id": name, **config}
    )
    made.init_transactions(TIMEOUT_S)
    return made


def consumer(desk: Desk, group: str, **config: object) -> confluent_kafka.Consumer:
    return confluent_kafka.Consumer(
        {
            "bootstrap.servers": desk.broker.bootstrap_servers,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            **config,
        }
    )


def read(desk: Desk, topic: str, partitions: Iterable[int] = (0,), level: str = COMMITTED) -> list[bytes]:
    """Every record up to the end that a consumer of that isolation level sees."""
    reader = consumer(desk, desk.name("reader"), **{"isolation.level": level})
    open_partitions = set(partitions)
    reader.assign([TopicPartition(topic, number, 0) for number in open_partitions])
    found: list[bytes] = []
    while open_partitions:
        message = reader.poll(TIMEOUT_S)
        assert message is not None, f"no end of {open_partitions} within {TIMEOUT_S:g} s"
        error = message.error()
        if error is None:
            found.append(message.value() or b"")
        else:
            assert error.code() == confluent_kafka.KafkaError._PARTITION_EOF, error
            open_partitions.discard(message.partition())
    reader.close()
    return found


def test_records_are_read_when_their_transaction_is_committed(desk: Desk) -> None:
    topic = desk.topic("levels", partitions=2)
    writer = producer(desk, desk.name("levels"))
    for number, end in enumerate(("commit", "abort", "commit", "open")):
        writer.begin_transaction()
        for partition in (0, 1):
            writer.produce(topic, f"{end} {number}".encode(), partition=partition)
        writer.flush(TIMEOUT_S)
        if end != "open":
            (writer.commit_transaction if end == "commit" else writer.abort_transaction)(TIMEOUT_S)
    everything = Counter({b"commit 0": 2, b"abort 1": 2, b"commit 2": 2, b"open 3": 2})
    assert Counter(read(desk, topic, (0, 1), UNCOMMITTED)) == everything
    assert Counter(read(desk, topic, (0, 1))) == Counter({b"commit 0": 2, b"commit 2": 2})
    writer.commit_transaction(TIMEOUT_S)
    everything.pop(b"abort 1")
    assert Counter(read(desk, topic, (0, 1))) == everything


def test_consume_transform_produce(desk: Desk) -> None:
    """Output and offsets are committed together, or neither is."""
    source, target = desk.topic("source", partitions=1), desk.topic("target", partitions=1)
    group = desk.name("transform")
    desk.produce(source, per_partition=10, partitions=1)
    reader = consumer(desk, group, **{"isolation.level": COMMITTED})
    reader.subscribe([source])
    writer = producer(desk, desk.name("transform"))

    def step(count: int, *, commit: bool) -> None:
        writer.begin_transaction()
        for _ in range(count):
            while (message := reader.poll(TIMEOUT_S)) is None or message.error():
                assert message is not None
            writer.produce(target, (message.value() or b"").upper())
        position = reader.position(reader.assignment())
        writer.send_offsets_to_transaction(position, reader.consumer_group_metadata(), TIMEOUT_S)
        if commit:
            writer.commit_transaction(TIMEOUT_S)
        else:
            writer.flush(TIMEOUT_S)
            writer.abort_transaction(TIMEOUT_S)

    here = [TopicPartition(source, 0)]
    step(4, commit=True)
    assert reader.committed(here, TIMEOUT_S)[0].offset == 4
    step(3, commit=False)
    assert reader.committed(here, TIMEOUT_S)[0].offset == 4
    assert len(read(desk, target)) == 4
    assert len(read(desk, target, level=UNCOMMITTED)) == 7
    reader.seek(TopicPartition(source, 0, 4))
    step(6, commit=True)
    assert reader.committed(here, TIMEOUT_S)[0].offset == 10
    assert read(desk, target) == [value.upper() for value in read(desk, source)]
    reader.close()


def test_a_second_producer_fences_the_first(desk: Desk) -> None:
    topic, name = desk.topic("fence", partitions=1), desk.name("fence")
    first = producer(desk, name)
    first.begin_transaction()
    first.produce(topic, b"of the first")
    first.flush(TIMEOUT_S)
    second = producer(desk, name)
    with pytest.raises(KafkaException) as caught:
        first.commit_transaction(TIMEOUT_S)
    assert caught.value.args[0].fatal()
    second.begin_transaction()
    second.produce(topic, b"of the second")
    second.commit_transaction(TIMEOUT_S)
    assert read(desk, topic) == [b"of the second"]


def test_a_transaction_that_takes_too_long_is_aborted(desk: Desk) -> None:
    """Within ``transaction.abort.timed.out.transaction.cleanup.interval.ms``, ten seconds."""
    topic = desk.topic("slow", partitions=1)
    config = {"transaction.timeout.ms": 1_000, "message.timeout.ms": 1_000}
    writer = producer(desk, desk.name("slow"), **config)
    writer.begin_transaction()
    writer.produce(topic, b"never seen")
    writer.flush(TIMEOUT_S)
    desk.produce(topic, per_partition=1, partitions=1)
    waiting = consumer(desk, desk.name("waiting"), **{"isolation.level": COMMITTED})
    waiting.assign([TopicPartition(topic, 0, 0)])
    while (message := waiting.poll(TIMEOUT_S)) is not None and message.error():
        pass
    assert message is not None
    assert message.value() != b"never seen"
    waiting.close()
    with pytest.raises(KafkaException):
        writer.commit_transaction(TIMEOUT_S)


# --- kafka-python -------------------------------------------------------------------------------------------


def test_kafka_python(desk: Desk) -> None:
    from kafka import KafkaConsumer, KafkaProducer  # type: ignore[import-untyped]
    from kafka import TopicPartition as Partition
    from kafka.structs import OffsetAndMetadata  # type: ignore[import-untyped]

    topic, group = desk.topic("python", partitions=1), desk.name("python")
    writer = KafkaProducer(
        bootstrap_servers=desk.broker.bootstrap_servers, transactional_id=desk.name("python")
    )
    writer.init_transactions()
    for number, commit in enumerate((True, False, True)):
        writer.begin_transaction()
        writer.send(topic, b"%d" % number).get(TIMEOUT_S)
        writer.send_offsets_to_transaction(
            {Partition(topic, 0): OffsetAndMetadata(number + 1, "", -1)}, group
        )
        (writer.commit_transaction if commit else writer.abort_transaction)()
    writer.close()
    assert read(desk, topic) == [b"0", b"2"]
    assert read(desk, topic, level=UNCOMMITTED) == [b"0", b"1", b"2"]
    reader = KafkaConsumer(
        bootstrap_servers=desk.broker.bootstrap_servers,
        group_id=group,
        isolation_level=COMMITTED,
        auto_offset_reset="earliest",
        consumer_timeout_ms=3_000,
    )
    reader.assign([Partition(topic, 0)])
    assert reader.committed(Partition(topic, 0)) == 3
    reader.seek_to_beginning()
    assert [next(reader).value for _ in range(2)] == [b"0", b"2"]
    reader.close()


# --- aiokafka -----------------------------------------------------------------------------------------------


def test_aiokafka(desk: Desk) -> None:
    topic, group = desk.topic("aio", partitions=1), desk.name("aio")
    asyncio.run(asyncio.wait_for(_with_aiokafka(desk, topic, group), 2 * TIMEOUT_S))
    assert read(desk, topic) == [b"0", b"2"]
    assert read(desk, topic, level=UNCOMMITTED) == [b"0", b"1", b"2"]


async def _with_aiokafka(desk: Desk, topic: str, group: str) -> None:
    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer  # type: ignore[import-untyped]
    from aiokafka import TopicPartition as Partition

    class ChangedOurMindsError(Exception):
        pass

    address = desk.broker.bootstrap_servers
    writer = AIOKafkaProducer(bootstrap_servers=address, transactional_id=desk.name("aio"))
    await writer.start()
    for number, commit in enumerate((True, False, True)):
        try:
            async with writer.transaction():
                await writer.send_and_wait(topic, b"%d" % number)
                await writer.send_offsets_to_transaction({Partition(topic, 0): number + 1}, group)
                if not commit:
                    raise ChangedOurMindsError
        except ChangedOurMindsError:
            pass
    await writer.stop()
    reader = AIOKafkaConsumer(
        bootstrap_servers=address,
        group_id=group,
        isolation_level=COMMITTED,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await reader.start()
    reader.assign([Partition(topic, 0)])
    assert await reader.committed(Partition(topic, 0)) == 3
    reader.seek(Partition(topic, 0), 0)
    assert [(await reader.getone()).value for _ in range(2)] == [b"0", b"2"]
    await reader.stop()


# --- franz-go -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("server_side", [False, True], ids=["classic", "consumer"])
@pytest.mark.usefixtures("franz_go")
def test_franz_go(desk: Desk, server_side: bool) -> None:
    """It consumes and produces; every third of its transactions is aborted and tried again."""
    source, target, group = desk.topic("go", 2), desk.topic("go-copy", 2), desk.name("go")
    desk.produce(source, per_partition=100, partitions=2)
    question = {"topic": source, "target": target, "group": group, "count": 200}
    question["server_side"] = server_side
    assert ask_franz_go(desk.broker.bootstrap_servers, "copy", **question) >= 10
    assert Counter(read(desk, target, (0, 1))) == Counter(read(desk, source, (0, 1)))
    assert desk.committed(group) == {(source, 0): 100, (source, 1): 100}


# --- Java ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("kafka_jars")
def test_javas_producer(desk: Desk) -> None:
    """Many small transactions, each with a new epoch (KIP-890)."""
    topic, name = desk.topic("perf", partitions=3), desk.name("perf")
    said = offline_tool(
        "kafka-producer-perf-test",
        *("--topic", topic, "--num-records", "400", "--record-size", "10", "--throughput", "1000"),
        *("--transactional-id", name, "--transaction-duration-ms", "20"),
        *("--producer-props", f"bootstrap.servers={desk.broker.bootstrap_servers}"),
    )
    assert "400 records sent" in said
    assert len(read(desk, topic, range(3))) == 400
    (row,) = [row for row in transactions(desk, "list") if row["TransactionalId"] == name]
    assert row["TransactionState"] == "CompleteCommit"
    (described,) = transactions(desk, "describe", "--transactional-id", name)
    assert int(described["ProducerEpoch"]) > 3


@pytest.mark.usefixtures("kafka_jars")
def test_javas_copier(desk: Desk) -> None:
    """Kafka's own test of exactly-once: consumes, produces, and aborts every now and then."""
    source, target, name = desk.topic("copied", 2), desk.topic("copy", 2), desk.name("copier")
    desk.produce(source, per_partition=500, partitions=2)
    offline_tool(
        "kafka-transactional-message-copier",
        *("--broker-list", desk.broker.bootstrap_servers, "--input-topic", source, "--input-partition", "0"),
        *("--output-topic", target, "--max-messages", "1000", "--transaction-size", "30"),
        *("--transactional-id", name, "--consumer-group", name),
        *("--enable-random-aborts", "--group-mode", "--use-group-metadata"),
    )
    assert Counter(read(desk, target, (0, 1))) == Counter(read(desk, source, (0, 1)))
    assert desk.committed(name) == {(source, 0): 500, (source, 1): 500}


@pytest.mark.usefixtures("kafka_jars")
def test_an_operator_finds_and_aborts_what_hangs(desk: Desk) -> None:
    topic, name = desk.topic("hangs", partitions=1), desk.name("hangs")
    writer = producer(desk, name)
    writer.begin_transaction()
    writer.produce(topic, b"hangs")
    writer.flush(TIMEOUT_S)
    (described,) = transactions(desk, "describe", "--transactional-id", name)
    assert (described["TransactionState"], described["TopicPartitions"]) == ("Ongoing", f"{topic}-0")
    (state,) = transactions(desk, "describe-producers", "--topic", topic, "--partition", "0")
    assert (state["ProducerId"], state["CurrentTransactionStartOffset"]) == (described["ProducerId"], "0")
    transactions(desk, "abort", "--topic", topic, "--partition", "0", "--start-offset", "0")
    (state,) = transactions(desk, "describe-producers", "--topic", topic, "--partition", "0")
    assert state["CurrentTransactionStartOffset"] == "None"
    assert read(desk, topic) == []
    writer.abort_transaction(TIMEOUT_S)


# --- files --------------------------------------------------------------------------------------------------


def test_the_transaction_log(own_broker: BrokerUnderTest) -> None:
    """Both brokers write down the same, record for record; Kafka's own tool reads it."""
    with Desk(own_broker) as desk:
        topic = desk.topic("log", partitions=1)
        writer = producer(desk, "log")
        for commit in (True, False):
            writer.begin_transaction()
            writer.produce(topic, b"x")
            writer.flush(TIMEOUT_S)
            (writer.commit_transaction if commit else writer.abort_transaction)(TIMEOUT_S)
        producer(desk, "log")
        del writer
        deadline = time.monotonic() + TIMEOUT_S
        while len(found := _records_of(own_broker.data_dir, "log")) < 8:
            assert time.monotonic() < deadline, found
            time.sleep(0.1)
    first_id = found[0].producer_id
    seen = [
        (each.state.name, each.producer_id - first_id, each.producer_epoch, len(each.partitions))
        for each in found
    ]
    assert seen == [
        ("EMPTY", 0, 0, 0),
        ("ONGOING", 0, 0, 1),
        ("PREPARE_COMMIT", 0, 0, 1),
        ("COMPLETE_COMMIT", 0, 0, 0),
        ("ONGOING", 0, 0, 1),
        ("PREPARE_ABORT", 0, 0, 1),
        ("COMPLETE_ABORT", 0, 0, 0),
        ("EMPTY", 0, 1, 0),
    ]
    assert {(each.previous_producer_id, each.next_producer_id) for each in found} == {(-1, -1)}
    assert [each.start_ms > 0 for each in found] == [False, *[True] * 6, False]


@pytest.mark.usefixtures("kafka_jars")
def test_kafkas_tool_reads_the_transaction_log(tmp_path: Path) -> None:
    with new_broker("rota", data_dir=tmp_path / "broker") as broker, Desk(broker) as desk:
        topic = desk.topic("log", partitions=1)
        writer = producer(desk, "log")
        writer.begin_transaction()
        writer.produce(topic, b"x")
        writer.commit_transaction(TIMEOUT_S)
        (path,) = [path for path in _logs(broker.data_dir) if path.stat().st_size]
        said = offline_tool("kafka-dump-log", "--transaction-log-decoder", "--files", path)
    states = re.findall(r'"transactionalId":"log".*"transactionStatus":(\d)', said)
    assert states == ["0", "1", "2", "4"]


def _logs(data_dir: Path) -> list[Path]:
    return sorted(data_dir.glob("**/__transaction_state-*/*.log"))


def _records_of(data_dir: Path, name: str) -> list[Transaction]:
    """What was recorded of a transactional id, from the broker's files."""
    found = []
    for path in _logs(data_dir):
        data = path.read_bytes()
        for position, _ in iter_batches(data):
            for record in iter_records(data, position):
                decoded = decode_record(record.key or b"", record.value)
                if decoded is not None and decoded.transactional_id == name:
                    assert decoded.transaction is not None
                    found.append(decoded.transaction)
    return found


@pytest.mark.usefixtures("kafka_jars")
def test_an_operator_forces_a_transaction_to_end(desk: Desk) -> None:
    topic, name = desk.topic("forced", partitions=1), desk.name("forced")
    writer = producer(desk, name)
    writer.begin_transaction()
    writer.produce(topic, b"never seen")
    writer.flush(TIMEOUT_S)
    transactions(desk, "forceTerminateTransaction", "--transactionalId", name)
    (described,) = transactions(desk, "describe", "--transactional-id", name)
    assert (described["TransactionState"], described["ProducerEpoch"]) == ("Empty", "2")
    assert read(desk, topic) == []
    with pytest.raises(KafkaException):
        writer.commit_transaction(TIMEOUT_S)


def transactions(desk: Desk, *arguments: str) -> list[dict[str, str]]:
    """What kafka-transactions says."""
    address = ("--bootstrap-server", desk.broker.bootstrap_servers)
    lines = offline_tool("kafka-transactions", *address, *arguments).splitlines()
    rows = [[cell.strip() for cell in line.split("\t")] for line in lines if line.strip()]
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
