"""Why a member left that nobody asked to."""

from __future__ import annotations

import pytest

from rota.rehearsal.leavers import Leavers
from rota.rehearsal.seats import Seat, SeatState
from rota.timeline.events import MemberJoined, MemberLeft, RebalanceReason, RebalanceStarted

LEFT, SLOW, SILENT = (
    RebalanceReason.MEMBER_LEFT,
    RebalanceReason.POLL_INTERVAL_EXCEEDED,
    RebalanceReason.SESSION_EXPIRED,
)


@pytest.mark.parametrize(
    ("state", "started_ms", "told", "expected"),
    [
        (SeatState.RUNNING, 50, LEFT, SLOW),
        (SeatState.FROZEN, 50, LEFT, SLOW),  # it left before it was frozen, or after it was thawed
        (SeatState.STOPPING, 50, LEFT, LEFT),
        (SeatState.LEFT, 50, LEFT, LEFT),
        (SeatState.RUNNING, 150, LEFT, LEFT),  # the member was an earlier process of that consumer
        (SeatState.RUNNING, 50, SILENT, SILENT),
    ],
)
def test_who_runs_and_leaves_was_too_slow(
    state: SeatState, started_ms: int, told: RebalanceReason, expected: RebalanceReason
) -> None:
    leavers = Leavers([Seat(1, "consumer-1", 10.0, None, state, started_ms)])
    joined = MemberJoined(100, "g", "id-1", "consumer-1", "/127.0.0.1")
    assert leavers.explain([joined]) == [joined]
    found = leavers.explain([MemberLeft(200, "g", "id-1", told), RebalanceStarted(200, "g", 1, told, "id-1")])
    assert found == [MemberLeft(200, "g", "id-1", expected), RebalanceStarted(200, "g", 1, expected, "id-1")]


def test_strangers_are_left_alone() -> None:
    left = MemberLeft(200, "g", "id-9", LEFT)
    assert Leavers([Seat(1, "consumer-1", 10.0)]).explain([left]) == [left]
