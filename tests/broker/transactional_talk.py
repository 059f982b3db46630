"""A transactional producer made of raw requests, whose answers are written down to be compared."""

from __future__ import annotations

import time
from typing import Any, TypeVar

from tests.broker.talk import Answer, Talk, plain

from rota.model import ErrorCode
from rota.wire.messages.add_partitions_to_txn import (
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse,
    AddPartitionsToTxnTopic,
)
from rota.wire.messages.describe_transactions import DescribeTransactionsRequest, DescribeTransactionsResponse
from rota.wire.messages.end_txn import EndTxnRequest, EndTxnResponse
from rota.wire.messages.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic
from rota.wire.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from rota.wire.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from rota.wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
)
from rota.wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
)
from rota.wire.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from rota.wire.messages.txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
)
from rota.wire.records import build_batch
from rota.wire.schema import Message

__all__ = [
    "WITHIN_S",
    "Producer",
    "committed",
    "committing",
    "fetching",
    "init",
    "listing",
    "look",
    "note_fetch",
    "producing",
]

_M = TypeVar("_M", bound=Message)
WITHIN_S = 20.0
_WAIT = {
    ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
    ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.NOT_COORDINATOR,
    ErrorCode.CONCURRENT_TRANSACTIONS,
}
_TIMES = {"transaction_start_time_ms", "last_timestamp"}


class Producer:
    """A transactional producer made of requests; its ids are told apart by the order in which they were seen."""

    def __init__(self, talk: Talk, suffix: str = "") -> None:
        self.talk = talk
        self.name = f"{talk.name}{suffix}"
        self.id = self.epoch = -1
        self.sequences: dict[tuple[str, int, int], int] = {}
        self._ids: dict[int, int] = {}
        self.coordinator()

    def coordinator(self) -> None:
        ask = FindCoordinatorRequest(key_type=1, coordinator_keys=[self.name])
        deadline = time.monotonic() + WITHIN_S
        while self.talk.client.call(ask, 4, FindCoordinatorResponse).coordinators[0].error_code:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        hello = DescribeTransactionsRequest(transactional_ids=[self.name])
        while (
            self.talk.client.call(hello, 0, DescribeTransactionsResponse).transaction_states[0].error_code
            in _WAIT
        ):
            assert time.monotonic() < deadline
            time.sleep(0.05)

    # --- asking -------------------------------------------------------------------------------------------------

    def ask(self, request: Message, version: int, expected: type[_M]) -> _M:
        """Ask and write the answer down, with ids by number and no times."""
        response = self.talk.client.call(request, version, expected)
        self.note(request, version, response)
        return response

    def note(self, request: Message, version: int, response: Message) -> None:
        """Write an answer down."""
        self.talk.answers.append(Answer(repr(request), version, self._by_number(plain(response))))

    def _by_number(self, value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            return {key: self._by_number(each, key) for key, each in value.items()}
        if isinstance(value, list):
            return [self._by_number(each) for each in value]
        if name == "producer_id" and value >= 0:
            return f"producer {self._ids.setdefault(value, len(self._ids))}"
        return "<time>" if name in _TIMES and value > 0 else value

    # --- what a case needs before it asks; none of it is written down -----------------------------------------------

    def init(self, version: int = 4, *, again: bool = False, timeout_ms: int = 60_000) -> None:
        """Begin; ``again``: with the id and epoch that it had."""
        request = init(self.name, timeout_ms, *((self.id, self.epoch) if again else ()))
        deadline = time.monotonic() + WITHIN_S
        while (got := self.talk.client.call(request, version, InitProducerIdResponse)).error_code in _WAIT:
            assert time.monotonic() < deadline, got
            time.sleep(0.02)
        assert got.error_code == 0, got
        self.id, self.epoch = got.producer_id, got.producer_epoch

    def add(self, *topics: tuple[str, int]) -> None:
        got = self.talk.client.call(self.adding(*topics), 3, AddPartitionsToTxnResponse)
        assert not got.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code, got

    def adding(
        self, *topics: tuple[str, int], producer: int = 0, epoch: int = 0
    ) -> AddPartitionsToTxnRequest:
        """The request, with ``producer`` and ``epoch`` added to the right ones."""
        partitions: dict[str, list[int]] = {}
        for name, partition in topics:
            partitions.setdefault(name, []).append(partition)
        return AddPartitionsToTxnRequest(
            v3_and_below_transactional_id=self.name,
            v3_and_below_producer_id=self.id + producer,
            v3_and_below_producer_epoch=self.epoch + epoch,
            v3_and_below_topics=[
                AddPartitionsToTxnTopic(name=name, partitions=each) for name, each in partitions.items()
            ],
        )

    def batch(self, topic: str, value: bytes, *, count: int = 1, partition: int = 0) -> bytes:
        key = topic, partition, self.epoch
        sequence = self.sequences.get(key, 0)
        self.sequences[key] = sequence + count
        return bytes(
            build_batch(
                [(b"k", value, 1_000, []) for _ in range(count)],
                producer_id=self.id,
                producer_epoch=self.epoch,
                base_sequence=sequence,
                transactional=True,
            )
        )

    def produce(self, topic: str, value: bytes = b"v", *, count: int = 1, version: int = 9) -> None:
        request = producing(self.name, topic, self.batch(topic, value, count=count))
        got = self.talk.client.call(request, version, ProduceResponse)
        assert not got.responses[0].partition_responses[0].error_code, got

    def ending(self, *, commit: bool = True, producer: int = 0, epoch: int = 0) -> EndTxnRequest:
        return EndTxnRequest(
            transactional_id=self.name,
            producer_id=self.id + producer,
            producer_epoch=self.epoch + epoch,
            committed=commit,
        )

    def end(self, *, commit: bool = True, version: int = 3) -> None:
        got = self.talk.client.call(self.ending(commit=commit), version, EndTxnResponse)
        assert got.error_code == 0, got
        if version >= 5:
            self.id, self.epoch = got.producer_id, got.producer_epoch
        self.settle()

    def settle(self) -> None:
        """Wait until all markers are written."""
        ask = DescribeTransactionsRequest(transactional_ids=[self.name])
        deadline = time.monotonic() + WITHIN_S
        while True:
            got = self.talk.client.call(ask, 0, DescribeTransactionsResponse).transaction_states[0]
            if not got.error_code and not got.transaction_state.startswith("Prepare"):
                return
            assert time.monotonic() < deadline, got
            time.sleep(0.02)

    def describe(self) -> None:
        """Write down what an operator sees."""
        self.ask(DescribeTransactionsRequest(transactional_ids=[self.name]), 0, DescribeTransactionsResponse)

    def read(self, topic: str) -> None:
        """Write down what consumers see, both kinds, and where the log ends for them."""
        for level in (0, 1):
            note_fetch(self, fetching(topic, level), 11)
            for timestamp in (-1, 0):
                self.ask(listing(topic, level, timestamp), 7, ListOffsetsResponse)


# --- requests -----------------------------------------------------------------------------------------------


def init(name: str | None, timeout_ms: int = 60_000, producer_id: int = -1, epoch: int = -1) -> Message:
    return InitProducerIdRequest(
        transactional_id=name,
        transaction_timeout_ms=timeout_ms,
        producer_id=producer_id,
        producer_epoch=epoch,
    )


def producing(name: str | None, topic: str, batch: bytes, topic_id: bytes = bytes(16)) -> ProduceRequest:
    data = TopicProduceData(
        name=topic, topic_id=topic_id, partition_data=[PartitionProduceData(index=0, records=batch)]
    )
    return ProduceRequest(transactional_id=name, acks=-1, timeout_ms=5_000, topic_data=[data])


def fetching(topic: str, level: int, offset: int = 0) -> FetchRequest:
    return FetchRequest(
        max_wait_ms=0,
        min_bytes=0,
        isolation_level=level,
        topics=[
            FetchTopic(
                topic=topic,
                partitions=[FetchPartition(partition=0, fetch_offset=offset, partition_max_bytes=1_000_000)],
            )
        ],
    )


def listing(topic: str, level: int, timestamp: int) -> ListOffsetsRequest:
    wanted = ListOffsetsPartition(partition_index=0, timestamp=timestamp)
    return ListOffsetsRequest(
        replica_id=-1, isolation_level=level, topics=[ListOffsetsTopic(name=topic, partitions=[wanted])]
    )


def committing(
    producer: Producer,
    topic: str,
    offset: int = 5,
    *,
    group: str | None = None,
    generation: int = -1,
    member: str = "",
    instance: str | None = None,
    metadata: str = "m",
    partition: int = 0,
) -> TxnOffsetCommitRequest:
    wanted = TxnOffsetCommitRequestPartition(
        partition_index=partition, committed_offset=offset, committed_metadata=metadata
    )
    return TxnOffsetCommitRequest(
        transactional_id=producer.name,
        group_id=producer.name if group is None else group,
        producer_id=producer.id,
        producer_epoch=producer.epoch,
        generation_id=generation,
        member_id=member,
        group_instance_id=instance,
        topics=[TxnOffsetCommitRequestTopic(name=topic, partitions=[wanted])],
    )


def committed(group: str, topic: str | None, *, stable: bool) -> OffsetFetchRequest:
    topics = None if topic is None else [OffsetFetchRequestTopics(name=topic, partition_indexes=[0])]
    return OffsetFetchRequest(
        groups=[OffsetFetchRequestGroup(group_id=group, topics=topics)], require_stable=stable
    )


def look(producer: Producer, topic: str) -> None:
    for level in (0, 1):
        note_fetch(producer, fetching(topic, level), 11)
        producer.ask(listing(topic, level, -1), 7, ListOffsetsResponse)


def note_fetch(producer: Producer, request: FetchRequest, version: int) -> None:
    """Records hold producer ids and the markers' times: only their number of bytes is compared."""
    response = producer.talk.client.call(request, version, FetchResponse)
    for topic in response.responses:
        for partition in topic.partitions:
            partition.records = None if partition.records is None else b"x" * len(partition.records)
    producer.note(request, version, response)
