"""The settings of the group coordinator, with the defaults of Apache Kafka 4.1."""

from __future__ import annotations

from rota.plain import Plain

__all__ = ["GroupConfig"]


class GroupConfig(Plain):
    """Settings of groups and of committed offsets; ``_ms`` are milliseconds."""

    initial_rebalance_delay_ms: int = 3_000
    """``group.initial.rebalance.delay.ms``: how long an empty group's first rebalance waits for others."""
    min_session_timeout_ms: int = 6_000
    """``group.min.session.timeout.ms``"""
    max_session_timeout_ms: int = 1_800_000
    """``group.max.session.timeout.ms``"""
    max_size: int = 2**31 - 1
    """``group.max.size``: members beyond this many are turned away."""
    new_member_join_timeout_ms: int = 300_000
    """How long a new member may wait in its first JoinGroup; a constant in Kafka (five minutes)."""
    consumer_session_timeout_ms: int = 45_000
    """``group.consumer.session.timeout.ms``: consumer groups (KIP-848), unless set for a group."""
    consumer_heartbeat_interval_ms: int = 5_000
    """``group.consumer.heartbeat.interval.ms``: what members of consumer groups are told to keep to."""
    consumer_max_size: int = 2**31 - 1
    """``group.consumer.max.size``"""
    consumer_assignors: tuple[str, ...] = ("uniform", "range")
    """``group.consumer.assignors``: the first is for groups whose members do not ask for one."""
    online_upgrade: bool = True
    """``group.consumer.migration.policy``: whether a classic group with members becomes a consumer group (KIP-848)
    when one that uses its protocol joins."""
    online_downgrade: bool = True
    """The same policy: whether a consumer group becomes a classic one when all that is left are classic members."""
    tells_commits: bool = True
    """Whether each committed offset is an event: only a timeline wants these, and they are many."""
    offset_metadata_max_bytes: int = 4_096
    """``offset.metadata.max.bytes``: longest text that may accompany a committed offset, in UTF-16 units."""
    offsets_retention_ms: int = 7 * 24 * 60 * 60_000
    """``offsets.retention.minutes``: after this long an unused group's offsets are forgotten."""
