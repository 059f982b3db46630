"""What the application registers: handlers and their options, as data. `specs.py` checks them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypedDict

from rota.consumer.naming import names_checked
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rota.consumer.clients.client import Message
    from rota.consumer.core.ordering import NullKey, Order
    from rota.consumer.core.policy import DeadLetter, Retry
    from rota.consumer.failed.retry_topics import RetryTopics
    from rota.model import TopicPartition

__all__ = ["OPTIONS", "Batch", "HandlerOptions", "HandlerSpec", "Hooks"]


@names_checked
@dataclass(frozen=True, slots=True)
class Batch:
    """Call the handler with up to ``most`` records at once, the first of which has waited for ``wait_ms``
    milliseconds at the longest.
    """

    most: int = 500
    wait_ms: int = 200

    def __post_init__(self) -> None:
        if not isinstance(self.most, int) or self.most < 1:
            raise RotaError(f"Batch(most={self.most!r}): it must be a whole number, 1 or more")
        if not isinstance(self.wait_ms, int) or self.wait_ms < 0:
            raise RotaError(
                f"Batch(wait_ms={self.wait_ms!r}): it must be 0 or more milliseconds, a whole number"
            )


class HandlerOptions(TypedDict, total=False):
    """The options of ``@app.handler(…)``, and class attributes of a `rota.consumer.Handler`; see
    docs/consumer.md.
    """

    order: Order | None
    concurrency: int | None
    null_key: NullKey | None
    workers: Literal["auto", "threads", "processes"]
    batch: Batch | None
    retry: Retry | None
    retry_topics: RetryTopics | None
    dead_letter: DeadLetter | None
    on_failure: Literal["stop", "skip"]
    rate: float | None
    value: Callable[..., Any] | None
    key: Callable[..., Any] | None
    exactly_once: bool


OPTIONS = tuple(HandlerOptions.__annotations__)


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
    """One handler, all its options decided. `build.py` makes a `Route` of it.

    ``function`` takes (record or records, context), whatever ``source``, the function as the application wrote
    it, takes, and decodes before it calls that. ``decode``: what a message's value becomes.
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
    retry_topics: RetryTopics | None = None
    dead_letter: DeadLetter | None = None
    on_failure: Literal["stop", "skip"] = "stop"
    rate: float | None = None
    """Records per second."""
    decode: Callable[[Message], Any]
    value: Any = None
    key: Any = None
    """The options of these names: for whoever must make ``function`` anew."""
    exactly_once: bool = False
    hooks: Hooks | None = None

    @property
    def patterns(self) -> tuple[str, ...]:
        """Those of its topics that are regular expressions."""
        return tuple(topic for topic in self.topics if topic.startswith("^"))
