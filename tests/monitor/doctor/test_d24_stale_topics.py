"""D24: offsets of topics that nobody reads."""

import shlex
from dataclasses import replace

from tests.monitor.doctor.cases import evidence, tp
from tests.monitor.doctor.checks import alone, told

STALE = """
    group orders classic Stable range
      a: orders-0
      orders-0 90/90
      old.mails-0 10/500
      old.mails-1 500/500
"""


def test_offsets_of_a_topic_that_was_given_up() -> None:
    """With the part of the lag that nobody will work off, and the command that deletes them."""
    (found,) = alone("D24", evidence(STALE))
    assert found.words == (
        "the group has offsets of old.mails, which no member reads, and 490 records of its lag are theirs"
    )
    assert found.partitions == (tp("old.mails-0"), tp("old.mails-1"))
    (command,) = found.commands
    assert shlex.split(command)[:6] == ["rota", "groups", "delete-offsets", "orders", "--topic", "old.mails"]
    assert "subscriptions: orders (DescribeGroups)" in told(found)


def test_the_topic_is_gone_as_well() -> None:
    """Nobody will ever read it again."""
    seen = evidence(STALE)
    last = replace(seen.looks[-1], topics={"orders": seen.topics["orders"]})
    (found,) = alone("D24", replace(seen, looks=(last,)))
    assert "topics that are gone: old.mails (Metadata)" in told(found)


def test_somebody_subscribes_to_it() -> None:
    """A member that holds none of its partitions counts too, and one that is yet to get them."""
    assert not alone("D24", evidence(STALE.replace("a: orders-0", "a subscribes=orders,old.mails: orders-0")))
    assert not alone("D24", evidence(STALE.replace("a: orders-0", "a target=old.mails-0: orders-0")))


def test_a_pattern_matches_it() -> None:
    """KIP-848: the brokers keep the pattern; one that cannot be read says nothing."""
    seen = evidence(STALE)

    def matching(regex: str) -> bool:
        (member,) = seen.facts.members
        facts = replace(seen.facts, members=(replace(member, regex=regex, subscription=frozenset()),))
        return not alone("D24", replace(seen, view=replace(seen.view, facts=facts)))

    assert matching("old[.].*")
    assert matching("old[")
    assert not matching("new.*")


def test_nobody_knows_who_wants_what() -> None:
    """An empty group, a rebalance, a subscription that cannot be read."""
    assert not alone("D24", evidence(STALE.replace("      a: orders-0\n", "").replace("Stable", "Empty")))
    assert not alone("D24", evidence(STALE.replace("Stable", "PreparingRebalance")))
    seen = evidence(STALE)
    (member,) = seen.facts.members
    facts = replace(seen.facts, members=(replace(member, subscription=None),))
    assert not alone("D24", replace(seen, view=replace(seen.view, facts=facts)))
