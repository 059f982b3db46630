"""Where Rota's broker is not as Apache Kafka's, a test each: records and transactions. See ``test_differences``."""

from __future__ import annotations

import gzip
import random
import struct

import pytest
from tests.broker.like_kafka_records import fetch, offsets, records
from tests.broker.raw import RawClient
from tests.broker.talk import Talk
from tests.broker.transactional_talk import Producer
from tests.brokers import new_broker
from tests.kafka.ports import wait_until

from rota.model import ErrorCode
from rota.wire.crc import crc32c
from rota.wire.messages.add_partitions_to_txn import AddPartitionsToTxnResponse
from rota.wire.messages.create_topics import (
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from rota.wire.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopic,
)
from rota.wire.messages.end_txn import EndTxnRequest, EndTxnResponse
from rota.wire.messages.fetch import FetchResponse
from rota.wire.messages.list_offsets import ListOffsetsResponse
from rota.wire.messages.produce import PartitionProduceResponse, ProduceResponse
from rota.wire.records import HEADER_SIZE, BatchHeader, Record, build_batch, iter_records, read_header

_GZIP = 1
_LATEST_TIMESTAMP = -3


@pytest.mark.difference(
    "records inside a compressed batch of more than 1 kB are looked at when they are read, not when they are written"
)
def test_a_compressed_batch_with_nonsense_inside(talk: Talk) -> None:
    batch = build_batch([(b"k", random.Random(0).randbytes(2_000), 1_000, [])], compression="gzip")
    batch[HEADER_SIZE + 10 :] = bytes(len(batch) - HEADER_SIZE - 10)
    assert _produce(talk, talk.topic(), batch).error_code != ErrorCode.NONE


@pytest.mark.difference("so is what is behind the lengths of records that are not compressed")
def test_a_record_whose_key_is_longer_than_itself(talk: Talk) -> None:
    batch = build_batch([(b"key", b"v" * 20, 1_000, []) for _ in range(10)])
    batch[batch.index(b"key", HEADER_SIZE + 100) - 1] = 0x7E
    assert _produce(talk, talk.topic(), batch).error_code == ErrorCode.INVALID_RECORD


@pytest.mark.difference(
    "of a batch of more than 4 kB the lengths of the first 150 records and of one more for each kB are looked at, "
    "not counting those that are alike"
)
def test_the_last_of_a_thousand_small_records_of_all_lengths_is_destroyed(talk: Talk) -> None:
    chance = random.Random(3)
    batch = build_batch([(None, bytes(chance.randrange(80, 120)), 1_000, []) for _ in range(1_000)])
    batch[-60:] = b"\xff" * 60
    assert _produce(talk, talk.topic(), batch).error_code == ErrorCode.INVALID_RECORD


@pytest.mark.difference("gzip of more than 1,000 members is refused where a batch is opened")
def test_gzip_of_two_thousand_members(talk: Talk) -> None:
    batch = build_batch([(b"k", bytes(2_000), 1_000, [])])
    plain = bytes(batch[HEADER_SIZE:])
    _put(batch, b"".join(gzip.compress(plain[at : at + 1]) for at in range(len(plain))))
    assert _produce(talk, _compacted(talk), batch).error_code == ErrorCode.NONE


@pytest.mark.difference("a compressed batch has a million records at most")
def test_a_million_and_one_records_in_a_batch(talk: Talk) -> None:
    batch = build_batch([(None, None, 1_000, [])] * 1_000_001, compression="gzip")
    name = _topic(talk, **{"max.message.bytes": "10000000"})
    assert _produce(talk, name, batch).error_code == ErrorCode.NONE


@pytest.mark.difference("of the records for which a batch is refused 10,000 at most are named")
def test_all_records_that_are_refused_are_named(talk: Talk) -> None:
    count = 10_001
    batch = build_batch([(None, b"", 1_000, [])] * count)
    assert len(_produce(talk, _compacted(talk), batch).record_errors) == count


@pytest.mark.difference("the latest timestamp (ListOffsets) is that of a record that was not deleted")
def test_the_latest_timestamp_is_a_deleted_records(talk: Talk) -> None:
    name = talk.topic()
    for timestamp in (2_000, 1_000):
        talk.produce(name, build_batch([(b"k", b"v", timestamp, [])]))
    partition = DeleteRecordsPartition(partition_index=0, offset=1)
    topic = DeleteRecordsTopic(name=name, partitions=[partition])
    gone = talk.client.call(
        DeleteRecordsRequest(topics=[topic], timeout_ms=5_000), 2, DeleteRecordsResponse
    ).topics[0]
    assert gone.partitions[0].error_code == ErrorCode.NONE
    answer = talk.client.call(offsets(name, (0, _LATEST_TIMESTAMP)), 7, ListOffsetsResponse)
    assert answer.topics[0].partitions[0].timestamp == 2_000


@pytest.mark.difference("a batch that lost records to compaction keeps its base timestamp")
def test_a_batch_that_lost_its_first_record_begins_with_the_next_ones_time(broker_kind: str) -> None:
    config = {"log.cleaner.backoff.ms": "100", "log.cleaner.min.cleanable.ratio": "0.01"}
    start = 1_700_000_000_000
    with new_broker(broker_kind, config=config) as broker, RawClient(broker.bootstrap_servers) as client:
        talk = Talk(client, "compacted", broker.bootstrap_servers)
        name = _compacted(talk, **{"segment.ms": "1000"})
        talk.produce(name, build_batch([(b"a", b"", start, []), (b"b", b"", start + 5, [])]))
        for later in (10_000, 20_000):
            talk.produce(name, build_batch([(b"a", b"", start + later, [])]))
        wait_until("a record is gone", lambda: _first_batch(talk, name)[0].record_count == 1)
        header, left = _first_batch(talk, name)
    assert [record.timestamp for record in left] == [start + 5]
    assert header.base_timestamp == start + 5


@pytest.mark.difference(
    "EndTxn is answered after the markers are written: nobody is told CONCURRENT_TRANSACTIONS"
)
def test_a_transaction_ends_after_its_answer(talk: Talk) -> None:
    topic = talk.topic()
    producer = Producer(talk)
    producer.init()
    end = EndTxnRequest(
        transactional_id=producer.name,
        producer_id=producer.id,
        producer_epoch=producer.epoch,
        committed=True,
    )

    def code(answer: AddPartitionsToTxnResponse) -> int:
        return answer.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code

    def has_begun() -> bool:
        return not code(talk.client.call(producer.adding((topic, 0)), 3, AddPartitionsToTxnResponse))

    codes = set()
    for _ in range(20):
        wait_until("a transaction begins", has_begun)
        talk.client.send(end, 3)
        talk.client.send(producer.adding((topic, 0)), 3)
        assert talk.client.receive(EndTxnResponse, 3).error_code == ErrorCode.NONE
        codes.add(code(talk.client.receive(AddPartitionsToTxnResponse, 3)))
    assert ErrorCode.CONCURRENT_TRANSACTIONS in codes


def _produce(talk: Talk, topic: str, batch: bytearray) -> PartitionProduceResponse:
    """The answer to a batch to whose header and records anything may have been done."""
    struct.pack_into(">i", batch, 8, len(batch) - 12)
    struct.pack_into(">I", batch, 17, crc32c(memoryview(batch)[21:]))
    answer = talk.client.call(records(topic, bytes(batch)), 9, ProduceResponse)
    return answer.responses[0].partition_responses[0]


def _put(batch: bytearray, body: bytes) -> None:
    """Have the batch hold what gzip has made of its records."""
    batch[HEADER_SIZE:] = body
    batch[22] |= _GZIP


def _compacted(talk: Talk, **configs: str) -> str:
    return _topic(talk, **{"cleanup.policy": "compact"}, **configs)


def _topic(talk: Talk, **configs: str) -> str:
    wanted = CreatableTopic(
        name=talk.name,
        num_partitions=1,
        replication_factor=1,
        configs=[CreatableTopicConfig(name=name, value=value) for name, value in configs.items()],
    )
    answer = talk.client.call(CreateTopicsRequest(topics=[wanted]), 5, CreateTopicsResponse)
    assert answer.topics[0].error_code == ErrorCode.NONE
    talk.wait_for_leaders(talk.name, 1)
    return talk.name


def _first_batch(talk: Talk, topic: str) -> tuple[BatchHeader, list[Record]]:
    answer = talk.client.call(fetch(topic, bytes(16)), 12, FetchResponse).responses[0].partitions[0]
    assert answer.error_code == ErrorCode.NONE
    data = bytes(answer.records or b"")
    return read_header(data), list(iter_records(data))
