"""Conversations about groups with members of both protocols, for ``test_migration_like_kafka``.

A group goes from the classic protocol to the consumer protocol (KIP-848) and back while its members are in it. Members
of the consumer protocol ask for the assignor "range": it puts members in the order of their ids, so that both brokers
share out the same. Classic members in a consumer group bring ids of their own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from tests.broker.like_kafka_consumer_groups import beat, describe_both, first, ready_topic, say
from tests.broker.like_kafka_groups import commit, describe
from tests.broker.raw import RawClient
from tests.broker.talk import Talk
from tests.kafka.ports import PATIENCE_S

from rota.model import ErrorCode
from rota.wire.codec import encode_versioned
from rota.wire.messages.consumer_group_describe import (
    ConsumerGroupDescribeRequest,
    ConsumerGroupDescribeResponse,
)
from rota.wire.messages.consumer_protocol import (
    ConsumerProtocolAssignment,
    ConsumerProtocolAssignmentTopicPartition,
    ConsumerProtocolSubscription,
    TopicPartition,
)
from rota.wire.messages.delete_groups import DeleteGroupsRequest, DeleteGroupsResponse
from rota.wire.messages.describe_groups import DescribeGroupsResponse
from rota.wire.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from rota.wire.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse
from rota.wire.messages.leave_group import LeaveGroupRequest, LeaveGroupResponse, MemberIdentity
from rota.wire.messages.list_groups import ListGroupsRequest, ListGroupsResponse
from rota.wire.messages.offset_commit import OffsetCommitResponse
from rota.wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
    OffsetFetchResponse,
)
from rota.wire.messages.sync_group import SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse

__all__ = ["CASES", "GROUP_SIZE", "POLICY_CASES", "joining", "migration_of_a_recorded_group", "syncing"]

GROUP_SIZE = 3
"""``group.max.size`` of both brokers."""


def joining(
    group: str,
    member: str,
    topics: list[str],
    *,
    owned: Mapping[str, list[int]] | None = None,
    protocols: tuple[str, ...] = ("range",),
    instance: str | None = None,
    kind: str = "consumer",
    session_ms: int = 30_000,
    rebalance_ms: int = 30_000,
    subscription_version: int = 1,
) -> JoinGroupRequest:
    """A JoinGroup of a consumer that holds ``owned``."""
    subscription = ConsumerProtocolSubscription(
        topics=topics,
        owned_partitions=[
            TopicPartition(topic=topic, partitions=indexes) for topic, indexes in (owned or {}).items()
        ],
    )
    metadata = encode_versioned(subscription, subscription_version)
    return JoinGroupRequest(
        group_id=group,
        session_timeout_ms=session_ms,
        rebalance_timeout_ms=rebalance_ms,
        member_id=member,
        group_instance_id=instance,
        protocol_type=kind,
        protocols=[JoinGroupRequestProtocol(name=name, metadata=metadata) for name in protocols],
    )


def given(topic: str, indexes: list[int], user_data: bytes | None = None) -> bytes:
    """What a leader gives to a member."""
    part = ConsumerProtocolAssignmentTopicPartition(topic=topic, partitions=indexes)
    return encode_versioned(ConsumerProtocolAssignment(assigned_partitions=[part], user_data=user_data), 1)


def syncing(
    group: str,
    generation: int,
    member: str,
    *,
    instance: str | None = None,
    protocol: str | None = "range",
    kind: str | None = "consumer",
    assignments: Mapping[str, bytes] | None = None,
) -> SyncGroupRequest:
    return SyncGroupRequest(
        group_id=group,
        generation_id=generation,
        member_id=member,
        group_instance_id=instance,
        protocol_type=kind,
        protocol_name=protocol,
        assignments=[
            SyncGroupRequestAssignment(member_id=each, assignment=data)
            for each, data in (assignments or {}).items()
        ],
    )


def classic_member(
    talk: Talk,
    group: str,
    topic: str,
    indexes: list[int],
    *,
    instance: str | None = None,
    kind: str = "consumer",
    assignment: bytes | None = None,
) -> str:
    """The only member of a new classic group, in generation 1, with these partitions; none of it is written down."""
    request = joining(group, "", [topic], instance=instance, kind=kind)
    joined = talk.client.call(request, 9, JoinGroupResponse)
    if joined.error_code == ErrorCode.MEMBER_ID_REQUIRED:
        request.member_id = joined.member_id
        joined = talk.client.call(request, 9, JoinGroupResponse)
    assert joined.error_code == 0, joined
    plan = {joined.member_id: given(topic, indexes) if assignment is None else assignment}
    request_sync = syncing(
        group, joined.generation_id, joined.member_id, instance=instance, kind=kind, assignments=plan
    )
    assert talk.client.call(request_sync, 5, SyncGroupResponse).error_code == 0
    return joined.member_id


def join_and_sync(talk: Talk, request: JoinGroupRequest) -> None:
    """As a member of a consumer group does, that need not wait for anybody."""
    joined = talk.ask(request, 9, JoinGroupResponse)
    sync = syncing(
        request.group_id,
        joined.generation_id,
        joined.member_id,
        instance=request.group_instance_id,
        protocol=joined.protocol_name,
    )
    talk.ask(sync, 5, SyncGroupResponse)


def pulse(talk: Talk, group: str, generation: int, member: str, instance: str | None = None) -> int:
    """A classic heartbeat."""
    request = HeartbeatRequest(
        group_id=group, generation_id=generation, member_id=member, group_instance_id=instance
    )
    return talk.ask(request, 4, HeartbeatResponse).error_code


# --- the whole way there and back ----------------------------------------------------------------------------


def migration_there_and_back(talk: Talk) -> None:
    """A consumer joins a classic group, gets half of it, and leaves again."""
    topic = ready_topic(talk, 4)
    topic_id = talk.topic_id(topic)
    group = talk.name
    member = classic_member(talk, group, topic, [0, 1, 2, 3])
    talk.ask(commit(group, topic, 1, member), 9, OffsetCommitResponse)
    say(talk, first(group, "m", [topic], assignor="range"))
    describe_both(talk, group)
    # The classic member hears of it, may commit, and joins again with what it holds.
    pulse(talk, group, 1, member)
    talk.ask(syncing(group, 1, member), 5, SyncGroupResponse)
    talk.ask_in_all(commit(group, topic, 1, member), OffsetCommitResponse)
    join_and_sync(talk, joining(group, member, [topic], owned={topic: [0, 1, 2, 3]}))
    describe_both(talk, group)
    say(talk, beat(group, "m", 2))
    pulse(talk, group, 1, member)
    # Now it has let go.
    join_and_sync(talk, joining(group, member, [topic], owned={topic: [2, 3]}))
    pulse(talk, group, 1, member)
    pulse(talk, group, 2, member)
    say(talk, beat(group, "m", 2))
    say(talk, beat(group, "m", 2, owned=[(topic_id, [0, 1])]))
    describe_both(talk, group)
    for each, epoch in ((member, 2), (member, 1), ("m", 2), ("m", 1), ("none", 2)):
        talk.ask_in_all(commit(group, topic, epoch, each), OffsetCommitResponse)
        talk.ask(fetch(group, topic, each, epoch), 9, OffsetFetchResponse)
    list_own(talk)
    talk.ask(DeleteGroupsRequest(groups_names=[group]), 2, DeleteGroupsResponse)
    # The last member of the consumer protocol leaves: the group is classic again, and in a rebalance.
    say(talk, beat(group, "m", -1))
    describe_both(talk, group)
    list_own(talk)
    pulse(talk, group, 2, member)
    talk.ask_in_all(commit(group, topic, 2, member), OffsetCommitResponse)
    talk.ask(joining(group, member, [topic], owned={topic: [2, 3]}), 9, JoinGroupResponse)
    plan = {member: given(topic, [0, 1, 2, 3])}
    talk.ask(syncing(group, 3, member, assignments=plan), 5, SyncGroupResponse)
    pulse(talk, group, 3, member)
    describe_both(talk, group)
    talk.ask(fetch(group, topic, None, -1), 9, OffsetFetchResponse)


def fetch(group: str, topic: str, member: str | None, epoch: int) -> OffsetFetchRequest:
    wanted = OffsetFetchRequestTopics(name=topic, partition_indexes=[0])
    return OffsetFetchRequest(
        groups=[
            OffsetFetchRequestGroup(group_id=group, member_id=member, member_epoch=epoch, topics=[wanted])
        ]
    )


def list_own(talk: Talk) -> None:
    """The groups of this case by type."""
    for types in ([], ["classic"], ["consumer"]):
        request = ListGroupsRequest(types_filter=types)
        answer = talk.client.call(request, 5, ListGroupsResponse)
        answer.groups = [each for each in answer.groups if each.group_id.startswith(talk.name)]
        talk.note(request, 5, answer)


def migration_of_an_eager_member(talk: Talk) -> None:
    """It holds nothing while it joins: what it had is another's in the same moment."""
    topic = ready_topic(talk, 4)
    group = talk.name
    member = classic_member(talk, group, topic, [0, 1, 2, 3])
    say(talk, first(group, "m", [topic], assignor="range"))
    say(talk, beat(group, "m", 2))
    join_and_sync(talk, joining(group, member, [topic], subscription_version=0))
    pulse(talk, group, 2, member)
    say(talk, beat(group, "m", 2))
    describe_both(talk, group)
    # It subscribes to something else.
    other = ready_topic(talk, 1, suffix="-other")
    join_and_sync(talk, joining(group, member, [other], subscription_version=0))
    say(talk, beat(group, "m", 2))
    describe_both(talk, group)


# --- classic members come to a consumer group ------------------------------------------------------------------


def migration_joins_of_classic_members(talk: Talk) -> None:
    """With and without an id, in every version, with and without a protocol that the others know."""
    topic = ready_topic(talk, 2)
    group = talk.name
    say(talk, first(group, "m", [topic], assignor="range"))
    for version in range(4, 10):
        talk.ask(joining(group, "", [topic]), version, JoinGroupResponse)
    talk.ask_in_all(joining(group, "", [topic], kind="connect"), JoinGroupResponse)
    talk.ask_in_all(joining(group, "", [topic], protocols=()), JoinGroupResponse)
    talk.ask_in_all(joining(group, "", [topic], session_ms=1), JoinGroupResponse)
    talk.ask_in_all(joining(group, "nobody", [topic], instance="i"), JoinGroupResponse, first=5)
    malformed = joining(group, "z", [topic])
    malformed.protocols[0].metadata = b"\0"
    talk.ask_in_all(malformed, JoinGroupResponse, first=4)
    describe_both(talk, group)
    join_and_sync(talk, joining(group, "z", [topic], protocols=("range", "sticky")))
    describe_both(talk, group)
    for protocols in (("roundrobin",), ("roundrobin", "sticky"), ("sticky", "range")):
        talk.ask(joining(group, "y", [topic], protocols=protocols), 9, JoinGroupResponse)
    talk.ask(joining(group, "z", [topic], protocols=("roundrobin",)), 9, JoinGroupResponse)
    for version in range(2, 6):
        talk.ask(syncing(group, 3, "y", protocol="sticky"), version, SyncGroupResponse)
    describe_both(talk, group)


def migration_errors_of_classic_members(talk: Talk) -> None:
    """What Heartbeat and SyncGroup are answered that are not quite right."""
    topic = ready_topic(talk, 2)
    group = talk.name
    say(talk, first(group, "m", [topic], assignor="range"))
    say(talk, first(group, "ms", [topic], instance="ms", assignor="range"))
    join_and_sync(talk, joining(group, "z", [topic]))
    talk.ask(joining(group, "", [topic], instance="s"), 9, JoinGroupResponse)
    for member, instance in (
        ("nobody", None),
        ("m", None),
        ("ms", "ms"),
        ("nobody", "ms"),
        ("nobody", "s"),
        ("nobody", "other"),
        ("", None),
        ("z", None),
    ):
        for generation in (-1, 0, 3, 4, 5):
            pulse(talk, group, generation, member, instance)
            talk.ask(syncing(group, generation, member, instance=instance), 5, SyncGroupResponse)
    for kind, protocol in (("connect", "range"), ("consumer", "sticky"), (None, "range"), ("consumer", None)):
        for version in (4, 5):
            talk.ask(syncing(group, 3, "z", kind=kind, protocol=protocol), version, SyncGroupResponse)
    describe_both(talk, group)


def migration_leaves(talk: Talk) -> None:
    """Classic members leave, and administrators remove members of either kind."""
    topic = ready_topic(talk, 3)
    group = talk.name
    say(talk, first(group, "m", [topic], assignor="range"))
    for member in ("x", "y", "z"):
        join_and_sync(talk, joining(group, member, [topic]))
    leave(talk, group, "x")
    leave(talk, group, "x")
    describe_both(talk, group)
    say(talk, beat(group, "y", -1))
    describe_both(talk, group)
    leave(talk, group, "m")
    describe_both(talk, group)
    pulse(talk, group, 3, "z")


def migration_all_leave_at_once(talk: Talk) -> None:
    """A member of each kind in one request."""
    topic = ready_topic(talk, 3)
    group = talk.name
    say(talk, first(group, "m", [topic], assignor="range"))
    for member in ("y", "z"):
        join_and_sync(talk, joining(group, member, [topic]))
    leave(talk, group, "m", "y")
    describe_both(talk, group)
    join_and_sync(talk, joining(group, "z", [topic]))
    describe_both(talk, group)
    leave(talk, group, "z")
    describe_both(talk, group)


def leave(talk: Talk, group: str, *members: str) -> None:
    request = LeaveGroupRequest(
        group_id=group, members=[MemberIdentity(member_id=member) for member in members]
    )
    talk.ask(request, 5, LeaveGroupResponse)


def migration_two_leave_together(talk: Talk) -> None:
    """The last two members of the consumer protocol, removed in one request."""
    topic = ready_topic(talk, 3)
    group = talk.name
    say(talk, first(group, "m", [topic], assignor="range"))
    say(talk, first(group, "n", [topic], assignor="range"))
    join_and_sync(talk, joining(group, "z", [topic]))
    leave(talk, group, "m", "n")
    describe_both(talk, group)


def migration_of_too_many(talk: Talk) -> None:
    """More classic members than ``group.max.size`` allows: the group stays a consumer group."""
    topic = ready_topic(talk, 4)
    group = talk.name
    say(talk, first(group, "m", [topic], assignor="range"))
    for member in ("w", "x", "y", "z"):
        join_and_sync(talk, joining(group, member, [topic]))
    say(talk, beat(group, "m", -1))
    talk.ask(ConsumerGroupDescribeRequest(group_ids=[group]), 1, ConsumerGroupDescribeResponse)
    talk.ask(describe(group), 6, DescribeGroupsResponse)


# --- static members -----------------------------------------------------------------------------------------


def migration_of_a_static_member(talk: Talk) -> None:
    """A classic static member is restarted with the consumer protocol, and later with the classic one again."""
    topic = ready_topic(talk, 2)
    topic_id = talk.topic_id(topic)
    group = talk.name
    old = classic_member(talk, group, topic, [0, 1], instance="i")
    say(talk, first(group, "m", [topic], instance="i", assignor="range"))
    describe_both(talk, group)
    pulse(talk, group, 1, old, "i")
    pulse(talk, group, 1, old)
    say(talk, beat(group, "m", 1, instance="i", owned=[(topic_id, [0, 1])]))
    say(talk, beat(group, "m", -2, instance="i"))
    describe_both(talk, group)
    request = joining(group, "", [topic], instance="i")
    back = talk.client.call(request, 9, JoinGroupResponse)
    talk.note(request, 9, back)
    describe_both(talk, group)
    say(talk, beat(group, "m", 1, instance="i"))
    pulse(talk, group, back.generation_id, back.member_id, "i")
    sync = syncing(group, back.generation_id, back.member_id, instance="i")
    talk.ask(sync, 5, SyncGroupResponse)
    pulse(talk, group, back.generation_id, back.member_id, "i")
    describe_both(talk, group)


def migration_of_static_members_among_others(talk: Talk) -> None:
    """Static members change their protocol, one of each kind at a time, while others stay."""
    topic = ready_topic(talk, 3)
    group = talk.name
    say(talk, first(group, "a", [topic], assignor="range"))
    say(talk, first(group, "b", [topic], instance="i", assignor="range"))
    # It did not say goodbye: a classic member does not care.
    joined = talk.ask(joining(group, "", [topic], instance="i"), 9, JoinGroupResponse)
    talk.ask(syncing(group, joined.generation_id, joined.member_id, instance="i"), 5, SyncGroupResponse)
    say(talk, beat(group, "b", 2, instance="i"))
    pulse(talk, group, joined.generation_id, joined.member_id, "i")
    again = talk.ask(joining(group, "", [topic], instance="i"), 9, JoinGroupResponse)
    pulse(talk, group, joined.generation_id, joined.member_id, "i")
    talk.ask(joining(group, again.member_id, [topic], instance="i"), 9, JoinGroupResponse)
    say(talk, first(group, "c", [topic], instance="i", assignor="range"))
    pulse(talk, group, again.generation_id, again.member_id, "i")
    say(talk, first(group, "d", [topic], instance="i", assignor="range"))
    request = ConsumerGroupDescribeRequest(group_ids=[group])
    talk.ask(request, 1, ConsumerGroupDescribeResponse)


# --- time ---------------------------------------------------------------------------------------------------


def migration_deadlines(talk: Talk) -> None:
    """A classic member that is silent, that does not join again, or that does not fetch its assignment is out."""
    topic = ready_topic(talk, 3)
    for which, session_ms, rebalance_ms, alive in (
        ("silent", 1_000, 60_000, False),
        ("no-join", 60_000, 1_000, True),
        ("no-sync", 60_000, 1_000, False),
    ):
        group = f"{talk.name}-{which}"
        say(talk, first(group, "m", [topic], assignor="range"))
        request = joining(group, "z", [topic], session_ms=session_ms, rebalance_ms=rebalance_ms)
        joined = talk.ask(request, 9, JoinGroupResponse)
        if which != "no-sync":
            sync = syncing(group, joined.generation_id, "z")
            assert talk.client.call(sync, 5, SyncGroupResponse).error_code == 0
        if which == "no-join":
            say(talk, first(group, "n", [topic], assignor="range"))
            pulse(talk, group, joined.generation_id, "z")
        wait_until_out(talk, group, "z", joined.generation_id if alive else None)
        pulse(talk, group, joined.generation_id, "z")


def wait_until_out(talk: Talk, group: str, member: str, generation: int | None) -> None:
    """None of it is written down; with ``generation`` the member stays alive meanwhile."""
    deadline = time.monotonic() + PATIENCE_S
    ask = ConsumerGroupDescribeRequest(group_ids=[group])
    while member in {
        each.member_id for each in talk.client.call(ask, 1, ConsumerGroupDescribeResponse).groups[0].members
    }:
        assert time.monotonic() < deadline
        time.sleep(0.05)
        if generation is not None:
            sign = HeartbeatRequest(group_id=group, generation_id=generation, member_id=member)
            talk.client.call(sign, 4, HeartbeatResponse)


def migration_amid_a_rebalance(talk: Talk) -> None:
    """Who waits in the barrier of a classic group is told to join again, and finds a consumer group."""
    topic = ready_topic(talk, 2)
    group = talk.name
    member = classic_member(talk, group, topic, [0, 1])
    with RawClient(talk.address) as other:
        ask = joining(group, "", [topic])
        ask.member_id = other.call(ask, 9, JoinGroupResponse).member_id
        other.send(ask, 9)
        wait_for_rebalance(talk, group, 1, member)
        say(talk, first(group, "m", [topic], assignor="range"))
        talk.note(ask, 9, other.receive(JoinGroupResponse, 9))
        pulse(talk, group, 1, member)
        talk.ask(joining(group, member, [topic], owned={topic: [0, 1]}), 9, JoinGroupResponse)
        talk.note(ask, 9, other.call(ask, 9, JoinGroupResponse))
    describe_own_kinds(talk, group)


def migration_amid_an_assignment(talk: Talk) -> None:
    """Who waits for the leader's assignment is told so, too."""
    topic = ready_topic(talk, 2)
    group = talk.name
    member = classic_member(talk, group, topic, [0, 1])
    with RawClient(talk.address) as other:
        ask = joining(group, "", [topic])
        ask.member_id = other.call(ask, 9, JoinGroupResponse).member_id
        other.send(ask, 9)
        wait_for_rebalance(talk, group, 1, member)
        talk.client.call(joining(group, member, [topic], owned={topic: [0, 1]}), 9, JoinGroupResponse)
        assert other.receive(JoinGroupResponse, 9).error_code == 0
        sync = syncing(group, 2, ask.member_id)
        other.send(sync, 5)
        # Its request was taken in: a heartbeat behind it on this connection says nothing, so look at the group.
        time.sleep(0.5)
        say(talk, first(group, "m", [topic], assignor="range"))
        talk.note(sync, 5, other.receive(SyncGroupResponse, 5))
        pulse(talk, group, 2, member)
    describe_own_kinds(talk, group)


def wait_for_rebalance(talk: Talk, group: str, generation: int, member: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    sign = HeartbeatRequest(group_id=group, generation_id=generation, member_id=member)
    while talk.client.call(sign, 4, HeartbeatResponse).error_code != ErrorCode.REBALANCE_IN_PROGRESS:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def describe_own_kinds(talk: Talk, group: str) -> None:
    """Without what depends on the order of two random ids."""
    request = ConsumerGroupDescribeRequest(group_ids=[group])
    answer = talk.client.call(request, 1, ConsumerGroupDescribeResponse)
    for member in answer.groups[0].members:
        member.member_id = "some" if member.member_type == 0 else member.member_id
        member.assignment.topic_partitions = member.target_assignment.topic_partitions = []
    talk.note(request, 1, answer)


# --- what cannot be upgraded --------------------------------------------------------------------------------


def migration_refused(talk: Talk) -> None:
    """Groups of other programs, with assignments that nobody can read, or of assignors with data of their own."""
    topic = ready_topic(talk, 2)
    for which, kind, assignment in (
        ("connect", "connect", None),
        ("malformed", "consumer", b"mine"),
        ("short", "consumer", b"\0"),
        ("data", "consumer", given(topic, [0, 1], b"x")),
    ):
        group = f"{talk.name}-{which}"
        member = classic_member(talk, group, topic, [0, 1], kind=kind, assignment=assignment)
        say(talk, first(group, "m", [topic], assignor="range"))
        pulse(talk, group, 1, member)
        describe_both(talk, group)
    for which, assignment in (("nothing", b""), ("no-data", given(topic, [0, 1], b""))):
        group = f"{talk.name}-{which}"
        member = classic_member(talk, group, topic, [0, 1], assignment=assignment)
        say(talk, first(group, "m", [topic], assignor="range"))
        pulse(talk, group, 1, member)
        describe_both(talk, group)


CASES: tuple[Callable[[Talk], None], ...] = (
    migration_there_and_back,
    migration_of_an_eager_member,
    migration_joins_of_classic_members,
    migration_errors_of_classic_members,
    migration_leaves,
    migration_all_leave_at_once,
    migration_two_leave_together,
    migration_of_too_many,
    migration_of_a_static_member,
    migration_of_static_members_among_others,
    migration_deadlines,
    migration_amid_a_rebalance,
    migration_amid_an_assignment,
    migration_refused,
)


def migration_of_a_recorded_group(talk: Talk) -> None:
    """A classic static member, a classic one with two protocols, and one of the consumer protocol, amid a hand-over."""
    topic = ready_topic(talk, 4)
    group = talk.name
    classic_member(talk, group, topic, [0, 1, 2, 3], instance="i")
    say(talk, first(group, "m", [topic], assignor="range"))
    join_and_sync(talk, joining(group, "z", [topic], protocols=("range", "sticky")))


# --- policies -----------------------------------------------------------------------------------------------


def policy_of_upgrades(talk: Talk) -> None:
    topic = ready_topic(talk, 2)
    group = talk.name
    member = classic_member(talk, group, topic, [0, 1])
    say(talk, first(group, "m", [topic], assignor="range"))
    pulse(talk, group, 1, member)
    describe_both(talk, group)


def policy_of_downgrades(talk: Talk) -> None:
    topic = ready_topic(talk, 2)
    group = talk.name
    say(talk, first(group, "m", [topic], assignor="range"))
    join_and_sync(talk, joining(group, "z", [topic]))
    say(talk, beat(group, "m", -1))
    pulse(talk, group, 2, "z")
    describe_both(talk, group)
    static = f"{group}-static"
    say(talk, first(static, "m", [topic], instance="i", assignor="range"))
    say(talk, beat(static, "m", -2, instance="i"))
    talk.ask(joining(static, "", [topic], instance="i"), 9, JoinGroupResponse)
    describe_both(talk, static)


POLICY_CASES: tuple[Callable[[Talk], None], ...] = (policy_of_upgrades, policy_of_downgrades)
"""For brokers of each ``group.consumer.migration.policy``."""
