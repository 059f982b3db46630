"""D15: the same members rebalance again and again."""

from tests.monitor.doctor.cases import evidence
from tests.monitor.doctor.checks import alone, told
from tests.monitor.doctor.lifetimes import at, life

from rota.monitor.findings import Certainty, Finding

TWO = """
    group orders classic Stable {}
      a: orders-0
      b: orders-1
      orders-0 5/5
      orders-1 5/5
"""
BEGIN = """
    0.0 joined a
    0.0 joined b
    0.1 done 1 range a=orders-0 b=orders-1
"""


def of(events: str) -> list[Finding]:
    return alone("D15", evidence(TWO.format("range"), events=life(BEGIN + events)))


def test_the_leader_joins_again_and_again() -> None:
    """Three generations that change nothing; that the leader asked is recorded."""
    (found,) = alone(
        "D15",
        evidence(
            TWO.format("range"),
            events=life(
                BEGIN
                + """
                1.0 started leader-rejoined a
                1.1 done 2 range a=orders-0 b=orders-1
                2.0 started leader-rejoined a
                2.1 done 3 range a=orders-0 b=orders-1
                3.0 started leader-rejoined a
                3.1 done 4 range a=orders-0 b=orders-1
                """
            ),
        ),
    )
    assert found.words.startswith("3 rebalances in 3.0 s changed nothing")
    assert "leader: a-id (__consumer_offsets)" in told(found)
    assert (found.certainty, found.members) == (Certainty.CERTAIN, ("a-id",))


def test_without_a_reason_it_is_likely() -> None:
    """`__consumer_offsets` alone tells no reasons: the same members three times in a row say enough."""
    lines = "\n".join(f"{n}.1 done {n + 1} range a=orders-0 b=orders-1" for n in (1, 2, 3))
    (found,) = alone("D15", evidence(TWO.format("range"), events=life(BEGIN + lines)))
    assert found.certainty == Certainty.LIKELY


def test_generations_in_which_somebody_came_or_went() -> None:
    """A member that flaps, a subscription that changes, and partitions that are added are other matters."""
    flaps = "".join(
        f"""
        {n}.0 left b member-left
        {n}.1 done {3 * n} range a=orders-0,orders-1
        {n}.2 joined b
        {n}.3 done {3 * n + 1} range a=orders-0 b=orders-1
        """
        for n in range(1, 6)
    )
    assert not of(flaps)
    changes = "".join(
        f"{n}.0 started subscription-changed a\n{n}.1 done {n + 1} range a=orders-0 b=orders-1\n"
        for n in (1, 2, 3)
    )
    assert not of(changes)


def test_the_second_round_of_a_cooperative_group() -> None:
    """After each change it has one generation more by right."""
    lines = "\n".join(f"{n}.1 done {n + 1} cooperative-sticky a=orders-0 b=orders-1" for n in (1, 2, 3))
    begin = BEGIN.replace("range", "cooperative-sticky")
    story = TWO.format("cooperative-sticky")
    assert not alone("D15", evidence(story, events=life(begin + lines)))
    more = lines + "\n4.1 done 5 cooperative-sticky a=orders-0 b=orders-1"
    assert alone("D15", evidence(story, events=life(begin + more)))


def test_what_was_an_hour_ago_is_history() -> None:
    """Nobody is woken for it."""
    lines = "\n".join(f"{n}.1 done {n + 1} range a=orders-0 b=orders-1" for n in (1, 2, 3))
    assert of(lines)
    shifted = life("\n".join(_earlier(line) for line in (BEGIN + lines).splitlines() if line.strip()))
    assert not alone("D15", evidence(TWO.format("range"), events=shifted, events_since_ms=at(-9_999)))


def _earlier(line: str) -> str:
    """An hour before."""
    second, rest = line.split(maxsplit=1)
    return f"{float(second) - 3600} {rest}"
