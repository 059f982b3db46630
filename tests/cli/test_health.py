"""What is said of topics that cannot be read or written as they should."""

from __future__ import annotations

import pytest

from rota.cluster import ConfigValue, PartitionDescription, TopicDescription
from rota.cluster.health import no_leader_words, too_few_words

Parts = tuple[PartitionDescription, ...]


def part(
    number: int, leader: int | None, replicas: tuple[int, ...], isr: tuple[int, ...]
) -> PartitionDescription:
    return PartitionDescription(number, leader, replicas, isr)


def topic(*parts: PartitionDescription, wanted: str = "2") -> TopicDescription:
    return TopicDescription("t", "id", False, parts, (ConfigValue("min.insync.replicas", wanted, False),))


WELL = part(0, 1, (1, 2, 3), (1, 2, 3))


def test_of_a_topic_that_is_well_there_is_nothing_to_say() -> None:
    assert no_leader_words(topic(WELL)) == too_few_words(topic(WELL)) == ""


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ((part(1, None, (2,), ()),), "partition 1 of topic t has no leader: start broker 2, which holds it"),
        (
            (part(1, None, (2, 3), (2, 3)),),
            "partition 1 of topic t has no leader: start broker 2 or 3, which hold it",
        ),
        (
            (part(1, None, (1, 2, 3), (3,)),),  # the others are behind: with them records would be lost
            "partition 1 of topic t has no leader: start broker 3, which holds it",
        ),
        (
            (part(1, None, (2,), ()), part(2, None, (3,), ()), part(3, None, (2,), ())),
            "partitions 1, 2, 3 of topic t have no leader: start brokers 2 and 3, which hold them",
        ),
    ],
)
def test_a_partition_without_a_leader(parts: Parts, words: str) -> None:
    found = topic(WELL, *parts)
    assert no_leader_words(found) == words


@pytest.mark.parametrize(
    ("parts", "wanted", "who", "remedy"),
    [
        (
            (part(1, 1, (1, 2), (1,)),),
            2,
            "partition 1 of topic t has",
            "start broker 2 or lower that setting",
        ),
        (
            (part(1, 1, (1, 2, 3), (1,)), part(2, 1, (1, 2, 3), (1, 2))),
            3,
            "partitions 1, 2 of topic t have",
            "start brokers 2 and 3 or lower that setting",
        ),
        ((part(1, 1, (1,), (1,)),), 2, "partition 1 of topic t has", "lower that setting"),
    ],
)
def test_too_few_copies_in_sync(parts: Parts, wanted: int, who: str, remedy: str) -> None:
    words = f"{who} 1 copy in sync of the {wanted} that min.insync.replicas wants: {remedy}"
    assert too_few_words(topic(WELL, *parts, wanted=str(wanted))) == words
