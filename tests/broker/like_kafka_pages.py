"""Conversations about topics that are described page by page (KIP-966), for ``test_like_kafka``."""

from __future__ import annotations

from collections.abc import Callable

from tests.broker.talk import Talk

from rota.wire.messages.describe_topic_partitions import (
    Cursor,
    DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse,
    TopicRequest,
)

__all__ = ["CASES"]

PAST_ALL = "~"
"""Sorts behind the name of every topic."""


def pages_of_topics(talk: Talk) -> None:
    """Where pages begin and end."""
    names = [talk.topic(3, suffix="-a"), talk.topic(1, suffix="-b"), talk.topic(3, suffix="-c")]
    for limit in (-1, 0, 1, 2, 3, 4, 7, 2000):
        _ask(talk, names, None, limit)
    for name in names:
        for partition in range(5):
            _ask(talk, names, Cursor(topic_name=name, partition_index=partition), 2)
    _ask(talk, [*reversed(names), names[0]], None, 4)


def pages_of_missing_topics(talk: Talk) -> None:
    """Names that nothing has, before, at and behind the cursor."""
    there = talk.topic(3, suffix="-b")
    missing = [f"{talk.name}-{letter}" for letter in "acd"]
    for limit in (1, 2, 3, 4):
        _ask(talk, [there, *missing, "a b"], None, limit)
    for name in (there, missing[0], missing[2]):
        _ask(talk, [there, *missing], Cursor(topic_name=name, partition_index=1), 2)


def pages_with_odd_cursors(talk: Talk) -> None:
    """A cursor must name a topic that is asked for, if any is, and a partition that can be."""
    name = talk.topic(2)
    for partition in (0, 1, 2, 3, -1, -5):
        _ask(talk, [name], Cursor(topic_name=name, partition_index=partition), 10)
    for other in (f"{name}-before"[:-8], "", f"{name}-behind", PAST_ALL):
        _ask(talk, [name, f"{name}-missing"], Cursor(topic_name=other, partition_index=0), 10)
    for partition in (0, -1):
        _ask(talk, [], Cursor(topic_name=PAST_ALL, partition_index=partition), 10)


def _ask(talk: Talk, names: list[str], cursor: Cursor | None, limit: int) -> None:
    request = DescribeTopicPartitionsRequest(
        topics=[TopicRequest(name=name) for name in names], response_partition_limit=limit, cursor=cursor
    )
    talk.ask(request, 0, DescribeTopicPartitionsResponse)


CASES: list[Callable[[Talk], None]] = [pages_of_topics, pages_of_missing_topics, pages_with_odd_cursors]
