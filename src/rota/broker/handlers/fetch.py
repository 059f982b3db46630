"""Fetch (key 1), versions 4-18: records of many partitions, waiting for them if need be.

Version notes: v7 sessions (KIP-227); v9 leader epochs; v12 flexible; v13 topic ids instead of names; v15 replica
state as a tag; v16 current leaders and node endpoints as tags (never set here: one node leads everything).

A fetch that finds less than ``min_bytes`` is parked with its partitions until one of them is appended to or
``max_wait_ms`` has passed.

Known gaps: replica fetches (``replica_id`` >= 0) are answered as consumers' are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.broker.fetch_reads import data_of, find_log, not_there, read
from rota.broker.fetch_sessions import FetchSession, WantedPartition
from rota.broker.request import PARKED, NoAnswer, Request
from rota.model import KafkaError
from rota.wire.messages.fetch import (
    FetchableTopicResponse,
    FetchRequest,
    FetchResponse,
    PartitionData,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from rota.broker.broker import Broker
    from rota.storage import Log

    _Found = tuple[WantedPartition, Log | None, PartitionData | None, int]
    """What is wanted, its log, what is to be answered (None: nothing new to read), and how many bytes that is."""

__all__ = ["ParkedFetch", "handle"]

_READ_COMMITTED = 1
_NO_TOPIC_ID = bytes(16)
_MANY = 100
"""Who asks for more partitions at once costs the others noticeably more than they cost each other."""
_FEW = 4
"""So many partitions are read again as quickly as one of them is looked at."""


def handle(broker: Broker, message: FetchRequest, request: Request) -> FetchResponse | NoAnswer:
    try:
        session, wanted = _wanted(broker, message, request.version)
    except KafkaError as error:
        return FetchResponse(error_code=error.code)
    if len(wanted) > _MANY:
        request.connection.asked_widely()
    fetch = ParkedFetch(broker, message, request, session, wanted)
    response = fetch.attempt()
    if response is not None:
        return response
    fetch.park()
    return PARKED


class ParkedFetch:
    """A fetch in progress: tried once at once, again at each append, and finally when its time is up.

    Who waits for thousands of partitions must not cost those who append to one of them: an append has that one looked
    at, and what was found of the others is kept until there is enough for an answer.
    """

    __slots__ = (
        "_broker",
        "_committed_only",
        "_found",
        "_good_epochs",
        "_is_enough",
        "_least",
        "_message",
        "_more",
        "_request",
        "_room",
        "_session",
        "_sizes",
        "_total",
        "_waits_at",
        "_wanted",
    )

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
        self._room = min(message.max_bytes, broker.settings.int("fetch.max.bytes"))
        self._least = min(message.min_bytes, self._room)
        self._committed_only = message.isolation_level == _READ_COMMITTED
        self._good_epochs = (-1, broker.leader_epoch)
        self._found: list[_Found] = []
        self._total = 0
        self._is_enough = False
        self._waits_at: dict[Log, WantedPartition] = {}
        self._sizes: dict[Log, int] = {}
        """Of the partitions that may have something to be read by now: how many bytes."""
        self._more: set[Log] = set()
        """They have more than may be answered of one partition: what is appended makes no difference."""

    def attempt(self, *, final: bool = False) -> FetchResponse | None:
        """Read; the response if it is worth sending (enough bytes, an error, or ``final``), else None."""
        self._read_all()
        if not (self._is_enough or final):
            return None
        message, session = self._message, self._session
        response = FetchResponse(session_id=session.session_id if session else 0)
        is_incremental = session is not None and message.session_epoch > 0
        _fill(response, self._found, is_incremental=is_incremental, committed_only=self._committed_only)
        if session is not None and message.session_epoch >= 0:
            _step_round(session, response)
        return response

    def _read_all(self) -> None:
        self._total = 0
        self._is_enough = self._message.max_wait_ms <= 0 or not self._wanted
        if self._found:
            sizes, read = self._sizes, self._read
            self._found = [read(each[0]) if each[1] in sizes else each for each in self._found]
        else:
            self._found = list(map(self._read, self._wanted))
        if self._total >= self._least:
            self._is_enough = True

    def _read(self, wanted: WantedPartition) -> _Found:
        log = find_log(self._broker, wanted)
        if log is None:
            return wanted, None, self._failed(not_there(self._broker, wanted)), 0
        if wanted.fetch_offset == log.log_end_offset and wanted.current_leader_epoch in self._good_epochs:
            return wanted, log, None, 0  # as most are, of many
        room = self._room - self._total
        data, size, has_more = read(
            self._broker, wanted, log, room, self._committed_only, first=not self._total
        )
        if data.error_code:
            self._failed(data)
        if has_more and room <= wanted.max_bytes:
            self._is_enough = True  # no room for another batch
        self._total += size
        return wanted, log, data, size

    def _failed(self, data: PartitionData) -> PartitionData:
        self._is_enough = True
        self._request.connection.asked_in_vain()
        return data

    def park(self) -> None:
        """Wait for an append to any of the partitions, or for the time to pass."""
        for wanted, log, data, size in self._found:
            assert log is not None  # or there would have been an answer
            self._waits_at[log] = wanted
            if data is not None:
                self._sizes[log] = size
        if self._sizes:  # what was read is not kept
            self._found = [(wanted, log, None, size) for wanted, log, _, size in self._found]
        self._broker.fetch_waits.add(self._waits_at, self)
        self._request.connection.on_gone = self._leave
        deadline = self._broker.clock.now_ms() + self._message.max_wait_ms
        self._broker.timers.set(self._request.connection, deadline, self._give_up)

    def wake(self, logs: Collection[Log]) -> None:
        """Something was appended: answer if that is enough. A client that is gone is forgotten."""
        if self._request.connection.is_closed:
            self._leave()
            return
        if not self._waits_at:
            return  # it was answered in the same turn
        if len(self._waits_at) <= _FEW:
            self._found = []
            response = self.attempt()
            if response is not None:
                self._reply(response)
        elif self._is_enough_with(logs):
            self._answer()

    def _answer(self) -> None:
        """With what there is."""
        connection = self._request.connection
        began = connection.server.loop.time()
        response = self.attempt(final=True)
        assert response is not None
        self._reply(response)
        if len(self._wanted) > _MANY:
            connection.owes_since(began)

    def _reply(self, response: FetchResponse) -> None:
        try:
            self._request.reply(response)  # first of all: somebody waits for it
        finally:
            self._leave()

    def _is_enough_with(self, logs: Collection[Log]) -> bool:
        for log in logs:
            self._sizes.setdefault(log, 0)
        for log in logs:
            if log in self._more:
                continue
            wanted = self._waits_at[log]
            if find_log(self._broker, wanted) is not log:
                return True
            data, size, has_more = read(
                self._broker, wanted, log, self._room, self._committed_only, first=True
            )
            self._total += size - self._sizes[log]
            self._sizes[log] = size
            if data.error_code:
                return True
            if has_more:
                self._more.add(log)
        return self._total >= self._least

    def _give_up(self) -> None:
        if self._request.connection.is_closed:
            self._leave()
        else:
            self._answer()

    def _leave(self) -> None:
        self._broker.timers.cancel(self._request.connection)
        self._broker.fetch_waits.remove(self._waits_at, self)
        self._waits_at = {}


# --- what is wanted -----------------------------------------------------------------------------------------


def _wanted(
    broker: Broker, message: FetchRequest, version: int
) -> tuple[FetchSession | None, list[WantedPartition]]:
    by_id = version >= 13
    each_once = {}  # named twice is wanted once, as it was named last
    for of_topic in message.topics:
        if by_id:
            topic = broker.topics.by_id(of_topic.topic_id)
            key: str | bytes = of_topic.topic_id
            topic_name, topic_id = topic.name if topic else "", of_topic.topic_id
        else:
            topic = broker.topics.get(of_topic.topic)
            key = topic_name = of_topic.topic
            topic_id = topic.id if topic else _NO_TOPIC_ID
        for each in of_topic.partitions:
            each_once[key, each.partition] = WantedPartition(
                topic_name,
                topic_id,
                by_id,
                each.partition,
                each.fetch_offset,
                each.partition_max_bytes,
                each.current_leader_epoch,
            )
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
    for at, wanted in each_once.items():
        known = session.partitions.get(at)
        if known is not None:
            wanted.told_high_watermark, wanted.told_log_start = (
                known.told_high_watermark,
                known.told_log_start,
            )
        session.partitions[at] = wanted
    for forgotten in message.forgotten_topics_data:
        name: str | bytes = forgotten.topic_id if by_id else forgotten.topic
        for partition_number in forgotten.partitions:
            session.partitions.pop((name, partition_number), None)
    if named or message.forgotten_topics_data:
        sessions.count(session)
    return session, list(session.partitions.values())


# --- answering ----------------------------------------------------------------------------------------------


def _fill(
    response: FetchResponse, found: list[_Found], *, is_incremental: bool, committed_only: bool
) -> None:
    topics: dict[tuple[str, bytes], FetchableTopicResponse] = {}
    for wanted, log, data, _ in found:
        if data is None:
            assert log is not None
            if (
                is_incremental
                and wanted.told_high_watermark == log.log_end_offset
                and wanted.told_log_start == log.log_start_offset
            ):
                continue
            data = data_of(wanted, log, [] if committed_only else None, b"")
        elif is_incremental and not _is_news(wanted, data):
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
