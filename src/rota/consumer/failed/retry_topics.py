"""Retry topics: a record that cannot be handled now waits in a topic of its own for its next attempt.

Others of its key go on meanwhile: whoever needs order per key retries in place (`rota.consumer.Retry`). The
handler subscribes to its retry topics itself; what waits there survives restarts and rebalances.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from rota.consumer.clients.headers import headers_of
from rota.consumer.failed.letters import due_at_ms
from rota.consumer.naming import names_checked
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rota.consumer.clients.client import Message

__all__ = ["Hop", "RetryTopics", "hops_of", "wait_ms"]

_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DELAY = re.compile(r"(\d{1,9})(ms|s|m|h|d)")
_TOPIC = re.compile(r"[a-zA-Z0-9._-]{1,249}")


@names_checked
class RetryTopics:
    """``RetryTopics("10s", "1m", "10m")``: after the attempts in place, one round of them in each of these
    topics, so much later; then the dead-letter topic.

    ``name``: how a retry topic is called. ``create``: make those that do not exist, with as many partitions
    as the handler's topic. A mistake is a RotaError.
    """

    def __init__(
        self, *delays: str, name: str = "{topic}.{group}.retry.{delay}", create: bool = False
    ) -> None:
        if not delays:
            raise RotaError('RetryTopics wants a delay or several: RetryTopics("10s", "1m", "10m")')
        self.delays_ms = {delay: _milliseconds(delay) for delay in delays}
        if len(self.delays_ms) < len(delays):
            raise RotaError(
                f"RetryTopics({', '.join(delays)}): each delay has a topic of its own; give it once"
            )
        missing = [field for field in ("{topic}", "{delay}") if field not in name]
        if missing:
            raise RotaError(f"RetryTopics(name={name!r}): {missing[0]} is missing in it")
        self.name = name
        self.create = create

    def __repr__(self) -> str:
        return f"RetryTopics({', '.join(map(repr, self.delays_ms))})"


class Hop(NamedTuple):
    """A retry topic: what waits there for how long, and where it comes from first."""

    topic: str
    delay_ms: int
    source: str


def hops_of(retry_topics: RetryTopics, topics: Sequence[str], group: str) -> dict[str, Hop]:
    """Where a record of each topic goes when its attempts are over: the key is the handler's topic or one of
    its retry topics; the last one has no entry.
    """
    found: dict[str, Hop] = {}
    for source in topics:
        if source.startswith("^"):
            raise RotaError(
                f"retry topics belong to a topic, and {source} is a pattern of several: name the topics"
            )
        before = source
        for delay, delay_ms in retry_topics.delays_ms.items():
            name = (
                retry_topics.name.replace("{topic}", source)
                .replace("{group}", group)
                .replace("{delay}", delay)
            )
            if not _TOPIC.fullmatch(name):
                raise RotaError(
                    f"{name!r} cannot be a topic's name (249 of a-z A-Z 0-9 . _ -): give the retry topics "
                    'another one, such as RetryTopics(…, name="{topic}.retry.{delay}")'
                )
            found[before] = Hop(name, delay_ms, source)
            before = name
    return found


def wait_ms(message: Message, delays_ms: Mapping[str, int], wall_ms: int) -> int | None:
    """For how long a record must not begin yet: 0 if it is due, None if it comes from no retry topic
    (``delays_ms`` by topic), where none waits. Clocks differ: never longer than the topic's delay from now.
    """
    delay_ms = delays_ms.get(message.topic())
    if delay_ms is None:
        return None
    due_ms = due_at_ms(headers_of(message))
    return 0 if due_ms is None else max(0, min(due_ms - wall_ms, delay_ms))


def _milliseconds(delay: str) -> int:
    found = _DELAY.fullmatch(delay)
    if found is None or not int(found[1]):
        raise RotaError(f'RetryTopics: {delay!r} is no delay; write "500ms", "10s", "1m", "2h" or "1d"')
    return int(found[1]) * _UNITS[found[2]]
