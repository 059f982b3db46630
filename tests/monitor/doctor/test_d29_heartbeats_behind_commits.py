"""D29: a commit for each record starves the heartbeats."""

from tests.monitor.doctor.cases import evidence
from tests.monitor.doctor.checks import alone, told
from tests.monitor.doctor.lifetimes import commits, life

from rota.monitor.findings import Certainty, Finding, Severity

ONE = """
    group orders classic Stable range
      again client=worker session=6000 id=again-id: orders-0 orders-1
      orders-0 900/900
      orders-1 900/900
"""
FLOOD = [(-30 + n / 150, n + 1) for n in range(750)]
"""150 commits a second for 5 s, each of one record."""
REJOINED = """
    -40 joined worker
    -40 done 1 range worker=orders-0,orders-1
    -24.5 joined again client=worker
    -23 left worker session-expired
    -23 done 2 range again=orders-0,orders-1
"""


def of(course: list[tuple[float, int]], events: str) -> list[Finding]:
    return alone("D29", evidence(ONE, commits=commits(orders_0=course), events=life(events)))


def test_a_member_was_thrown_out_in_the_middle_of_its_commits() -> None:
    """Its client came anew while they still arrived."""
    (found,) = of(FLOOD, REJOINED)
    assert found.words == (
        "worker commits for each record, 150 a second for 5.0 s: its heartbeats waited behind them, and its client "
        "joined again as a new member"
    )
    assert (found.severity, found.certainty) == (Severity.WARNING, Certainty.LIKELY)
    assert "records for each commit: 1.0 (__consumer_offsets)" in told(found)
    (found,) = of(FLOOD, REJOINED.replace("-24.5 joined again client=worker", ""))
    assert found.words.endswith("and its session expired")


def test_nothing_has_come_of_it_yet() -> None:
    """Worth knowing, and a guess: with synchronous commits nothing will."""
    (found,) = of(FLOOD, "-40 joined again\n-40 done 1 range again=orders-0,orders-1")
    assert (found.severity, found.certainty) == (Severity.INFO, Certainty.GUESS)


def test_commits_of_many_records() -> None:
    """A hundred commits a second of some records each are no loop over records."""
    assert not of([(second, 40 * offset) for second, offset in FLOOD], REJOINED)


def test_few_commits_and_a_crash() -> None:
    """A commit for each record, five a second, and then kill -9."""
    assert not of([(-60 + n / 5, n) for n in range(150)], REJOINED)


def test_a_slow_broker() -> None:
    """At 30 a second the client that joins anew at once tells; a restart, or a crash, may have any reason."""
    slow = [(-40 + n / 30, n) for n in range(300)]
    at_once = """
        -45 joined worker
        -45 done 1 range worker=orders-0,orders-1
        -29.6 left worker member-left
        -29.6 joined again client=worker
        -29.6 done 2 range again=orders-0,orders-1
    """
    (found,) = of(slow, at_once)
    assert found.severity == Severity.WARNING
    assert not of(slow, at_once.replace("-29.6 joined", "-27 joined"))
    assert not of(
        slow, at_once.replace("member-left", "session-expired").replace("-29.6 joined", "-27 joined")
    )


def test_a_short_burst() -> None:
    """A second of it is over before any heartbeat is due."""
    assert not of(FLOOD[:150], REJOINED)


def test_two_members_that_share_the_rate() -> None:
    """Each has a connection of its own: 75 a second on each is not too many."""
    events = "-40 joined a\n-40 joined b\n-40 done 1 range a=orders-0 b=orders-1"
    half = [(second, number + 1) for number, (second, _) in enumerate(FLOOD[::2])]
    held = commits(orders_0=half, orders_1=half)
    assert not alone("D29", evidence(ONE, commits=held, events=life(events)))
    one = life("-40 joined a\n-40 done 1 range a=orders-0,orders-1")
    assert alone("D29", evidence(ONE, commits=held, events=one))
