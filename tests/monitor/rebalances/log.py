"""``__consumer_offsets`` as a coordinator writes it, in a few calls, fed to a `LogReader` at times of the test's own.

log = Log()
log.generation(1, a="orders-0 orders-1")
log.at(5_000).commit("orders-0", 10)
log.at(9_000).generation(2, a="orders-0", b="orders-1")
assert log.causes() == ["b joined"]
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Self

from tests.monitor.snapshots import tp

from rota.coordinator.log_format import encode_record
from rota.coordinator.outcome import LogRecord
from rota.model import TopicPartition
from rota.monitor.rebalances import LogReader, Told
from rota.timeline.events import Event
from rota.wire.codec import encode_versioned
from rota.wire.messages import group_log as gl
from rota.wire.messages.consumer_protocol import (
    ConsumerProtocolAssignment,
    ConsumerProtocolAssignmentTopicPartition,
    ConsumerProtocolSubscription,
)

__all__ = ["START_MS", "Log", "topic_id"]

START_MS = 1_760_000_000_000
GROUP = "g"


def topic_id(topic: str) -> bytes:
    """The same for the same name."""
    return topic.encode().ljust(16, b"_")[:16]


class Log:
    """One group's records. Times are milliseconds since `START_MS`."""

    def __init__(self, *, names: Collection[str] = ("orders", "mails", "bills")) -> None:
        self.reader = LogReader()
        self.reader.learn_topics({topic_id(name): name for name in names})
        self.now_ms = 0
        self.news: list[Event] = []

    def at(self, ms: int) -> Self:
        """What follows is written then."""
        self.now_ms = ms
        return self

    def feed(self, key: Any, value: Any) -> Self:
        """One record."""
        encoded = encode_record(LogRecord(key, value))
        self.news = self.reader.feed(7, *encoded, START_MS + self.now_ms)
        return self

    # Commits

    def commit(self, partition: str, offset: int) -> Self:
        where = tp(partition)
        key = gl.OffsetCommitKey(group=GROUP, topic=where.topic, partition=where.partition)
        return self.feed(key, gl.OffsetCommitValue(offset=offset, commit_timestamp=START_MS + self.now_ms))

    def commits(self, partition: str, since_ms: int, until_ms: int, every_ms: int) -> Self:
        """Steady progress, a record a millisecond; the last commit is before ``until_ms``."""
        for ms in range(since_ms, until_ms, every_ms):
            self.at(ms).commit(partition, ms)
        return self

    # Classic groups

    def generation(
        self,
        number: int,
        *,
        joined_ms: int | None = None,
        protocol: str = "range",
        topics: Mapping[str, str] | None = None,
        session_ms: int = 6_000,
        poll_ms: int = 10_000,
        static: Collection[str] = (),
        life: Mapping[str, int] | None = None,
        user_data: Mapping[str, bytes] | None = None,
        **shares: str,
    ) -> Self:
        """A generation: who has which partitions, by client id. ``topics`` are subscriptions other than to orders;
        ``life``: how many member ids the client had before.
        """
        members = [
            gl.MemberMetadata(
                member_id=f"{name}-id{(life or {}).get(name, 0) or ''}",
                group_instance_id=name if name in static else None,
                client_id=name,
                client_host="/10.0.0.1",
                rebalance_timeout=poll_ms,
                session_timeout=session_ms,
                subscription=_subscription(
                    (topics or {}).get(name, "orders").split(), (user_data or {}).get(name)
                ),
                assignment=_assignment(held),
            )
            for name, held in shares.items()
        ]
        value = gl.GroupMetadataValue(
            protocol_type="consumer",
            generation=number,
            protocol=protocol if members else None,
            leader=members[0].member_id if members else None,
            current_state_timestamp=START_MS + (self.now_ms if joined_ms is None else joined_ms),
            members=members,
        )
        return self.feed(gl.GroupMetadataKey(group=GROUP), value)

    def deleted(self) -> Self:
        return self.feed(gl.GroupMetadataKey(group=GROUP), None)

    # Consumer groups (KIP-848)

    def member(
        self,
        name: str,
        topics: str = "orders",
        *,
        poll_ms: int = 10_000,
        static: str | None = None,
        regex: str = "",
    ) -> Self:
        value = gl.ConsumerGroupMemberMetadataValue(
            instance_id=static,
            rack_id=None,
            client_id=static or name.partition("-")[0],
            client_host="/10.0.0.1",
            subscribed_topic_names=topics.split(),
            subscribed_topic_regex=regex or None,
            rebalance_timeout_ms=poll_ms,
            server_assignor=None,
        )
        return self.feed(gl.ConsumerGroupMemberMetadataKey(group_id=GROUP, member_id=name), value)

    def gone(self, name: str) -> Self:
        """The tombstones that a member leaves, whichever way it went."""
        self.feed(gl.ConsumerGroupCurrentMemberAssignmentKey(group_id=GROUP, member_id=name), None)
        self.feed(gl.ConsumerGroupTargetAssignmentMemberKey(group_id=GROUP, member_id=name), None)
        return self.feed(gl.ConsumerGroupMemberMetadataKey(group_id=GROUP, member_id=name), None)

    def epoch(self, number: int, *, digest: int = 1) -> Self:
        value = gl.ConsumerGroupMetadataValue(epoch=number, metadata_hash=digest)
        return self.feed(gl.ConsumerGroupMetadataKey(group_id=GROUP), value)

    def target(self, number: int, **shares: str) -> Self:
        for name, held in shares.items():
            key = gl.ConsumerGroupTargetAssignmentMemberKey(group_id=GROUP, member_id=name)
            grouped = [
                gl.TopicPartition(topic_id=topic_id(topic), partitions=numbers)
                for topic, numbers in _by_topic(held).items()
            ]
            self.feed(key, gl.ConsumerGroupTargetAssignmentMemberValue(topic_partitions=grouped))
        key_of_all = gl.ConsumerGroupTargetAssignmentMetadataKey(group_id=GROUP)
        return self.feed(key_of_all, gl.ConsumerGroupTargetAssignmentMetadataValue(assignment_epoch=number))

    def current(self, name: str, epoch: int, held: str, *, revoking: str = "", state: int = 0) -> Self:
        value = gl.ConsumerGroupCurrentMemberAssignmentValue(
            member_epoch=epoch,
            previous_member_epoch=max(epoch - 1, 0),
            state=1 if revoking else state,
            assigned_partitions=_ids(held),
            partitions_pending_revocation=_ids(revoking),
        )
        return self.feed(gl.ConsumerGroupCurrentMemberAssignmentKey(group_id=GROUP, member_id=name), value)

    # What became of it

    def told(self) -> list[Told]:
        return self.reader.account(GROUP)

    def causes(self) -> list[str]:
        """Of each rebalance, in words."""
        return [each.words for each in self.told()]


def _subscription(topics: Iterable[str], user_data: bytes | None) -> bytes:
    return encode_versioned(ConsumerProtocolSubscription(topics=list(topics), user_data=user_data), 1)


def _assignment(held: str) -> bytes:
    found = [
        ConsumerProtocolAssignmentTopicPartition(topic=topic, partitions=numbers)
        for topic, numbers in _by_topic(held).items()
    ]
    return encode_versioned(ConsumerProtocolAssignment(assigned_partitions=found), 0)


def _by_topic(held: str) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for each in map(tp, held.split()):
        found.setdefault(each.topic, []).append(each.partition)
    return found


def _ids(held: str) -> list[gl.TopicPartitions]:
    return [
        gl.TopicPartitions(topic_id=topic_id(topic), partitions=numbers)
        for topic, numbers in _by_topic(held).items()
    ]


def parts(held: str) -> tuple[TopicPartition, ...]:
    """``orders-0 orders-1``"""
    return tuple(map(tp, held.split()))
