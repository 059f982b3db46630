"""D22: the group is empty, and its offsets will expire."""

from dataclasses import replace

from tests.monitor.doctor.cases import START_MS, evidence
from tests.monitor.doctor.checks import alone, told
from tests.monitor.doctor.lifetimes import commits

from rota.monitor.facts import GroupFacts
from rota.monitor.findings import Certainty, Finding, Severity

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
WEEK = {"offsets.retention.minutes": "10080"}
EMPTY = """
    group orders {} {} -
      orders-0 40/50
      orders-1 -/50
"""


def of(hours: float | None, kind: str = "classic", state: str = "Empty", **rest: object) -> list[Finding]:
    """Empty for so many hours (None: nobody knows)."""
    seen = evidence(EMPTY.format(kind, state), broker_configs=WEEK)
    if hours is not None:
        since = START_MS - round(hours * HOUR_MS)
        rest["recorded"] = GroupFacts("orders", kind.capitalize(), state, state_since_ms=since)
    return alone("D22", replace(seen, **rest))  # type: ignore[arg-type]


def test_its_last_day() -> None:
    """A warning with the day and the hour."""
    (found,) = of(6.5 * 24)
    assert "its offsets will be deleted on " in found.words
    assert "in 12 h; then auto.offset.reset decides" in found.words
    assert (found.severity, found.certainty) == (Severity.WARNING, Certainty.CERTAIN)
    assert "records not read: 10" in told(found)


def test_the_days_before() -> None:
    """Worth knowing after some hours; a member that was stopped an hour ago is not worth a word."""
    (found,) = of(48)
    assert found.severity == Severity.INFO
    assert not of(1)


def test_they_are_over_time() -> None:
    """Brokers look for expired offsets every ten minutes."""
    (found,) = of(7 * 24 + 0.1)
    assert "will be deleted at the next check for expired ones" in found.words


def test_a_consumer_group_counts_from_its_commits() -> None:
    """KIP-848: each offset expires that long after its own commit, whenever the last member left."""
    held = commits(orders_0=[(-6.5 * 86_400, 40)])
    (found,) = of(1, kind="consumer", commits=held)
    assert "in 12 h" in found.words
    assert "oldest commit: " in told(found)
    assert len(found.commands) == 2
    assert "lives as long again" in found.advice
    assert not of(6.5 * 24, kind="consumer", commits=commits(orders_0=[(-60, 40)]))


def test_nobody_knows_since_when() -> None:
    """`__consumer_offsets` cannot be read: a guess."""
    (found,) = of(None)
    assert (found.severity, found.certainty) == (Severity.INFO, Certainty.GUESS)
    assert "kept for 7 d after the last member left" in found.words


def test_groups_to_which_it_does_not_happen() -> None:
    """One with members, and one without offsets."""
    assert not of(6.5 * 24, state="Stable")
    bare = evidence("group orders classic Empty -\n orders-0 -/50", broker_configs=WEEK)
    assert not alone("D22", bare)


def test_a_setting_that_is_no_number_is_as_one_that_nobody_told() -> None:
    """Brokers of others answer what they like: Kafka's default is likely, and said to be it."""
    (found,) = of(6.5 * 24, broker_configs={"offsets.retention.minutes": "infinite"})
    assert found.certainty is Certainty.LIKELY
    assert "offsets.retention.minutes: 10080 (default)" in told(found)
