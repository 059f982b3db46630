"""Produce, Fetch and ListOffsets, frame by frame."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from tests.broker.raw import RawClient

from rota.model import ErrorCode
from rota.testing import Broker
from rota.wire.crc import crc32c
from rota.wire.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopic,
)
from rota.wire.messages.fetch import (
    FetchPartition,
    FetchRequest,
    FetchResponse,
    FetchTopic,
    ForgottenTopic,
    PartitionData,
)
from rota.wire.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from rota.wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
)
from rota.wire.messages.produce import (
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from rota.wire.records import build_batch, iter_batches, iter_records

NewTopic = Callable[..., str]


def _batch(*values: bytes, timestamp: int = 1000, **options: int) -> bytes:
    return bytes(build_batch([(None, value, timestamp, []) for value in values], **options))  # type: ignore[arg-type]


def _produce(
    client: RawClient, topic: str, records: bytes, *, partition: int = 0, acks: int = -1, version: int = 9
) -> PartitionProduceResponse:
    data = PartitionProduceData(index=partition, records=records)
    request = ProduceRequest(
        acks=acks, timeout_ms=1000, topic_data=[TopicProduceData(name=topic, partition_data=[data])]
    )
    return client.call(request, version, ProduceResponse).responses[0].partition_responses[0]


def _fetch_request(topic: str, offset: int, **options: int) -> FetchRequest:
    wanted = FetchPartition(partition=0, fetch_offset=offset, partition_max_bytes=1 << 20)
    request = FetchRequest(min_bytes=1, topics=[FetchTopic(topic=topic, partitions=[wanted])])
    for name, value in options.items():
        setattr(request, name, value)
    return request


def _fetch(client: RawClient, topic: str, offset: int, **options: int) -> PartitionData:
    answer = client.call(_fetch_request(topic, offset, **options), 11, FetchResponse)
    return answer.responses[0].partitions[0]


def _values(data: PartitionData) -> list[bytes | None]:
    raw = bytes(data.records)
    return [record.value for start, _ in iter_batches(raw) for record in iter_records(raw, start)]


def _list_offset(client: RawClient, topic: str, timestamp: int, version: int = 7) -> tuple[int, int, int]:
    request = ListOffsetsRequest(
        topics=[
            ListOffsetsTopic(
                name=topic, partitions=[ListOffsetsPartition(partition_index=0, timestamp=timestamp)]
            )
        ]
    )
    answer = client.call(request, version, ListOffsetsResponse).topics[0].partitions[0]
    return answer.error_code, answer.offset, answer.timestamp


def test_what_is_produced_is_fetched(client: RawClient, new_topic: NewTopic) -> None:
    topic = new_topic()
    assert _produce(client, topic, _batch(b"a", b"b")).base_offset == 0
    assert _produce(client, topic, _batch(b"c")).base_offset == 2
    data = _fetch(client, topic, 0)
    assert _values(data) == [b"a", b"b", b"c"]
    assert (data.high_watermark, data.last_stable_offset, data.log_start_offset) == (3, 3, 0)


def test_a_fetch_in_the_middle_of_a_batch_gets_the_whole_batch(
    client: RawClient, new_topic: NewTopic
) -> None:
    topic = new_topic()
    _produce(client, topic, _batch(b"a", b"b", b"c"))
    assert _values(_fetch(client, topic, 2)) == [b"a", b"b", b"c"]


@pytest.mark.parametrize("offset", [-1, 2, 1000])
def test_a_fetch_beside_the_log_is_out_of_range(client: RawClient, new_topic: NewTopic, offset: int) -> None:
    topic = new_topic()
    _produce(client, topic, _batch(b"a"))
    assert _fetch(client, topic, offset).error_code == ErrorCode.OFFSET_OUT_OF_RANGE


def test_a_fetch_at_the_end_is_empty_not_null(client: RawClient, new_topic: NewTopic) -> None:
    data = _fetch(client, new_topic(), 0)
    assert data.error_code == 0
    assert data.records == b""


def test_a_fetch_waits_for_an_append(broker: Broker, client: RawClient, new_topic: NewTopic) -> None:
    topic = new_topic()
    client.send(_fetch_request(topic, 0, max_wait_ms=30_000), 11)
    with RawClient(broker.bootstrap_servers) as other:
        _produce(other, topic, _batch(b"late"))
    started = time.monotonic()
    assert _values(client.receive(FetchResponse, 11).responses[0].partitions[0]) == [b"late"]
    assert time.monotonic() - started < 25


def test_a_fetch_waits_for_min_bytes_and_then_for_its_time(client: RawClient, new_topic: NewTopic) -> None:
    topic = new_topic()
    _produce(client, topic, _batch(b"a"))
    data = _fetch(client, topic, 0, max_wait_ms=150, min_bytes=1 << 20)
    assert _values(data) == [b"a"]


def test_a_waiting_fetch_ends_when_its_topic_is_deleted(
    broker: Broker, client: RawClient, new_topic: NewTopic
) -> None:
    from rota.wire.messages.delete_topics import DeleteTopicsRequest, DeleteTopicsResponse

    topic = new_topic()
    client.send(_fetch_request(topic, 0, max_wait_ms=30_000), 11)
    with RawClient(broker.bootstrap_servers) as other:
        other.call(DeleteTopicsRequest(topic_names=[topic]), 3, DeleteTopicsResponse)
    data = client.receive(FetchResponse, 11).responses[0].partitions[0]
    assert data.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_requests_behind_a_waiting_fetch_are_answered_after_it(
    broker: Broker, client: RawClient, new_topic: NewTopic
) -> None:
    topic = new_topic()
    fetch = client.send(_fetch_request(topic, 0, max_wait_ms=200), 11)
    others = [client.send(_fetch_request(topic, 0), 11) for _ in range(3)]
    answered = [int.from_bytes(client.receive_frame()[:4], "big") for _ in range(4)]
    assert answered == [fetch, *others]


def test_one_batch_is_served_even_if_it_is_larger_than_asked(client: RawClient, new_topic: NewTopic) -> None:
    topic = new_topic()
    _produce(client, topic, _batch(b"x" * 5000))
    _produce(client, topic, _batch(b"y" * 5000))
    assert _values(_fetch(client, topic, 0, max_bytes=100)) == [b"x" * 5000]


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]), ErrorCode.CORRUPT_MESSAGE),
        (lambda raw: raw[:16] + b"\x01" + raw[17:], ErrorCode.UNSUPPORTED_FOR_MESSAGE_FORMAT),
        (lambda raw: raw[:-1], ErrorCode.CORRUPT_MESSAGE),
        (lambda raw: raw[:40], ErrorCode.CORRUPT_MESSAGE),
        (lambda _raw: b"", ErrorCode.INVALID_RECORD),
    ],
    ids=["flipped bit", "old magic", "cut short", "half a header", "nothing"],
)
def test_a_broken_batch_is_refused(
    client: RawClient, new_topic: NewTopic, spoil: Callable[[bytes], bytes], code: ErrorCode
) -> None:
    topic = new_topic()
    answer = _produce(client, topic, spoil(_batch(b"a")))
    assert answer.error_code in {code, ErrorCode.INVALID_RECORD, ErrorCode.CORRUPT_MESSAGE}
    assert answer.base_offset == -1
    assert _fetch(client, topic, 0).high_watermark == 0


def test_a_batch_over_max_message_bytes_is_refused(client: RawClient, new_topic: NewTopic) -> None:
    answer = _produce(client, new_topic(), _batch(b"x" * 1_100_000))
    assert answer.error_code == ErrorCode.MESSAGE_TOO_LARGE


def test_a_partition_that_is_not_there(client: RawClient, new_topic: NewTopic) -> None:
    assert (
        _produce(client, new_topic(), _batch(b"a"), partition=7).error_code
        == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    )


def test_acks_that_do_not_exist(client: RawClient, new_topic: NewTopic) -> None:
    assert _produce(client, new_topic(), _batch(b"a"), acks=3).error_code == ErrorCode.INVALID_REQUIRED_ACKS


def test_acks_0_is_not_answered(client: RawClient, new_topic: NewTopic) -> None:
    topic = new_topic()
    data = PartitionProduceData(index=0, records=_batch(b"quiet"))
    request = ProduceRequest(acks=0, topic_data=[TopicProduceData(name=topic, partition_data=[data])])
    client.send(request, 9)
    assert _values(_fetch(client, topic, 0)) == [b"quiet"]


def test_acks_0_that_fails_closes_the_connection(client: RawClient) -> None:
    data = PartitionProduceData(index=0, records=_batch(b"quiet"))
    request = ProduceRequest(acks=0, topic_data=[TopicProduceData(name="none", partition_data=[data])])
    client.send(request, 9)
    assert client.is_closed_by_broker()


def _producer_id(client: RawClient) -> int:
    request = InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=0)
    answer = client.call(request, 4, InitProducerIdResponse)
    assert (answer.error_code, answer.producer_epoch) == (0, 0)
    return answer.producer_id


def test_an_idempotent_batch_sent_again_is_stored_once(client: RawClient, new_topic: NewTopic) -> None:
    topic = new_topic()
    producer = _producer_id(client)
    batches = [_batch(b"%d" % n, producer_id=producer, producer_epoch=0, base_sequence=n) for n in range(5)]
    offsets = [_produce(client, topic, batch).base_offset for batch in batches]
    again = [_produce(client, topic, batch) for batch in batches]
    assert [answer.error_code for answer in again] == [0] * 5
    assert [answer.base_offset for answer in again] == offsets == [0, 1, 2, 3, 4]
    assert len(_values(_fetch(client, topic, 0))) == 5


def test_a_gap_in_sequences_is_refused(client: RawClient, new_topic: NewTopic) -> None:
    topic = new_topic()
    producer = _producer_id(client)
    _produce(client, topic, _batch(b"0", producer_id=producer, producer_epoch=0, base_sequence=0))
    answer = _produce(client, topic, _batch(b"2", producer_id=producer, producer_epoch=0, base_sequence=2))
    assert answer.error_code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_producer_ids_are_never_given_twice(client: RawClient) -> None:
    ids = [_producer_id(client) for _ in range(50)]
    assert len(set(ids)) == 50


def test_offsets_by_time(client: RawClient, new_topic: NewTopic) -> None:
    topic = new_topic()
    for timestamp in (1000, 2000, 3000):
        _produce(client, topic, _batch(b"v", timestamp=timestamp))
    assert _list_offset(client, topic, -1) == (0, 3, -1)
    assert _list_offset(client, topic, -2) == (0, 0, -1)
    assert _list_offset(client, topic, -3) == (0, 2, 3000)
    assert _list_offset(client, topic, 1500) == (0, 1, 2000)
    assert _list_offset(client, topic, 2000) == (0, 1, 2000)
    assert _list_offset(client, topic, 3001) == (0, -1, -1)
    assert _list_offset(client, "none", -1)[0] == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_records_deleted_up_to_an_offset(client: RawClient, new_topic: NewTopic) -> None:
    topic = new_topic()
    for _ in range(4):
        _produce(client, topic, _batch(b"v"))

    def delete(offset: int) -> tuple[int, int]:
        request = DeleteRecordsRequest(
            topics=[
                DeleteRecordsTopic(
                    name=topic, partitions=[DeleteRecordsPartition(partition_index=0, offset=offset)]
                )
            ]
        )
        answer = client.call(request, 2, DeleteRecordsResponse).topics[0].partitions[0]
        return answer.error_code, answer.low_watermark

    assert delete(2) == (0, 2)
    assert _list_offset(client, topic, -2) == (0, 2, -1)
    assert _fetch(client, topic, 1).error_code == ErrorCode.OFFSET_OUT_OF_RANGE
    assert delete(99)[0] == ErrorCode.OFFSET_OUT_OF_RANGE
    assert delete(-1) == (0, 4)


def test_an_incremental_session_tells_only_what_is_new(
    broker: Broker, client: RawClient, new_topic: NewTopic
) -> None:
    busy, quiet = new_topic(), new_topic()
    opening = _fetch_request(busy, 0, session_epoch=0)
    opening.topics.append(
        FetchTopic(topic=quiet, partitions=[FetchPartition(partition=0, partition_max_bytes=1 << 20)])
    )
    opened = client.call(opening, 11, FetchResponse)
    assert {each.topic for each in opened.responses} == {busy, quiet}
    session = opened.session_id
    assert session > 0

    def next_fetch(epoch: int, **options: object) -> FetchResponse:
        request = FetchRequest(session_id=session, session_epoch=epoch, max_wait_ms=0, min_bytes=1)
        for name, value in options.items():
            setattr(request, name, value)
        return client.call(request, 11, FetchResponse)

    assert next_fetch(1).responses == []
    with RawClient(broker.bootstrap_servers) as other:
        _produce(other, busy, _batch(b"news"))
    told = next_fetch(2).responses
    assert [each.topic for each in told] == [busy]
    assert next_fetch(4).error_code == ErrorCode.INVALID_FETCH_SESSION_EPOCH
    dropped = next_fetch(3, forgotten_topics_data=[ForgottenTopic(topic=busy, partitions=[0])])
    assert dropped.error_code == 0
    assert dropped.responses == []
    next_fetch(-1)
    assert next_fetch(4).error_code == ErrorCode.FETCH_SESSION_ID_NOT_FOUND


def test_records_that_cannot_be_read_fail_their_partition_only(
    client: RawClient, new_topic: NewTopic
) -> None:
    """A value longer than its record: the broker does not look that deep into what it stores."""
    topic = new_topic()
    data = bytearray(_batch(b"x" * 100))
    data[61 + 2 :] = b"\xff" * (len(data) - 61 - 2)
    data[17:21] = crc32c(memoryview(data)[21:]).to_bytes(4, "big")
    assert _produce(client, topic, bytes(data)).error_code == 0
    assert _list_offset(client, topic, 0)[0] == ErrorCode.CORRUPT_MESSAGE
    assert _list_offset(client, topic, -1)[:2] == (0, 1)


def test_a_transactional_batch_without_a_transactional_id(client: RawClient, new_topic: NewTopic) -> None:
    data = build_batch(
        [(b"k", b"v", -1, ())], producer_id=1, producer_epoch=0, base_sequence=0, transactional=True
    )
    refused = ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
    assert _produce(client, new_topic(), bytes(data)).error_code == refused
