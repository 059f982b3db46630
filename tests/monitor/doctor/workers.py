"""Members that work: at a pace that a test sets, and with records that they cannot handle; and what gives them work."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Self

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from tests.kafka.ports import PATIENCE_S, wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

__all__ = ["Stream", "Worker"]


class _Thread:
    """A thread that runs from the beginning of a with block to its end."""

    def __init__(self, name: str) -> None:
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        self._ending.set()
        self._thread.join(PATIENCE_S)

    def _run(self) -> None:
        raise NotImplementedError


class Worker(_Thread):
    """Takes ``delay_s`` for each record and commits what is done; a record of ``cursed`` comes back for ever.

    ``cursed`` holds partitions and offsets, of whatever topic; the next record takes ``nap_s`` longer.
    """

    COMMIT_S = 0.1

    def __init__(
        self,
        bootstrap_servers: str,
        group: str,
        *topics: str,
        client_id: str,
        delay_s: float = 0.0,
        cursed: frozenset[tuple[int, int]] = frozenset(),
        session_ms: int = 10_000,
        poll_ms: int = 60_000,
    ) -> None:
        super().__init__(client_id)
        self.client_id = client_id
        self.delay_s = delay_s
        self.nap_s = 0.0
        self.cursed = cursed
        self.owned: frozenset[tuple[str, int]] = frozenset()
        self._topics = list(topics)
        self._settings = {
            "bootstrap.servers": bootstrap_servers,
            "group.id": group,
            "client.id": client_id,
            "partition.assignment.strategy": "range",
            "session.timeout.ms": session_ms,
            "max.poll.interval.ms": poll_ms,
            "heartbeat.interval.ms": 300,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 50,
            "log_level": 0,
        }

    def wait_owns(self, count: int) -> None:
        wait_until(f"{self.client_id} owns {count} partitions", lambda: len(self.owned) == count)

    def _run(self) -> None:
        consumer = Consumer(self._settings)
        consumer.subscribe(
            self._topics,
            on_assign=lambda _, given: self._own({(tp.topic, tp.partition) for tp in given}),
            on_revoke=lambda *_: self._own(set()),
        )
        done: dict[tuple[str, int], int] = {}
        due = 0.0
        try:
            while not self._ending.is_set():
                message = consumer.poll(0.05)
                if message is not None and message.error() is None:
                    topic, partition, offset = message.topic(), message.partition(), message.offset()
                    assert topic is not None
                    assert partition is not None
                    assert offset is not None
                    stuck_at = min((at for number, at in self.cursed if number == partition), default=None)
                    if stuck_at is not None and offset >= stuck_at:  # later ones may be under way already
                        consumer.seek(TopicPartition(topic, partition, stuck_at))
                        continue
                    nap_s, self.nap_s = self.nap_s, 0.0
                    time.sleep(self.delay_s + nap_s)
                    done[topic, partition] = offset + 1
                if done and time.monotonic() >= due:
                    self._commit(consumer, done)
                    due = time.monotonic() + self.COMMIT_S
        finally:
            consumer.close()

    def _own(self, partitions: set[tuple[str, int]]) -> None:
        self.owned = frozenset(partitions)

    def _commit(self, consumer: Consumer, done: dict[tuple[str, int], int]) -> None:
        offsets = [TopicPartition(*place, offset) for place, offset in done.items() if place in self.owned]
        done.clear()
        try:
            if offsets:
                consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException:  # a rebalance has begun: the records come again
            return


class Stream(_Thread):
    """Writes to a topic, so many records a second to each partition; ``per_s`` may be changed at any time."""

    TURN_S = 0.05

    def __init__(self, bootstrap_servers: str, topic: str, per_s: Mapping[int, float]) -> None:
        super().__init__(f"stream to {topic}")
        self.per_s = dict(per_s)
        self._topic = topic
        self._producer = Producer({"bootstrap.servers": bootstrap_servers, "linger.ms": 5, "log_level": 0})

    def _run(self) -> None:
        owed: dict[int, float] = {}
        before = time.monotonic()
        while not self._ending.wait(self.TURN_S):
            now = time.monotonic()
            for partition, rate in dict(self.per_s).items():
                owed[partition] = owed.get(partition, 0.0) + rate * (now - before)
                for _ in range(int(owed[partition])):
                    self._producer.produce(self._topic, b"x" * 20, key=b"key", partition=partition)
                owed[partition] %= 1
            before = now
            self._producer.poll(0)
        self._producer.flush(PATIENCE_S)
