"""How a connection is protected and who logs in, from client properties under librdkafka's or Java's names."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rota.admin.sasl import MECHANISMS
from rota.model import RotaError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

__all__ = ["Security", "addresses"]

DEFAULT_PORT = 9092
_ADDRESS = re.compile(r"(?:\w+://)?(\[[0-9a-fA-F:.]+\]|[^\s:/,\[\]]+)(?::(\d{1,5}))?")
_OFF = frozenset({"false", "0", "f"})
_PROTOCOLS = ("plaintext", "ssl", "sasl_plaintext", "sasl_ssl")


def addresses(bootstrap: str) -> list[tuple[str, int]]:
    """``HOST:PORT[,…]`` as hosts and ports. Raises ``RotaError``."""
    found = []
    for text in bootstrap.split(","):
        match = _ADDRESS.fullmatch(text.strip())
        port = DEFAULT_PORT if match is None or match[2] is None else int(match[2])
        if match is None or not 1 <= port <= 65535:
            raise RotaError(f"{bootstrap!r} is no broker's address: expected HOST:PORT[,…]", exit_code=2)
        found.append((match[1].strip("[]"), port))
    return found


@dataclass(frozen=True, slots=True)
class Security:
    """``tls`` is None for plain text, ``mechanism`` empty where nobody logs in."""

    tls: ssl.SSLContext | None = None
    mechanism: str = ""
    username: str = ""
    password: str = field(default="", repr=False)

    @classmethod
    def from_properties(cls, properties: Mapping[str, str]) -> Security:
        """From client properties under librdkafka's names. Raises ``RotaError``."""
        protocol = properties.get("security.protocol", "plaintext").lower()
        if protocol not in _PROTOCOLS:
            known = ", ".join(_PROTOCOLS)
            raise _wrong(f"security.protocol is {protocol!r}: expected one of {known}")
        tls = _tls(properties) if protocol.endswith("ssl") else None
        if not protocol.startswith("sasl"):
            return cls(tls)
        mechanism = properties.get("sasl.mechanism") or properties.get("sasl.mechanisms") or ""
        if mechanism.upper() not in MECHANISMS:
            has = f"is {mechanism}" if mechanism else "is missing"
            raise _wrong(f"sasl.mechanism {has}: expected one of {', '.join(MECHANISMS)}")
        for name in ("sasl.username", "sasl.password"):
            if name not in properties:
                raise _wrong(f"{name} is missing: {mechanism} needs it")
        return cls(tls, mechanism.upper(), properties["sasl.username"], properties["sasl.password"])


def _tls(properties: Mapping[str, str]) -> ssl.SSLContext:
    """Whom to trust, and who we are."""
    import ssl

    if "ssl.keystore.location" in properties:
        raise _wrong(
            "ssl.keystore.location cannot be read here: `openssl pkcs12 -in FILE -out client.pem -nodes` makes "
            "a file for ssl.certificate.location and ssl.key.location"
        )
    if properties.get("ssl.certificate.pem") or properties.get("ssl.key.pem"):
        raise _wrong("ssl.certificate.pem and ssl.key.pem: use ssl.certificate.location and ssl.key.location")
    context = ssl.create_default_context()
    if properties.get("enable.ssl.certificate.verification", "true").lower() in _OFF:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif properties.get("ssl.endpoint.identification.algorithm", "https").lower() in {"none", ""}:
        context.check_hostname = False
    where, text = properties.get("ssl.ca.location"), properties.get("ssl.ca.pem")
    try:
        if text or (where and where != "probe"):
            context = _trusting(context, where, text)
        if certificate := properties.get("ssl.certificate.location"):
            where = certificate
            # A key with a password and none given: never ask a terminal for it.
            password = properties.get("ssl.key.password", "")
            context.load_cert_chain(certificate, properties.get("ssl.key.location"), lambda: password)
        if ciphers := properties.get("ssl.cipher.suites"):
            where = f"ssl.cipher.suites ({ciphers})"
            context.set_ciphers(ciphers)
    except ssl.SSLError as error:
        raise _wrong(f"{where} cannot be used: {error.reason or error}") from None
    except OSError as error:
        raise _wrong(f"cannot read {error.filename or where}: {error.strerror}") from None
    return context


def _trusting(context: ssl.SSLContext, where: str | None, text: str | None) -> ssl.SSLContext:
    """The same context with these authorities in place of the system's."""
    import ssl

    fresh = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    fresh.check_hostname = context.check_hostname
    fresh.verify_mode = context.verify_mode
    if text:
        fresh.load_verify_locations(cadata=text)
    elif where and Path(where).is_dir():
        fresh.load_verify_locations(capath=where)
    else:
        fresh.load_verify_locations(cafile=where)
    return fresh


def _wrong(words: str) -> RotaError:
    return RotaError(f"client property {words}", exit_code=2)
