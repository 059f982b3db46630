"""D18: a member of a consumer group does not let go of partitions."""

from dataclasses import replace

from tests.monitor.doctor.cases import evidence, tp
from tests.monitor.doctor.checks import alone, told
from tests.monitor.doctor.lifetimes import life

from rota.monitor.findings import Certainty

STUCK = """
    group orders consumer Reconciling uniform epoch=2
      holder epoch=1 target=orders-0,orders-1: orders-0 orders-1
      waiter epoch=2 target=orders-2,orders-3 subscribes=orders:
      orders-0 5/5 5/5 5/5
      orders-1 5/5
"""


def test_a_member_holds_what_another_waits_for() -> None:
    """It is behind the group's epoch although it has its share; the other's share is nobody's. For 20 s."""
    (found,) = alone("D18", evidence(STUCK))
    assert found.words == "holder has not let go of orders 2 and 3 for 20.0 s, and waiter waits for them"
    assert (found.members, found.certainty) == (("holder-id",), Certainty.CERTAIN)
    assert found.partitions == (tp("orders-2"), tp("orders-3"))
    assert "epoch of holder: 1 (the group is at 2) (ConsumerGroupDescribe)" in told(found)


def test_the_record_of_what_it_gives_up_counts_first() -> None:
    """And its rebalance timeout tells when it will be thrown out."""
    seen = evidence(STUCK)
    holder = next(member for member in seen.facts.members if member.client_id == "holder")
    recorded = replace(
        seen.facts, members=(replace(holder, revoking=(tp("orders-3"),), rebalance_timeout_ms=60_000),)
    )
    (found,) = alone("D18", replace(seen, recorded=recorded))
    assert found.words.startswith("holder has not let go of orders-3 for")
    assert "throws it out after 60.0 s" in found.advice


def test_one_look_and_the_beginning_of_the_rebalance() -> None:
    """What `__consumer_offsets` tells of its beginning replaces the looks."""
    one = STUCK.replace(" 5/5 5/5", "")
    assert not alone("D18", evidence(one))
    assert alone("D18", evidence(one, events=life("-30 started member-joined waiter")))
    assert not alone("D18", evidence(one, events=life("-3 started member-joined waiter")))


def test_within_two_heartbeats_nobody_is_late() -> None:
    """Members learn what to give up with their next heartbeat, and say that they did with the one after."""
    assert not alone("D18", evidence(STUCK, every_s=4))
    assert alone("D18", evidence(STUCK, every_s=4, group_configs={"consumer.heartbeat.interval.ms": "500"}))
    slow = {"group.consumer.heartbeat.interval.ms": "15000"}
    assert not alone("D18", evidence(STUCK, every_s=10, broker_configs=slow))


def test_a_group_that_moves_on() -> None:
    """The same rebalance with another epoch in each look is one after the other, not one that hangs."""
    seen = evidence(STUCK)
    early = replace(seen.looks[0].groups["orders"], epoch=1)
    moving = [replace(look, groups={"orders": early}) for look in seen.looks[:2]]
    assert not alone("D18", replace(seen, looks=(*moving, seen.looks[2])))


def test_a_settled_group_and_a_classic_one() -> None:
    """All at the epoch of the group; no epochs at all."""
    assert not alone(
        "D18", evidence(STUCK.replace("epoch=1", "epoch=2").replace("target=orders-2,orders-3", "target="))
    )
    assert not alone("D18", evidence("group orders classic Stable range\n  a: orders-0\n  orders-0 5/9 5/9"))
