"""Logging in: what is said in SaslAuthenticate, as generators of messages that are sent the broker's answers.

PLAIN (RFC 4616) and SCRAM (RFC 5802, with SHA-256 or SHA-512) without channel binding, as Kafka has them: names and
passwords are UTF-8 as they are.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from hashlib import new, pbkdf2_hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["MECHANISMS", "LoginFailedError", "conversation"]

_HASHES = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}
MECHANISMS = ("PLAIN", *_HASHES)
FEWEST, MOST = 4_096, 1_000_000
"""Iterations: a broker that asks for fewer is after the password, one that asks for more after our time."""

_FIRST = re.compile(r"r=([!-+\--~]+),s=([A-Za-z0-9/+]+=*),i=(\d{1,9})(?:,.*)?")


class LoginFailedError(Exception):
    """The broker does not know us, or is not who we think."""


def conversation(mechanism: str, username: str, password: str, nonce: str) -> Generator[bytes, bytes, None]:
    """What to say; each ``yield`` gives back the broker's answer. ``nonce`` is random text.

    Raises ``LoginFailedError``.
    """
    if mechanism == "PLAIN":
        return _plain(username, password)
    return _scram(_HASHES[mechanism], username, password, nonce)


def _plain(username: str, password: str) -> Generator[bytes, bytes, None]:
    yield b"\0".join([b"", username.encode(), password.encode()])


def _scram(kind: str, username: str, password: str, nonce: str) -> Generator[bytes, bytes, None]:
    name = username.replace("=", "=3D").replace(",", "=2C")
    opening = f"n={name},r={nonce}"
    first = _text((yield f"n,,{opening}".encode()))
    match = _FIRST.fullmatch(first)
    if match is None or not match[1].startswith(nonce) or match[1] == nonce:
        raise LoginFailedError(_error(first) or "the broker's answer is no SCRAM message")
    iterations = int(match[3])
    if not FEWEST <= iterations <= MOST:
        raise LoginFailedError(
            f"the broker asks for {iterations} iterations of {kind}, which is out of bounds"
        )
    try:
        salt = base64.b64decode(match[2], validate=True)
    except binascii.Error:
        raise LoginFailedError("the broker's answer is no SCRAM message") from None
    salted = pbkdf2_hmac(kind, password.encode(), salt, iterations)
    ending = f"c=biws,r={match[1]}"
    everything = f"{opening},{first},{ending}".encode()
    key = hmac.digest(salted, b"Client Key", kind)
    signature = hmac.digest(new(kind, key).digest(), everything, kind)
    proof = bytes(a ^ b for a, b in zip(key, signature, strict=True))
    final = _text((yield f"{ending},p={base64.b64encode(proof).decode()}".encode()))
    expected = hmac.digest(hmac.digest(salted, b"Server Key", kind), everything, kind)
    if not hmac.compare_digest(final.partition(",")[0].encode(), b"v=" + base64.b64encode(expected)):
        raise LoginFailedError(_error(final) or "the broker does not know the password itself")


def _text(answer: bytes) -> str:
    try:
        return answer.decode()
    except UnicodeDecodeError:
        raise LoginFailedError("the broker's answer is no SCRAM message") from None


def _error(message: str) -> str:
    return message[2:] if message.startswith("e=") else ""
