"""D09: rebalance after rebalance, told with its cause."""

from dataclasses import replace

from tests.monitor.doctor.cases import START_MS, evidence, tp
from tests.monitor.doctor.checks import alone, findings_of, told
from tests.monitor.doctor.histories import history

from rota.monitor.doctor import Evidence, diagnose
from rota.monitor.findings import Severity
from rota.monitor.view import RebalanceView
from rota.timeline.events import RebalanceCompleted

CALM = """
    group orders classic Stable range
      pod-1: orders-0
      orders-0 5/5
"""


def lived(text: str, now_s: float, look: str = CALM) -> Evidence:
    """The newest look so long after the history's beginning."""
    seen = evidence(look)
    start_ms = seen.at_ms - round(1000 * now_s)
    return replace(seen, events=history(text, start_ms=start_ms), events_since_ms=start_ms)


CHANGES = "\n".join(
    f"{10 * n} {'joins' if n % 2 == 0 else 'leaves'} pod-7@10.0.0.7 {'' if n % 2 == 0 else 'member-left'}"
    for n in range(10)
)


def test_a_storm_and_its_cause() -> None:
    """Ten rebalances; the member that flaps is named in the same finding."""
    (found,) = alone("D09", lived(CHANGES, 95))
    assert found.words == (
        "the group rebalanced 10 times within 90.5 s: nobody reads the partitions that change hands"
    )
    assert found.severity is Severity.CRITICAL
    assert "time spent in them: 5.0 s (6 %) (__consumer_offsets)" in told(found)
    (whole,) = [each for each in diagnose(lived(CHANGES, 95)).findings if each.rule == "D09"]
    assert whole.cause == "D10"
    assert "The cause: pod-7 (10.0.0.7) left and came back 4 times" in whole.words
    assert "D10" not in findings_of(lived(CHANGES, 95))


def test_a_storm_that_is_over() -> None:
    """It is told, but nobody needs to run."""
    (found,) = alone("D09", lived(CHANGES, 300))
    assert found.severity is Severity.WARNING
    assert ", the last 3 min ago" in found.words


def test_old_storms_are_history() -> None:
    """Half an hour ago."""
    assert not alone("D09", lived(CHANGES, 1800))


def test_a_group_that_grows() -> None:
    """Ten members that come one after the other: that is scaling out."""
    assert not alone("D09", lived("\n".join(f"{n} joins pod-{n}@10.0.0.{n}" for n in range(10)), 20))


def test_a_rebalance_that_does_not_end() -> None:
    """For 40 s, and for whom it waits."""
    look = CALM.replace("Stable", "PreparingRebalance").replace("5/5", "5/5 5/5 5/5 5/5 5/5")
    seen = replace(evidence(look), events=())
    (found,) = alone("D09", seen)
    assert found.words == "a rebalance has been going on for 40.0 s"
    waiting = RebalanceView(START_MS - 30_000, "pod-2 joined", {}, ("pod-1",))
    (found,) = alone("D09", replace(seen, view=replace(seen.view, rebalance=waiting)))
    assert found.words == "a rebalance has been going on for 70.0 s: it waits for pod-1"
    assert not alone("D09", replace(evidence(CALM.replace("Stable", "PreparingRebalance")), events=()))


def test_one_rebalance_after_the_other_is_not_one_that_does_not_end() -> None:
    """No look that is kept was between them: only the record tells that the first was done."""
    look = CALM.replace("Stable", "PreparingRebalance").replace("5/5", "5/5 5/5 5/5 5/5 5/5")
    done = RebalanceCompleted(
        START_MS + 35_000, "orders", 7, "range", "pod-1-id", {"pod-1-id": (tp("orders-0"),)}
    )
    assert not alone("D09", replace(evidence(look), events=(done,)))


def test_nothing_is_known() -> None:
    """Without any history the rule is not judged."""
    assert "D09" in {unjudged.rule for unjudged in diagnose(evidence(CALM)).unjudged}
