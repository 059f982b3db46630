"""A group member's code around librdkafka, with a consumer in its place that does what a test says."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from confluent_kafka import TopicPartition as ClientPartition
from tests.consumer.fakes import FakeMessage
from tests.kafka.ports import wait_until

from rota.consumer.clients.kafka import KafkaClient, _epoch
from rota.consumer.settings import effective_config
from rota.model import RotaError, TopicPartition

P0, P1 = TopicPartition("orders", 0), TopicPartition("orders", 1)
NOBODY = {"bootstrap.servers": "127.0.0.1:1", "group.id": "billing"}
"""Nothing listens there."""


class Told:
    """Hears of rebalances."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Sequence[TopicPartition]]] = []

    def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        self.heard.append(("assigned", partitions))

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self.heard.append(("revoked", partitions))

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        self.heard.append(("lost", partitions))


class Consumer:
    """``polled``: what `poll` hands out; ``meanwhile``: what happens in the `consume` after it."""

    def __init__(self, polled: FakeMessage, behind: list[FakeMessage], meanwhile: Callable[[], None]) -> None:
        self.polled: FakeMessage | None = polled
        self.behind = behind
        self.meanwhile = meanwhile

    def consume(self, _most: int, _timeout_s: float) -> list[FakeMessage]:
        if self.polled is not None:
            return []
        self.meanwhile()
        return self.behind

    def poll(self, _timeout_s: float) -> FakeMessage | None:
        polled, self.polled = self.polled, None
        return polled


@contextmanager
def client(**config: Any) -> Iterator[tuple[KafkaClient, Told]]:
    made = KafkaClient(effective_config({**NOBODY, **config}), logging.getLogger("a client's"))
    told = Told()
    made.subscribe(["orders"], told)
    real = made._consumer
    try:
        yield made, told
    finally:
        made._deaf = True
        real.close()


@pytest.mark.parametrize("name", ["error_cb", "stats_cb"])
def test_what_a_callback_of_the_application_raises_does_not_come_out_of_consume(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    called: list[object] = []

    def broken(news: object) -> None:
        called.append(news)
        raise RuntimeError("the metrics are away")

    with client(**{name: broken, "statistics.interval.ms": 20}) as (made, _told):
        wait_until("a call", lambda: made.consume(10, 0.02) or called, every_s=0.0)
    assert f"{name} of the configuration raised" in caplog.text


def test_a_callback_that_is_no_function_is_refused() -> None:
    for name in ("error_cb", "stats_cb", "throttle_cb"):
        with (
            pytest.raises(RotaError, match=f"{name} is 'log it'; it must be a function"),
            client(**{name: "log it"}),
        ):
            pass


@pytest.mark.parametrize("how", ["_on_revoke", "_on_lost"])
@pytest.mark.parametrize("again", [False, True])
def test_a_record_in_hand_whose_partition_goes_before_the_rest_is_there_is_not_handed_out(
    how: str, again: bool
) -> None:
    in_hand, fetched_again, other = (
        FakeMessage(P0, 5, None),
        FakeMessage(P0, 5, None),
        FakeMessage(P1, 7, None),
    )

    with client() as (made, told):
        going = [ClientPartition(*P0)]

        def rebalance() -> None:
            getattr(made, how)(made._consumer, going)
            if again:
                made._on_assign(made._consumer, going)

        real = made._consumer
        made._consumer = Consumer(in_hand, [fetched_again, other] if again else [other], rebalance)  # type: ignore[assignment]
        try:
            found = made.consume(10, 1.0)
        finally:
            made._consumer = real
    assert found == ([fetched_again, other] if again else [other])
    assert [where for _, where in told.heard] == [[P0]] * (1 + again)


def test_a_record_in_hand_stays_when_another_partition_goes() -> None:
    in_hand, other = FakeMessage(P0, 5, None), FakeMessage(P1, 7, None)
    with client() as (made, _told):
        real = made._consumer
        made._consumer = Consumer(
            in_hand, [other], lambda: made._on_revoke(real, [ClientPartition("orders", 2)])
        )  # type: ignore[assignment]
        try:
            found = made.consume(10, 1.0)
        finally:
            made._consumer = real
    assert found == [in_hand, other]


class Positions:
    """A consumer of which only the positions count; ``at``: of partition 0."""

    def __init__(self) -> None:
        self.at = -1001

    def position(self, partitions: list[ClientPartition]) -> list[ClientPartition]:
        return [ClientPartition(each.topic, each.partition, self.at) for each in partitions]

    def incremental_assign(self, _partitions: list[ClientPartition]) -> None:
        pass

    assign = incremental_assign


def test_a_position_from_before_a_partition_went_counts_no_more_when_it_is_back() -> None:
    with client() as (made, _told):
        consumer: Any = Positions()
        made._consumer = consumer
        made.start({P0: None})
        consumer.at = 70
        assert made.positions([P0]) == {P0: 70}
        made._on_lost(consumer, [ClientPartition(*P0)])
        made.start({P0: 62})
        assert made.positions([P0]) == {}, "70 is where it was before"
        assert made.positions([P0]) == {}
        consumer.at = 71
        assert made.positions([P0]) == {P0: 71}
        consumer.at = -1001
        made._on_revoke(consumer, [ClientPartition(*P0)])
        made.start({P0: 71})
        assert made.positions([P0]) == {}
        consumer.at = 72
        assert made.positions([P0]) == {}, "whether it is of now nobody can tell"
        consumer.at = 73
        assert made.positions([P0]) == {P0: 73}


def test_who_has_lost_everything_has_joined_again_when_something_is_assigned_be_it_nothing() -> None:
    with client() as (made, _told):
        consumer, seen = made._consumer, [made.joined()]
        for event, its in [
            (made._on_assign, [P0]),
            (made._on_revoke, [P0]),
            (made._on_lost, []),
            (made._on_assign, []),
            (made._on_lost, [P0]),
            (made._on_assign, [P0]),
        ]:
            event(consumer, [ClientPartition(*partition) for partition in its])
            seen.append(made.joined())
    assert seen == [False, True, True, False, True, False, True]


def test_the_epoch_of_a_member_is_read_from_what_a_transaction_is_told_of_it() -> None:
    assert _epoch(b"CGMDv2:" + (7).to_bytes(4, sys.byteorder) + b"billing\0one\0\1") == 7
    assert _epoch(b"CGMDv2:\xff\xff\xff\xffbilling\0one\0\1") == -1
    assert _epoch(b"CGMDv3:" + (7).to_bytes(8, sys.byteorder)) == 0
    with client(**{"group.protocol": "consumer"}) as (made, _told):
        assert made.group_metadata().startswith(b"CGMDv2:")
        assert not made.joined()
