"""Conversations about records, offsets and the connection itself, for ``test_like_kafka``."""

from __future__ import annotations

import struct
from collections.abc import Callable

from tests.broker.talk import Talk

from rota.model import ErrorCode
from rota.wire.codec import decode
from rota.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from rota.wire.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopic,
)
from rota.wire.messages.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic
from rota.wire.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from rota.wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
)
from rota.wire.messages.offset_for_leader_epoch import (
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
    OffsetForLeaderPartition,
    OffsetForLeaderTopic,
)
from rota.wire.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from rota.wire.records import build_batch

__all__ = ["CASES"]

STRANGE_ID = b"\x01" * 16
_BATCH = build_batch([(b"k", b"v%d" % number, 1_000 + number, []) for number in range(3)])


def api_versions(talk: Talk) -> None:
    """What is served in which versions, and the features; unknown versions and odd names too."""
    for version, software in (
        (0, ""),
        (3, "raw"),
        (4, "raw"),
        (3, ""),
        (4, "-bad"),
        (3, "a b"),
        (3, "a.b-c"),
    ):
        request = ApiVersionsRequest(client_software_name=software, client_software_version="1")
        response = talk.client.call(request, version, ApiVersionsResponse)
        response.finalized_features_epoch = min(response.finalized_features_epoch, 0)
        talk.note(request, version, response)
    for version in (5, 9):
        frame = struct.pack(">hhih3s", 18, version, 77, 3, b"raw") + b"\0\4raw\2" + b"1\0"
        talk.client.socket.sendall(struct.pack(">i", len(frame)) + frame)
        answer = talk.client.receive_frame()
        assert answer[:4] == struct.pack(">i", 77)
        talk.note(ApiVersionsRequest(), version, decode(ApiVersionsResponse, 0, answer[4:]))


def list_special_offsets(talk: Talk) -> None:
    """Of an empty log and of one with records: latest, earliest, greatest time, and times between."""
    name = talk.topic(2)
    talk.produce(name, _BATCH)
    for index in (0, 1, 2, -1):
        for timestamp in (-1, -2, -3, -4, -5, -6, -7, 0, 1_000, 1_001, 1_002, 1_003, 2**62):
            request = offsets(name, (index, timestamp))
            for version in (1, 2, 4, 6, 7, 8, 9, 10):
                talk.ask(request, version, ListOffsetsResponse)
    committed = offsets(name, (0, -1), (1, -3))
    committed.isolation_level = 1
    talk.ask_in_all(committed, ListOffsetsResponse, first=2)
    talk.ask_in_all(offsets(name, (0, -1), (0, -2)), ListOffsetsResponse)
    talk.ask_in_all(offsets("missing", (0, -1)), ListOffsetsResponse)
    talk.ask_in_all(offsets("bad/name", (0, -1)), ListOffsetsResponse)
    for epoch in (0, 1):
        request = offsets(name, (0, -1))
        request.topics[0].partitions[0].current_leader_epoch = epoch
        talk.ask_in_all(request, ListOffsetsResponse, first=4)


def produce_errors(talk: Talk) -> None:
    """A log that is not there, batches that are damaged, odd acks; and what is well."""
    name = talk.topic()
    for version in range(3, 13):
        for topic, partition in (("missing", 0), (name, 5), (name, -1), ("bad/name", 0)):
            talk.ask(records(topic, bytes(_BATCH), partition=partition), version, ProduceResponse)
        talk.ask(records(name, bytes(_BATCH)), version, ProduceResponse)
        talk.ask(records(name, bytes(_BATCH), acks=1), version, ProduceResponse)
        talk.ask(records(name, bytes(_BATCH), acks=2), version, ProduceResponse)
        damaged = bytearray(_BATCH)
        damaged[-1] ^= 1
        talk.ask(records(name, bytes(damaged)), version, ProduceResponse)
        large = build_batch([(b"k", b"v" * 2_000_000, 1, [])])
        talk.ask(records(name, bytes(large)), version, ProduceResponse)
    talk.ask(records(name, bytes(_BATCH), topic_id=STRANGE_ID), 13, ProduceResponse)
    talk.ask(records(name, bytes(_BATCH), topic_id=talk.topic_id(name)), 13, ProduceResponse)


def produce_odd_batches(talk: Talk) -> None:
    """Not asked: null for records, which Kafka never answers."""
    name = talk.topic()
    odd = {
        "nothing": b"",
        "two batches": bytes(_BATCH + _BATCH),
        "half a batch": bytes(_BATCH[:-5]),
        "control": bytes(build_batch([(b"\0\0\0\1", b"\0\0\0\0\0\0", 1, [])], control=True)),
    }
    for batch in odd.values():
        talk.ask(records(name, batch), 9, ProduceResponse)
    nobody = ProduceRequest(acks=-1, timeout_ms=5_000)
    talk.ask(nobody, 9, ProduceResponse)


def idempotent_producer(talk: Talk) -> None:
    """Sequences: in order, again, with a gap, of an old epoch, of a producer that nobody knows."""
    name = talk.topic()
    ask = InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=60_000)
    while (given := talk.client.call(ask, 4, InitProducerIdResponse)).error_code != ErrorCode.NONE:
        assert given.error_code == ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, given
    for producer_id, epoch, sequence in (
        (given.producer_id, 0, 0),
        (given.producer_id, 0, 0),
        (given.producer_id, 0, 1),
        (given.producer_id, 0, 3),
        (given.producer_id, 0, 0),
        (given.producer_id, 1, 5),
        (given.producer_id, 1, 0),
        (given.producer_id, 0, 2),
        (987_654, 0, 0),
        (987_655, 0, 7),
    ):
        batch = build_batch(
            [(b"k", b"v", 1, [])], producer_id=producer_id, producer_epoch=epoch, base_sequence=sequence
        )
        request = records(name, bytes(batch))
        response = talk.client.call(request, 9, ProduceResponse)
        # For a duplicate Kafka tells the time of the first, although it is the producer's.
        response.responses[0].partition_responses[0].log_append_time_ms = -1
        talk.note(request, 9, response)


def timestamps_that_lie(talk: Talk) -> None:
    name = talk.topic()
    for timestamp in (-2, -1, 0, 2**62):
        batch = build_batch([(b"k", b"v", timestamp, [])])
        talk.ask(records(name, bytes(batch)), 9, ProduceResponse)


def fetch_errors(talk: Talk) -> None:
    """Offsets outside, logs that are not there, epochs from elsewhere, sessions that nobody opened."""
    name = talk.topic()
    talk.produce(name, _BATCH)
    topic_id = talk.topic_id(name)
    for version in range(4, 19):
        for offset in (0, 2, 3, 4, -1):
            talk.ask(fetch(name, topic_id, offset=offset), version, FetchResponse)
        talk.ask(fetch(name, topic_id, partition=5), version, FetchResponse)
        talk.ask(fetch("missing", STRANGE_ID), version, FetchResponse)
        committed = fetch(name, topic_id)
        committed.isolation_level = 1
        talk.ask(committed, version, FetchResponse)
        if version >= 9:
            for epoch in (0, 1):
                talk.ask(fetch(name, topic_id, epoch=epoch), version, FetchResponse)
        if version >= 7:
            for session, session_epoch in ((99, 1), (99, 0), (99, -1), (0, 1)):
                strange = fetch(name, topic_id)
                strange.session_id, strange.session_epoch = session, session_epoch
                talk.ask(strange, version, FetchResponse)
        for low in (0, 1):
            small = fetch(name, topic_id)
            small.max_bytes = small.topics[0].partitions[0].partition_max_bytes = low
            talk.ask(small, version, FetchResponse)


def fetches_of_less_than_they_wait_for(talk: Talk) -> None:
    """Whoever waits for more than may come is answered with what may come, and at once."""
    name = talk.topic()
    for _ in range(3):
        talk.produce(name, _BATCH)
    patient = fetch(name, talk.topic_id(name))
    patient.max_wait_ms, patient.min_bytes = 2**31 - 1, 1_000_000
    patient.max_bytes = 2 * len(_BATCH)
    talk.ask(patient, 12, FetchResponse)
    patient.topics[0].partitions[0].partition_max_bytes = 2 * len(_BATCH)
    talk.ask(patient, 12, FetchResponse)


def offsets_of_epochs(talk: Talk) -> None:
    name = talk.topic()
    talk.produce(name, _BATCH)
    for topic, partition, current, epoch in (
        (name, 0, -1, 0),
        (name, 0, 0, 0),
        (name, 0, 1, 0),
        (name, 0, -1, 1),
        (name, 0, -1, -1),
        (name, 5, -1, 0),
        ("missing", 0, -1, 0),
    ):
        request = OffsetForLeaderEpochRequest(
            replica_id=-1,
            topics=[
                OffsetForLeaderTopic(
                    topic=topic,
                    partitions=[
                        OffsetForLeaderPartition(
                            partition=partition, current_leader_epoch=current, leader_epoch=epoch
                        )
                    ],
                )
            ],
        )
        talk.ask_in_all(request, OffsetForLeaderEpochResponse)


def delete_records(talk: Talk) -> None:
    name = talk.topic()
    talk.produce(name, _BATCH)
    for topic, partition, offset in (
        ("missing", 0, 0),
        (name, 5, 0),
        (name, 0, 9),
        (name, 0, -2),
        (name, 0, 2),
        (name, 0, 1),
        (name, 0, -1),
    ):
        request = DeleteRecordsRequest(
            topics=[
                DeleteRecordsTopic(
                    name=topic, partitions=[DeleteRecordsPartition(partition_index=partition, offset=offset)]
                )
            ],
            timeout_ms=10_000,
        )
        talk.ask_in_all(request, DeleteRecordsResponse)
    talk.ask_in_all(offsets(name, (0, -2)), ListOffsetsResponse)
    talk.ask(fetch(name, talk.topic_id(name), offset=0), 12, FetchResponse)


def offsets(topic: str, *wanted: tuple[int, int]) -> ListOffsetsRequest:
    return ListOffsetsRequest(
        replica_id=-1,
        topics=[
            ListOffsetsTopic(
                name=topic,
                partitions=[
                    ListOffsetsPartition(partition_index=index, timestamp=timestamp)
                    for index, timestamp in wanted
                ],
            )
        ],
        timeout_ms=10_000,
    )


def records(
    topic: str, batch: bytes, *, partition: int = 0, acks: int = -1, topic_id: bytes = bytes(16)
) -> ProduceRequest:
    return ProduceRequest(
        acks=acks,
        timeout_ms=5_000,
        topic_data=[
            TopicProduceData(
                name=topic,
                topic_id=topic_id,
                partition_data=[PartitionProduceData(index=partition, records=batch)],
            )
        ],
    )


def fetch(
    topic: str, topic_id: bytes, *, partition: int = 0, offset: int = 0, epoch: int = -1
) -> FetchRequest:
    return FetchRequest(
        max_wait_ms=0,
        min_bytes=0,
        max_bytes=1_000_000,
        topics=[
            FetchTopic(
                topic=topic,
                topic_id=topic_id,
                partitions=[
                    FetchPartition(
                        partition=partition,
                        fetch_offset=offset,
                        current_leader_epoch=epoch,
                        partition_max_bytes=1_000_000,
                    )
                ],
            )
        ],
    )


CASES: tuple[Callable[[Talk], None], ...] = (
    api_versions,
    list_special_offsets,
    produce_errors,
    produce_odd_batches,
    idempotent_producer,
    timestamps_that_lie,
    fetch_errors,
    fetches_of_less_than_they_wait_for,
    offsets_of_epochs,
    delete_records,
)
