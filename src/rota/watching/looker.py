"""A thread that looks at a few groups often: of a classic group nothing else tells that a rebalance has begun."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from rota.admin.scan import Depth, scan
from rota.model import RotaError
from rota.watching.mistakes import Mistakes

if TYPE_CHECKING:
    from rota.admin import Admin
    from rota.monitor.facts import Snapshot

__all__ = ["Looker"]

log = logging.getLogger(__name__)

INTERVAL_S: Final = 0.4
END_S: Final = 2.0


class Looker:
    """Gives every look to ``told``, in its thread, until it is closed. A look that fails is left out, also by a mistake
    of ``told``: the next one may not.
    """

    def __init__(
        self,
        admin: Admin,
        groups: Collection[str],
        told: Callable[[Snapshot], None],
        *,
        interval_s: float = INTERVAL_S,
    ) -> None:
        self._admin = admin
        self._groups = groups
        self._told = told
        self._interval_s = interval_s
        self._mistakes = Mistakes(log)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rota-looker", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Look no more; a look that goes on is left to itself after a moment."""
        self._closing.set()
        self._thread.join(END_S)

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._told(scan(self._admin, self._groups, depth=Depth.LAG))
            except RotaError:
                pass
            except Exception as error:
                if not self._closing.is_set():  # else the connections were closed under it
                    self._mistakes.note("a look at groups", error)
            self._closing.wait(self._interval_s)
