"""Exactly-once from topic to topic (KIP-447): what a record produced, and the offset that says so, in one
transaction of a member of the group.

A handler's outputs are kept until its record's offset can be committed (`rota.consumer.effects.outputs`). Then a
transaction is begun, the outputs of exactly those records are written that the offsets cover (and what their metadata
names beyond them), the offsets are added under this member's generation, and it is committed. So a transaction lasts
milliseconds, whatever handlers do, and may have a short time-out. If it is aborted, outputs and offsets stay where
they were, and both go into the next one. A member that has lost its partitions is refused by its generation when it
adds the offsets; an older process with the same transactional id is refused by its epoch.

The owner's thread never waits for a transaction but in a rebalance and at the end, when the one that is under way
must end before partitions go. All calls of the producer are made by a thread of their own.
"""

from __future__ import annotations

import logging
import threading
import time
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import TopicPartition as ClientPartition

from rota.consumer.clients.client import CommitError
from rota.consumer.effects.in_vain import ForgottenError
from rota.model import ErrorCode, RotaError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rota.consumer.clients.client import Offset
    from rota.consumer.effects.in_vain import Waiting
    from rota.consumer.effects.outputs import Covered, Output, Outputs
    from rota.consumer.handlers import HandlerSpec
    from rota.model import TopicPartition

__all__ = ["TransactionalProducer", "Transactions", "attempt", "check", "producer_config"]

log = logging.getLogger("rota.consumer")

_CALL_S = 5.0
"""How long one call of the producer may wait; it is made again as long as that may help."""
_PAUSE_S = 0.1
_STILL_WAITING = "the transaction before it still waits for its coordinator"

_LARGEST = 1_000_000_000
"""What handlers produce is measured before (`Context.produce`), and dead letters are as large as their records."""
_TIMEOUT_MS = 20_000
"""When the coordinator aborts a transaction that nobody ends: the next owner of the partitions waits for that."""

_PERMANENT = (
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.INVALID_MSG,
    KafkaError.INVALID_RECORD,
    KafkaError.INVALID_TIMESTAMP,
    KafkaError.INVALID_REQUIRED_ACKS,
    KafkaError.TOPIC_EXCEPTION,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001
    KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
    KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT,
    KafkaError.POLICY_VIOLATION,
)
"""The broker will say the same the next time."""


def check(spec: HandlerSpec, config: Mapping[str, Any]) -> None:
    """Raises RotaError if this handler cannot be exactly-once."""
    where = f"the handler {spec.name} is exactly_once"
    if spec.batch is not None and spec.order != "partition":
        raise RotaError(
            f"{where} and takes batches: what a batch produced belongs to all its records, so they must be committed "
            "together; say order='partition'"
        )
    if config.get("isolation.level", "read_committed") != "read_committed":
        raise RotaError(f"{where}: take isolation.level={config['isolation.level']} out of the configuration")


def producer_config(config: Mapping[str, Any], connection: Mapping[str, Any]) -> dict[str, Any]:
    """``config``: the consumer's; ``connection``: so much of it as every client needs."""
    member = config.get("group.instance.id") or uuid4().hex
    return {
        **connection,
        "transactional.id": f"rota-{config['group.id']}-{member}",
        "transaction.timeout.ms": _TIMEOUT_MS,
        "enable.idempotence": True,
        "partitioner": "murmur2_random",  # as Kafka's own producers
        "message.max.bytes": _LARGEST,
    }


class TransactionalProducer(Protocol):
    """So much of confluent-kafka's Producer."""

    def init_transactions(self, timeout: float, /) -> None: ...
    def begin_transaction(self) -> None: ...
    @property
    def produce(self) -> Callable[..., None]: ...
    def poll(self, timeout: float, /) -> int: ...
    def send_offsets_to_transaction(
        self, offsets: list[Any], group_metadata: Any, timeout: float, /
    ) -> None: ...
    def commit_transaction(self, timeout: float, /) -> None: ...
    def abort_transaction(self, timeout: float, /) -> None: ...


class _Job:
    """One transaction: what it is to write, and what came of it."""

    def __init__(
        self,
        covered: Sequence[Covered],
        offsets: Mapping[TopicPartition, Offset],
        group_metadata: Any,
        answered: Callable[[CommitError | None, Mapping[TopicPartition, str]], None],
    ) -> None:
        self.covered = covered
        self.offsets = offsets
        self.group_metadata = group_metadata
        self.answered = answered
        self.ended = threading.Event()
        self.error: CommitError | None = None
        self.told = False


class Transactions:
    """See `rota.consumer.core.state.Committer`. Called by the owner's thread.

    ``group_metadata``: asks the client. ``committed``: what the group has committed, as far as it is known.
    ``patience_s``: how long a rebalance waits for a transaction to end. ``post``, to be set: has something called by
    the owner's thread, soon. ``waiting``: what is asked when the coordinator is away.
    """

    def __init__(
        self,
        producer: TransactionalProducer,
        outputs: Sequence[Outputs],
        group_metadata: Callable[[], Any],
        committed: Callable[[TopicPartition], Offset | None],
        *,
        patience_s: float = _TIMEOUT_MS / 1000,
        waiting: Waiting | None = None,
    ) -> None:
        self._producer = producer
        self._waiting = waiting
        self._outputs = outputs
        self._group_metadata = group_metadata
        self._committed = committed
        self.post: Callable[[Callable[[], None]], object] = _nowhere
        self._patience_s = patience_s
        self._under_way: _Job | None = None
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._closing = False
        self._broken: CommitError | None = None
        self._thread = threading.Thread(target=self._run, name="rota-transactions", daemon=True)

    def start(self) -> None:
        """Register the producer; whatever an earlier process with its id left open is aborted. Waits for a broker.
        Raises RotaError if there can be no transactions.
        """
        try:
            _persist(lambda: self._producer.init_transactions(_CALL_S), lambda: self._closing, self._waiting)
        except KafkaException as failure:
            raise RotaError(_no_transactions(failure.args[0])) from failure
        except ForgottenError as failure:
            raise RotaError(str(failure)) from failure
        self._thread.start()

    def commit_soon(
        self,
        offsets: Mapping[TopicPartition, Offset],
        answered: Callable[[CommitError | None, Mapping[TopicPartition, str]], None],
    ) -> None:
        """See `Committer`."""
        if self._under_way is not None:
            raise CommitError(_STILL_WAITING)
        self._begin(offsets, answered)

    def commit(self, offsets: Mapping[TopicPartition, Offset]) -> Mapping[TopicPartition, str]:
        """See `Committer`. The transaction that is under way ends first."""
        deadline = time.monotonic() + self._patience_s
        before = self._under_way
        if before is not None:
            self._await(before, deadline)
        if all(self._committed(where) == offset for where, offset in offsets.items()):
            return {}
        job = self._begin(offsets, lambda _error, _refused: None)
        self._await(job, deadline)
        if job.error is not None:
            raise job.error
        return {}

    def close(self) -> None:
        """Nothing more comes. What is open is aborted by its coordinator in time."""
        self._closing = True
        self._jobs.put(None)
        if self._thread.is_alive():
            self._thread.join(2 * _CALL_S)

    def _begin(
        self,
        offsets: Mapping[TopicPartition, Offset],
        answered: Callable[[CommitError | None, Mapping[TopicPartition, str]], None],
    ) -> _Job:
        covered = [item for outputs in self._outputs for item in outputs.covered(offsets, self._committed)]
        job = _Job(covered, dict(offsets), self._group_metadata(), answered)
        self._under_way = job
        self._jobs.put(job)
        return job

    def _await(self, job: _Job, deadline: float) -> None:
        job.ended.wait(max(0.0, deadline - time.monotonic()))
        if not job.ended.is_set():
            raise CommitError(_STILL_WAITING)
        self._tell(job)

    def _tell(self, job: _Job) -> None:
        """On the owner's thread: what came of it."""
        if job.told:
            return
        job.told = True
        self._under_way = None
        if job.error is None:
            for outputs in self._outputs:
                outputs.committed(job.covered)
        job.answered(job.error, {})

    # The thread of the producer.

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._do(job)

    def _do(self, job: _Job) -> None:
        try:
            job.error = self._broken or attempt(
                self._producer,
                job.covered,
                job.offsets,
                job.group_metadata,
                lambda: self._closing,
                self._waiting,
            )
        except ForgottenError as failure:  # what became of it is not known, but to the group
            job.error = CommitError(str(failure), fenced=True)
        except Exception as failure:  # our own bug; the owner must hear of it all the same
            log.exception("a transaction ended in an error of its own")
            job.error = CommitError(f"{type(failure).__name__}: {failure}", fenced=True)
        if job.error is not None and job.error.fenced:
            self._broken = job.error
        job.ended.set()
        self.post(partial(self._tell, job))


def _nowhere(_call: Callable[[], None]) -> None:
    """Whoever waits for a commit hears of it anyway."""


def attempt(
    producer: TransactionalProducer,
    covered: Sequence[Covered],
    offsets: Mapping[TopicPartition, Offset],
    group_metadata: Any,
    closing: Callable[[], bool] = lambda: False,
    waiting: Waiting | None = None,
) -> CommitError | None:
    """One transaction, to its end: committed (None), or aborted, and why. Raises `ForgottenError` where it has none."""
    reports = _Reports()
    try:
        producer.begin_transaction()
        for item in covered:
            for output in item.outputs:
                _produce(producer, output, reports.of(item, output))
        wanted = [ClientPartition(*where, *offset) for where, offset in offsets.items()]
        _persist(
            lambda: producer.send_offsets_to_transaction(wanted, group_metadata, _CALL_S), closing, waiting
        )
        _persist(lambda: producer.commit_transaction(_CALL_S), closing, waiting)
    except KafkaException as failure:
        error: KafkaError = failure.args[0]
        told = reports.problem or error.str() or error.name()
        permanent = reports.permanent or error.code() in _PERMANENT
        if not error.fatal():
            error = _abort(producer, closing, waiting) or error
        # What the broker will never take ends the consumer, as one that is fenced: its outputs have nowhere to go.
        fenced = error.fatal() or permanent or error.code() == KafkaError.FENCED_INSTANCE_ID
        return CommitError(told, fenced=fenced, lost=error.code() in _NOT_OURS, final=permanent)
    except ForgottenError:
        raise
    except Exception:  # our own bug; those who read the topics are not to wait for it
        _abort(producer, closing, waiting)
        raise
    return None


_NOT_OURS = (
    ErrorCode.ILLEGAL_GENERATION,
    ErrorCode.UNKNOWN_MEMBER_ID,
    ErrorCode.STALE_MEMBER_EPOCH,
    ErrorCode.FENCED_MEMBER_EPOCH,
)


class _Reports:
    """What the delivery reports of a transaction say."""

    def __init__(self) -> None:
        self.problem: str | None = None
        self.permanent = False

    def of(self, item: Covered, output: Output) -> Callable[[KafkaError | None, Any], None]:
        """The report of one record. The first problem is told: what follows from it says less."""

        def report(error: KafkaError | None, _message: Any) -> None:
            if error is not None and self.problem is None and error.code() != KafkaError._PURGE_QUEUE:  # noqa: SLF001
                self.problem = (
                    f"{output.topic} did not take what the record in {item.where} at offset {item.offset} "
                    f"produced: {error.str()}"
                )
                self.permanent = error.code() in _PERMANENT

        return report


def _produce(
    producer: TransactionalProducer, output: Output, report: Callable[[KafkaError | None, Any], None]
) -> None:
    message: dict[str, Any] = {"value": output.value, "key": output.key, "on_delivery": report}
    if output.headers:
        message["headers"] = list(output.headers)
    if output.partition is not None:
        message["partition"] = output.partition
    if output.timestamp_ms is not None:
        message["timestamp"] = output.timestamp_ms
    while True:
        try:
            producer.produce(output.topic, **message)
        except BufferError:  # the producer's queue is full
            producer.poll(_PAUSE_S)
        except KafkaException as failure:
            report(failure.args[0], None)
            raise
        else:
            producer.poll(0)
            return


def _persist(call: Callable[[], None], closing: Callable[[], bool], waiting: Waiting | None) -> None:
    """Call until it is done; what another call may cure is not an end."""
    while True:
        try:
            call()
        except KafkaException as failure:
            error: KafkaError = failure.args[0]
            if not error.retriable() or error.txn_requires_abort() or error.fatal() or closing():
                raise
            if waiting is not None:
                waiting.goes_on(error.str())
        else:
            if waiting is not None:
                waiting.is_over()
            return


def _abort(
    producer: TransactionalProducer, closing: Callable[[], bool], waiting: Waiting | None
) -> KafkaError | None:
    """End a transaction without a trace; why it could not be, if so."""
    try:
        _persist(lambda: producer.abort_transaction(_CALL_S), closing, waiting)
    except KafkaException as failure:
        error: KafkaError = failure.args[0]
        log.warning("a transaction could not be aborted, its coordinator will: %s", error.str())
        return error if error.fatal() else None
    return None


def _no_transactions(error: KafkaError) -> str:
    if error.code() in (KafkaError._UNSUPPORTED_FEATURE, KafkaError.UNSUPPORTED_VERSION):  # noqa: SLF001
        return f"exactly_once=True needs a broker with transactions, and this one has none: {error.str()}"
    return f"exactly_once=True: the producer cannot begin transactions: {error.str()}"
