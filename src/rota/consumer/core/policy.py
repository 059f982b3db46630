"""What becomes of a record whose handler raised: another attempt, another topic, nothing, or the end of the
consumer.

Whatever a handler raises belongs to its record only, a `TimeoutError` or a cancellation that it let through
as well. `SystemExit` and `KeyboardInterrupt` alone mean the program, and `NoWorkerError` that no handler saw the
record: they end the consumer, and the record comes again.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from rota.consumer.core.later import RetryLaterError
from rota.consumer.failed.retry_topics import hops_of
from rota.consumer.failed.traces import exception_name
from rota.consumer.naming import names_checked
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

    from rota.consumer.failed.retry_topics import Hop
    from rota.consumer.handlers import HandlerSpec

__all__ = [
    "Crash",
    "DeadLetter",
    "Decision",
    "NoWorkerError",
    "PayloadError",
    "Policy",
    "Retry",
    "Skip",
    "SkipRecordError",
    "policy_of",
    "reads",
    "skip",
]

log = logging.getLogger("rota.consumer")


class NoWorkerError(RotaError):
    """No handler saw the record: what is to handle it cannot be started. It would be the same with every other."""


_THE_PROGRAM = (SystemExit, KeyboardInterrupt, NoWorkerError)


class SkipRecordError(Exception):
    """Raised by a handler: this record needs no work. It counts as done."""


class PayloadError(Exception):
    """A record's key or value is not what its handler asks for. Another attempt would not help: it is tried
    again only by a `Retry` that names this class, or one below it, in ``on``.
    """


def skip(reason: str = "") -> SkipRecordError:
    """``raise skip("why")``: the record counts as done."""
    return SkipRecordError(reason)


@names_checked
@dataclass(frozen=True, slots=True)
class Retry:
    """``attempts`` in all, the first included; seconds between them grow from ``backoff[0]``, doubling, to
    ``backoff[1]``. A mistake is a RotaError.

    ``on``: exceptions that another attempt may cure, ``not_on``: those among them that it may not; others
    are not tried again. Up to a quarter is taken off each wait by chance, so that members do not all come
    back at once.
    """

    attempts: int = 5
    backoff: tuple[float, float] = (0.2, 30.0)
    on: tuple[type[BaseException], ...] = (Exception,)
    not_on: tuple[type[BaseException], ...] = ()
    """Of both: one class needs no tuple."""

    def __post_init__(self) -> None:
        if not isinstance(self.attempts, int) or self.attempts < 1:
            raise RotaError(
                f"Retry(attempts={self.attempts!r}): it must be a whole number, 1 or more, the first included"
            )
        if not _is_backoff(self.backoff):
            raise RotaError(
                f"Retry(backoff={self.backoff!r}): two numbers of seconds, the shortest wait and the longest"
            )
        for name in ("on", "not_on"):
            given = getattr(self, name)
            kinds = (given,) if isinstance(given, type) else given
            if not isinstance(kinds, Sequence) or not all(map(_is_exception, kinds)):
                raise RotaError(f"Retry({name}={given!r}): it must be an exception class, or a tuple of them")
            object.__setattr__(self, name, tuple(kinds))

    def may_cure(self, failure: BaseException) -> bool:
        """Whether this failure is one that another attempt may cure; of several at once, all of them."""
        if isinstance(failure, (*_THE_PROGRAM, *self.not_on)):
            return False
        by_name = tuple(kind for kind in self.on if issubclass(kind, (PayloadError, BaseExceptionGroup)))
        if isinstance(failure, by_name):
            return True
        if isinstance(failure, BaseExceptionGroup):
            return all(map(self.may_cure, failure.exceptions))
        if isinstance(failure, PayloadError):
            return False
        # A cancellation is no Exception, but it is the record's as any other.
        return isinstance(failure, self.on) or (Exception in self.on and not isinstance(failure, Exception))

    def wait_ms(self, attempt: int, random: Random) -> int:
        """Milliseconds between ``attempt`` and the next."""
        least, most = self.backoff
        seconds = min(most, least * 2 ** min(attempt - 1, 62))
        return int(1000 * seconds * (1 - random.random() / 4))


def _is_backoff(given: object) -> bool:
    if not isinstance(given, Sequence) or len(given) != 2:
        return False
    return all(isinstance(each, int | float) for each in given) and 0 <= given[0] <= given[1]


def _is_exception(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseException)


@names_checked
@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Write what failed to ``topic``. A mistake is a RotaError.

    More than ``limit`` in a row, without one that was handled between them, stop the consumer, and so do
    more than ``max_ratio`` times ``window`` among the last ``window`` records: then it is not the records. A
    topic that takes none stops it too. ``create``: make the topic if it does not exist, with as many
    partitions as the handler's topic.
    """

    topic: str
    limit: int = 100
    max_ratio: float | None = None
    window: int = 1_000
    create: bool = False

    def __post_init__(self) -> None:
        if not self.topic:
            raise RotaError("DeadLetter wants the name of a topic")
        if self.limit < 1:
            raise RotaError(f"DeadLetter(limit={self.limit}): it must be 1 or more")
        if self.max_ratio is not None and not 0 < self.max_ratio <= 1:
            raise RotaError(f"DeadLetter(max_ratio={self.max_ratio}): it must be more than 0, and at most 1")
        if self.window < 1:
            raise RotaError(f"DeadLetter(window={self.window}): it must be 1 record or more")


class Decision(NamedTuple):
    """``action``: retry, later (the same attempt again), retry-topic, dead-letter, skip or crash. ``wait_ms``:
    for how long the next attempt waits; ``topic``: where to.
    """

    action: str
    wait_ms: int = 0
    topic: str = ""


Skip = Decision("skip")
Crash = Decision("crash")


@dataclass(frozen=True, slots=True)
class Policy:
    """What a handler asked for. Without a dead-letter topic, a record that cannot be handled stops the
    consumer.
    """

    retry: Retry = field(default_factory=lambda: Retry(attempts=1))
    dead_letter: DeadLetter | None = None
    skip_failed: bool = False
    hops: Mapping[str, Hop] = field(default_factory=dict)
    """By topic, the retry topic that comes after it."""
    create_hops: bool = False

    @property
    def retry_topics(self) -> tuple[str, ...]:
        """What the handler reads besides its topics."""
        return tuple(hop.topic for hop in self.hops.values())

    @property
    def delays_ms(self) -> dict[str, int]:
        """For how long a record waits in each retry topic."""
        return {hop.topic: hop.delay_ms for hop in self.hops.values()}

    def decide(self, failure: BaseException, attempt: int, random: Random, topic: str = "") -> Decision:
        """What to do after the ``attempt``-th failure of a record of ``topic``."""
        try:
            return self._decide(failure, attempt, random, topic)
        except Exception:  # of the application's classes: an `isinstance` may be code of theirs
            log.exception("the policy cannot tell what to do about %s", exception_name(failure))
            return Crash

    def _decide(self, failure: BaseException, attempt: int, random: Random, topic: str) -> Decision:
        if isinstance(failure, SkipRecordError):
            return Skip
        if isinstance(failure, RetryLaterError):
            return Decision("later", failure.wait_ms)
        if _ends_the_program(failure):
            return Crash
        if self.retry.may_cure(failure):
            if attempt < self.retry.attempts:
                return Decision("retry", self.retry.wait_ms(attempt, random))
            hop = self.hops.get(topic)
            if hop is not None:
                return Decision("retry-topic", hop.delay_ms, hop.topic)
        if self.dead_letter is not None:
            return Decision("dead-letter", topic=self.dead_letter.topic)
        return Skip if self.skip_failed else Crash


def _ends_the_program(failure: BaseException) -> bool:
    if isinstance(failure, BaseExceptionGroup):  # as an `asyncio.TaskGroup` raises it
        return any(map(_ends_the_program, failure.exceptions))
    return isinstance(failure, _THE_PROGRAM)


def policy_of(spec: HandlerSpec, group: str) -> Policy:
    """What becomes of records that this handler cannot handle. Raises RotaError for what contradicts itself."""
    hops = hops_of(spec.retry_topics, spec.topics, group) if spec.retry_topics is not None else {}
    if spec.dead_letter is not None and spec.on_failure == "skip":
        raise RotaError(
            f"the handler {spec.name} has a dead-letter topic and on_failure='skip': a record cannot be both "
            "kept and skipped; leave one out"
        )
    written = {hop.topic for hop in hops.values()} | ({spec.dead_letter.topic} if spec.dead_letter else set())
    circle = [(name, topic) for name in sorted(written) for topic in spec.topics if reads(topic, name)]
    if circle:
        name, topic = circle[0]
        pattern = f" (it matches {topic})" if name != topic else ""
        raise RotaError(
            f"the handler {spec.name} reads {name}{pattern} and writes there what it cannot handle: "
            "the same records would come for ever"
        )
    return Policy(
        retry=spec.retry or Retry(attempts=1),
        dead_letter=spec.dead_letter,
        skip_failed=spec.on_failure == "skip",
        hops=hops,
        create_hops=spec.retry_topics is not None and spec.retry_topics.create,
    )


def reads(topic: str, name: str) -> bool:
    """Whether a subscription to ``topic``, a name or a pattern (``^…``), brings the topic ``name``."""
    if not topic.startswith("^"):
        return topic == name
    try:
        return re.match(topic, name) is not None
    except re.error:
        return False  # the client's language, not Python's
