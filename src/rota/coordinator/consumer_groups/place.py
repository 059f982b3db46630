"""What the handlers of consumer groups work with: the groups, the topics, deadlines and settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.coordinator.consumer_groups.assignment import Assigned, each
from rota.coordinator.step import no_group, wrong_kind
from rota.model import ErrorCode, GroupError, TopicPartition
from rota.plain import Plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rota.coordinator.config import GroupConfig
    from rota.coordinator.consumer_groups.group import ConsumerGroup, ConsumerGroups
    from rota.coordinator.consumer_groups.member import ConsumerMember
    from rota.coordinator.consumer_groups.sessions import Sessions
    from rota.coordinator.outcome import TopicView
    from rota.coordinator.step import Groups

__all__ = ["Place"]


class Place(Plain):
    """Where a step takes place."""

    classic: Groups
    """Classic groups; an id is in one kind of groups only."""
    groups: ConsumerGroups
    topics: TopicView
    sessions: Sessions
    config: GroupConfig
    overrides: Callable[[str], Mapping[str, str]]
    """The configs that were set for a group (KIP-848's dynamic group configs)."""

    def existing(self, group_id: str) -> ConsumerGroup:
        """The group.

        Raises:
            GroupError: GROUP_ID_NOT_FOUND
        """
        group = self.groups.get(group_id)
        if group is not None:
            return group
        raise GroupError(ErrorCode.GROUP_ID_NOT_FOUND, self.why_not_found(group_id))

    def why_not_found(self, group_id: str) -> str:
        """What to say of a consumer group that does not exist."""
        return wrong_kind(group_id, "classic") if group_id in self.classic else no_group(group_id)

    def session_timeout_ms(self, group_id: str) -> int:
        """``consumer.session.timeout.ms`` of the group, or ``group.consumer.session.timeout.ms``."""
        own = self.overrides(group_id).get("consumer.session.timeout.ms")
        return self.config.consumer_session_timeout_ms if own is None else int(own)

    def session_timeout_of(self, group_id: str, member: ConsumerMember) -> int:
        """That of the group; a member that uses the classic protocol has one of its own."""
        if member.classic is None:
            return self.session_timeout_ms(group_id)
        return member.classic.session_timeout_ms

    def heartbeat_interval_ms(self, group_id: str) -> int:
        """``consumer.heartbeat.interval.ms`` of the group, or ``group.consumer.heartbeat.interval.ms``."""
        own = self.overrides(group_id).get("consumer.heartbeat.interval.ms")
        return self.config.consumer_heartbeat_interval_ms if own is None else int(own)

    def named(self, assigned: Assigned) -> tuple[TopicPartition, ...]:
        """The partitions of topics that exist, by name and in order."""
        found = [(self.topics.topic_name(topic_id), partition) for topic_id, partition in each(assigned)]
        return tuple(sorted(TopicPartition(name, partition) for name, partition in found if name is not None))
