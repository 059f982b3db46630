"""Whether the producer of transactions waits in vain.

A coordinator that is away is waited for without end: another process would fare no better. But a client may have
forgotten where the brokers are (`rota.consumer.clients.absence`), and waits then though they are back. What shows it:
asked for a topic it is not answered, while a client that was just made is, several times in a row. It is not replaced
as a consumer is: only the group's committed offsets tell what became of the transaction that was under way, and a
process that is started again begins with them.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ForgottenError", "Waiting", "is_another_answered", "is_answered"]

log = logging.getLogger("rota.consumer")

_ASK_EVERY_S = 10.0
_QUESTIONS = 6
"""So many in a row that only another client is answered, and it is over."""
_ANSWER_S = 5.0
"""So long brokers have to answer."""
_TOLD_EVERY_S = 60.0
_OFFSETS = "__consumer_offsets"
"""A topic that is there, or may be."""


class ForgottenError(Exception):
    """The producer does not find the brokers, though others do."""


class Waiting:
    """``is_answered``: whether brokers answer the producer; ``is_another_answered``: whether they do answer a client
    that is made anew. Both may take some seconds. ``now_s``: a clock.
    """

    def __init__(
        self,
        is_answered: Callable[[], bool],
        is_another_answered: Callable[[], bool],
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._is_answered = is_answered
        self._is_another_answered = is_another_answered
        self._now_s = now_s
        self._ask_at: float | None = None
        self._tell_at: float | None = None
        self._told = False
        self._in_vain = 0

    def goes_on(self, why: str) -> None:
        """A call of the producer was in vain, and is made again. Raises `ForgottenError` when that cannot help."""
        now = self._now_s()
        if self._tell_at is None or self._ask_at is None:
            log.info("a transaction waits: %s", why)
            self._tell_at, self._ask_at = now, now + _ASK_EVERY_S
            return
        if now >= self._tell_at:
            log.warning("a transaction still waits for its coordinator: %s", why)
            self._tell_at, self._told = now + _TOLD_EVERY_S, True
        if now >= self._ask_at:
            self._ask()
            self._ask_at = self._now_s() + _ASK_EVERY_S

    def is_over(self) -> None:
        """The producer was answered."""
        if self._told:
            log.warning("the coordinator of transactions has answered; going on")
        self._ask_at = self._tell_at = None
        self._told, self._in_vain = False, 0

    def _ask(self) -> None:
        in_vain = not self._is_answered() and self._is_another_answered()
        self._in_vain = self._in_vain + 1 if in_vain else 0
        if self._in_vain >= _QUESTIONS:
            raise ForgottenError(
                "the producer of transactions does not find the brokers any more, though another client does: "
                "start the process again"
            )


def is_answered(client: Any) -> bool:
    """Whether brokers answer a client of confluent-kafka."""
    try:
        client.list_topics(_OFFSETS, timeout=_ANSWER_S)
    except KafkaException as error:
        return bool(error.args[0].code() > 0)  # what a broker says is an answer, whatever it is
    return True


def is_another_answered(connection: Mapping[str, Any]) -> bool:
    """Whether they would answer one that is made now."""
    return is_answered(AdminClient({**connection, "log_level": 0}))
