"""What the coordinator does as a whole: state table, partitions, costs, what administrators ask."""

import pytest
from tests.coordinator.simulation import HOST, Simulation

from rota.coordinator import TRANSITIONS, GroupConfig, GroupState, coordinator, partition_for
from rota.coordinator.states import transitions_as_mermaid
from rota.model import ErrorCode, GroupError, TopicPartition
from rota.timeline.events import OffsetCommitted
from rota.wire.messages.consumer_group_describe import ConsumerGroupDescribeRequest
from rota.wire.messages.delete_groups import DeleteGroupsRequest
from rota.wire.messages.describe_groups import DescribeGroupsRequest
from rota.wire.messages.list_groups import ListGroupsRequest
from rota.wire.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
)

ORDERS_0 = TopicPartition("orders", 0)


@pytest.fixture
def sim() -> Simulation:
    return Simulation()


# --- states ---------------------------------------------------------------------------------------------------


def test_every_state_is_documented() -> None:
    """Each state says what it does and what ends it, and the table knows it."""
    assert TRANSITIONS.keys() == set(GroupState)
    assert TRANSITIONS[GroupState.DEAD] == frozenset()
    assert "Stable --> PreparingRebalance" in transitions_as_mermaid()


def test_an_illegal_transition_is_our_bug(sim: Simulation) -> None:
    """No group goes from Empty to Stable but by a record."""
    sim.commit({ORDERS_0: 1})
    with pytest.raises(AssertionError):
        sim.group().become(GroupState.STABLE, 0)


@pytest.mark.parametrize(
    ("group", "hash_code"),
    [("", 0), ("abc", 96354), ("hello world", 1794106052), ("Hello World!", -969099747)],
)
def test_partition_for_is_javas_hash(group: str, hash_code: int) -> None:
    """The partition is the absolute value of String.hashCode, modulo the number of partitions."""
    assert partition_for(group) == abs(hash_code) % 50
    assert partition_for(group, 7) == abs(hash_code) % 7


def test_long_names_of_groups_are_not_kept_in_memory() -> None:
    """They come from the network: thousands of a megabyte each would fill it."""
    known = coordinator._known_partition.cache_info().currsize
    assert partition_for("x" * 100_000) == partition_for("x" * 100_000)
    assert coordinator._known_partition.cache_info().currsize == known


def test_partition_for_the_one_hash_without_absolute_value() -> None:
    """Java's least integer has no absolute value; Kafka takes 0."""
    assert partition_for("polygenelubricants") == 0


# --- cost -----------------------------------------------------------------------------------------------------


def test_heartbeats_ask_for_no_timers(sim: Simulation) -> None:
    """The session's deadline moves as data; the timer that fires early is set again for the new deadline."""
    (member,) = sim.stable(1)
    armed = dict(sim.timers)
    sim.advance(4_000)
    assert sim.heartbeat(member, 1) == ErrorCode.NONE
    assert sim.last.timers == ()
    assert sim.timers == armed
    sim.advance(6_000)
    assert sim.timers[("session", "g", member)] == sim.now_ms + 4_000
    assert sim.group().state is GroupState.STABLE


def test_commits_are_events_where_somebody_keeps_a_timeline() -> None:
    """Nobody else is told of each of them: they are by far the most frequent."""
    for tells in (True, False):
        sim = Simulation(GroupConfig(tells_commits=tells))
        sim.commit({ORDERS_0: 1})
        assert [type(event) for event in sim.events] == [OffsetCommitted] * tells


def test_a_commit_is_a_sign_of_life(sim: Simulation) -> None:
    """OffsetCommit extends the session as a heartbeat does."""
    (member,) = sim.stable(1)
    for _ in range(5):
        sim.advance(6_000)
        assert sim.commit({ORDERS_0: 1}, member, 1) == {ORDERS_0: ErrorCode.NONE}
    assert sim.group().state is GroupState.STABLE


# --- commits --------------------------------------------------------------------------------------------------


def test_a_simple_consumer_commits_without_a_group(sim: Simulation) -> None:
    """Generation -1 in a group that does not exist makes a group without a protocol."""
    assert sim.commit({ORDERS_0: 5}) == {ORDERS_0: ErrorCode.NONE}
    listed = sim.ask(ListGroupsRequest(), 5).groups
    found = [(g.group_id, g.protocol_type, g.group_state, g.group_type) for g in listed]
    assert found == [("g", "", "Empty", "classic")]


@pytest.mark.parametrize(
    ("version", "code"), [(8, ErrorCode.ILLEGAL_GENERATION), (9, ErrorCode.GROUP_ID_NOT_FOUND)]
)
def test_commit_with_a_generation_to_no_group(sim: Simulation, version: int, code: ErrorCode) -> None:
    """v9 says what is wrong."""
    assert sim.commit({ORDERS_0: 5}, "m", 1, version=version) == {ORDERS_0: code}


def test_commit_is_checked(sim: Simulation) -> None:
    """By member, generation and instance; outsiders may not commit while there are members."""
    (member,) = sim.stable(1)
    assert sim.commit({ORDERS_0: 5}) == {ORDERS_0: ErrorCode.UNKNOWN_MEMBER_ID}
    assert sim.commit({ORDERS_0: 5}, "x", 1) == {ORDERS_0: ErrorCode.UNKNOWN_MEMBER_ID}
    assert sim.commit({ORDERS_0: 5}, member, 2) == {ORDERS_0: ErrorCode.ILLEGAL_GENERATION}
    assert sim.commit({ORDERS_0: 5}, member, 1, instance="i") == {ORDERS_0: ErrorCode.UNKNOWN_MEMBER_ID}
    assert sim.coordinator.offsets.of_group("g") == {}


def test_commit_while_completing_is_told_to_wait() -> None:
    """The generation is right but its assignment is not there: REBALANCE_IN_PROGRESS."""
    sim = Simulation(GroupConfig(initial_rebalance_delay_ms=0))
    member, token = sim.join_new()
    sim.advance(0)
    assert sim.answer(token).generation_id == 1
    assert sim.commit({ORDERS_0: 5}, member, 1) == {ORDERS_0: ErrorCode.REBALANCE_IN_PROGRESS}


def test_offset_metadata_is_limited(sim: Simulation) -> None:
    """As Java counts: characters beyond the first plane are two."""
    assert sim.commit({ORDERS_0: 5}, metadata="x" * 4096) == {ORDERS_0: ErrorCode.NONE}
    assert sim.commit({ORDERS_0: 5}, metadata="x" * 4097) == {ORDERS_0: ErrorCode.OFFSET_METADATA_TOO_LARGE}
    assert sim.commit({ORDERS_0: 5}, metadata="𝄞" * 2049) == {ORDERS_0: ErrorCode.OFFSET_METADATA_TOO_LARGE}


def test_a_commits_own_retention(sim: Simulation) -> None:
    """Up to v4 a commit may bring its own retention time."""
    sim.commit({ORDERS_0: 5}, version=4, retention_ms=1_000)
    sim.advance(999)
    sim.carry_out(sim.coordinator.expire_offsets(sim.now_ms))
    assert sim.coordinator.offsets.get("g", "orders", 0) is not None
    sim.advance(1)
    sim.carry_out(sim.coordinator.expire_offsets(sim.now_ms))
    assert "g" not in sim.coordinator.groups


def test_offsets_of_a_deleted_topic_are_forgotten(sim: Simulation) -> None:
    """Of all groups, and only of that topic."""
    payments = TopicPartition("payments", 1)
    sim.commit({ORDERS_0: 5, payments: 6})
    sim.commit({ORDERS_0: 7}, group="h")
    sim.carry_out(sim.coordinator.topic_deleted("orders", sim.now_ms))
    assert list(sim.coordinator.offsets.of_group("g")) == ["payments"]
    assert sim.coordinator.offsets.of_group("h") == {}


def delete_offsets(sim: Simulation, group: str, topic: str) -> tuple[int, list[int]]:
    topics = [
        OffsetDeleteRequestTopic(name=topic, partitions=[OffsetDeleteRequestPartition(partition_index=0)])
    ]
    response = sim.ask(OffsetDeleteRequest(group_id=group, topics=topics), 0)
    return response.error_code, [p.error_code for t in response.topics for p in t.partitions]


def test_delete_offsets(sim: Simulation) -> None:
    """Not of topics that are read at this time, not in groups that are not there."""
    assert delete_offsets(sim, "", "orders") == (ErrorCode.INVALID_GROUP_ID, [])
    assert delete_offsets(sim, "g", "orders") == (ErrorCode.GROUP_ID_NOT_FOUND, [])
    (member,) = sim.stable(1)
    sim.commit({ORDERS_0: 5, TopicPartition("payments", 0): 1}, member, 1)
    assert delete_offsets(sim, "g", "orders") == (ErrorCode.NONE, [ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC])
    assert delete_offsets(sim, "g", "nosuch") == (ErrorCode.NONE, [ErrorCode.UNKNOWN_TOPIC_OR_PARTITION])
    assert delete_offsets(sim, "g", "payments") == (ErrorCode.NONE, [ErrorCode.NONE])
    assert list(sim.coordinator.offsets.of_group("g")) == ["orders"]


def test_delete_offsets_of_a_live_group_of_another_protocol(sim: Simulation) -> None:
    """Nobody knows what it reads: NON_EMPTY_GROUP."""
    sim.join_new(protocol_type="connect", protocols=[("default", b"?")])
    sim.advance(3_000)
    assert delete_offsets(sim, "g", "orders") == (ErrorCode.NON_EMPTY_GROUP, [])


# --- administrators -------------------------------------------------------------------------------------------


def test_describe(sim: Simulation) -> None:
    """Members with what they sent and what they hold, and what is not there as each version says it."""
    (member,) = sim.stable(1, client_id="alice")
    (group,) = sim.ask(DescribeGroupsRequest(groups=["g"]), 6).groups
    assert (group.error_code, group.group_state, group.protocol_type, group.protocol_data) == (
        0,
        "Stable",
        "consumer",
        "range",
    )
    (described,) = group.members
    assert (described.member_id, described.client_id, described.client_host) == (member, "alice", HOST)
    assert described.member_metadata
    assert described.member_assignment
    (missing,) = sim.ask(DescribeGroupsRequest(groups=["x"]), 5).groups
    assert (missing.error_code, missing.group_state) == (ErrorCode.NONE, "Dead")
    (missing,) = sim.ask(DescribeGroupsRequest(groups=["x"]), 6).groups
    assert (missing.error_code, missing.error_message) == (
        ErrorCode.GROUP_ID_NOT_FOUND,
        "there is no group x",
    )
    answers = sim.ask(ConsumerGroupDescribeRequest(group_ids=["g", "x"]), 1).groups
    assert [(a.error_code, a.error_message) for a in answers] == [
        (ErrorCode.GROUP_ID_NOT_FOUND, "g is the id of a classic group"),
        (ErrorCode.GROUP_ID_NOT_FOUND, "there is no group x"),
    ]


@pytest.mark.parametrize(
    ("states", "types", "found"),
    [
        ([], [], ["g", "h"]),
        (["stable"], [], ["g"]),
        (["STABLE ", "Empty"], [], ["g", "h"]),
        (["Dead"], [], []),
        ([], ["Classic", "Consumer"], ["g", "h"]),
        ([], ["consumer"], []),
        ([], ["nonsense"], []),
    ],
)
def test_list(sim: Simulation, states: list[str], types: list[str], found: list[str]) -> None:
    """Filters by state and type; case does not matter."""
    sim.stable(1)
    sim.commit({ORDERS_0: 5}, group="h")
    groups = sim.ask(ListGroupsRequest(states_filter=states, types_filter=types), 5).groups
    assert [group.group_id for group in groups] == found


def test_delete_groups_answers_each(sim: Simulation) -> None:
    """Each group once, however often it is named."""
    sim.stable(1)
    sim.commit({ORDERS_0: 5}, group="h")
    results = sim.ask(DeleteGroupsRequest(groups_names=["g", "h", "x", "h"]), 2).results
    assert [(r.group_id, r.error_code) for r in results] == [
        ("g", ErrorCode.NON_EMPTY_GROUP),
        ("h", ErrorCode.NONE),
        ("x", ErrorCode.GROUP_ID_NOT_FOUND),
    ]
    assert sorted(sim.coordinator.groups) == ["g"]


def test_steering_names_what_is_not_there(sim: Simulation) -> None:
    """Errors of the calls that tests make."""
    with pytest.raises(GroupError, match="there is no group g"):
        sim.coordinator.force_rebalance("g", "now", 0)
    sim.stable(1)
    with pytest.raises(GroupError) as raised:
        sim.coordinator.expire_session("g", "nobody", 0)
    assert raised.value.code == ErrorCode.UNKNOWN_MEMBER_ID
