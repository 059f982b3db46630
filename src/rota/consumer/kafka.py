"""A group member on confluent-kafka (librdkafka)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as ClientPartition

from rota.consumer.client import CommitError, Offset
from rota.model import TopicPartition

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from rota.consumer.client import Message, Rebalance

__all__ = ["KafkaClient", "is_cooperative"]

_COMMITTED_TIMEOUT_S = 10.0


class KafkaClient:
    """See `rota.consumer.client.Client`. ``config``: confluent-kafka's own names."""

    def __init__(self, config: Mapping[str, Any], logger: logging.Logger) -> None:
        self._answers: list[Callable[[CommitError | None, Mapping[TopicPartition, str]], None]] = []
        self._rebalance: Rebalance | None = None
        self._incremental = is_cooperative(config)
        self._consumer = Consumer({**config, "on_commit": self._on_commit}, logger=logger)

    def subscribe(self, topics: Sequence[str], rebalance: Rebalance) -> None:
        self._rebalance = rebalance
        self._consumer.subscribe(
            list(topics), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    def consume(self, most: int, timeout_s: float) -> Sequence[Message]:
        # consume() with a timeout waits for `most` records; a single poll() returns with the first.
        found: list[Any] = self._consumer.consume(most, 0)
        if found or not timeout_s:
            return found
        first: Any = self._consumer.poll(timeout_s)
        if first is None:
            return ()
        found = self._consumer.consume(most - 1, 0) if most > 1 else []
        return [first, *found]

    def committed(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Offset | None]:
        asked = [ClientPartition(*partition) for partition in partitions]
        found: dict[TopicPartition, Offset | None] = {}
        for answer in self._consumer.committed(asked, timeout=_COMMITTED_TIMEOUT_S):
            known = answer.error is None and answer.offset >= 0
            found[_named(answer)] = Offset(answer.offset, answer.metadata or "") if known else None
        return found

    def start(self, starts: Mapping[TopicPartition, int | None]) -> None:
        wanted = [
            ClientPartition(*partition) if offset is None else ClientPartition(*partition, offset)
            for partition, offset in starts.items()
        ]
        if self._incremental:
            self._consumer.incremental_assign(wanted)
        else:
            self._consumer.assign(wanted)

    def positions(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        found = self._consumer.position([ClientPartition(*partition) for partition in partitions])
        return {_named(item): item.offset for item in found if item.offset >= 0}

    def commit(self, offsets: Mapping[TopicPartition, Offset]) -> Mapping[TopicPartition, str]:
        try:
            answers = self._consumer.commit(offsets=_wire(offsets), asynchronous=False)
        except KafkaException as error:
            raise _failed(error.args[0]) from error
        return _refused(answers or ())

    def commit_soon(
        self,
        offsets: Mapping[TopicPartition, Offset],
        answered: Callable[[CommitError | None, Mapping[TopicPartition, str]], None],
    ) -> None:
        self._answers.append(answered)
        self._consumer.commit(offsets=_wire(offsets), asynchronous=True)

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        self._consumer.pause([ClientPartition(*partition) for partition in partitions])

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        self._consumer.resume([ClientPartition(*partition) for partition in partitions])

    def close(self) -> None:
        self._consumer.close()

    # Called back by librdkafka, on the owner's thread.

    def _on_assign(self, _consumer: Consumer, partitions: list[ClientPartition]) -> None:
        assert self._rebalance is not None
        self._rebalance.assigned([_named(partition) for partition in partitions])

    def _on_revoke(self, _consumer: Consumer, partitions: list[ClientPartition]) -> None:
        assert self._rebalance is not None
        self._rebalance.revoked([_named(partition) for partition in partitions])

    def _on_lost(self, _consumer: Consumer, partitions: list[ClientPartition]) -> None:
        assert self._rebalance is not None
        self._rebalance.lost([_named(partition) for partition in partitions])

    def _on_commit(self, error: KafkaError | None, partitions: list[ClientPartition]) -> None:
        if not self._answers:
            return  # the answer to a commit that was waited for
        answered = self._answers.pop(0)
        answered(None if error is None else _failed(error), _refused(partitions))


def is_cooperative(config: Mapping[str, Any]) -> bool:
    """Whether partitions come and go one by one (librdkafka allows no mixture of both kinds of strategies)."""
    strategies = str(config.get("partition.assignment.strategy", ""))
    return "cooperative" in strategies or config.get("group.protocol") == "consumer"


def _named(partition: ClientPartition) -> TopicPartition:
    return TopicPartition(partition.topic, partition.partition)


def _wire(offsets: Mapping[TopicPartition, Offset]) -> list[ClientPartition]:
    return [
        ClientPartition(*partition, offset, metadata) if metadata else ClientPartition(*partition, offset)
        for partition, (offset, metadata) in offsets.items()
    ]


def _refused(answers: Iterable[ClientPartition]) -> dict[TopicPartition, str]:
    return {_named(item): item.error.str() for item in answers if item.error is not None}


def _failed(error: KafkaError) -> CommitError:
    fenced = error.code() in (KafkaError.FENCED_INSTANCE_ID, KafkaError._FENCED)  # noqa: SLF001
    return CommitError(error.str(), fenced=fenced)
