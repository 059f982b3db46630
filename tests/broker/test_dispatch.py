"""Routes: how requests are read and answers written. Heartbeats remember what they have read and written."""

from __future__ import annotations

from rota.broker.dispatch import Dispatch, Route
from rota.model import ErrorCode
from rota.wire.apis import APIS
from rota.wire.codec import decode
from rota.wire.frames import request_frame
from rota.wire.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from rota.wire.messages.sync_group import SyncGroupRequest

_HEARTBEAT, _VERSION = 12, 4
_FINE = HeartbeatResponse(error_code=ErrorCode.NONE)
_REBALANCING = HeartbeatResponse(error_code=ErrorCode.REBALANCE_IN_PROGRESS)


def _route() -> Route:
    route = Dispatch().route(_HEARTBEAT, _VERSION)
    assert route is not None
    return route


def _frame(message: HeartbeatRequest, correlation_id: int, client_id: str = "c") -> memoryview:
    chunks = request_frame(APIS[_HEARTBEAT], _VERSION, correlation_id, client_id, message)
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
