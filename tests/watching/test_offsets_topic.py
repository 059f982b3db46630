"""``__consumer_offsets``, read in the background on either broker."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from tests.brokers import BrokerUnderTest, new_broker
from tests.clients.desk import Desk
from tests.kafka.ports import PATIENCE_S, wait_until

from rota.admin import Admin
from rota.cluster import Cluster
from rota.model import TopicPartition
from rota.monitor.facts import Commit
from rota.monitor.rebalances import LogReader
from rota.testing import Broker
from rota.timeline.events import Event, MemberJoined, RebalanceCompleted, RebalanceReason
from rota.watching.offsets_topic import SELDOM_S, Nameless, OffsetsTopic


@pytest.fixture
def admin(broker: BrokerUnderTest) -> Iterator[Admin]:
    with Admin(broker.bootstrap_servers) as asked:
        yield asked


def caught_up(topic: OffsetsTopic) -> OffsetsTopic:
    wait_until("all to be read", lambda: topic.is_caught_up or topic.failure)
    assert topic.failure is None
    return topic


@pytest.mark.parametrize("client", ["confluent", "confluent-848"])
def test_what_was_before_and_what_comes(desk: Desk, admin: Admin, client: str) -> None:
    name, group = desk.topic("orders", 2), desk.name("group")
    parts = desk.produce(name, 3, 2)
    first = desk.member(client, group, name, "one", commit_each_poll=True)
    desk.wait_stable(group, [first], parts)
    desk.wait_committed(group, {(name, 0): 3, (name, 1): 3})

    with OffsetsTopic(admin, [group]) as topic:
        caught_up(topic)
        assert topic.progress.partitions == 1
        before = topic.events(group)
        assert [event.client_id for event in before if isinstance(event, MemberJoined)] == ["one"]
        held = next(event for event in reversed(before) if isinstance(event, RebalanceCompleted)).assignment
        assert list(held.values()) == [(TopicPartition(name, 0), TopicPartition(name, 1))]

        second = desk.member(client, group, name, "two", commit_each_poll=True)
        desk.wait_stable(group, [first, second], parts)
        wait_until("the second member's rebalance", lambda: len(_causes(topic, group)) >= 2)
        assert RebalanceReason.MEMBER_JOINED in _causes(topic, group)
        facts = topic.completed(admin.describe_groups([group])[group])  # type: ignore[arg-type]
        assert all(member.session_timeout_ms and member.rebalance_timeout_ms for member in facts.members)
        commits = admin.commits([group])[group]
        timed = topic.timed(group, commits)  # type: ignore[arg-type]
        now_ms = time.time() * 1000
        assert all(
            each.at_ms is not None and abs(now_ms - each.at_ms) < 1000 * PATIENCE_S for each in timed.values()
        )


def _causes(topic: OffsetsTopic, group: str) -> list[RebalanceReason]:
    return [verdict.reason for told in topic.account(group) if told.is_done for verdict in told.verdicts[:1]]


def test_each_commit_wakes_whoever_waits_for_news(desk: Desk, admin: Admin) -> None:
    """Nobody has to look every so often. How soon it is: `python -m bench.monitor --only shown`."""
    name, group = desk.topic("orders", 1), desk.name("group")
    desk.produce(name, 1, 1)
    part = TopicPartition(name, 0)
    _commit(admin, group, part, 0)
    with OffsetsTopic(admin, [group]) as topic:
        number = caught_up(topic).wait(0, 0)
        for offset in range(10, 20):
            _commit(admin, group, part, offset)
            while _offset(topic, group, part) != offset:
                before, number = number, topic.wait(number, PATIENCE_S)
                assert number > before, f"the commit of {offset} was no news"


def _commit(admin: Admin, group: str, part: TopicPartition, offset: int) -> None:
    assert admin.alter_offsets(group, {part: Commit(offset)}) == {part: None}


def _offset(topic: OffsetsTopic, group: str, part: TopicPartition) -> int:
    steps = topic.commit_steps(group).get(part)
    return steps[-1][1] if steps else -1


def test_a_cluster_without_groups_is_waited_for() -> None:
    with Broker() as broker, Admin(broker.bootstrap_servers) as admin, OffsetsTopic(admin) as topic:
        wait_until("the topic to be asked for", lambda: topic.exists is False)
        assert topic.is_caught_up
        assert topic.failure is None
        Cluster(broker.bootstrap_servers).create_topic("orders", partitions=1)
        _commit(admin, "first", TopicPartition("orders", 0), 7)
        wait_until("the first group", lambda: topic.knows("first"))


def test_a_broker_that_is_away_is_waited_for() -> None:
    with Broker() as broker:
        address = broker.bootstrap_servers
    with Admin(address, timeout_s=1) as admin, OffsetsTopic(admin) as topic:
        wait_until("nobody to answer", lambda: topic.away)
        assert "no broker at" in str(topic.away)
        assert not topic.is_caught_up
        with Broker(port=int(address.rpartition(":")[2])):
            caught_up(topic)
            assert topic.away is None


def test_reading_goes_on_when_the_broker_is_back(tmp_path: Path) -> None:
    with new_broker("rota", tmp_path / "broker") as own_broker, Admin(own_broker.bootstrap_servers) as admin:
        with Desk(own_broker) as desk:
            name = desk.topic("orders", 1)
        part = TopicPartition(name, 0)
        _commit(admin, "g", part, 1)
        with OffsetsTopic(admin, ["g"]) as topic:
            caught_up(topic)
            own_broker.restart()
            wait_until("the broker", lambda: not isinstance(admin.commits(["g"])["g"], Exception))
            _commit(admin, "g", part, 2)
            wait_until("the commit after the restart", lambda: _offset(topic, "g", part) == 2)
            assert topic.failure is None


class Mistaken(Admin):
    """One with a mistake in it."""

    def topics(self, *_: object, **__: object) -> NoReturn:
        raise ZeroDivisionError("a mistake")


def test_a_mistake_of_ours_keeps_nobody_waiting() -> None:
    with Mistaken("127.0.0.1:1") as admin, OffsetsTopic(admin) as topic:
        wait_until("the failure", lambda: topic.failure)
        assert "a mistake of Rota's" in str(topic.failure)


def test_a_mistake_in_one_record_costs_the_others_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = LogReader.feed

    def broken(self: LogReader, number: int, key: bytes, value: bytes | None, timestamp: int) -> list[Event]:
        if b"first" in key:
            raise ZeroDivisionError("a mistake")
        return real(self, number, key, value, timestamp)

    monkeypatch.setattr(LogReader, "feed", broken)
    with Broker() as broker, Admin(broker.bootstrap_servers) as admin, OffsetsTopic(admin) as topic:
        Cluster(broker.bootstrap_servers).create_topic("orders", partitions=1)
        for group in ("first", "first", "second"):
            _commit(admin, group, TopicPartition("orders", 0), 7)
        wait_until("the second group", lambda: topic.knows("second"))
        caught_up(topic)
    assert [each.getMessage() for each in caplog.records if each.levelname == "ERROR"] == [
        "reading a record of __consumer_offsets failed"
    ]


def test_names_of_topics_that_are_gone_are_asked_for_less_and_less_often() -> None:
    """Of all topics, for nobody can ask about an id alone: a question that costs."""
    nameless, gone = Nameless(), frozenset({b"gone"})
    asked = []
    for second in range(1_000):
        if nameless.is_due(gone, second):
            asked.append(second)
            nameless.asked(gone, second)
    assert asked[:6] == [0, 1, 3, 7, 15, 31]
    assert asked[-1] - asked[-2] == SELDOM_S
    assert not nameless.is_due(frozenset(), 2_000)
    now = asked[-1] + 2
    assert not nameless.is_due(gone, now)
    assert nameless.is_due(gone | {b"new"}, now)
    nameless.asked(gone | {b"new"}, now)
    assert nameless.is_due(gone | {b"new"}, now + 1)  # the broker that was asked may not have known it yet
