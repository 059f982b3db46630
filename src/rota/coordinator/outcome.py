"""What goes into the coordinator and what comes out of it: plain data, no callbacks.

A request comes with a ``Context``; the answer is an ``Outcome``. Who runs the coordinator does four things
with an outcome, in this order, before it gives the coordinator anything else:

1. append ``records`` to ``__consumer_offsets`` (`rota.coordinator.log_format` has their bytes);
2. give each record to ``GroupCoordinator.replay`` — if the append failed, give the whole outcome to
   ``on_append_failed`` instead and carry out what that returns;
3. send ``replies``: each names the request that it answers by the token of that request's context. One
   outcome may answer many requests that were parked before, and none at all;
4. set or cancel ``timers``, and log or record ``events``.

The types are named tuples because a heartbeat, which a broker answers thousands of times a second, makes one
of each: they cost a quarter of what frozen dataclasses do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from rota.wire.messages.group_log import GroupMetadataKey, OffsetCommitKey

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rota.timeline.events import Event
    from rota.wire.messages.group_log import (
        ConsumerGroupCurrentMemberAssignmentKey,
        ConsumerGroupMemberMetadataKey,
        ConsumerGroupMetadataKey,
        ConsumerGroupPartitionMetadataKey,
        ConsumerGroupRegularExpressionKey,
        ConsumerGroupTargetAssignmentMemberKey,
        ConsumerGroupTargetAssignmentMetadataKey,
    )
    from rota.wire.schema import Message

    RecordKey: TypeAlias = (
        OffsetCommitKey
        | GroupMetadataKey
        | ConsumerGroupMetadataKey
        | ConsumerGroupPartitionMetadataKey
        | ConsumerGroupMemberMetadataKey
        | ConsumerGroupTargetAssignmentMetadataKey
        | ConsumerGroupTargetAssignmentMemberKey
        | ConsumerGroupCurrentMemberAssignmentKey
        | ConsumerGroupRegularExpressionKey
    )

__all__ = ["EMPTY_OUTCOME", "Context", "LogRecord", "Outcome", "Reply", "Timer", "TimerKey", "TopicView"]

TimerKey = tuple[str, ...]
"""``("session", group, member)``, ``("join", group)`` or ``("sync", group)``; for consumer groups
``("consumer-session", group, member)`` or ``("consumer-revocation", group, member)``, and for classic members in
them ``("consumer-join", group, member)`` or ``("consumer-sync", group, member)``."""


class Context(NamedTuple):
    """Where a request came from. ``token``, the caller's name for it, must be unique while it is parked."""

    token: int
    version: int
    client_id: str
    client_host: str
    """As Kafka prints it: ``/127.0.0.1``."""
    now_ms: int


class LogRecord(NamedTuple):
    """One record of ``__consumer_offsets``; ``value`` None is a tombstone."""

    key: RecordKey
    value: Message | None

    @property
    def group(self) -> str:
        """The group that decides which partition of ``__consumer_offsets`` the record belongs to."""
        key = self.key
        if isinstance(key, (OffsetCommitKey, GroupMetadataKey)):
            return key.group
        return key.group_id


class Reply(NamedTuple):
    """The response to the request whose context had ``token``."""

    token: int
    response: Message


class Timer(NamedTuple):
    """Call ``on_timer(key, now_ms)`` once ``deadline_ms`` has passed, and at no other time; None cancels."""

    key: TimerKey
    deadline_ms: int | None


class Outcome(NamedTuple):
    """What is to be recorded, answered, woken up for and told."""

    records: tuple[LogRecord, ...] = ()
    replies: tuple[Reply, ...] = ()
    timers: tuple[Timer, ...] = ()
    events: tuple[Event, ...] = ()


EMPTY_OUTCOME = Outcome()


class TopicView(Protocol):
    """What the coordinator asks about topics."""

    @property
    def version(self) -> int:
        """A number that changes whenever a topic is created, deleted or given more partitions."""

    def partitions(self, topic: str) -> int | None:
        """How many partitions ``topic`` has, or None if there is no such topic."""

    def topic_id(self, topic: str) -> bytes | None:
        """The id of ``topic``, 16 bytes, or None if there is no such topic."""

    def topic_name(self, topic_id: bytes) -> str | None:
        """The topic that has the id, or None."""

    def names(self) -> Iterable[str]:
        """All topics, but for those that the broker keeps for itself."""
