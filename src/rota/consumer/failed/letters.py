"""What is written on a record that goes to another topic: where it was first, and what went wrong.

Key, value and the record's own headers stay as they are. Behind them come headers whose names begin with
``rota-``; their values are UTF-8, numbers in decimal digits, times in milliseconds since 1970. Headers
of a name that is ours are replaced, so that none is there twice. See docs/dead-letters.md.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from rota.consumer.clients.headers import headers_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from rota.consumer.clients.client import Message
    from rota.consumer.clients.headers import Headers

__all__ = [
    "DUE_AT",
    "REPLAYED",
    "UNREADABLE",
    "Letter",
    "Origin",
    "due_at_ms",
    "here",
    "origin_headers",
    "origin_of",
    "read_letter",
    "without_ours",
]

TOPIC = "rota-original-topic"
PARTITION = "rota-original-partition"
OFFSET = "rota-original-offset"
TIMESTAMP = "rota-original-timestamp"
GROUP = "rota-group"
ATTEMPTS = "rota-attempts"
EXCEPTION = "rota-exception-type"
MESSAGE = "rota-exception-message"
TRACE = "rota-exception-trace"
FAILED_AT = "rota-failed-at"
DUE_AT = "rota-due-at"
REPLAYED = "rota-replayed"
UNREADABLE = "rota-unreadable-headers"
OURS = frozenset(
    {
        TOPIC,
        PARTITION,
        OFFSET,
        TIMESTAMP,
        GROUP,
        ATTEMPTS,
        EXCEPTION,
        MESSAGE,
        TRACE,
        FAILED_AT,
        DUE_AT,
        REPLAYED,
        UNREADABLE,
    }
)
"""All that we write; another name that begins with ``rota-`` is the user's own."""

LONGEST_MESSAGE = 1_000
LONGEST_TRACE = 8_000
"""Bytes of UTF-8. Of a longer message the beginning is kept, of a longer trace the end."""

_LARGEST = (1 << 63) - 1
_TOPIC = re.compile(rb"[a-zA-Z0-9._-]{1,249}")
_CUT = "…"


class Origin(NamedTuple):
    """Where a record was first, before it went to a retry topic, and how often a handler has tried it there
    and since. ``timestamp_ms`` is -1 where there is none.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int = -1
    attempts: int = 0

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition} at offset {self.offset}"


class Letter(NamedTuple):
    """What the headers say. ``origin.attempts`` counts all attempts up to the one that failed last;
    ``due_at_ms``: for a retry topic, when the next one may begin.
    """

    origin: Origin
    group: str
    exception: str
    message: str
    failed_at_ms: int
    trace: str = ""
    due_at_ms: int | None = None

    def headers(self) -> Headers:
        """Ours, to be put behind the record's own."""
        origin = self.origin
        found = [
            *origin_headers(origin),
            (GROUP, _encoded(self.group)),
            (ATTEMPTS, b"%d" % origin.attempts),
            (EXCEPTION, _encoded(self.exception)),
            (MESSAGE, _beginning(_encoded(self.message), LONGEST_MESSAGE)),
            (FAILED_AT, b"%d" % self.failed_at_ms),
        ]
        if self.trace:
            found.append((TRACE, _end(_encoded(self.trace), LONGEST_TRACE)))
        if self.due_at_ms is not None:
            found.append((DUE_AT, b"%d" % self.due_at_ms))
        return found


def origin_headers(origin: Origin) -> Headers:
    """Those that say where a record was first."""
    found: Headers = [
        (TOPIC, _encoded(origin.topic)),
        (PARTITION, b"%d" % origin.partition),
        (OFFSET, b"%d" % origin.offset),
    ]
    if origin.timestamp_ms >= 0:
        found.append((TIMESTAMP, b"%d" % origin.timestamp_ms))
    return found


def read_letter(headers: Any) -> Letter | None:
    """What the headers of a record say, as confluent-kafka hands them out; None if it has none of ours, or
    nobody can tell from them where it came from. Never fails.
    """
    found = _ours(headers)
    topic, partition, offset = found.get(TOPIC), _number(found, PARTITION), _number(found, OFFSET)
    if topic is None or not _TOPIC.fullmatch(topic) or partition is None or offset is None:
        return None
    timestamp, attempts = _number(found, TIMESTAMP), _number(found, ATTEMPTS)
    origin = Origin(_decoded(topic), partition, offset, -1 if timestamp is None else timestamp, attempts or 0)
    return Letter(
        origin,
        _decoded(found.get(GROUP, b"")),
        _decoded(found.get(EXCEPTION, b"")),
        _decoded(found.get(MESSAGE, b"")),
        _number(found, FAILED_AT) or 0,
        _decoded(found.get(TRACE, b"")),
        _number(found, DUE_AT),
    )


def due_at_ms(headers: Any) -> int | None:
    """When a record of a retry topic may be tried again."""
    return _number(_ours(headers), DUE_AT)


def without_ours(headers: Any) -> Headers:
    """The record's own headers, in their order."""
    return [(name, value) for name, value in _pairs(headers) if name not in OURS]


def here(message: Message) -> Origin:
    """A record that is where it was first."""
    kind, timestamp_ms = message.timestamp()
    return Origin(message.topic(), message.partition(), message.offset(), timestamp_ms if kind else -1)


def origin_of(message: Message, retry_topics: Collection[str]) -> Origin:
    """Where a record was first: where it is, unless it comes from one of these. In any other topic headers of
    these names are somebody else's.
    """
    letter = read_letter(headers_of(message)) if message.topic() in retry_topics else None
    return here(message) if letter is None else letter.origin


def _ours(headers: Any) -> dict[str, bytes]:
    return {name: value for name, value in _pairs(headers) if name in OURS and value is not None}


def _pairs(headers: Any) -> Iterable[tuple[str, bytes | None]]:
    """confluent-kafka hands out a list of pairs, or None."""
    for name, value in headers or ():
        yield name, value.encode() if isinstance(value, str) else value


def _number(found: dict[str, bytes], name: str) -> int | None:
    text = found.get(name, b"")
    if not (text.isdigit() and len(text) < 20):
        return None
    number = int(text)
    return number if number <= _LARGEST else None


def _encoded(text: str) -> bytes:
    return text.encode(errors="backslashreplace")


def _decoded(data: bytes) -> str:
    return data.decode(errors="backslashreplace")


def _beginning(data: bytes, longest: int) -> bytes:
    if len(data) <= longest:
        return data
    return data[: longest - len(_CUT.encode())].decode(errors="ignore").encode() + _CUT.encode()


def _end(data: bytes, longest: int) -> bytes:
    if len(data) <= longest:
        return data
    return _CUT.encode() + data[len(_CUT.encode()) - longest :].decode(errors="ignore").encode()
