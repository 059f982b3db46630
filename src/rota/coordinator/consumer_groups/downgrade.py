"""A consumer group becomes a classic one, because all that are left in it use the classic protocol (KIP-848).

The epoch becomes the generation, and what everybody is meant to hold the assignment; then the members come together
in a rebalance, in which their leader shares out the partitions as before the upgrade. Only where a static member of
the consumer protocol was replaced by a classic one in a group that is at rest, nobody needs to do anything.

The classic group is made here, with all that its members said of themselves, and takes the place of the consumer
group when its record is replayed: ``Groups.converted`` holds it until then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.coordinator.consumer_groups.assignment import EMPTY
from rota.coordinator.consumer_groups.classic_metadata import assignment_bytes
from rota.coordinator.consumer_groups.records import group_tombstones
from rota.coordinator.group import CONSUMER_PROTOCOL, Group
from rota.coordinator.members import Member
from rota.coordinator.rebalance import prepare
from rota.coordinator.records import group_record
from rota.coordinator.states import GroupState

if TYPE_CHECKING:
    from collections.abc import Collection

    from rota.coordinator.consumer_groups.group import ConsumerGroup
    from rota.coordinator.consumer_groups.member import ConsumerMember
    from rota.coordinator.consumer_groups.place import Place
    from rota.coordinator.step import Step
    from rota.timeline.events import RebalanceReason

__all__ = ["downgrade", "has_come_to_rest", "is_to_be_classic", "rebalance_downgraded", "undo_downgrade"]


def is_to_be_classic(place: Place, group: ConsumerGroup, gone: Collection[str], coming: int = 0) -> bool:
    """Whether all that are left without ``gone`` are classic members; ``coming``: how many more there will be."""
    if not place.config.online_downgrade:
        return False
    others = [member for member_id, member in group.members.items() if member_id not in gone]
    if any(member.classic is None for member in others):
        return False
    return 0 < len(others) + coming <= place.config.max_size


def has_come_to_rest(group: ConsumerGroup) -> bool:
    """Whether everybody holds what it is meant to hold."""
    return all(member.has_reached(group.epoch) for member in group.members.values())


def downgrade(
    place: Place,
    group: ConsumerGroup,
    gone: Collection[str],
    step: Step,
    replacing: ConsumerMember | None = None,
) -> Group:
    """The classic group that comes of it, in Stable; what is recorded of it follows in this step.

    ``replacing``: a static member that comes in the place of the one in ``gone``, and has its part.
    """
    classic = Group(group.group_id, step.now_ms)
    classic.generation = group.epoch
    for member_id, member in group.members.items():
        if member_id not in gone:
            _add(place, group, classic, member, member_id)
        place.sessions.end(group.group_id, member_id, step)
    if replacing is not None:
        (former_id,) = gone
        _add(place, group, classic, replacing, former_id)
    classic.protocol = classic.select_protocol()
    classic.subscribed = classic.read_subscriptions()
    classic.state = GroupState.STABLE
    for each in classic.members.values():
        step.extend_session(classic, each)
    step.records += group_tombstones(group)
    step.records.append(group_record(classic, step.now_ms, assignments=classic.assignments()))
    place.classic.converted[group.group_id] = classic
    return classic


def _add(place: Place, group: ConsumerGroup, classic: Group, member: ConsumerMember, known_as: str) -> None:
    assert member.classic is not None
    meant = place.named(group.target.get(known_as, EMPTY))
    classic.add(
        Member(
            member.member_id,
            instance_id=member.instance_id,
            client_id=member.client_id,
            client_host=member.client_host,
            rebalance_timeout_ms=member.rebalance_timeout_ms,
            session_timeout_ms=member.classic.session_timeout_ms,
            protocols=member.classic.protocols,
            assignment=assignment_bytes(meant, member.classic.metadata),
        ),
        CONSUMER_PROTOCOL,
    )


def rebalance_downgraded(
    classic: Group, reason: RebalanceReason, member_id: str, detail: str, step: Step
) -> None:
    """The members of the group come together for a generation of their own."""
    words = "all that are left use the classic protocol: the group is a classic one now"
    prepare(classic, reason, member_id, f"{detail}; {words}" if detail else words, step)


def undo_downgrade(place: Place, group_id: str, step: Step) -> None:
    """The downgrade could not be recorded: there is no classic group."""
    classic = place.classic.converted.pop(group_id, None)
    if classic is not None:
        for member_id in classic.members:
            step.end_session(classic, member_id)
        step.cancel_timer(("join", group_id))
