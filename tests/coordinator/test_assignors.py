"""The assignors against what they promise, whatever the group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rota.coordinator.assignors import (
    ASSIGNORS,
    MemberSubscription,
    assign_cooperative_sticky,
    assign_range,
    assign_roundrobin,
    assign_sticky,
    encode_sticky_user_data,
)
from rota.coordinator.assignors.order import bucket_order, java_sorted, string_hash
from rota.coordinator.assignors.plan import remember
from rota.coordinator.assignors.roundrobin import subscriptions_equal
from rota.coordinator.assignors.subscription import decode_cooperative_user_data, decode_sticky_user_data
from rota.model import TopicPartition

Members = dict[str, MemberSubscription]
Assignment = Mapping[str, list[TopicPartition]]

topic_names = st.sampled_from(["a", "b", "orders", "web-events", "x.y"])
topic_counts = st.dictionaries(topic_names, st.integers(0, 12))
member_ids = st.text("abcxyz-0189é\U0001f600", min_size=1, max_size=8)
equal_groups = st.builds(
    lambda names, topics: {name: MemberSubscription(sorted(topics)) for name in names},
    st.sets(member_ids, min_size=1, max_size=9),
    st.sets(topic_names),
)
subscriptions = st.builds(lambda topics: MemberSubscription(sorted(topics)), st.sets(topic_names))
groups = equal_groups | st.dictionaries(member_ids, subscriptions, min_size=1, max_size=9)


def wanted(members: Members, topics: Mapping[str, int]) -> set[TopicPartition]:
    named = {topic for member in members.values() for topic in member.topics}
    return {TopicPartition(topic, number) for topic in named for number in range(topics.get(topic, 0))}


def dumb_range(members: Members, topics: Mapping[str, int]) -> dict[str, set[TopicPartition]]:
    """Range by its definition: the member of partition p is looked up, partition by partition."""
    result: dict[str, set[TopicPartition]] = {member: set() for member in members}
    for topic, number in wanted(members, topics):
        takers = java_sorted(name for name, member in members.items() if topic in member.topics)
        seats = [name for name in takers for _ in range(topics[topic] // len(takers))]
        seats += takers[: topics[topic] % len(takers)]
        seats.sort(key=takers.index)
        result[seats[number]].add(TopicPartition(topic, number))
    return result


def dumb_roundrobin(members: Members, topics: Mapping[str, int]) -> dict[str, list[TopicPartition]]:
    """Round-robin by its definition: one pointer, one card at a time."""
    order, turn = java_sorted(members), 0
    result: dict[str, list[TopicPartition]] = {member: [] for member in members}
    for partition in sorted(wanted(members, topics)):
        while partition.topic not in members[order[turn % len(order)]].topics:
            turn += 1
        result[order[turn % len(order)]].append(partition)
        turn += 1
    return result


@pytest.mark.parametrize("strategy", ASSIGNORS)
@settings(deadline=None)
@given(members=groups, topics=topic_counts)
def test_every_partition_goes_to_one_subscriber(
    strategy: str, members: Members, topics: dict[str, int]
) -> None:
    assignment = ASSIGNORS[strategy](members, topics)
    given_out = [each for held in assignment.values() for each in held]
    assert list(assignment) == list(members) or set(assignment) == set(members)
    assert len(given_out) == len(set(given_out))
    assert set(given_out) == wanted(members, topics)
    assert all(each.topic in members[name].topics for name, held in assignment.items() for each in held)


@settings(deadline=None)
@given(members=groups, topics=topic_counts)
def test_range_is_the_dumb_range(members: Members, topics: dict[str, int]) -> None:
    ours = {member: set(held) for member, held in assign_range(members, topics).items()}
    assert ours == dumb_range(members, topics)


@settings(deadline=None)
@given(members=groups, topics=topic_counts)
def test_roundrobin_is_the_dumb_roundrobin(members: Members, topics: dict[str, int]) -> None:
    assert assign_roundrobin(members, topics) == dumb_roundrobin(members, topics)


@pytest.mark.parametrize("strategy", ["roundrobin", "sticky", "cooperative-sticky"])
@settings(deadline=None)
@given(members=equal_groups, topics=topic_counts)
def test_equal_subscriptions_are_balanced(strategy: str, members: Members, topics: dict[str, int]) -> None:
    sizes = [len(held) for held in ASSIGNORS[strategy](members, topics).values()]
    assert max(sizes) - min(sizes) <= 1


def stays(before: Assignment, after: Assignment) -> int:
    return sum(len(set(held) & set(after.get(member, []))) for member, held in before.items())


@settings(deadline=None)
@given(members=equal_groups, joins=st.integers(0, 3), leaves=st.integers(0, 3), topics=topic_counts)
def test_sticky_moves_as_little_as_balance_allows(
    members: Members, joins: int, leaves: int, topics: dict[str, int]
) -> None:
    before = assign_sticky(members, topics)
    fresh = next(iter(members.values()))
    left = sorted(members)[min(leaves, len(members) - 1) :]
    again = {name: remember("sticky", members[name], before[name], 1) for name in left}
    again |= {f"new{number}": fresh for number in range(joins)}
    after = assign_sticky(again, topics)
    share, extra = divmod(len(wanted(again, topics)), len(again))
    sizes = sorted((len(before[name]) for name in left), reverse=True)
    ideal = sum(min(size, share + (place < extra)) for place, size in enumerate(sizes))
    assert stays({name: before[name] for name in left}, after) == ideal


@settings(deadline=None)
@given(members=groups, topics=topic_counts)
def test_sticky_leaves_a_settled_group_alone(members: Members, topics: dict[str, int]) -> None:
    before = assign_sticky(members, topics)
    again = {name: remember("sticky", member, before[name], 1) for name, member in members.items()}
    after = assign_sticky(again, topics)
    assert {name: set(held) for name, held in after.items()} == {
        name: set(held) for name, held in before.items()
    }


@settings(deadline=None)
@given(members=groups, others=groups, topics=topic_counts)
def test_cooperative_never_gives_away_what_another_still_owns(
    members: Members, others: Members, topics: dict[str, int]
) -> None:
    held = assign_cooperative_sticky(members, topics)
    rejoined = {name: remember("cooperative-sticky", each, held[name], 1) for name, each in members.items()}
    joined = others | rejoined
    first = assign_cooperative_sticky(joined, topics)
    owner = {partition: name for name, partitions in held.items() for partition in partitions}
    for name, partitions in first.items():
        assert all(owner.get(partition, name) == name for partition in partitions)


@settings(deadline=None)
@given(members=groups, others=groups, topics=topic_counts)
def test_cooperative_settles(members: Members, others: Members, topics: dict[str, int]) -> None:
    """In two rounds if all want the same; if not, Java too may withhold something once more."""
    held = assign_cooperative_sticky(members, topics)
    joined = others | {name: remember("cooperative-sticky", members[name], held[name], 1) for name in members}
    rounds = 2 if subscriptions_equal(joined) else 6
    for generation in range(2, 2 + rounds):
        held = assign_cooperative_sticky(joined, topics)
        joined = {
            name: remember("cooperative-sticky", each, held[name], generation)
            for name, each in joined.items()
        }
    assert {each for partitions in held.values() for each in partitions} == wanted(joined, topics)


@settings(deadline=None)
@given(members=groups, topics=topic_counts, data=st.binary(max_size=40))
def test_memory_that_is_no_memory_is_ignored(members: Members, topics: dict[str, int], data: bytes) -> None:
    strangers = {name: replace(member, user_data=data) for name, member in members.items()}
    assert wanted(members, topics) == {
        each for held in assign_sticky(strangers, topics).values() for each in held
    }
    decode_cooperative_user_data(data)


@settings(deadline=None)
@given(st.lists(st.builds(TopicPartition, topic_names, st.integers(0, 99)), unique=True), st.integers(-1, 9))
def test_sticky_memory_round_trips(held: list[TopicPartition], generation: int) -> None:
    data = encode_sticky_user_data(held, generation)
    partitions, remembered = decode_sticky_user_data(data)
    assert (sorted(partitions), remembered) == (sorted(held), generation)
    assert decode_sticky_user_data(data[:-4])[0] == partitions  # version 0 has no generation


def test_claims_to_partitions_that_do_not_exist_are_ignored() -> None:
    held = [TopicPartition("a", 7), TopicPartition("gone", 0), TopicPartition("a", 1)]
    members = {"m": MemberSubscription(["a"], held, 3), "n": MemberSubscription(["a"])}
    assert assign_cooperative_sticky(members, {"a": 2}) == {
        "m": [TopicPartition("a", 1)],
        "n": [TopicPartition("a", 0)],
    }


def test_newer_generation_keeps_a_partition_that_two_claim() -> None:
    zero = [TopicPartition("a", 0)]
    members = {"old": MemberSubscription(["a"], zero, 1), "new": MemberSubscription(["a"], zero, 2)}
    assert assign_cooperative_sticky(members, {"a": 1})["new"] == zero


def test_static_members_come_first_in_order_of_instance_id() -> None:
    members = {
        "a": MemberSubscription(["t"]),
        "z": MemberSubscription(["t"], instance_id="1"),
        "y": MemberSubscription(["t"], instance_id="2"),
    }
    for assign in (assign_range, assign_roundrobin):
        assigned = assign(members, {"t": 3})
        assert {member: held[0].partition for member, held in assigned.items()} == {"z": 0, "y": 1, "a": 2}


@pytest.mark.parametrize("assign", ASSIGNORS.values())
def test_empty_groups_and_topics(assign: object) -> None:
    assert callable(assign)
    assert assign({}, {"t": 3}) == {}
    assert assign({"m": MemberSubscription(["t"])}, {}) == {"m": []}
    assert assign({"m": MemberSubscription([])}, {"t": 3}) == {"m": []}


def test_java_orders() -> None:
    """Values printed by Java 17: ``hashCode`` and the order of a ``HashSet`` of the words."""
    assert string_hash("") == 0
    assert string_hash("web-events") == -791225934 + 2**32
    assert string_hash("é\U0001f600") == 1996812
    assert bucket_order(f"m{number}" for number in range(14)) == [
        f"m{number}" for number in (*range(10), 11, 10, 13, 12)
    ]
    assert java_sorted(["\uffee", "\U0001f600", "b", "a"]) == ["a", "b", "\U0001f600", "\uffee"]
