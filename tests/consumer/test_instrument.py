"""What watches a handler's calls may break; what it watches goes on as if it were not there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.consumer.fakes import FakeMessage

from rota.consumer.operations.instrument import _recorded, _traced
from rota.consumer.workers.runners import Done
from rota.model import TopicPartition

P0 = TopicPartition("orders", 0)


class Record:
    def __init__(self, offset: int) -> None:
        self.offset = offset
        self.message = FakeMessage(P0, offset, None)


class Context:
    attempt = 1


class FullDisk:
    def processed(self, _messages: object) -> None:
        raise OSError(28, "No space left on device")


class BrokenTelemetry:
    """Raises in the methods in ``at``."""

    def __init__(self, *at: str) -> None:
        self._at = at
        self.heard: list[BaseException | None] = []

    @contextmanager
    def span(self, _messages: object, _attempt: int, **_more: object) -> Iterator[None]:
        self._reach("begin")
        try:
            yield
        finally:
            self._reach("end")

    def measured(self, _messages: object, seconds: float, failure: BaseException | None) -> None:
        assert seconds >= 0
        self.heard.append(failure)
        self._reach("measured")

    def _reach(self, name: str) -> None:
        if name in self._at:
            raise ValueError(name)


class Handler:
    """Sends, or fails; sync or async. ``watch`` wraps it."""

    def __init__(
        self, *, is_async: bool, failure: BaseException | None = None, answer: object = None
    ) -> None:
        self.sent: list[int] = []
        self._is_async = is_async
        self._failure = failure
        self._answer = answer

    def watched(self, wrap: Any, watcher: Any, **more: Any) -> Any:
        function = wrap(self._async if self._is_async else self._do, watcher, is_async=self._is_async, **more)

        def call(record: Record) -> Any:
            answer = function(record, Context())
            return asyncio.run(answer) if self._is_async else answer

        return call

    def _do(self, record: Record, _context: Context) -> object:
        self.sent.append(record.offset)
        if self._failure is not None:
            raise self._failure
        return self._answer

    async def _async(self, record: Record, context: Context) -> object:
        return self._do(record, context)


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def is_async(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def test_a_timeline_that_cannot_be_written_fails_no_record(
    is_async: bool, caplog: pytest.LogCaptureFixture
) -> None:
    handler = Handler(is_async=is_async, answer="answer")
    call = handler.watched(_recorded, FullDisk())
    with caplog.at_level(logging.ERROR, "rota.consumer"):
        assert [call(Record(offset)) for offset in range(3)] == ["answer"] * 3
    assert handler.sent == [0, 1, 2]
    assert [each.getMessage() for each in caplog.records] == [
        "the timeline failed; records go on, and this is not told again"
    ]


def test_an_answer_that_the_timeline_cannot_read_is_not_its_to_judge(is_async: bool) -> None:
    answer = Done(None)  # type: ignore[arg-type]
    assert Handler(is_async=is_async, answer=answer).watched(_recorded, FullDisk())(Record(0)) is answer


@pytest.mark.parametrize("at", ["begin", "end", "measured"])
def test_telemetry_that_raises_fails_no_record(
    at: str, is_async: bool, caplog: pytest.LogCaptureFixture
) -> None:
    handler, telemetry = Handler(is_async=is_async, answer="answer"), BrokenTelemetry(at)
    call = handler.watched(_traced, telemetry, batch=False)
    with caplog.at_level(logging.ERROR, "rota.consumer"):
        assert [call(Record(offset)) for offset in range(3)] == ["answer"] * 3
    assert telemetry.heard == [None, None, None]
    assert len(caplog.records) == 1
    assert handler.sent == [0, 1, 2]


@pytest.mark.parametrize("at", [(), ("begin",), ("end",), ("measured",), ("begin", "end", "measured")])
def test_a_handlers_own_failure_stays_what_it_is(at: tuple[str, ...], is_async: bool) -> None:
    failure = KeyError("customer-7")
    telemetry = BrokenTelemetry(*at)
    call = Handler(is_async=is_async, failure=failure).watched(_traced, telemetry, batch=False)
    with pytest.raises(KeyError) as raised:
        call(Record(0))
    assert raised.value is failure
    assert telemetry.heard == [failure]
