"""The web server: one listening socket, uvicorn, and an end that does not wait for browsers."""

from __future__ import annotations

import asyncio
import secrets
import signal
import socket
from typing import TYPE_CHECKING, Final

import uvicorn

from rota.model import RotaError
from rota.web.connections import Connection, Connections
from rota.web.guard import LEAST_TOKEN, is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from starlette.types import ASGIApp

__all__ = ["Server", "address", "check_token", "listen", "new_token", "own_names"]

BACKLOG: Final = 128
"""Also how many connections are taken in one go: more descriptors than that are not open beyond the limit."""
MOST_HEAD: Final = 32 * 1024
"""Bytes of a request's line and headers: an address may hold a name of 249 letters, escaped three times over."""
GRACE_S: Final = 2


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; a port of 0: any that is free.

    Raises:
        RotaError: it cannot.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise RotaError(f"--host {host}: there is no such address", exit_code=2) from None
    family, kind, protocol, _, where = found[0]
    opened = socket.socket(family, kind, protocol)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(where)
        opened.listen(BACKLOG)
    except OSError as error:
        opened.close()
        raise RotaError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; choose another --port"
        ) from None
    return opened


def address(listening: socket.socket) -> str:
    """``http://127.0.0.1:7682``, for people to open; an address that stands for all of this machine's is its name."""
    host, port = listening.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104
        host = socket.gethostname()
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def own_names(listening: socket.socket) -> tuple[str, ...]:
    """How it may be called besides its addresses: by this machine's name, where it listens on all of its addresses."""
    return (socket.gethostname(),) if listening.getsockname()[0] in ("0.0.0.0", "::") else ()  # noqa: S104


def new_token() -> str:
    """One that nobody guesses."""
    return secrets.token_urlsafe(24)


def check_token(host: str, token: str | None) -> str | None:
    """The token to ask for: none on this machine unless it is wanted; elsewhere a new one unless it is told.

    Raises:
        RotaError: it is too short.
    """
    if token is None:
        return None if is_loopback(host) else new_token()
    if len(token) < LEAST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise RotaError(
            f"--token: at least {LEAST_TOKEN} ASCII letters without a space; without it one is made up",
            exit_code=2,
        )
    return token


class Server(uvicorn.Server):
    """Runs until Ctrl+C or SIGTERM. ``closing`` is called as soon as the end has begun: streams are to end."""

    def __init__(self, app: ASGIApp, closing: Callable[[], None]) -> None:
        self._tell_closing = closing
        super().__init__(
            uvicorn.Config(
                app,
                http=Connection,
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=BACKLOG,
                h11_max_incomplete_event_size=MOST_HEAD,
                timeout_graceful_shutdown=GRACE_S,
            )
        )
        self.server_state = self._connections = Connections()

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second; connections are looked at once."""
        if counter % 10 == 0:
            self._connections.look(asyncio.get_running_loop().time())
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, _frame: FrameType | None) -> None:
        """Ctrl+C and SIGTERM end it as whoever runs it wished, with exit code 0; a second Ctrl+C waits for nobody."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Streams first: uvicorn waits for them."""
        self._tell_closing()
        await super().shutdown(sockets)
