"""Telling a person, once, that the cluster is away, and once that it is back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.cli.output import note

if TYPE_CHECKING:
    from confluent_kafka import KafkaError

__all__ = ["Outage"]

ALL_BROKERS_DOWN = -187  # librdkafka's own code


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
