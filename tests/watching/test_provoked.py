"""Rebalances of every kind, made on purpose on either broker, and the causes that are found for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.monitor.provoke import BROKER_CONFIG, PROTOCOLS, Outcome, Stage, judged, provoke_many
from tests.brokers import BrokerUnderTest, new_broker
from tests.kafka.ports import wait_until
from tests.watching.really import departures, really_happened

from rota.admin import Admin
from rota.monitor.findings import Certainty
from rota.monitor.rebalances.broker_log import read_log
from rota.timeline.events import RebalanceReason
from rota.watching.looker import Looker
from rota.watching.offsets_topic import OffsetsTopic

ONE_OF_EACH = 7
TIMED = (RebalanceReason.MEMBER_LEFT, RebalanceReason.SESSION_EXPIRED)


@pytest.fixture(scope="module")
def quick_broker(broker_kind: str) -> Iterator[BrokerUnderTest]:
    with new_broker(broker_kind, config=BROKER_CONFIG) as running:
        yield running


@pytest.mark.timeout(900)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_cause_of_each_kind_is_found(quick_broker: BrokerUnderTest, protocol: str) -> None:
    with Admin(quick_broker.bootstrap_servers) as admin, OffsetsTopic(admin) as topic:
        outcomes = provoke_many(
            quick_broker.bootstrap_servers, ONE_OF_EACH, topic.account, protocols=[protocol]
        )
        assert len(outcomes) == ONE_OF_EACH
        _check_right(quick_broker, topic, outcomes)
        if quick_broker.kind == "kafka":
            _check_with_its_log(quick_broker, topic, {each.group for each in outcomes})


def _check_right(broker: BrokerUnderTest, topic: OffsetsTopic, outcomes: list[Outcome]) -> None:
    """Each cause is the one that was provoked.

    On a busy machine a session may end, or a member be thrown out, that nobody meant. Then the monitor rightly tells
    of that, and the provocation is made again, alone, as often as it takes: but only where the broker's own log says
    so. Without such an excuse one provocation in all may be made again: two things may come so close together that the
    first is not what was meant to be. A detection that is right six times of ten passes that one time of ten with one
    protocol, and one of a thousand with all three.
    """
    unexplained: list[Outcome] = []
    for outcome in outcomes:
        deeds = [each.done for each in outcomes if each.group == outcome.group]
        now = outcome
        while not now.right:
            gone = [
                each
                for each in departures(_log_of(broker).read_text().splitlines())
                if each.group == now.group
            ]
            if not really_happened(now.done, topic.account(now.group), gone, deeds):
                unexplained.append(now)
                assert len(unexplained) <= 1, unexplained
            now, deeds = _again(broker, topic, now), []


def _log_of(broker: BrokerUnderTest) -> Path:
    """The log that tells what really happened."""
    return broker.data_dir.parent / "server.log"


def _again(broker: BrokerUnderTest, topic: OffsetsTopic, outcome: Outcome) -> Outcome:
    kind = outcome.done.kind
    with Stage(broker.bootstrap_servers, outcome.protocol, static=kind == "static") as stage:
        done = stage.provoke(kind)
        wait_until("anything is told", lambda: judged(stage, done, topic.account(stage.group)).found)
        return judged(stage, done, topic.account(stage.group))


def _check_with_its_log(broker: BrokerUnderTest, topic: OffsetsTopic, groups: set[str]) -> None:
    """With the broker's own log what was likely is certain, and what it was does not change."""
    before = {group: [told.words for told in topic.account(group) if told.is_done] for group in groups}
    lines = list(read_log(_log_of(broker).read_text().splitlines()))
    topic.use(lambda reader: reader.learn_log(lines))
    certain = 0
    for group in groups:
        for told, words in zip(topic.account(group), before[group], strict=False):
            first = told.verdicts[0]
            if first.reason in TIMED and told.words == words:
                certain += first.certainty == Certainty.CERTAIN
    assert certain


def test_the_beginning_is_seen_by_looking(quick_broker: BrokerUnderTest) -> None:
    """A classic group's log tells of a rebalance only when it is over."""
    with Admin(quick_broker.bootstrap_servers) as admin, OffsetsTopic(admin) as topic:
        with Stage(quick_broker.bootstrap_servers, "classic") as stage:
            wait_until("the group's first records", lambda: topic.is_caught_up and topic.account(stage.group))
            seen: list[str] = []

            def look(snapshot: object) -> None:
                facts = snapshot.groups[stage.group]  # type: ignore[attr-defined]
                topic.look(facts, snapshot.at_ms, round(snapshot.took_ms))  # type: ignore[attr-defined]
                view = topic.rebalance(stage.group, snapshot.at_ms)  # type: ignore[attr-defined]
                if view is not None:
                    seen.append(view.words)

            with Looker(admin, [stage.group], look, interval_s=0.05):
                for _ in range(5):
                    stage.provoke("join")
                    if seen:
                        break
        assert any("joined" in words for words in seen), seen
        wait_until("all to be told", lambda: topic.rebalance(stage.group, 0) is None)
