"""Dead letters and records for retry topics, of handlers that are exactly-once: they are outputs like any other, and
go into the transaction that commits the record's offset.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from rota.consumer.dead_letters import KafkaLetters
from rota.consumer.outputs import Output

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rota.consumer.client import Message
    from rota.consumer.failures import Delivery
    from rota.consumer.state import Outputs

__all__ = ["TransactionalLetters"]


class TransactionalLetters(KafkaLetters):
    """``outputs_of``: where outputs of a record of this topic go; None: its handler is not exactly-once."""

    def __init__(
        self, config: Mapping[str, Any], outputs_of: Callable[[str], Outputs | None], **more: Any
    ) -> None:
        super().__init__(config, **more)
        self._outputs_of = outputs_of
        self._joined: deque[tuple[Message, Outputs, Output, Delivery]] = deque()

    def serve(self) -> None:
        """What joins a transaction is safe as soon as it is kept with the record's outputs."""
        while self._joined:
            message, outputs, output, delivered = self._joined.popleft()
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

    def _join(self, sending: Any) -> bool:
        message: Message = sending.message
        outputs = self._outputs_of(message.topic())
        if outputs is None:
            return False
        output = Output(
            sending.topic, message.value(), message.key(), tuple(sending.headers), None, sending.timestamp_ms
        )
        self._joined.append((message, outputs, output, sending.delivered))
        return True
