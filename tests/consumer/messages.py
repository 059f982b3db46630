"""Messages and contexts for tests of what handlers are given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rota.consumer.clients.client import Offset
from rota.consumer.context import Context, Effects
from rota.consumer.core.state import Ours
from rota.consumer.core.work import Lane, Task
from rota.model import TopicPartition

WHERE = TopicPartition("orders", 3)


@dataclass(frozen=True)
class SomeMessage:
    """A record of one partition; its timestamp follows its offset unless told otherwise."""

    at: int
    ms: int = 0
    where: TopicPartition = WHERE

    def topic(self) -> str:
        return self.where.topic

    def partition(self) -> int:
        return self.where.partition

    def offset(self) -> int:
        return self.at

    def key(self) -> bytes | None:
        return b"key"

    def value(self) -> bytes | None:
        return b"value"

    def headers(self) -> list[tuple[str, bytes | None]] | None:
        return None

    def timestamp(self) -> tuple[int, int]:
        return 1, self.ms or 1_600_000_000_000 + self.at

    def error(self) -> object | None:
        return None


def context_of(
    messages: Sequence[SomeMessage],
    *,
    group: str = "billing",
    committed: int | None = None,
    batch: bool = False,
    largest: int = 0,
) -> Context:
    """A context as a worker makes it for a task, in its first attempt."""
    known = None if committed is None else Offset(committed)
    effects = Effects(group, batch=batch, largest=largest, committed=lambda _where: known)
    return Context(Ours(), Task(list(messages), Lane(0)), effects)
