"""D20: commits come by the clock."""

from collections.abc import Iterable

from tests.monitor.doctor.cases import evidence
from tests.monitor.doctor.checks import alone, told
from tests.monitor.doctor.lifetimes import commits, life

from rota.monitor.findings import Certainty, Finding

ONE = """
    group orders classic Stable range
      a: orders-0 orders-1
      orders-0 500/500
      orders-1 90/90
"""


def of(times: Iterable[float], per_s: float = 100) -> list[Finding]:
    """Commits at these seconds, in both partitions."""
    course = [(second, round(per_s * second)) for second in times]
    shifted = [(second + 0.002, offset // 10) for second, offset in course]
    return alone("D20", evidence(ONE, commits=commits(orders_0=course, orders_1=shifted), events=()))


def test_every_five_seconds() -> None:
    """The default of auto-commit, with what a crash repeats: 5 s of 110 records a second."""
    (found,) = of([5.0, 10.01, 15.0, 20.02, 25.01, 30.0, 35.0, 40.03])
    assert found.words.startswith(
        "a commits by the clock, every 5.0 s (the default of auto-commit): a crash repeats"
    )
    assert "up to 550 records" in found.words
    assert found.certainty == Certainty.LIKELY


def test_any_other_clock_is_a_guess() -> None:
    """A timer of the program's own looks the same; where nothing came, a beat is left out."""
    (found,) = of([1.0, 2.0, 3.0, 5.02, 6.0, 7.0, 8.0, 10.98, 12.0, 13.0])
    assert (found.certainty, found.members) == (Certainty.GUESS, ("a-id",))
    assert "period: 1.0 s (__consumer_offsets)" in told(found)


def test_commits_after_the_work() -> None:
    """As long as the work takes, in no rhythm; and too few to tell."""
    assert not of([0.4, 1.1, 1.3, 2.9, 3.0, 4.4, 4.9, 6.6, 6.8, 7.1, 8.8, 9.3])
    assert not of([5.0, 10.0, 15.0, 20.0])


def test_commits_after_each_record() -> None:
    """What comes many times a second is the work's own rhythm."""
    assert not of([n / 20 for n in range(200)])
    assert not of([n / 5 for n in range(200)], per_s=8)


def test_the_same_number_of_records_each_time() -> None:
    """One record that takes 1.5 s, and a commit: the work sets the rhythm, however even."""
    slow = [(1.5 * n, n) for n in range(20)]
    assert not alone("D20", evidence(ONE, commits=commits(orders_0=slow), events=()))
    uneven = [(1.5 * n, 7 * n + n % 3) for n in range(20)]
    assert alone("D20", evidence(ONE, commits=commits(orders_0=uneven), events=()))


def test_a_group_that_is_empty_now() -> None:
    """Its last generation tells who had what."""
    course = [(5.0 * n, 100 * n + n % 3) for n in range(1, 10)]
    empty = ONE.replace("      a: orders-0 orders-1\n", "").replace("Stable", "Empty")
    (found,) = alone(
        "D20",
        evidence(
            empty,
            commits=commits(orders_0=course),
            events=life("0 done 1 range a=orders-0,orders-1\n60 done 2 range leader=a"),
        ),
    )
    assert found.words.startswith("a member commits by the clock, every 5.0 s")


def test_two_members_beat_for_themselves() -> None:
    """Each has a clock of its own; both are by the clock, and the one with more to repeat is told."""
    two = ONE.replace("a: orders-0 orders-1", "a: orders-0").replace(
        "      orders-0", "      b: orders-1\n      orders-0"
    )
    slow = [(5.0 * n, 10 * n + n % 3) for n in range(1, 10)]
    fast = [(5.0 * n + 1.7, 1000 * n + n % 3) for n in range(1, 10)]
    (found,) = alone("D20", evidence(two, commits=commits(orders_0=slow, orders_1=fast), events=()))
    assert found.members == ("b-id",)
