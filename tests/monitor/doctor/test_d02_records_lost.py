"""D02: records were deleted before they were read."""

from tests.monitor.doctor.cases import evidence, tp
from tests.monitor.doctor.checks import alone, told

from rota.monitor.findings import Severity


def test_a_commit_before_the_first_offset() -> None:
    """How many are gone, where, and how to go on at the first that is left."""
    (found,) = alone(
        "D02",
        evidence("""
            group orders classic Stable range
              a: orders-0 orders-1 orders-2
              orders-0 10/600 start=100
              orders-1 20/600 start=30
              orders-2 100/600 start=100
        """),
    )
    assert found.words == (
        "100 records of orders 0 and 1 were deleted before they were read; "
        "auto.offset.reset decides where the group goes on"
    )
    assert found.partitions == (tp("orders-0"), tp("orders-1"))
    assert "orders-0: first offset kept: 100 (ListOffsets)" in told(found)
    assert "--topic orders:0,1 --to-earliest" in found.commands[0]


def test_nobody_is_there() -> None:
    """A group without members will skip when it starts: a warning, nobody is losing anything now."""
    (found,) = alone("D02", evidence("group old classic Empty\norders-0 10/600 start=11"))
    assert found.severity is Severity.WARNING
    assert found.words.startswith("1 record of orders-0 was deleted before it was read")


def test_a_topic_that_the_group_has_left() -> None:
    """All members subscribe to something else: what is deleted there is nobody's loss."""
    assert not alone(
        "D02",
        evidence("""
            group orders classic Stable range
              a: orders-0
              orders-0 5/5
              former-0 10/600 start=100
        """),
    )


def test_a_commit_at_the_first_offset() -> None:
    """The next record is there."""
    assert not alone("D02", evidence("group orders classic Stable\na: orders-0\norders-0 100/600 start=100"))
