"""The producer of dead letters and of what goes to retry topics: a record is safe when its delivery report
says so.

It is made with the consumer's connection settings when the first record needs it, idempotent, and waits for
all replicas in sync. Called by the owner thread only.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaError, KafkaException, Producer

from rota.cluster.commands import create_topic
from rota.consumer.clients.client_errors import client_log
from rota.consumer.clients.headers import headers_of
from rota.consumer.failed.letter_topics import Facts, connection_settings, timestamp_for
from rota.consumer.failed.letters import (
    UNREADABLE,
    Letter,
    origin_of,
    without_ours,
)
from rota.consumer.failed.traces import exception_name, exception_text, trace_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from rota.consumer.clients.client import Message
    from rota.consumer.clients.headers import Headers
    from rota.consumer.core.failures import Delivery

__all__ = ["KafkaLetters", "Sending", "in_words"]

log = logging.getLogger("rota.consumer")


_LARGEST = 1_000_000_000
_BATCH_OVERHEAD = 512
_GOODBYE_S = 2.0


class Sending:
    """A record on its way; what the first attempt could not carry is left out of the next."""

    __slots__ = ("delivered", "letter", "message", "timestamp_ms", "topic")

    def __init__(
        self,
        message: Message,
        letter: Letter,
        topic: str,
        timestamp_ms: int | None,
        delivered: Delivery,
    ) -> None:
        self.message = message
        self.letter = letter
        self.topic = topic
        self.timestamp_ms = timestamp_ms
        self.delivered = delivered

    @property
    def headers(self) -> list[tuple[str, Any]]:
        """The record's, and ours."""
        return [*_own_headers(self.message), *self.letter.headers()]

    def smaller(self, code: int) -> bool:
        """Leave out what the broker may not have liked; whether there was something."""
        if code == KafkaError.MSG_SIZE_TOO_LARGE and self.letter.trace:
            self.letter = self.letter._replace(trace="")
            return True
        if code == KafkaError.INVALID_TIMESTAMP and self.timestamp_ms is not None:
            self.timestamp_ms = None
            return True
        return False


class KafkaLetters:
    """See `rota.consumer.core.failures.DeadLetters`.

    ``config``: the consumer's. ``retry_topics``: on records from these, our headers say where they were
    first; elsewhere they are somebody else's. ``facts``: what is known of the topics. ``wall_ms``: the time
    in milliseconds since 1970.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        *,
        retry_topics: Collection[str] = (),
        facts: Mapping[str, Facts] | None = None,
        wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        make: Callable[[dict[str, Any]], Any] | None = None,
    ) -> None:
        self._group = str(config["group.id"])
        self._bootstrap = str(config.get("bootstrap.servers", ""))
        self._facts = dict(facts or {})
        self._config = {**connection_settings(config), **self._own_settings(config)}
        self._retry_topics = frozenset(retry_topics)
        self._wall_ms = wall_ms
        self._make = make or _producer
        self._producer: Any = None
        self._under_way = 0
        self._waiting: deque[Sending] = deque()
        self._refused: deque[tuple[Sending, KafkaError]] = deque()
        self._unwanted: deque[Sending] = deque()

    def send(
        self,
        message: Message,
        failure: BaseException,
        attempts: int,
        topic: str,
        delivered: Delivery,
        wait_ms: int | None = None,
    ) -> None:
        """Returns at once."""
        now_ms = self._wall_ms()
        origin = origin_of(message, self._retry_topics)
        letter = Letter(
            origin=origin._replace(attempts=origin.attempts + attempts),
            group=self._group,
            exception=exception_name(failure),
            message=exception_text(failure),
            failed_at_ms=now_ms,
            trace=trace_of(failure) if wait_ms is None else "",
            due_at_ms=None if wait_ms is None else now_ms + wait_ms,
        )
        timestamp_ms = timestamp_for(origin.timestamp_ms, self._facts.get(topic, Facts()), now_ms)
        self._waiting.append(Sending(message, letter, topic, timestamp_ms, delivered))
        self._produce()

    def serve(self) -> None:
        """Call it often: delivery reports, and what had no room before."""
        if self._producer is None:
            return
        self._producer.poll(0)
        while self._refused:
            self._again_or_not(*self._refused.popleft())
        while self._unwanted:
            self._unwanted.popleft().delivered("its partition was lost")
        if self._waiting:
            self._produce()

    def close(self) -> None:
        """What is still under way is given up: its records come again."""
        self._waiting.clear()
        self._refused.clear()
        if self._producer is not None and self._under_way:
            self._producer.purge()
            self._producer.flush(_GOODBYE_S)
        self._producer = None

    def _produce(self) -> None:
        if self._producer is None:
            self._producer = self._make(self._config)
        while self._waiting:
            sending = self._waiting[0]
            if not sending.delivered.wanted:
                self._unwanted.append(self._waiting.popleft())
                continue
            more = {} if sending.timestamp_ms is None else {"timestamp": sending.timestamp_ms}
            try:
                self._producer.produce(
                    sending.topic,
                    value=sending.message.value(),
                    key=sending.message.key(),
                    headers=sending.headers,
                    on_delivery=lambda error, _, sending=sending: self._answered(sending, error),
                    **more,
                )
            except BufferError:  # the client's queue is full: the next `serve` goes on
                return
            except KafkaException as error:
                self._refused.append((sending, error.args[0]))
            else:
                self._under_way += 1
            self._waiting.popleft()

    def _answered(self, sending: Sending, error: KafkaError | None) -> None:
        self._under_way -= 1
        if error is None:
            sending.delivered(None)
        else:
            self._refused.append((sending, error))

    def _again_or_not(self, sending: Sending, error: KafkaError) -> None:
        if sending.smaller(error.code()):
            self._waiting.append(sending)
        else:
            sending.delivered(in_words(error, sending.topic, self._bootstrap))

    def batch_size(self) -> dict[str, Any]:
        """For a producer, if the topics are known: a batch that is too large is refused with all in it."""
        known = [facts.max_bytes for facts in self._facts.values() if facts.max_bytes is not None]
        return {"batch.size": max(1, min(*known, 1_000_000) - _BATCH_OVERHEAD)} if known else {}

    def _own_settings(self, config: Mapping[str, Any]) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "enable.idempotence": True,
            "acks": "all",
            "allow.auto.create.topics": False,  # one that was deleted is not to come back with other settings
            "linger.ms": 1,
            "partitioner": "murmur2_random",
            # The broker says what is too large for its topic; the client's own limit would only guess.
            "message.max.bytes": config.get("message.max.bytes", _LARGEST),
        }
        return {**settings, **(self.batch_size() or {"batch.num.messages": 1})}


def _own_headers(message: Message) -> Headers:
    headers = headers_of(message)
    return [(UNREADABLE, b"lost")] if headers is None else without_ours(headers)


def _producer(config: dict[str, Any]) -> Producer:
    return Producer(config, logger=client_log())


def in_words(error: KafkaError, topic: str, bootstrap: str = "") -> str:
    absent = f"it does not exist; `{create_topic(topic, bootstrap)}` makes it"
    """Why a topic did not take a record."""
    words = {
        KafkaError.MSG_SIZE_TOO_LARGE: "it is too large for it with its headers, even without the trace; raise "
        f"max.message.bytes of {topic}",
        KafkaError.TOPIC_AUTHORIZATION_FAILED: "this user may not write to it",
        KafkaError.CLUSTER_AUTHORIZATION_FAILED: "this user may not write to it",
        KafkaError.UNKNOWN_TOPIC_OR_PART: absent,
        KafkaError._UNKNOWN_TOPIC: absent,  # noqa: SLF001
        KafkaError._MSG_TIMED_OUT: "no acknowledgement came in time",  # noqa: SLF001
    }
    return words.get(error.code()) or " ".join(str(error.str()).split())
