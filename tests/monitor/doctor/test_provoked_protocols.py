"""Rules about protocols and members, each in the situation that it is about, on Apache Kafka and on Rota's broker."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.kafka.ports import PATIENCE_S
from tests.monitor.doctor.ward import Ward

from rota.monitor.findings import Certainty, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.clients.desk import Desk
    from tests.clients.member import Member

    from rota.monitor.doctor import Evidence


def ward(desk: Desk, group: str) -> Ward:
    return Ward(desk.bootstrap_servers, group)


def stable(members: int) -> Callable[[Evidence], bool]:
    """Whether the group has so many members and is at rest."""
    return lambda evidence: evidence.facts.state == "Stable" and len(evidence.facts.members) == members


@contextmanager
def busy(member: Member) -> Iterator[None]:
    """It works on something between two polls all the while; its heartbeats go on."""
    done = threading.Event()
    member.do_later(lambda _: done.wait(PATIENCE_S))  # type: ignore[attr-defined]
    try:
        yield
    finally:
        done.set()


def test_d15_a_leader_that_subscribes_again_and_again(desk: Desk) -> None:
    """librdkafka: subscribe() in the loop. Only the leader's makes a rebalance."""
    topic, group = desk.topic("again", 4), desk.name("again")
    leader = desk.member("confluent", group, topic)
    leader.wait_owns(4)
    with ward(desk, group) as doctor:
        for _ in range(4):
            since = len(leader.events)
            leader.subscribe_to([topic])  # type: ignore[attr-defined]
            leader.wait_event("assigned", since)
        found = doctor.sees("D15")
        assert leader.name in found.words


def test_d15_stays_silent_while_members_come_and_go(desk: Desk) -> None:
    """As many generations, each with other members."""
    topic, group = desk.topic("coming", 4), desk.name("coming")
    first = desk.member("confluent", group, topic)
    first.wait_owns(4)
    with ward(desk, group) as doctor:
        for _ in range(2):
            second = desk.member("confluent", group, topic)
            second.wait_owns(2)
            second.stop()
            first.wait_owns(4)
        doctor.stays_silent("D15", stable(1))


def test_d16_everybody_waits_for_a_slow_member(desk: Desk) -> None:
    """Three members, one of them busy for some time when a fourth comes: all 12 partitions stand still meanwhile."""
    topic, group = desk.topic("eager", 12), desk.name("eager")
    members = [desk.member("confluent", group, topic, strategy="roundrobin") for _ in range(3)]
    desk.wait_stable(group, members, [(topic, number) for number in range(12)])
    with ward(desk, group) as doctor:
        doctor.settles(stable(3), looks=1)
        with busy(members[0]):
            desk.member("confluent", group, topic, strategy="roundrobin")
            doctor.settles(lambda evidence: evidence.facts.is_rebalancing, looks=5)
        found = doctor.sees("D16")
        assert "stopped all 12 partitions" in found.words
        assert "only 3 had to move" in found.words


def test_d16_stays_silent_about_a_quick_rebalance(desk: Desk) -> None:
    """The same with members that poll often."""
    topic, group = desk.topic("quick", 12), desk.name("quick")
    members = [desk.member("confluent", group, topic, strategy="roundrobin") for _ in range(2)]
    desk.wait_stable(group, members, [(topic, number) for number in range(12)])
    with ward(desk, group) as doctor:
        doctor.settles(stable(2), looks=1)
        members.append(desk.member("confluent", group, topic, strategy="roundrobin"))
        desk.wait_stable(group, members, [(topic, number) for number in range(12)])
        doctor.stays_silent("D16", stable(3))


def test_d17_an_upgrade_that_is_not_finished(odd_desk: Desk) -> None:
    """A consumer group (KIP-848) with a member of the classic protocol in it; and then without."""
    topic, group = odd_desk.topic("mixed", 4), odd_desk.name("mixed")
    odd_desk.member("confluent-848", group, topic).wait_owns(4)
    old = odd_desk.member("confluent", group, topic, strategy="range")
    with ward(odd_desk, group) as doctor:
        found = doctor.sees(
            "D17", lambda finding: f"assignors of {old.name}" in {line.what for line in finding.evidence}
        )
        assert old.name in found.words
        assert found.certainty == Certainty.CERTAIN
        assert found.severity == Severity.INFO  # it joined a moment ago
        old.stop()
        doctor.stays_silent("D17", stable(1))


def test_d17_an_old_deployment_makes_a_group_eager_again(desk: Desk) -> None:
    """The cooperative member goes, and one comes that knows only range."""
    topic, group = desk.topic("back", 4), desk.name("back")
    new = desk.member("confluent", group, topic, strategy="cooperative-sticky")
    new.wait_owns(4)
    new.stop()
    old = desk.member("confluent", group, topic, strategy="range")
    old.wait_owns(4)
    with ward(desk, group) as doctor:
        found = doctor.sees("D17")
        assert "from cooperative-sticky back to range" in found.words
        assert old.name in found.words


def test_d18_a_member_does_not_let_go(odd_desk: Desk) -> None:
    """KIP-848: it is busy and does not poll; its heartbeats go on. When it polls again, all is well."""
    topic, group = odd_desk.topic("holder", 4), odd_desk.name("holder")
    holder = odd_desk.member("confluent-848", group, topic)
    holder.wait_owns(4)
    with ward(odd_desk, group) as doctor:
        with busy(holder):
            waiter = odd_desk.member("confluent-848", group, topic)
            found = doctor.sees("D18")
            assert found.words.startswith(f"{holder.name} has not let go of {topic} ")
            assert f"{waiter.name} waits for them" in found.words
            assert len(found.partitions) == 2
        waiter.wait_owns(2)
        doctor.stays_silent("D18", stable(2))


def test_d26_two_applications_in_one_group(desk: Desk) -> None:
    """One reads orders, the other mails; a third that reads both holds them together."""
    orders, mails = desk.topic("orders", 2), desk.topic("mails", 2)
    group = desk.name("shared")
    members: list[Member] = [desk.member("confluent", group, orders, client_id="billing")]
    members.append(desk.member("aiokafka", group, mails, client_id="mailer"))
    with ward(desk, group) as doctor:
        found = doctor.sees("D26", lambda finding: "mailer" in finding.words)
        assert f"billing reads {orders}" in found.words
        assert found.certainty == Certainty.CERTAIN
        desk.member("confluent", group, (orders, mails), client_id="both")
        doctor.stays_silent("D26", stable(3))


def test_d28_a_member_in_another_rack(odd_desk: Desk) -> None:
    """The broker is in the east. A member of the west reads from afar; one of the east, or of nowhere, does not."""
    from confluent_kafka import Consumer

    topic, group = odd_desk.topic("racks", 2), odd_desk.name("racks")
    described = odd_desk.admin.describe_cluster().result(PATIENCE_S)
    assert {node.rack for node in described.nodes} == {"east"}
    settings = {
        "bootstrap.servers": odd_desk.bootstrap_servers,
        "group.id": group,
        "group.protocol": "consumer",
        "client.id": "far",
        "log_level": 0,
    }
    for rack in ("west", "east", ""):
        consumer = Consumer({**settings, **({"client.rack": rack} if rack else {})})
        consumer.subscribe([topic])
        consumer.poll(0.1)
        with ward(odd_desk, group) as doctor:
            if rack == "west":
                found = doctor.sees("D28")
                assert found.words.startswith("2 of 2 partitions are read from another rack")
            else:
                doctor.stays_silent("D28", stable(1))
        consumer.close()
