"""The coordinator's shell: it appends what the coordinator decides, replays it, and answers.

The pure coordinator (``rota.coordinator``) says what is to be recorded, who is to be answered and when it wants
to be called again; this file carries that out, in that order: append to ``__consumer_offsets``, replay, reply,
set timers. Start-up replays the same topic through the same ``replay``.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from rota.broker.event_lines import event_line
from rota.broker.group_names import OFFSETS_TOPIC
from rota.broker.group_settings import consumer_assignors, migrates
from rota.broker.held_heartbeats import HeldHeartbeats
from rota.broker.own_logs import create_own_log
from rota.broker.request import PARKED, Request
from rota.broker.storage_errors import complain
from rota.coordinator import (
    EMPTY_OUTCOME,
    Context,
    GroupConfig,
    GroupCoordinator,
    LogRecord,
    Outcome,
    partition_for,
)
from rota.coordinator.answers import join_error, sync_error
from rota.coordinator.log_format import decode_record, encode_record
from rota.coordinator.pending_offsets import InTransaction
from rota.ids import random_uuid, uuid_text
from rota.model import ErrorCode, KafkaError, TopicPartition
from rota.timeline.events import MemberReconciled, RebalanceStarted
from rota.wire import WireError
from rota.wire.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from rota.wire.messages.join_group import JoinGroupResponse
from rota.wire.records import (
    BatchHeader,
    build_batch,
    check_batch,
    iter_batches,
    iter_records,
    one_record_batch,
    read_end_marker,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rota.broker.broker import Broker
    from rota.wire.schema import Message

__all__ = ["Groups"]

# The offsets that a deleted topic or a retention takes along are many, and a batch may not be too large.
_MAX_BATCH_RECORDS: Final = 1000

log = logging.getLogger(__name__)


class Groups:
    """All groups of this broker, and the log that remembers them."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._requests: dict[int, Request] = {}
        self._next_token = 0
        self._held = (
            HeldHeartbeats(broker, self._answer_heartbeat_again) if broker.prompt_heartbeats else None
        )
        self.coordinator = GroupCoordinator(
            group_config(broker),
            lambda: uuid_text(random_uuid()),
            broker.topics,
            broker.directory.metadata.group_configs,
        )

    # --- requests -------------------------------------------------------------------------------------------

    def handle(self, message: Message, request: Request) -> object:
        """Give a group request to the coordinator; the answer, or ``PARKED`` when it comes later."""
        now_ms = self._broker.clock.now_ms()
        if message.__class__ is HeartbeatRequest and self._held is None:
            code = self.coordinator.beat(message, now_ms)
            if code is not None:
                return HeartbeatResponse(error_code=code)
        token = self._next_token = self._next_token + 1
        outcome = self.coordinator.handle(
            message,
            Context(token, request.version, request.client_id, request.connection.client_host, now_ms),
        )
        if outcome is EMPTY_OUTCOME:  # it waits for others
            self._requests[token] = request
            return PARKED
        if outcome.records:
            outcome = self._recorded(outcome, now_ms)
        replies = outcome.replies
        if len(replies) == 1 and replies[0].token == token:
            # Most requests: answered at once, and nobody else is.
            if outcome.timers or outcome.events:
                self._after(outcome)
            response = replies[0].response
            if (
                self._held is not None
                and isinstance(response, HeartbeatResponse)
                and isinstance(message, HeartbeatRequest)
                and self._held.maybe_hold(message, request, response, self._session_timeout_ms(message))
            ):
                return PARKED
            return response
        self._requests[token] = request
        own: list[Message] = []
        self._answer(outcome, token, own)
        return own[0] if own else PARKED

    def _session_timeout_ms(self, message: HeartbeatRequest) -> int:
        """The session timeout of the member that sent a heartbeat; 0 if it is none."""
        group = self.coordinator.groups.get(message.group_id)
        if group is not None:
            member = group.members.get(message.member_id)
            return 0 if member is None else member.session_timeout_ms
        consumer_group = self.coordinator.consumer_groups.get(message.group_id)
        consumer = None if consumer_group is None else consumer_group.members.get(message.member_id)
        # Heartbeats are of the classic protocol: others say something, and are answered at once.
        return 0 if consumer is None or consumer.classic is None else consumer.classic.session_timeout_ms

    def _answer_heartbeat_again(self, message: HeartbeatRequest, request: Request) -> HeartbeatResponse:
        held, self._held = self._held, None  # this answer is the one to send
        try:
            response = self.handle(message, request)
        finally:
            self._held = held
        assert isinstance(response, HeartbeatResponse)
        return response

    def carry_out(self, outcome: Outcome) -> None:
        """Do what the coordinator decided without being asked by a client: a timer, a deleted topic."""
        if outcome.records:
            outcome = self._recorded(outcome, self._broker.clock.now_ms())
        self._answer(outcome, None, [])

    def _recorded(self, outcome: Outcome, now_ms: int) -> Outcome:
        """The outcome, its records being in the log; or what to do instead of it."""
        failed, code = self._append(outcome.records, now_ms)
        if not failed:
            return outcome
        undone = self.coordinator.on_append_failed(outcome._replace(records=tuple(failed)), now_ms, code)
        # What the coordinator puts right after a failed append records nothing.
        assert not undone.records
        return undone

    def _answer(self, outcome: Outcome, own_token: int | None, own: list[Message]) -> None:
        for token, response in outcome.replies:
            request = self._requests.pop(token, None)
            if token == own_token:
                own.append(response)
            elif request is not None:
                request.reply(response)
        self._after(outcome)

    def _after(self, outcome: Outcome) -> None:
        for timer in outcome.timers:
            key = ("group", *timer.key)
            if timer.deadline_ms is None:
                self._broker.timers.cancel(key)
            else:
                self._broker.timers.set(key, timer.deadline_ms, lambda key=timer.key: self._on_timer(key))  # type: ignore[misc]
        for event in outcome.events:
            self._broker.record(event)
            text = event_line(event)
            if text:
                log.info("%s", text)
            if self._held is not None and isinstance(event, (RebalanceStarted, MemberReconciled)):
                # In a mixed group, what one member has let go of another is to fetch.
                self._held.release(event.group)

    def _on_timer(self, key: tuple[str, ...]) -> None:
        self.carry_out(self.coordinator.on_timer(key, self._broker.clock.now_ms()))

    # --- the log --------------------------------------------------------------------------------------------

    def create_log(self) -> None:
        """Create ``__consumer_offsets`` when the first client looks for a coordinator."""
        create_own_log(
            self._broker,
            OFFSETS_TOPIC,
            partitions="offsets.topic.num.partitions",
            segment_bytes="offsets.topic.segment.bytes",
            configs={"compression.type": "producer"},
        )

    def _append(self, records: tuple[LogRecord, ...], now_ms: int) -> tuple[list[LogRecord], ErrorCode]:
        """Append, and replay what is appended; those records that could not be, and what to answer then.

        NOT_COORDINATOR lets clients try again; what is too large will be too large again.
        """
        code = ErrorCode.NOT_COORDINATOR
        topics = self._broker.topics
        if OFFSETS_TOPIC not in topics:
            try:
                self.create_log()
            except KafkaError as error:
                log.error("cannot create %s: %s", OFFSETS_TOPIC, error)
                return list(records), code
        if len(records) == 1:
            key, value = encode_record(records[0])
            batch = one_record_batch(key, value, now_ms)
            partition = partition_for(records[0].group, topics.count(OFFSETS_TOPIC))
            refused = self._append_batch(partition, batch)
            if refused is not None:
                return list(records), refused
            self.coordinator.replay(records[0], now_ms)
            return [], code
        failed: list[LogRecord] = []
        for partition, its_records in _pieces(records, topics.count(OFFSETS_TOPIC)):
            batch = build_batch([(*encode_record(record), now_ms, []) for record in its_records])
            refused = self._append_batch(partition, batch)
            if refused is not None:
                failed += its_records
                if refused == ErrorCode.UNKNOWN_SERVER_ERROR:
                    code = refused
                continue
            for record in its_records:
                self.coordinator.replay(record, now_ms)
        return failed, code

    def _append_batch(self, partition: int, batch: bytearray) -> ErrorCode | None:
        """Append to a partition of the log; what to answer if that fails."""
        partition_log = self._broker.topics.log((OFFSETS_TOPIC, partition))
        try:
            self._broker.append(partition_log, memoryview(batch), from_client=False)
        except (OSError, KafkaError) as error:
            complain(f"append to {OFFSETS_TOPIC}-{partition}", error)
            if isinstance(error, KafkaError) and error.code == ErrorCode.MESSAGE_TOO_LARGE:
                return ErrorCode.UNKNOWN_SERVER_ERROR
            return ErrorCode.NOT_COORDINATOR
        return None

    def load(self) -> None:
        """Replay ``__consumer_offsets`` from its start; afterwards every group goes on where it was."""
        if OFFSETS_TOPIC not in self._broker.topics:
            return
        replayed = 0
        for partition in range(self._broker.topics.count(OFFSETS_TOPIC)):
            replayed += self._replay_log(partition)
        if replayed:
            log.info("replayed %d records of %s", replayed, OFFSETS_TOPIC)
        self.carry_out(self.coordinator.on_loaded(self._broker.clock.now_ms()))

    def forget(self) -> None:
        """The log is gone, and with it all groups: who waits is told to look for a coordinator, and nothing is due.

        Those that come later find other ``Groups``, as in a new broker.
        """
        for group_id in list(self.coordinator.groups) if self._held is not None else ():
            assert self._held is not None
            self._held.release(group_id)
        self._broker.timers.cancel_all("group")
        self._broker.timers.cancel(("upkeep", "offsets"))
        waiting, self._requests = self._requests, {}
        for request in waiting.values():
            is_join = request.route.api.response_type is JoinGroupResponse
            code = ErrorCode.NOT_COORDINATOR
            request.reply(join_error(code, request.version) if is_join else sync_error(code))

    def transaction_ended(self, partition: int, producer_id: int, *, committed: bool) -> None:
        """A marker was appended to a partition of the log: what its transaction has committed counts, or never will."""
        now_ms = self._broker.clock.now_ms()
        transaction = InTransaction(producer_id, partition)
        events = self.coordinator.end_transaction(transaction, now_ms, committed=committed)
        self.carry_out(Outcome(events=events))

    def _replay_log(self, partition: int) -> int:
        replayed = 0
        partition_log = self._broker.topics.log(TopicPartition(OFFSETS_TOPIC, partition))
        for batch in partition_log.iter_batches_from(partition_log.log_start_offset):
            for start, header in iter_batches(batch):
                try:
                    check_batch(batch, start)
                    replayed += self._replay_batch(batch, start, header, partition)
                except WireError as error:
                    # One record that nobody can read must not keep every group from starting.
                    where = (
                        f"{partition_log.directory or OFFSETS_TOPIC}, batch at offset {header.base_offset}"
                    )
                    log.error("skipped what cannot be read in %s: %s", where, error)
        return replayed

    def _replay_batch(self, batch: memoryview, start: int, header: BatchHeader, partition: int) -> int:
        transaction = InTransaction(header.producer_id, partition) if header.is_transactional else None
        if header.is_control:
            marker = read_end_marker(batch, start)
            if marker is not None and transaction is not None:
                self.coordinator.end_transaction(
                    transaction, header.max_timestamp, committed=marker.committed
                )
            return 0
        replayed = 0
        for record in iter_records(batch, start):
            decoded = decode_record(record.key or b"", record.value)
            if decoded is not None:
                self.coordinator.replay(decoded, record.timestamp, transaction)
                replayed += 1
        return replayed

    # --- upkeep ---------------------------------------------------------------------------------------------

    def start_upkeep(self) -> None:
        """Look for expired offsets every ``offsets.retention.check.interval.ms``."""
        interval_ms = self._broker.settings.int("offsets.retention.check.interval.ms")
        due_ms = self._broker.clock.now_ms() + interval_ms
        self._broker.timers.set(("upkeep", "offsets"), due_ms, self._expire_offsets)

    def _expire_offsets(self) -> None:
        self.carry_out(self.coordinator.expire_offsets(self._broker.clock.now_ms()))
        self.start_upkeep()

    def topic_deleted(self, topic: str) -> None:
        """Committed offsets of a deleted topic are forgotten."""
        self.carry_out(self.coordinator.topic_deleted(topic, self._broker.clock.now_ms()))

    def topic_changed(self, topic: str) -> None:
        """Partitions were added: the rebalance that a leader begins next has this as its reason."""
        self.carry_out(self.coordinator.topic_changed(topic, self._broker.clock.now_ms()))


def _pieces(records: Sequence[LogRecord], count: int) -> list[tuple[int, Sequence[LogRecord]]]:
    """What becomes a batch each, and its partition: records of one partition, and not too many."""
    by_partition: dict[int, list[LogRecord]] = {}
    for record in records:
        by_partition.setdefault(partition_for(record.group, count), []).append(record)
    return [
        (partition, its_records[start : start + _MAX_BATCH_RECORDS])
        for partition, its_records in by_partition.items()
        for start in range(0, len(its_records), _MAX_BATCH_RECORDS)
    ]


def group_config(broker: Broker) -> GroupConfig:
    """The coordinator's part of the broker's configuration."""
    settings = broker.settings
    return GroupConfig(
        initial_rebalance_delay_ms=settings.int("group.initial.rebalance.delay.ms"),
        min_session_timeout_ms=settings.int("group.min.session.timeout.ms"),
        max_session_timeout_ms=settings.int("group.max.session.timeout.ms"),
        max_size=settings.int("group.max.size"),
        consumer_session_timeout_ms=settings.int("group.consumer.session.timeout.ms"),
        consumer_heartbeat_interval_ms=settings.int("group.consumer.heartbeat.interval.ms"),
        consumer_max_size=settings.int("group.consumer.max.size"),
        consumer_assignors=consumer_assignors(settings),
        online_upgrade=migrates(settings, "upgrade"),
        online_downgrade=migrates(settings, "downgrade"),
        tells_commits=broker.is_watched,
        offset_metadata_max_bytes=settings.int("offset.metadata.max.bytes"),
        offsets_retention_ms=settings.int("offsets.retention.minutes") * 60_000,
    )
