"""Rebalances from looks alone: what changed between two of them."""

from __future__ import annotations

from tests.monitor.snapshots import START_MS, look

from rota.monitor.findings import Certainty
from rota.monitor.rebalances import PollReader
from rota.timeline.events import RebalanceReason

BOTH = """
group g classic Stable range
  a: orders-0
  b: orders-1
  orders-0 {0}/900
  orders-1 {1}/900
"""
ALONE = """
group g classic Stable range
  a: orders-0 orders-1
  orders-0 {0}/900
  orders-1 {1}/900
"""


def watched(*texts: str, every_ms: int = 1_000) -> PollReader:
    reader = PollReader()
    for number, text in enumerate(texts):
        at_ms = START_MS + number * every_ms
        snapshot = look(text, at_ms)
        reader.look(snapshot.groups["g"], snapshot.commits["g"], at_ms)
    return reader


def verdict(reader: PollReader) -> tuple[RebalanceReason, str, Certainty]:
    first = reader.account("g")[-1].verdicts[0]
    return first.reason, first.member, first.certainty


def test_a_group_at_rest() -> None:
    reader = watched(BOTH.format(1, 1), BOTH.format(2, 2))
    assert reader.account("g") == []
    assert reader.events("other") == []
    assert reader.rebalance("g", START_MS) is None


def test_a_member_joins() -> None:
    reader = watched(ALONE.format(1, 1), BOTH.format(2, 2))
    (told,) = reader.account("g")
    assert told.words == "b joined"
    assert told.account is not None
    assert len(told.account.moves) == 1
    assert told.is_done


def test_a_member_that_committed_until_it_went_has_left() -> None:
    reader = watched(*(BOTH.format(n, n) for n in range(1, 20)), ALONE.format(20, 19))
    assert verdict(reader) == (RebalanceReason.MEMBER_LEFT, "b-id", Certainty.LIKELY)


def test_a_member_that_had_fallen_silent_is_a_guess() -> None:
    silent = (BOTH.format(20 + n, 19) for n in range(30))
    reader = watched(*(BOTH.format(n, n) for n in range(1, 20)), *silent, ALONE.format(51, 19))
    assert verdict(reader) == (RebalanceReason.SESSION_EXPIRED, "b-id", Certainty.GUESS)


def test_a_rebalance_that_takes_several_looks() -> None:
    during = "group g classic PreparingRebalance\n  a:\n  orders-0 3/900\n  orders-1 3/900"
    reader = watched(BOTH.format(1, 1), BOTH.format(2, 2), during)
    view = reader.rebalance("g", START_MS + 2_500)
    assert view is not None
    assert view.words == "b left"
    reader = watched(BOTH.format(1, 1), BOTH.format(2, 2), during, during, ALONE.format(4, 4))
    (told,) = reader.account("g")
    assert (told.words, told.at_ms, told.until_ms) == ("b left", START_MS + 1_001, START_MS + 4_000)
    assert reader.rebalance("g", START_MS + 5_000) is None


def test_a_static_member_comes_back() -> None:
    before = BOTH.replace("b:", "b static=x:").format(1, 1)
    after = BOTH.replace("b:", "b static=x id=b-2:").format(2, 2)
    reader = watched(before, after)
    (told,) = reader.account("g")
    assert told.verdicts[0].reason == RebalanceReason.STATIC_MEMBER_REPLACED
    assert told.account is None


def test_a_subscription_changes_and_partitions_are_added() -> None:
    other = BOTH.replace("b: orders-1", "b subscribes=orders,mails: orders-1 mails-0")
    assert verdict(watched(BOTH.format(1, 1), other.format(2, 2)))[0] == RebalanceReason.SUBSCRIPTION_CHANGED
    more = BOTH.replace("b: orders-1", "b: orders-1 orders-2")
    assert verdict(watched(BOTH.format(1, 1), more.format(2, 2)))[0] == RebalanceReason.PARTITIONS_ADDED


def test_the_last_member_goes() -> None:
    empty = "group g classic Empty\n  orders-0 9/900\n  orders-1 9/900"
    reader = watched(ALONE.format(1, 1), ALONE.format(2, 2), empty)
    assert [told.words for told in reader.account("g")] == ["a left"]
    assert reader.rebalance("g", START_MS + 9_000) is None


def test_an_answer_that_was_overtaken_tells_nothing() -> None:
    """A look at all groups takes a while; meanwhile one of them was asked alone, and its newcomer was there."""
    reader = watched(ALONE.format(1, 1), BOTH.format(2, 2))
    late = look(ALONE.format(3, 3), START_MS + 1_500)
    assert reader.look(late.groups["g"], late.commits["g"], late.at_ms, took_ms=800) == []
    after = look(BOTH.format(4, 4), START_MS + 2_000)
    assert reader.look(after.groups["g"], after.commits["g"], after.at_ms, took_ms=400) == []
    assert [told.words for told in reader.account("g")] == ["b joined"]


def test_a_clock_that_was_set_back_hides_nothing() -> None:
    """By an hour: what comes is told at once, and not before it was seen."""
    reader = watched(ALONE.format(1, 1), ALONE.format(2, 2))
    back_ms = START_MS - 3_600_000
    seen = look(BOTH.format(3, 3), back_ms)
    assert reader.look(seen.groups["g"], seen.commits["g"], back_ms)
    (told,) = reader.account("g")
    assert told.words == "b joined"
    assert told.until_ms <= back_ms + 1
