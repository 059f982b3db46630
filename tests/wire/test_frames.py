"""What stands before a message: lengths, headers, client ids, tagged fields."""

from __future__ import annotations

import struct

import pytest

from rota.wire import WireError
from rota.wire.apis import APIS
from rota.wire.codec import decode
from rota.wire.frames import read_client_id, request_frame, skip_tags
from rota.wire.messages.heartbeat import HeartbeatRequest

_HEARTBEAT = APIS[12]


@pytest.mark.parametrize("version", range(5))
@pytest.mark.parametrize("client_id", [None, "", "consumer-ü-1"])
def test_a_request_has_its_length_its_header_and_its_body(version: int, client_id: str | None) -> None:
    request = HeartbeatRequest(group_id="g", generation_id=3, member_id="m")
    frame = b"".join(request_frame(_HEARTBEAT, version, 77, client_id, request))
    assert struct.unpack_from(">ihhi", frame) == (len(frame) - 4, 12, version, 77)
    found, position = read_client_id(frame, 12)
    assert found == client_id
    if _HEARTBEAT.request_header_version(version) >= 2:
        position = skip_tags(frame, position)
    assert decode(HeartbeatRequest, version, frame[position:]) == request


def test_a_client_id_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(WireError, match="UTF-8"):
        read_client_id(struct.pack(">h2s", 2, b"\xff\xfe"), 0)


@pytest.mark.parametrize("cut", range(8))
def test_a_client_id_cut_short_is_refused(cut: int) -> None:
    with pytest.raises(WireError, match="cut short"):
        read_client_id(struct.pack(">h6s", 6, b"client")[:cut], 0)


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
