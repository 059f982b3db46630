"""The transaction coordinator: requests and calls from the broker go in, outcomes come out.

``TransactionCoordinator`` only distributes the work; each request has a file of its own. Handlers decide, ``replay``
alone changes what is recorded, when the broker has appended it and when it starts. A transaction that is decided
(PrepareCommit, PrepareAbort) is carried out by whoever runs the coordinator: see `outcome`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from rota.coordinator.transactions.describe import describe_transactions, list_transactions
from rota.coordinator.transactions.end import complete, end, fence
from rota.coordinator.transactions.failures import failed
from rota.coordinator.transactions.init import init_producer
from rota.coordinator.transactions.outcome import Markers, Outcome, Transaction
from rota.coordinator.transactions.partitions import (
    add_partitions,
    handle_add_partitions,
    verify_partitions,
)
from rota.coordinator.transactions.states import DECIDED, TransactionState
from rota.coordinator.transactions.step import Step, markers_of
from rota.model import ErrorCode, KafkaError
from rota.wire.messages.add_offsets_to_txn import AddOffsetsToTxnRequest, AddOffsetsToTxnResponse
from rota.wire.messages.add_partitions_to_txn import AddPartitionsToTxnRequest
from rota.wire.messages.describe_transactions import DescribeTransactionsRequest
from rota.wire.messages.end_txn import EndTxnRequest, EndTxnResponse
from rota.wire.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from rota.wire.messages.list_transactions import ListTransactionsRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rota.coordinator.outcome import TopicView
    from rota.coordinator.transactions.outcome import Asked, TransactionRecord
    from rota.model import TopicPartition
    from rota.wire.schema import Message

__all__ = ["TransactionConfig", "TransactionCoordinator"]

_FENCED_VERSION = 2  # AddOffsetsToTxn and EndTxn know PRODUCER_FENCED from here on
_INIT_FENCED_VERSION = 4


class TransactionConfig(NamedTuple):
    """Kafka's settings: ``transaction.max.timeout.ms``, ``transactional.id.expiration.ms``."""

    max_timeout_ms: int = 900_000
    expiration_ms: int = 604_800_000


class TransactionCoordinator:
    """All transactional ids, each with its latest transaction."""

    def __init__(
        self,
        config: TransactionConfig,
        new_producer_id: Callable[[], int],
        topics: TopicView,
        offsets_partition: Callable[[str], TopicPartition],
    ) -> None:
        """``offsets_partition``: where a group's offsets are recorded."""
        self.config = config
        self.transactions: dict[str, Transaction] = {}
        self._last_epochs: dict[str, int] = {}
        self._new_producer_id = new_producer_id
        self._topics = topics
        self._offsets_partition = offsets_partition
        self._answers: dict[type[Message], Callable[[Any, Step, int], Message]] = {
            InitProducerIdRequest: self._init,
            AddPartitionsToTxnRequest: self._add_partitions,
            AddOffsetsToTxnRequest: self._add_offsets,
            EndTxnRequest: self._end,
            ListTransactionsRequest: self._list,
            DescribeTransactionsRequest: self._describe,
        }

    # --- requests -------------------------------------------------------------------------------------------

    def handle(self, request: Message, asked: Asked) -> Outcome:
        """What follows from a request; it is always answered."""
        step = self._step(asked.now_ms)
        return step.outcome(self._answers[type(request)](request, step, asked.version))

    def _init(self, request: InitProducerIdRequest, step: Step, version: int) -> InitProducerIdResponse:
        try:
            got = init_producer(step, request, self.config.max_timeout_ms)
        except KafkaError as error:
            code = _code(error, version, _INIT_FENCED_VERSION)
            return InitProducerIdResponse(error_code=code, producer_id=-1, producer_epoch=-1)
        return InitProducerIdResponse(producer_id=got.producer_id, producer_epoch=got.producer_epoch)

    def _add_partitions(self, request: AddPartitionsToTxnRequest, step: Step, version: int) -> Message:
        return handle_add_partitions(step, self._topics, request, version)

    def _add_offsets(
        self, request: AddOffsetsToTxnRequest, step: Step, version: int
    ) -> AddOffsetsToTxnResponse:
        try:
            add_partitions(
                step,
                request.transactional_id,
                request.producer_id,
                request.producer_epoch,
                [self._offsets_partition(request.group_id)],
                new_epochs=False,
            )
        except KafkaError as error:
            return AddOffsetsToTxnResponse(error_code=_code(error, version, _FENCED_VERSION))
        return AddOffsetsToTxnResponse()

    def _end(self, request: EndTxnRequest, step: Step, version: int) -> EndTxnResponse:
        try:
            producer_id, epoch = end(step, request, version)
        except KafkaError as error:
            return EndTxnResponse(error_code=_code(error, version, _FENCED_VERSION))
        return EndTxnResponse(producer_id=producer_id, producer_epoch=epoch)

    def _list(self, request: ListTransactionsRequest, step: Step, _version: int) -> Message:
        return list_transactions(self.transactions, request, step.now_ms)

    def _describe(self, request: DescribeTransactionsRequest, _step: Step, _version: int) -> Message:
        return describe_transactions(self.transactions, request)

    # --- what producers do without asking here (KIP-890) ----------------------------------------------------

    def add(
        self,
        transactional_id: str,
        producer_id: int,
        epoch: int,
        partitions: Iterable[TopicPartition],
        now_ms: int,
    ) -> Outcome:
        """A producer writes to partitions, and thereby makes them part of its transaction.

        Raises:
            KafkaError: INVALID_REQUEST, INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED, CONCURRENT_TRANSACTIONS.
        """
        step = self._step(now_ms)
        add_partitions(step, transactional_id, producer_id, epoch, partitions, new_epochs=True)
        return step.outcome()

    def verify(
        self, transactional_id: str, producer_id: int, epoch: int, partition: TopicPartition
    ) -> ErrorCode:
        """Whether a partition that a producer writes to is part of its transaction."""
        step = self._step(0)
        return verify_partitions(step, transactional_id, producer_id, epoch, [partition])[partition]

    # --- the log --------------------------------------------------------------------------------------------

    def replay(self, record: TransactionRecord) -> None:
        """Take over a record that is in the log; the only thing that changes recorded state."""
        if record.transaction is None:
            self.transactions.pop(record.transactional_id, None)
            self._last_epochs.pop(record.transactional_id, None)
        else:
            self.transactions[record.transactional_id] = record.transaction
            if record.last_epoch is not None:
                self._last_epochs[record.transactional_id] = record.last_epoch

    def unfinished(self) -> list[Markers]:
        """The markers of the transactions that are decided: after a start, or a failure, they are written again."""
        return [markers_of(each) for each in self.transactions.values() if each.state in DECIDED]

    def markers_written(self, transactional_id: str, now_ms: int) -> Outcome:
        """Every partition has its marker: the transaction is complete."""
        step = self._step(now_ms)
        complete(step, self.transactions[transactional_id])
        return step.outcome()

    def on_append_failed(self, outcome: Outcome, code: ErrorCode) -> Outcome:
        """The records of ``outcome`` could not be appended: what to do instead of it. Records nothing."""
        return Outcome(None if outcome.response is None else failed(outcome.response, code))

    # --- time -----------------------------------------------------------------------------------------------

    def abort_timed_out(self, now_ms: int) -> Outcome:
        """Abort transactions that are open for longer than their producers allowed, and fence those producers."""
        step = self._step(now_ms)
        for each in list(self.transactions.values()):
            if each.state is TransactionState.ONGOING and each.start_ms + each.timeout_ms < now_ms:
                fence(step, each)
        return step.outcome()

    def expire(self, now_ms: int) -> Outcome:
        """Forget transactional ids that were not used for ``transactional.id.expiration.ms``."""
        step = self._step(now_ms)
        for each in self.transactions.values():
            is_at_rest = each.state is not TransactionState.ONGOING and each.state not in DECIDED
            if is_at_rest and each.update_ms <= now_ms - self.config.expiration_ms:
                step.forget(each.transactional_id)
        return step.outcome()

    def _step(self, now_ms: int) -> Step:
        return Step(self.transactions, self._last_epochs, self._new_producer_id, now_ms)


def _code(error: KafkaError, version: int, fenced_version: int) -> ErrorCode:
    """Older versions of an API know of no PRODUCER_FENCED."""
    if error.code == ErrorCode.PRODUCER_FENCED and version < fenced_version:
        return ErrorCode.INVALID_PRODUCER_EPOCH
    return error.code
