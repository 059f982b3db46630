"""A member behind kafka-python.

kafka-python 3.0.12 can lose a join: where a leader that had no metadata of its topics joins again, and `poll`
runs into its timeout between the JoinGroup and the SyncGroup answer, it takes the join for done, never looks
at the assignment and sends no heartbeat, until the coordinator removes it. So the member asks for the
metadata first and polls with a timeout that a join does not exceed.

And while no broker can be reached, `poll` and `commit` raise what the connection met (KafkaConnectionError,
where the search for the coordinator asks for metadata) instead of trying again. Its own documentation calls
that error retriable, so the member tries again, as a program would; every other error ends it.
"""

from collections.abc import Iterable
from typing import Any

from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition  # type: ignore[import-untyped]
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor  # type: ignore[import-untyped]
from kafka.coordinator.assignors.range import RangePartitionAssignor  # type: ignore[import-untyped]
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor  # type: ignore[import-untyped]
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor  # type: ignore[import-untyped]
from kafka.errors import KafkaConnectionError, KafkaTimeoutError, NodeNotReadyError  # type: ignore[import-untyped]
from tests.clients.member import Record, ThreadMember

STRATEGIES = {
    "range": RangePartitionAssignor,
    "roundrobin": RoundRobinPartitionAssignor,
    "sticky": StickyPartitionAssignor,
    "cooperative-sticky": CooperativeStickyAssignor,
}

UNREACHABLE = (KafkaConnectionError, KafkaTimeoutError, NodeNotReadyError)


class KafkaPythonMember(ThreadMember):
    def run(self) -> None:
        config = self.config
        commit: dict[str, Any] = {"enable_auto_commit": False}
        if config.auto_commit_ms:
            commit = {"enable_auto_commit": True, "auto_commit_interval_ms": config.auto_commit_ms}
        consumer = KafkaConsumer(
            bootstrap_servers=config.bootstrap_servers,
            group_id=config.group,
            group_instance_id=config.instance_id,
            client_id=config.client_id,
            partition_assignment_strategy=(STRATEGIES[config.strategy],),
            session_timeout_ms=config.session_timeout_ms,
            heartbeat_interval_ms=config.heartbeat_interval_ms,
            max_poll_interval_ms=max(config.max_poll_interval_ms, config.session_timeout_ms),
            auto_offset_reset="earliest",
            metadata_max_age_ms=config.metadata_max_age_ms,
            fetch_max_wait_ms=100,
            reconnect_backoff_max_ms=1_000,  # its 30 s would outlast any restart
            metrics_enabled=False,
            **commit,
        )
        for topic in config.topics:
            consumer.partitions_for_topic(topic)
        self.listener = _Listener(self)
        consumer.subscribe(topics=list(config.topics), listener=self.listener)
        uncommitted = False
        try:
            while not self.stopping.is_set():
                self.run_tasks(consumer)
                try:
                    for batch in consumer.poll(timeout_ms=1_000).values():
                        for r in batch:
                            self.records.append(Record(r.topic, r.partition, r.offset, r.key, r.value))
                        uncommitted = config.commit_each_poll
                    if uncommitted:
                        consumer.commit()
                        uncommitted = False
                        self.note("committed")
                except UNREACHABLE as error:
                    self.note("unreachable", str(error))
                    self.stopping.wait(0.1)
        finally:
            consumer.close()

    def seek(self, topic: str, partition: int, offset: int) -> None:
        self.do(lambda consumer: consumer.seek(TopicPartition(topic, partition), offset))


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, member: KafkaPythonMember) -> None:
        self.member = member

    def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        self.member.on_assigned((p.topic, p.partition) for p in assigned)

    def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        self.member.on_revoked((p.topic, p.partition) for p in revoked)

    def on_partitions_lost(self, lost: Iterable[Any]) -> None:
        self.member.on_revoked(((p.topic, p.partition) for p in lost), "lost")
