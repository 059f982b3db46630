"""Orderings: lanes and order keys."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.consumer.fakes import FakeMessage

from rota.consumer.core.batches import by_partition
from rota.consumer.core.ordering import ByKey, ByPartition, InBatches, NullKey, Order, Ordering, ordering_for
from rota.model import TopicPartition

relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

messages = st.lists(
    st.builds(
        FakeMessage,
        st.builds(TopicPartition, st.sampled_from(["a", "b"]), st.integers(0, 2)),
        st.integers(0, 50),
        st.sampled_from([None, b"", b"k", b"m", b"n"]),
    ),
    min_size=1,
)
orders = st.sampled_from(["key", "partition", "none"])


@relaxed
@given(messages, orders, st.integers(1, 20), st.sampled_from(["partition", "none"]))
def test_splitting_keeps_every_message_and_each_lanes_order(
    given_: list[FakeMessage], order: Order, lanes: int, null_key: NullKey
) -> None:
    ordering = ordering_for(order, lanes, null_key)
    found = dict(ordering.split(given_))
    assert all(chosen for chosen in found.values())
    assert sorted(map(id, given_)) == sorted(id(m) for chosen in found.values() for m in chosen)
    at = {id(message): index for index, message in enumerate(given_)}
    for lane, chosen in found.items():
        places = [at[id(message)] for message in chosen]
        assert places == sorted(places)
        if ordering.in_order:
            assert {ordering.lane(message) for message in chosen} == {lane}


@relaxed
@given(messages, orders, st.sampled_from(["partition", "none"]), st.booleans())
def test_those_of_one_order_key_share_a_lane_and_a_partition(
    given_: list[FakeMessage], order: Order, null_key: NullKey, batches: bool
) -> None:
    ordering: Ordering = ordering_for(order, 4, null_key)
    if batches:
        ordering = InBatches(ordering)
    where: dict[object, tuple[int, TopicPartition]] = {}
    for message in given_:
        found = ordering.lane(message), message.where
        if ordering.in_order:
            assert where.setdefault(ordering.order_key(message), found) == found


@relaxed
@given(messages)
def test_what_is_told_apart_by_partition_is_all_there_in_order(given_: list[FakeMessage]) -> None:
    expected: dict[tuple[str, int], list[FakeMessage]] = {}
    for message in given_:
        expected.setdefault(message.where, []).append(message)
    assert dict(by_partition(given_)) == expected


def test_each_partition_has_a_lane_of_its_own() -> None:
    ordering = ByPartition()
    every = [FakeMessage(TopicPartition(topic, n), 0, None) for topic in "ab" for n in range(100)]
    assert len({ordering.lane(message) for message in every}) == 200


@pytest.mark.parametrize("key", [None, b""])
def test_records_without_a_key_wait_for_each_other_in_their_partition_unless_told_otherwise(
    key: bytes | None,
) -> None:
    first, second = (FakeMessage(TopicPartition("a", 1), at, key) for at in (7, 8))
    in_order, free = ByKey(8), ByKey(8, "none")
    assert in_order.order_key(first) == in_order.order_key(second)
    assert in_order.lane(first) == in_order.lane(second)
    assert free.order_key(first) != free.order_key(second)
    assert free.lane(first) != free.lane(second)
