"""What a handler is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from rota.consumer.clients.headers import headers_of
from rota.consumer.core.policy import PayloadError
from rota.consumer.failed.letters import origin_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from rota.consumer.clients.client import Message
    from rota.consumer.failed.letters import Origin

__all__ = ["Record", "Records"]

T = TypeVar("T")


class Record(Generic[T]):
    """One record. ``key`` and ``headers`` are as they came; ``value`` is what the handler's annotation asks
    for.
    """

    __slots__ = ("_decode", "_retry_topics", "message")

    def __init__(
        self, message: Message, decode: Callable[[Message], T], retry_topics: Sequence[str] = ()
    ) -> None:
        """``retry_topics``: on records from these, headers say where they were first."""
        self.message = message
        self._decode = decode
        self._retry_topics = retry_topics

    @property
    def topic(self) -> str:
        return self.message.topic()

    @property
    def partition(self) -> int:
        return self.message.partition()

    @property
    def offset(self) -> int:
        return self.message.offset()

    @property
    def key(self) -> bytes | None:
        return self.message.key()

    @property
    def value(self) -> T:
        """Decoded whenever it is asked for."""
        return self._decode(self.message)

    @property
    def headers(self) -> list[tuple[str, bytes | None]]:
        """As they came. Raises `PayloadError` if a name is no UTF-8."""
        found = headers_of(self.message)
        if found is None:
            raise PayloadError(f"the headers of {self} cannot be read: a name is no UTF-8")
        return found

    @property
    def timestamp_ms(self) -> int:
        """Milliseconds since 1970; -1 if the record has none."""
        return self.message.timestamp()[1]

    @property
    def origin(self) -> Origin:
        """Where it was first: of a record from a retry topic not where it is now (`rota.consumer.failed.letters`)."""
        return origin_of(self.message, self._retry_topics)

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition} at offset {self.offset}"

    def __repr__(self) -> str:
        return f"<Record {self}, key {self.key!r}>"


class Records(Sequence[Record[T]]):
    """Some records of one partition, in order; made one by one, when they are looked at."""

    __slots__ = ("_decode", "_retry_topics", "messages")

    def __init__(
        self, messages: Sequence[Message], decode: Callable[[Message], T], retry_topics: Sequence[str] = ()
    ) -> None:
        self.messages = messages
        self._decode = decode
        self._retry_topics = retry_topics

    def __len__(self) -> int:
        return len(self.messages)

    @overload
    def __getitem__(self, index: int) -> Record[T]: ...
    @overload
    def __getitem__(self, index: slice) -> Records[T]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return Records(self.messages[index], self._decode, self._retry_topics)
        return Record(self.messages[index], self._decode, self._retry_topics)

    @property
    def values(self) -> list[T]:
        decode = self._decode
        return [decode(message) for message in self.messages]
