"""D14: members read different topics, or what they read changed."""

from dataclasses import replace

from tests.monitor.doctor.cases import evidence
from tests.monitor.doctor.checks import alone, told
from tests.monitor.doctor.test_d09_rebalance_storm import lived

from rota.monitor.findings import Severity

LOOK = """
    group orders classic Stable range
      a subscribes=orders: orders-0
      b subscribes=orders: orders-1
      c subscribes=orders,mails: mails-0
      orders-0 5/5
"""


def test_one_member_reads_more() -> None:
    """Who, and what."""
    (found,) = alone("D14", evidence(LOOK))
    assert found.words == "c reads mails and orders, the other 2 members orders"
    assert found.members == ("c-id",)
    assert "a and b: orders (DescribeGroups)" in told(found)


def test_look_alikes() -> None:
    """The same for all; what nobody could read; nothing in common is another rule's; a rebalance goes on."""
    assert not alone("D14", evidence(LOOK.replace("orders,mails", "orders")))
    assert not alone("D14", evidence(LOOK.replace("orders,mails", "mails")))
    assert not alone("D14", evidence(LOOK.replace("Stable", "PreparingRebalance")))
    seen = evidence(LOOK)
    unread = tuple(replace(member, subscription=None) for member in seen.facts.members)
    assert not alone("D14", replace(seen, view=replace(seen.view, facts=replace(seen.facts, members=unread))))


def test_partitions_were_added() -> None:
    """Once is worth knowing; again and again is a finding."""
    once = "0 joins a@10.0.0.1\n50 changes a partitions-added orders has 6 partitions, had 3"
    (found,) = alone("D14", lived(once, 60))
    assert found.severity is Severity.INFO
    assert found.words == "the group rebalanced because a topic's number of partitions changed"
    assert "last change: 10.0 s ago: orders has 6 partitions, had 3" in told(found)
    often = once + "".join(f"\n{60 + n} changes a subscription-changed" for n in range(3))
    (found,) = alone("D14", lived(often, 70))
    assert found.severity is Severity.WARNING
    assert "because a member's subscription changed, 4 times in 12.0 s" in found.words
