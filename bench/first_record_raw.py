"""The same first record, through a client that never waits on timers of its own.

librdkafka sleeps about 150 ms on the way to its first record (50 ms before it connects to the broker it found,
100 ms before it asks for the first offset), on any broker. This client speaks the protocol as it is and tries
again after 2 ms, so that what is measured is the broker.
"""

import time
from collections.abc import Callable
from typing import TypeVar

from tests.broker.raw import RawClient

from rota.model import ErrorCode
from rota.wire.codec import encode_versioned
from rota.wire.messages.consumer_protocol import ConsumerProtocolSubscription
from rota.wire.messages.create_topics import CreatableTopic, CreateTopicsRequest, CreateTopicsResponse
from rota.wire.messages.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic
from rota.wire.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from rota.wire.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse
from rota.wire.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from rota.wire.messages.sync_group import SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse
from rota.wire.records import build_batch, iter_batches, iter_records

TOPIC = "first"
GROUP = "first"
TIMEOUT_S = 60.0
RETRY_S = 0.002

_T = TypeVar("_T")


def consume_first_record(bootstrap_servers: str) -> None:
    """Return as soon as a member of a group has fetched the first record; TimeoutError after a minute."""
    until = time.monotonic() + TIMEOUT_S
    client = _retry(until, lambda: RawClient(bootstrap_servers, timeout_s=TIMEOUT_S))
    with client:
        _retry(until, lambda: _create(client))
        _retry(until, lambda: _produce(client))
        _retry(until, lambda: _find_coordinator(client))
        _retry(until, lambda: _join(client))
        _retry(until, lambda: _fetch(client))


class _NotYetError(Exception):
    """The broker asks for another try."""


def _retry(until: float, attempt: Callable[[], _T]) -> _T:
    while True:
        try:
            return attempt()
        except (OSError, _NotYetError) as error:
            if time.monotonic() > until:
                raise TimeoutError(f"nothing in {TIMEOUT_S:g} s: {error}") from error
            time.sleep(RETRY_S)


def _need(code: int, *fine: ErrorCode) -> None:
    if code != ErrorCode.NONE and code not in fine:
        raise _NotYetError(ErrorCode(code).name)


def _create(client: RawClient) -> None:
    topic = CreatableTopic(name=TOPIC, num_partitions=1, replication_factor=1)
    request = CreateTopicsRequest(topics=[topic], timeout_ms=10_000)
    answer = client.call(request, 5, CreateTopicsResponse)
    _need(answer.topics[0].error_code, ErrorCode.TOPIC_ALREADY_EXISTS)


def _produce(client: RawClient) -> None:
    now_ms = int(time.time() * 1000)
    batch = bytes(build_batch([(b"first", b"hello", now_ms, [])]))
    data = TopicProduceData(name=TOPIC, partition_data=[PartitionProduceData(index=0, records=batch)])
    request = ProduceRequest(transactional_id=None, acks=-1, timeout_ms=10_000, topic_data=[data])
    answer = client.call(request, 9, ProduceResponse)
    _need(answer.responses[0].partition_responses[0].error_code)


def _find_coordinator(client: RawClient) -> None:
    answer = client.call(FindCoordinatorRequest(key=GROUP), 3, FindCoordinatorResponse)
    _need(answer.error_code)


def _join(client: RawClient) -> None:
    subscription = encode_versioned(ConsumerProtocolSubscription(topics=[TOPIC]), 0)
    request = JoinGroupRequest(
        group_id=GROUP,
        session_timeout_ms=10_000,
        rebalance_timeout_ms=10_000,
        protocol_type="consumer",
        protocols=[JoinGroupRequestProtocol(name="range", metadata=subscription)],
    )
    joined = client.call(request, 5, JoinGroupResponse)
    if joined.error_code == ErrorCode.MEMBER_ID_REQUIRED:
        request.member_id = joined.member_id
        joined = client.call(request, 5, JoinGroupResponse)
    _need(joined.error_code)
    assignment = SyncGroupRequestAssignment(member_id=joined.member_id, assignment=b"\0\0")
    sync = SyncGroupRequest(
        group_id=GROUP,
        generation_id=joined.generation_id,
        member_id=joined.member_id,
        assignments=[assignment],
    )
    _need(client.call(sync, 3, SyncGroupResponse).error_code)


def _fetch(client: RawClient) -> None:
    wanted = FetchPartition(partition=0, fetch_offset=0, partition_max_bytes=1 << 20)
    request = FetchRequest(
        max_wait_ms=500, min_bytes=1, topics=[FetchTopic(topic=TOPIC, partitions=[wanted])]
    )
    data = client.call(request, 11, FetchResponse).responses[0].partitions[0]
    _need(data.error_code)
    raw = bytes(data.records)
    values = [record.value for start, _ in iter_batches(raw) for record in iter_records(raw, start)]
    if values != [b"hello"]:
        raise _NotYetError("no record yet")
