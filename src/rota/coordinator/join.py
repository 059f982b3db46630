"""JoinGroup (key 11, versions 0-9): a member asks to be in the next generation.

Version notes: v1 adds the rebalance timeout (before, the session timeout is it), v4 makes dynamic members ask
for an id first (KIP-394), v5 adds ``group.instance.id`` (KIP-345), v8 the client's reason (KIP-800), v9 lets
a returning static leader skip the assignment (KIP-814).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rota.coordinator import reasons
from rota.coordinator.answers import join_error, join_success, sync_error
from rota.coordinator.group import Group
from rota.coordinator.members import Member, Parked
from rota.coordinator.rebalance import maybe_complete_join, prepare, prepare_or_complete
from rota.coordinator.records import new_group_record, replacement_record
from rota.coordinator.states import GroupState
from rota.model import ErrorCode, GroupError
from rota.timeline.events import MemberJoined, MemberLeft, RebalanceReason

if TYPE_CHECKING:
    from rota.coordinator.config import GroupConfig
    from rota.coordinator.members import Protocols
    from rota.coordinator.outcome import Context
    from rota.coordinator.step import Groups, Step
    from rota.wire.messages.join_group import JoinGroupRequest

__all__ = ["MEMBER_ID_REQUIRED_VERSION", "JoinRequest", "check_join", "handle_join", "join_others"]

_EMPTY = GroupState.EMPTY
_PREPARING = GroupState.PREPARING_REBALANCE
_COMPLETING = GroupState.COMPLETING_REBALANCE
_STABLE = GroupState.STABLE

MEMBER_ID_REQUIRED_VERSION = 4
_SKIP_ASSIGNMENT_VERSION = 9


class JoinRequest(NamedTuple):
    """The request, its version's gaps filled in."""

    parked: Parked
    client_id: str
    client_host: str
    member_id: str
    instance_id: str | None
    session_timeout_ms: int
    rebalance_timeout_ms: int
    protocol_type: str
    protocols: Protocols
    reason: str | None

    @classmethod
    def of(cls, request: JoinGroupRequest, context: Context) -> JoinRequest:
        if len(request.protocols) == 1:
            only = request.protocols[0]
            offered: Protocols = ((only.name, only.metadata),)
        else:
            protocols: dict[str, bytes] = {}
            for entry in request.protocols:
                protocols.setdefault(entry.name, entry.metadata)
            offered = tuple(protocols.items())
        session_ms = request.session_timeout_ms
        return cls(
            Parked(context.token, context.version),
            context.client_id,
            context.client_host,
            request.member_id,
            request.group_instance_id,
            session_ms,
            request.rebalance_timeout_ms if context.version > 0 else session_ms,
            request.protocol_type,
            offered,
            request.reason,
        )


def join_others(group: Group, request: JoinGroupRequest, context: Context, config: GroupConfig) -> bool:
    """The plain case, of which a large group's rebalance is made: a member joins again, and others are awaited.

    True: its request is parked, and nothing else follows. False: nothing has been done, ``handle_join`` has to.
    """
    member = group.members.get(request.member_id)
    if (
        group.state is not _PREPARING
        or member is None
        or member.join is not None
        or request.group_instance_id is not None
        or request.protocol_type != group.protocol_type
        or len(request.protocols) != 1
        or len(member.protocols) != 1
        or not group.awaiting_join < min(len(group.members) - 1, config.max_size)
        or not config.min_session_timeout_ms <= request.session_timeout_ms <= config.max_session_timeout_ms
    ):
        return False
    offered = request.protocols[0]
    name = offered.name
    if name != member.protocols[0][0] or group.supported.get(name, 0) != len(group.members):
        return False
    member.protocols = ((name, offered.metadata),)
    member.session_timeout_ms = request.session_timeout_ms
    member.rebalance_timeout_ms = (
        request.rebalance_timeout_ms if context.version > 0 else request.session_timeout_ms
    )
    member.join = Parked(context.token, context.version)
    group.awaiting_join += 1
    return True


def handle_join(groups: Groups, request: JoinGroupRequest, context: Context, step: Step) -> None:
    """Answer, or park, a JoinGroup; an unknown group comes into being unless the member claims to know it."""
    code = check_join(request, step)
    group = groups.get(request.group_id)
    if code is None and group is None and request.member_id:
        code = ErrorCode.UNKNOWN_MEMBER_ID
    if code is not None:
        step.reply(context.token, join_error(code, context.version, request.member_id))
        return
    is_created = group is None
    if group is None:
        group = groups[request.group_id] = Group(request.group_id, step.now_ms)
    join = JoinRequest.of(request, context)
    if not _is_room_for(group, join.member_id, step.config.max_size):
        _turn_away(group, join.member_id, step)
        step.reply(context.token, join_error(ErrorCode.GROUP_MAX_SIZE_REACHED, context.version))
    elif not group.supports(join.protocol_type, join.protocols):
        answer = join_error(ErrorCode.INCONSISTENT_GROUP_PROTOCOL, context.version, join.member_id)
        step.reply(context.token, answer)
    elif join.member_id:
        _known_member(group, join, step)
    else:
        _new_member(group, join, step)
    if is_created:
        step.records.append(new_group_record(group))


def check_join(request: JoinGroupRequest, step: Step) -> ErrorCode | None:
    """What is wrong with the request, whatever group it is for."""
    if not request.group_id:
        return ErrorCode.INVALID_GROUP_ID
    if (
        not step.config.min_session_timeout_ms
        <= request.session_timeout_ms
        <= step.config.max_session_timeout_ms
    ):
        return ErrorCode.INVALID_SESSION_TIMEOUT
    return None


def _is_room_for(group: Group, member_id: str, max_size: int) -> bool:
    """At the barrier the first to come are let in: a lowered ``group.max.size`` sheds the last ones."""
    if group.state is _EMPTY:
        return True
    member = group.members.get(member_id)
    if group.state is _PREPARING:
        return (member is not None and member.join is not None) or group.awaiting_join < max_size
    return member is not None or len(group.members) < max_size


def _turn_away(group: Group, member_id: str, step: Step) -> None:
    if group.remove(member_id) is not None:
        step.end_session(group, member_id)
        detail = "turned away: group.max.size is reached"
        step.events.append(
            MemberLeft(step.now_ms, group.group_id, member_id, RebalanceReason.MEMBER_LEFT, detail)
        )


# --- members without an id ----------------------------------------------------------------------------------


def _new_member(group: Group, join: JoinRequest, step: Step) -> None:
    if join.instance_id is not None:
        member_id = f"{join.instance_id}-{step.new_id()}"
        old_id = group.static_members.get(join.instance_id)
        if old_id is None:
            _add(group, member_id, join, step)
        else:
            _replace_static(group, group.members[old_id], member_id, join, step)
        return
    member_id = f"{join.client_id}-{step.new_id()}"
    if join.parked.version < MEMBER_ID_REQUIRED_VERSION:
        _add(group, member_id, join, step)
        return
    deadline_ms = step.now_ms + join.session_timeout_ms
    group.pending_joins[member_id] = deadline_ms
    step.set_timer(("session", group.group_id, member_id), deadline_ms)
    answer = join_error(ErrorCode.MEMBER_ID_REQUIRED, join.parked.version, member_id)
    step.reply(join.parked.token, answer)


def _add(group: Group, member_id: str, join: JoinRequest, step: Step) -> None:
    member = Member(
        member_id,
        instance_id=join.instance_id,
        client_id=join.client_id,
        client_host=join.client_host,
        rebalance_timeout_ms=join.rebalance_timeout_ms,
        session_timeout_ms=join.session_timeout_ms,
        protocols=join.protocols,
    )
    member.is_new = True
    member.join = join.parked
    if group.state is _PREPARING and group.previous_state is _EMPTY:
        group.newcomers = True
    group.add(member, join.protocol_type)
    # A client that gave up while its first JoinGroup was parked would come back as yet another member:
    # without heartbeats there must be another end to it. The timer replaces the one of the id that was given
    # out.
    step.extend_session(group, member, step.config.new_member_join_timeout_ms)
    at_ms, group_id = step.now_ms, group.group_id
    step.events.append(
        MemberJoined(at_ms, group_id, member_id, join.client_id, join.client_host, join.instance_id)
    )
    detail = reasons.join_detail(group, member, join.reason, at_ms)
    prepare_or_complete(group, RebalanceReason.MEMBER_JOINED, member_id, detail, step)


# --- members with an id -------------------------------------------------------------------------------------


def _known_member(group: Group, join: JoinRequest, step: Step) -> None:
    member_id, parked = join.member_id, join.parked
    if member_id in group.pending_joins:
        # Only dynamic members are given an id before they join.
        if join.instance_id is not None:
            answer = join_error(ErrorCode.UNKNOWN_SERVER_ERROR, parked.version, member_id)
            step.reply(parked.token, answer)
        else:
            _add(group, member_id, join, step)
        return
    try:
        member = group.check_member(member_id, join.instance_id)
    except GroupError as error:
        step.reply(parked.token, join_error(error.code, parked.version, member_id))
        return
    unchanged = member.protocols == join.protocols
    leads = group.leader == member_id
    if unchanged and (group.state is _COMPLETING or (group.state is _STABLE and not leads)):
        # It may have missed the answer to its last JoinGroup: the generation is the same for it.
        step.reply(parked.token, join_success(group, member_id))
        return
    if group.state is _PREPARING:  # why has been told already
        _join_again(group, member, join, step)
        maybe_complete_join(group, step)
        return
    reason, detail = reasons.of_rejoin(group, member, join.protocols, join.reason)
    _join_again(group, member, join, step)
    prepare(group, reason, member_id, detail, step)


def _join_again(group: Group, member: Member, join: JoinRequest, step: Step) -> None:
    group.update_protocols(member, join.protocols)
    member.rebalance_timeout_ms = join.rebalance_timeout_ms
    member.session_timeout_ms = join.session_timeout_ms
    if member.join is None:
        group.awaiting_join += 1
    else:
        # The same member asks again on another connection; nobody waits for the first answer any more.
        answer = join_error(ErrorCode.REBALANCE_IN_PROGRESS, member.join.version, member.member_id)
        step.reply(member.join.token, answer)
    member.join = join.parked


# --- static members that come back --------------------------------------------------------------------------


def _replace_static(group: Group, old: Member, member_id: str, join: JoinRequest, step: Step) -> None:
    """A known instance id without a member id: the process was restarted, the old member id is fenced.

    In Stable, unless the protocol would change, this needs no rebalance: the newcomer takes over what its
    predecessor held as soon as that is recorded. Kafka keeps the client id and host of the first.
    """
    new = Member(
        member_id,
        instance_id=old.instance_id,
        client_id=old.client_id,
        client_host=old.client_host,
        rebalance_timeout_ms=join.rebalance_timeout_ms,
        session_timeout_ms=join.session_timeout_ms,
        protocols=join.protocols,
        assignment=old.assignment,
    )
    _fence(old, step)
    former_leader = group.leader
    new.join = join.parked
    group.replace_static(old.member_id, new)
    # The old member id was answered above; its place at the barrier is the new one's.
    old.join = None
    step.extend_session(group, new, old.session_timeout_ms)
    step.end_session(group, old.member_id)
    _tell_replaced(group, old, new, step)
    reason = RebalanceReason.STATIC_MEMBER_REPLACED
    detail = reasons.client_text(join.reason)
    if group.state is _COMPLETING:
        # The leader may be assigning partitions to the old member id at this moment.
        prepare(group, reason, member_id, detail, step)
    elif group.state is _PREPARING:
        maybe_complete_join(group, step)
    elif group.select_protocol() != group.protocol:
        prepare(group, reason, member_id, detail, step)
    else:
        _take_over(group, old, new, former_leader, step)


def _take_over(group: Group, old: Member, new: Member, former_leader: str | None, step: Step) -> None:
    assert new.join is not None
    parked, new.join = new.join, None
    group.awaiting_join -= 1
    if parked.version >= _SKIP_ASSIGNMENT_VERSION:
        # A leader is told so, with the members, but not to assign: it watches for changes of the topics.
        answer = join_success(group, new.member_id, skip_assignment=group.leader == new.member_id)
    else:
        # A leader of the old kind would assign anew; it is told that its former self leads.
        answer = join_success(group, new.member_id, leader=former_leader)
    step.reply(parked.token, answer)
    # Until it is recorded, the old one stands; ``Group.load`` puts the new one in its place.
    group.replace_static(new.member_id, old)
    group.replacements[new.member_id] = new
    step.records.append(replacement_record(group, old.member_id, new))


def _fence(old: Member, step: Step) -> None:
    if old.join is not None:
        answer = join_error(ErrorCode.FENCED_INSTANCE_ID, old.join.version, old.member_id)
        step.reply(old.join.token, answer)
    if old.sync_token is not None:
        step.reply(old.sync_token, sync_error(ErrorCode.FENCED_INSTANCE_ID))
        old.sync_token = None


def _tell_replaced(group: Group, old: Member, new: Member, step: Step) -> None:
    at_ms, group_id = step.now_ms, group.group_id
    reason = RebalanceReason.STATIC_MEMBER_REPLACED
    step.events += [
        MemberLeft(at_ms, group_id, old.member_id, reason, f"replaced by {new.member_id}"),
        MemberJoined(at_ms, group_id, new.member_id, new.client_id, new.client_host, new.instance_id),
    ]
