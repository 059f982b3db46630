"""D07: every partition has its own member, and the lag grows."""

from tests.monitor.doctor.cases import evidence
from tests.monitor.doctor.checks import alone, findings_of, told
from tests.monitor.doctor.test_d04_slow_handler import course

from rota.monitor.findings import Certainty

SLOW = course(0, 500, 50, 100)
GROUP = "group orders classic Stable range\na: orders-0\nb: orders-1\n"


def test_the_end_of_scaling_out() -> None:
    """All equally busy, all falling behind: told instead of D04."""
    whole = evidence(f"{GROUP}orders-0 {SLOW}\norders-1 {SLOW}")
    (found,) = alone("D07", whole)
    assert found.words == (
        "each of the 2 partitions has its own member and the lag of 1,600 still grows: "
        "more members would get nothing to do"
    )
    assert found.certainty is Certainty.LIKELY
    assert "records handled: 10/s (OffsetFetch)" in told(found)
    assert "have 4 partitions" in found.advice
    assert findings_of(whole) == ["D07"]


def test_members_with_several_partitions_can_be_helped() -> None:
    """More members would do."""
    text = f"group orders classic Stable range\na: orders-0 orders-1\norders-0 {SLOW}\norders-1 {SLOW}"
    assert not alone("D07", evidence(text))
    assert findings_of(evidence(text)) == ["D04"]


def test_one_slow_member_among_fast_ones() -> None:
    """The number of partitions is not what is wrong."""
    text = f"{GROUP}orders-0 {SLOW}\norders-1 {course(490, 500, 100, 100)}"
    assert not alone("D07", evidence(text))
    unlike = f"{GROUP}orders-0 {SLOW}\norders-1 {course(0, 500, 10, 100)}"
    assert not alone("D07", evidence(unlike))
