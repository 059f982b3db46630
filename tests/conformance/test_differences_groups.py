"""Where Rota's broker is not as Apache Kafka's, a test each: groups. See ``test_differences``."""

from __future__ import annotations

import pytest
from tests.broker.like_kafka_consumer_groups import beat, first, ready_topic
from tests.broker.like_kafka_groups import describe, fetch_one, heartbeat
from tests.broker.like_kafka_migration import given, joining, syncing
from tests.broker.raw import RawClient
from tests.broker.talk import Talk
from tests.brokers import new_broker

from rota.model import ErrorCode
from rota.wire.messages.consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
)
from rota.wire.messages.describe_groups import DescribeGroupsResponse
from rota.wire.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from rota.wire.messages.heartbeat import HeartbeatResponse
from rota.wire.messages.join_group import JoinGroupResponse
from rota.wire.messages.offset_fetch import OffsetFetchResponse
from rota.wire.messages.sync_group import SyncGroupResponse


@pytest.mark.difference("nobody waits for the coordinators' topics")
def test_a_coordinator_is_not_there_at_once(broker_kind: str) -> None:
    with new_broker(broker_kind) as broker, RawClient(broker.bootstrap_servers) as client:
        beaten = client.call(heartbeat("g", 0, "m"), 4, HeartbeatResponse)
        assert beaten.error_code == ErrorCode.NOT_COORDINATOR
        found = client.call(FindCoordinatorRequest(coordinator_keys=["g"]), 4, FindCoordinatorResponse)
        assert found.coordinators[0].error_code == ErrorCode.COORDINATOR_NOT_AVAILABLE


@pytest.mark.difference("a group that one request names more than ten times is INVALID_REQUEST from then on")
def test_a_group_is_described_twelve_times(talk: Talk) -> None:
    talk.coordinator(talk.name)
    talk.member(talk.name)
    answer = talk.client.call(describe(*[talk.name] * 12), 5, DescribeGroupsResponse)
    assert [each.error_code for each in answer.groups] == [ErrorCode.NONE] * 12


@pytest.mark.difference("a partition whose offset one request asks for several times is told once")
def test_an_offset_is_told_as_often_as_it_is_asked_for(talk: Talk) -> None:
    talk.coordinator(talk.name)
    answer = talk.client.call(fetch_one(talk.name, "t", 0, 0, 0), 7, OffsetFetchResponse)
    assert [each.partition_index for each in answer.topics[0].partitions] == [0, 0, 0]


@pytest.mark.difference(
    "topics that match a regular expression are in the first answer, and new ones at once"
)
def test_topics_that_match_are_looked_for_after_the_answer(talk: Talk) -> None:
    topic = ready_topic(talk, 1)
    answer = _say(talk, first(talk.name, regex=f"{topic}.?"))
    assert answer.assignment is not None
    assert answer.assignment.topic_partitions == []


@pytest.mark.difference("a regular expression of more than 20,000 states is INVALID_REGULAR_EXPRESSION")
def test_a_regular_expression_of_thirty_thousand_states(talk: Talk) -> None:
    talk.coordinator(talk.name)
    request = first(talk.name, regex="[ab]{1000}" * 30)
    answer = talk.client.call(request, 1, ConsumerGroupHeartbeatResponse)
    assert answer.error_code == ErrorCode.NONE


@pytest.mark.difference("`uniform` lets another of those that hold as many keep one more")
def test_who_keeps_one_more_is_decided_by_a_hash_table(talk: Talk) -> None:
    topic = ready_topic(talk, 4)
    topic_id = talk.topic_id(topic)
    held: dict[str, list[int]] = {}
    epochs: dict[str, int] = {}
    for members in ("ba", "bac"):
        for member in members * 4:
            mine = [(topic_id, held[member])] if held.get(member) else []
            answer = _say(
                talk,
                beat(talk.name, member, epochs.get(member, 0), topics=[topic], owned=mine, timeout_ms=30_000),
            )
            epochs[member] = answer.member_epoch
            if answer.assignment is not None:
                held[member] = [each for had in answer.assignment.topic_partitions for each in had.partitions]
    assert {member: len(had) for member, had in held.items()} == {"a": 2, "b": 1, "c": 1}


@pytest.mark.difference(
    "what a classic member says that it holds is not given away in an upgrade, even if it was not assigned"
)
def test_an_upgrade_goes_by_what_was_assigned(talk: Talk) -> None:
    topic = ready_topic(talk, 4)
    joined = talk.client.call(joining(talk.name, "", [topic]), 9, JoinGroupResponse)
    request = joining(talk.name, joined.member_id, [topic], owned={topic: [0, 1, 2, 3]})
    joined = talk.client.call(request, 9, JoinGroupResponse)
    plan = {joined.member_id: given(topic, [2, 3])}
    sync = syncing(talk.name, joined.generation_id, joined.member_id, assignments=plan)
    assert talk.client.call(sync, 5, SyncGroupResponse).error_code == ErrorCode.NONE
    answer = _say(talk, first(talk.name, "m", [topic], assignor="range"))
    assert answer.assignment is not None
    assert [each.partitions for each in answer.assignment.topic_partitions] == [[0, 1]]


@pytest.mark.difference(
    "a classic client that is no member and says that it holds partitions is UNKNOWN_MEMBER_ID in a consumer group"
)
def test_a_former_member_joins_with_partitions_in_its_hands(talk: Talk) -> None:
    topic = ready_topic(talk, 2)
    _say(talk, first(talk.name, "a", [topic]))
    answer = talk.client.call(joining(talk.name, "gone", [topic], owned={topic: [0]}), 9, JoinGroupResponse)
    assert answer.error_code == ErrorCode.NONE


@pytest.mark.difference(
    "the classic replacement of the last static member of the consumer protocol may cause a rebalance"
)
def test_a_static_member_is_replaced_amid_a_hand_over_and_nobody_hears(talk: Talk) -> None:
    topic = ready_topic(talk, 2)
    _say(talk, first(talk.name, "m", [topic], instance="i", assignor="range"))
    joined = talk.client.call(joining(talk.name, "z", [topic]), 9, JoinGroupResponse)
    sync = syncing(talk.name, joined.generation_id, "z")
    assert talk.client.call(sync, 5, SyncGroupResponse).error_code == ErrorCode.NONE
    _say(talk, beat(talk.name, "m", -2, instance="i"))
    talk.client.send(joining(talk.name, "", [topic], instance="i"), 9)
    with RawClient(talk.address) as other:
        answer = other.call(heartbeat(talk.name, joined.generation_id, "z"), 4, HeartbeatResponse)
    assert answer.error_code == ErrorCode.NONE


def _say(talk: Talk, request: ConsumerGroupHeartbeatRequest) -> ConsumerGroupHeartbeatResponse:
    answer = talk.client.call(request, 1, ConsumerGroupHeartbeatResponse)
    assert answer.error_code == ErrorCode.NONE, answer
    return answer
