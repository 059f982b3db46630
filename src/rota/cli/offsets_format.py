"""Records of ``__consumer_offsets`` as JSON, as Kafka's two formatters for them print them.

Committed offsets are type 1 (``OffsetsMessageFormatter``), classic groups type 2
(``GroupMetadataMessageFormatter``). ``offsets_line`` skips records of other kinds, as Kafka's do; ``document`` holds
the kinds of KIP-848 groups in the same way.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from rota.coordinator.log_format import decode_record
from rota.wire import WireError
from rota.wire.schema import Struct

if TYPE_CHECKING:
    from confluent_kafka import Message as Record

    from rota.coordinator import LogRecord

__all__ = ["document", "offsets_line", "read_record"]

_KINDS_OF_KAFKAS_FORMATTERS = (0, 1, 2)


def read_record(message: Record) -> LogRecord | None:
    """What a record says; None for one of a kind that nobody here knows. Raises ``WireError``."""
    key: Any = message.key()
    value: Any = message.value()
    return None if key is None else decode_record(key, value)


def document(message: Record, record: LogRecord) -> dict[str, Any]:
    """Key and value, each with its number and its fields under Kafka's names."""
    key: Any = message.key()
    value: Any = message.value()
    kind = int.from_bytes(key[:2], "big")
    found: dict[str, Any] = {"key": {"type": kind, "data": _plain(record.key, 0)}, "value": None}
    if record.value is not None:
        version = int.from_bytes(value[:2], "big")
        found["value"] = {"version": version, "data": _plain(record.value, version)}
    return found


def offsets_line(message: Record) -> bytes:
    """One JSON object and a line's end; nothing for a record of another kind."""
    raw: Any = message.key()
    if raw is None or (len(raw) >= 2 and int.from_bytes(raw[:2], "big") not in _KINDS_OF_KAFKAS_FORMATTERS):
        return b""
    try:
        record = read_record(message)
    except WireError as error:
        where = f"{message.topic()}-{message.partition()}"
        return json.dumps({"undecodable": f"{where} @ {message.offset()}: {error}"}).encode() + b"\n"
    assert record is not None
    return json.dumps(document(message, record), ensure_ascii=False).encode() + b"\n"


def _plain(struct: Struct, version: int) -> dict[str, Any]:
    """The fields of one version under Kafka's names; a tagged field only if it is set, bytes as base64."""
    found: dict[str, Any] = {}
    for field in struct.fields:
        value = getattr(struct, field.name)
        if version not in field.versions or (version in field.tagged and value == field.default):
            continue
        found[_camel(field.name)] = _plain_value(value, field.kind, version)
    return found


def _plain_value(value: Any, kind: str, version: int) -> Any:
    if isinstance(value, Struct):
        return _plain(value, version)
    if isinstance(value, list):
        return [_plain_value(item, "", version) for item in value]
    if isinstance(value, (bytes, bytearray, memoryview)):
        if kind == "uuid":
            return base64.urlsafe_b64encode(value).decode().rstrip("=")
        return base64.b64encode(value).decode()
    return value


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
