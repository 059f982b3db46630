"""A broker that is used in all ways, in process and in one thread, and what it has promised at each moment.

The broker is the real one; its sockets and threads are not there. Whatever answers a client would have had is noted
with the number of changes that had been made to the files by then.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

import pytest
from tests.storage.power import Recorder

from rota.broker import group_commit, offset_transactions
from rota.broker.broker import Broker
from rota.broker.clock import Clock
from rota.broker.handlers import produce
from rota.broker.loop import Loop
from rota.broker.request import NoAnswer, Request
from rota.broker.settings import Settings
from rota.model import ErrorCode, TopicPartition
from rota.storage import LogDirectory
from rota.storage.cleanable import cleanable
from rota.storage.compaction import compact, run_now
from rota.wire.messages.add_offsets_to_txn import AddOffsetsToTxnRequest
from rota.wire.messages.add_partitions_to_txn import AddPartitionsToTxnRequest, AddPartitionsToTxnTopic
from rota.wire.messages.end_txn import EndTxnRequest
from rota.wire.messages.init_producer_id import InitProducerIdRequest
from rota.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from rota.wire.messages.produce import PartitionProduceData, ProduceRequest, TopicProduceData
from rota.wire.messages.txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
)
from rota.wire.records import build_batch
from rota.wire.schema import Message

__all__ = ["Promise", "Workload", "broker_on", "without_threads"]

CONFIGS = {
    "node.id": "1",
    "offsets.topic.num.partitions": "2",
    "offsets.topic.segment.bytes": "1500",
    "transaction.state.log.num.partitions": "1",
    "transaction.state.log.segment.bytes": "2000",
    "log.cleaner.enable": "false",  # it is called by name
}
"""Segments of a few batches."""


class Promise(NamedTuple):
    """Something that was acknowledged when ``at`` changes had been made."""

    at: int
    what: str
    detail: tuple[Any, ...]


class _Inline:
    """A thread pool without threads."""

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(work(*arguments))
        return done

    def shutdown(self) -> None:
        """There is nothing to wait for."""


def without_threads(patch: pytest.MonkeyPatch) -> None:
    """What brokers do in threads, they do at once."""
    patch.setattr(group_commit, "ThreadPoolExecutor", lambda **_: _Inline())


class _Connection:
    """Takes answers instead of sending them."""

    client_host = "/127.0.0.1"

    def __init__(self, broker: Broker) -> None:
        self.server = self
        self.broker = broker
        self.answers: list[Message] = []

    def reply_later(self, _request: Request, response: Message) -> None:
        self.answers.append(response)


@contextmanager
def broker_on(path: Path, configs: dict[str, str]) -> Iterator[Broker]:
    """Start a broker without sockets; in the end it is gone, not closed."""
    loop = Loop()
    directory = LogDirectory.open(path)
    try:
        broker = Broker(Settings(CONFIGS | configs), directory, loop, clock=Clock())
        yield broker
    finally:
        loop.close()
        if directory._lock is not None:
            os.close(directory._lock)


class Workload:
    """What clients do, at random, and what they are told."""

    def __init__(self, recorder: Recorder, seed: int) -> None:
        self.recorder = recorder
        self.chance = random.Random(seed)
        self.promises: list[Promise] = []
        self.sequences: dict[tuple[str, int], int] = {}
        self.values = 0
        self.committed = 0
        self.open_transaction: list[tuple[TopicPartition, int, bytes]] | None = None
        self.ids: dict[str, tuple[int, int]] = {}

    def promise(self, what: str, *detail: Any) -> None:
        self.promises.append(Promise(len(self.recorder.changes), what, detail))

    # --- calls ----------------------------------------------------------------------------------------------

    def call(self, broker: Broker, handle: Callable[[Request], object], version: int) -> Any:
        """Do what a connection does with a request; the answer when the client gets it."""
        connection = _Connection(broker)
        request = Request(cast("Any", connection), cast("Any", None), version, 0, "test")
        answer = handle(request)
        if broker.syncs is not None and broker.syncs.is_due:
            answer = broker.syncs.hold(request, answer)
        loop = broker._loop
        while loop._soon:
            loop._turn()
        if isinstance(answer, NoAnswer):
            (answer,) = connection.answers
        return answer

    def send(
        self, broker: Broker, tp: TopicPartition, batch: bytearray, transactional_id: str | None = None
    ) -> tuple[int, int]:
        """Produce; error code and offset."""
        partition = PartitionProduceData(index=tp.partition, records=memoryview(batch))
        request = ProduceRequest(
            transactional_id=transactional_id,
            acks=-1,
            topic_data=[TopicProduceData(name=tp.topic, partition_data=[partition])],
        )
        answer = self.call(broker, lambda asked: produce.handle(broker, request, asked), 11)
        found = answer.responses[0].partition_responses[0]
        return found.error_code, found.base_offset

    def batch(self, name: str, tp: TopicPartition, **more: Any) -> tuple[bytearray, list[bytes]]:
        """The next batch of a producer."""
        values = []
        for _ in range(self.chance.randint(1, 3)):
            values.append(b"%d-" % self.values + b"x" * self.chance.randint(0, 300))
            self.values += 1
        producer_id, epoch = self.ids.get(name, (-1, -1))
        sequence = self.sequences.get((name, tp.partition), 0) if producer_id >= 0 else -1
        codec = self.chance.choice(("none", "none", "gzip", "lz4", "snappy", "zstd"))
        batch = build_batch(
            [(b"k%d" % self.chance.randint(0, 9), value, 1_000_000, ()) for value in values],
            producer_id=producer_id,
            producer_epoch=epoch,
            base_sequence=sequence,
            compression=codec,
            **more,
        )
        if producer_id >= 0:
            self.sequences[name, tp.partition] = sequence + len(values)
        return batch, values

    # --- what clients do ------------------------------------------------------------------------------------

    def begin(self, broker: Broker) -> None:
        """Topics, and a producer that never repeats."""
        for name, configs in (
            ("orders", {"internal.segment.bytes": "2000", "index.interval.bytes": "300"}),
            ("latest", {"internal.segment.bytes": "1500", "cleanup.policy": "compact"}),
        ):
            self.create(broker, name, configs)
        self.ids["exact"] = (broker.next_producer_id(), 0)
        self.promise("producer id", self.ids["exact"][0])

    def create(self, broker: Broker, name: str, configs: dict[str, str]) -> None:
        topic = broker.topics.create(name, 2, configs)
        self.promise("topic", name, topic.id, configs)

    def step(self, broker: Broker) -> None:
        """One of the things that clients and the broker itself do."""
        steps = {
            self.produce: 8,
            self.commit: 4,
            self.transaction: 4,
            self.compact: 1,
            self.checkpoint: 1,
            self.configure: 0.3,
            self.come_and_go: 0.4,
            self.delete_records: 0.4,
        }
        self.chance.choices(list(steps), list(steps.values()))[0](broker)

    def produce(self, broker: Broker) -> None:
        name = self.chance.choice(("plain", "exact"))
        topic = self.chance.choice(("orders", "orders", "latest")) if name == "plain" else "orders"
        tp = TopicPartition(topic, self.chance.randint(0, 1))
        batch, values = self.batch(name, tp)
        copy = bytearray(batch)
        code, offset = self.send(broker, tp, batch)
        assert code == 0
        self.promise("records", tp, offset, values, copy if name == "exact" else None)

    def commit(self, broker: Broker) -> None:
        self.committed += 1
        wanted = OffsetCommitRequestPartition(partition_index=0, committed_offset=self.committed)
        topics = [OffsetCommitRequestTopic(name="orders", partitions=[wanted])]
        group = self.chance.choice(("g1", "g2"))
        request = OffsetCommitRequest(group_id=group, topics=topics)
        answer = self.call(broker, lambda asked: broker.groups.handle(request, asked), 8)
        assert answer.topics[0].partitions[0].error_code == 0
        self.promise("offset", group, self.committed)

    def transaction(self, broker: Broker) -> None:
        """A step of the one transaction that may be open."""
        if "txn" not in self.ids:
            asked_for = InitProducerIdRequest(transactional_id="txn", transaction_timeout_ms=60_000)
            found = self._ask(broker, asked_for, 4)
            assert found.error_code == 0
            self.ids["txn"] = (found.producer_id, found.producer_epoch)
            self.promise("producer id", found.producer_id)
            return
        producer_id, epoch = self.ids["txn"]
        if self.open_transaction is None:
            self.open_transaction = []
        elif self.open_transaction and self.chance.random() < 0.4:
            committed = self.chance.random() < 0.6
            end = EndTxnRequest(
                transactional_id="txn", producer_id=producer_id, producer_epoch=epoch, committed=committed
            )
            assert self._ask(broker, end, 3).error_code == 0
            self.promise("ended", committed, tuple(self.open_transaction))
            self.open_transaction = None
            return
        tp = TopicPartition("orders", self.chance.randint(0, 1))
        add = AddPartitionsToTxnRequest(
            v3_and_below_transactional_id="txn",
            v3_and_below_producer_id=producer_id,
            v3_and_below_producer_epoch=epoch,
            v3_and_below_topics=[AddPartitionsToTxnTopic(name=tp.topic, partitions=[tp.partition])],
        )
        self._ask(broker, add, 3)
        batch, values = self.batch("txn", tp, transactional=True)
        copy = bytearray(batch)
        code, offset = self.send(broker, tp, batch, "txn")
        assert code == 0, ErrorCode(code)
        self.promise("records", tp, offset, values, copy)
        self.open_transaction.append((tp, offset, values[0]))
        if self.chance.random() < 0.3:
            self._commit_in_transaction(broker, producer_id, epoch)

    def _commit_in_transaction(self, broker: Broker, producer_id: int, epoch: int) -> None:
        add = AddOffsetsToTxnRequest(
            transactional_id="txn", producer_id=producer_id, producer_epoch=epoch, group_id="exactly"
        )
        assert self._ask(broker, add, 3).error_code == 0
        self.committed += 1
        wanted = TxnOffsetCommitRequestPartition(partition_index=0, committed_offset=self.committed)
        request = TxnOffsetCommitRequest(
            transactional_id="txn",
            group_id="exactly",
            producer_id=producer_id,
            producer_epoch=epoch,
            generation_id=-1,
            member_id="",
            topics=[TxnOffsetCommitRequestTopic(name="orders", partitions=[wanted])],
        )
        answer = self.call(
            broker, lambda asked: offset_transactions.commit_offsets(broker, request, asked), 3
        )
        assert answer.topics[0].partitions[0].error_code == 0

    def _ask(self, broker: Broker, message: Message, version: int) -> Any:
        return self.call(broker, lambda asked: broker.transactions.handle(message, asked), version)

    # --- what the broker does -------------------------------------------------------------------------------

    def compact(self, broker: Broker) -> None:
        for tp, each in list(broker.topics.logs()):
            if "compact" in each.config.cleanup_policy and len(each.segments) > 2:
                what = cleanable(each, broker.directory.cleaned_to.get(tp), broker.clock.now_ms())
                done = run_now(compact(what, broker.clock.now_ms()))
                if done is not None:
                    broker.directory.note_cleaned(tp, done.end_offset)()

    def checkpoint(self, broker: Broker) -> None:
        for _, each in broker.topics.logs():
            each.flush_now(each.unflushed_closed())
        broker.directory.write_checkpoints()
        for tp, each in broker.topics.logs():
            self.promise("safe", tp, each.recovery_point)

    def configure(self, broker: Broker) -> None:
        configs = {
            "internal.segment.bytes": "2000",
            "index.interval.bytes": "300",
            "retention.ms": str(self.chance.randint(10**11, 10**12)),
        }
        topic = broker.topics.get("orders")
        assert topic is not None
        broker.topics.set_configs("orders", configs)
        self.promise("topic", "orders", topic.id, configs)

    def come_and_go(self, broker: Broker) -> None:
        """A topic that is made and deleted, again and again, under one name."""
        if broker.topics.get("brief") is None:
            self.create(broker, "brief", {"internal.segment.bytes": "2000"})
        elif self.chance.random() < 0.5:
            broker.delete_topic("brief")
            self.promise("no topic", "brief")
            return
        tp = TopicPartition("brief", 0)
        for _ in range(self.chance.randint(1, 12)):
            batch, values = self.batch("plain", tp)
            code, offset = self.send(broker, tp, batch)
            assert code == 0
            self.promise("records", tp, offset, values, None)

    def delete_records(self, broker: Broker) -> None:
        tp = TopicPartition("orders", self.chance.randint(0, 1))
        log = broker.topics.log(tp)
        start = self.chance.randint(log.log_start_offset, log.log_end_offset)
        start = min(start, log.log_start_offset + 10, log.last_stable_offset)
        broker.delete_records(tp, start)
        self.promise("start", tp, start)
