"""What a handler is told besides its record, and what it may have done exactly once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rota.consumer.clients.headers import headers_of
from rota.consumer.effects.outputs import Output, check_output
from rota.consumer.tracing import carry_on, current
from rota.model import RotaError, TopicPartition

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rota.consumer.clients.client import Message, Offset
    from rota.consumer.core.state import Ours
    from rota.consumer.core.work import Task
    from rota.consumer.sql import SqlEffect
    from rota.consumer.tracing import TraceContext

__all__ = ["Context", "Effects"]


def _unknown(_partition: TopicPartition) -> Offset | None:
    return None


@dataclass(frozen=True, slots=True)
class Effects:
    """What the contexts of one handler share. ``largest``: bytes of an output; 0 where the handler is
    not exactly-once. ``committed``: what the group has committed, as far as this process knows.
    """

    group: str = ""
    batch: bool = False
    largest: int = 0
    committed: Callable[[TopicPartition], Offset | None] = _unknown


class Context:
    """What a handler is told besides its record. Each attempt has its own, or that of the record before it."""

    __slots__ = ("_effects", "_ours", "_outputs", "_sql", "_sql_of", "_task")

    def __init__(self, ours: Ours, task: Task, effects: Effects | None = None) -> None:
        self._ours = ours
        self._task = task
        self._effects = effects or Effects()
        self._outputs: list[Output] = []
        self._sql: list[tuple[object, str, bool]] = []
        self._sql_of = -1

    @property
    def attempt(self) -> int:
        """1 for the first attempt."""
        return self._task.attempt

    @property
    def revoking(self) -> bool:
        """Whether the partition is being taken away: a handler may cut its work short."""
        return not self._ours.owns(self._message)

    @property
    def _message(self) -> Message:
        return self._task.messages[self._task.running]

    @property
    def trace(self) -> TraceContext | None:
        """Where this is in a trace: the span that is made around the handler, or the one that the record came from."""
        return current(headers_of(self._message))

    def sql(
        self, database: object, *, skip_done: bool = True, table: str = "rota_done", create: bool = True
    ) -> SqlEffect:
        """A transaction for the effect of this record, or of this batch: ``with``, or ``async with``, ``as tx``.

        ``database``: the path of an SQLite file, or a connection or pool of sqlite3 or psycopg that is in no
        transaction. That the record was applied is written in the same transaction, to ``table``. If it was before
        (a crash came between this transaction and the commit of the offset), the handler ends here and the record
        is done; with ``skip_done=False`` it asks ``tx.fresh``. Of a batch it asks ``tx.applies(record)`` for each
        record. ``create``: make the tables when they are missing. See docs/effects.md.
        """
        from rota.consumer.sql import SqlEffect  # sqlite3, only where it is used

        message = self._message
        self._check_sql((database, table, skip_done))
        place = TopicPartition(message.topic(), message.partition())
        ask = self._effects.committed

        def committed() -> int | None:
            known = ask(place)
            return None if known is None else known.offset

        messages = self._task.messages if self._effects.batch else (message,)
        return SqlEffect(
            database, self._effects.group, messages, committed,
            skip_done=skip_done, table=table, create=create,
        )  # fmt: skip

    def produce(
        self,
        topic: str,
        value: bytes | str | None = None,
        *,
        key: bytes | str | None = None,
        headers: Sequence[tuple[str, bytes | str | None]] = (),
        partition: int | None = None,
        timestamp_ms: int | None = None,
    ) -> None:
        """In a handler with ``exactly_once=True``: write a record, in the transaction that commits the offset of
        this one. Until then nobody who reads committed records sees it; if this attempt fails, nobody ever does.
        """
        largest = self._effects.largest
        if not largest:
            raise RotaError(
                "context.produce is for handlers with exactly_once=True; in others use a producer of your own"
            )
        carried = tuple(carry_on(headers, headers_of(self._message)))
        output = Output(topic, value, key, carried, partition, timestamp_ms)
        check_output(output)
        if output.size > largest:
            raise RotaError(
                f"an output for {topic} has {output.size:,} bytes; message.max.bytes of the consumer's configuration "
                f"allows {largest:,}"
            )
        self._outputs.append(output)

    def take_outputs(self) -> Sequence[Output]:
        """What the handler has produced since this was asked last; for the runtime."""
        outputs, self._outputs = self._outputs, []
        return outputs

    def _check_sql(self, use: tuple[object, str, bool]) -> None:
        if self._sql_of != self._task.running:
            self._sql_of = self._task.running
            self._sql = []
        for database, table, skip_done in self._sql:
            if skip_done or (database == use[0] and table == use[1]):
                raise RotaError(
                    "a second context.sql for one record: after a crash between both its effect would be lost. Put "
                    "both into one transaction; if they are in two databases, use skip_done=False and ask tx.fresh"
                )
        self._sql.append(use)
