"""The story of a rolling restart: every consumer is stopped politely and started again, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rota.model import count_of
from rota.rehearsal.recording import clock_ms
from rota.rehearsal.script import Step, settled
from rota.timeline import DEFAULT_PAUSE_MS
from rota.timeline.look import seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from rota.rehearsal.lab import Lab
    from rota.rehearsal.seats import Seat
    from rota.timeline import Summary

__all__ = ["restart_figures", "restart_lines", "rolling_restart"]

REST_MS = 1_500
GRACE_MS = 1_000
"""A rebalance that begins so soon after the last restart was settled still belongs to it."""


def rolling_restart(lab: Lab) -> list[Step]:
    """One consumer at a time goes and comes back, as in a deployment; the next only when the group is at rest."""

    def settled_now() -> bool:
        return settled(lab)

    def begin() -> None:
        lab.measured_from_ms = clock_ms()

    def end() -> None:
        lab.measured_until_ms = clock_ms() + GRACE_MS

    seats = [seat for seat in lab.seats if seat.running]
    who = f"{count_of(len(seats), 'consumer')} {'share' if len(seats) > 1 else 'holds'}"
    how = "static members" if lab.settings.static else "members without a group.instance.id"
    steps = [
        Step(
            f"{who} {count_of(len(lab.partitions()), 'partition')}; they are {how}.",
            _nothing,
            settled_now,
            3000,
        ),
        Step("The rolling restart begins.", begin, _always, 0),
    ]
    for seat in seats:
        steps.append(Step(f"{seat.name} is stopped (SIGTERM).", _order(lab.stop, seat), _gone(seat), 0))
        come_back = _order(lab.come_back, seat)
        steps.append(Step(f"{seat.name} is started again.", come_back, settled_now, REST_MS))
    return [*steps, Step("The rolling restart is over.", end, _always, GRACE_MS)]


def restart_figures(summary: Summary, since_ms: int, until_ms: int, *, static: bool) -> dict[str, Any]:
    """What it cost, measured between the two moments, for programs."""
    pauses = [pause for pause in summary.pauses if since_ms <= pause.start_ms < until_ms]
    incidents = [item for item in summary.incidents if since_ms <= item.at_ms < until_ms]
    return {
        "static": static,
        "restarts": sum(item.kind == "stopped" for item in incidents),
        "rebalances": sum(since_ms <= item.rebalance.started_ms < until_ms for item in summary.rebalances),
        "moves": sum(since_ms <= move.taken_ms < until_ms for move in summary.moves),
        "pauses_ms": {
            str(part.partition): [item.duration_ms for item in pauses if item.partition == part.partition]
            for part in summary.partitions
        },
    }


def restart_lines(figures: dict[str, Any]) -> list[str]:
    """The same for people."""
    waits = figures["pauses_ms"]
    count = sum(map(len, waits.values()))
    head = (
        f"Rolling restart of {count_of(figures['restarts'], 'consumer')} "
        f"{'with' if figures['static'] else 'without'} static membership: "
        f"{count_of(figures['rebalances'], 'rebalance')}, {count_of(figures['moves'], 'move')}, "
        f"{count_of(count, 'pause')} of {DEFAULT_PAUSE_MS} ms or more."
    )
    return [head, *(f"  {partition} {_waited(found)}" for partition, found in waits.items())]


def _waited(pauses: list[int]) -> str:
    if not pauses:
        return "did not wait"
    return f"waited {seconds(sum(pauses))} in all, longest {seconds(max(pauses))}"


def _order(order: Callable[[Seat], None], seat: Seat) -> Callable[[], None]:
    return lambda: order(seat)


def _gone(seat: Seat) -> Callable[[], bool]:
    return lambda: not seat.running


def _nothing() -> None:
    pass


def _always() -> bool:
    return True
