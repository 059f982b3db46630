"""``Watch``: a thread that looks at groups again and again; screens and exporters read what it saw last.

Readers never wait for the cluster. While it is slow, or away, they have the last views, each with the time it is from,
and the failure.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from rota.model import RotaError
from rota.monitor.level import DEFAULT, Thresholds
from rota.watching.looking import HEADERS, Looking, Seen

if TYPE_CHECKING:
    from rota.admin import Admin
    from rota.monitor.view import GroupView

__all__ = ["Source", "Watch"]

log = logging.getLogger(__name__)

LEAST_REST = 0.1
"""Of the interval: so long the cluster is left alone even where a look takes longer than the interval."""
END_S = 2.0
"""How long `Watch.close` waits for a look that goes on."""


class Source(Protocol):
    """Whatever can look once more; asked by one thread."""

    def look(self) -> Seen: ...


class Watch:
    """Looks every ``interval_s`` seconds, from one start to the next, in a thread of its own, until it is closed.

    ``groups``: names, or None for all; a callable is asked before each look. ``window_s``: how far back rates and
    levels reach. ``headers``: how many batch headers a look may ask for (see `Looking`).
    """

    def __init__(
        self,
        admin: Admin | None = None,
        *,
        groups: Collection[str] | Callable[[], Collection[str] | None] | None = None,
        interval_s: float = 5.0,
        window_s: float = 600.0,
        headers: int = HEADERS,
        thresholds: Thresholds = DEFAULT,
        source: Source | None = None,
    ) -> None:
        if source is None:
            assert admin is not None
            source = Looking(admin, groups=groups, window_s=window_s, headers=headers, thresholds=thresholds)
        self.interval_s = interval_s
        self._source = source
        self._seen = Seen()
        self._changed = threading.Condition()
        self._soon = False
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="rota-watch", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # What readers do; none of it waits for the cluster.

    @property
    def seen(self) -> Seen:
        """What was seen last; whole and unchanging."""
        return self._seen

    def views(self) -> Mapping[str, GroupView]:
        """Every group's last view, by name."""
        return self._seen.views

    @property
    def failure(self) -> RotaError | None:
        """Why the last look found nothing, or not all; None if all is well."""
        return self._seen.failure

    def wait(self, number: int, timeout_s: float | None = None) -> int:
        """Wait until a look with a greater number has ended; the number of the last one, whatever happened."""
        with self._changed:
            self._changed.wait_for(lambda: self._seen.number > number or self._closing, timeout_s)
        return self._seen.number

    def refresh(self) -> None:
        """Look again at once; if a look goes on, again after it."""
        with self._changed:
            self._soon = True
            self._changed.notify_all()

    def close(self) -> None:
        """End. A look that goes on is left to itself after a moment: it holds nothing up."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(END_S)

    # The thread.

    def _run(self) -> None:
        while not self._closing:
            began = time.monotonic()
            self._soon = False
            seen = replace(self._look(), number=self._seen.number + 1)
            with self._changed:
                self._seen = seen
                self._changed.notify_all()
                rest_s = max(self.interval_s - (time.monotonic() - began), self.interval_s * LEAST_REST)
                self._changed.wait_for(lambda: self._closing or self._soon, rest_s)

    def _look(self) -> Seen:
        try:
            return self._source.look()
        except Exception as error:
            if self._closing:  # the connections were closed under it
                return self._seen
            log.exception("a look at the groups failed")
            before = self._seen
            failure = RotaError(f"this look failed: {error!r} (a mistake of Rota's; the log tells more)")
            return Seen(before.number, before.views, before.snapshot, failure)
