"""D16: an eager rebalance stops partitions that stay where they are."""

from tests.monitor.doctor.cases import evidence
from tests.monitor.doctor.checks import alone, told
from tests.monitor.doctor.lifetimes import at, commits, life

GROUP = """
    group orders {} Stable {}
      a: orders-0 orders-1 orders-2
      b: orders-3
      orders-0 90/90
      orders-1 90/90
      orders-2 90/90
      orders-3 90/90
"""
JOIN = """
    0.0 done 1 range a=orders-0,orders-1,orders-2,orders-3
    5.0 started member-joined b
    {} done 2 range a=orders-0,orders-1,orders-2 b=orders-3
"""


def test_a_slow_member_keeps_everybody_waiting() -> None:
    """The rebalance took 4 s, and one of four partitions moved."""
    (found,) = alone("D16", evidence(GROUP.format("classic", "range"), events=life(JOIN.format("9.0"))))
    assert found.words == (
        "a rebalance stopped all 4 partitions for 4.0 s, and only 1 had to move: range is eager, everybody gives up "
        "everything first"
    )
    assert "partition seconds lost for nothing: 12" in told(found)


def test_a_quick_one_hurts_nobody() -> None:
    """In a healthy group it takes milliseconds."""
    assert not alone("D16", evidence(GROUP.format("classic", "range"), events=life(JOIN.format("5.2"))))


def test_other_protocols_do_not_stop() -> None:
    """The same rebalance under a cooperative assignor, and in a consumer group."""
    for kind in (("classic", "cooperative-sticky"), ("consumer", "range")):
        assert not alone("D16", evidence(GROUP.format(*kind), events=life(JOIN.format("9.0"))))


def test_a_hole_in_the_commits_tells_how_long() -> None:
    """`__consumer_offsets` tells when a rebalance was done, not when it began; commits came every 0.2 s before."""
    story = """
        0.0 done 1 range a=orders-0,orders-1,orders-2,orders-3
        8.0 done 2 range a=orders-0,orders-1,orders-2 b=orders-3
    """
    steps = [(n / 5, n) for n in range(25)]
    course = [*steps, *((8.1 + second, 30 + offset) for second, offset in steps)]
    held = commits(orders_0=course, orders_1=course, orders_2=course)
    (found,) = alone("D16", evidence(GROUP.format("classic", "range"), events=life(story), commits=held))
    assert "longest stop: 3.1 s (commits in __consumer_offsets)" in told(found)
    steady = [(n / 5, n) for n in range(60)]
    held = commits(orders_0=steady, orders_1=steady, orders_2=steady)
    assert not alone("D16", evidence(GROUP.format("classic", "range"), events=life(story), commits=held))


def test_several_looks_found_it_rebalancing() -> None:
    """Where nothing else is known."""
    from dataclasses import replace

    from rota.timeline.events import RebalanceCompleted

    seen = evidence(
        GROUP.format("classic", "range").replace("orders-0 90/90", "orders-0 90/90 90/90 90/90"), every_s=2
    )
    facts = seen.facts
    busy = replace(facts, state="PreparingRebalance")
    looks = [replace(look, groups={"orders": busy}) for look in seen.looks[:2]]
    all_, less = tuple(seen.facts.owners()), tuple(seen.facts.members[0].assignment)
    events = (
        RebalanceCompleted(at(-9), "orders", 1, "range", "a-id", {"a-id": all_}),
        RebalanceCompleted(at(3.5), "orders", 2, "range", "a-id", {"a-id": less, "b-id": all_[3:]}),
    )
    (found,) = alone("D16", replace(seen, looks=(*looks, seen.looks[2]), events=events))
    assert "longest stop: 3.5 s (DescribeGroups in several looks)" in told(found)
    # The first look was at another rebalance, which no look has seen the end of.
    other = RebalanceCompleted(at(1.9), "orders", 1, "range", "a-id", {"a-id": all_})
    (found,) = alone("D16", replace(seen, looks=(*looks, seen.looks[2]), events=(other, events[1])))
    assert "longest stop: 1.5 s (DescribeGroups in several looks)" in told(found)


def test_when_nearly_all_moves_nothing_is_lost_for_nothing() -> None:
    """The first member's departure moves what it had, whatever the assignor."""
    story = "0.0 done 1 range a=orders-0 c=orders-1,orders-2,orders-3\n1.0 started member-left c\n"
    story += "9.0 done 2 range a=orders-0,orders-1,orders-2 b=orders-3"
    assert not alone("D16", evidence(GROUP.format("classic", "range"), events=life(story)))
