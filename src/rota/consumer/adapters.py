"""Between the runtime, which calls (record or records, context), and a function as the application wrote it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rota.consumer.core.policy import PayloadError
from rota.consumer.payloads import raw_key, raw_value
from rota.consumer.record import Record, Records
from rota.consumer.workers.runners import Done

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rota.consumer.clients.client import Message
    from rota.consumer.payloads import Decoder

__all__ = ["Decoded", "DecodedRecords", "adapted"]


class Decoded(Record[Any]):
    """A record whose value and key were decoded, once."""

    __slots__ = ("_key", "_value")

    def __init__(self, message: Message, value: Any, key: Any, retry_topics: Sequence[str]) -> None:
        self.message = message
        self._retry_topics = retry_topics
        self._value = value
        self._key = key

    @property
    def value(self) -> Any:
        return self._value

    @property
    def key(self) -> Any:
        return self._key


class DecodedRecords(Records[Any]):
    """Records that were decoded."""

    __slots__ = ("_records",)

    def __init__(self, records: Sequence[Decoded]) -> None:
        self.messages = [record.message for record in records]
        self._records = records

    def __getitem__(self, index: int | slice) -> Any:
        found = self._records[index]
        return DecodedRecords(found) if isinstance(found, list) else found

    @property
    def values(self) -> list[Any]:
        return [record.value for record in self._records]


def adapted(
    function: Callable[..., Any],
    *,
    is_async: bool,
    takes_context: bool,
    many: bool,
    value: Decoder | None,
    key: Decoder | None,
) -> Callable[[Any, Any], Any]:
    """``value`` and ``key``: None if they stay bytes."""
    call = function if takes_context else _without_context(function, is_async=is_async)
    if value is None and key is None:
        return call
    value, key = value or raw_value, key or raw_key
    if is_async:
        return _async_many(call, value, key) if many else _async_one(call, value, key)
    return _many(call, value, key) if many else _one(call, value, key)


def _without_context(function: Callable[..., Any], *, is_async: bool) -> Callable[[Any, Any], Any]:
    async def awaited(record: Any, _context: Any) -> Any:
        return await function(record)

    def called(record: Any, _context: Any) -> Any:
        return function(record)

    return awaited if is_async else called


def _one(call: Callable[[Any, Any], Any], value: Decoder, key: Decoder) -> Callable[[Any, Any], Any]:
    def handle(record: Record[Any], context: Any) -> Any:
        message = record.message
        return call(Decoded(message, value(message), key(message), record._retry_topics), context)  # noqa: SLF001

    return handle


def _async_one(call: Callable[[Any, Any], Any], value: Decoder, key: Decoder) -> Callable[[Any, Any], Any]:
    async def handle(record: Record[Any], context: Any) -> Any:
        message = record.message
        return await call(Decoded(message, value(message), key(message), record._retry_topics), context)  # noqa: SLF001

    return handle


def _many(call: Callable[[Any, Any], Any], value: Decoder, key: Decoder) -> Callable[[Any, Any], Any]:
    def handle(records: Records[Any], context: Any) -> Any:
        found = _readable(records, value, key)
        return _upto(call(DecodedRecords(found), context), found, records)

    return handle


def _async_many(call: Callable[[Any, Any], Any], value: Decoder, key: Decoder) -> Callable[[Any, Any], Any]:
    async def handle(records: Records[Any], context: Any) -> Any:
        found = _readable(records, value, key)
        return _upto(await call(DecodedRecords(found), context), found, records)

    return handle


def _readable(records: Records[Any], value: Decoder, key: Decoder) -> list[Decoded]:
    """Those before the first that cannot be decoded; if that is the very first, its error is the batch's."""
    found: list[Decoded] = []
    retry_topics = records._retry_topics  # noqa: SLF001
    for message in records.messages:
        try:
            found.append(Decoded(message, value(message), key(message), retry_topics))
        except PayloadError:
            if not found:
                raise
            break
    return found


def _upto(answer: Any, found: list[Decoded], records: Records[Any]) -> Any:
    """What comes behind an unreadable record comes again, that one at its head."""
    if len(found) < len(records) and not isinstance(answer, Done):
        return Done(found[-1])
    return answer
