"""The codec on messages that are whole, cut short, made up, or from a later Kafka."""

from __future__ import annotations

import contextlib
import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.wire.generate import random_struct

from rota.wire import WireError
from rota.wire.apis import APIS
from rota.wire.codec import (
    MOST_ELEMENTS,
    bounded_decoder,
    decode,
    decode_versioned,
    encode,
    encode_versioned,
    encoder,
)
from rota.wire.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatResponse
from rota.wire.messages.fetch import FetchableTopicResponse, FetchResponse, PartitionData
from rota.wire.messages.group_log import (
    ConsumerGroupMemberMetadataValue,
    GroupMetadataValue,
    OffsetCommitKey,
    OffsetCommitValue,
)
from rota.wire.messages.heartbeat import HeartbeatRequest
from rota.wire.messages.join_group import JoinGroupRequest
from rota.wire.messages.list_groups import ListGroupsRequest
from rota.wire.messages.metadata import MetadataRequest
from rota.wire.schema import Message

_VERSIONS = [
    (cls, version)
    for api in APIS.values()
    for cls in (api.request_type, api.response_type)
    for version in range(api.min_version, api.max_version + 1)
]


@given(case=st.sampled_from(_VERSIONS), seed=st.integers(0, 2**32))
@settings(max_examples=400, deadline=None)
def test_what_is_written_is_read_again(case: tuple[type[Message], int], seed: int) -> None:
    cls, version = case
    message = random_struct(cls, version, random.Random(seed))
    data = encode(message, version)
    again = decode(cls, version, data)
    assert again == message
    assert encode(again, version) == data


@pytest.mark.parametrize("case", _VERSIONS, ids=lambda case: f"{case[0].__name__}-v{case[1]}")
def test_every_truncation_is_an_error(case: tuple[type[Message], int]) -> None:
    cls, version = case
    data = encode(random_struct(cls, version, random.Random(3)), version)
    cuts = range(len(data)) if len(data) < 400 else sorted(random.Random(4).sample(range(len(data)), 400))
    for cut in cuts:
        with pytest.raises(WireError):
            decode(cls, version, data[:cut])


@given(case=st.sampled_from(_VERSIONS), data=st.binary(max_size=200))
@settings(max_examples=1000, deadline=None)
def test_random_bytes_are_read_or_refused(case: tuple[type[Message], int], data: bytes) -> None:
    with contextlib.suppress(WireError):
        decode(*case, data)


@given(case=st.sampled_from(_VERSIONS), seed=st.integers(0, 2**32), changes=st.integers(1, 8))
@settings(max_examples=500, deadline=None)
def test_mutated_messages_are_read_or_refused(
    case: tuple[type[Message], int], seed: int, changes: int
) -> None:
    cls, version = case
    source = random.Random(seed)
    data = bytearray(encode(random_struct(cls, version, source), version))
    for _ in range(changes if data else 0):
        data[source.randrange(len(data))] = source.choice([0, 1, 127, 128, 255, source.randrange(256)])
    with contextlib.suppress(WireError):
        decode(cls, version, data)


def test_trailing_bytes_are_refused() -> None:
    with pytest.raises(WireError, match="1 bytes too many"):
        decode(HeartbeatRequest, 4, encode(HeartbeatRequest(group_id="g"), 4) + b"\0")


def test_a_claimed_count_beyond_the_frame_is_refused() -> None:
    with pytest.raises(WireError):
        decode(MetadataRequest, 1, struct.pack(">i", 2**31 - 1))


@pytest.mark.parametrize("length", [-2, -(2**31)])
def test_a_negative_count_is_refused(length: int) -> None:
    with pytest.raises(WireError):
        decode(MetadataRequest, 1, struct.pack(">i", length))


def test_null_where_null_is_not_allowed_is_refused() -> None:
    with pytest.raises(WireError, match="null"):
        decode(HeartbeatRequest, 0, struct.pack(">hih", -1, 1, -1))


def test_a_string_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(WireError, match="UTF-8"):
        decode(HeartbeatRequest, 0, struct.pack(">h2sih", 2, b"\xff\xfe", 1, 0))


@pytest.mark.parametrize(("length", "is_refused"), [(32_767, False), (32_768, True)])
def test_a_string_longer_than_older_versions_can_say_is_refused(length: int, is_refused: bool) -> None:
    # As by Apache Kafka; what was taken could not be written into a record of a group or a transaction.
    data = encode(HeartbeatRequest(group_id="x" * length), 4)
    with (
        pytest.raises(WireError, match="longer than 32767 bytes") if is_refused else contextlib.nullcontext()
    ):
        decode(HeartbeatRequest, 4, data)


def test_a_large_frame_may_have_only_so_many_elements() -> None:
    decode_bounded = bounded_decoder(ListGroupsRequest, 5)
    most = encode(ListGroupsRequest(states_filter=[""] * (MOST_ELEMENTS - 2), types_filter=["", ""]), 5)
    assert len(decode_bounded(memoryview(most), 0)[0].states_filter) == MOST_ELEMENTS - 2
    tagged = ListGroupsRequest()
    tagged.unknown_tags = dict.fromkeys(range(MOST_ELEMENTS + 1), b"")
    for too_many in (
        ListGroupsRequest(states_filter=[""] * (MOST_ELEMENTS - 1), types_filter=["", ""]),
        tagged,
    ):
        with pytest.raises(WireError, match="more than 262144 elements"):
            decode_bounded(memoryview(encode(too_many, 5)), 0)


@given(case=st.sampled_from(_VERSIONS), seed=st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
def test_a_bounded_decoder_reads_the_same(case: tuple[type[Message], int], seed: int) -> None:
    cls, version = case
    message = random_struct(cls, version, random.Random(seed))
    data = encode(message, version)
    assert bounded_decoder(cls, version)(memoryview(data), 0) == (message, len(data))


def test_a_varint_without_end_is_refused() -> None:
    with pytest.raises(WireError):
        decode(HeartbeatRequest, 4, b"\xff" * 12)


def test_tagged_fields_of_a_later_kafka_are_kept() -> None:
    message = HeartbeatRequest(group_id="g", member_id="m")
    message.unknown_tags = {5: b"abc", 900: b""}
    data = encode(message, 4)
    again = decode(HeartbeatRequest, 4, data)
    assert again.unknown_tags == {5: b"abc", 900: b""}
    assert encode(again, 4) == data


def test_a_tagged_field_longer_than_it_says_is_refused() -> None:
    data = bytearray(encode(FetchResponse(), 16))
    assert data[-1] == 0
    data[-1:] = bytes([1, 0, 1, 5])  # one tag, node_endpoints, of one byte, which claims four elements
    with pytest.raises(WireError):
        decode(FetchResponse, 16, data)


def test_records_are_read_and_written_without_a_copy() -> None:
    batch = bytes(range(200))
    response = FetchResponse(
        responses=[
            FetchableTopicResponse(topic="t", partitions=[PartitionData(records=[batch[:50], batch[50:]])])
        ]
    )
    chunks: list[object] = []
    encoder(FetchResponse, 4)(response, chunks)
    assert any(chunk is response.responses[0].partitions[0].records[0] for chunk in chunks)
    frame = b"".join(chunks)  # type: ignore[arg-type]
    again = decode(FetchResponse, 4, frame)
    found = again.responses[0].partitions[0].records
    assert isinstance(found, memoryview)
    assert found == batch
    assert found.obj is frame


def test_a_nullable_struct() -> None:
    absent = ConsumerGroupHeartbeatResponse(assignment=None)
    assert decode(ConsumerGroupHeartbeatResponse, 1, encode(absent, 1)).assignment is None


def test_a_tagged_struct_that_apache_kafka_writes_as_null() -> None:
    """A value of ``__consumer_offsets`` as Kafka 4.1 records a member of librdkafka: its last byte is the null."""
    data = bytes.fromhex("000000000872646b61666b610b2f3132372e302e302e3102027401000493e00001000100")
    member = decode_versioned(ConsumerGroupMemberMetadataValue, data)
    assert (member.client_id, member.subscribed_topic_names) == ("rdkafka", ["t"])
    assert member.classic_member_metadata is None


def test_a_message_has_its_defaults_and_shows_what_differs() -> None:
    request = JoinGroupRequest(group_id="g")
    assert request.rebalance_timeout_ms == -1
    assert repr(request) == "JoinGroupRequest(group_id='g')"
    assert request != JoinGroupRequest(group_id="h")
    assert JoinGroupRequest().protocols is not JoinGroupRequest().protocols


def test_values_of_log_records_begin_with_their_version() -> None:
    for cls, version in ((OffsetCommitValue, 3), (GroupMetadataValue, 3)):
        message = random_struct(cls, version, random.Random(1))
        data = encode_versioned(message, version)
        assert data[:2] == b"\0\3"
        assert decode_versioned(cls, data) == message


def test_the_key_of_a_committed_offset() -> None:
    key = OffsetCommitKey(group="g", topic="t", partition=3)
    assert encode(key, 0) == b"\0\1g" + b"\0\1t" + b"\0\0\0\3"


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\x63", b"\xff\xff"])
def test_a_log_record_of_an_unknown_version_is_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        decode_versioned(OffsetCommitValue, data)
