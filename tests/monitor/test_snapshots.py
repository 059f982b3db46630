"""The builder of looks, and what a look can be asked."""

from __future__ import annotations

from tests.monitor.snapshots import START_MS, look, looks, tp

from rota.monitor.facts import Commit, PartitionFacts

TEXT = """
group orders classic Stable cooperative-sticky
  pod-1 @10.0.0.1: orders-0 orders-1
  pod-2 static=b subscribes=orders,mails: orders-2
  orders-0  45000/50000
  orders-1  48000/50000  start=100  stable=49990
  orders-2  -/?  leaderless   # nobody leads it
group old consumer Empty
fail gone the coordinator does not answer
topic mails 4 compact id=Zm9v retention.ms=1000
"""


def test_a_look_is_made_of_what_its_lines_say() -> None:
    found = look(TEXT)
    orders = found.groups["orders"]
    assert (orders.type, orders.state, orders.assignor) == ("Classic", "Stable", "cooperative-sticky")
    assert [(m.client_id, m.host, m.instance_id, m.assignment) for m in orders.members] == [
        ("pod-1", "10.0.0.1", None, (tp("orders-0"), tp("orders-1"))),
        ("pod-2", "127.0.0.1", "b", (tp("orders-2"),)),
    ]
    assert orders.members[1].subscription == frozenset({"orders", "mails"})
    assert orders.owners()[tp("orders-2")].client_id == "pod-2"
    assert found.commits["orders"] == {tp("orders-0"): Commit(45_000), tp("orders-1"): Commit(48_000)}
    assert found.partitions[tp("orders-1")] == PartitionFacts(100, 50_000, 49_990, 1, 0)
    assert found.partitions[tp("orders-2")] == PartitionFacts(None, None, None, None, 0)
    assert (found.groups["old"].type, found.commits["old"]) == ("Consumer", {})
    assert str(found.failures["gone"]) == "the coordinator does not answer"
    mails = found.topics["mails"]
    assert (mails.topic_id, mails.is_compacted, len(mails.partitions)) == ("Zm9v", True, 4)
    assert mails.configs["retention.ms"] == "1000"
    assert found.topics["orders"].partitions == {0: 1, 1: 1, 2: None}


def test_a_later_look_needs_only_what_has_changed() -> None:
    first, second = looks(TEXT, "orders-0 46000/51000", every_ms=5_000)
    assert (first.at_ms, second.at_ms) == (START_MS, START_MS + 5_000)
    assert second.commits["orders"][tp("orders-0")].offset == 46_000
    assert second.partitions[tp("orders-0")].end == 51_000
    assert second.partitions[tp("orders-1")] == first.partitions[tp("orders-1")]
    assert second.groups == first.groups
