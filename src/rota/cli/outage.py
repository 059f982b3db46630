"""Telling a person, once, that the cluster is away, and once that it is back."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from rota.cli.output import note

if TYPE_CHECKING:
    from collections.abc import Callable

    from confluent_kafka import KafkaError

__all__ = ["Outage"]

ALL_BROKERS_DOWN = -187  # librdkafka's own code
GOODBYE_S = 3.0
"""How long an orderly end is tried while no broker answers."""


class Outage:
    """A client's ``error_cb``. The client itself goes on trying; whoever succeeds next says ``over``."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._on = False

    def __call__(self, error: KafkaError) -> None:
        if error.code() == ALL_BROKERS_DOWN and not self._on:
            self._on = True
            note(f"waiting: no broker of {self._bootstrap} answers; going on as soon as one does")

    def over(self) -> None:
        """Something got through."""
        if self._on:
            self._on = False
            note(f"going on: {self._bootstrap} answers again")

    def bounded(self, goodbye: Callable[[], None]) -> bool:
        """Do what may need a broker's answer, but not for long while none answers; false: it was given up.

        librdkafka waits for its coordinator as long as the session lasts, and cannot be interrupted. What is
        given up goes on in the background, until the process ends.
        """
        thread = threading.Thread(target=goodbye, name="goodbye", daemon=True)
        thread.start()
        began = time.monotonic()
        while thread.is_alive():
            thread.join(0.1)
            if self._on and time.monotonic() - began > GOODBYE_S:
                return False
        return True
