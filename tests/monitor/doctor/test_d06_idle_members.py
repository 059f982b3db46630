"""D06: more members than partitions."""

from tests.monitor.doctor.cases import evidence
from tests.monitor.doctor.checks import alone, told


def test_two_members_more_than_partitions() -> None:
    """Each partition has its own member, and two are left over: they are named."""
    (found,) = alone(
        "D06",
        evidence("""
            group orders classic Stable range
              a: orders-0
              b: orders-1
              c subscribes=orders:
              d subscribes=orders:
              orders-0 5/5
              orders-1 5/5
        """),
    )
    assert found.words == (
        "2 of 4 members have no partition: with 2 partitions they never get work while the others live"
    )
    assert found.members == ("c-id", "d-id")
    assert "without a partition: c, d (DescribeGroups)" in told(found)


def test_a_member_waits_for_its_share() -> None:
    """While partitions change hands, and where a target is known, nobody is idle for good."""
    story = """
        group orders classic {} cooperative-sticky
          a: orders-0
          b subscribes=orders {}:
          orders-0 5/5
    """
    assert alone("D06", evidence(story.format("Stable", "")))
    assert not alone("D06", evidence(story.format("PreparingRebalance", "")))
    assert not alone("D06", evidence(story.format("Stable", "target=orders-1")))


def test_an_uneven_assignment_is_another_matter() -> None:
    """Somebody has two partitions: there would be work for who has none."""
    assert not alone(
        "D06",
        evidence("""
            group orders classic Stable range
              a: orders-0 orders-1
              b subscribes=orders:
              orders-0 5/5
              orders-1 5/5
        """),
    )
