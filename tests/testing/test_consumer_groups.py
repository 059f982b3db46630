"""``rota.testing.Broker`` with groups of the consumer protocol (KIP-848): they can be steered and asked for events."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from tests.kafka.ports import PATIENCE_S

from rota.testing import Broker
from rota.timeline.events import MemberLeft, RebalanceCompleted, RebalanceReason, RebalanceStarted

if TYPE_CHECKING:
    from collections.abc import Callable

    from rota.timeline.events import Event


def consumer(broker: Broker, name: str, topic: str = "t") -> Consumer:
    made = Consumer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "group.id": "g",
            "client.id": name,
            "group.protocol": "consumer",
        }
    )
    made.subscribe([topic])
    return made


def until(condition: Callable[[], bool], *consumers: Consumer) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        for each in consumers:
            each.poll(0.02)


def completed(broker: Broker, *, after: Event) -> list[RebalanceCompleted]:
    """The rebalances that ended after an event with two members."""
    events = broker.events
    since = events[events.index(after) :]
    return [each for each in since if isinstance(each, RebalanceCompleted) and len(each.assignment) == 2]


def test_steering_and_events() -> None:
    """A member's session is ended: the other takes over, the timeline says why, and it comes back."""
    with Broker() as broker:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
        admin.create_topics([NewTopic("t", 4, 1)])["t"].result(PATIENCE_S)
        first, second = consumer(broker, "first"), consumer(broker, "second")
        try:
            until(lambda: len(first.assignment()) == len(second.assignment()) == 2, first, second)
            joined = [event for event in broker.events if isinstance(event, RebalanceCompleted)][-1]
            assert sorted(len(held) for held in joined.assignment.values()) == [2, 2]
            member_id = second.memberid()
            assert member_id in joined.assignment
            broker.expire_session("g", member_id)
            until(lambda: any(isinstance(event, MemberLeft) for event in broker.events), first)
            left = next(event for event in broker.events if isinstance(event, MemberLeft))
            assert (left.member, left.reason) == (member_id, RebalanceReason.SESSION_EXPIRED)
            until(lambda: len(completed(broker, after=left)) >= 1, first, second)
            broker.force_rebalance("g", "for a test")
            started = [event for event in broker.events if isinstance(event, RebalanceStarted)][-1]
            assert (started.reason, started.detail) == (RebalanceReason.OPERATOR, "for a test")
            until(lambda: len(completed(broker, after=started)) >= 1, first, second)
        finally:
            first.close()
            second.close()


def test_session_ends_by_the_clock() -> None:
    """Members that were not heard from for 45 seconds are out, also if the 45 seconds pass at once."""
    with Broker() as broker:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
        admin.create_topics([NewTopic("t", 1, 1)])["t"].result(PATIENCE_S)
        only = consumer(broker, "only")
        try:
            until(lambda: len(only.assignment()) == 1, only)
            broker.advance_clock(46_000)
            assert any(
                isinstance(event, MemberLeft) and event.reason is RebalanceReason.SESSION_EXPIRED
                for event in broker.events
            )
        finally:
            only.close()
