"""Dead letters and records for retry topics, of handlers that are exactly-once: they are outputs like any other, and
go into the transaction that commits the record's offset.

What a broker refuses there ends the transaction, and all others with it; so what is known of the topic is asked before.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaError

from rota.consumer.effects.outputs import Output
from rota.consumer.failed.dead_letters import KafkaLetters, in_words
from rota.consumer.failed.letter_topics import Facts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rota.consumer.clients.client import Message
    from rota.consumer.core.failures import Delivery
    from rota.consumer.core.state import Outputs
    from rota.consumer.failed.dead_letters import Sending

__all__ = ["TransactionalLetters"]


_USUAL_BYTES = 1_048_588
_USUAL_AFTER_MS = 3_600_000
"""Kafka's defaults, for topics whose settings nobody may tell us."""
_BATCH_BYTES = 61
"""The header of a batch."""
_RECORD_BYTES = 64
_HEADER_BYTES = 10
"""What a record and each of its headers take at most besides what is in them."""


class TransactionalLetters(KafkaLetters):
    """``outputs_of``: where outputs of a record of this topic go; None: its handler is not exactly-once."""

    def __init__(
        self, config: Mapping[str, Any], outputs_of: Callable[[str], Outputs | None], **more: Any
    ) -> None:
        super().__init__(config, **more)
        self._outputs_of = outputs_of
        self._joined: deque[tuple[Message, Outputs, Output | str, Delivery]] = deque()

    def serve(self) -> None:
        """What joins a transaction is safe as soon as it is kept with the record's outputs."""
        while self._joined:
            message, outputs, output, delivered = self._joined.popleft()
            if isinstance(output, str):
                delivered(output)
                continue
            if delivered.wanted:
                outputs.done(message, [output])
            delivered(None)
        super().serve()

    def _produce(self) -> None:
        others = [sending for sending in self._waiting if not self._join(sending)]
        self._waiting.clear()
        self._waiting.extend(others)
        if self._waiting:
            super()._produce()

    def _join(self, sending: Sending) -> bool:
        message: Message = sending.message
        outputs = self._outputs_of(message.topic())
        if outputs is None:
            return False
        self._joined.append((message, outputs, self._fitted(sending), sending.delivered))
        return True

    def _fitted(self, sending: Sending) -> Output | str:
        """As the topic takes it; or why it does not."""
        facts = self._facts.get(sending.topic, Facts())
        if _far_off(sending.timestamp_ms, facts, self._wall_ms()):
            sending.smaller(KafkaError.INVALID_TIMESTAMP)
        largest = _USUAL_BYTES if facts.max_bytes is None else facts.max_bytes
        output = _output(sending)
        room = largest - _BATCH_BYTES - _RECORD_BYTES - _HEADER_BYTES * len(output.headers)
        if output.size > room and sending.smaller(KafkaError.MSG_SIZE_TOO_LARGE):
            output = _output(sending)
        if facts.max_bytes is not None and output.size > facts.max_bytes - _BATCH_BYTES:
            return in_words(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE), sending.topic)
        return output


def _output(sending: Sending) -> Output:
    message = sending.message
    headers = tuple(sending.headers)
    return Output(sending.topic, message.value(), message.key(), headers, None, sending.timestamp_ms)


def _far_off(timestamp_ms: int | None, facts: Facts, now_ms: int) -> bool:
    """Whether the topic may find it too old or too new: clocks differ, so well before it does."""
    if timestamp_ms is None:
        return False
    after_ms = _USUAL_AFTER_MS if facts.after_ms is None else facts.after_ms
    too_old = facts.before_ms is not None and now_ms - timestamp_ms > facts.before_ms // 2
    return too_old or timestamp_ms - now_ms > after_ms // 2
