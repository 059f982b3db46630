"""D04: members handle fewer records than come."""

from tests.monitor.doctor.cases import evidence, tp
from tests.monitor.doctor.checks import alone, findings_of, told

from rota.monitor.findings import Certainty


def story(*partitions: str, members: str = "a: orders-0 orders-1\nb: orders-2 orders-3") -> str:
    return "\n".join(["group orders classic Stable range", members, *partitions])


def course(committed: int, end: int, consumed: int, produced: int, looks: int = 7) -> str:
    """So many records committed and produced from one look to the next, 10 s later."""
    return " ".join(f"{committed + n * consumed}/{end + n * produced}" for n in range(looks))


SLOW = course(0, 500, 50, 200)
WELL = course(490, 500, 200, 200)


def test_one_member_is_slow() -> None:
    """The other keeps up, so it is not the number of members."""
    (found,) = alone(
        "D04",
        evidence(story(f"orders-0 {SLOW}", f"orders-1 {SLOW}", f"orders-2 {WELL}", f"orders-3 {WELL}")),
    )
    assert found.words == (
        "a is too slow: it handles 10/s and 40/s come (the other members keep up); its lag of 2,800 grows"
    )
    assert (found.certainty, found.members) == (Certainty.LIKELY, ("a-id",))
    assert found.partitions == (tp("orders-0"), tp("orders-1"))
    assert "about 100 ms a record" in told(found)
    assert "look at what is different" in found.advice


def test_all_members_are_slow() -> None:
    """How many would do, and whether there are partitions for them."""
    every = [f"orders-{n} {course(0, 500, 120, 200)}" for n in range(4)]
    (found,) = alone("D04", evidence(story(*every)))
    assert found.words.startswith("all 2 members are too slow: together they handle 48/s and 80/s come")
    assert "Run 4 members (now 2)" in found.advice
    slower = [f"orders-{n} {SLOW}" for n in range(4)]
    (found,) = alone("D04", evidence(story(*slower)))
    assert found.advice.startswith("Run 4, one for each partition, and besides: handle several keys")
    assert "at this pace 8 members would be needed, and only 4 can work" in found.advice


def test_the_rhythm_of_commits() -> None:
    """A lag of less than ten seconds of work, between two commits: nobody is slow."""
    sawtooth = "0/20 0/70 100/120 100/170 200/220 200/270"
    assert not alone("D04", evidence(story(f"orders-0 {sawtooth}", members="a: orders-0"), every_s=1))


def test_a_group_that_catches_up() -> None:
    """Large, and falling."""
    falling = course(0, 5000, 200, 100)
    assert not alone("D04", evidence(story(f"orders-0 {falling}", members="a: orders-0")))


def test_too_few_looks_for_a_trend_are_a_guess() -> None:
    """Two looks: rates alone."""
    (found,) = alone("D04", evidence(story("orders-0 0/500 10/600", "orders-1 5/5"), every_s=2))
    assert found.certainty is Certainty.GUESS


def test_who_does_nothing_is_not_slow() -> None:
    """No commit at all moves: that is not the handler's speed."""
    assert not alone("D04", evidence(story(f"orders-0 {course(0, 500, 0, 200)}", members="a: orders-0")))


def test_while_partitions_change_hands_nobody_is_slow() -> None:
    """Rates of that time are the rebalance's."""
    text = story(f"orders-0 {SLOW}", members="a: orders-0").replace("Stable", "PreparingRebalance")
    assert "D04" not in findings_of(evidence(text))
