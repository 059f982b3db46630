"""What the application registers: a handler with its options, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rota.consumer.client import Message
    from rota.consumer.ordering import NullKey, Order
    from rota.consumer.policy import DeadLetter, Retry
    from rota.model import TopicPartition

__all__ = ["Batch", "HandlerSpec", "Hooks"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Call the handler with up to ``most`` records at once, which have waited for ``wait_ms`` milliseconds
    at the longest.
    """

    most: int = 500
    wait_ms: int = 200

    def __post_init__(self) -> None:
        if self.most < 1:
            raise RotaError(f"Batch(most={self.most}): it must be 1 or more")
        if self.wait_ms < 0:
            raise RotaError(f"Batch(wait_ms={self.wait_ms}): it must be 0 or more milliseconds")


class Hooks(Protocol):
    """Who wants to know of partitions that come and go; called by the owner thread."""

    def on_assigned(self, partitions: Sequence[TopicPartition], /) -> None:
        """Before the first of their records is handled."""
        ...

    def on_revoked(self, partitions: Sequence[TopicPartition], lost: bool, /) -> None:
        """After what had begun is finished and committed; ``lost``: nothing could be committed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerSpec:
    """One handler, all its options decided. ``build.py`` makes a `Route` of it.

    ``function`` takes (record or records, context), whatever ``source``, the function as the application wrote
    it, takes. ``decode``: what a message's value becomes; what it raises is a failure of the record.
    """

    name: str
    topics: tuple[str, ...]
    function: Callable[[Any, Any], Any]
    source: Callable[..., Any]
    kind: Literal["sync", "async"] = "sync"
    workers: Literal["threads", "loop", "processes"] = "threads"
    order: Order = "key"
    concurrency: int = 16
    null_key: NullKey = "partition"
    batch: Batch | None = None
    retry: Retry | None = None
    retry_topics: Any = None
    """`rota.consumer.retry_topics.RetryTopics`, or None."""
    dead_letter: DeadLetter | None = None
    on_failure: Literal["stop", "skip"] = "stop"
    rate: float | None = None
    """Records per second."""
    decode: Callable[[Message], Any]
    exactly_once: bool = False
    hooks: Hooks | None = None
