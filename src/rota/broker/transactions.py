"""The transaction coordinator's shell: it appends what the coordinator decides, replays it, and writes the markers.

The pure coordinator (``rota.coordinator.transactions``) says what is to be recorded in ``__transaction_state``, and how
each partition is to be told that a transaction has ended. All of that happens before the answer leaves, so that a
producer that was told of its commit finds its records readable. Start-up replays the same topic, and writes the markers
of what was decided before the end of the last run: a second marker does no harm.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from rota.broker.group_names import OFFSETS_TOPIC, TRANSACTIONS_TOPIC
from rota.broker.own_logs import create_own_log
from rota.broker.storage_errors import complain
from rota.coordinator import partition_for
from rota.coordinator.transactions import (
    Asked,
    Markers,
    Outcome,
    TransactionConfig,
    TransactionCoordinator,
    TransactionRecord,
)
from rota.coordinator.transactions.log_format import decode_record, encode_record
from rota.model import ErrorCode, KafkaError, TopicPartition
from rota.wire import WireError
from rota.wire.records import build_batch, check_batch, end_marker, iter_batches, iter_records

if TYPE_CHECKING:
    from collections.abc import Callable

    from rota.broker.broker import Broker
    from rota.broker.request import Request
    from rota.wire.schema import Message

__all__ = ["Transactions"]

_RETRY_MS: Final = 1_000
_COORDINATOR_EPOCH: Final = 0

log = logging.getLogger(__name__)


class Transactions:
    """All transactional ids of this broker, and the log that remembers them."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        settings = broker.settings
        self.coordinator = TransactionCoordinator(
            TransactionConfig(
                max_timeout_ms=settings.int("transaction.max.timeout.ms"),
                expiration_ms=settings.int("transactional.id.expiration.ms"),
            ),
            broker.next_producer_id,
            broker.topics,
            self.offsets_partition,
        )

    # --- requests -------------------------------------------------------------------------------------------

    def handle(self, message: Message, request: Request) -> Message:
        """Give a request to the coordinator; the answer."""
        asked = Asked(request.version, self._broker.clock.now_ms())
        response = self._carry_out(self.coordinator.handle(message, asked)).response
        assert response is not None
        return response

    def offsets_partition(self, group_id: str) -> TopicPartition:
        """Where a group's offsets are recorded."""
        self._broker.groups.create_log()
        count = self._broker.topics.count(OFFSETS_TOPIC)
        return TopicPartition(OFFSETS_TOPIC, partition_for(group_id, count))

    def admit(
        self, transactional_id: str, producer_id: int, epoch: int, tp: TopicPartition, *, add: bool
    ) -> ErrorCode:
        """Whether a producer may write to a partition in its transaction; ``add``: it takes part from now on."""
        if not add:
            return self.coordinator.verify(transactional_id, producer_id, epoch, tp)
        now_ms = self._broker.clock.now_ms()
        try:
            outcome = self.coordinator.add(transactional_id, producer_id, epoch, [tp], now_ms)
        except KafkaError as error:
            return error.code
        return self._append(outcome.records)

    def _carry_out(self, outcome: Outcome) -> Outcome:
        if outcome.records:
            code = self._append(outcome.records)
            if code != ErrorCode.NONE:
                if outcome.markers:
                    self._finish_later()  # of several transactions, some may have been recorded
                return self.coordinator.on_append_failed(outcome, code)
        for markers in outcome.markers:
            self._finish(markers)
        return outcome

    # --- markers --------------------------------------------------------------------------------------------

    def _finish(self, markers: Markers) -> None:
        """Write the markers, and that they are written; what cannot be written now is tried again."""
        written = self._secure(self._partition_of(markers.transactional_id))
        for tp in sorted(markers.partitions) if written else ():
            code = self.write_marker(
                tp,
                markers.producer_id,
                markers.producer_epoch,
                committed=markers.committed,
                coordinator_epoch=_COORDINATOR_EPOCH,
            )
            if code == ErrorCode.KAFKA_STORAGE_ERROR:
                written = False
            elif code != ErrorCode.NONE:
                # The topic is gone, or a newer epoch has ended this transaction there.
                log.info("no marker of %s for %s: %s", markers.transactional_id, tp, code.name)
        if written and all(map(self._secure, sorted(markers.partitions))):
            now_ms = self._broker.clock.now_ms()
            outcome = self.coordinator.markers_written(markers.transactional_id, now_ms)
            if self._append(outcome.records) == ErrorCode.NONE:
                return
        self._finish_later()

    def _secure(self, tp: TopicPartition) -> bool:
        """Where a log is to be synced (``flush.messages``), what others build upon is on the disk before they do.

        A decision before its first marker, the markers before the record that nothing is left to be done: else a cut
        of the power could leave a transaction committed in one partition and open, to be aborted, in the next.
        """
        partition_log = self._broker.topics.find_log(*tp)
        if partition_log is not None:
            waiting = partition_log.log_end_offset - partition_log.recovery_point
            if waiting >= partition_log.config.flush_messages:
                try:
                    partition_log.flush()
                except OSError as error:
                    log.error("cannot sync %s: %s", tp, error.strerror)
                    return False
        return True

    def _finish_later(self) -> None:
        due_ms = self._broker.clock.now_ms() + _RETRY_MS
        self._broker.timers.set(("transactions", "markers"), due_ms, self._finish_all)

    def _finish_all(self) -> None:
        for markers in self.coordinator.unfinished():
            self._finish(markers)

    def write_marker(
        self, tp: TopicPartition, producer_id: int, epoch: int, *, committed: bool, coordinator_epoch: int
    ) -> ErrorCode:
        """End a producer's transaction in one partition."""
        partition_log = self._broker.topics.find_log(*tp)
        if partition_log is None:
            return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        marker = end_marker(
            committed=committed,
            producer_id=producer_id,
            producer_epoch=epoch,
            coordinator_epoch=coordinator_epoch,
            timestamp=self._broker.clock.now_ms(),
        )
        try:
            self._broker.append(partition_log, memoryview(marker), from_client=False)
        except KafkaError as error:
            return error.code
        except OSError as error:
            complain(f"append to {tp.topic}-{tp.partition}", error.strerror)
            return ErrorCode.KAFKA_STORAGE_ERROR
        if tp.topic == OFFSETS_TOPIC:
            self._broker.groups.transaction_ended(tp.partition, producer_id, committed=committed)
        return ErrorCode.NONE

    # --- the log --------------------------------------------------------------------------------------------

    def create_log(self) -> None:
        """Create ``__transaction_state`` when the first client looks for its coordinator. Raises ``KafkaError``."""
        create_own_log(
            self._broker,
            TRANSACTIONS_TOPIC,
            partitions="transaction.state.log.num.partitions",
            segment_bytes="transaction.state.log.segment.bytes",
            configs={
                "compression.type": "uncompressed",
                "min.insync.replicas": "1",
                "unclean.leader.election.enable": "false",
            },
        )

    def _partition_of(self, transactional_id: str) -> TopicPartition:
        count = self._broker.topics.count(TRANSACTIONS_TOPIC)
        return TopicPartition(TRANSACTIONS_TOPIC, partition_for(transactional_id, count))

    def _append(self, records: tuple[TransactionRecord, ...]) -> ErrorCode:
        """Append and replay, one record after the other; what to answer if that is not possible."""
        now_ms = self._broker.clock.now_ms()
        try:
            self.create_log()
            for record in records:
                tp = self._partition_of(record.transactional_id)
                batch = build_batch([(*encode_record(record), now_ms, [])])
                self._broker.append(self._broker.topics.log(tp), memoryview(batch), from_client=False)
                self.coordinator.replay(record)
        except (OSError, KafkaError) as error:
            complain(f"append to {TRANSACTIONS_TOPIC}", error)
            is_too_large = isinstance(error, KafkaError) and error.code == ErrorCode.MESSAGE_TOO_LARGE
            return ErrorCode.UNKNOWN_SERVER_ERROR if is_too_large else ErrorCode.NOT_COORDINATOR
        return ErrorCode.NONE

    def load(self) -> None:
        """Replay ``__transaction_state`` from its start, and carry out what was decided and not finished."""
        if TRANSACTIONS_TOPIC not in self._broker.topics:
            return
        replayed = 0
        for partition in range(self._broker.topics.count(TRANSACTIONS_TOPIC)):
            partition_log = self._broker.topics.log(TopicPartition(TRANSACTIONS_TOPIC, partition))
            for batch in partition_log.iter_batches_from(partition_log.log_start_offset):
                for start, header in iter_batches(batch):
                    if not header.is_control:
                        replayed += self._replay_batch(batch, start, header.base_offset)
        if replayed:
            log.info("replayed %d records of %s", replayed, TRANSACTIONS_TOPIC)
        self._finish_all()

    def _replay_batch(self, batch: memoryview, start: int, offset: int) -> int:
        replayed = 0
        try:
            check_batch(batch, start)
            for record in iter_records(batch, start):
                decoded = decode_record(record.key or b"", record.value)
                if decoded is not None:
                    self.coordinator.replay(decoded)
                    replayed += 1
        except WireError as error:
            # One record that nobody can read must not keep every producer from starting.
            log.error(
                "skipped what cannot be read in %s, batch at offset %d: %s", TRANSACTIONS_TOPIC, offset, error
            )
        return replayed

    # --- upkeep ---------------------------------------------------------------------------------------------

    def start_upkeep(self) -> None:
        """Look for transactions that have timed out, and for transactional ids that nobody uses."""
        self._plan(
            "timeouts", "transaction.abort.timed.out.transaction.cleanup.interval.ms", self._abort_timed_out
        )
        self._plan("ids", "transaction.remove.expired.transaction.cleanup.interval.ms", self._expire)

    def _plan(self, name: str, interval: str, call: Callable[[], None]) -> None:
        due_ms = self._broker.clock.now_ms() + self._broker.settings.int(interval)
        self._broker.timers.set(("transactions", name), due_ms, call)

    def _abort_timed_out(self) -> None:
        self._plan(
            "timeouts", "transaction.abort.timed.out.transaction.cleanup.interval.ms", self._abort_timed_out
        )
        outcome = self.coordinator.abort_timed_out(self._broker.clock.now_ms())
        for markers in outcome.markers:
            log.info("the transaction of %s has timed out and is aborted", markers.transactional_id)
        self._carry_out(outcome)

    def _expire(self) -> None:
        self._plan("ids", "transaction.remove.expired.transaction.cleanup.interval.ms", self._expire)
        self._carry_out(self.coordinator.expire(self._broker.clock.now_ms()))
