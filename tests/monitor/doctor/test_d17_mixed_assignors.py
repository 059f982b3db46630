"""D17: members do not speak alike."""

import pytest
from tests.monitor.doctor.cases import evidence
from tests.monitor.doctor.checks import alone, told
from tests.monitor.doctor.lifetimes import life

from rota.monitor.findings import Severity

HALF = """
    group orders consumer Stable uniform
      a upgraded=yes: orders-0
      b upgraded={}: orders-1
      orders-0 5/5
      orders-1 5/5
"""


def test_one_member_was_forgotten_in_the_upgrade() -> None:
    """Old members in a consumer group are named; a warning where nobody joined lately."""
    (found,) = alone("D17", evidence(HALF.format("no")))
    assert found.words == (
        "1 of 2 members still speaks the classic protocol (b): the move to group.protocol=consumer is not finished"
    )
    assert (found.severity, found.members) == (Severity.WARNING, ("b-id",))


def test_a_rollout_that_goes_on_is_worth_knowing() -> None:
    """Somebody joined a moment ago."""
    (found,) = alone("D17", evidence(HALF.format("no"), events=life("-5 joined a")))
    assert found.severity == Severity.INFO
    (found,) = alone("D17", evidence(HALF.format("no"), events=life("-5000 joined a")))
    assert found.severity == Severity.WARNING


def test_a_group_of_one_protocol() -> None:
    """All of them new, or none."""
    assert not alone("D17", evidence(HALF.format("yes")))
    assert not alone("D17", evidence(HALF.replace("upgraded=yes", "upgraded=no").format("no")))


def test_the_assignors_of_old_members() -> None:
    """Where `__consumer_offsets` was read."""
    known = evidence(HALF.format("no protocols=range,roundrobin"))
    (found,) = alone("D17", evidence(HALF.format("no"), recorded=known.facts))
    assert "assignors of b: range and roundrobin (__consumer_offsets)" in told(found)


CLASSIC = """
    group orders classic Stable range
      a: orders-0
      b: orders-1
      orders-0 5/5
      orders-1 5/5
"""


def test_a_member_makes_a_cooperative_group_eager_again() -> None:
    """The generation in which it came is known, and so is it."""
    story = """
        -99 done 1 cooperative-sticky a=orders-0,orders-1
        -50 joined b
        -50 done 2 range a=orders-0 b=orders-1
        -20 done 3 range a=orders-0 b=orders-1
    """
    (found,) = alone("D17", evidence(CLASSIC, events=life(story)))
    assert "went from cooperative-sticky back to range in generation 2, when b joined" in found.words
    assert found.members == ("b-id",)


@pytest.mark.parametrize(
    "protocols", [("range", "cooperative-sticky"), ("range", "range"), ("range", "sticky")]
)
def test_an_upgrade_and_a_change_between_eager_ones(protocols: tuple[str, str]) -> None:
    """From eager to cooperative is as it should be."""
    before, after = protocols
    story = f"-99 done 1 {before} a=orders-0,orders-1\n-50 joined b\n-50 done 2 {after} a=orders-0 b=orders-1"
    text = CLASSIC.replace("Stable range", f"Stable {after}")
    assert not alone("D17", evidence(text, events=life(story)))


def test_all_its_members_were_replaced() -> None:
    """A rollback, or an old deployment that was started while the new one was down."""
    story = """
        -99 done 1 cooperative-sticky old=orders-0,orders-1
        -60 done 2 - leader=old
        -50 joined a
        -50 done 3 range a=orders-0,orders-1
    """
    (found,) = alone("D17", evidence(CLASSIC, events=life(story)))
    assert found.words.endswith("in generation 3, when a joined: all its members are others")
