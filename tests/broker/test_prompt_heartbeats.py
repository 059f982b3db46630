"""Heartbeats whose answer is held back until there is news (``--prompt-heartbeats``)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.broker.like_kafka_consumer_groups import first
from tests.broker.like_kafka_migration import joining, syncing
from tests.broker.raw import RawClient

from rota.model import ErrorCode
from rota.testing import Broker
from rota.wire.apis import APIS
from rota.wire.frames import request_frame
from rota.wire.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatResponse
from rota.wire.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from rota.wire.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from rota.wire.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse
from rota.wire.messages.sync_group import SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse

_LONG_MS = 1_200_000  # no test here lives that long


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker() as started:
        yield started


def _member(client: RawClient, group: str) -> HeartbeatRequest:
    """Join and sync as the only member; its heartbeat."""
    join = JoinGroupRequest(
        group_id=group,
        session_timeout_ms=_LONG_MS,
        rebalance_timeout_ms=_LONG_MS,
        protocol_type="consumer",
        protocols=[JoinGroupRequestProtocol(name="range", metadata=b"")],
    )
    joined = client.call(join, 3, JoinGroupResponse)
    assignment = SyncGroupRequestAssignment(member_id=joined.member_id, assignment=b"")
    sync = SyncGroupRequest(
        group_id=group,
        generation_id=joined.generation_id,
        member_id=joined.member_id,
        assignments=[assignment],
    )
    assert client.call(sync, 3, SyncGroupResponse).error_code == ErrorCode.NONE
    return HeartbeatRequest(group_id=group, generation_id=joined.generation_id, member_id=joined.member_id)


def _hold_one(broker: Broker, client: RawClient, group: str) -> None:
    """Show the broker an interval of ten minutes, then send a heartbeat that is therefore held."""
    heartbeat = _member(client, group)
    assert client.call(heartbeat, 3, HeartbeatResponse).error_code == ErrorCode.NONE
    broker.advance_clock(600_000)
    client.send(heartbeat, 3)


def test_a_held_heartbeat_is_answered_when_a_rebalance_begins(broker: Broker) -> None:
    with RawClient(broker.bootstrap_servers) as client:
        _hold_one(broker, client, "g")
        broker.force_rebalance("g")
        assert client.receive(HeartbeatResponse, 3).error_code == ErrorCode.REBALANCE_IN_PROGRESS


def test_a_held_heartbeat_is_answered_when_something_else_arrives_behind_it(broker: Broker) -> None:
    with RawClient(broker.bootstrap_servers) as client:
        _hold_one(broker, client, "g")
        client.send(FindCoordinatorRequest(key="g"), 1)
        assert client.receive(HeartbeatResponse, 3).error_code == ErrorCode.NONE
        assert client.receive(FindCoordinatorResponse, 1).error_code == ErrorCode.NONE


def test_a_heartbeat_is_not_held_that_something_else_came_together_with(broker: Broker) -> None:
    with RawClient(broker.bootstrap_servers) as client:
        heartbeat = _member(client, "together")
        assert client.call(heartbeat, 3, HeartbeatResponse).error_code == ErrorCode.NONE
        broker.advance_clock(600_000)
        find = FindCoordinatorRequest(key="together")
        frames = [
            *request_frame(APIS[12], 3, 1, "raw", heartbeat),
            *request_frame(APIS[10], 1, 2, "raw", find),
        ]
        client.socket.sendall(b"".join(map(bytes, frames)))
        assert client.receive(HeartbeatResponse, 3).error_code == ErrorCode.NONE
        assert client.receive(FindCoordinatorResponse, 1).error_code == ErrorCode.NONE


def test_a_heartbeat_is_not_held_longer_than_the_members_interval(broker: Broker) -> None:
    with RawClient(broker.bootstrap_servers) as client:
        _hold_one(broker, client, "g")
        broker.advance_clock(300_001)  # a quarter of the session timeout, less than the interval
        assert client.receive(HeartbeatResponse, 3).error_code == ErrorCode.NONE


def test_a_held_heartbeat_whose_client_is_gone_disturbs_nobody(broker: Broker) -> None:
    with RawClient(broker.bootstrap_servers) as client:
        _hold_one(broker, client, "g")
    broker.force_rebalance("g")
    with RawClient(broker.bootstrap_servers) as other:
        assert other.call(FindCoordinatorRequest(key="g"), 1, FindCoordinatorResponse).error_code == 0


def test_without_the_option_heartbeats_are_answered_at_once() -> None:
    with Broker(prompt_heartbeats=False) as plain, RawClient(plain.bootstrap_servers) as client:
        heartbeat = _member(client, "g")
        client.call(heartbeat, 3, HeartbeatResponse)
        plain.advance_clock(600_000)
        # Held, it would be answered in 300 seconds: later than this client waits.
        assert client.call(heartbeat, 3, HeartbeatResponse).error_code == ErrorCode.NONE


def test_a_mixed_group_is_as_prompt(broker: Broker) -> None:
    """Classic members hear at once that their group is a consumer group now, and of what happens in it."""
    with RawClient(broker.bootstrap_servers) as client, RawClient(broker.bootstrap_servers) as other:
        member = client.call(joining("g", "", ["t"], session_ms=_LONG_MS), 3, JoinGroupResponse).member_id
        assert client.call(syncing("g", 1, member), 3, SyncGroupResponse).error_code == ErrorCode.NONE
        for epoch, newcomer in ((1, "a"), (2, "b")):
            heartbeat = HeartbeatRequest(group_id="g", generation_id=epoch, member_id=member)
            assert client.call(heartbeat, 3, HeartbeatResponse).error_code == ErrorCode.NONE
            broker.advance_clock(20_000)  # its interval; members of the consumer protocol live 45 seconds
            client.send(heartbeat, 3)
            joined = other.call(first("g", newcomer, ["t"]), 1, ConsumerGroupHeartbeatResponse)
            assert joined.member_epoch == epoch + 1
            assert client.receive(HeartbeatResponse, 3).error_code == ErrorCode.REBALANCE_IN_PROGRESS
            again = joining("g", member, ["t"], session_ms=_LONG_MS)
            assert client.call(again, 3, JoinGroupResponse).generation_id == epoch + 1
            sync = syncing("g", epoch + 1, member)
            assert client.call(sync, 3, SyncGroupResponse).error_code == ErrorCode.NONE
