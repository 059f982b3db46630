"""Clients that keep a broker busy while it is killed under them, and remember what it acknowledged."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from tests.broker.raw import RawClient
from tests.kafka.ports import PATIENCE_S

from rota.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
)

__all__ = ["Committer", "Member", "Sender", "Stored", "read_all", "read_latest", "running"]

Stored = dict[tuple[int, int], bytes]  # (partition, offset): value

_QUICK: dict[str, Any] = {"reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 100, "log_level": 0}


class _Worker:
    """A thread that does one step after another until it is stopped; its first error is raised by ``stop``."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def step(self) -> None:
        raise NotImplementedError

    def finish(self) -> None:
        """Called in the thread, after the last step."""

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self.step()
            self.finish()
        except BaseException as error:
            self._error = error

    def start(self) -> None:
        self._thread.start()

    def ask_to_stop(self) -> None:
        self._stopping.set()

    def stop(self) -> None:
        """Wait for its end; raises what went wrong in the thread."""
        self.ask_to_stop()
        self._thread.join(60)
        assert not self._thread.is_alive()
        if self._error is not None:
            raise self._error


class Sender(_Worker):
    """Numbered records to every partition in turn, acks=all; ``acked`` is what the broker said it has.

    ``keys``: how many keys the records have, in turn; 0 for none.
    """

    def __init__(
        self, address: str, topic: str, partitions: int, name: str, *, idempotent: bool, keys: int = 0
    ) -> None:
        super().__init__()
        self.acked_keys: dict[bytes, int] = {}  # key: the last number that the broker has
        self._keys = keys
        self.acked: Stored = {}
        self.sent = 0
        self._topic, self._partitions, self._name = topic, partitions, name
        settings = {"bootstrap.servers": address, "acks": "all", "enable.idempotence": idempotent}
        self._producer = Producer(
            {**_QUICK, **settings, "linger.ms": 1, "retry.backoff.ms": 20, "message.timeout.ms": 60_000}
        )

    def step(self) -> None:
        while len(self._producer) > 200:
            self._producer.poll(0.01)
        value = f"{self._name}-{self.sent}".encode()
        key = b"%d" % (self.sent % self._keys) if self._keys else None
        self._producer.produce(
            self._topic, value, key, partition=self.sent % self._partitions, on_delivery=self._delivered
        )
        self.sent += 1
        self._producer.poll(0)
        if not self.sent % 20:
            time.sleep(0.01)  # a broker that is never idle would spend the test in recovery

    def finish(self) -> None:
        assert self._producer.flush(30) == 0

    def _delivered(self, error: object, message: Message) -> None:
        assert error is None, error
        partition, offset, value = message.partition(), message.offset(), message.value()
        assert partition is not None
        assert offset is not None
        assert isinstance(value, bytes)
        self.acked[partition, offset] = value
        key = message.key()
        if isinstance(key, bytes):
            self.acked_keys[key] = max(self.acked_keys.get(key, 0), number_of(value))


def number_of(value: bytes) -> int:
    """The number in a record of a ``Sender``."""
    return int(value.rpartition(b"-")[2])


class Committer(_Worker):
    """Commits 1, 2, 3, … for a group without members, one after the other; ``acked`` is the last that was."""

    def __init__(self, address: str, group: str, topic: str) -> None:
        super().__init__()
        self.acked = 0
        self._next = 1
        self._address, self._group, self._topic = address, group, topic

    def step(self) -> None:
        with suppress(OSError), RawClient(self._address) as client:
            while not self._stopping.is_set():
                self._commit(client)
        time.sleep(0.01)

    def _commit(self, client: RawClient) -> None:
        partition = OffsetCommitRequestPartition(partition_index=0, committed_offset=self._next)
        request = OffsetCommitRequest(
            group_id=self._group,
            topics=[OffsetCommitRequestTopic(name=self._topic, partitions=[partition])],
        )
        answer = client.call(request, 8, OffsetCommitResponse)
        assert answer.topics[0].partitions[0].error_code == 0
        self.acked = self._next
        self._next += 1


class Member(_Worker):
    """A consumer in a group, which commits what it has read; ``happened`` are the calls of its callbacks."""

    def __init__(self, address: str, group: str, topic: str) -> None:
        super().__init__()
        self.happened: list[str] = []
        self.read = 0
        settings = {"bootstrap.servers": address, "group.id": group, "auto.offset.reset": "earliest"}
        self._consumer = Consumer(
            {
                **_QUICK,
                **settings,
                "session.timeout.ms": 30_000,
                "heartbeat.interval.ms": 300,
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 100,
            }
        )
        self._consumer.subscribe(
            [topic],
            on_assign=self._note("assigned"),
            on_revoke=self._note("revoked"),
            on_lost=self._note("lost"),
        )

    def _note(self, what: str) -> Callable[[Consumer, list[TopicPartition]], None]:
        def called(_consumer: Consumer, partitions: list[TopicPartition]) -> None:
            self.happened.append(f"{what} {sorted(each.partition for each in partitions)}")

        return called

    def step(self) -> None:
        messages = self._consumer.consume(100, timeout=0.1)
        self.read += sum(1 for message in messages if message.error() is None)
        if messages:
            with suppress(KafkaException):
                self._consumer.commit(asynchronous=True)

    def finish(self) -> None:
        self.happened.append("closing")
        self._consumer.close()


@contextmanager
def running(*workers: _Worker) -> Iterator[None]:
    """Start all of them, and stop all of them in the end."""
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        for worker in workers:
            worker.ask_to_stop()
        for worker in workers:
            worker.stop()


def read_all(address: str, topic: str, partitions: int, ends: dict[int, int]) -> Stored:
    """Every record of a topic, from the start of each partition to its end."""
    consumer = Consumer({**_QUICK, "bootstrap.servers": address, "group.id": "reader"})
    stored: Stored = {}
    consumer.assign([TopicPartition(topic, each, OFFSET_BEGINNING) for each in range(partitions)])
    deadline = time.monotonic() + PATIENCE_S
    while len(stored) < sum(ends.values()) and time.monotonic() < deadline:
        for message in consumer.consume(5000, timeout=0.5):
            assert message.error() is None, message.error()
            partition, offset, value = message.partition(), message.offset(), message.value()
            assert partition is not None
            assert offset is not None
            assert isinstance(value, bytes)
            stored[partition, offset] = value
    consumer.close()
    return stored


def read_latest(address: str, topic: str, partitions: int) -> dict[bytes, int]:
    """The last number of each key in a compacted topic."""
    consumer = Consumer(
        {**_QUICK, "bootstrap.servers": address, "group.id": "reader", "enable.partition.eof": True}
    )
    consumer.assign([TopicPartition(topic, each, OFFSET_BEGINNING) for each in range(partitions)])
    found: dict[bytes, int] = {}
    ended: set[int | None] = set()
    deadline = time.monotonic() + PATIENCE_S
    while len(ended) < partitions:
        assert time.monotonic() < deadline
        for message in consumer.consume(5000, timeout=0.5):
            error, key, value = message.error(), message.key(), message.value()
            if error is not None:
                assert error.code() == KafkaError._PARTITION_EOF, error
                ended.add(message.partition())
            else:
                assert isinstance(key, bytes)
                assert isinstance(value, bytes)
                found[key] = number_of(value)
    consumer.close()
    return found
