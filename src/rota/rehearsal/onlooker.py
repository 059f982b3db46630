"""The lab's group as `rota top` shows any group, from the same looks; nothing here holds up the lab.

What it takes to look is imported and made in a thread of its own. Whatever fails costs the view, not the lab: a
broker that does not answer is the lab's own story.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rota.monitor.level import Thresholds
    from rota.monitor.view import GroupView
    from rota.watching.live import Live

__all__ = ["Onlooker"]

LOOK_S: Final = 1.0
DOCTOR_S: Final = 2.0
"""A lesson is short: what a key did is to be seen, and judged, a moment later."""
WINDOW_S: Final = 30.0
"""Rates and levels are those of the last half minute."""
LEAST_CAUGHT_UP_S: Final = 2.0
LEAST_SPAN_MS: Final = 5_000
TIMEOUT_S: Final = 5.0
END_S: Final = 3.0


class Onlooker:
    """Looks at one group until it is closed.

    ``properties`` are those of the cluster's clients, ``commits_ms`` how often its members commit: it decides what lag
    is none, and how soon a trend is one.
    """

    def __init__(self, bootstrap: str, properties: Mapping[str, str], group: str, commits_ms: int) -> None:
        self._bootstrap = bootstrap
        self._properties = properties
        self._group = group
        self._commits_ms = commits_ms
        self._live: Live | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lab-onlooker", daemon=True)
        self._thread.start()

    def view(self) -> GroupView | None:
        """The group now; None before the first look, while nobody answers, and while there is no group."""
        live = self._live
        if live is None or live.failure is not None:
            return None
        view = live.views().get(self._group)
        return view if view is not None and view.facts.exists else None

    def close(self) -> None:
        """End. A question that goes on is left to itself after a moment."""
        self._closing.set()
        self._thread.join(END_S)

    def _run(self) -> None:
        from rota.admin import Admin
        from rota.monitor.doctor import all_rules
        from rota.watching.live import Live

        all_rules()  # who is slow at his first look is asked more seldom
        try:
            with (
                Admin(self._bootstrap, self._properties, timeout_s=TIMEOUT_S) as admin,
                Live(
                    admin,
                    groups=[self._group],
                    interval_s=LOOK_S,
                    window_s=WINDOW_S,
                    doctor_s=DOCTOR_S,
                    thresholds=_thresholds(self._commits_ms),
                ) as live,
            ):
                self._live = live
                self._closing.wait()
        except RotaError:  # it has no way into this cluster, though librdkafka has
            return
        finally:
            self._live = None


def _thresholds(commits_ms: int) -> Thresholds:
    """For whoever commits every 5 s those of every view: caught up is two commits behind, a trend takes three."""
    from rota.monitor.level import Thresholds

    return Thresholds(
        caught_up_s=max(LEAST_CAUGHT_UP_S, 2 * commits_ms / 1000),
        least_span_ms=max(LEAST_SPAN_MS, 3 * commits_ms),
    )
