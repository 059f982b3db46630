"""D26: two applications under one group id."""

from dataclasses import replace

from tests.monitor.doctor.cases import evidence
from tests.monitor.doctor.checks import alone, told

from rota.monitor.findings import Certainty

TWO = """
    group orders classic Stable range
      billing-1: orders-0
      billing-2: orders-1
      {}: mails-0
      orders-0 5/5
      orders-1 5/5
      mails-0 5/5
"""


def test_members_without_a_common_topic() -> None:
    """Who reads what; certain where the names are of two families."""
    (found,) = alone("D26", evidence(TWO.format("mailer-7f9c4-x2")))
    assert found.words == (
        "2 applications share this group id: billing-1 and billing-2 read orders and mailer-7f9c4-x2 reads mails; "
        "whenever one is restarted, the other rebalances too"
    )
    assert found.certainty == Certainty.CERTAIN
    assert "subscription of mailer-7f9c4-x2: mails (DescribeGroups)" in told(found)


def test_the_same_family() -> None:
    """Likely: clients' names say little where they are the library's default."""
    (found,) = alone("D26", evidence(TWO.format("billing-3")))
    assert found.certainty == Certainty.LIKELY


def test_topics_in_common_hold_them_together() -> None:
    """Also over a third member: a rolling restart that adds a topic looks so."""
    chain = """
        group orders classic Stable range
          a subscribes=orders: orders-0
          b subscribes=orders,mails: mails-0
          c subscribes=mails: mails-1
          orders-0 5/5
          mails-0 5/5
          mails-1 5/5
    """
    assert not alone("D26", evidence(chain))
    assert alone("D26", evidence(chain.replace("subscribes=orders,mails", "subscribes=mails")))


def test_what_is_not_known_is_not_judged() -> None:
    """A pattern, a subscription that cannot be read."""
    seen = evidence(TWO.format("mailer"))
    for change in ({"regex": "o.*"}, {"subscription": None}):
        first, *others = seen.facts.members
        facts = replace(seen.facts, members=(replace(first, **change), *others))
        assert not alone("D26", replace(seen, view=replace(seen.view, facts=facts)))
