"""Which rows of a long table are shown."""

from __future__ import annotations

import pytest

from rota.rehearsal.scroll import Scroll, around


def test_scrolling_stops_at_both_ends() -> None:
    scroll = Scroll()
    assert scroll.fit(24, 5) == range(5)
    assert scroll.press("up")
    assert scroll.fit(24, 5) == range(5)
    assert scroll.press("down")
    assert scroll.press("page-down")
    assert scroll.fit(24, 5) == range(5, 10)
    assert scroll.press("end")
    assert scroll.fit(24, 5) == range(19, 24)
    assert scroll.press("down")
    assert scroll.fit(24, 5) == range(19, 24)
    assert scroll.press("page-up")
    assert scroll.fit(24, 5) == range(15, 20)
    assert scroll.press("home")
    assert scroll.fit(24, 5) == range(5)


def test_other_keys_do_not_scroll() -> None:
    assert not Scroll().press("k")


def test_a_window_that_grows_shows_as_much_as_it_can() -> None:
    scroll = Scroll()
    scroll.fit(10, 2)
    scroll.press("end")
    assert scroll.fit(10, 2) == range(8, 10)
    assert scroll.fit(10, 20) == range(10)
    assert scroll.fit(10, 0) == range(1)


@pytest.mark.parametrize(
    ("chosen", "count", "room", "shown"),
    [
        (0, 9, 4, range(4)),
        (8, 9, 4, range(5, 9)),
        (4, 9, 4, range(2, 6)),
        (1, 3, 4, range(3)),
        (2, 3, 1, range(2, 3)),
    ],
)
def test_the_chosen_row_is_always_shown(chosen: int, count: int, room: int, shown: range) -> None:
    assert around(chosen, count, room) == shown
    assert chosen in shown
