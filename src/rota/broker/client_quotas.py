"""Quotas of users, client ids and addresses (KIP-546): kept and described.

An entity is one or two parts, of the types ``user`` and ``client-id``, or one of the type ``ip``; the name None is the
default of those that have no quota of their own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from rota.broker.storage_errors import storing
from rota.model import ErrorCode, KafkaError

if TYPE_CHECKING:
    from rota.storage import MetadataStore

__all__ = ["CLIENT_ID", "IP", "TYPES", "USER", "Entity", "alter", "entries"]

USER, CLIENT_ID, IP = "user", "client-id", "ip"
TYPES: Final = frozenset({USER, CLIENT_ID, IP})

_TABLE: Final = "client_quotas"
# The largest value of each quota; None: a fraction is possible.
_KEYS: Final[Mapping[str, int | None]] = {
    "producer_byte_rate": 2**63 - 1,
    "consumer_byte_rate": 2**63 - 1,
    "request_percentage": None,
    "controller_mutation_rate": None,
}
_IP_KEYS: Final[Mapping[str, int | None]] = {"connection_creation_rate": 2**31 - 1}
_FRACTION: Final = 1e-6

Entity = Mapping[str, str | None]


def entries(metadata: MetadataStore) -> Iterator[tuple[Entity, Mapping[str, float]]]:
    """Every entity that has quotas, and these."""
    for name in metadata.names(_TABLE):
        yield dict(json.loads(name)), metadata.stored(_TABLE, name)


def alter(
    metadata: MetadataStore, entity: Entity, changes: Mapping[str, float | None], *, validate_only: bool
) -> None:
    """Set an entity's quotas (None: remove), all or none of them. Raises ``KafkaError``."""
    _check_entity(entity)
    known = _IP_KEYS if IP in entity else _KEYS
    name = json.dumps(sorted(entity.items()))
    quotas = metadata.stored(_TABLE, name)
    for key, value in changes.items():
        if value is None:
            quotas.pop(key, None)
            continue
        if key not in known:
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"there is no quota {key}, only {', '.join(known)}")
        _check_value(key, value, known[key])
        quotas[key] = value
    if not validate_only:
        with storing("quotas"):
            metadata.put(_TABLE, name, quotas)


def _check_entity(entity: Entity) -> None:
    if not entity:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "whose quota it is has to be said")
    for type_, name in entity.items():
        if type_ not in TYPES:
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"there is no entity type {type_}")
        if name == "":
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"the name of a {type_} cannot be empty")
    if IP in entity:
        if len(entity) > 1:
            text = "an ip's quota cannot be that of a user or a client id too"
            raise KafkaError(ErrorCode.INVALID_REQUEST, text)
        _check_address(entity[IP])


def _check_address(text: str | None) -> None:
    """Apache Kafka takes names too and asks the resolver, which may take long; here ``localhost`` is the only one."""
    import ipaddress

    if text is None or text == "localhost":
        return
    try:
        ipaddress.ip_address(text)
    except ValueError as error:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"{text} is no IP address") from error


def _check_value(key: str, value: float, largest: int | None) -> None:
    if not value > 0:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"quota {key} of {value}: it must be greater than 0")
    if largest is None:
        return
    if value > largest:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"quota {key} of {value}: {largest} at most is possible")
    if value % 1 > _FRACTION:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"quota {key} of {value}: it must be a whole number")
