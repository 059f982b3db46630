"""D30: a group without members whose topics are written to."""

from dataclasses import replace

from tests.monitor.doctor.cases import evidence, tp
from tests.monitor.doctor.checks import alone, findings_of, told

from rota.monitor.findings import Severity

STORY = """
    group orders classic Empty
      orders-0  100/200 100/300 100/400
      orders-1  50/50
"""


def test_records_come_and_nobody_reads() -> None:
    """How many, how fast; a group that is empty since a few minutes is worse than one that was given up."""
    seen = evidence(STORY)
    (found,) = alone("D30", seen)
    assert found.words == "nobody is in the group, and 10/s come: its lag of 300 grows"
    assert (found.severity, found.partitions) == (Severity.WARNING, (tp("orders-0"),))
    assert findings_of(seen) == ["D30"]
    recorded = replace(seen.facts, state_since_ms=seen.at_ms - 300_000)
    (found,) = alone("D30", replace(seen, recorded=recorded))
    assert found.severity is Severity.CRITICAL
    assert found.words.startswith("nobody is in the group for 5 min, and")
    assert "empty since: " in told(found)


def test_look_alikes() -> None:
    """Nothing comes; nothing is left to read; somebody is there; the group is just coming together."""
    for before, after in (
        ("100/200 100/300 100/400", "100/200 100/200 100/200"),
        ("100/200 100/300 100/400", "200/200 300/300 400/400"),
        ("classic Empty", "classic Stable\n      a: orders-0 orders-1"),
        ("classic Empty", "classic PreparingRebalance"),
    ):
        assert not alone("D30", evidence(STORY.replace(before, after)))
