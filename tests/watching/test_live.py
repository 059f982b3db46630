"""`Live` on real brokers: a rebalance is seen when it begins, told with its cause, and nothing is asked of readers."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from tests.kafka.ports import wait_until

from rota.admin import Admin
from rota.monitor.view import GroupView
from rota.timeline.events import MemberJoined, RebalanceCompleted, RebalanceReason
from rota.watching.live import Live
from rota.watching.offsets_topic import UnreadableError

if TYPE_CHECKING:
    from tests.clients.desk import Desk


@pytest.fixture
def live(desk: Desk) -> Iterator[Live]:
    with Admin(desk.bootstrap_servers) as admin, Live(admin, interval_s=0.5) as watching:
        yield watching


def _seen(live: Live, group: str, what: str, holds: Callable[[GroupView], object]) -> GroupView:
    def there() -> bool:
        view = live.views().get(group)
        return view is not None and bool(holds(view))

    wait_until(what, there)
    return live.views()[group]


def _is_shared(view: GroupView) -> bool:
    return [len(each.member.assignment) for each in view.members] == [2, 2] and len(view.told) >= 2


def _has_left(view: GroupView) -> bool:
    return len(view.members) == 1 and view.told[-1].is_done and view.rebalance is None


def test_who_comes_and_goes_is_told_with_its_cause(desk: Desk, live: Live) -> None:
    topic, group = desk.topic("live", partitions=4), desk.name("live-group")
    live.look_closely([group])
    parts = desk.produce(topic, 3, 4)
    first = desk.member("confluent", group, topic, "worker-1")
    desk.wait_stable(group, [first], parts)
    second = desk.member("confluent", group, topic, "worker-2")
    desk.wait_stable(group, [first, second], parts)
    view = _seen(live, group, "two members", _is_shared)
    assert {event.client_id for event in view.events if isinstance(event, MemberJoined)} == {
        "worker-1",
        "worker-2",
    }
    assert view.told[-1].verdicts[0].reason is RebalanceReason.MEMBER_JOINED
    assert all(part.commit is None or part.commit.at_ms for part in view.partitions)

    first.stop()
    view = _seen(
        live,
        group,
        "the departure",
        _has_left,
    )
    assert view.told[-1].verdicts[0].reason is RebalanceReason.MEMBER_LEFT
    assert [part.member.client_id for part in view.partitions if part.member] == ["worker-2"] * 4
    assert isinstance(view.events[-1], RebalanceCompleted)


def test_a_rebalance_that_waits_is_shown_while_it_goes_on(desk: Desk, live: Live) -> None:
    topic, group = desk.topic("waits", partitions=2), desk.name("waits-group")
    parts = desk.produce(topic, 3, 2)
    # Frozen, it does not hear of the rebalance, so the group waits for it.
    slow = desk.process_member("confluent", group, topic, "slow", session_timeout_ms=10_000)
    desk.wait_stable(group, [slow], parts)
    slow.freeze()
    before_ms = time.time_ns() // 1_000_000
    desk.member("confluent", group, topic, "new", session_timeout_ms=10_000)
    view = _seen(
        live, group, "the rebalance", lambda view: view.rebalance is not None and bool(view.rebalance.paused)
    )
    assert view.facts.is_rebalancing
    assert view.rebalance is not None
    assert before_ms <= view.rebalance.started_ms <= time.time_ns() // 1_000_000
    assert view.rebalance.paused.keys() == {part.partition for part in view.partitions}, (
        "range stops everybody"
    )
    assert slow.process is not None
    os.kill(slow.process.pid, signal.SIGCONT)
    _seen(live, group, "the end of it", lambda view: view.rebalance is None and len(view.members) == 2)


def test_where_the_topic_may_not_be_read_two_looks_tell(desk: Desk, live: Live) -> None:
    topic, group = desk.topic("unread", partitions=2), desk.name("unread-group")
    live._topic.failure = UnreadableError("not authorised")
    assert str(live.log_failure) == "not authorised"
    parts = desk.produce(topic, 3, 2)
    first = desk.member("confluent", group, topic, "worker-1")
    desk.wait_stable(group, [first], parts)
    _seen(live, group, "one member", lambda view: len(view.members) == 1)
    second = desk.member("confluent", group, topic, "worker-2")
    desk.wait_stable(group, [first, second], parts)
    view = _seen(
        live, group, "who joined", lambda view: any(isinstance(e, MemberJoined) for e in view.events)
    )
    assert [event.client_id for event in view.events if isinstance(event, MemberJoined)][-1] == "worker-2"


def test_a_deleted_group_is_gone_at_the_next_look(desk: Desk, live: Live) -> None:
    topic, group = desk.topic("gone", partitions=1), desk.name("gone-group")
    parts = desk.produce(topic, 3, 1)
    member = desk.member("confluent", group, topic, "worker-1")
    desk.wait_stable(group, [member], parts)
    _seen(live, group, "the group", lambda view: view.members)
    member.stop()
    _seen(live, group, "the empty group", lambda view: view.facts.state == "Empty")
    with Admin(desk.bootstrap_servers) as admin:
        assert admin.delete_groups([group]) == {group: None}
    live.refresh()
    wait_until("the group is gone", lambda: group not in live.views())


def test_readers_wait_for_news_and_the_end(desk: Desk) -> None:
    with Admin(desk.bootstrap_servers) as admin:
        live = Live(admin, interval_s=0.5)
        number = live.wait(0)
        assert number > 0
        assert live.wait(number) > number
        live.close()
        live.wait(10**9)
