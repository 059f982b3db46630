"""A consumer at work, and its end."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

from rota.model import RotaError

if TYPE_CHECKING:
    from types import TracebackType

    from rota.consumer.owner import Owner

__all__ = ["Running"]


class Running:
    """A consumer at work; a context manager that stops it at the end."""

    def __init__(self, owner: Owner) -> None:
        self.owner = owner
        self._why: str | None = None
        self._broken: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="rota-owner", daemon=True)
        self._thread.start()

    def stop_soon(self) -> None:
        """Ask it to stop; returns at once."""
        self.owner.stop()

    def stop(self) -> None:
        """Stop, and wait until what had begun is finished and committed."""
        self.owner.stop()
        self.wait()

    def wait(self) -> None:
        """Until it has ended. Raises RotaError if it did so by itself."""
        while self._thread.is_alive():
            self._thread.join(0.2)  # in pieces, so that signals are handled
        if self._broken is not None:
            raise self._broken
        if self._why is not None:
            raise RotaError(self._why)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        try:
            self._why = self.owner.run()
        except BaseException as broken:  # raised again for whoever waits
            self._broken = broken
