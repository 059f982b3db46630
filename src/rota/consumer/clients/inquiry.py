"""Asks a client that hands out nothing whether it still knows brokers, and judges whether another would do better.

See `rota.consumer.clients.absence` for what it may have forgotten, and for the times. Two things tell a client that has
forgotten its brokers from one that tries in vain (librdkafka 2.16): it has no connection to ask over, and it is silent.
Who knows an address and reaches nobody, or is refused, says so (``error_cb``) every ten seconds, or every half minute
where a name is unknown; it will find its brokers when they are back, and is left alone. What was said before the
silence counts for nothing: the bug may begin with an error.
"""

from __future__ import annotations

import logging
import queue
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaException

from rota.consumer.clients.absence import Absence
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from confluent_kafka import Consumer

    from rota.consumer.clients.client_errors import Outage

__all__ = ["Inquiry"]

log = logging.getLogger("rota.consumer")

_ANSWER_S = 5.0
"""So long brokers have to answer when it is asked whether the client knows them."""
_PROBE_S = 3.0
"""So long one of the addresses has to be reached."""
_OFFSETS = "__consumer_offsets"
"""A topic that is there, where none is known by name."""
_SESSION_MS = 45_000
"""librdkafka's default of session.timeout.ms; Kafka's of consumer.session.timeout.ms, which a client does not know."""
_LEAST_S = 45.0
"""Silence that is shorter says nothing: it may lie between two errors."""
_TRANSPORT = -195
"""There is no connection to a broker."""


class Inquiry:
    """``outage`` hears the client's errors."""

    def __init__(
        self, config: Mapping[str, Any], outage: Outage, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._bootstrap = str(config.get("bootstrap.servers", ""))
        self._outage = outage
        self._complaints = 0
        self._clock = clock
        self._absence = Absence(_patience_s(config), clock())

    def is_due(self) -> bool:
        """Whether nothing was heard of the brokers for a while."""
        return self._absence.is_due(self._clock())

    def heard(self) -> None:
        """A record, an assignment, an answer: it knows the brokers."""
        self._absence.heard(self._clock())
        if self._outage.on:
            self._outage.over()

    def has_forgotten(self, consumer: Consumer, topics: Sequence[str]) -> bool:
        """Whether another one should take its place; waits for an answer. That one is asked from now on."""
        if self._outage.complaints != self._complaints:
            self._complaints = self._outage.complaints
            self._absence.tries(self._clock())
        elif (problem := _asked(consumer, topics)) is None:
            self._absence.heard(self._clock())
            self._outage.over()
        elif problem != _TRANSPORT:
            self._absence.tries(self._clock())
        elif (lasted_s := self._absence.in_vain(self._clock())) is not None and _listens(self._bootstrap):
            log.warning(
                "for %.0f s the client has not found the brokers, though %s can be reached: "
                "another one takes its place",
                lasted_s,
                self._bootstrap,
            )
            self._absence.begins_anew(self._clock())
            return True
        return False


def _asked(consumer: Consumer, topics: Sequence[str]) -> int | None:
    """Why brokers did not answer, in librdkafka's codes; None: they did."""
    topic = next((name for name in topics if not name.startswith("^")), _OFFSETS)
    try:
        consumer.list_topics(topic, timeout=_ANSWER_S)
    except KafkaException as error:
        code: int = error.args[0].code()
        return code if code < 0 else None  # what a broker says is an answer, whatever it is
    return None


def _listens(bootstrap: str) -> bool:
    """Whether anybody can be reached at one of these addresses. All are tried at once: one that swallows what is sent
    to it, or a name that nobody looks up, must not take the time of the others.
    """
    found: queue.Queue[bool] = queue.Queue()

    def knock(address: tuple[str, int]) -> None:
        try:
            socket.create_connection(address, timeout=_PROBE_S).close()
        except (OSError, ValueError):  # that is no name
            found.put(False)
        else:
            found.put(True)

    known = list(_addresses(bootstrap))
    for address in known:
        threading.Thread(target=knock, args=(address,), name="rota-knock", daemon=True).start()
    until = time.monotonic() + _PROBE_S
    try:
        return any(found.get(timeout=max(0.0, until - time.monotonic())) for _ in known)
    except queue.Empty:
        return False


def _addresses(bootstrap: str) -> Iterator[tuple[str, int]]:
    """Those that can be read: librdkafka takes lists with holes, too."""
    from rota.admin.security import addresses  # rarely needed, and much to import

    for each in bootstrap.split(","):
        try:
            yield from addresses(each)
        except RotaError:  # only librdkafka knows what that is
            continue


def _patience_s(config: Mapping[str, Any]) -> float:
    """After how long in vain a client may be replaced. A static member of KIP-848 is refused for good while the group
    still knows the one before it, whose session begins anew when the brokers do.
    """
    session_s = float(config.get("session.timeout.ms", _SESSION_MS)) / 1000
    if config.get("group.instance.id") and str(config.get("group.protocol", "")).lower() == "consumer":
        return max(2 * session_s, _LEAST_S)
    return max(session_s, _LEAST_S)
