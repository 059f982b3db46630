"""What Rota's own mistakes are made into: one line for readers, and the whole story in the log, once."""

from __future__ import annotations

import logging
import threading

from rota.model import RotaError

__all__ = ["Mistakes"]


class Mistakes:
    """Exceptions that nobody foresaw. The same one may come ten times a second, and in thousands of groups."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._told: set[object] = set()
        self._lock = threading.Lock()

    def note(self, what: str, error: Exception) -> RotaError:
        """``what`` failed. For readers; the log has it if it is the first from that line of the program."""
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = None if trace is None else (trace.tb_frame.f_code, trace.tb_lineno)
        with self._lock:
            new = (type(error), place) not in self._told
            self._told.add((type(error), place))
        if new:
            self._log.error("%s failed", what, exc_info=error)
        return RotaError(f"{what} failed: {error!r} (a mistake of Rota's; the log tells more)")
