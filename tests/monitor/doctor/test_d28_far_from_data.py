"""D28: members read from another rack."""

from dataclasses import replace

from tests.monitor.doctor.cases import evidence
from tests.monitor.doctor.checks import alone, told

from rota.monitor.facts import Node
from rota.monitor.findings import Certainty, Finding

GROUP = """
    group orders consumer Stable uniform
      a rack={}: orders-0 orders-1
      orders-0 5/5
      orders-1 5/5
"""
NODES = (Node(1, "x", 1, "east"), Node(2, "y", 1, "west"), Node(3, "z", 1))
UNSET: dict[str, str] = {}
SELECTOR = "org.apache.kafka.common.replica.RackAwareReplicaSelector"


def of(
    rack: str = "west",
    leaders: tuple[int, int] = (1, 1),
    replicas: tuple[int, ...] = (1,),
    configs: dict[str, str] | None = UNSET,
    nodes: tuple[Node, ...] = NODES,
) -> list[Finding]:
    seen = evidence(GROUP.format(rack), broker_configs=configs, nodes=nodes)
    last = seen.looks[-1]
    topic = replace(
        last.topics["orders"], partitions=dict(enumerate(leaders)), replicas={0: replicas, 1: replicas}
    )
    return alone("D28", replace(seen, looks=(replace(last, topics={"orders": topic}),)))


def test_no_replica_is_near() -> None:
    """A member in the west, all data in the east."""
    (found,) = of()
    assert (
        found.words == "2 of 2 partitions are read from another rack: no replica is in the member's own rack"
    )
    assert "racks of the members: west" in told(found)
    assert "racks of the leaders: east (Metadata)" in told(found)


def test_a_replica_is_near_and_may_not_be_read() -> None:
    """Fetching from followers is off; where nobody knows the setting it is likely."""
    (found,) = of(replicas=(1, 2))
    assert "fetching from followers is off" in found.words
    assert (found.certainty, SELECTOR in found.advice) == (Certainty.CERTAIN, True)
    (found,) = of(replicas=(1, 2), configs=None)
    assert found.certainty == Certainty.LIKELY


def test_it_is_on() -> None:
    """Then a near replica is used, and only where none is near something is said."""
    assert not of(replicas=(1, 2), configs={"replica.selector.class": SELECTOR})
    assert of(replicas=(1,), configs={"replica.selector.class": SELECTOR})


def test_most_are_near() -> None:
    """Leaders are spread over the racks: some are always elsewhere."""
    assert not of(rack="east")
    assert of(leaders=(1, 2))
    three = (*NODES[:2], Node(3, "z", 1, "west"))
    assert not of(leaders=(3, 2), nodes=three)


def test_nobody_has_told_a_rack() -> None:
    """Neither the member, nor the broker that leads."""
    assert not of(rack="")
    assert not of(leaders=(3, 3))
