"""Conversations about consumer groups (KIP-848), for ``test_like_kafka``. Members bring ids of their own."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.broker.like_kafka_groups import commit, describe
from tests.broker.talk import Talk, join
from tests.kafka.ports import PATIENCE_S

from rota.model import ErrorCode
from rota.wire.messages.consumer_group_describe import (
    ConsumerGroupDescribeRequest,
    ConsumerGroupDescribeResponse,
)
from rota.wire.messages.consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
    TopicPartitions,
)
from rota.wire.messages.delete_groups import DeleteGroupsRequest, DeleteGroupsResponse
from rota.wire.messages.describe_groups import DescribeGroupsResponse
from rota.wire.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from rota.wire.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from rota.wire.messages.join_group import JoinGroupResponse
from rota.wire.messages.leave_group import LeaveGroupRequest, LeaveGroupResponse, MemberIdentity
from rota.wire.messages.list_groups import ListGroupsRequest, ListGroupsResponse
from rota.wire.messages.offset_commit import OffsetCommitResponse
from rota.wire.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
    OffsetDeleteResponse,
)
from rota.wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
    OffsetFetchResponse,
)
from rota.wire.messages.sync_group import SyncGroupRequest, SyncGroupResponse

__all__ = ["CASES"]

_Owned = list[tuple[bytes, list[int]]]


def beat(
    group: str,
    member: str = "m",
    epoch: int = 0,
    *,
    topics: list[str] | None = None,
    regex: str | None = None,
    owned: _Owned | None = None,
    timeout_ms: int = -1,
    instance: str | None = None,
    assignor: str | None = None,
    rack: str | None = None,
) -> ConsumerGroupHeartbeatRequest:
    """A heartbeat with only what is given."""
    partitions = None
    if owned is not None:
        partitions = [TopicPartitions(topic_id=topic_id, partitions=indexes) for topic_id, indexes in owned]
    return ConsumerGroupHeartbeatRequest(
        group_id=group,
        member_id=member,
        member_epoch=epoch,
        instance_id=instance,
        rack_id=rack,
        rebalance_timeout_ms=timeout_ms,
        subscribed_topic_names=topics,
        subscribed_topic_regex=regex,
        server_assignor=assignor,
        topic_partitions=partitions,
    )


def first(
    group: str,
    member: str = "m",
    topics: list[str] | None = None,
    *,
    regex: str | None = None,
    instance: str | None = None,
    assignor: str | None = None,
) -> ConsumerGroupHeartbeatRequest:
    """A heartbeat that joins."""
    return beat(
        group,
        member,
        topics=topics,
        regex=regex,
        owned=[],
        timeout_ms=30_000,
        instance=instance,
        assignor=assignor,
    )


def say(
    talk: Talk, request: ConsumerGroupHeartbeatRequest, version: int = 1
) -> ConsumerGroupHeartbeatResponse:
    return talk.ask(request, version, ConsumerGroupHeartbeatResponse)


def ready_topic(talk: Talk, partitions: int, *, suffix: str = "") -> str:
    """A topic that the coordinator knows of, too; Apache Kafka's hears of it a little later than others."""
    topic = talk.topic(partitions, suffix=suffix)
    probe = f"{topic}-probe"
    say_until_assigned(talk, first(probe, topics=[topic]))
    talk.client.call(beat(probe, epoch=-1), 1, ConsumerGroupHeartbeatResponse)
    return topic


def describe_both(talk: Talk, group: str) -> None:
    request = ConsumerGroupDescribeRequest(group_ids=[group], include_authorized_operations=True)
    talk.ask_in_all(request, ConsumerGroupDescribeResponse)
    talk.ask_in_all(describe(group), DescribeGroupsResponse)


# --- one member ---------------------------------------------------------------------------------------------


def consumer_heartbeat_checks(talk: Talk) -> None:
    group = talk.name
    for version in (0, 1):
        for request in (
            first("", topics=["t"]),
            first(group, "", instance=""),
            first(group, topics=["t"], instance=""),
            beat(group, topics=["t"], owned=[], timeout_ms=1, rack=""),
            beat(group, topics=["t"], owned=[]),
            beat(group, topics=["t"], timeout_ms=1),
            beat(group, topics=["t"], owned=[(b"x" * 16, [0])], timeout_ms=1),
            beat(group, owned=[], timeout_ms=1),
            first(group, topics=["t"], assignor="none"),
            beat(group, "", 1),
            beat(group, "", -1),
            beat(group, "", -2, instance="i"),
            beat(group, "m", -2),
            beat(group, "m", -3),
            beat(group, "m", 1),
            beat(group, "m", -1),
            beat(group, "m", -2, instance="i"),
        ):
            say(talk, request, version)
    say(talk, first(group, "", ["t"]), 1)
    describe_both(talk, group)


def consumer_one_member(talk: Talk) -> None:
    """It joins, beats, joins again, leaves."""
    topic = ready_topic(talk, 3)
    topic_id = talk.topic_id(topic)
    group = talk.name
    say(talk, first(group, topics=[topic]))
    describe_both(talk, group)
    say(talk, beat(group, epoch=1))
    say(talk, beat(group, epoch=1, owned=[(topic_id, [0, 1, 2])]))
    say(talk, beat(group, epoch=1, owned=[(topic_id, [0, 1, 2])], topics=[topic], timeout_ms=30_000))
    say(talk, beat(group, epoch=2))
    say(talk, beat(group, epoch=0))
    say(talk, first(group, topics=[topic]))
    say(talk, beat(group, epoch=1, topics=[topic, "missing"]))
    say(talk, beat(group, epoch=1))
    say(talk, beat(group, epoch=1, owned=[(topic_id, [0, 1])]))
    say(talk, beat(group, epoch=2, topics=[]))
    say(talk, beat(group, epoch=2, owned=[(topic_id, [0])]))
    describe_both(talk, group)
    say(talk, beat(group, epoch=2, owned=[]))
    describe_both(talk, group)
    say(talk, beat(group, "other", 3))
    say(talk, beat(group, "other", -1))
    say(talk, beat(group, epoch=-1))
    describe_both(talk, group)
    say(talk, beat(group, epoch=3))
    say(talk, first(group, topics=[topic]))
    describe_both(talk, group)


def consumer_without_topics(talk: Talk) -> None:
    say(talk, first(talk.name, topics=[]))
    describe_both(talk, talk.name)
    say(talk, first(f"{talk.name}-2", topics=["not-there"]))
    describe_both(talk, f"{talk.name}-2")


def consumer_assignors(talk: Talk) -> None:
    topic = ready_topic(talk, 3)
    say(talk, first(talk.name, "a", [topic], assignor="range"))
    say(talk, first(talk.name, "b", [topic], assignor="uniform"))
    say(talk, first(talk.name, "c", [topic], assignor="range"))
    describe_both(talk, talk.name)


# --- several members ----------------------------------------------------------------------------------------


def consumer_hand_over(talk: Talk) -> None:
    """A second member gets nothing before the first has given it up."""
    topic = ready_topic(talk, 2)
    topic_id = talk.topic_id(topic)
    group = talk.name
    # The assignor "range" puts the members in order of their ids; "uniform" leaves it to Kafka's hash tables.
    say(talk, first(group, "a", [topic], assignor="range"))
    say(talk, first(group, "b", [topic], assignor="range"))
    describe_both(talk, group)
    say(talk, beat(group, "b", 2))
    say(talk, beat(group, "a", 1))
    say(talk, beat(group, "a", 1, owned=[(topic_id, [0, 1])]))
    describe_both(talk, group)
    say(talk, beat(group, "b", 2))
    say(talk, beat(group, "a", 1, owned=[(topic_id, [0])]))
    say(talk, beat(group, "b", 2))
    describe_both(talk, group)
    # The answer that moved it on got lost: one epoch back is all right if it holds nothing else.
    say(talk, beat(group, "a", 1, owned=[(topic_id, [0])]))
    say(talk, beat(group, "a", 1))
    say(talk, beat(group, "a", 1, owned=[(topic_id, [0, 1])]))
    say(talk, beat(group, "b", -1))
    describe_both(talk, group)
    say(talk, beat(group, "a", 2))
    describe_both(talk, group)


def consumer_static_members(talk: Talk) -> None:
    topic = ready_topic(talk, 2)
    topic_id = talk.topic_id(topic)
    group = talk.name
    say(talk, first(group, "a", [topic], instance="i"))
    say(talk, first(group, "b", [topic], instance="i"))
    say(talk, beat(group, "b", 1, instance="i"))
    say(talk, beat(group, "a", 1, instance="other"))
    say(talk, beat(group, "a", 1))
    say(talk, beat(group, "b", -2, instance="i"))
    say(talk, beat(group, "a", -2, instance="i"))
    describe_both(talk, group)
    say(talk, beat(group, "a", 1, instance="i"))
    say(talk, first(group, "b", [topic], instance="i"))
    describe_both(talk, group)
    say(talk, beat(group, "a", 1, instance="i"))
    say(talk, beat(group, "a", 1))
    say(talk, beat(group, "b", 1, instance="i", owned=[(topic_id, [0, 1])]))
    say(talk, beat(group, "b", -2, instance="i"))
    say(talk, first(group, "b", [topic], instance="i"))
    say(talk, beat(group, "b", -1, instance="i"))
    describe_both(talk, group)


# --- offsets ------------------------------------------------------------------------------------------------


def consumer_commits(talk: Talk) -> None:
    topic = ready_topic(talk, 2)
    group = talk.name
    say(talk, first(group, topics=[topic]))
    talk.ask_in_all(commit(group, topic, 1, "m"), OffsetCommitResponse)
    talk.ask_in_all(commit(group, topic, 0, "m"), OffsetCommitResponse)
    talk.ask_in_all(commit(group, topic, 2, "m"), OffsetCommitResponse)
    talk.ask_in_all(commit(group, topic, 1, "other"), OffsetCommitResponse)
    talk.ask_in_all(commit(group, topic, -1, ""), OffsetCommitResponse)
    talk.ask_in_all(commit(group, topic, -1, "m"), OffsetCommitResponse)
    for member, epoch in (("m", 1), ("m", 0), ("m", 2), ("other", 1), (None, -1), ("", -1), ("m", -1)):
        talk.ask(_fetch(group, topic, member, epoch), 9, OffsetFetchResponse)
    talk.ask(_fetch(group, topic, None, -1), 8, OffsetFetchResponse)
    delete = OffsetDeleteRequest(
        group_id=group,
        topics=[
            OffsetDeleteRequestTopic(name=each, partitions=[OffsetDeleteRequestPartition(partition_index=0)])
            for each in (topic, "missing")
        ],
    )
    talk.ask(delete, 0, OffsetDeleteResponse)
    delete_group = DeleteGroupsRequest(groups_names=[group])
    talk.ask(delete_group, 2, DeleteGroupsResponse)
    say(talk, beat(group, epoch=-1))
    talk.ask_in_all(commit(group, topic, -1, ""), OffsetCommitResponse)
    talk.ask_in_all(commit(group, topic, 1, "m"), OffsetCommitResponse)
    talk.ask(delete, 0, OffsetDeleteResponse)
    talk.ask(delete_group, 2, DeleteGroupsResponse)
    describe_both(talk, group)


def _fetch(group: str, topic: str, member: str | None, epoch: int) -> OffsetFetchRequest:
    wanted = OffsetFetchRequestTopics(name=topic, partition_indexes=[0, 1])
    return OffsetFetchRequest(
        groups=[
            OffsetFetchRequestGroup(group_id=group, member_id=member, member_epoch=epoch, topics=[wanted])
        ]
    )


# --- administrators, and classic clients ----------------------------------------------------------------------


def consumer_lists(talk: Talk) -> None:
    """Groups by state and type; only those of this case are compared."""
    topic = ready_topic(talk, 2)
    say(talk, first(talk.name, topics=[topic]))
    say(talk, first(f"{talk.name}-empty", topics=[topic]))
    say(talk, beat(f"{talk.name}-empty", epoch=-1))
    say(talk, first(f"{talk.name}-two", "a", topics=[topic]))
    say(talk, first(f"{talk.name}-two", "b", topics=[topic]))
    talk.member(f"{talk.name}-classic")
    for states in ([], ["Stable"], ["stable", "Empty"], ["Reconciling"], ["Assigning"], ["Dead"], ["None"]):
        for types in ([], ["consumer"], ["Consumer"], ["classic", "consumer"], ["share"], ["none"]):
            request = ListGroupsRequest(states_filter=states, types_filter=types)
            answer = talk.client.call(request, 5, ListGroupsResponse)
            answer.groups = [each for each in answer.groups if each.group_id.startswith(talk.name)]
            talk.note(request, 5, answer)


def consumer_and_classic_clients(talk: Talk) -> None:
    """What classic requests are answered about a consumer group, and the other way round."""
    topic = ready_topic(talk, 1)
    group = talk.name
    say(talk, first(group, topics=[topic]))
    talk.ask_in_all(HeartbeatRequest(group_id=group, generation_id=1, member_id="m"), HeartbeatResponse)
    sync = SyncGroupRequest(
        group_id=group, generation_id=1, member_id="m", protocol_type="consumer", protocol_name="range"
    )
    talk.ask_in_all(sync, SyncGroupResponse)
    leave = LeaveGroupRequest(group_id=group, member_id="other", members=[MemberIdentity(member_id="other")])
    talk.ask_in_all(leave, LeaveGroupResponse)
    talk.ask_in_all(join(group, kind="connect"), JoinGroupResponse)
    classic = f"{talk.name}-classic"
    talk.member(classic, protocol="range")
    say(talk, beat(classic, "m", 1))
    say(talk, beat(classic, "m", -1))
    describe_both(talk, classic)


def consumer_leaves_by_classic_request(talk: Talk) -> None:
    """Administrators remove members with LeaveGroup, whatever their protocol."""
    topic = ready_topic(talk, 1)
    group = talk.name
    say(talk, first(group, "m", topics=[topic]))
    say(talk, first(group, "s", topics=[topic], instance="i"))
    for members in (
        [MemberIdentity(member_id="", group_instance_id="j")],
        [MemberIdentity(member_id="m", group_instance_id="i")],
        [MemberIdentity(member_id="", group_instance_id="i")],
        [MemberIdentity(member_id="m")],
        [MemberIdentity(member_id="m")],
    ):
        talk.ask(LeaveGroupRequest(group_id=group, members=members), 5, LeaveGroupResponse)
        describe_both(talk, group)


def consumer_group_was_classic(talk: Talk) -> None:
    """An empty classic group becomes a consumer group, and back; its offsets stay."""
    topic = ready_topic(talk, 1)
    group = talk.name
    member = talk.member(group)
    talk.ask(commit(group, topic, 1, member), 9, OffsetCommitResponse)
    leave = LeaveGroupRequest(group_id=group, members=[MemberIdentity(member_id=member)])
    talk.client.call(leave, 5, LeaveGroupResponse)
    say(talk, first(group, topics=[topic]))
    describe_both(talk, group)
    talk.ask(_fetch(group, topic, "m", 1), 9, OffsetFetchResponse)
    say(talk, beat(group, epoch=-1))
    describe_both(talk, group)
    talk.member(group)
    talk.ask(_fetch(group, topic, None, -1), 9, OffsetFetchResponse)
    talk.ask(describe(group), 6, DescribeGroupsResponse)
    simple = f"{talk.name}-simple"
    talk.ask(commit(simple, topic, -1, ""), 9, OffsetCommitResponse)
    say(talk, first(simple, topics=[topic]))
    describe_both(talk, simple)
    talk.ask(_fetch(simple, topic, "m", 1), 9, OffsetFetchResponse)


# --- regular expressions --------------------------------------------------------------------------------------


def consumer_regexes(talk: Talk) -> None:
    for number, regex in enumerate(
        ("(", "[", "a{2,1}", "a**", "(?=a)", r"\1", r"(?P<n>a)", "[[:alpha:]]+", r"\pN")
    ):
        say(talk, first(f"{talk.name}-{number}", regex=regex))
    one, two = ready_topic(talk, 1, suffix="-one"), ready_topic(talk, 1, suffix="-two")
    group = talk.name
    # Kafka looks for the topics after it has answered.
    assert one != two
    say_until_assigned(talk, first(group, regex=f"{talk.name}-(one|t.*o)"))
    request = ConsumerGroupDescribeRequest(group_ids=[group])
    answer = talk.client.call(request, 1, ConsumerGroupDescribeResponse)
    for each in answer.groups:
        each.group_epoch = each.assignment_epoch = each.members[0].member_epoch = 0
    talk.note(request, 1, answer)


def say_until_assigned(talk: Talk, request: ConsumerGroupHeartbeatRequest) -> None:
    """Join, and wait for partitions. None of it is written down."""
    answer = talk.client.call(request, 1, ConsumerGroupHeartbeatResponse)
    deadline = time.monotonic() + PATIENCE_S
    while not (answer.assignment and answer.assignment.topic_partitions):
        assert time.monotonic() < deadline
        time.sleep(0.1)
        request = beat(request.group_id, epoch=answer.member_epoch)
        answer = talk.client.call(request, 1, ConsumerGroupHeartbeatResponse)
        assert answer.error_code == ErrorCode.NONE


def consumer_group_configs(talk: Talk) -> None:
    """A group may have a session timeout and a heartbeat interval of its own, within the broker's limits."""
    for name, value in (
        ("consumer.session.timeout.ms", "1000"),
        ("consumer.session.timeout.ms", "60001"),
        ("consumer.session.timeout.ms", "50000"),
        ("consumer.heartbeat.interval.ms", "4999"),
        ("consumer.heartbeat.interval.ms", "15001"),
        ("consumer.heartbeat.interval.ms", "6000"),
    ):
        change = AlterableConfig(name=name, config_operation=0, value=value)
        resource = AlterConfigsResource(resource_type=32, resource_name=talk.name, configs=[change])
        request = IncrementalAlterConfigsRequest(resources=[resource])
        talk.ask_in_all(request, IncrementalAlterConfigsResponse)


CASES: tuple[Callable[[Talk], None], ...] = (
    consumer_heartbeat_checks,
    consumer_one_member,
    consumer_without_topics,
    consumer_assignors,
    consumer_hand_over,
    consumer_static_members,
    consumer_commits,
    consumer_lists,
    consumer_and_classic_clients,
    consumer_leaves_by_classic_request,
    consumer_group_was_classic,
    consumer_regexes,
    consumer_group_configs,
)
