"""How a consumed record is printed: Kafka's console layout, a pattern of one's own, or JSON."""

from __future__ import annotations

import base64
import json
import re
import string
from operator import methodcaller
from typing import TYPE_CHECKING, Any

from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Callable

    from confluent_kafka import Message

__all__ = ["console", "json_line", "pattern", "text_or_base64"]

_call_headers = methodcaller("headers")
"""Unlike a plain call that has become quick, this one notices the exception (`rota.consumer.clients.headers`)."""

TIMESTAMP_NAMES = {1: "CreateTime", 2: "LogAppendTime"}
WIDEST = 1_000
LARGEST = 2**63 - 1
FIELDS = ("topic", "partition", "offset", "timestamp", "key", "value", "headers")


def console(*, timestamp: bool, partition: bool, offset: bool, key: bool) -> Callable[[Message], bytes]:
    """As ``kafka-console-consumer`` prints it: what is asked for, then the value, with tabs between."""

    def render(message: Message) -> bytes:
        cells: list[bytes] = []
        if timestamp:
            kind, ms = message.timestamp()
            known = kind in TIMESTAMP_NAMES
            cells.append(f"{TIMESTAMP_NAMES[kind]}:{ms}".encode() if known else b"NO_TIMESTAMP")
        if partition:
            cells.append(f"Partition:{message.partition()}".encode())
        if offset:
            cells.append(f"Offset:{message.offset()}".encode())
        if key:
            cells.append(_raw(message.key()))
        cells.append(_raw(message.value()))
        return b"\t".join(cells) + b"\n"

    return render


def pattern(text: str) -> Callable[[Message], bytes]:
    r"""A pattern with ``{key}`` and the like, and ``\t`` and ``\n`` as one types them; it ends the line."""
    try:
        fields = [
            (name, spec or "") for _, name, spec, _ in string.Formatter().parse(text) if name is not None
        ]
    except ValueError as error:
        raise RotaError(f"--format: {error}", exit_code=2) from None
    names = [name for name, _ in fields]
    unknown = [name for name in names if name not in FIELDS]
    if unknown:
        known = ", ".join(f"{{{name}}}" for name in FIELDS)
        raise RotaError(f"--format knows no {{{unknown[0]}}}: the fields are {known}", exit_code=2)
    for name, spec in fields:
        _check_spec(name, spec)
    layout = text.replace("\\t", "\t").replace("\\n", "\n")

    def render(message: Message) -> bytes:
        fields = {
            "topic": message.topic(),
            "partition": message.partition(),
            "offset": message.offset(),
            "timestamp": message.timestamp()[1],
            "key": _text(message.key()),
            "value": _text(message.value()),
            "headers": ",".join(f"{name}:{_text(value)}" for name, value in _headers(message)),
        }
        return (layout.format_map(fields) + "\n").encode(errors="surrogateescape")

    try:
        for number in (0, LARGEST):
            layout.format_map(
                {name: number if name in {"partition", "offset", "timestamp"} else "" for name in FIELDS}
            )
    except (ValueError, KeyError, IndexError, OverflowError) as error:
        raise RotaError(f"--format: {error}", exit_code=2) from None
    return render


def _check_spec(name: str, spec: str) -> None:
    """A width that is another field's value, or that fills the memory, is nobody's intention."""
    if "{" in spec:
        raise RotaError(f"--format: {{{name}:{spec}}}: no field within a field", exit_code=2)
    if any(int(number) > WIDEST for number in re.findall(r"\d+", spec)):
        raise RotaError(f"--format: {{{name}:{spec}}} is too wide: at most {WIDEST:,}", exit_code=2)


def json_line(message: Message) -> bytes:
    """One JSON object a record; bytes that are not UTF-8 appear as ``keyBase64`` or ``valueBase64``."""
    kind, ms = message.timestamp()
    document: dict[str, Any] = {
        "topic": message.topic(),
        "partition": message.partition(),
        "offset": message.offset(),
        "timestamp": ms if kind in TIMESTAMP_NAMES else None,
        "timestampType": TIMESTAMP_NAMES.get(kind),
        **text_or_base64("key", message.key()),
        **text_or_base64("value", message.value()),
    }
    if headers := _headers(message):
        document["headers"] = [{"name": name, **text_or_base64("value", value)} for name, value in headers]
    return json.dumps(document, ensure_ascii=False).encode() + b"\n"


def _headers(message: Message) -> list[tuple[str, Any]]:
    try:
        found: Any = _call_headers(message)
    except SystemError:  # what confluent-kafka makes of a name that is no UTF-8; it must not be asked twice
        return [("unreadable", None)]
    return list(found or [])


def text_or_base64(name: str, content: Any) -> dict[str, str | None]:
    """``{name: text}``; bytes that are not UTF-8 as ``{nameBase64: …}``."""
    data = _bytes(content)
    if data is None:
        return {name: None}
    try:
        return {name: data.decode()}
    except UnicodeDecodeError:
        return {f"{name}Base64": base64.b64encode(data).decode()}


def _bytes(content: Any) -> bytes | None:
    return content.encode() if isinstance(content, str) else content


def _raw(content: Any) -> bytes:
    data = _bytes(content)
    return b"null" if data is None else data


def _text(content: Any) -> str:
    return _raw(content).decode(errors="surrogateescape")
