"""Why connections end, told in the log; of very many only how many: a client must not fill the disk with lines."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rota.broker.loop import Loop

__all__ = ["Closings"]

log = logging.getLogger(__name__)

_LINES = 20
_PERIOD_S = 5.0


class Closings:
    """At most ``_LINES`` lines in ``_PERIOD_S``, and one for the rest."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._lines = self._untold = 0

    def tell(self, text: str) -> None:
        """One connection has ended, or was refused."""
        if self._lines == 0:
            self._loop.call_later(_PERIOD_S, self._sum_up)
        self._lines += 1
        if self._lines <= _LINES:
            log.info("%s", text)
        else:
            self._untold += 1

    def _sum_up(self) -> None:
        if self._untold:
            log.info("%d more connections have ended or were refused in %g s", self._untold, _PERIOD_S)
        self._lines = self._untold = 0
