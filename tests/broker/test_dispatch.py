"""Routes: how requests are read and answers written. Heartbeats remember what they have read and written."""

from __future__ import annotations

import struct

import pytest

from rota.broker.dispatch import Dispatch, Route
from rota.model import ErrorCode
from rota.wire import WireError
from rota.wire.apis import APIS
from rota.wire.codec import decode, encode
from rota.wire.frames import request_frame
from rota.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from rota.wire.messages.fetch import FetchableTopicResponse, FetchResponse, PartitionData
from rota.wire.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from rota.wire.messages.sync_group import SyncGroupRequest

_HEARTBEAT, _VERSION = 12, 4
_FINE = HeartbeatResponse(error_code=ErrorCode.NONE)
_REBALANCING = HeartbeatResponse(error_code=ErrorCode.REBALANCE_IN_PROGRESS)


def _route(key: int = _HEARTBEAT, version: int = _VERSION) -> Route:
    route = Dispatch().route(key, version)
    assert route is not None
    return route


def _frame(
    message: HeartbeatRequest, correlation_id: int, client_id: str | None = "c", version: int = _VERSION
) -> memoryview:
    chunks = request_frame(APIS[_HEARTBEAT], version, correlation_id, client_id, message)
    return memoryview(b"".join(map(bytes, chunks)))[4:]


def _beat(member: str = "m", generation: int = 3) -> HeartbeatRequest:
    return HeartbeatRequest(group_id="g", generation_id=generation, member_id=member)


def test_a_heartbeat_that_is_repeated_is_read_once() -> None:
    route = _route()
    client_id, first = route.read(_frame(_beat(), 1))
    again_from, again = route.read(_frame(_beat(), 2))
    assert again is first
    assert (client_id, again_from) == ("c", "c")
    assert first == _beat()


def test_heartbeats_that_differ_in_anything_are_told_apart() -> None:
    route = _route()
    beats = [(_beat(), "c"), (_beat(), "d"), (_beat(generation=4), "c"), (_beat("n"), "c")]
    for _ in range(2):
        read = [route.read(_frame(beat, 1, client_id)) for beat, client_id in beats]
        assert [(message, client_id) for client_id, message in read] == beats


def test_what_strangers_make_up_is_not_remembered() -> None:
    route = _route()
    long, tagged = _beat("m" * 300), _beat()
    tagged.unknown_tags = {7: b"seven"}
    for beat in (long, tagged):
        _, first = route.read(_frame(beat, 1))
        _, again = route.read(_frame(beat, 1))
        assert first == again == beat
        assert again is not first


def test_remembering_has_an_end() -> None:
    route = _route()
    _, first = route.read(_frame(_beat(), 1))
    for number in range(5000):
        route.read(_frame(_beat(f"m{number}"), 1))
    _, again = route.read(_frame(_beat(), 1))
    assert again == first
    assert again is not first


def test_each_answer_has_its_own_correlation_id_and_code() -> None:
    route = _route()
    for number, answer in enumerate((_FINE, _FINE, _REBALANCING, _FINE, HeartbeatResponse(error_code=25))):
        whole = route.whole(number, answer)
        assert int.from_bytes(whole[:4], "big") == len(whole) - 4
        assert int.from_bytes(whole[4:8], "big") == number
        assert decode(HeartbeatResponse, _VERSION, whole[9:]) == answer


def test_routes_are_found_by_the_first_bytes_of_a_request() -> None:
    dispatch = Dispatch()
    for key, version in ((_HEARTBEAT, 0), (_HEARTBEAT, _VERSION), (18, -1), (18, 99)):
        slot = int.from_bytes(key.to_bytes(2, "big") + version.to_bytes(2, "big", signed=True), "big")
        found = dispatch.route_of(slot)
        assert found is not None
        assert dispatch.routes[slot] is found is dispatch.route(key, version)
    assert dispatch.route_of(_HEARTBEAT << 16 | 99) is None
    assert dispatch.route_of(-1) is None


def test_whose_request_it_is_does_not_depend_on_whose_came_before() -> None:
    route = Dispatch().route(14, 5)
    assert route is not None
    sync = SyncGroupRequest(
        group_id="g", generation_id=1, member_id="m", protocol_type="t", protocol_name="p"
    )
    for client_id in (None, "a", "a", "ab", "a", "", "a", None, "ü" * 200, "a", "a" * 300, "a" * 300):
        chunks = request_frame(APIS[14], 5, 1, client_id, sync)
        assert route.read(memoryview(b"".join(map(bytes, chunks)))[4:]) == (client_id, sync)


@pytest.mark.parametrize("version", range(5))
@pytest.mark.parametrize("client_id", [None, "", "consumer-ü-1"])
def test_a_request_is_read_as_it_was_written(version: int, client_id: str | None) -> None:
    assert _route(version=version).read(_frame(_beat(), 77, client_id, version)) == (client_id, _beat())


@pytest.mark.parametrize("version", [0, 4])
def test_a_request_cut_short_is_refused(version: int) -> None:
    whole = _frame(_beat(), 77, "client", version)
    for cut in range(8, len(whole)):
        with pytest.raises(WireError):
            _route(version=version).read(whole[:cut])


@pytest.mark.parametrize(("version", "head"), [(3, b""), (4, b"\0")])
def test_an_answer_has_its_length_and_header(version: int, head: bytes) -> None:
    rest = struct.pack(">i", 9) + head + encode(_REBALANCING, version)
    route = _route(version=version)
    for answer in (route.whole(9, _REBALANCING), b"".join(route.frame(9, _REBALANCING))):
        assert answer == struct.pack(">i", len(rest)) + rest


def test_an_api_versions_answer_has_the_old_header_behind_a_new_request() -> None:
    request = b"".join(request_frame(APIS[18], 3, 1, "c", ApiVersionsRequest()))
    assert request[4:15] == struct.pack(">hhih", 18, 3, 1, 1) + b"c"
    assert request[15] == 0
    answer = _route(18, 3).whole(1, ApiVersionsResponse())
    assert answer[4:] == struct.pack(">i", 1) + encode(ApiVersionsResponse(), 3)


def test_an_answer_with_records_counts_them_and_does_not_copy_them() -> None:
    batches = [bytes(300), bytes(500)]
    partition = PartitionData(partition_index=1, records=batches)
    response = FetchResponse(responses=[FetchableTopicResponse(topic="t", partitions=[partition])])
    chunks = _route(1, 12).frame(5, response)
    assert [chunk for chunk in chunks if any(chunk is each for each in batches)] == batches
    frame = b"".join(chunks)
    assert struct.unpack_from(">ii", frame) == (len(frame) - 4, 5)
    again = decode(FetchResponse, 12, frame[9:])
    assert again.responses[0].partitions[0].records == b"".join(batches)
