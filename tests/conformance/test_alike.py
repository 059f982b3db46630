"""What both brokers write down alike, byte for byte, where an answer alone would not show it."""

from __future__ import annotations

import struct
import uuid

from tests.broker.like_kafka_groups import commit, fetch_one
from tests.broker.like_kafka_records import fetch
from tests.broker.raw import RawClient
from tests.broker.talk import Talk
from tests.broker.transactional_talk import Producer
from tests.brokers import BrokerUnderTest, new_broker
from tests.kafka.ports import wait_until

from rota.coordinator import partition_for
from rota.model import ErrorCode
from rota.wire.messages.delete_topics import DeleteTopicsRequest, DeleteTopicsResponse, DeleteTopicState
from rota.wire.messages.fetch import FetchResponse
from rota.wire.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from rota.wire.messages.offset_commit import OffsetCommitResponse
from rota.wire.messages.offset_fetch import OffsetFetchResponse
from rota.wire.records import iter_batches, iter_records

_OFFSETS_TOPIC, _TRANSACTIONS_TOPIC = "__consumer_offsets", "__transaction_state"
_NO_LEADER_EPOCH, _NO_TAGS = b"\xff" * 4, b"\0"
_COMMITTED = 5
_TIMESTAMP_SIZE = 8


def test_the_bytes_of_a_committed_offset(broker: BrokerUnderTest) -> None:
    group = f"alike-{uuid.uuid4().hex[:8]}"
    with RawClient(broker.bootstrap_servers) as client:
        talk = Talk(client, group, broker.bootstrap_servers)
        topic = talk.topic()
        talk.coordinator(group)
        request = commit(group, topic, -1, "")
        request.topics[0].partitions[0].committed_offset = _COMMITTED
        done = client.call(request, 9, OffsetCommitResponse)
        assert done.topics[0].partitions[0].error_code == 0
        ask = fetch(_OFFSETS_TOPIC, bytes(16), partition=partition_for(group, 50))
        answer = client.call(ask, 12, FetchResponse).responses[0].partitions[0]
    name, subject = group.encode(), topic.encode()
    key = b"\0\1" + _text(name) + _text(subject) + struct.pack(">i", 0)
    found = [
        record
        for position, _ in iter_batches(answer.records)
        for record in iter_records(answer.records, position)
        if record.key == key
    ]
    assert len(found) == 1
    metadata = (request.topics[0].partitions[0].committed_metadata or "").encode()
    value = found[0].value or b""
    beginning = (
        b"\0\4" + struct.pack(">q", _COMMITTED) + _NO_LEADER_EPOCH + bytes([len(metadata) + 1]) + metadata
    )
    assert value.startswith(beginning)
    assert value[len(beginning) + _TIMESTAMP_SIZE :] == _NO_TAGS


def test_the_brokers_own_topics_are_deleted_and_made_anew(broker_kind: str) -> None:
    """All groups and transactional ids go with them."""
    with new_broker(broker_kind) as broker, RawClient(broker.bootstrap_servers) as client:
        talk = Talk(client, "alike", broker.bootstrap_servers)
        topic = talk.topic()
        talk.coordinator("g")
        member = talk.member("g")
        assert client.call(commit("g", topic, 1, member), 9, OffsetCommitResponse).topics
        Producer(talk).init()
        topics = [DeleteTopicState(name=name) for name in (_OFFSETS_TOPIC, _TRANSACTIONS_TOPIC)]
        answer = client.call(DeleteTopicsRequest(topics=topics, timeout_ms=10_000), 6, DeleteTopicsResponse)
        assert [each.error_code for each in answer.responses] == [0, 0]

        beat = HeartbeatRequest(group_id="g", member_id=member, generation_id=1)
        wait_until(
            "the group is gone", lambda: client.call(beat, 4, HeartbeatResponse).error_code != ErrorCode.NONE
        )
        talk.coordinator("g")
        assert client.call(beat, 4, HeartbeatResponse).error_code == ErrorCode.UNKNOWN_MEMBER_ID
        fetched = client.call(fetch_one("g", topic, 0), 7, OffsetFetchResponse)
        assert fetched.topics[0].partitions[0].committed_offset == -1
        again = talk.member("g")
        done = client.call(commit("g", topic, 1, again), 9, OffsetCommitResponse)
        assert done.topics[0].partitions[0].error_code == 0
        Producer(talk).init()


def _text(value: bytes) -> bytes:
    return struct.pack(">h", len(value)) + value
