"""D23: committed offsets that the partition has not got."""

from dataclasses import replace

from tests.monitor.doctor.cases import evidence, tp
from tests.monitor.doctor.checks import alone, told

from rota.monitor.doctor import Evidence
from rota.monitor.facts import PartitionFacts
from rota.monitor.findings import Certainty

BEYOND = """
    group orders classic Stable range
      a: orders-0 orders-1
      orders-0 500/12 500/12
      orders-1 7/12
"""


def with_epochs(committed: int | None, now: int | None) -> Evidence:
    seen = evidence(BEYOND)
    first, *others = seen.view.partitions
    assert first.commit is not None
    parts = (replace(first, commit=first.commit._replace(leader_epoch=committed)), *others)
    facts = dict(seen.looks[-1].partitions) | {tp("orders-0"): PartitionFacts(0, 12, 12, 1, now)}
    last = replace(seen.looks[-1], partitions=facts)
    return replace(seen, view=replace(seen.view, partitions=parts), looks=(seen.looks[0], last))


def test_a_commit_beyond_the_end() -> None:
    """What it is, by how much, and what will happen; why is not known."""
    (found,) = alone("D23", with_epochs(None, None))
    assert found.words == (
        "orders-0 is committed at 500, 488 offsets beyond its end: the topic was made again, or records at its end "
        "were lost"
    )
    assert (found.partitions, found.members, found.certainty) == (
        (tp("orders-0"),),
        ("a-id",),
        Certainty.LIKELY,
    )
    assert "orders-0: end: 12 (ListOffsets)" in told(found)


def test_the_epoch_is_younger_than_the_leaders() -> None:
    """Epochs only grow while a topic lives: it was made again."""
    (found,) = alone("D23", with_epochs(4, 0))
    assert "so the topic was made again" in found.words
    assert found.certainty == Certainty.CERTAIN
    (found,) = alone("D23", with_epochs(0, 4))
    assert "or its leader changed since" in found.words


def test_the_topic_was_made_again_while_it_was_watched() -> None:
    """Its id is another one."""
    seen = with_epochs(None, None)
    old = replace(seen.looks[0], topics={"orders": replace(seen.topics["orders"], topic_id="before")})
    (found,) = alone("D23", replace(seen, looks=(old, seen.looks[1])))
    assert "deleted and made again while it was watched" in found.words
    assert "topic id: id-of-orders, before before (Metadata)" in told(found)


def test_a_commit_at_the_end() -> None:
    """Whoever has read everything is not beyond it."""
    assert not alone("D23", evidence(BEYOND.replace("500/12", "12/12")))
