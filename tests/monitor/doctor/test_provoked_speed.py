"""Rules about lag and shares, each in the situation that it is about, on Apache Kafka and on Rota's broker."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from confluent_kafka import Producer
from tests.clients.desk import Desk
from tests.kafka.ports import PATIENCE_S
from tests.monitor.doctor.ward import Ward, commit, cut, printed_tool
from tests.monitor.doctor.workers import Stream, Worker

from rota.monitor.findings import Certainty, Severity

if TYPE_CHECKING:
    from collections.abc import Callable

    from rota.monitor.doctor import Evidence

DAY_MS = 86_400_000


def stable(members: int) -> Callable[[Evidence], bool]:
    """Whether the group has so many members and is at rest."""
    return lambda evidence: evidence.facts.state == "Stable" and len(evidence.facts.members) == members


def test_d01_records_that_are_nearly_as_old_as_the_retention(desk: Desk) -> None:
    """23 of 24 hours, by the timestamps of the records; then the group goes on to a fresh one."""
    topic, group = desk.topic("old", 1, {"retention.ms": str(DAY_MS)}), desk.name("old")
    producer = Producer({"bootstrap.servers": desk.bootstrap_servers, "log_level": 0})
    now_ms = round(time.time() * 1000)
    for hours in (23, 23, 0):
        producer.produce(topic, b"x", partition=0, timestamp=now_ms - hours * 3_600_000)
    assert producer.flush(PATIENCE_S) == 0
    commit(desk, group, topic, 0)
    with Ward(desk.bootstrap_servers, group) as doctor:
        found = doctor.sees("D01")
        assert (found.severity, found.certainty) == (Severity.CRITICAL, Certainty.CERTAIN)
        assert "the first go in about 1 h, 3 wait" in found.words
        if desk.broker.kind == "kafka":  # the tools are tried against the broker that they come with
            assert "Completed updating config" in printed_tool(desk, found.commands[0])
        commit(desk, group, topic, 2)
        doctor.stays_silent("D01", lambda evidence: evidence.view.totals.lag == 1)


def test_d01_and_d02_a_log_that_is_cut_past_the_group(desk: Desk) -> None:
    """First the beginning comes near to what the group has not read, then it goes beyond."""
    topic, group = desk.topic("cut", 1), desk.name("cut")
    desk.produce(topic, 100, 1)
    commit(desk, group, topic, 50)
    with Ward(desk.bootstrap_servers, group) as doctor:
        doctor.stays_silent("D01", lambda evidence: evidence.view.totals.lag == 50)
        for before in (20, 40):
            doctor.evidence()
            cut(desk, topic, before)
        found = doctor.sees("D01")
        assert "50 wait to be read" in found.words
        cut(desk, topic, 70)
        lost = doctor.sees("D02")
        assert lost.words.startswith(f"20 records of {topic}-0 were deleted before they were read")
        assert lost.severity is Severity.WARNING  # nobody is in the group now
        commit(desk, group, topic, 70)
        doctor.stays_silent("D02", lambda evidence: not any(part.lost for part in evidence.view.partitions))


def test_d03_a_record_that_cannot_be_handled(desk: Desk) -> None:
    """It comes back for ever, while the member goes on with its other partition; then the handler is mended."""
    topic, group, at = desk.topic("poison", 2), desk.name("poison"), desk.bootstrap_servers
    with (
        Worker(at, group, topic, client_id="pod-1", cursed=frozenset({(1, 17)})) as worker,
        Stream(at, topic, {0: 20, 1: 20}),
        Ward(at, group) as doctor,
    ):
        found = doctor.sees("D03")
        assert found.words.startswith(f"{topic}-1 is stuck at offset 17 for ")
        assert any("key 'key', 20 bytes" in line.value for line in found.evidence)
        assert not doctor.checkup.is_calm
        if desk.broker.kind == "kafka":
            assert printed_tool(desk, found.commands[0]).strip() == f"key\t{'x' * 20}"
        worker.cursed = frozenset()
        doctor.stays_silent("D03", lambda evidence: evidence.view.totals.lag < 10)


def keeps_up(evidence: Evidence) -> bool:
    """Whether everything is committed, and nearly everything is read."""
    return all(part.lag is not None and part.lag < 20 for part in evidence.view.partitions)


def test_d04_d07_and_d05_slow_then_at_the_end_of_scaling_then_hot(desk: Desk) -> None:
    """One slow member; then one for each partition, and still too slow; then most goes to one partition."""
    topic, group, at = desk.topic("speed", 2), desk.name("speed"), desk.bootstrap_servers
    with (
        Worker(at, group, topic, client_id="a") as first,
        Stream(at, topic, {0: 60, 1: 60}) as stream,
    ):
        with Ward(at, group) as doctor:
            doctor.settles(lambda seen: stable(1)(seen) and len(seen.view.partitions) == 2 and keeps_up(seen))
        first.delay_s = 0.1
        with Ward(at, group) as doctor:
            found = doctor.sees("D04")
            assert found.words.startswith("a is too slow: it handles ")
        with Worker(at, group, topic, client_id="b", delay_s=0.1) as second:
            second.wait_owns(1)
            with Ward(at, group) as doctor:
                found = doctor.sees("D07")
                assert "each of the 2 partitions has its own member" in found.words
                assert not any(each.rule == "D04" for each in doctor.checkup.diagnoses()[group].findings)
            own = {part for _, part in first.owned}
            first.delay_s, stream.per_s = 0.0, {part: 10 if part in own else 90 for part in (0, 1)}
            with Ward(at, group) as doctor:
                hot = doctor.sees("D05")
                assert hot.words.startswith(f"{topic}-{1 - own.pop()} gets ")


def test_members_that_keep_up(desk: Desk) -> None:
    """The same traffic: nobody is slow, no partition is hot, there are enough partitions."""
    topic, group, at = desk.topic("well", 2), desk.name("well"), desk.bootstrap_servers
    with (
        Worker(at, group, topic, client_id="a") as first,
        Worker(at, group, topic, client_id="b"),
        Stream(at, topic, {0: 10, 1: 90}),
        Ward(at, group) as doctor,
    ):
        first.wait_owns(1)
        seen = doctor.settles(lambda seen: stable(2)(seen) and seen.view.totals.lag < 50 and seen.span_s > 1)
        assert seen.view.totals.rates.produced_per_s
        names = {each.rule for each in doctor.checkup.diagnoses()[group].findings}
        assert not {"D03", "D04", "D05", "D07"} & names


def test_d30_nobody_is_there_any_more(desk: Desk) -> None:
    """The only member ends, and records go on to come; then somebody reads again."""
    topic, group, at = desk.topic("gone", 2), desk.name("gone"), desk.bootstrap_servers
    with Stream(at, topic, {0: 20, 1: 20}), Ward(at, group) as doctor:
        with Worker(at, group, topic, client_id="a"):
            doctor.stays_silent("D30", lambda seen: stable(1)(seen) and keeps_up(seen))
        found = doctor.sees("D30")
        assert found.severity is Severity.CRITICAL
        assert "nobody is in the group for " in found.words
        with Worker(at, group, topic, client_id="b"):
            doctor.stays_silent("D30", stable(1))


def test_d06_and_d08_idle_members(desk: Desk) -> None:
    """Three topics of one partition: range gives all to one member. Of one topic with one, the other is too many."""
    topics = tuple(sorted(desk.topic("share", 1) for _ in range(3)))
    uneven, idle = desk.name("uneven"), desk.name("idle")
    for group, read in ((uneven, topics), (idle, topics[:1])):
        for name in ("a", "b"):
            desk.member("confluent", group, read, client_id=f"{group}-{name}")
    with Ward(desk.bootstrap_servers, uneven) as doctor:
        found = doctor.sees("D08")
        assert "range gives" in found.words
        assert "3 partitions" in found.words
        doctor.stays_silent("D06", stable(2))
    with Ward(desk.bootstrap_servers, idle) as doctor:
        found = doctor.sees("D06")
        assert found.words.startswith("1 of 2 members has no partition")
        doctor.stays_silent("D08", stable(2))
        assert doctor.checkup.is_calm
