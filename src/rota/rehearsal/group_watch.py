"""The coordinator's view of a group on a broker that does not record it: two looks, and what changed between.

Kafka tells nobody why a group rebalances. Two descriptions of a group show who came and who went
(`rota.monitor.rebalances.polls`); the lab knows whom it killed, froze or stopped. Together that is a reason.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from rota.model import RotaError
from rota.monitor.rebalances.polls import differences
from rota.rehearsal.recording import clock_ms
from rota.timeline.events import Event, Fault, FaultKind, RebalanceCompleted

if TYPE_CHECKING:
    from collections.abc import Callable

    from rota.cluster import Cluster, GroupDescription

__all__ = ["GroupWatch"]

INTERVAL_S = 0.4
SLOW_MS = 2_000
"""An answer that took longer came after an outage: the client waits through one that is short."""


def _moved(before: int | None, after: GroupDescription | None) -> str:
    """Which broker coordinates the group now, if it is another than before."""
    now = None if after is None or after.coordinator is None else after.coordinator.id
    return "" if before is None or now in {None, before} else f"broker {now}, broker {before} before"


class GroupWatch:
    """Asks for the group's description again and again, in a thread of its own; ``read`` gives the news."""

    def __init__(
        self,
        cluster: Cluster,
        group: str,
        *,
        clock: Callable[[], int] = clock_ms,
        interval_s: float = INTERVAL_S,
    ) -> None:
        self.silent: set[str] = set()
        self._cluster = cluster
        self._group = group
        self._clock_ms = clock
        self._interval_s = interval_s
        self._found: list[Event] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="group-watch", daemon=True)
        self._thread.start()

    def read(self) -> list[Event]:
        """What was seen since the last time."""
        with self._lock:
            found, self._found = self._found, []
        return found

    def close(self) -> None:
        """Stop asking."""
        self._stop.set()
        self._thread.join(self._cluster.timeout_s + 2)

    def _watch(self) -> None:
        before: GroupDescription | None = None
        generation = 0
        since_ms = self._clock_ms()
        away = False
        at: int | None = None
        while not self._stop.is_set():
            after: GroupDescription | None = (
                before  # if nobody answers: the broker may be back at the next look
            )
            answered, asked_ms = False, self._clock_ms()
            with contextlib.suppress(RotaError):
                after = self._cluster.describe_groups([self._group])[self._group]
                answered = True
            at_ms = self._clock_ms()
            if before is not None and answered and not away and at_ms - asked_ms > SLOW_MS:
                with self._lock:
                    self._found.append(Fault(asked_ms, "", FaultKind.CUT_OFF))
                away = True
            if before is not None and answered is away:
                away = not answered
                kind = FaultKind.CUT_OFF if away else FaultKind.RECONNECTED
                with self._lock:
                    self._found.append(Fault(at_ms, "", kind, "" if away else _moved(at, after)))
                since_ms = at_ms  # what is seen next is told after it
            if before is not None and after is not None:
                found = differences(before, after, frozenset(self.silent), generation, since_ms, at_ms)
                generation += sum(isinstance(event, RebalanceCompleted) for event in found)
                with self._lock:
                    self._found += found
            if after is not None and after.coordinator is not None:
                at = after.coordinator.id
            before, since_ms = after, at_ms
            self._stop.wait(self._interval_s)
