"""Fetch (key 1), versions 4-18: records of many partitions, waiting for them if need be.

Version notes: v7 sessions (KIP-227); v9 leader epochs; v12 flexible; v13 topic ids instead of names; v15 replica
state as a tag; v16 current leaders and node endpoints as tags (never set here: one node leads everything).

A fetch that finds less than ``min_bytes`` is parked with its partitions until one of them is appended to or
``max_wait_ms`` has passed. Records go out as file regions (``sendfile``): they never enter this process.

Known gaps: replica fetches (``replica_id`` >= 0) are answered as consumers' are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.broker.fetch_sessions import FetchSession, WantedPartition
from rota.broker.request import PARKED, NoAnswer, Request
from rota.model import ErrorCode, KafkaError
from rota.wire.messages.fetch import (
    AbortedTransaction,
    EpochEndOffset,
    FetchableTopicResponse,
    FetchPartition,
    FetchRequest,
    FetchResponse,
    LeaderIdAndEpoch,
    PartitionData,
    SnapshotId,
)

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.storage import FileRegion, Log

__all__ = ["ParkedFetch", "handle"]

_READ_COMMITTED = 1
_NO_TOPIC_ID = bytes(16)
# What no answer says: the same for all, so that they are not made for each partition of each.
_NO_EPOCH, _NO_LEADER, _NO_SNAPSHOT = EpochEndOffset(), LeaderIdAndEpoch(), SnapshotId()


def handle(broker: Broker, message: FetchRequest, request: Request) -> FetchResponse | NoAnswer:
    try:
        session, wanted = _wanted(broker, message, request.version)
    except KafkaError as error:
        return FetchResponse(error_code=error.code)
    fetch = ParkedFetch(broker, message, request, session, wanted)
    response = fetch.attempt()
    if response is not None:
        return response
    fetch.park()
    return PARKED


class ParkedFetch:
    """A fetch in progress: tried once at once, again at each append, and finally when its time is up."""

    __slots__ = ("_broker", "_logs", "_message", "_request", "_session", "_wanted")

    def __init__(
        self,
        broker: Broker,
        message: FetchRequest,
        request: Request,
        session: FetchSession | None,
        wanted: list[WantedPartition],
    ) -> None:
        self._broker = broker
        self._message = message
        self._request = request
        self._session = session
        self._wanted = wanted
        self._logs: list[Log] = []

    def attempt(self, *, final: bool = False) -> FetchResponse | None:
        """Read; the response if it is worth sending (enough bytes, an error, or ``final``), else None."""
        message = self._message
        room = min(message.max_bytes, self._broker.settings.int("fetch.max.bytes"))
        incremental = self._session is not None and message.session_epoch > 0
        committed_only = message.isolation_level == _READ_COMMITTED
        answers: list[tuple[WantedPartition, PartitionData]] = []
        total = 0
        failed = False
        for wanted in self._wanted:
            data, size = _read(self._broker, wanted, room - total, committed_only, first=total == 0)
            total += size
            failed = failed or data.error_code != 0
            answers.append((wanted, data))
        if failed:
            self._request.connection.asked_in_vain()
        enough = total >= message.min_bytes or failed or not self._wanted or message.max_wait_ms <= 0
        if not (enough or final):
            return None
        response = FetchResponse(session_id=self._session.session_id if self._session else 0)
        _fill(response, answers, incremental=incremental)
        if self._session is not None and self._message.session_epoch >= 0:
            _step_round(self._session, response)
        return response

    def park(self) -> None:
        """Wait for an append to any of the partitions, or for the time to pass."""
        waits = self._broker.fetch_waits
        for wanted in self._wanted:
            log = _find_log(self._broker, wanted)
            if log is not None:
                self._logs.append(log)
                waits.add(log, self)
        self._request.connection.on_gone = self._leave
        deadline = self._broker.clock.now_ms() + self._message.max_wait_ms
        self._broker.timers.set(self._request.connection, deadline, self._give_up)

    def wake(self) -> None:
        """Something was appended: answer if that is enough. A client that is gone is forgotten."""
        if self._request.connection.is_closed:
            self._leave()
            return
        response = self.attempt()
        if response is not None:
            try:
                self._request.reply(response)  # first of all: somebody waits for it
            finally:
                self._leave()

    def _give_up(self) -> None:
        self._leave()
        if not self._request.connection.is_closed:
            response = self.attempt(final=True)
            assert response is not None
            self._request.reply(response)

    def _leave(self) -> None:
        self._broker.timers.cancel(self._request.connection)
        for log in self._logs:
            self._broker.fetch_waits.remove(log, self)
        self._logs = []


# --- what is wanted -----------------------------------------------------------------------------------------


def _wanted(
    broker: Broker, message: FetchRequest, version: int
) -> tuple[FetchSession | None, list[WantedPartition]]:
    by_id = version >= 13
    each_once = {}  # named twice is wanted once, as it was named last
    for topic in message.topics:
        for partition in topic.partitions:
            wanted = _resolve(broker, topic.topic, topic.topic_id, partition, by_id=by_id)
            each_once[_key(wanted)] = wanted
    named = list(each_once.values())
    sessions = broker.fetch_sessions
    epoch = message.session_epoch if version >= 7 else -1
    if epoch <= 0:
        # -1: without a session from now on; 0: a new one instead of the old.
        if message.session_id:
            sessions.close(message.session_id)
        if epoch < 0 or not named:
            return None, named
        session = sessions.open(uses_topic_ids=by_id)
        if session is not None:
            session.partitions = each_once
            sessions.count(session)
        return session, named
    session = sessions.use(message.session_id, epoch, uses_topic_ids=by_id)
    for each in named:
        known = session.partitions.get(_key(each))
        if known is not None:
            each.told_high_watermark, each.told_log_start = known.told_high_watermark, known.told_log_start
        session.partitions[_key(each)] = each
    for forgotten in message.forgotten_topics_data:
        name: str | bytes = forgotten.topic_id if by_id else forgotten.topic
        for partition_number in forgotten.partitions:
            session.partitions.pop((name, partition_number), None)
    if named or message.forgotten_topics_data:
        sessions.count(session)
    return session, list(session.partitions.values())


def _key(wanted: WantedPartition) -> tuple[str | bytes, int]:
    return (wanted.topic_id if wanted.by_id else wanted.topic), wanted.partition


def _find_log(broker: Broker, wanted: WantedPartition) -> Log | None:
    if not wanted.by_id:
        return broker.topics.find_log(wanted.topic, wanted.partition)
    # By its id, for a topic of the same name may have taken its place since.
    topic = broker.topics.by_id(wanted.topic_id)
    return broker.topics.find_log(topic.name, wanted.partition) if topic else None


def _resolve(
    broker: Broker, name: str, topic_id: bytes, partition: FetchPartition, *, by_id: bool
) -> WantedPartition:
    if by_id:
        topic = broker.topics.by_id(topic_id)
        name = topic.name if topic else ""
    else:
        topic = broker.topics.get(name)
        topic_id = topic.id if topic else _NO_TOPIC_ID
    return WantedPartition(
        topic=name,
        topic_id=topic_id,
        by_id=by_id,
        partition=partition.partition,
        fetch_offset=partition.fetch_offset,
        max_bytes=partition.partition_max_bytes,
        current_leader_epoch=partition.current_leader_epoch,
    )


# --- reading ------------------------------------------------------------------------------------------------


def _read(
    broker: Broker, wanted: WantedPartition, room: int, committed_only: bool, *, first: bool
) -> tuple[PartitionData, int]:
    log = _find_log(broker, wanted)
    if log is None:
        unknown_id = wanted.by_id and broker.topics.by_id(wanted.topic_id) is None
        code = ErrorCode.UNKNOWN_TOPIC_ID if unknown_id else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        failure = _failure(wanted, code)
        failure.aborted_transactions = []  # null only where a log was found, as in Kafka
        return failure, 0
    if wanted.current_leader_epoch > broker.leader_epoch:
        return _failure(wanted, ErrorCode.UNKNOWN_LEADER_EPOCH), 0
    if 0 <= wanted.current_leader_epoch < broker.leader_epoch:
        return _failure(wanted, ErrorCode.FENCED_LEADER_EPOCH), 0
    stable = log.last_stable_offset
    chunks: list[FileRegion | memoryview] = []
    size = 0
    read_to = wanted.fetch_offset
    try:
        if not log.log_start_offset <= wanted.fetch_offset <= log.log_end_offset:
            raise KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE)
        limit = min(wanted.max_bytes, max(room, 0))
        end = stable if committed_only else log.log_end_offset
        if wanted.fetch_offset < end and (limit > 0 or first):
            piece = log.read(wanted.fetch_offset, limit, min_one_batch=first, up_to=end)
            chunks, size, read_to = piece
    except KafkaError as error:
        return _failure(wanted, error.code), 0
    except OSError:
        return _failure(wanted, ErrorCode.KAFKA_STORAGE_ERROR), 0
    aborted = None
    if committed_only:
        aborted = [
            AbortedTransaction(producer_id=producer_id, first_offset=first_offset)
            for producer_id, first_offset in log.aborted_transactions(wanted.fetch_offset, read_to)
        ]
    data = PartitionData(
        partition_index=wanted.partition,
        high_watermark=log.high_watermark,
        last_stable_offset=stable,
        log_start_offset=log.log_start_offset,
        diverging_epoch=_NO_EPOCH,
        current_leader=_NO_LEADER,
        snapshot_id=_NO_SNAPSHOT,
        aborted_transactions=aborted,
        records=chunks if size else b"",
    )
    return data, size


def _failure(wanted: WantedPartition, code: ErrorCode) -> PartitionData:
    return PartitionData(
        partition_index=wanted.partition,
        error_code=code,
        high_watermark=-1,
        last_stable_offset=-1,
        log_start_offset=-1,
        aborted_transactions=None,
        records=b"",
    )


# --- answering ----------------------------------------------------------------------------------------------


def _fill(
    response: FetchResponse, answers: list[tuple[WantedPartition, PartitionData]], *, incremental: bool
) -> None:
    topics: dict[tuple[str, bytes], FetchableTopicResponse] = {}
    for wanted, data in answers:
        if incremental and not _is_news(wanted, data):
            continue
        wanted.told_high_watermark, wanted.told_log_start = data.high_watermark, data.log_start_offset
        key = (wanted.topic, wanted.topic_id)
        topic = topics.get(key)
        if topic is None:
            topic = topics[key] = FetchableTopicResponse(topic=wanted.topic, topic_id=wanted.topic_id)
            response.responses.append(topic)
        topic.partitions.append(data)


def _is_news(wanted: WantedPartition, data: PartitionData) -> bool:
    return (
        data.error_code != 0
        or bool(data.records)
        or wanted.told_high_watermark != data.high_watermark
        or wanted.told_log_start != data.log_start_offset
    )


def _step_round(session: FetchSession, response: FetchResponse) -> None:
    """Partitions that were answered go to the back, so that a busy one does not starve the others."""
    for topic in response.responses:
        for data in topic.partitions:
            if data.records:
                key = ((topic.topic_id if session.uses_topic_ids else topic.topic), data.partition_index)
                wanted = session.partitions.pop(key, None)
                if wanted is not None:
                    session.partitions[key] = wanted
