"""One request on its way through the broker, and the ways a handler may answer it.

A handler returns the response, or ``PARKED`` when the answer comes later (``Request.reply``), or ``SILENT``
when the protocol wants none (Produce with acks=0).
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rota.broker.connection import Connection
    from rota.broker.dispatch import Route
    from rota.wire.schema import Message

__all__ = ["PARKED", "SILENT", "NoAnswer", "Request", "reply_to_many"]

_TOGETHER = 256 * 1024  # bytes of answers that are made before the first of them is sent


class NoAnswer(enum.Enum):
    PARKED = "the answer comes later, through Request.reply"
    SILENT = "the protocol wants no answer"


PARKED: Final = NoAnswer.PARKED
SILENT: Final = NoAnswer.SILENT


class Request:
    """Who asked, in which version, and where the answer goes."""

    __slots__ = ("client_id", "connection", "correlation_id", "route", "version")

    def __init__(
        self, connection: Connection, route: Route, version: int, correlation_id: int, client_id: str | None
    ) -> None:
        self.connection = connection
        self.route = route
        self.version = version
        self.correlation_id = correlation_id
        self.client_id = client_id or ""

    @property
    def client_host(self) -> str:
        """The peer's address as Kafka prints it: ``/127.0.0.1``."""
        return self.connection.client_host

    @property
    def listener(self) -> tuple[str, int]:
        """Host and port the client should use from now on: what the broker advertises."""
        return self.connection.server.advertised

    def reply(self, response: Message) -> None:
        """Answer a parked request; does nothing when its connection is gone."""
        syncs = self.connection.server.broker.syncs
        if syncs is not None and syncs.is_due:
            syncs.hold_too(self, response)
        else:
            self.connection.reply_later(self, response)


def reply_to_many(replies: list[tuple[Request, Message]]) -> None:
    """Answer parked requests whose answers are in one piece and wait for no sync.

    They are sent together: a client on this machine is then not put to sleep and woken for each.
    """
    made: list[tuple[Request, bytes]] = []
    size = 0
    for request, response in replies:
        answer = request.route.whole(request.correlation_id, response)
        made.append((request, answer))
        size += len(answer)
        if size > _TOGETHER:
            _send(made)
            made, size = [], 0
    _send(made)


def _send(made: list[tuple[Request, bytes]]) -> None:
    for request, answer in made:
        request.connection.reply_whole(request, answer)
