"""From an address to a connection that can be asked: TCP, TLS, ApiVersions, login."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

from rota.admin.connection import Connection
from rota.admin.errors import ConnectionFailedError

if TYPE_CHECKING:
    from rota.admin.security import Security

__all__ = ["open_connection"]

_HAPPY_EYEBALLS_S = 0.25


async def open_connection(
    host: str, port: int, security: Security, client_id: str, *, silence_s: float
) -> Connection:
    """A connection that is ready. Raises ``ConnectionFailedError``."""
    address = f"{host}:{port}"
    try:
        async with asyncio.timeout(silence_s):
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: Connection(address, client_id, silence_s),
                host,
                port,
                ssl=security.tls,
                server_hostname=host if security.tls is not None else None,
                happy_eyeballs_delay=_HAPPY_EYEBALLS_S,
            )
    except ssl.SSLError as error:
        raise ConnectionFailedError(
            f"no TLS connection to {address}: {error.reason}", hopeless=True
        ) from None
    except TimeoutError:
        raise ConnectionFailedError(f"{address} does not answer") from None
    except OSError as error:
        raise _explained(address, error) from None
    try:
        await connection.negotiate()
    except BaseException:
        connection.close()
        raise
    return connection


def _explained(address: str, error: OSError) -> ConnectionFailedError:
    import socket

    if isinstance(error, socket.gaierror):
        words = f"no address known for {address}: check the name given as --bootstrap-server"
        return ConnectionFailedError(words, hopeless=error.errno != socket.EAI_AGAIN)
    refused = isinstance(error, ConnectionRefusedError) or "refused" in str(error).lower()
    words = "the connection was refused" if refused else (error.strerror or str(error))
    return ConnectionFailedError(f"{address}: {words}", refused=refused)
