"""From an address to a connection that can be asked: TCP, TLS, ApiVersions, login."""

from __future__ import annotations

import asyncio
import secrets
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING

from rota.admin.connection import Connection
from rota.admin.errors import ConnectionFailedError
from rota.admin.sasl import LoginFailedError, conversation
from rota.model import KafkaError
from rota.wire.messages.sasl_authenticate import SaslAuthenticateRequest, SaslAuthenticateResponse
from rota.wire.messages.sasl_handshake import SaslHandshakeRequest, SaslHandshakeResponse

if TYPE_CHECKING:
    from rota.admin.security import Security

__all__ = ["open_connection"]

_HAPPY_EYEBALLS_S = 0.25
LIFETIME_USED = 0.85
"""How much of a login's lifetime a connection is used for."""


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
        why = getattr(error, "verify_message", "") or error.reason or str(error)
        words = f"no TLS connection to {address}: {why.lower().replace('_', ' ')}"
        raise ConnectionFailedError(words, hopeless=True) from None
    except TimeoutError:
        raise ConnectionFailedError(f"{address} does not answer") from None
    except OSError as error:
        raise _explained(address, error, tls=security.tls is not None) from None
    try:
        await connection.negotiate()
        if security.mechanism:
            await _log_in(connection, security)
    except BaseException:
        connection.close()
        raise
    return connection


async def _log_in(connection: Connection, security: Security) -> None:
    """KIP-43, KIP-152. Raises ``ConnectionFailedError``."""
    mechanism = security.mechanism
    try:
        offered = await connection.ask(SaslHandshakeRequest(mechanism=mechanism), SaslHandshakeResponse)
        if offered.error_code:
            others = f"; it offers {', '.join(sorted(offered.mechanisms))}" if offered.mechanisms else ""
            raise _refused(connection, f"no login by {mechanism}{others}")
        talk = conversation(mechanism, security.username, security.password, secrets.token_urlsafe(24))
        message = next(talk)
        with suppress(StopIteration):
            while True:
                answer = await connection.ask(
                    SaslAuthenticateRequest(auth_bytes=message), SaslAuthenticateResponse
                )
                if answer.error_code:
                    raise _refused(connection, answer.error_message or f"error {answer.error_code}")
                message = talk.send(answer.auth_bytes)
    except KafkaError as error:
        raise _refused(connection, error.message or error.code.name) from None
    except LoginFailedError as error:
        raise _refused(connection, str(error)) from None
    if answer.session_lifetime_ms > 0:  # before it ends: nobody is to find that out by an error (KIP-368)
        now = asyncio.get_running_loop().time()
        connection.expires_at = now + LIFETIME_USED * answer.session_lifetime_ms / 1000


def _refused(connection: Connection, why: str) -> ConnectionFailedError:
    words = f"{connection.address} refused the login: {' '.join(why.split())}"
    return ConnectionFailedError(f"{words}; check the file given as --command-config", hopeless=True)


def _explained(address: str, error: OSError, *, tls: bool) -> ConnectionFailedError:
    import socket

    if isinstance(error, socket.gaierror):
        words = f"no address known for {address}: check the name given as --bootstrap-server"
        return ConnectionFailedError(words, hopeless=error.errno != socket.EAI_AGAIN)
    if tls and isinstance(error, ConnectionResetError | ConnectionAbortedError):
        words = f"{address} closed the connection instead of speaking TLS; is that port meant for it?"
        return ConnectionFailedError(words)
    refused = isinstance(error, ConnectionRefusedError) or "refused" in str(error).lower()
    words = (
        "the connection was refused" if refused else (error.strerror or str(error) or type(error).__name__)
    )
    return ConnectionFailedError(f"{address}: {words}", refused=refused)
