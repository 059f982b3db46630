"""Groups as connections see them: parked answers, dying connections, requests that are sent ahead, error codes."""

from __future__ import annotations

import itertools
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from tests.broker.raw import RawClient
from tests.coordinator.simulation import commit_request, join_request, sync_request
from tests.kafka.ports import PATIENCE_S

from rota.model import ErrorCode, TopicPartition
from rota.testing import Broker
from rota.timeline.events import RebalanceStarted
from rota.wire.messages.describe_groups import DescribedGroup, DescribeGroupsRequest, DescribeGroupsResponse
from rota.wire.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from rota.wire.messages.join_group import JoinGroupResponse
from rota.wire.messages.leave_group import LeaveGroupRequest, LeaveGroupResponse, MemberIdentity
from rota.wire.messages.offset_commit import OffsetCommitResponse
from rota.wire.messages.sync_group import SyncGroupResponse

NAMES = (f"wire-{number}" for number in itertools.count())


class Wire:
    """Members of one group, each with a connection of its own."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.group = next(NAMES)
        self._open = ExitStack()

    def client(self) -> RawClient:
        return self._open.enter_context(RawClient(self.broker.bootstrap_servers))

    def close(self) -> None:
        self._open.close()

    def new_id(self, client: RawClient) -> str:
        """The id that a first JoinGroup is given, with MEMBER_ID_REQUIRED."""
        answer = client.call(join_request(self.group, session_ms=30_000), 9, JoinGroupResponse)
        assert answer.error_code == ErrorCode.MEMBER_ID_REQUIRED
        return answer.member_id

    def send_join(self, client: RawClient, member: str, instance: str | None = None) -> None:
        client.send(join_request(self.group, member, session_ms=30_000, instance=instance), 9)

    def joined(self, client: RawClient) -> JoinGroupResponse:
        answer = client.receive(JoinGroupResponse, 9)
        assert answer.error_code == 0
        return answer

    def stable(self, count: int, share_size: int = 0) -> tuple[int, list[tuple[RawClient, str]]]:
        """A stable group: its generation and members, the leader first. Shares have ``share_size`` bytes or more."""
        clients = [self.client() for _ in range(count)]
        members = [(client, self.new_id(client)) for client in clients]
        leader, leader_id = members[0]
        self.send_join(leader, leader_id)
        generation = self.joined(leader).generation_id
        if count > 1:
            for client, member in members[1:]:
                self.send_join(client, member)
            self.until(lambda: len(self.describe().members) == count)
            self.send_join(leader, leader_id)
            for client, _ in members:
                generation = self.joined(client).generation_id
        shares = {member: f"share of {member}".encode().ljust(share_size, b".") for _, member in members}
        for client, member in members[1:]:
            client.send(sync_request(self.group, member, generation), 5)
        leader.send(sync_request(self.group, leader_id, generation, shares), 5)
        for client, member in members:
            answer = client.receive(SyncGroupResponse, 5)
            assert (answer.error_code, answer.assignment) == (0, shares[member])
        assert self.describe().group_state == "Stable"
        return generation, members

    def describe(self) -> DescribedGroup:
        with RawClient(self.broker.bootstrap_servers) as client:
            request = DescribeGroupsRequest(groups=[self.group])
            return client.call(request, 5, DescribeGroupsResponse).groups[0]

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def beat(self, client: RawClient, member: str, generation: int, instance: str | None = None) -> int:
        request = HeartbeatRequest(
            group_id=self.group, generation_id=generation, member_id=member, group_instance_id=instance
        )
        return client.call(request, 4, HeartbeatResponse).error_code

    def commit(
        self, client: RawClient, topic: str, member: str, generation: int, instance: str | None = None
    ) -> int:
        request = commit_request(
            {TopicPartition(topic, 0): 5}, member, generation, group=self.group, instance=instance
        )
        return client.call(request, 8, OffsetCommitResponse).topics[0].partitions[0].error_code

    def leave(self, client: RawClient, member: str) -> int:
        members = [MemberIdentity(member_id=member)]
        request = LeaveGroupRequest(group_id=self.group, members=members)
        return client.call(request, 5, LeaveGroupResponse).members[0].error_code


@pytest.fixture
def wire(broker: Broker) -> Iterator[Wire]:
    opened = Wire(broker)
    yield opened
    opened.close()


def test_a_sync_of_the_leader_answers_every_follower(wire: Wire) -> None:
    """Each with its own share; the followers had asked before."""
    generation, members = wire.stable(4)
    assert generation == 2
    assert {member.member_id for member in wire.describe().members} == {member for _, member in members}


def test_large_shares_reach_every_follower(wire: Wire) -> None:
    """More than is made before the first is sent."""
    generation, _ = wire.stable(7, 120 * 1024)
    assert generation == 2


def test_heartbeats_during_a_rebalance(wire: Wire) -> None:
    """REBALANCE_IN_PROGRESS until one has joined again; ILLEGAL_GENERATION for the past and the future."""
    generation, [(leader, leader_id), (follower, follower_id)] = wire.stable(2)
    assert wire.beat(leader, leader_id, generation) == 0
    assert wire.beat(leader, leader_id, generation - 1) == ErrorCode.ILLEGAL_GENERATION
    assert wire.beat(leader, leader_id, generation + 1) == ErrorCode.ILLEGAL_GENERATION
    assert wire.beat(leader, "nobody", generation) == ErrorCode.UNKNOWN_MEMBER_ID
    wire.send_join(leader, leader_id)  # the leader joins again: a rebalance
    wire.until(lambda: wire.describe().group_state == "PreparingRebalance")
    assert wire.beat(follower, follower_id, generation) == ErrorCode.REBALANCE_IN_PROGRESS
    wire.send_join(follower, follower_id)
    assert wire.joined(leader).generation_id == wire.joined(follower).generation_id == generation + 1
    assert wire.beat(follower, follower_id, generation) == ErrorCode.ILLEGAL_GENERATION
    assert wire.beat(follower, follower_id, generation + 1) == 0  # waiting for the leader's sync


def test_syncs_that_come_too_late_or_from_strangers(wire: Wire) -> None:
    """The generation, the member and the protocol must be those of the join."""
    generation, [(client, member)] = wire.stable(1)

    def sync(member_id: str, at: int, protocol: str = "range") -> int:
        request = sync_request(wire.group, member_id, at, protocol=protocol)
        return client.call(request, 5, SyncGroupResponse).error_code

    assert sync(member, generation - 1) == ErrorCode.ILLEGAL_GENERATION
    assert sync("nobody", generation) == ErrorCode.UNKNOWN_MEMBER_ID
    assert sync(member, generation, "sticky") == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    assert sync(member, generation) == 0  # asked again: the same share


def test_commits_of_those_who_are_not_in_the_generation(wire: Wire, new_topic: Callable[..., str]) -> None:
    """Stale generations, unknown members, outsiders: nothing is committed."""
    topic = new_topic()
    generation, [(client, member)] = wire.stable(1)
    assert wire.commit(client, topic, member, generation - 1) == ErrorCode.ILLEGAL_GENERATION
    assert wire.commit(client, topic, member, generation + 1) == ErrorCode.ILLEGAL_GENERATION
    assert wire.commit(client, topic, "nobody", generation) == ErrorCode.UNKNOWN_MEMBER_ID
    assert wire.commit(client, topic, "", -1) == ErrorCode.UNKNOWN_MEMBER_ID
    assert wire.commit(client, "nosuch", member, generation) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert wire.commit(client, topic, member, generation) == 0
    assert wire.leave(client, member) == 0
    assert wire.commit(client, topic, member, generation) == ErrorCode.UNKNOWN_MEMBER_ID
    assert wire.leave(client, member) == ErrorCode.UNKNOWN_MEMBER_ID


def test_a_static_member_that_was_replaced_is_fenced(wire: Wire, new_topic: Callable[..., str]) -> None:
    """Two processes with one group.instance.id: the older one is told so, whatever it asks."""
    topic = new_topic()
    older, newer = wire.client(), wire.client()
    wire.send_join(older, "", "seat-1")
    first = wire.joined(older)
    older.call(
        sync_request(wire.group, first.member_id, first.generation_id, instance="seat-1"),
        5,
        SyncGroupResponse,
    )
    wire.send_join(newer, "", "seat-1")
    second = wire.joined(newer)
    assert second.member_id != first.member_id
    fenced = ErrorCode.FENCED_INSTANCE_ID
    at = second.generation_id
    assert wire.beat(older, first.member_id, at, "seat-1") == fenced
    assert wire.commit(older, topic, first.member_id, at, "seat-1") == fenced
    late = sync_request(wire.group, first.member_id, at, instance="seat-1")
    assert older.call(late, 5, SyncGroupResponse).error_code == fenced
    wire.send_join(older, first.member_id, "seat-1")
    assert older.receive(JoinGroupResponse, 9).error_code == fenced
    assert wire.beat(newer, second.member_id, at, "seat-1") == 0


def test_a_static_member_whose_parked_join_is_replaced_hears_of_it(wire: Wire) -> None:
    """Its JoinGroup is answered at once, with FENCED_INSTANCE_ID."""
    _, [(leader, leader_id)] = wire.stable(1)
    older, newer = wire.client(), wire.client()
    wire.send_join(older, "", "seat-1")
    wire.until(lambda: len(wire.describe().members) == 2)
    wire.send_join(newer, "", "seat-1")
    assert older.receive(JoinGroupResponse, 9).error_code == ErrorCode.FENCED_INSTANCE_ID
    wire.send_join(leader, leader_id)
    assert wire.joined(newer).generation_id == wire.joined(leader).generation_id


def test_a_connection_that_dies_while_its_join_is_parked(wire: Wire) -> None:
    """The others are not held up by it, nor is the broker; the member goes when its session ends."""
    generation, [(leader, leader_id)] = wire.stable(1)
    dying = wire.client()
    dead = wire.new_id(dying)
    wire.send_join(dying, dead)
    wire.until(lambda: len(wire.describe().members) == 2)
    # A reset, as of a crashed process.
    dying.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    dying.socket.close()
    assert wire.beat(leader, leader_id, generation) == ErrorCode.REBALANCE_IN_PROGRESS
    wire.send_join(leader, leader_id)
    joined = wire.joined(leader)
    assert joined.generation_id == generation + 1
    shares = {leader_id: b"all", dead: b"none"}
    sync = sync_request(wire.group, leader_id, joined.generation_id, shares)
    assert leader.call(sync, 5, SyncGroupResponse).assignment == b"all"
    wire.broker.expire_session(wire.group, dead)
    assert wire.beat(leader, leader_id, joined.generation_id) == ErrorCode.REBALANCE_IN_PROGRESS
    wire.send_join(leader, leader_id)
    assert [each.member_id for each in wire.joined(leader).members] == [leader_id]


def test_a_member_that_comes_back_on_another_connection_while_its_join_is_parked(wire: Wire) -> None:
    """The answer goes to the newer request; the member is there once."""
    generation, [(leader, leader_id)] = wire.stable(1)
    first, second = wire.client(), wire.client()
    member = wire.new_id(first)
    wire.send_join(first, member)
    wire.until(lambda: len(wire.describe().members) == 2)
    first.socket.close()
    wire.send_join(second, member)
    wire.send_join(leader, leader_id)
    assert wire.joined(second).generation_id == generation + 1
    assert len(wire.joined(leader).members) == 2


def test_what_is_sent_ahead_of_a_parked_join_is_answered_after_it(wire: Wire) -> None:
    """In order, and without being lost: heartbeats behind a JoinGroup, of which some are not whole yet."""
    generation, [(leader, leader_id)] = wire.stable(1)
    client = wire.client()
    member = wire.new_id(client)
    wire.send_join(client, member)
    ahead = HeartbeatRequest(group_id=wire.group, generation_id=generation + 1, member_id=member)
    sent = [client.send(ahead, 4) for _ in range(3)]
    client.socket.sendall(struct.pack(">ih", 10, 18))  # the beginning of an ApiVersions request
    wire.until(lambda: len(wire.describe().members) == 2)
    wire.send_join(leader, leader_id)
    assert wire.joined(client).generation_id == generation + 1
    for correlation_id in sent:
        frame = client.receive_frame()
        assert struct.unpack_from(">i", frame)[0] == correlation_id
    client.socket.sendall(struct.pack(">hih", 0, 99, -1))
    assert struct.unpack_from(">ih", client.receive_frame()) == (99, 0)


def test_the_last_member_that_leaves_while_others_are_parked_completes_the_join(wire: Wire) -> None:
    """Nobody is waited for who is gone."""
    generation, [(leader, leader_id)] = wire.stable(1)
    client = wire.client()
    member = wire.new_id(client)
    wire.send_join(client, member)
    wire.until(lambda: len(wire.describe().members) == 2)
    assert wire.leave(leader, leader_id) == 0
    answer = wire.joined(client)
    assert (answer.generation_id, answer.leader) == (generation + 1, member)


def test_a_rebalance_that_is_asked_for_is_in_the_events(wire: Wire) -> None:
    """Steering from a test: the member is told with its next heartbeat, and the timeline says why."""
    generation, [(leader, leader_id)] = wire.stable(1)
    wire.broker.force_rebalance(wire.group, "because")
    assert wire.beat(leader, leader_id, generation) == ErrorCode.REBALANCE_IN_PROGRESS
    started = [
        event
        for event in wire.broker.events
        if isinstance(event, RebalanceStarted) and event.group == wire.group
    ]
    assert started[-1].detail == "because"


def test_an_assignment_that_is_too_large_to_record_is_refused(wire: Wire) -> None:
    generation, [(member, member_id)] = wire.stable(1)
    wire.send_join(member, member_id)
    generation = wire.joined(member).generation_id
    too_large = sync_request(wire.group, member_id, generation, {member_id: bytes(3_000_000)})
    assert member.call(too_large, 5, SyncGroupResponse).error_code == ErrorCode.UNKNOWN_SERVER_ERROR
    wire.send_join(member, member_id)
    generation = wire.joined(member).generation_id
    small = sync_request(wire.group, member_id, generation, {member_id: b"all"})
    assert member.call(small, 5, SyncGroupResponse).assignment == b"all"
