"""Connections that ask nothing, or read nothing: how long they may, and who gives way when there are too many.

Whoever connects may take `READ_S` for a request and its body, and `WRITE_S` between two pieces of an answer; what is
being answered may take as long as it likes, so a stream of events lives on. With `MOST_CONNECTIONS` open one has to go
for each that comes: the oldest that waits for a request, of the address that has most of them; else one that does not
read its answer; else the newcomer.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

    from uvicorn.config import Config

__all__ = ["Connection", "Connections"]

MOST_CONNECTIONS: Final = 300
READ_S: Final = 10.0
WRITE_S: Final = 60.0
LOG_S: Final = 60.0
"""Between two lines about connections that had to go."""

log = logging.getLogger("rota.web")
_mistakes = logging.getLogger("rota.web.connections")
"""uvicorn's words on what single strangers send are no news: a line for each would be theirs to write."""
_mistakes.setLevel(logging.ERROR)


class Connections(ServerState):
    """What uvicorn knows of its connections, and their limits."""

    def __init__(self) -> None:
        super().__init__()
        self._gone = 0
        """How many had to go that no line told of yet."""
        self._told_s: float | None = None

    def make_room(self, newcomer: Connection) -> None:
        """Let one go if there are too many."""
        there = [each for each in self._open() if each is not newcomer]
        if len(there) < MOST_CONNECTIONS:
            return
        self._gone += 1
        waiting = [each for each in there if each.is_waiting]
        unread = [each for each in there if each.is_unread]
        (_oldest_of_most(waiting) or _oldest_of_most(unread) or newcomer).give_up()

    def look(self, now_s: float) -> None:
        """Close what has taken too long, and tell of those that had to go; to be called about once a second."""
        for each in list(self._open()):
            if each.is_late(now_s):
                each.give_up()
        if self._gone and (self._told_s is None or now_s - self._told_s >= LOG_S):
            log.warning(
                "more than %d connections at once: %d that asked nothing or read nothing had to go",
                MOST_CONNECTIONS,
                self._gone,
            )
            self._gone, self._told_s = 0, now_s

    def _open(self) -> Iterable[Connection]:
        for each in self.connections:
            if isinstance(each, Connection) and not each.transport.is_closing():
                yield each


class Connection(H11Protocol):
    """One of them; times are those of its event loop, in seconds."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.logger = _mistakes
        self.since_s = self.loop.time()
        """When it came, or had its last answer."""
        self._moved_s = self.since_s
        self._unread = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """It is there: another may have to go."""
        super().connection_made(transport)
        if isinstance(self.server_state, Connections):
            self.server_state.make_room(self)

    def on_response_complete(self) -> None:
        """From now on the next request is waited for."""
        self.since_s = self.loop.time()
        super().on_response_complete()

    @property
    def address(self) -> str:
        """Whose it is, without the port."""
        return "" if self.client is None else self.client[0]

    @property
    def is_waiting(self) -> bool:
        """Whether no complete request is there, and no answer on its way."""
        asks_nothing = self.cycle is None or self.cycle.response_complete or self.cycle.more_body
        return asks_nothing and not self.is_unread

    @property
    def is_unread(self) -> bool:
        """Whether something is left to be sent: the peer does not read as fast as it asks."""
        return self.transport.get_write_buffer_size() > 0

    def is_late(self, now_s: float) -> bool:
        """Whether it has waited too long for a request, or for its peer to read."""
        unread, before = self.transport.get_write_buffer_size(), self._unread
        self._unread = unread
        if unread == 0 or unread < before or before == 0:
            self._moved_s = now_s
        if unread:
            return now_s - self._moved_s >= WRITE_S
        return self.is_waiting and now_s - self.since_s >= READ_S

    def give_up(self) -> None:
        """At once: what a peer does not read would keep it open."""
        self.transport.abort()


def _oldest_of_most(found: list[Connection]) -> Connection | None:
    """The oldest of the address that has most of these."""
    if not found:
        return None
    [(most, _)] = Counter(each.address for each in found).most_common(1)
    return min((each for each in found if each.address == most), key=lambda each: each.since_s)
