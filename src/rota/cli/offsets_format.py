"""Records of ``__consumer_offsets`` as JSON lines, as Kafka's two formatters for them print them.

Committed offsets are type 1 (``OffsetsMessageFormatter``), classic groups type 2
(``GroupMetadataMessageFormatter``). Records of other kinds, such as KIP-848 groups', are skipped as there.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from rota.coordinator.log_format import decode_record
from rota.wire import WireError

if TYPE_CHECKING:
    from confluent_kafka import Message as Record

    from rota.wire.schema import Struct

__all__ = ["offsets_line"]


def offsets_line(message: Record) -> bytes:
    """One JSON object and a line's end; nothing for a record of another kind."""
    raw: Any = message.key()
    value: Any = message.value()
    if raw is None:
        return b""
    try:
        record = decode_record(raw, value)
    except WireError as error:
        where = f"{message.topic()}-{message.partition()}"
        return json.dumps({"undecodable": f"{where} @ {message.offset()}: {error}"}).encode() + b"\n"
    if record is None:
        return b""
    kind = int.from_bytes(raw[:2], "big")
    document: dict[str, Any] = {"key": {"type": kind, "data": _plain(record.key, 0)}, "value": None}
    if record.value is not None:
        version = int.from_bytes(value[:2], "big")
        document["value"] = {"version": version, "data": _plain(record.value, version)}
    return json.dumps(document, ensure_ascii=False).encode() + b"\n"


def _plain(struct: Struct, version: int) -> dict[str, Any]:
    """The fields of one version under Kafka's names; a tagged field only if it is set, bytes as base64."""
    found: dict[str, Any] = {}
    for field in struct.fields:
        value = getattr(struct, field.name)
        if version not in field.versions or (version in field.tagged and value == field.default):
            continue
        if isinstance(value, (bytes, bytearray, memoryview)):
            value = base64.b64encode(value).decode()
        elif isinstance(value, list):
            value = [_plain(item, version) for item in value]
        found[_camel(field.name)] = value
    return found


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
