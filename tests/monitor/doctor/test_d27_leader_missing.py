"""D27: partitions without a leader, or short of replicas."""

from dataclasses import replace

from tests.monitor.doctor.cases import evidence, tp
from tests.monitor.doctor.checks import alone, told

from rota.monitor.doctor import Evidence
from rota.monitor.findings import Severity

GROUP = """
    group orders classic Stable range
      a: orders-0 orders-1
      orders-0 5/5
      orders-1 5/{}
"""


def with_replicas(text: str, *in_sync: tuple[int, ...], **configs: str) -> Evidence:
    """Each partition has the replicas 1, 2 and 3; these of them are in sync."""
    seen = evidence(text)
    last = seen.looks[-1]
    topic = replace(
        last.topics["orders"],
        replicas=dict.fromkeys(range(len(in_sync)), (1, 2, 3)),
        in_sync=dict(enumerate(in_sync)),
        configs={name.replace("_", "."): value for name, value in configs.items()},
    )
    return replace(seen, looks=(replace(last, topics={"orders": topic}),))


def test_nobody_leads_a_partition() -> None:
    """Its brokers are named."""
    seen = with_replicas(GROUP.format("? leaderless"), (1, 2, 3), (3,))
    (found,) = alone("D27", seen)
    assert found.words == "orders-1 has no leader: nobody can read or write there, whatever the group does"
    assert (found.severity, found.partitions) == (Severity.WARNING, (tp("orders-1"),))
    assert "replicas: broker 1, 2 and 3 (Metadata)" in told(found)


def test_replicas_are_missing() -> None:
    """Reading goes on: worth knowing, and a warning where producers are refused."""
    (found,) = alone("D27", with_replicas(GROUP.format("5"), (1, 2, 3), (1,)))
    assert (found.severity, found.partitions) == (Severity.INFO, (tp("orders-1"),))
    assert found.words == "orders-1 lacks replicas that are in sync"
    assert "not in sync: broker 2 and 3" in told(found)
    (found,) = alone("D27", with_replicas(GROUP.format("5"), (1, 2), (1,), min_insync_replicas="2"))
    assert found.severity == Severity.WARNING
    assert (
        found.words
        == "orders 0 and 1 lack replicas that are in sync; orders-1 takes no records with acks=all"
    )


def test_all_are_well() -> None:
    """In sync everywhere, and where nobody asked about replicas."""
    assert not alone("D27", with_replicas(GROUP.format("5"), (3, 2, 1), (1, 2, 3), min_insync_replicas="2"))
    assert not alone("D27", evidence(GROUP.format("5")))
