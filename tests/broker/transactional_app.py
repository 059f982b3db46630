"""An application that consumes, transforms and produces in transactions, in raw requests; and who reads its output.

Its input are the numbers from 0 on. In transaction ``n`` it writes ``n`` to every partition of its output and commits
the offset ``n + 1``; some it aborts, and tries again. Whatever happens, the output that counts is, in each partition,
exactly the numbers before the committed offset.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from tests.broker.raw import RawClient
from tests.kafka.ports import PATIENCE_S

from rota.model import ErrorCode
from rota.wire.messages.add_offsets_to_txn import AddOffsetsToTxnRequest, AddOffsetsToTxnResponse
from rota.wire.messages.add_partitions_to_txn import (
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse,
    AddPartitionsToTxnTopic,
)
from rota.wire.messages.end_txn import EndTxnRequest, EndTxnResponse
from rota.wire.messages.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic
from rota.wire.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from rota.wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
    OffsetFetchResponse,
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
    TxnOffsetCommitResponse,
)
from rota.wire.records import build_batch, iter_batches, iter_records, read_end_marker
from rota.wire.schema import Message

__all__ = ["INPUT", "OUTPUT", "TransactionalApp", "committed_offset", "read_committed"]

_M = TypeVar("_M", bound=Message)
INPUT, OUTPUT = "numbers", "written"
_GROUP = "app"
_WAIT = {ErrorCode.CONCURRENT_TRANSACTIONS, ErrorCode.UNSTABLE_OFFSET_COMMIT, ErrorCode.NOT_COORDINATOR}


class TransactionalApp:
    """One life of the application: begins where the last committed transaction ended."""

    def __init__(self, client: RawClient, partitions: int, *, new_epochs: bool, seed: int) -> None:
        self._client = client
        self._partitions = partitions
        self._new_epochs = new_epochs
        self._random = random.Random(seed)
        self._sequences = [0] * partitions
        init = InitProducerIdRequest(transactional_id="app", transaction_timeout_ms=60_000)
        got = self._until_done(lambda: self._call(init, 4, InitProducerIdResponse), lambda it: it.error_code)
        self._id, self._epoch = got.producer_id, got.producer_epoch
        self.next = committed_offset(client, stable=True)

    def step(self) -> None:
        """One transaction."""
        commit = self._random.random() < 0.7
        if not self._new_epochs:
            self._add()
        for partition in self._random.sample(range(self._partitions), self._partitions):
            self._produce(partition)
        self._commit_offset()
        end = EndTxnRequest(
            transactional_id="app", producer_id=self._id, producer_epoch=self._epoch, committed=commit
        )
        got = self._call(end, 5 if self._new_epochs else 3, EndTxnResponse)
        assert got.error_code == 0, got
        if self._new_epochs:
            self._id, self._epoch = got.producer_id, got.producer_epoch
            self._sequences = [0] * self._partitions
        self.next += commit

    def _add(self) -> None:
        topics = [AddPartitionsToTxnTopic(name=OUTPUT, partitions=list(range(self._partitions)))]
        adding = AddPartitionsToTxnRequest(
            v3_and_below_transactional_id="app",
            v3_and_below_producer_id=self._id,
            v3_and_below_producer_epoch=self._epoch,
            v3_and_below_topics=topics,
        )
        got = self._call(adding, 3, AddPartitionsToTxnResponse)
        results = got.results_by_topic_v3_and_below[0].results_by_partition
        assert not any(each.partition_error_code for each in results), got
        group = AddOffsetsToTxnRequest(
            transactional_id="app", producer_id=self._id, producer_epoch=self._epoch, group_id=_GROUP
        )
        assert self._call(group, 3, AddOffsetsToTxnResponse).error_code == 0

    def _produce(self, partition: int) -> None:
        batch = build_batch(
            [(b"k", b"%d" % self.next, int(time.time() * 1000), [])],
            producer_id=self._id,
            producer_epoch=self._epoch,
            base_sequence=self._sequences[partition],
            transactional=True,
        )
        self._sequences[partition] += 1
        data = [PartitionProduceData(index=partition, records=bytes(batch))]
        request = ProduceRequest(
            transactional_id="app",
            acks=-1,
            timeout_ms=5_000,
            topic_data=[TopicProduceData(name=OUTPUT, partition_data=data)],
        )
        got = self._call(request, 12 if self._new_epochs else 9, ProduceResponse)
        assert got.responses[0].partition_responses[0].error_code == 0, got

    def _commit_offset(self) -> None:
        wanted = TxnOffsetCommitRequestPartition(partition_index=0, committed_offset=self.next + 1)
        request = TxnOffsetCommitRequest(
            transactional_id="app",
            group_id=_GROUP,
            producer_id=self._id,
            producer_epoch=self._epoch,
            topics=[TxnOffsetCommitRequestTopic(name=INPUT, partitions=[wanted])],
        )
        got = self._call(request, 5 if self._new_epochs else 3, TxnOffsetCommitResponse)
        assert got.topics[0].partitions[0].error_code == 0, got

    def _call(self, request: Message, version: int, expected: type[_M]) -> _M:
        return self._client.call(request, version, expected)

    @staticmethod
    def _until_done(ask: Callable[[], _M], code: Callable[[_M], int]) -> _M:
        deadline = time.monotonic() + PATIENCE_S
        while code(got := ask()) in _WAIT:
            assert time.monotonic() < deadline, got
            time.sleep(0.01)
        assert code(got) == 0, got
        return got


def committed_offset(client: RawClient, *, stable: bool = False) -> int:
    """What the application has committed; 0 at first. ``stable``: there must be no transaction about to change it."""
    topics = [OffsetFetchRequestTopics(name=INPUT, partition_indexes=[0])]
    request = OffsetFetchRequest(
        groups=[OffsetFetchRequestGroup(group_id=_GROUP, topics=topics)], require_stable=stable
    )
    found = client.call(request, 8, OffsetFetchResponse).groups[0].topics[0].partitions[0]
    assert found.error_code == 0, found
    return max(found.committed_offset, 0)


def read_committed(client: RawClient, partition: int) -> list[int]:
    """What a consumer that reads committed records makes of the output."""
    found: list[int] = []
    offset = 0
    while True:
        wanted = FetchPartition(partition=partition, fetch_offset=offset, partition_max_bytes=20_000)
        request = FetchRequest(
            isolation_level=1,
            max_bytes=1_000_000,
            topics=[FetchTopic(topic=OUTPUT, partitions=[wanted])],
        )
        data = client.call(request, 11, FetchResponse).responses[0].partitions[0]
        assert data.error_code == 0, data
        if not data.records:
            assert offset == data.last_stable_offset
            return found
        aborted = sorted(
            [(each.first_offset, each.producer_id) for each in data.aborted_transactions or []], reverse=True
        )
        aborting: set[int] = set()
        for position, header in iter_batches(data.records):
            while aborted and aborted[-1][0] <= header.last_offset:
                aborting.add(aborted.pop()[1])
            if header.is_control:
                marker = read_end_marker(data.records, position)
                assert marker is not None
                if not marker.committed:
                    aborting.discard(header.producer_id)
            elif header.producer_id not in aborting:
                records = iter_records(data.records, position)
                found += [int(record.value or b"") for record in records if record.offset >= offset]
            offset = header.next_offset
