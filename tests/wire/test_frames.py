"""What stands before a message: lengths, headers, client ids, tagged fields."""

from __future__ import annotations

import struct

import pytest

from rota.wire import WireError
from rota.wire.apis import APIS
from rota.wire.codec import decode, encode
from rota.wire.frames import RequestHeader, read_request_header, request_frame, response_frame, skip_tags
from rota.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from rota.wire.messages.fetch import FetchableTopicResponse, FetchResponse, PartitionData
from rota.wire.messages.heartbeat import HeartbeatRequest, HeartbeatResponse

_HEARTBEAT = APIS[12]


@pytest.mark.parametrize("version", range(5))
@pytest.mark.parametrize("client_id", [None, "", "consumer-ü-1"])
def test_a_request_is_read_as_it_was_written(version: int, client_id: str | None) -> None:
    request = HeartbeatRequest(group_id="g", generation_id=3, member_id="m")
    frame = b"".join(request_frame(_HEARTBEAT, version, 77, client_id, request))
    assert struct.unpack_from(">i", frame)[0] == len(frame) - 4
    header, start = read_request_header(_HEARTBEAT, memoryview(frame)[4:])
    assert header == RequestHeader(12, version, 77, client_id)
    assert decode(HeartbeatRequest, version, frame[4 + start :]) == request


@pytest.mark.parametrize("version", [0, 4])
def test_a_header_cut_short_is_refused(version: int) -> None:
    frame = b"".join(request_frame(_HEARTBEAT, version, 77, "client", HeartbeatRequest()))[4:]
    _, start = read_request_header(_HEARTBEAT, memoryview(frame))
    for cut in range(start):
        with pytest.raises(WireError):
            read_request_header(_HEARTBEAT, memoryview(frame)[:cut])


def test_a_client_id_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(WireError, match="UTF-8"):
        read_request_header(_HEARTBEAT, memoryview(struct.pack(">hhih2s", 12, 0, 1, 2, b"\xff\xfe")))


def test_tagged_fields_of_a_header_are_stepped_over() -> None:
    body = bytes([2, 0, 3]) + b"abc" + bytes([0x90, 0x01, 0]) + b"body"
    assert skip_tags(memoryview(body), 0) == len(body) - 4


@pytest.mark.parametrize("tags", [b"", b"\x01", b"\x01\x00", b"\x01\x00\x05abcd", b"\xff" * 6])
def test_tagged_fields_of_a_header_cut_short_are_refused(tags: bytes) -> None:
    with pytest.raises(WireError):
        skip_tags(memoryview(tags), 0)


def test_a_header_that_claims_four_billion_tagged_fields_is_refused() -> None:
    with pytest.raises(WireError):
        skip_tags(memoryview(b"\xff\xff\xff\xff\x0f" + bytes(10)), 0)


@pytest.mark.parametrize(("version", "head"), [(3, b""), (4, b"\0")])
def test_a_response_has_its_length_and_header(version: int, head: bytes) -> None:
    response = HeartbeatResponse(error_code=27)
    rest = struct.pack(">i", 9) + head + encode(response, version)
    frame = b"".join(response_frame(_HEARTBEAT, version, 9, response))
    assert frame == struct.pack(">i", len(rest)) + rest


def test_an_api_versions_answer_has_the_old_header_behind_a_new_request() -> None:
    request = b"".join(request_frame(APIS[18], 3, 1, "c", ApiVersionsRequest()))
    assert request[4:15] == struct.pack(">hhih", 18, 3, 1, 1) + b"c"
    assert request[15] == 0
    answer = b"".join(response_frame(APIS[18], 3, 1, ApiVersionsResponse()))
    assert answer[4:] == struct.pack(">i", 1) + encode(ApiVersionsResponse(), 3)


def test_a_response_with_records_counts_them_and_does_not_copy_them() -> None:
    batches = [bytes(300), bytes(500)]
    partition = PartitionData(partition_index=1, records=batches)
    response = FetchResponse(responses=[FetchableTopicResponse(topic="t", partitions=[partition])])
    chunks = response_frame(APIS[1], 12, 5, response)
    assert [chunk for chunk in chunks if any(chunk is each for each in batches)] == batches
    frame = b"".join(chunks)
    assert struct.unpack_from(">ii", frame) == (len(frame) - 4, 5)
    again = decode(FetchResponse, 12, frame[9:])
    assert again.responses[0].partitions[0].records == b"".join(batches)
