"""A member of a consumer group (KIP-848): who it is, what it wants, what it holds and has yet to give up."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final

from rota.coordinator.consumer_groups.assignment import EMPTY, Assigned, assigned_from, union
from rota.coordinator.consumer_groups.classic_metadata import ClassicMetadata
from rota.plain import Plain, field, replace

if TYPE_CHECKING:
    from rota.wire.messages.group_log import (
        ConsumerGroupCurrentMemberAssignmentValue,
        ConsumerGroupMemberMetadataValue,
    )

__all__ = ["JOIN_EPOCH", "LEAVE_EPOCH", "STATIC_LEAVE_EPOCH", "ConsumerMember", "MemberState"]

JOIN_EPOCH: Final = 0
"""A heartbeat with this epoch asks to be a member."""
LEAVE_EPOCH: Final = -1
"""A heartbeat with this epoch says goodbye."""
STATIC_LEAVE_EPOCH: Final = -2
"""A static member's: it will be back within its session timeout, and its partitions are to wait for it."""


class MemberState(IntEnum):
    """Where a member is on its way to the target assignment. The numbers are those in the log."""

    STABLE = 0
    """It holds what it was meant to hold in its epoch.

    action: keep the session alive.
    transition: the target is newer and takes something away -> UNREVOKED_PARTITIONS;
        the target gives something that others still hold -> UNRELEASED_PARTITIONS.
    """

    UNREVOKED_PARTITIONS = 1
    """It has been asked to give up partitions and has not said yet that it did.

    action: stay in the old epoch; fence the member after its rebalance timeout.
    transition: its heartbeat no longer lists them -> STABLE or UNRELEASED_PARTITIONS, in the target's epoch.
    """

    UNRELEASED_PARTITIONS = 2
    """It is in the target's epoch, but partitions that it is meant to have are still held by others.

    action: give it those that become free, at each heartbeat.
    transition: nothing is missing any more -> STABLE; the target takes something away -> UNREVOKED_PARTITIONS.
    """

    UNKNOWN = 127
    """A state that a later broker wrote down and this one does not know.

    action: fence the member unless it holds nothing.
    transition: as from STABLE.
    """

    @classmethod
    def _missing_(cls, value: object) -> MemberState:  # noqa: ARG003 - any other number
        return cls.UNKNOWN


class ConsumerMember(Plain):
    """One member, as it is recorded: nothing here is of this broker's life only (see `sessions`)."""

    member_id: str
    member_epoch: int = 0
    previous_epoch: int = 0
    state: MemberState = MemberState.STABLE
    instance_id: str | None = None
    rack_id: str | None = None
    client_id: str = ""
    client_host: str = ""
    rebalance_timeout_ms: int = -1
    topics: tuple[str, ...] = ()
    """The names of ``SubscribedTopicNames``, sorted, each once."""
    regex: str = ""
    """``SubscribedTopicRegex``; empty for none."""
    assignor: str | None = None
    assigned: Assigned = field(default_factory=dict)
    """What it may consume."""
    revoking: Assigned = field(default_factory=dict)
    """What it was asked to give up and may still consume."""
    classic: ClassicMetadata | None = None
    """What there is of a member that uses the classic protocol."""

    def with_metadata(self, value: ConsumerGroupMemberMetadataValue) -> ConsumerMember:
        """The member that a record describes, holding what this one holds."""
        return replace(
            self,
            instance_id=value.instance_id,
            rack_id=value.rack_id,
            client_id=value.client_id,
            client_host=value.client_host,
            rebalance_timeout_ms=value.rebalance_timeout_ms,
            topics=tuple(sorted(set(value.subscribed_topic_names))),
            regex=value.subscribed_topic_regex or "",
            assignor=value.server_assignor,
            classic=ClassicMetadata.from_record(value.classic_member_metadata),
        )

    def with_current(self, value: ConsumerGroupCurrentMemberAssignmentValue) -> ConsumerMember:
        """This member in the epoch and with the partitions of a record."""
        return replace(
            self,
            member_epoch=value.member_epoch,
            previous_epoch=value.previous_member_epoch,
            state=MemberState(value.state),
            assigned=assigned_from(value.assigned_partitions),
            revoking=assigned_from(value.partitions_pending_revocation),
        )

    def moved_to(
        self, state: MemberState, epoch: int, assigned: Assigned, revoking: Assigned = EMPTY
    ) -> ConsumerMember:
        """The member in its next state; the epoch it was in becomes the previous one."""
        return replace(
            self,
            state=state,
            member_epoch=epoch,
            previous_epoch=self.member_epoch,
            assigned=assigned,
            revoking=revoking,
        )

    def gone_for_a_while(self) -> ConsumerMember:
        """A static member after its goodbye: it keeps its partitions; those it was to give up it holds no more.

        Kafka keeps the state, so we do. The epoch that it leaves becomes the previous one, which nobody can use:
        every epoch is newer than that of a member that is away.
        """
        previous = self.previous_epoch if self.is_away else self.member_epoch
        return replace(self, member_epoch=STATIC_LEAVE_EPOCH, previous_epoch=previous, revoking=EMPTY)

    @property
    def is_away(self) -> bool:
        """Whether it is a static member that left for a while."""
        return self.member_epoch == STATIC_LEAVE_EPOCH

    @property
    def held(self) -> Assigned:
        """What it may be consuming: what is assigned to it, and what it has yet to give up."""
        return union(self.assigned, self.revoking)

    def is_reconciled_to(self, epoch: int) -> bool:
        """Whether it holds all that it is meant to hold in ``epoch``."""
        return self.state is MemberState.STABLE and self.member_epoch == epoch

    def has_reached(self, epoch: int) -> bool:
        """Whether it is reconciled to ``epoch``, or was when it left for a while."""
        last_epoch = self.previous_epoch if self.is_away else self.member_epoch
        return self.state is MemberState.STABLE and last_epoch == epoch
