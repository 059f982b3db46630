"""Consumer groups (KIP-848): records of every change, in the order in which coordinators write them."""

from __future__ import annotations

from tests.monitor.rebalances.log import GROUP, START_MS, Log, parts, topic_id
from tests.monitor.snapshots import look

from rota.model import TopicPartition
from rota.monitor.findings import Certainty
from rota.timeline.events import (
    MemberJoined,
    MemberReconciled,
    RebalanceCompleted,
    RebalanceReason,
    RebalanceStarted,
)


def running() -> Log:
    """Two members since 2 s, with commits every 200 ms until 20 s."""
    log = Log()
    log.reader.learn_timeouts("", 6_000, 1_000)
    log.at(1_000).member("a").epoch(1).target(1, a="orders-0 orders-1").current("a", 1, "orders-0 orders-1")
    log.at(2_000).member("b").epoch(2).target(2, a="orders-0", b="orders-1").current("b", 2, "", state=2)
    log.at(2_500).current("a", 1, "orders-0", revoking="orders-1").at(2_600).current("a", 2, "orders-0")
    log.at(2_900).current("b", 2, "orders-1")
    log.commits("orders-0", 3_000, 20_000, 200).commits("orders-1", 3_000, 20_000, 200)
    return log


def test_a_group_begins() -> None:
    log = Log().at(1_000).member("a").epoch(1)
    at_ms = START_MS + 1_000
    assert log.news == [
        MemberJoined(at_ms, GROUP, "a", "a", "/10.0.0.1", None),
        RebalanceStarted(
            at_ms,
            GROUP,
            0,
            RebalanceReason.MEMBER_JOINED,
            "a",
            "certain: it was no member before, and runs at 10.0.0.1",
        ),
    ]
    log.target(1, a="orders-0").current("a", 1, "orders-0")
    assert log.news == [
        MemberReconciled(at_ms, GROUP, 1, "a", parts("orders-0")),
        RebalanceCompleted(at_ms, GROUP, 1, None, None, {"a": parts("orders-0")}),
    ]


def test_a_partition_moves_when_its_owner_has_let_go() -> None:
    log = running()
    first, second = log.told()
    assert [first.words, second.words] == ["a joined", "b joined"]
    assert second.account is not None
    assert [(move.released_ms, move.taken_ms) for move in second.account.moves] == [
        (START_MS + 2_600, START_MS + 2_900)
    ]
    assert second.account.rebalance.duration_ms == 900
    assert second.exact


def test_while_it_goes_on() -> None:
    log = (
        Log()
        .at(1_000)
        .member("a")
        .epoch(1)
        .target(1, a="orders-0 orders-1")
        .current("a", 1, "orders-0 orders-1")
    )
    log.at(2_000).member("b").epoch(2).target(2, a="orders-0", b="orders-1").current("b", 2, "", state=2)
    log.at(2_500).current("a", 1, "orders-0", revoking="orders-1")
    view = log.reader.rebalance(GROUP, START_MS + 2_550)
    assert view is not None
    assert (view.words, view.started_ms, dict(view.paused), view.waiting_for) == (
        "b joined",
        START_MS + 2_000,
        {},
        ("a",),
    )
    log.at(2_600).current("a", 2, "orders-0")
    view = log.reader.rebalance(GROUP, START_MS + 2_700)
    assert view is not None
    assert view.paused == {TopicPartition("orders", 1): START_MS + 2_600}
    log.at(2_900).current("b", 2, "orders-1")
    assert log.reader.rebalance(GROUP, START_MS + 3_000) is None


def test_a_member_leaves() -> None:
    log = running().at(20_000).gone("b").epoch(3)
    assert log.causes()[-1] == "b left"
    log.at(20_900).target(3, a="orders-0 orders-1").current("a", 3, "orders-0 orders-1")
    last = log.told()[-1]
    assert last.account is not None
    assert last.account.rebalance.duration_ms == 900


def test_a_session_expires_and_its_partitions_wait_from_its_last_commit_on() -> None:
    log = running().commits("orders-0", 20_000, 25_600, 200).at(25_600).gone("b").epoch(3)
    view = log.reader.rebalance(GROUP, START_MS + 25_700)
    assert view is not None
    assert view.words == "b was silent for its whole session timeout"
    assert view.paused == {TopicPartition("orders", 1): START_MS + 19_800}


def test_a_member_that_did_not_poll_is_back_as_the_same_process() -> None:
    log = running().commits("orders-0", 20_000, 35_600, 200).at(35_600).gone("b").epoch(3)
    log.at(36_000).target(3, a="orders-0 orders-1").current("a", 3, "orders-0 orders-1")
    log.at(40_000).member("b").epoch(4)
    assert log.causes()[-2:] == ["b took longer than max.poll.interval.ms between two polls", "b joined"]


def test_a_static_member_is_away_and_back() -> None:
    log = Log().at(1_000).member("a-1", static="a").epoch(1).target(1, **{"a-1": "orders-0"})
    log.current("a-1", 1, "orders-0")
    log.at(5_000).current("a-1", -2, "orders-0")
    log.at(6_000).gone("a-1").member("a-2", static="a").target(1, **{"a-2": "orders-0"}).current(
        "a-2", 1, "orders-0"
    )
    last = log.told()[-1]
    assert (last.account, last.words) == (
        None,
        "a came back as a new process and took its former place, without a rebalance",
    )
    assert log.reader.rebalance(GROUP, START_MS + 7_000) is None


def test_a_static_member_that_does_not_come_back() -> None:
    log = Log().at(1_000).member("a-1", static="a").epoch(1).target(1, **{"a-1": "orders-0"})
    log.current("a-1", 1, "orders-0").at(5_000).current("a-1", -2, "orders-0").at(50_000).gone("a-1").epoch(2)
    verdict = log.told()[-1].verdicts[0]
    assert (verdict.reason, verdict.certainty) == (RebalanceReason.SESSION_EXPIRED, Certainty.CERTAIN)


def test_a_subscription_changes() -> None:
    log = running().at(20_000).member("b", "orders mails").epoch(3, digest=2)
    assert log.told()[-1].verdicts[0][:4] == (
        RebalanceReason.SUBSCRIPTION_CHANGED,
        "b",
        Certainty.CERTAIN,
        "+mails",
    )


def test_partitions_are_added() -> None:
    log = running().at(20_000).epoch(3, digest=2)
    verdict = log.told()[-1].verdicts[0]
    assert (verdict.reason, verdict.certainty) == (RebalanceReason.PARTITIONS_ADDED, Certainty.LIKELY)
    log.target(3, a="orders-0 orders-2", b="orders-1")
    verdict = log.told()[-1].verdicts[0]
    assert verdict[2:4] == (Certainty.CERTAIN, "orders has more partitions than before")


def test_an_epoch_that_nothing_explains() -> None:
    verdict = running().at(20_000).epoch(3).told()[-1].verdicts[0]
    assert (verdict.reason, verdict.certainty) == (RebalanceReason.OPERATOR, Certainty.GUESS)


def test_several_at_once_are_one_rebalance_with_several_causes() -> None:
    log = running().at(20_000).gone("b").epoch(3).at(20_100).member("c").epoch(4)
    log.at(20_500).target(4, a="orders-0", c="orders-1").current("a", 4, "orders-0").current(
        "c", 4, "orders-1"
    )
    last = log.told()[-1]
    assert last.words == "b left; c joined"
    assert last.account is not None
    assert last.account.rebalance.also == ("c joined",)


def test_topics_get_their_names_late() -> None:
    log = Log(names=())
    log.at(1_000).member("a").epoch(1).target(1, a="orders-0").current("a", 1, "orders-0")
    assert log.reader.unknown_topics == {topic_id("orders")}
    log.reader.learn_topics({topic_id("orders"): "orders"})
    assert log.reader.unknown_topics == set()
    log.commits("orders-0", 2_000, 9_000, 200).at(9_000).gone("a").epoch(2)
    last = log.told()[-1]
    assert last.words == "a left"
    assert "orders-0" in str(log.told()[0].document())


def test_a_classic_group_becomes_a_consumer_group_without_anybody_coming_or_going() -> None:
    log = Log().at(1_000).generation(4, a="orders-0", b="orders-1")
    log.at(5_000).deleted().member("a-id").member("b-id").epoch(5)
    log.target(5, **{"a-id": "orders-0", "b-id": "orders-1"})
    assert not any(
        isinstance(event, MemberJoined) and event.at_ms > START_MS + 1_000
        for event in log.reader.events(GROUP)
    )


def test_facts_get_the_timeouts_that_no_record_has() -> None:
    log = running()
    facts = log.reader.completed(
        look("group g consumer Stable uniform\n a id=a: orders-0\n orders-0 1/2").groups["g"]
    )
    assert [(each.session_timeout_ms, each.rebalance_timeout_ms) for each in facts.members] == [
        (6_000, 10_000)
    ]
