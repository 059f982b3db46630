"""Trace context in headers: read as W3C says, carried on to what a handler produces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.consumer.fakes import FakeMessage

from rota.consumer import tracing
from rota.consumer.context import Context, Effects
from rota.consumer.core.state import Ours
from rota.consumer.core.work import Lane, Task
from rota.consumer.tracing import TraceContext, carry_on, of_headers, parse
from rota.model import TopicPartition

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"


def test_a_traceparent_is_read() -> None:
    assert parse(PARENT.encode()) == TraceContext(TRACE, SPAN, 1)
    assert parse(PARENT, "congo=t61rcWkgMzE") == TraceContext(TRACE, SPAN, 1, "congo=t61rcWkgMzE")
    assert parse(PARENT) is not None
    assert parse(PARENT).sampled  # type: ignore[union-attr]  # just asserted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "garbage",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",  # version 00 has four parts
        f"ff-{TRACE}-{SPAN}-01",  # not a version
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-zz",
        f"0-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01" + "x" * 10_000,
    ],
)
def test_what_cannot_be_trusted_is_no_context(text: str) -> None:
    assert parse(text) is None
    assert parse(text.encode()) is None


def test_a_later_version_is_read_as_far_as_it_is_known() -> None:
    assert parse(f"cc-{TRACE}-{SPAN}-03-what-comes-later") == TraceContext(TRACE, SPAN, 3)
    assert parse(f"cc-{TRACE}-{SPAN}-03") == TraceContext(TRACE, SPAN, 3)
    assert parse(f"cc-{TRACE}-{SPAN}-03.what") is None


def test_a_state_that_is_too_long_or_no_text_is_left_out() -> None:
    assert parse(PARENT, "a=" + "b" * 600) == TraceContext(TRACE, SPAN, 1)
    assert parse(PARENT, b"a=\n") == TraceContext(TRACE, SPAN, 1)


def test_the_last_traceparent_counts_and_states_are_joined() -> None:
    headers = [
        ("traceparent", b"rubbish"),
        ("TraceState", b"a=1"),
        ("other", None),
        ("Traceparent", PARENT.encode()),
        ("tracestate", b"b=2"),
    ]
    assert of_headers(headers) == TraceContext(TRACE, SPAN, 1, "a=1,b=2")
    assert of_headers(None) is None
    assert of_headers([("traceparent", None)]) is None
    assert of_headers([("tracestate", b"a=1")]) is None


def test_what_a_handler_produces_goes_on_with_the_trace_of_its_record() -> None:
    came_with = [("traceparent", PARENT.encode()), ("tracestate", b"a=1"), ("colour", b"red")]
    assert carry_on([("mine", b"x")], came_with) == [
        ("mine", b"x"),
        ("traceparent", PARENT.encode()),
        ("tracestate", b"a=1"),
    ]
    assert carry_on({"mine": "x"}, came_with)[0] == ("mine", "x")
    assert carry_on(None, None) == []


def test_a_trace_that_the_handler_gives_itself_is_kept() -> None:
    own = [("traceparent", b"00-" + b"1" * 32 + b"-" + b"2" * 16 + b"-00")]
    assert carry_on(own, [("traceparent", PARENT.encode())]) == own


def test_inside_a_span_it_is_the_span_that_is_carried_on() -> None:
    span = TraceContext("1" * 32, "2" * 16, 1)
    before = tracing.now.set(span)
    try:
        assert carry_on(None, [("traceparent", PARENT.encode())]) == [
            ("traceparent", span.traceparent.encode())
        ]
    finally:
        tracing.now.reset(before)


class Traced(FakeMessage):
    """A record that came from somewhere."""

    def headers(self) -> list[tuple[str, bytes | None]]:
        return [("traceparent", PARENT.encode()), ("colour", b"red")]


def test_a_handler_is_told_its_trace_and_what_it_produces_carries_it() -> None:
    traced = Traced(TopicPartition("orders", 0), 7, None)
    context = Context(Ours(), Task((traced,), Lane(0)), Effects(largest=1_000))
    assert context.trace == TraceContext(TRACE, SPAN, 1)
    context.produce("invoices", b"x", headers=[("mine", b"1")])
    (output,) = context.take_outputs()
    assert list(output.headers) == [("mine", b"1"), ("traceparent", PARENT.encode())]
    untraced = FakeMessage(TopicPartition("orders", 0), 8, None)
    plain = Context(Ours(), Task((untraced,), Lane(0)), Effects(largest=1_000))
    assert plain.trace is None
    plain.produce("invoices", b"x")
    (output,) = plain.take_outputs()
    assert list(output.headers) == []


@given(st.integers(1, (1 << 128) - 1), st.integers(1, (1 << 64) - 1), st.integers(0, 255), st.booleans())
def test_what_is_written_is_read_again(trace: int, span: int, flags: int, stated: bool) -> None:
    context = TraceContext(f"{trace:032x}", f"{span:016x}", flags, "a=1" if stated else "")
    assert of_headers(context.headers()) == context


@given(st.binary(max_size=120), st.binary(max_size=700))
def test_no_bytes_raise(parent: bytes, state: bytes) -> None:
    parse(parent, state)
