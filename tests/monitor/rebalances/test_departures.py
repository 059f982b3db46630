"""How a member went, by when it was last heard of."""

from __future__ import annotations

import pytest

from rota.monitor.findings import Certainty
from rota.monitor.rebalances.broker_log import Line, LineKind
from rota.monitor.rebalances.departures import Departure, judge
from rota.timeline.events import RebalanceReason as Why

SESSION_MS, POLL_MS = 45_000, 300_000


def gone(
    silence_ms: int,
    *,
    every_ms: int = 1_000,
    unsure_ms: int = 0,
    consumer: bool = False,
    static: bool = False,
    **more: object,
) -> Departure:
    """A member that committed every second until ``silence_ms`` before it was gone, or up to ``unsure_ms`` sooner."""
    latest_ms = 1_000_000
    last_ms = latest_ms - silence_ms
    departure = Departure(
        "a-id",
        latest_ms - unsure_ms,
        latest_ms,
        tuple(last_ms - every_ms * back for back in reversed(range(12))) if every_ms else (),
        SESSION_MS,
        POLL_MS,
        5_000 if consumer else 0,
        static=static,
    )
    for name, value in more.items():
        setattr(departure, name, value)
    return departure


@pytest.mark.parametrize(
    ("departure", "reason", "certainty"),
    [
        (gone(300), Why.MEMBER_LEFT, Certainty.LIKELY),
        (gone(10_000), Why.MEMBER_LEFT, Certainty.LIKELY),  # too soon for any timeout
        (gone(45_600), Why.SESSION_EXPIRED, Certainty.LIKELY),
        (gone(48_000, unsure_ms=3_000), Why.SESSION_EXPIRED, Certainty.LIKELY),
        (
            gone(42_000, consumer=True),
            Why.SESSION_EXPIRED,
            Certainty.LIKELY,
        ),  # heartbeats stopped before commits did
        (gone(42_000), Why.MEMBER_LEFT, Certainty.LIKELY),  # where a commit counts as a heartbeat
        (gone(300_300), Why.POLL_INTERVAL_EXCEEDED, Certainty.LIKELY),
        (
            gone(299_400),
            Why.POLL_INTERVAL_EXCEEDED,
            Certainty.LIKELY,
        ),  # it committed once more after its last poll
        (
            gone(345_500, consumer=True),
            Why.POLL_INTERVAL_EXCEEDED,
            Certainty.LIKELY,
        ),  # librdkafka falls silent
        (gone(600_000), Why.MEMBER_LEFT, Certainty.GUESS),
        (gone(0, every_ms=0), Why.MEMBER_LEFT, Certainty.GUESS),
        (gone(45_600, static=True), Why.SESSION_EXPIRED, Certainty.LIKELY),
        (
            gone(600_000, static=True),
            Why.SESSION_EXPIRED,
            Certainty.LIKELY,
        ),  # closing one sends no LeaveGroup
        (gone(200, static=True, consumer=True, away=True), Why.SESSION_EXPIRED, Certainty.CERTAIN),
        (gone(300, consumer=True, revoking_since_ms=700_100), Why.REVOCATION_TIMEOUT, Certainty.LIKELY),
    ],
)
def test_silence_tells_the_way(departure: Departure, reason: Why, certainty: Certainty) -> None:
    verdict = judge(departure)
    assert (verdict.reason, verdict.certainty, verdict.member) == (reason, certainty, "a-id"), verdict


def test_two_ways_that_fit_are_a_guess_and_both_are_told() -> None:
    departure = gone(46_000)
    departure.poll_ms = 45_500
    verdict = judge(departure)
    assert verdict.certainty == Certainty.GUESS
    assert "fits as well" in verdict.doubts


def test_who_is_back_from_the_same_place_was_not_dead() -> None:
    departure = gone(46_000, back_ms=1_002_000)
    departure.poll_ms = 45_500
    assert judge(departure).reason == Why.POLL_INTERVAL_EXCEEDED


def test_a_member_that_commits_seldom_is_judged_by_its_own_rhythm() -> None:
    assert judge(gone(20_000, every_ms=30_000)).reason == Why.MEMBER_LEFT
    both = judge(gone(60_000, every_ms=30_000))
    assert (both.reason, both.certainty) == (Why.SESSION_EXPIRED, Certainty.LIKELY)


def test_without_timeouts_silence_is_a_guess() -> None:
    departure = gone(46_000)
    departure.session_ms = departure.poll_ms = None
    verdict = judge(departure)
    assert (verdict.reason, verdict.certainty) == (Why.SESSION_EXPIRED, Certainty.GUESS)
    assert "timeouts are not known" in verdict.doubts


@pytest.mark.parametrize(
    ("line", "silence_ms", "reason", "certainty"),
    [
        (Line(LineKind.EXPIRED, "g", "a-id"), 600_000, Why.SESSION_EXPIRED, Certainty.CERTAIN),
        (
            Line(LineKind.LEFT, "g", "a-id", "the consumer is being closed"),
            46_000,
            Why.MEMBER_LEFT,
            Certainty.CERTAIN,
        ),
        (
            Line(LineKind.LEFT, "g", "a-id", "consumer poll timeout has expired."),
            600_000,
            Why.POLL_INTERVAL_EXCEEDED,
            Certainty.CERTAIN,
        ),
        (Line(LineKind.LEFT, "g", "a-id"), 300, Why.MEMBER_LEFT, Certainty.CERTAIN),
        (Line(LineKind.LEFT, "g", "a-id"), 300_200, Why.POLL_INTERVAL_EXCEEDED, Certainty.LIKELY),
        (Line(LineKind.LEFT, "g", "a-id"), 45_600, Why.MEMBER_LEFT, Certainty.LIKELY),
        (Line(LineKind.STUCK, "g", "a-id", "it failed to …"), 300, Why.REVOCATION_TIMEOUT, Certainty.CERTAIN),
    ],
)
def test_a_brokers_log_knows_better(line: Line, silence_ms: int, reason: Why, certainty: Certainty) -> None:
    verdict = judge(gone(silence_ms, logged=line))
    assert (verdict.reason, verdict.certainty) == (reason, certainty), verdict


def test_a_session_that_expired_because_nobody_polled() -> None:
    """The broker sees an expired session; the process was alive all the time, and is back with the same member id."""
    line = Line(LineKind.EXPIRED, "g", "a-id", "the member session expired")
    departure = gone(345_500, consumer=True, back_ms=1_001_000, same_process=True, logged=line)
    verdict = judge(departure)
    assert (verdict.reason, verdict.certainty) == (Why.POLL_INTERVAL_EXCEEDED, Certainty.LIKELY)
    assert "its session expired" in verdict.evidence


def test_where_nobody_committed_silence_says_little() -> None:
    verdict = judge(gone(45_600, quiet=True))
    assert (verdict.reason, verdict.certainty) == (Why.SESSION_EXPIRED, Certainty.GUESS)
    assert "nothing to read" in verdict.doubts


def test_a_member_that_has_hardly_begun_is_judged_by_what_is_usual() -> None:
    departure = gone(49_000)
    departure.signs_ms = departure.signs_ms[-2:]
    verdict = judge(departure)
    assert (verdict.reason, verdict.certainty) == (Why.SESSION_EXPIRED, Certainty.LIKELY)


def test_a_silence_between_timeouts_names_all_that_it_may_have_been() -> None:
    """The broker was frozen: sessions that were over meanwhile end when it goes on, and their members come back."""
    for back_ms in (None, 1_000_500):
        verdict = judge(gone(120_000, back_ms=back_ms))
        assert verdict.certainty == Certainty.GUESS
        assert "its session may have expired" in verdict.doubts
        assert "longer than any" not in verdict.evidence  # the poll interval is longer
    assert "polled too seldom" in judge(gone(600_000)).doubts


@pytest.mark.parametrize("back_ms", [None, 1_000_500])
def test_a_commit_after_a_long_silence_does_not_rule_out_an_expired_session(back_ms: int | None) -> None:
    """What waited while the broker was frozen is committed when it goes on, and then sessions end."""
    departure = gone(300, consumer=True, back_ms=back_ms)
    *before, last_ms = departure.signs_ms
    departure.signs_ms = (*(each - 60_000 for each in before), last_ms)
    verdict = judge(departure)
    assert (verdict.reason, verdict.certainty) == (Why.MEMBER_LEFT, Certainty.GUESS)
    assert "an expired session fits as well" in verdict.doubts
