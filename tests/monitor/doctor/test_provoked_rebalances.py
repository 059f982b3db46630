"""Rules about why groups rebalance, each in the situation that it is about, on Apache Kafka and on Rota's broker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.kafka.ports import wait_until
from tests.monitor.doctor.ward import Ward
from tests.monitor.doctor.workers import Stream, Worker

from rota.admin import Admin
from rota.monitor.doctor import Need, diagnose
from rota.monitor.findings import Severity
from rota.timeline.events import MemberJoined
from rota.watching.evidence import Checkup

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.clients.desk import Desk

    from rota.monitor.doctor import Evidence
    from rota.timeline.events import Event


def stable(members: int) -> Callable[[Evidence], bool]:
    """Whether the group has so many members and is at rest."""
    return lambda evidence: evidence.facts.state == "Stable" and len(evidence.facts.members) == members


def test_d09_and_d10_a_program_that_is_started_again_and_again(desk: Desk) -> None:
    """Four times, beside one that stays: the storm is told with its cause, in one finding."""
    topic, group = desk.topic("flap", 2), desk.name("flap")
    calm = desk.member("confluent", group, topic, client_id="calm")
    calm.wait_owns(2)
    with Ward(desk.bootstrap_servers, group) as doctor:
        for _ in range(4):
            flapping = desk.member("confluent", group, topic, client_id="flapping")
            flapping.wait_owns(1)
            flapping.stop()
        found = doctor.sees("D09", lambda found: found.cause == "D10")
        assert found.severity is Severity.CRITICAL
        assert "The cause: flapping (127.0.0.1) left and came back 3 times" in found.words
        evidence = doctor.settles(stable(1))
        assert "D10" not in {each.rule for each in diagnose(evidence).findings}


def test_d09_stays_silent_about_a_group_that_grows(desk: Desk) -> None:
    """Seven members, one after the other: as many rebalances, and nothing is wrong."""
    topic, group = desk.topic("grow", 7), desk.name("grow")
    members = []
    for number in range(7):
        members.append(desk.member("confluent", group, topic, client_id=f"grow-{number}"))
        members[-1].wait_owns(7 // (number + 1))
    with Ward(desk.bootstrap_servers, group) as doctor:
        doctor.stays_silent("D09", stable(7))


def test_d11_a_handler_that_takes_longer_than_the_poll_interval(desk: Desk) -> None:
    """It commits, works on one record for too long, and is back when it polls again."""
    topic, group, at = desk.topic("seldom", 2), desk.name("seldom"), desk.bootstrap_servers
    with (
        Worker(at, group, topic, client_id="busy", session_ms=1_500, poll_ms=1_500) as busy,
        Stream(at, topic, {0: 20, 1: 20}),
        Ward(at, group) as doctor,
    ):
        doctor.settles(lambda seen: stable(1)(seen) and seen.view.totals.lag < 20)
        busy.nap_s = 3.0
        found = doctor.sees("D11")
        assert found.words.startswith("busy (127.0.0.1) was thrown out for polling too seldom")
        assert found.words.endswith("max.poll.interval.ms (1.5 s)")
        doctor.sees("D11", lambda found: any(line.what == "back since" for line in found.evidence))


def test_d12_a_process_is_killed(desk: Desk) -> None:
    """With -9: nobody reads its partitions until its session is over. Beside it one says goodbye."""
    topic, group = desk.topic("kill", 2), desk.name("kill")
    stays = desk.member("confluent", group, topic, client_id="stays")
    dies = desk.process_member(
        "confluent", group, topic, client_id="dies", session_timeout_ms=4_000, auto_commit_ms=100
    )
    stays.wait_owns(1)
    dies.wait_owns(1)
    with Ward(desk.bootstrap_servers, group) as doctor, Stream(desk.bootstrap_servers, topic, {0: 20, 1: 20}):
        doctor.settles(lambda seen: stable(2)(seen) and any(part.commit for part in seen.view.partitions))
        dies.kill()
        found = doctor.sees("D12")
        assert found.words.startswith("dies (127.0.0.1) vanished without a word")
        polite = desk.member("confluent", group, topic, client_id="polite")
        polite.wait_owns(1)
        polite.stop()
        doctor.settles(stable(1))
        found = doctor.sees("D12")
        assert "polite" not in found.words


def test_d13_a_deploy_without_static_membership(desk: Desk) -> None:
    """Two instances are replaced one by one; then the same with instance ids, where nothing happens."""
    topic = desk.topic("deploy", 2)
    for static in (False, True):
        group = desk.name("deploy")
        instances = [f"{group}-{number}" if static else None for number in range(2)]
        old = [
            desk.member("confluent", group, topic, client_id=f"app-5c4-{number}", instance_id=instance)
            for number, instance in enumerate(instances)
        ]
        for each in old:
            each.wait_owns(1)
        with Ward(desk.bootstrap_servers, group) as doctor:
            for number, (each, instance) in enumerate(zip(old, instances, strict=True)):
                each.stop()
                new = desk.member(
                    "confluent", group, topic, client_id=f"app-7f9-{number}", instance_id=instance
                )
                new.wait_owns(1)
            if static:
                doctor.stays_silent("D13", stable(2))
            else:
                found = doctor.sees("D13")
                assert found.words.startswith("2 members were replaced one by one from ")


def test_d14_members_read_different_topics(desk: Desk) -> None:
    """Some in common: one reads more. Then partitions are added, which is worth knowing."""
    topic, more, group = desk.topic("usual", 2), desk.topic("more", 1), desk.name("differ")
    first = desk.member("confluent", group, topic, client_id="first", metadata_max_age_ms=500)
    second = desk.member("confluent", group, (topic, more), client_id="second", metadata_max_age_ms=500)
    with Ward(desk.bootstrap_servers, group) as doctor:
        found = doctor.sees("D14", lambda found: found.severity is Severity.WARNING)
        assert f"second reads {more} and {topic}, the other 1 member {topic}" in found.words
        second.stop()
        first.wait_owns(2)
        doctor.stays_silent("D14", stable(1))
        desk.add_partitions(topic, 4)
        found = doctor.sees("D14")
        assert found.severity is Severity.INFO
        assert "a topic's number of partitions changed" in found.words


def test_where_nobody_may_read_what_groups_recorded(desk: Desk) -> None:
    """The looks are all there is: rules that need more are not judged, the others go by what changed meanwhile."""
    topic, group = desk.topic("looks", 2), desk.name("looks")
    desk.member("confluent", group, topic, client_id="first").wait_owns(2)
    with Admin(desk.bootstrap_servers) as admin:
        checkup = Checkup(admin, groups=[group], topic="this user may not read it")
        checkup.look()
        first = checkup.evidence()[group]
        assert first.lacks(Need.EVENTS) == first.lacks(Need.OFFSETS_TOPIC) == "this user may not read it"
        desk.member("confluent", group, topic, client_id="second").wait_owns(1)

        def told() -> list[Event]:
            checkup.look()
            return [each for each in checkup.evidence()[group].events or () if isinstance(each, MemberJoined)]

        wait_until("somebody came", told)
        second = checkup.evidence()[group]
        assert second.events_source == "differences between looks"
        unjudged = {each.rule: each.why for each in diagnose(second).unjudged}
        assert unjudged["D20"] == "this user may not read it"
        assert "D09" not in unjudged
