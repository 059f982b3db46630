"""Trace context in the headers of records: ``traceparent`` and ``tracestate`` of W3C's Trace Context.

What came with a record goes on with the records that its handler makes, with OpenTelemetry or without: a
program that makes no spans of its own still joins the traces of those before and behind it. The version that
is written is 00; of a later one as much is read as its readers are promised (section 3.2.4 there).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["TRACEPARENT", "TRACESTATE", "TraceContext", "carry_on", "current", "of_headers", "parse"]

TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"

LONGEST_STATE = 512
"""Characters of ``tracestate`` that everybody must pass on (section 3.3.1.5); a longer one is left out."""

_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_SAMPLED = 1

Header = tuple[str, bytes | str | None]


class TraceContext(NamedTuple):
    """A place in a trace: ids in lower-case hexadecimal, ``state`` as others wrote it."""

    trace_id: str
    """32 digits."""
    span_id: str
    """16 digits: the span that the record came from."""
    flags: int = 0
    state: str = ""

    @property
    def sampled(self) -> bool:
        """Whether whoever made it records its span."""
        return bool(self.flags & _SAMPLED)

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"

    def headers(self) -> list[tuple[str, bytes]]:
        """For a record that comes of this one."""
        found = [(TRACEPARENT, self.traceparent.encode())]
        if self.state:
            found.append((TRACESTATE, self.state.encode()))
        return found


now: ContextVar[TraceContext | None] = ContextVar("rota_trace", default=None)
"""The span that this thread or task is in; set around a handler when spans are made (`rota.consumer.otel`)."""


def parse(traceparent: bytes | str | None, tracestate: bytes | str | None = None) -> TraceContext | None:
    """What the two headers say; None if they say nothing that can be trusted."""
    text = _text(traceparent)
    match = _FORM.fullmatch(text.strip(" \t"))
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == "ff" or (version == "00" and more) or not (trace_id.strip("0") and span_id.strip("0")):
        return None
    state = _text(tracestate).strip(" \t")
    kept = state if len(state) <= LONGEST_STATE and state.isprintable() else ""
    return TraceContext(trace_id, span_id, int(flags, 16), kept)


def of_headers(headers: Iterable[Header] | None) -> TraceContext | None:
    """Of a record's headers; of several ``traceparent`` the last counts, as everywhere in Kafka."""
    parent: bytes | str | None = None
    states: list[str] = []
    for name, value in headers or ():
        lowered = name.lower()
        if lowered == TRACEPARENT:
            parent = value
        elif lowered == TRACESTATE:
            states.append(_text(value))
    return parse(parent, ",".join(filter(None, states))) if parent is not None else None


def current(came_with: Iterable[Header] | None) -> TraceContext | None:
    """Where a handler is: in the span that is made around it, else where its record came from."""
    return now.get() or of_headers(came_with)


def carry_on(
    given: Iterable[Header] | Mapping[str, bytes | str | None] | None, came_with: Iterable[Header] | None
) -> list[Header]:
    """Headers for a record that a handler makes: those it gave, and the trace, unless it gave one itself.

    ``came_with``: the headers of the record that is being handled.
    """
    made: list[Header] = list(given.items() if isinstance(given, Mapping) else given or ())
    if any(name.lower() == TRACEPARENT for name, _ in made):
        return made
    context = current(came_with)
    return [*made, *context.headers()] if context is not None else made


def _text(value: bytes | str | None) -> str:
    if isinstance(value, bytes):
        return value.decode("ascii", "replace") if len(value) <= 2 * LONGEST_STATE else ""
    return value or ""
