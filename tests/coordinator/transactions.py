"""A transaction coordinator with a log, for tests: what a broker does with outcomes, in memory, with a clock to set."""

from __future__ import annotations

import itertools
from typing import TypeVar

from rota.coordinator.transactions import (
    Asked,
    Markers,
    Outcome,
    Transaction,
    TransactionConfig,
    TransactionCoordinator,
)
from rota.coordinator.transactions.log_format import decode_record, encode_record
from rota.model import ErrorCode, TopicPartition
from rota.wire.messages.add_offsets_to_txn import AddOffsetsToTxnRequest, AddOffsetsToTxnResponse
from rota.wire.messages.add_partitions_to_txn import (
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse,
    AddPartitionsToTxnTopic,
)
from rota.wire.messages.end_txn import EndTxnRequest, EndTxnResponse
from rota.wire.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from rota.wire.schema import Message

__all__ = ["Bench", "Topics"]

_M = TypeVar("_M", bound=Message)


class Topics:
    """Topic ``t`` has three partitions; there is no other."""

    version = 0

    def partitions(self, topic: str) -> int | None:
        return 3 if topic == "t" else None

    def topic_id(self, topic: str) -> bytes | None:
        return b"t" * 16 if topic == "t" else None

    def topic_name(self, topic_id: bytes) -> str | None:
        return "t" if topic_id == b"t" * 16 else None

    def names(self) -> list[str]:
        return ["t"]


class Bench:
    """Asks a coordinator, appends what it records, replays it, and writes markers unless ``marks`` is off."""

    def __init__(self, config: TransactionConfig | None = None) -> None:
        self.now_ms = 1_000_000
        self.log: list[tuple[bytes, bytes | None]] = []
        self.markers: list[Markers] = []
        self.marks = True
        self.can_append = True
        self._config = config or TransactionConfig()
        self.coordinator = self._new()

    def _new(self) -> TransactionCoordinator:
        ids = itertools.count(1_000 * (1 + len(self.log)))
        return TransactionCoordinator(
            self._config, lambda: next(ids), Topics(), lambda _group: TopicPartition("__consumer_offsets", 7)
        )

    def restart(self) -> None:
        """Replay the log; what was decided is finished."""
        self.coordinator = self._new()
        for key, value in self.log:
            record = decode_record(key, value)
            assert record is not None
            self.coordinator.replay(record)
        for markers in self.coordinator.unfinished():
            self._write(markers)

    def carry_out(self, outcome: Outcome) -> Outcome:
        if outcome.records and not self.can_append:
            outcome = self.coordinator.on_append_failed(outcome, ErrorCode.NOT_COORDINATOR)
            assert not outcome.records
            assert not outcome.markers
        for record in outcome.records:
            self.log.append(encode_record(record))
            self.coordinator.replay(record)
        for markers in outcome.markers:
            self._write(markers)
        return outcome

    def _write(self, markers: Markers) -> None:
        if self.marks:
            self.markers.append(markers)
            self.carry_out(self.coordinator.markers_written(markers.transactional_id, self.now_ms))

    def ask(self, request: Message, version: int, expected: type[_M]) -> _M:
        outcome = self.carry_out(self.coordinator.handle(request, Asked(version, self.now_ms)))
        assert isinstance(outcome.response, expected)
        return outcome.response

    # --- the requests of a producer -----------------------------------------------------------------------------

    def init(
        self,
        name: str = "x",
        *,
        producer: tuple[int, int] = (-1, -1),
        timeout_ms: int = 60_000,
        version: int = 4,
    ) -> tuple[int, int, int]:
        """Error code, producer id, epoch."""
        request = InitProducerIdRequest(
            transactional_id=name,
            transaction_timeout_ms=timeout_ms,
            producer_id=producer[0],
            producer_epoch=producer[1],
        )
        got = self.ask(request, version, InitProducerIdResponse)
        return got.error_code, got.producer_id, got.producer_epoch

    def begin(
        self, name: str = "x", *, producer: tuple[int, int] = (-1, -1), timeout_ms: int = 60_000
    ) -> tuple[int, int]:
        """A producer that may begin: its id and epoch."""
        code, producer_id, epoch = self.init(name, producer=producer, timeout_ms=timeout_ms)
        assert code == ErrorCode.NONE
        return producer_id, epoch

    def add(
        self, producer: tuple[int, int], *partitions: int, name: str = "x", topic: str = "t", version: int = 3
    ) -> list[int]:
        """The error codes of the partitions."""
        request = AddPartitionsToTxnRequest(
            v3_and_below_transactional_id=name,
            v3_and_below_producer_id=producer[0],
            v3_and_below_producer_epoch=producer[1],
            v3_and_below_topics=[AddPartitionsToTxnTopic(name=topic, partitions=list(partitions))],
        )
        (topic_result,) = self.ask(request, version, AddPartitionsToTxnResponse).results_by_topic_v3_and_below
        return [each.partition_error_code for each in topic_result.results_by_partition]

    def add_offsets(self, producer: tuple[int, int], name: str = "x", version: int = 3) -> int:
        request = AddOffsetsToTxnRequest(
            transactional_id=name, producer_id=producer[0], producer_epoch=producer[1], group_id="g"
        )
        return self.ask(request, version, AddOffsetsToTxnResponse).error_code

    def end(
        self, producer: tuple[int, int], *, commit: bool = True, name: str = "x", version: int = 3
    ) -> tuple[int, int, int]:
        """Error code, producer id, epoch."""
        request = EndTxnRequest(
            transactional_id=name, producer_id=producer[0], producer_epoch=producer[1], committed=commit
        )
        got = self.ask(request, version, EndTxnResponse)
        return got.error_code, got.producer_id, got.producer_epoch

    def of(self, name: str = "x") -> Transaction:
        return self.coordinator.transactions[name]
