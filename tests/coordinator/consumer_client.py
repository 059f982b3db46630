"""A consumer that uses KIP-848's protocol as real ones do: it holds what it was given until it is told otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rota.model import ErrorCode
from rota.wire.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest, TopicPartitions

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ConsumerClient"]

_OUT = (ErrorCode.FENCED_MEMBER_EPOCH, ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.FENCED_INSTANCE_ID)


class ConsumerClient:
    """One consumer. ``held`` is what it consumes, and says that it does: topic ids and partitions."""

    def __init__(self, member: str, *, group: str = "g", instance: str | None = None) -> None:
        self.group = group
        self.member = member
        self.instance = instance
        self.epoch = 0
        self.held: frozenset[tuple[bytes, int]] = frozenset()
        self.told: frozenset[tuple[bytes, int]] | None = None
        """What it last said that it holds."""
        self.wanted: frozenset[tuple[bytes, int]] = frozenset()

    def join(
        self,
        topics: list[str] | None = None,
        *,
        regex: str | None = None,
        assignor: str | None = None,
        rebalance_ms: int = 60_000,
    ) -> ConsumerGroupHeartbeatRequest:
        """With nothing in its hands."""
        self.epoch, self.held, self.wanted, self.told = 0, frozenset(), frozenset(), frozenset()
        return ConsumerGroupHeartbeatRequest(
            group_id=self.group,
            member_id=self.member,
            instance_id=self.instance,
            rebalance_timeout_ms=rebalance_ms,
            subscribed_topic_names=topics,
            subscribed_topic_regex=regex,
            server_assignor=assignor,
            topic_partitions=[],
        )

    def beat(self, *, topics: list[str] | None = None, full: bool = False) -> ConsumerGroupHeartbeatRequest:
        """What it holds is said when it has changed, or when ``full``."""
        said = self.listed(self.held) if full or self.held != self.told else None
        self.told = self.held
        return ConsumerGroupHeartbeatRequest(
            group_id=self.group,
            member_id=self.member,
            member_epoch=self.epoch,
            instance_id=self.instance,
            subscribed_topic_names=topics,
            topic_partitions=said,
        )

    def bye(self, epoch: int = -1) -> ConsumerGroupHeartbeatRequest:
        """It leaves; -2: for a short while."""
        return ConsumerGroupHeartbeatRequest(
            group_id=self.group, member_id=self.member, member_epoch=epoch, instance_id=self.instance
        )

    def listed(self, held: Iterable[tuple[bytes, int]]) -> list[TopicPartitions]:
        """As requests have it."""
        by_topic: dict[bytes, list[int]] = {}
        for topic_id, partition in sorted(held):
            by_topic.setdefault(topic_id, []).append(partition)
        return [
            TopicPartitions(topic_id=topic_id, partitions=partitions)
            for topic_id, partitions in by_topic.items()
        ]

    def hear(self, answer: Any, *, lets_go: bool = True) -> None:
        """Take an answer in. A slow client (not ``lets_go``) goes on with what it should have given up."""
        if answer.error_code in _OUT:
            self.epoch, self.held, self.wanted, self.told = 0, frozenset(), frozenset(), None
        if answer.error_code:
            return
        self.epoch = answer.member_epoch
        if answer.assignment is not None:
            self.wanted = frozenset(
                (each.topic_id, partition)
                for each in answer.assignment.topic_partitions
                for partition in each.partitions
            )
        self.held = self.wanted if lets_go else self.held | self.wanted

    def let_go(self) -> None:
        """Give up what it was asked for."""
        self.held = self.wanted
