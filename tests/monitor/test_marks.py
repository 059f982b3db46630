"""In which partitions transactions were seen: kept as long as their topics are there, and a while beyond."""

from __future__ import annotations

from tests.monitor.snapshots import START_MS, look

from rota.monitor.looks import Looks

WINDOW_MS = 60_000
OPEN = "group orders\n  pod-1: {topic}-0\n{topic}-0 80/100 stable=90"
CLOSED = "group orders\n  pod-1: {topic}-0\n{topic}-0 80/100"


def test_topics_that_are_gone_leave_nothing_behind() -> None:
    """Else a key for each topic there ever was stays for the life of an exporter."""
    looks = Looks(window_ms=WINDOW_MS)
    for number in range(100):
        looks.look(look(OPEN.format(topic=f"t{number}"), START_MS + number * WINDOW_MS // 5))
        assert len(looks.marks) <= 7
    assert len(looks.marks) > 1


def test_a_topic_of_the_same_name_is_another_one() -> None:
    looks = Looks(window_ms=WINDOW_MS)
    looks.look(look(OPEN.format(topic="t")))
    (view,) = looks.look(look(CLOSED.format(topic="t"), START_MS + 1))["orders"].partitions
    assert view.at_most
    new = CLOSED.format(topic="t") + "\ntopic t 1 id=new"
    (view,) = looks.look(look(new, START_MS + 2))["orders"].partitions
    assert not view.at_most
    looks.look(look(new, START_MS + 2 * WINDOW_MS))
    assert len(looks.marks) == 0


def test_a_topic_that_a_look_could_not_describe_is_not_forgotten() -> None:
    """A broker that was away for a moment, or a group that was."""
    looks = Looks(window_ms=WINDOW_MS)
    looks.look(look(OPEN.format(topic="t")))
    looks.look(look("fail orders the coordinator is away", START_MS + WINDOW_MS // 2))
    (view,) = looks.look(look(CLOSED.format(topic="t"), START_MS + WINDOW_MS - 1))["orders"].partitions
    assert view.at_most
    # Once more a whole window: it was there in between.
    looks.look(look("fail orders the coordinator is away", START_MS + WINDOW_MS + 1))
    assert len(looks.marks) == 1


def test_a_clock_that_is_set_back_forgets_nothing() -> None:
    looks = Looks(window_ms=WINDOW_MS)
    looks.look(look(OPEN.format(topic="t")))
    looks.look(look(CLOSED.format(topic="t"), START_MS - 10 * WINDOW_MS))
    (view,) = looks.look(look(CLOSED.format(topic="t"), START_MS - 10 * WINDOW_MS + 5))["orders"].partitions
    assert view.at_most
