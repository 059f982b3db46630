"""The broker's state, and what its handlers may do with it: everything but sockets."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from rota.broker.clock import Clock
from rota.broker.fetch_sessions import FetchSessions
from rota.broker.fetch_waits import FetchWaits
from rota.broker.flusher import Flusher
from rota.broker.group_names import OFFSETS_TOPIC, TRANSACTIONS_TOPIC
from rota.broker.storage_errors import storing
from rota.broker.timers import Timers
from rota.broker.topics import Topics
from rota.model import ErrorCode, KafkaError, TopicPartition

if TYPE_CHECKING:
    from rota.broker.cleaner import Cleaner
    from rota.broker.group_commit import GroupCommit
    from rota.broker.groups import Groups
    from rota.broker.loop import Loop
    from rota.broker.settings import Settings
    from rota.broker.transactions import Transactions
    from rota.storage import AppendInfo, Log, LogDirectory
    from rota.timeline.events import Event

__all__ = ["Broker"]

log = logging.getLogger(__name__)

_MIN_ISR = "min.insync.replicas"
_NEVER = 2**63 - 1
_PRODUCER_ID_BLOCK = (
    1000  # ids reserved by one write of the metadata store, as Kafka's controller hands them out
)


class Broker:
    """One node: its topics, groups, fetch sessions and timers, on one event loop."""

    leader_epoch = 0  # one node leads everything for ever

    def __init__(
        self,
        settings: Settings,
        directory: LogDirectory,
        loop: Loop,
        *,
        on_event: Callable[[Event], None] | None = None,
        clock: Clock | None = None,
        prompt_heartbeats: bool = False,
    ) -> None:
        self.settings = settings
        self.directory = directory
        self.clock = clock or Clock()
        self.prompt_heartbeats = prompt_heartbeats
        self.node_id = settings.int("node.id")
        self.rack = settings.text("broker.rack") or None
        self.cluster_id = directory.metadata.cluster_id
        self._load_dynamic()
        self.timers = Timers(loop, self.clock.now_ms)
        self.once_configured: set[str] = set()  # groups that had settings since the start
        self.fetch_waits = FetchWaits(loop.call_soon)
        self.fetch_sessions = FetchSessions(settings.int("max.incremental.fetch.session.cache.slots"))
        self._on_event = on_event
        self._producer_ids = iter(range(0))
        self._loop = loop
        self._flusher = Flusher(self, loop)
        self.syncs: GroupCommit | None = None  # of a broker with logs that ask for syncs
        self.topics = Topics(self)
        self._groups: Groups | None = None
        if OFFSETS_TOPIC in self.topics:
            self._open_groups()
        self._transactions: Transactions | None = None
        if TRANSACTIONS_TOPIC in self.topics:
            self._open_transactions()
        self._plan_retention(settings.int("log.initial.task.delay.ms"))
        self._cleaner: Cleaner | None = None
        if settings.bool("log.cleaner.enable"):
            self.plan_compaction()

    @cached_property
    def groups(self) -> Groups:
        """The groups. Those of a broker that never had one are made when somebody asks for the first."""
        return self._groups or self._open_groups()

    def _open_groups(self) -> Groups:
        from rota.broker.groups import Groups

        self._groups = groups = Groups(self)
        groups.load()
        groups.start_upkeep()
        return groups

    @property
    def transactions(self) -> Transactions:
        """The transactions; as the groups, they are made when somebody asks for the first."""
        return self._transactions or self._open_transactions()

    def _open_transactions(self) -> Transactions:
        from rota.broker.transactions import Transactions

        self._transactions = transactions = Transactions(self)
        transactions.load()
        transactions.start_upkeep()
        return transactions

    def create_own_topic(self, name: str) -> None:
        """If ``name`` is a topic that the broker keeps for itself, make it as the broker needs it, unless it is there.

        Raises ``KafkaError``.
        """
        if name == OFFSETS_TOPIC:
            self.groups.create_log()
        elif name == TRANSACTIONS_TOPIC:
            self.transactions.create_log()

    def watch_flushes(self, partition_log: Log) -> None:
        """A log was opened, or has other settings: if they ask for syncs, these are done in the background."""
        config = partition_log.config
        if partition_log.directory is None or min(config.flush_messages, config.flush_ms) == _NEVER:
            return
        if self.syncs is None:
            from rota.broker.group_commit import GroupCommit

            self.syncs = GroupCommit(self, self._loop)
        self.syncs.watch(partition_log)

    # --- records --------------------------------------------------------------------------------------------

    def append(self, partition_log: Log, records: memoryview, *, from_client: bool = True) -> AppendInfo:
        """Append batches (stamped in place) and wake who waits for them. A client's are checked."""
        now_ms = self.clock.now_ms()
        info = partition_log.append(records, now_ms, leader_epoch=self.leader_epoch, check=from_client)
        self.fetch_waits.appended(partition_log)
        return info

    def delete_records(self, tp: TopicPartition, offset: int, *, remember: bool = True) -> int:
        """Move a log's start to ``offset`` (-1: its end); the new start. Raises ``KafkaError``.

        Without ``remember`` the checkpoints are the caller's to write.
        """
        partition_log = self.topics.find_log(*tp)
        if partition_log is None:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        if "delete" not in partition_log.config.cleanup_policy:
            raise KafkaError(ErrorCode.POLICY_VIOLATION, "cleanup.policy has no 'delete'")
        before = partition_log.high_watermark if offset == -1 else offset
        if not 0 <= before <= partition_log.high_watermark:
            raise KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE)
        start = partition_log.delete_records(before)
        if remember:
            self.directory.write_checkpoints()
        return start

    def next_producer_id(self) -> int:
        """An id no producer had before, across restarts. Raises ``KafkaError``."""
        for producer_id in self._producer_ids:
            return producer_id
        with storing("producer ids"):
            first = self.directory.metadata.reserve_producer_ids(_PRODUCER_ID_BLOCK)
        self._producer_ids = iter(range(first, first + _PRODUCER_ID_BLOCK))
        return next(self._producer_ids)

    # --- topics ---------------------------------------------------------------------------------------------

    def delete_topic(self, name: str) -> None:
        """Delete a topic, the offsets committed for it, and wake who waits for it.

        With a topic of the broker's own goes everything that it remembers: all groups, or all transactional ids.
        """
        for gone in self.topics.delete(name):
            self.fetch_waits.appended(gone)
        if name == OFFSETS_TOPIC and self._groups is not None:
            self._groups.forget()
            self._groups = None
            self.__dict__.pop("groups", None)  # the cached one
        elif name == TRANSACTIONS_TOPIC and self._transactions is not None:
            self.timers.cancel_all("transactions")
            self._transactions = None
        if self._groups is not None:
            self._groups.topic_deleted(name)
        log.info("topic %s deleted", name)

    def add_partitions(self, name: str, count: int) -> None:
        """Raise a topic's partition count; its groups rebalance when their members see it."""
        self.topics.add_partitions(name, count)
        if self._groups is not None:
            self._groups.topic_changed(name)
        log.info("topic %s has %d partitions now", name, count)

    # --- configs --------------------------------------------------------------------------------------------

    def set_broker_configs(self, node: int | None, configs: dict[str, str]) -> None:
        """Replace this broker's dynamic settings, or with ``node`` None the cluster-wide ones."""
        self.directory.metadata.put_broker_overrides(node, configs)
        self._load_dynamic()
        for topic in self.topics:
            self.topics.refresh(topic)

    def set_group_configs(self, group: str, configs: dict[str, str]) -> None:
        """Replace a group's settings. One that had some is listed until this broker ends, as in Apache Kafka."""
        if configs or self.directory.metadata.group_configs(group):
            self.once_configured.add(group)
        self.directory.metadata.put_group_configs(group, configs)

    def reload_configs(self) -> None:
        """What was changed could not be written down: go by what is stored again."""
        self._load_dynamic()
        for topic in self.topics:
            topic.configs = dict(self.directory.metadata.topics[topic.name].configs)
            self.topics.refresh(topic)

    def dynamic_configs(self, node: int | None) -> dict[str, str]:
        """This broker's dynamic settings, or with ``node`` None the cluster-wide ones.

        A cluster of Kafka 4.1 always has a cluster-wide ``min.insync.replicas`` (KIP-966), and so has this one.
        """
        configs = self.directory.metadata.broker_overrides(node)
        if node is None and _MIN_ISR not in configs:
            configs[_MIN_ISR] = self.settings.static.get(_MIN_ISR, "1")
        return configs

    def _load_dynamic(self) -> None:
        self.settings.set_dynamic(self.dynamic_configs(None), self.dynamic_configs(self.node_id))

    # --- life -----------------------------------------------------------------------------------------------

    @property
    def is_watched(self) -> bool:
        """Whether somebody keeps the timeline."""
        return self._on_event is not None

    def record(self, event: Event) -> None:
        """Hand an event of a group's life to whoever keeps the timeline."""
        if self._on_event is not None:
            self._on_event(event)

    def _plan_retention(self, delay_ms: int) -> None:
        self.timers.set(("upkeep", "retention"), self.clock.now_ms() + delay_ms, self._retain)

    def _retain(self) -> None:
        now_ms = self.clock.now_ms()
        for tp, partition_log in self.topics.logs():
            try:
                partition_log.maybe_roll(now_ms)
                removed = partition_log.apply_retention(now_ms)
            except (OSError, KafkaError) as error:
                log.error("retention of %s failed: %s", tp, error)
                continue
            if removed:
                log.info("%s: %d segments removed by retention", tp, removed)
        self._plan_retention(self.settings.int("log.retention.check.interval.ms"))

    def plan_compaction(self) -> None:
        """Look for logs to compact after ``log.cleaner.backoff.ms``."""
        backoff_ms = max(self.settings.int("log.cleaner.backoff.ms"), 10)
        self.timers.set(("upkeep", "compaction"), self.clock.now_ms() + backoff_ms, self._compact)

    def _compact(self) -> None:
        if self._cleaner is None:
            # Few brokers live to see a closed segment in a compacted topic: the others need not load the cleaner.
            if not any(
                len(each.segments) > 1 and "compact" in each.config.cleanup_policy
                for _, each in self.topics.logs()
            ):
                self.plan_compaction()
                return
            from rota.broker.cleaner import Cleaner

            self._cleaner = Cleaner(self, self._loop, self._flusher)
        self._cleaner.look()

    def close(self) -> None:
        """Stop the timers and close the logs; the data directory is marked as cleanly closed."""
        self.timers.close()
        self._flusher.close()
        if self.syncs is not None:
            self.syncs.close()
        if self._cleaner is not None:
            self._cleaner.close()
        self.directory.close()
