"""Conversations about groups, for ``test_like_kafka``."""

from __future__ import annotations

from collections.abc import Callable

from tests.broker.raw import RawClient
from tests.broker.talk import Talk, join

from rota.model import ErrorCode
from rota.wire.messages.delete_groups import DeleteGroupsRequest, DeleteGroupsResponse
from rota.wire.messages.describe_groups import DescribeGroupsRequest, DescribeGroupsResponse
from rota.wire.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from rota.wire.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from rota.wire.messages.join_group import JoinGroupResponse
from rota.wire.messages.leave_group import LeaveGroupRequest, LeaveGroupResponse, MemberIdentity
from rota.wire.messages.list_groups import ListGroupsRequest, ListGroupsResponse
from rota.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
)
from rota.wire.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
    OffsetDeleteResponse,
)
from rota.wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopic,
    OffsetFetchRequestTopics,
    OffsetFetchResponse,
)
from rota.wire.messages.sync_group import SyncGroupRequest, SyncGroupResponse

__all__ = ["CASES"]

NOBODY = "raw-00000000-0000-0000-0000-000000000000"


# --- JoinGroup ----------------------------------------------------------------------------------------------


def join_without_an_id(talk: Talk) -> None:
    """Before v4 an id is given and the member is in; from v4 MEMBER_ID_REQUIRED."""
    for version in range(4, 10):
        talk.ask(join(f"{talk.name}-{version}"), version, JoinGroupResponse)
    for version in range(4):
        talk.ask(join(f"{talk.name}-{version}"), version, JoinGroupResponse)


def join_as_unknown_member(talk: Talk) -> None:
    talk.member(talk.name)
    talk.ask_in_all(join(talk.name, member=NOBODY), JoinGroupResponse)
    talk.ask_in_all(join(f"{talk.name}-missing", member=NOBODY), JoinGroupResponse)
    talk.ask_in_all(join(talk.name, member=NOBODY, instance="i"), JoinGroupResponse, first=5)


def join_with_other_protocols(talk: Talk) -> None:
    talk.member(talk.name)
    talk.ask_in_all(join(talk.name, protocol="roundrobin"), JoinGroupResponse)
    talk.ask_in_all(join(talk.name, kind="connect"), JoinGroupResponse)
    talk.ask_in_all(join(talk.name, protocol=""), JoinGroupResponse)
    talk.ask_in_all(join(f"{talk.name}-missing", protocol=""), JoinGroupResponse)
    talk.ask_in_all(join(f"{talk.name}-missing", kind=""), JoinGroupResponse)


def join_with_a_bad_session_timeout(talk: Talk) -> None:
    talk.ask_in_all(join(talk.name, session_ms=1), JoinGroupResponse)
    talk.ask_in_all(join(talk.name, session_ms=2_000_000_000), JoinGroupResponse)
    talk.ask_in_all(join(talk.name, session_ms=1, member=NOBODY), JoinGroupResponse)


def join_without_a_group(talk: Talk) -> None:
    talk.ask_in_all(join(""), JoinGroupResponse)


def join_as_a_static_member(talk: Talk) -> None:
    """In at once; again without an id: replaced; with the old id: fenced."""
    first = talk.member(talk.name, instance="i")
    talk.ask(join(talk.name, instance="i"), 9, JoinGroupResponse)
    for version in range(5, 10):
        talk.ask(join(talk.name, instance="i", member=first), version, JoinGroupResponse)
    talk.ask_in_all(heartbeat(talk.name, 1, first, "i"), HeartbeatResponse, first=3)
    talk.ask_in_all(heartbeat(talk.name, 1, first, "other"), HeartbeatResponse, first=3)
    talk.ask_in_all(sync(talk.name, 1, first, "i"), SyncGroupResponse, first=3)


def join_again_when_stable(talk: Talk) -> None:
    """A leader that joins again begins a new generation."""
    member = talk.member(talk.name)
    talk.ask(join(talk.name, member=member), 9, JoinGroupResponse)
    talk.ask(heartbeat(talk.name, 2, member), 4, HeartbeatResponse)
    talk.ask(commit(talk.name, "t", 2, member), 9, OffsetCommitResponse)
    talk.ask(sync(talk.name, 1, member), 5, SyncGroupResponse)
    talk.ask(sync(talk.name, 2, member, protocol="roundrobin"), 5, SyncGroupResponse)
    talk.ask(sync(talk.name, 2, member, kind="connect"), 5, SyncGroupResponse)
    talk.ask(sync(talk.name, 2, member), 5, SyncGroupResponse)
    talk.ask(sync(talk.name, 2, member), 5, SyncGroupResponse)
    talk.ask(describe(talk.name), 6, DescribeGroupsResponse)


def two_members(talk: Talk) -> None:
    """A second member: the first hears of the rebalance, joins, leads; the second waits for its assignment."""
    first = talk.member(talk.name)
    with RawClient(talk.address) as other:
        second = other.call(join(talk.name), 9, JoinGroupResponse).member_id
        other.send(join(talk.name, member=second), 9)
        _until_rebalancing(talk, talk.name, first)
        talk.ask(describe(talk.name), 6, DescribeGroupsResponse)
        talk.ask(heartbeat(talk.name, 1, first), 4, HeartbeatResponse)
        talk.ask(commit(talk.name, "t", 1, first), 9, OffsetCommitResponse)
        talk.ask(sync(talk.name, 1, first), 5, SyncGroupResponse)
        joined = talk.ask(join(talk.name, member=first), 9, JoinGroupResponse)
        assert {member.member_id for member in joined.members} == {first, second}
        talk.ask(heartbeat(talk.name, 2, first), 4, HeartbeatResponse)
        talk.ask(describe(talk.name), 5, DescribeGroupsResponse)


def leave_while_joining(talk: Talk) -> None:
    """A member whose JoinGroup is parked is taken out by somebody else."""
    for version in (3, 4, 7, 9):
        group = f"{talk.name}-{version}"
        first = talk.member(group)
        with RawClient(talk.address) as other:
            given = other.call(join(group), 9, JoinGroupResponse).member_id
            other.send(join(group, member=given), version)
            _until_rebalancing(talk, group, first)
            talk.ask(leave(group, (given, None)), 5, LeaveGroupResponse)
            answer = other.receive(JoinGroupResponse, version)
            talk.note(join(group), version, answer)


def _until_rebalancing(talk: Talk, group: str, member: str) -> None:
    rebalancing = ErrorCode.REBALANCE_IN_PROGRESS
    while talk.client.call(heartbeat(group, 1, member), 4, HeartbeatResponse).error_code != rebalancing:
        pass


# --- Heartbeat, SyncGroup, LeaveGroup -----------------------------------------------------------------------


def heartbeat_errors(talk: Talk) -> None:
    member = talk.member(talk.name)
    for group in (talk.name, f"{talk.name}-missing", ""):
        talk.ask_in_all(heartbeat(group, 1, NOBODY), HeartbeatResponse)
        talk.ask_in_all(heartbeat(group, 1, ""), HeartbeatResponse)
        talk.ask_in_all(heartbeat(group, 1, NOBODY, "i"), HeartbeatResponse, first=3)
    for generation in (-1, 0, 1, 2):
        talk.ask_in_all(heartbeat(talk.name, generation, member), HeartbeatResponse)


def sync_errors(talk: Talk) -> None:
    member = talk.member(talk.name)
    for group in (talk.name, f"{talk.name}-missing", ""):
        talk.ask_in_all(sync(group, 1, NOBODY), SyncGroupResponse)
        talk.ask_in_all(sync(group, 1, NOBODY, "i"), SyncGroupResponse, first=3)
    for generation in (-1, 0, 1, 2):
        talk.ask_in_all(sync(talk.name, generation, member), SyncGroupResponse)
    talk.ask(sync(talk.name, 1, member, protocol=None), 5, SyncGroupResponse)
    talk.ask(sync(talk.name, 1, member, kind=None), 5, SyncGroupResponse)
    talk.ask(sync(talk.name, 1, member, protocol=None, kind=None), 5, SyncGroupResponse)


def leave_errors(talk: Talk) -> None:
    talk.member(talk.name)
    for group in (talk.name, f"{talk.name}-missing", ""):
        for version in range(3):
            talk.ask(LeaveGroupRequest(group_id=group, member_id=NOBODY), version, LeaveGroupResponse)
        for version in range(3, 6):
            talk.ask(leave(group, (NOBODY, None)), version, LeaveGroupResponse)
            talk.ask(leave(group, ("", "i"), (NOBODY, "i"), ("", None)), version, LeaveGroupResponse)
            talk.ask(leave(group), version, LeaveGroupResponse)


def leave_groups(talk: Talk) -> None:
    """The only member leaves: by its id, by its instance; afterwards nobody is there."""
    for version in range(3):
        group = f"{talk.name}-{version}"
        member = talk.member(group)
        talk.ask(LeaveGroupRequest(group_id=group, member_id=member), version, LeaveGroupResponse)
        talk.ask(LeaveGroupRequest(group_id=group, member_id=member), version, LeaveGroupResponse)
        talk.ask(describe(group), 6, DescribeGroupsResponse)
    for version in range(3, 6):
        group = f"{talk.name}-{version}"
        talk.member(group, instance="i")
        talk.ask(leave(group, (NOBODY, "i")), version, LeaveGroupResponse)
        talk.ask(leave(group, ("", "i")), version, LeaveGroupResponse)
        talk.ask(leave(group, ("", "i")), version, LeaveGroupResponse)
        talk.ask(describe(group), 6, DescribeGroupsResponse)


# --- offsets ------------------------------------------------------------------------------------------------


def commit_errors(talk: Talk) -> None:
    topic = talk.topic()
    member = talk.member(talk.name)
    for group in (talk.name, f"{talk.name}-missing", ""):
        talk.ask_in_all(commit(group, topic, 1, NOBODY), OffsetCommitResponse)
        talk.ask_in_all(commit(group, topic, 1, NOBODY, "i"), OffsetCommitResponse, first=7)
        talk.ask_in_all(commit(group, topic, 1, ""), OffsetCommitResponse)
        talk.ask_in_all(commit(group, topic, -1, NOBODY), OffsetCommitResponse)
    for generation in (0, 1, 2, -1):
        talk.ask_in_all(commit(talk.name, topic, generation, member), OffsetCommitResponse)
    talk.ask_in_all(commit(talk.name, topic, -1, ""), OffsetCommitResponse)


def commit_odd_partitions(talk: Talk) -> None:
    """Topics and partitions that do not exist, metadata that is too long, nothing, a topic twice."""
    topic = talk.topic()
    member = talk.member(talk.name)
    for name, partition, metadata in (
        (topic, 1, ""),
        (topic, -1, ""),
        ("missing", 0, ""),
        ("bad/name", 0, ""),
        ("", 0, ""),
        (topic, 0, "m" * 4_097),
        (topic, 0, "m" * 4_096),
        (topic, 0, None),
    ):
        request = commit(talk.name, name, 1, member, partition=partition, metadata=metadata)
        talk.ask_in_all(request, OffsetCommitResponse)
    negative = commit(talk.name, topic, 1, member)
    negative.topics[0].partitions[0].committed_offset = -1
    talk.ask_in_all(negative, OffsetCommitResponse)
    mixed = commit(talk.name, topic, 1, member)
    mixed.topics += [
        *commit("", "missing", 1, "").topics,
        *commit("", topic, 1, "", partition=7).topics,
        *commit("", topic, 1, "").topics,
    ]
    talk.ask_in_all(mixed, OffsetCommitResponse)
    mixed.topics = []
    talk.ask_in_all(mixed, OffsetCommitResponse)
    talk.ask_in_all(fetch_one(talk.name, topic, 0), OffsetFetchResponse, last=7)


def commit_without_a_group(talk: Talk) -> None:
    """A simple consumer: no generation, no member; its group appears."""
    topic = talk.topic()
    talk.member(f"{talk.name}-other")
    talk.ask_in_all(commit(talk.name, topic, -1, ""), OffsetCommitResponse)
    talk.ask(describe(talk.name), 6, DescribeGroupsResponse)
    talk.ask_in_all(fetch_one(talk.name, topic, 0, 1), OffsetFetchResponse, last=7)
    talk.ask_in_all(fetch_one(talk.name, None), OffsetFetchResponse, first=2, last=7)
    talk.ask(join(talk.name), 9, JoinGroupResponse)
    talk.ask_in_all(commit(talk.name, topic, 5, "m"), OffsetCommitResponse)
    talk.ask_in_all(commit(talk.name, topic, -1, "", "i"), OffsetCommitResponse, first=7)
    talk.ask(DeleteGroupsRequest(groups_names=[talk.name]), 2, DeleteGroupsResponse)
    talk.ask(describe(talk.name), 6, DescribeGroupsResponse)


def fetch_of_missing_groups(talk: Talk) -> None:
    topic = talk.topic()
    talk.member(talk.name)
    for group in (talk.name, f"{talk.name}-missing", ""):
        talk.ask_in_all(fetch_one(group, topic, 0, 9), OffsetFetchResponse, last=7)
        talk.ask_in_all(fetch_one(group, "missing", 0), OffsetFetchResponse, last=7)
        talk.ask_in_all(fetch_one(group, None), OffsetFetchResponse, first=2, last=7)
        talk.ask_in_all(fetch_many((group, topic), ("missing", "missing")), OffsetFetchResponse, first=8)
        talk.ask_in_all(fetch_many((group, None)), OffsetFetchResponse, first=8)
    talk.ask_in_all(fetch_many(), OffsetFetchResponse, first=8)
    stranger = fetch_many((talk.name, topic))
    stranger.groups[0].member_id, stranger.groups[0].member_epoch = "m", 3
    talk.ask(stranger, 9, OffsetFetchResponse)


def delete_offsets(talk: Talk) -> None:
    topic = talk.topic()
    member = talk.member(talk.name)
    talk.ask(commit(talk.name, topic, 1, member), 9, OffsetCommitResponse)
    for group in (talk.name, f"{talk.name}-missing", ""):
        for name in (topic, "missing", "t"):
            request = OffsetDeleteRequest(
                group_id=group,
                topics=[
                    OffsetDeleteRequestTopic(
                        name=name,
                        partitions=[
                            OffsetDeleteRequestPartition(partition_index=0),
                            OffsetDeleteRequestPartition(partition_index=9),
                        ],
                    )
                ],
            )
            talk.ask(request, 0, OffsetDeleteResponse)
        talk.ask(OffsetDeleteRequest(group_id=group), 0, OffsetDeleteResponse)
    talk.ask(fetch_many((talk.name, topic)), 9, OffsetFetchResponse)


# --- what administrators ask --------------------------------------------------------------------------------


def describe_groups(talk: Talk) -> None:
    talk.member(talk.name)
    talk.member(f"{talk.name}-static", instance="i")
    talk.ask_in_all(
        describe(talk.name, f"{talk.name}-static", f"{talk.name}-missing", "", talk.name),
        DescribeGroupsResponse,
    )
    talk.ask_in_all(describe(), DescribeGroupsResponse)
    asked = describe(talk.name, "missing")
    asked.include_authorized_operations = True
    talk.ask_in_all(asked, DescribeGroupsResponse, first=3)


def list_groups(talk: Talk) -> None:
    """Filters by state and type in every spelling; groups of other cases are left out of the answers."""
    talk.member(talk.name)
    empty = f"{talk.name}-empty"
    talk.ask(leave(empty, (talk.member(empty), None)), 5, LeaveGroupResponse)
    for states in ([], ["Stable"], ["stable"], ["EMPTY"], ["Dead"], ["nonsense"], ["Empty", "Stable"], [""]):
        for types in ([], ["classic"], ["Classic"], ["consumer"], ["nonsense"], ["classic", "share"], [""]):
            for version in range(6):
                if (version < 4 and states) or (version < 5 and types):
                    continue
                request = ListGroupsRequest(states_filter=states, types_filter=types)
                response = talk.client.call(request, version, ListGroupsResponse)
                response.groups = sorted(
                    (each for each in response.groups if each.group_id.startswith(talk.name)),
                    key=lambda each: each.group_id,
                )
                talk.note(request, version, response)


def delete_groups(talk: Talk) -> None:
    member = talk.member(talk.name)
    names = [talk.name, f"{talk.name}-missing", ""]
    talk.ask_in_all(DeleteGroupsRequest(groups_names=names), DeleteGroupsResponse)
    talk.ask_in_all(DeleteGroupsRequest(), DeleteGroupsResponse)
    talk.ask(leave(talk.name, (member, None)), 5, LeaveGroupResponse)
    talk.ask(DeleteGroupsRequest(groups_names=[talk.name, talk.name]), 2, DeleteGroupsResponse)
    talk.ask(describe(talk.name), 6, DescribeGroupsResponse)
    talk.ask(describe(talk.name), 5, DescribeGroupsResponse)
    talk.ask(join(talk.name, member=member), 9, JoinGroupResponse)


def find_coordinators(talk: Talk) -> None:
    for version in range(4):
        talk.ask(FindCoordinatorRequest(key=talk.name), version, FindCoordinatorResponse)
        talk.ask(FindCoordinatorRequest(key=""), version, FindCoordinatorResponse)
    for version in range(4, 7):
        request = FindCoordinatorRequest(coordinator_keys=[talk.name, "other", ""])
        talk.ask(request, version, FindCoordinatorResponse)
        talk.ask(FindCoordinatorRequest(), version, FindCoordinatorResponse)


# --- requests -----------------------------------------------------------------------------------------------


def heartbeat(group: str, generation: int, member: str, instance: str | None = None) -> HeartbeatRequest:
    return HeartbeatRequest(
        group_id=group, generation_id=generation, member_id=member, group_instance_id=instance
    )


def sync(
    group: str,
    generation: int,
    member: str,
    instance: str | None = None,
    *,
    protocol: str | None = "range",
    kind: str | None = "consumer",
) -> SyncGroupRequest:
    return SyncGroupRequest(
        group_id=group,
        generation_id=generation,
        member_id=member,
        group_instance_id=instance,
        protocol_type=kind,
        protocol_name=protocol,
    )


def leave(group: str, *members: tuple[str, str | None]) -> LeaveGroupRequest:
    return LeaveGroupRequest(
        group_id=group,
        members=[
            MemberIdentity(member_id=member, group_instance_id=instance) for member, instance in members
        ],
    )


def commit(
    group: str,
    topic: str,
    generation: int,
    member: str,
    instance: str | None = None,
    *,
    partition: int = 0,
    metadata: str | None = "m",
) -> OffsetCommitRequest:
    return OffsetCommitRequest(
        group_id=group,
        generation_id_or_member_epoch=generation,
        member_id=member,
        group_instance_id=instance,
        topics=[
            OffsetCommitRequestTopic(
                name=topic,
                partitions=[
                    OffsetCommitRequestPartition(
                        partition_index=partition, committed_offset=7, committed_metadata=metadata
                    )
                ],
            )
        ],
    )


def fetch_one(group: str, topic: str | None, *partitions: int) -> OffsetFetchRequest:
    topics = (
        None if topic is None else [OffsetFetchRequestTopic(name=topic, partition_indexes=list(partitions))]
    )
    return OffsetFetchRequest(group_id=group, topics=topics)


def fetch_many(*wanted: tuple[str, str | None]) -> OffsetFetchRequest:
    return OffsetFetchRequest(
        groups=[
            OffsetFetchRequestGroup(
                group_id=group,
                topics=None
                if topic is None
                else [OffsetFetchRequestTopics(name=topic, partition_indexes=[0, 9])],
            )
            for group, topic in wanted
        ]
    )


def describe(*groups: str) -> DescribeGroupsRequest:
    return DescribeGroupsRequest(groups=list(groups))


CASES: tuple[Callable[[Talk], None], ...] = (
    join_without_an_id,
    join_as_unknown_member,
    join_with_other_protocols,
    join_with_a_bad_session_timeout,
    join_without_a_group,
    join_as_a_static_member,
    join_again_when_stable,
    two_members,
    leave_while_joining,
    heartbeat_errors,
    sync_errors,
    leave_errors,
    leave_groups,
    commit_errors,
    commit_odd_partitions,
    commit_without_a_group,
    fetch_of_missing_groups,
    delete_offsets,
    describe_groups,
    list_groups,
    delete_groups,
    find_coordinators,
)
