"""What becomes of a record whose handler raised: another attempt, another topic, nothing, or the end of the
consumer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from random import Random

__all__ = ["Crash", "DeadLetter", "Decision", "Policy", "Retry", "Skip", "SkipRecordError", "skip"]


class SkipRecordError(Exception):
    """Raised by a handler: this record needs no work. It counts as done."""


def skip(reason: str = "") -> SkipRecordError:
    """``raise skip("why")``: the record counts as done."""
    return SkipRecordError(reason)


@dataclass(frozen=True, slots=True)
class Retry:
    """``attempts`` in all, the first included; seconds between them grow from ``backoff[0]``, doubling, to
    ``backoff[1]``.

    ``on``: exceptions that another attempt may cure; others are not tried again. Up to a quarter is taken
    off each wait by chance, so that members do not all come back at once.
    """

    attempts: int = 5
    backoff: tuple[float, float] = (0.2, 30.0)
    on: tuple[type[BaseException], ...] = (Exception,)

    def wait_ms(self, attempt: int, random: Random) -> int:
        """Milliseconds between ``attempt`` and the next."""
        least, most = self.backoff
        seconds = min(most, least * 2 ** min(attempt - 1, 62))
        return int(1000 * seconds * (1 - random.random() / 4))


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Write what failed to ``topic``; more than ``limit`` in a row, or a topic that takes none, stops the
    consumer.
    """

    topic: str
    limit: int = 100


class Decision(NamedTuple):
    """``action`` and, for another attempt, how many milliseconds from now."""

    action: str
    wait_ms: int = 0


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

    def decide(self, failure: BaseException, attempt: int, random: Random) -> Decision:
        if isinstance(failure, SkipRecordError):
            return Skip
        if attempt < self.retry.attempts and isinstance(failure, self.retry.on):
            return Decision("retry", self.retry.wait_ms(attempt, random))
        if self.dead_letter is not None:
            return Decision("dead-letter")
        return Skip if self.skip_failed else Crash
