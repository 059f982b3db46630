"""D19: reads, but does not commit."""

from dataclasses import replace

from tests.monitor.doctor.cases import evidence
from tests.monitor.doctor.checks import alone, told
from tests.monitor.doctor.lifetimes import commits, life

from rota.monitor.doctor import Evidence
from rota.monitor.findings import Certainty


def with_session(seen: Evidence, session_ms: int) -> Evidence:
    """The same, with the members' session timeout on record."""
    members = tuple(replace(each, session_timeout_ms=session_ms) for each in seen.facts.members)
    return replace(seen, recorded=replace(seen.facts, members=members))


NEVER = """
    group orders classic Stable range
      loader: orders-0 orders-1
      other: orders-2
      orders-0 -/{} -/500
      orders-1 -/{} -/300
      orders-2 90/90
"""


def test_a_member_has_never_committed() -> None:
    """It has held partitions with records for as long as it was watched; the other commits."""
    (found,) = alone("D19", evidence(NEVER.format(400, 200)))
    assert found.words == (
        "loader holds orders 0 and 1, is a member, and has never committed anything: after a restart "
        "auto.offset.reset decides where to begin"
    )
    assert (found.certainty, found.members) == (Certainty.LIKELY, ("loader-id",))
    assert "commits: none (OffsetFetch)" in told(found)


def test_all_members_are_told_at_once() -> None:
    """Whoever keeps offsets elsewhere does so in all its members."""
    (found,) = alone("D19", evidence(NEVER.format(400, 200).replace("orders-2 90/90", "orders-2 -/90 -/95")))
    assert found.words.startswith("loader and other hold orders 0, 1 and 2, are members, and have never")
    assert found.members == ("loader-id", "other-id")


def test_a_member_that_came_a_moment_ago() -> None:
    """The first commit of auto-commit comes after 5 s."""
    assert not alone("D19", evidence(NEVER.format(400, 200), every_s=4))
    came = life("-6 joined loader")
    assert alone("D19", evidence(NEVER.format(400, 200), every_s=4, events=came))
    came = life("1 joined loader")
    assert not alone("D19", evidence(NEVER.format(400, 200), every_s=4, events=came))


def test_nothing_to_commit() -> None:
    """No records: nobody can have read any."""
    assert not alone("D19", evidence(NEVER.format(0, 0).replace("500", "0").replace("300", "0")))


BUSY = """
    group orders classic Stable range
      loader: orders-0 orders-1
      orders-0 100/100 100/200 100/300
      orders-1 50/60   50/160  50/260
"""
EVERY_SECOND = [(-60 + n, 100 + n) for n in range(30)]


def test_it_used_to_commit() -> None:
    """Every second, and then not for 51 s, though records come in all its partitions."""
    held = commits(orders_0=EVERY_SECOND, orders_1=EVERY_SECOND)
    (found,) = alone("D19", with_session(evidence(BUSY, commits=held, events=()), 45_000))
    assert (
        "sends heartbeats, and has committed nothing for 51.0 s: a restart begins again 410 records before"
        in found.words
    )
    assert "between commits before: 1.0 s (__consumer_offsets)" in told(found)


def test_a_member_that_may_be_dead() -> None:
    """All its partitions stopped at one instant, and its session is not over: nobody knows whether it lives."""
    held = commits(orders_0=EVERY_SECOND, orders_1=EVERY_SECOND)
    seen = evidence(BUSY, commits=held, events=())
    (found,) = alone("D19", with_session(seen, 60_000))
    assert found.words == (
        "loader holds orders 0 and 1, and has committed nothing for 51.0 s: perhaps dead or frozen; "
        "its session (60.0 s) is not over"
    )
    assert found.certainty is Certainty.GUESS
    assert "heartbeats" not in told(found)
    (unknown,) = alone("D19", seen)
    assert unknown.words.endswith("perhaps dead or frozen; how long its session lasts is not known here")
    one_by_one = commits(orders_0=EVERY_SECOND, orders_1=EVERY_SECOND[:15])
    (lives,) = alone("D19", with_session(evidence(BUSY, commits=one_by_one, events=()), 60_000))
    assert lives.words.startswith(
        "loader holds orders 0 and 1, is a member, and has committed nothing for 51.0 s"
    )


def test_a_session_that_nobody_recorded() -> None:
    """Where the topic of commits may not be read: a consumer group's is set on the brokers, others have a limit."""
    seen = evidence(BUSY, every_s=40)
    (dead,) = alone("D19", seen)
    assert dead.words.endswith(
        ", 80.0 s: perhaps dead or frozen; how long its session lasts is not known here"
    )
    (lives,) = alone("D19", replace(seen, broker_configs={"group.max.session.timeout.ms": "60000"}))
    assert "sends heartbeats, and has committed nothing while the group was watched" in lives.words
    hours = evidence(BUSY, every_s=3600)
    assert "sends heartbeats" in alone("D19", hours)[0].words
    modern = evidence(BUSY.replace("classic", "consumer"), every_s=40)
    assert modern.facts.type == "Consumer"
    brokers = {"group.consumer.session.timeout.ms": "45000", "group.max.session.timeout.ms": "60000"}
    (lives,) = alone("D19", replace(modern, broker_configs=brokers))
    assert "sends heartbeats" in lives.words
    own = {"consumer.session.timeout.ms": "300000"}
    (waits,) = alone("D19", replace(modern, broker_configs=brokers, group_configs=own))
    assert waits.words.endswith("perhaps dead or frozen; its session (5 min) is not over")


def test_it_commits_seldom() -> None:
    """Every twenty seconds: then 30 s without are nothing."""
    held = commits(orders_0=[(-90, 1), (-70, 2), (-50, 3), (-30, 4), (-10, 5)])
    assert not alone("D19", evidence(BUSY, commits=held, events=()))


def test_it_has_read_everything() -> None:
    """Old commits at the end are as they should be; so is one partition of several that is at its end."""
    held = commits(orders_0=EVERY_SECOND, orders_1=EVERY_SECOND)
    idle = BUSY.replace("100/200 100/300", "100/100 100/100")
    assert not alone(
        "D19", evidence(idle.replace("50/60   50/160  50/260", "60/60"), commits=held, events=())
    )
    assert not alone("D19", evidence(idle, commits=held, events=()))


def test_looks_alone() -> None:
    """Without `__consumer_offsets` it is a guess; a commit in any of its partitions ends it."""
    (found,) = alone("D19", evidence(BUSY))
    assert found.certainty == Certainty.GUESS
    assert "while the group was watched, 20.0 s" in found.words
    assert not alone("D19", evidence(BUSY.replace("50/60   50/160", "50/60   55/160")))


def test_in_the_middle_of_a_rebalance() -> None:
    """Nobody commits then."""
    assert not alone("D19", evidence(NEVER.format(400, 200).replace("Stable", "PreparingRebalance")))
