"""Rules about commits and topics, each in the situation that it is about, on Apache Kafka and on Rota's broker."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from confluent_kafka import Consumer, Producer, TopicPartition
from tests.kafka.ports import PATIENCE_S, wait_until
from tests.monitor.doctor.ward import Ward, commit
from tests.monitor.doctor.workers import Stream

from rota.monitor.findings import Certainty, Severity

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.clients.desk import Desk

    from rota.monitor.doctor import Evidence


def ward(desk: Desk, group: str) -> Ward:
    return Ward(desk.bootstrap_servers, group)


def stable(members: int) -> Callable[[Evidence], bool]:
    return lambda evidence: evidence.facts.state == "Stable" and len(evidence.facts.members) == members


def commits_seen(evidence: Evidence) -> int:
    """How many commits `__consumer_offsets` tells of."""
    return sum(len(steps) for steps in (evidence.commits or {}).values())


def test_d19_a_loop_without_a_commit(desk: Desk) -> None:
    """It reads all that comes; another member of the group, which commits, is not named."""
    topic, group = desk.topic("never", 2), desk.name("never")
    desk.produce(topic, 20, 2)
    forgetful = desk.member("confluent", group, topic, client_id="forgetful")
    careful = desk.member("confluent", group, topic, client_id="careful", commit_each_poll=True)
    desk.wait_stable(group, [forgetful, careful], [(topic, 0), (topic, 1)], sizes=[1, 1])
    with ward(desk, group) as doctor, Stream(desk.bootstrap_servers, topic, {0: 10, 1: 10}):
        found = doctor.sees("D19")
        assert found.words.startswith("forgetful holds")
        assert found.members == tuple(
            each.member_id for each in view(doctor).facts.members if each.client_id == "forgetful"
        )


def view(doctor: Ward) -> Any:
    evidence = doctor.evidence()
    assert evidence is not None
    return evidence.view


def test_d20_auto_commit(desk: Desk) -> None:
    """librdkafka's, every 1.2 s; its look-alike commits after each record, as they come."""
    topic, group, other = desk.topic("clock", 2), desk.name("clock"), desk.name("work")
    by_clock = desk.member("confluent", group, topic, auto_commit_ms=1_200)
    by_work = desk.member("confluent", other, topic, commit_each_poll=True)
    with Stream(desk.bootstrap_servers, topic, {0: 50, 1: 50}):
        with ward(desk, group) as doctor:
            found = doctor.sees("D20")
            assert found.words.startswith(f"{by_clock.name} commits by the clock, every ")
            assert found.certainty == Certainty.GUESS
        with ward(desk, other) as doctor:
            by_work.wait_records(20)
            doctor.stays_silent("D20", lambda evidence: commits_seen(evidence) > 20)


def test_d22_an_empty_group_whose_offsets_do_not_live_long(desk: Desk, odd_desk: Desk) -> None:
    """Brokers that keep them for an hour; where they are kept for a week, nobody says a word in the first hours."""
    for table in (odd_desk, desk):
        topic, group = table.topic("rest", 1), table.name("rest")
        table.produce(topic, 5, 1)
        member = table.member("confluent", group, topic, commit_each_poll=True)
        member.wait_event("committed")
        member.stop()
        with ward(table, group) as doctor:
            if table is odd_desk:
                found = doctor.sees("D22", lambda finding: finding.severity == Severity.WARNING)
                assert "will be deleted on" in found.words
                assert found.evidence[0].what == "empty since"
            else:
                doctor.stays_silent(
                    "D22", lambda evidence: evidence.facts.state == "Empty" and evidence.recorded
                )


def test_d23_a_topic_is_made_again_under_a_consumer(desk: Desk) -> None:
    """The consumer runs on and commits where it was."""
    topic, group = desk.topic("anew", 1), desk.name("anew")
    desk.produce(topic, 50, 1)
    member = desk.member("confluent", group, topic)
    member.wait_records(50)
    with ward(desk, group) as doctor:
        commit_in(member, topic, 50)
        doctor.stays_silent("D23", lambda evidence: evidence.view.partitions[0].commit)
        desk.admin.delete_topics([topic])[topic].result(PATIENCE_S)
        wait_until("the topic is gone", lambda: topic not in desk.admin.list_topics(timeout=10).topics)
        make_again(desk, topic)
        desk.produce(topic, 5, 1)
        commit_in(member, topic, 50)
        found = doctor.sees("D23")
        assert found.words.startswith(f"{topic}-0 is committed at 50, 45 offsets beyond its end")
        assert (found.certainty, "made again" in found.words) == (Certainty.CERTAIN, True)


def polled(consumer: Consumer, stop: threading.Event) -> None:
    while not stop.is_set():
        consumer.poll(0.05)


def commit_in(member: Any, topic: str, offset: int) -> None:
    offsets = [TopicPartition(topic, 0, offset)]
    member.do(lambda client: client.commit(offsets=offsets, asynchronous=False))


def make_again(desk: Desk, topic: str) -> None:
    """Apache Kafka may still be at the deletion."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined]

    def made() -> bool:
        try:
            desk.admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(PATIENCE_S)
        except KafkaException:
            return False
        return True

    wait_until("the topic is made again", made)
    desk.wait_topic(topic, 1)


def test_d24_offsets_of_a_topic_that_was_given_up(desk: Desk) -> None:
    """A member reads one topic; the group once read another, in which records keep coming."""
    kept, given_up = desk.topic("kept", 1), desk.topic("given-up", 1)
    group = desk.name("stale")
    desk.produce(given_up, 30, 1)
    commit(desk, group, kept, 0)
    commit(desk, group, given_up, 10)
    member = desk.member("confluent", group, kept)
    member.wait_owns(1)
    with ward(desk, group) as doctor:
        found = doctor.sees("D24")
        assert found.words == (
            f"the group has offsets of {given_up}, which no member reads, and 20 records of its lag are theirs"
        )
        member.subscribe_to([kept, given_up])  # type: ignore[attr-defined]
        member.wait_owns(2)
        doctor.stays_silent("D24", stable(1))


def test_d25_a_transaction_that_is_left_open(desk: Desk) -> None:
    """A reader of committed records waits behind it; one of uncommitted records does not. Then it is committed."""
    topic = desk.topic("open", 1)
    desk.produce(topic, 5, 1)
    waits, reads_all = desk.name("waits"), desk.name("reads-all")
    producer = Producer(
        {
            "bootstrap.servers": desk.bootstrap_servers,
            "transactional.id": desk.name("billing"),
            "transaction.timeout.ms": 60_000,
        }
    )
    producer.init_transactions(PATIENCE_S)
    producer.begin_transaction()
    producer.produce(topic, b"x", partition=0)
    assert producer.flush(PATIENCE_S) == 0
    desk.produce(topic, 5, 1)
    commit(desk, waits, topic, 5)
    commit(desk, reads_all, topic, 11)
    with ward(desk, waits) as doctor:
        found = doctor.sees("D25")
        assert f"has been open in {topic}-0 for" in found.words
        assert "billing" in found.words
        assert "6 offsets behind it" in found.words
        assert found.severity == Severity.INFO
        with ward(desk, reads_all) as other:
            other.stays_silent("D25", lambda evidence: evidence.view.partitions)
        producer.commit_transaction(PATIENCE_S)
        doctor.stays_silent("D25", lambda evidence: evidence.view.partitions[0].blocked_by_transaction == 0)


def test_d29_a_commit_for_each_record(desk: Desk, broker_kind: str) -> None:
    """Asynchronous commits, as fast as records come: Apache Kafka gets through some 170 a second, and heartbeats wait.

    Rota's broker answers them as fast as librdkafka sends them: the same program harms nobody there.
    """
    topic, group = desk.topic("flood", 1), desk.name("flood")
    desk.produce(topic, 900, 1)
    settings = {
        "bootstrap.servers": desk.bootstrap_servers,
        "group.id": group,
        "client.id": "hasty",
        "session.timeout.ms": 1_500,
        "heartbeat.interval.ms": 300,
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "log_level": 0,
    }
    events: list[str] = []
    read = 0
    consumer = Consumer(settings)
    consumer.subscribe([topic], on_lost=lambda *_: events.append("lost"))
    with ward(desk, group) as doctor:
        deadline = time.monotonic() + PATIENCE_S
        while read < 900 and time.monotonic() < deadline:
            message = consumer.poll(0.1)
            if message is not None and message.error() is None:
                read += 1
                consumer.commit(message=message, asynchronous=True)
        if broker_kind == "rota":
            wait_until("everything is committed", lambda: desk.committed(group) == {(topic, 0): 900})
            doctor.stays_silent("D29", lambda evidence: evidence.view.totals.lag == 0)
            assert not events
        else:
            stop = threading.Event()
            poller = threading.Thread(target=polled, args=(consumer, stop))
            poller.start()
            try:
                found = doctor.sees("D29", lambda finding: finding.severity == Severity.WARNING)
            finally:
                stop.set()
                poller.join(PATIENCE_S)
            assert "hasty" in found.words
            assert events
    consumer.close()


def test_d29_stays_silent_about_commits_five_times_a_second(desk: Desk) -> None:
    """As rota.consumer does it."""
    topic, group = desk.topic("calm", 1), desk.name("calm")
    member = desk.member("confluent", group, topic, auto_commit_ms=200)
    with Stream(desk.bootstrap_servers, topic, {0: 200}), ward(desk, group) as doctor:
        member.wait_records(200)
        doctor.stays_silent("D29", lambda evidence: commits_seen(evidence) > 5)
