"""Classic groups: what two records about a group tell of the rebalance between them."""

from __future__ import annotations

from typing import Any

from tests.monitor.rebalances.log import GROUP, START_MS, Log, parts
from tests.monitor.snapshots import look

from rota.model import TopicPartition
from rota.monitor.findings import Certainty
from rota.monitor.rebalances.broker_log import Line, LineKind
from rota.timeline.events import (
    MemberJoined,
    MemberLeft,
    OffsetCommitted,
    RebalanceCompleted,
    RebalanceReason,
    RebalanceStarted,
)


def running(**shares: Any) -> Log:
    """Generation 4 since 1 s, and a commit of each partition every 200 ms until 20 s."""
    log = Log().at(1_000).generation(4, **shares)
    for ms in range(1_200, 20_000, 200):
        for held in shares.values():
            for partition in held.split():
                log.at(ms).commit(partition, ms)
    return log


def test_the_first_record_tells_who_is_a_member_and_no_cause() -> None:
    log = Log().at(1_000).generation(4, a="orders-0", b="orders-1")
    assert log.news == [
        MemberJoined(START_MS + 1_000, GROUP, "a-id", "a", "/10.0.0.1", None),
        MemberJoined(START_MS + 1_000, GROUP, "b-id", "b", "/10.0.0.1", None),
        RebalanceCompleted(
            START_MS + 1_000,
            GROUP,
            4,
            "range",
            "a-id",
            {"a-id": parts("orders-0"), "b-id": parts("orders-1")},
        ),
    ]
    assert log.causes() == ["for an unknown reason"]


def test_a_commit_is_told_with_its_member_and_time() -> None:
    log = running(a="orders-0").at(30_000).commit("orders-0", 77)
    assert log.news == [OffsetCommitted(START_MS + 30_000, GROUP, "a-id", "orders", 0, 77)]
    log.at(30_100).commit("orders-9", 5)
    assert log.news == [OffsetCommitted(START_MS + 30_100, GROUP, "", "orders", 9, 5)]


def test_a_member_joins() -> None:
    log = (
        running(a="orders-0 orders-1").at(20_000).generation(5, joined_ms=19_990, a="orders-0", b="orders-1")
    )
    assert log.news == [
        MemberJoined(START_MS + 19_990, GROUP, "b-id", "b", "/10.0.0.1", None),
        RebalanceStarted(
            START_MS + 19_990,
            GROUP,
            4,
            RebalanceReason.MEMBER_JOINED,
            "b-id",
            "certain: it was no member before, and runs at 10.0.0.1",
        ),
        RebalanceCompleted(
            START_MS + 20_000,
            GROUP,
            5,
            "range",
            "a-id",
            {"a-id": parts("orders-0"), "b-id": parts("orders-1")},
        ),
    ]
    last = log.told()[-1]
    assert (last.words, last.exact) == ("b joined", False)
    assert last.account is not None
    assert [(move.partition, move.from_consumer, move.to_consumer) for move in last.account.moves] == [
        (TopicPartition("orders", 1), "a", "b")
    ]


def test_a_member_leaves() -> None:
    log = running(a="orders-0", b="orders-1").at(20_100).generation(5, a="orders-0 orders-1")
    left = next(event for event in log.news if isinstance(event, MemberLeft))
    assert (left.member, left.reason) == ("b-id", RebalanceReason.MEMBER_LEFT)
    assert log.causes()[-1] == "b left"


def test_a_killed_member_is_gone_when_its_session_is_over() -> None:
    log = running(a="orders-0", b="orders-1")
    log.commits("orders-0", 20_000, 25_900, 200)
    log.at(25_900).generation(5, a="orders-0 orders-1")
    log.commits("orders-1", 26_000, 30_000, 200)
    last = log.told()[-1]
    assert last.words == "b was silent for its whole session timeout"
    assert last.verdicts[0].certainty == Certainty.LIKELY
    assert not last.exact  # its session tells the earliest beginning
    assert last.began_between_ms == (START_MS + 19_800 + 6_000, START_MS + 25_900)
    waited = {tp: ms for tp, ms in last.cost.paused.items() if tp.partition == 1}
    assert waited == {TopicPartition("orders", 1): 25_900 - 19_800}


def test_a_member_that_does_not_poll_leaves_and_comes_back() -> None:
    log = running(a="orders-0", b="orders-1")
    log.commits("orders-0", 20_000, 30_300, 200)
    log.at(30_300).generation(5, a="orders-0 orders-1")
    log.at(40_000).generation(6, life={"b": 2}, a="orders-0", b="orders-1")
    before, after = log.told()[-2:]
    assert before.words == "b took longer than max.poll.interval.ms between two polls"
    assert "the same client id came back from the same host" in before.verdicts[0].evidence
    assert after.words == "b joined"
    assert "after the same client id was gone" in after.verdicts[0].evidence


def test_a_verdict_changes_when_a_member_comes_back() -> None:
    """Session and poll interval are nearly the same: only coming back tells."""
    log = Log().at(1_000).generation(4, poll_ms=6_500, a="orders-0", b="orders-1")
    log.commits("orders-1", 1_200, 20_000, 200)
    log.commits("orders-0", 1_200, 26_000, 200)
    log.at(26_300).generation(5, poll_ms=6_500, a="orders-0 orders-1")
    assert log.told()[-1].verdicts[0].certainty == Certainty.GUESS
    log.at(28_000).generation(6, poll_ms=6_500, life={"b": 2}, a="orders-0", b="orders-1")
    assert log.told()[-2].words == "b took longer than max.poll.interval.ms between two polls"


def test_a_static_member_comes_back_without_a_rebalance() -> None:
    log = Log().at(1_000).generation(4, static=["a", "b"], a="orders-0", b="orders-1")
    log.at(9_000).generation(4, static=["a", "b"], life={"b": 2}, a="orders-0", b="orders-1")
    last = log.told()[-1]
    assert last.account is None
    assert last.verdicts[0].reason == RebalanceReason.STATIC_MEMBER_REPLACED
    assert last.words == "b came back as a new process and took its former place, without a rebalance"
    log.at(10_000).commit("orders-1", 5)
    assert [event.member for event in log.news if isinstance(event, OffsetCommitted)] == ["b-id2"]


def test_a_static_member_comes_back_with_a_rebalance() -> None:
    log = Log().at(1_000).generation(4, static=["a", "b"], a="orders-0", b="orders-1")
    log.at(9_000).generation(5, static=["a", "b"], life={"b": 2}, a="orders-0", b="orders-1")
    assert log.told()[-1].verdicts[0].reason == RebalanceReason.STATIC_MEMBER_REPLACED


def test_a_subscription_changes() -> None:
    log = Log().at(1_000).generation(4, a="orders-0", b="orders-1")
    log.at(9_000).generation(5, topics={"b": "orders mails"}, a="orders-0", b="orders-1 mails-0")
    last = log.told()[-1]
    assert last.words == "b changed its subscription"
    assert last.verdicts[0][2:4] == (Certainty.CERTAIN, "+mails")


def test_partitions_are_added() -> None:
    log = Log().at(1_000).generation(4, a="orders-0", b="orders-1")
    log.at(9_000).generation(5, a="orders-0 orders-2", b="orders-1 orders-3")
    last = log.told()[-1]
    assert last.words == "the number of partitions changed"
    assert last.verdicts[0][2:4] == (Certainty.CERTAIN, "orders has more partitions than before")


def test_a_topic_that_was_waited_for_appears() -> None:
    both = {"a": "orders mails"}
    log = Log().at(1_000).generation(4, topics=both, a="orders-0")
    log.at(9_000).generation(5, topics=both, a="orders-0 mails-0")
    assert log.told()[-1].verdicts[0][2:4] == (Certainty.CERTAIN, "mails is there now")


def test_a_new_member_with_a_topic_of_its_own_adds_no_partitions() -> None:
    log = Log().at(1_000).generation(4, a="orders-0")
    log.at(9_000).generation(5, topics={"b": "mails"}, a="orders-0", b="mails-0")
    assert [verdict.reason for verdict in log.told()[-1].verdicts] == [RebalanceReason.MEMBER_JOINED]


def test_the_second_round_of_a_cooperative_rebalance() -> None:
    log = Log().at(1_000).generation(4, protocol="cooperative-sticky", a="orders-0 orders-1")
    log.at(9_000).generation(5, protocol="cooperative-sticky", a="orders-0", b="")
    log.at(9_500).generation(6, protocol="cooperative-sticky", a="orders-0", b="orders-1")
    first, second = log.told()[-2:]
    assert first.words == "b joined"
    assert second.verdicts[0].reason == RebalanceReason.MEMBER_REJOINED
    assert "second round" in second.verdicts[0].evidence


def test_nothing_that_is_recorded_has_changed() -> None:
    log = (
        Log()
        .at(1_000)
        .generation(4, a="orders-0", b="orders-1")
        .at(9_000)
        .generation(5, a="orders-0", b="orders-1")
    )
    verdict = log.told()[-1].verdicts[0]
    assert (verdict.reason, verdict.certainty) == (RebalanceReason.LEADER_REJOINED, Certainty.GUESS)


def test_a_member_sends_other_user_data() -> None:
    log = Log().at(1_000).generation(4, a="orders-0", b="orders-1")
    log.at(9_000).generation(5, user_data={"b": b"rack 2"}, a="orders-0", b="orders-1")
    assert log.told()[-1].verdicts[0][:3] == (RebalanceReason.MEMBER_REJOINED, "b-id", Certainty.LIKELY)


def test_generations_that_were_compacted_away_are_counted() -> None:
    log = Log().at(1_000).generation(4, a="orders-0").at(9_000).generation(8, a="orders-0")
    last = log.told()[-1]
    assert (last.skipped, last.verdicts[0].certainty) == (3, Certainty.GUESS)
    assert "    3 generations before it not recorded any more" in last.lines()


def test_the_last_member_leaves() -> None:
    log = running(a="orders-0").at(20_000).generation(5)
    assert log.causes()[-1] == "a left"
    assert log.news[-1] == RebalanceCompleted(START_MS + 20_000, GROUP, 5, None, None, {})


def test_a_deleted_group_begins_anew() -> None:
    log = (
        running(a="orders-0")
        .at(21_000)
        .generation(5)
        .at(22_000)
        .deleted()
        .at(23_000)
        .generation(1, a="orders-0")
    )
    assert len(log.told()) == 3


def test_looks_tell_when_a_rebalance_began_and_that_it_goes_on() -> None:
    log = running(a="orders-0", b="orders-1")
    for ms in (18_000, 19_000):
        facts = look("group g classic Stable range\n a: orders-0\n b: orders-1\n orders-0 1/2").groups["g"]
        log.reader.look(facts, START_MS + ms)
    assert log.reader.rebalance("g", START_MS + 19_000) is None
    during = look("group g classic PreparingRebalance\n a:\n orders-0 1/2").groups["g"]
    log.reader.look(during, START_MS + 20_000)
    view = log.reader.rebalance("g", START_MS + 20_100)
    assert view is not None
    assert (view.words, view.started_ms) == ("b left", START_MS + 20_000)
    assert set(view.paused) == set(parts("orders-0 orders-1"))
    log.at(22_000).generation(5, joined_ms=21_990, a="orders-0 orders-1")
    assert log.reader.rebalance("g", START_MS + 22_000) is None
    last = log.told()[-1]
    assert (last.words, last.at_ms, last.exact) == ("b left", START_MS + 20_000, True)
    assert last.cost.paused[TopicPartition("orders", 0)] == 2_000


def test_facts_are_completed() -> None:
    log = running(a="orders-0", b="orders-1")
    snapshot = look(
        "group g classic Stable range\n a: orders-0\n b: orders-1\n orders-0 19800/20000\n orders-1 7/9"
    )
    facts = log.reader.completed(snapshot.groups["g"])
    assert [(member.session_timeout_ms, member.rebalance_timeout_ms) for member in facts.members] == [
        (6_000, 10_000)
    ] * 2
    assert (facts.epoch, facts.state_since_ms) == (4, START_MS + 1_000)
    timed = log.reader.timed("g", snapshot.commits["g"])
    assert [commit.at_ms for commit in timed.values()] == [
        START_MS + 19_800,
        None,
    ]  # the other is newer than the log


def test_a_brokers_log_names_who_asked_to_join_again() -> None:
    log = (
        Log()
        .at(1_000)
        .generation(4, a="orders-0", b="orders-1")
        .at(9_000)
        .generation(5, a="orders-0", b="orders-1")
    )
    text = "Leader a-id re-joining group during Stable; client reason: cached metadata has changed"
    log.reader.learn_log([Line(LineKind.PREPARING, "g", "a-id", text, 4)])
    verdict = log.told()[-1].verdicts[0]
    assert (verdict.reason, verdict.member) == (RebalanceReason.LEADER_REJOINED, "a-id")
    assert verdict.certainty == Certainty.CERTAIN
    assert "cached metadata has changed" in verdict.evidence


def test_what_is_no_record_is_counted_and_skipped() -> None:
    log = Log()
    assert log.reader.feed(0, b"\x00\x02\x00", b"", START_MS) == []
    assert log.reader.feed(0, b"\x00\x63abc", None, START_MS) == []
    assert log.reader.feed(0, None, b"", START_MS) == []
    assert (log.reader.unreadable, log.reader.groups, log.reader.records) == (1, (), {0: 3})


def test_a_look_that_may_be_older_than_the_last_record_tells_nothing() -> None:
    log = running(a="orders-0", b="orders-1").at(22_000).generation(5, a="orders-0 orders-1")
    during = look("group g classic PreparingRebalance\n a:\n orders-0 1/2").groups["g"]
    log.reader.look(during, START_MS + 22_400, 500)
    assert log.reader.rebalance("g", START_MS + 22_400) is None


def test_a_rebalance_whose_record_never_comes_is_forgotten() -> None:
    log = running(a="orders-0", b="orders-1")
    during = look("group g classic PreparingRebalance\n a:\n orders-0 1/2").groups["g"]
    after = look("group g classic Stable range\n a: orders-0\n b: orders-1\n orders-0 1/2").groups["g"]
    log.reader.look(during, START_MS + 20_000)
    assert len(log.told()) == 2
    log.reader.look(after, START_MS + 21_000)
    assert log.reader.rebalance("g", START_MS + 21_000) is not None
    log.reader.look(after, START_MS + 51_000)
    assert log.reader.rebalance("g", START_MS + 51_000) is None
    assert len(log.told()) == 1


def test_two_rebalances_within_a_millisecond_stay_two() -> None:
    log = (
        Log()
        .at(1_000)
        .generation(4, a="orders-0")
        .generation(5, a="orders-0", b="")
        .generation(6, a="orders-0")
    )
    assert log.causes() == ["for an unknown reason", "b joined", "b left"]


def test_names_are_known_of_members_that_came_long_before_what_is_remembered() -> None:
    log = Log().at(1_000).generation(1, a="orders-0")
    for number in range(2, 230):
        guest: dict[str, Any] = {"b": ""} if number % 2 else {}
        log.at(1_000 * number).generation(number, a="orders-0", **guest)
    told = log.told()
    assert len(told) == 200
    assert {each.words for each in told} == {"b joined", "b left"}
    assert told[-1].account is not None
    assert told[-1].account.generation is not None
    assert set(told[-1].account.generation.assignment) == {"a", "b"}


def test_lines_of_an_earlier_group_of_that_name_belong_to_it() -> None:
    log = Log().at(1_000).generation(1, a="orders-0").at(2_000).generation(2, a="orders-0")
    log.at(3_000).generation(3).at(4_000).deleted()
    log.at(5_000).generation(1, a="orders-0").at(6_000).generation(2, a="orders-0")
    texts = [
        f"Leader a-id re-joining group during Stable; client reason: {reason}"
        for reason in ("first", "second")
    ]
    log.reader.learn_log([Line(LineKind.PREPARING, "g", "a-id", text, 1) for text in texts])
    evidence = [told.verdicts[0].evidence for told in log.told() if told.verdicts]
    assert [words for words in evidence if "log" in words] == [
        "the broker's log says so; the client's reason, in the broker's log: first",
        "the broker's log says so; the client's reason, in the broker's log: second",
    ]
