"""Our assignors against Apache Kafka's own, on random groups and their histories, list for list."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.java.assignors import JavaAssignors
from tests.kafka.jars import KafkaMissingError

from rota.coordinator.assignors import (
    ASSIGNORS,
    MemberSubscription,
    encode_cooperative_user_data,
    encode_sticky_user_data,
)
from rota.model import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


TOPICS = ["orders", "payments", "web-events", "t", "a.b_c", "Zebra", "new_users", "actions", "x1", "x2"]
Members = dict[str, MemberSubscription]


@pytest.fixture(scope="module")
def java() -> Iterator[JavaAssignors]:
    try:
        with JavaAssignors() as harness:
            yield harness
    except KafkaMissingError as error:
        pytest.skip(str(error))


def remembering(
    strategy: str, members: Members, assignment: Mapping[str, list[TopicPartition]], generation: int
) -> Members:
    """The members as they join again after they were given `assignment` in `generation`."""
    again = {}
    for member, subscription in members.items():
        held = assignment.get(member, [])
        if strategy == "sticky":
            data = encode_sticky_user_data(held, generation)
            again[member] = replace(subscription, user_data=data, generation=generation)
        elif strategy == "cooperative-sticky":
            again[member] = replace(
                subscription,
                owned_partitions=held,
                generation=generation,
                user_data=encode_cooperative_user_data(generation),
            )
        else:
            again[member] = subscription
    return again


def new_member(rng: random.Random, topics: list[str], *, equal: bool) -> tuple[str, MemberSubscription]:
    number = rng.randrange(10**6)
    name = rng.choice([f"consumer-{number}", f"rdkafka-{number:08x}", f"m{number}", f"C{number}é"])
    wanted = list(topics) if equal else rng.sample(topics, rng.randint(1, len(topics)))
    rng.shuffle(wanted)
    instance_id = f"pod-{number % 97}-{number}" if rng.random() < 0.3 else None
    return name, MemberSubscription(wanted, instance_id=instance_id)


def history(rng: random.Random, strategy: str) -> Iterator[tuple[Members, dict[str, int]]]:
    """A group through rebalances: joins, leaves, growing topics, changed subscriptions, old memories."""
    equal = rng.random() < 0.5
    names = rng.sample(TOPICS, rng.randint(1, 6))
    topics = {topic: rng.randint(1, rng.choice([3, 12, 40])) for topic in names if rng.random() < 0.93}
    members = dict(new_member(rng, names, equal=equal) for _ in range(rng.randint(1, rng.choice([3, 8, 25]))))
    gone: Members = {}
    for generation in range(1, rng.randint(2, 7)):
        yield members, topics
        assignment = ASSIGNORS[strategy](members, topics)
        members = remembering(strategy, members, assignment, generation)
        for member in rng.sample(sorted(members), rng.randint(0, min(3, len(members) - 1))):
            gone[member] = members.pop(member)
        members |= dict(new_member(rng, names, equal=equal) for _ in range(rng.choice([0, 0, 1, 2, 6])))
        if gone and rng.random() < 0.3:  # one comes back with an old memory
            members |= [gone.popitem()]
        if topics and rng.random() < 0.3:
            topic = rng.choice(sorted(topics))
            topics = topics | {topic: topics[topic] + rng.randint(1, 5)}
        if len(topics) > 1 and rng.random() < 0.1:
            topics = {topic: count for topic, count in topics.items() if topic != max(topics)}
        if not equal and rng.random() < 0.3:
            member = rng.choice(sorted(members))
            members[member] = replace(members[member], topics=rng.sample(names, rng.randint(1, len(names))))
        order = sorted(members)
        rng.shuffle(order)
        members = {member: members[member] for member in order}


def is_sound(
    assignment: Mapping[str, list[TopicPartition]] | None, members: Members, topics: Mapping[str, int]
) -> bool:
    """False where Java fails: no answer, a partition given twice, or given to one who did not ask."""
    if assignment is None:
        return False
    given = [each for partitions in assignment.values() for each in partitions]
    return len(given) == len(set(given)) and all(
        each.topic in members[member].topics and each.partition < topics[each.topic]
        for member, partitions in assignment.items()
        for each in partitions
    )


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("strategy", ASSIGNORS)
def test_histories_go_as_in_java(java: JavaAssignors, strategy: str, seed: int) -> None:
    for members, topics in history(random.Random(f"{strategy} {seed}"), strategy):
        theirs = java.assign(strategy, members, topics)
        if is_sound(theirs, members, topics):
            assert ASSIGNORS[strategy](members, topics) == theirs


def claims_at_will(rng: random.Random, strategy: str) -> tuple[Members, dict[str, int]]:
    """A group whose members claim what they like: unevenly, twice, from different generations."""
    equal = rng.random() < 0.3
    names = rng.sample(TOPICS, rng.randint(1, 6))
    topics = {topic: rng.randint(1, rng.choice([5, 60])) for topic in names}
    members = dict(new_member(rng, names, equal=equal) for _ in range(rng.randint(2, 9)))
    claims: dict[str, list[TopicPartition]] = {member: [] for member in members}
    favourite = rng.choice(sorted(members))
    latest = rng.choice([1, 1, 3])
    for topic, count in topics.items():
        # Java may give a partition back to an older generation's holder that no longer wants its topic: let
        # members claim only what they want if there are older generations.
        able = [name for name, each in sorted(members.items()) if latest == 1 or topic in each.topics]
        for number in range(count if able else 0):
            claimants = rng.sample(able, min(len(able), rng.choice([1] * 9 + [2])))
            if rng.random() < 0.2 and favourite in able:
                claimants = [favourite]
            for member in claimants:
                claims[member].append(TopicPartition(topic, number))
    for member, held in claims.items():
        rng.shuffle(held)
        members |= remembering(strategy, {member: members[member]}, {member: held}, rng.randint(1, latest))
    return members, topics


@pytest.mark.parametrize("seed", range(100))
@pytest.mark.parametrize("strategy", ["sticky", "cooperative-sticky"])
def test_arbitrary_claims_are_settled_as_in_java(java: JavaAssignors, strategy: str, seed: int) -> None:
    members, topics = claims_at_will(random.Random(f"{strategy} {seed}"), strategy)
    assert ASSIGNORS[strategy](members, topics) == java.assign(strategy, members, topics)
