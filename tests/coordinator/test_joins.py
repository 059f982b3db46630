"""JoinGroup, SyncGroup, Heartbeat and LeaveGroup, transition by transition and version by version."""

from typing import Any

import pytest
from tests.coordinator.simulation import Simulation, assignment_bytes

from rota.coordinator import GroupConfig, GroupState
from rota.model import ErrorCode
from rota.wire.codec import encode
from rota.wire.messages.leave_group import LeaveGroupRequest
from rota.wire.messages.sync_group import SyncGroupRequest


@pytest.fixture
def sim() -> Simulation:
    return Simulation()


@pytest.mark.parametrize("version", [0, 1, 3])
def test_empty_to_preparing_old_versions_are_let_in_at_once(sim: Simulation, version: int) -> None:
    """Before v4 nobody is asked to come back with an id."""
    token = sim.join(version=version)
    assert sim.answer(token) is None
    assert sim.group().state is GroupState.PREPARING_REBALANCE
    assert next(iter(sim.group().members.values())).rebalance_timeout_ms == (
        10_000 if version == 0 else 60_000
    )


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"group": ""}, ErrorCode.INVALID_GROUP_ID),
        ({"session_ms": 5_999}, ErrorCode.INVALID_SESSION_TIMEOUT),
        ({"session_ms": 1_800_001}, ErrorCode.INVALID_SESSION_TIMEOUT),
        ({"member": "m"}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({"protocols": []}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        ({"protocol_type": ""}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
    ],
)
def test_join_is_refused(sim: Simulation, options: dict[str, Any], code: ErrorCode) -> None:
    """Errors before any group is asked, or by a group that is empty."""
    member = options.pop("member", "")
    answer = sim.answer(sim.join(member, **options))
    assert (answer.error_code, answer.member_id, answer.generation_id) == (code, member, -1)


def test_another_protocol_type_is_refused(sim: Simulation) -> None:
    """A Connect worker does not fit into a group of consumers."""
    sim.stable(1)
    answer = sim.answer(sim.join(protocol_type="connect"))
    assert answer.error_code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL


@pytest.mark.parametrize("version", range(10))
def test_every_answer_has_bytes_in_its_version(version: int) -> None:
    """Errors and successes of each version can be encoded, whatever is null in newer ones."""
    sim = Simulation(GroupConfig(initial_rebalance_delay_ms=0))
    instance = "i" if version >= 5 else None
    first = sim.join(version=version, instance=instance)
    if version == 4:
        first = sim.join(sim.answer(first).member_id, version=version)
    sim.advance(0)
    assert sim.answer(first).error_code == ErrorCode.NONE
    fenced = sim.answer(sim.join("x", version=version, instance=instance))
    assert fenced.error_code == (ErrorCode.FENCED_INSTANCE_ID if instance else ErrorCode.UNKNOWN_MEMBER_ID)
    refused = sim.answer(sim.join(version=version, protocol_type="connect"))
    for answer in (sim.answer(first), fenced, refused):
        assert encode(answer, version)


def test_pending_members_expire(sim: Simulation) -> None:
    """An id that is not used within the session timeout is forgotten, and no longer holds up the barrier."""
    member, _ = sim.join_new()
    stray = sim.answer(sim.join()).member_id
    sim.advance(3_000)
    sim.sync_all([member])
    sim.advance(6_999)
    sim.heartbeat(member, 1)
    assert stray in sim.group().pending_joins
    sim.advance(1)
    assert stray not in sim.group().pending_joins
    assert sim.answer(sim.join(stray)).error_code == ErrorCode.UNKNOWN_MEMBER_ID


def test_a_pending_member_holds_up_the_barrier(sim: Simulation) -> None:
    """Whoever was given an id is waited for; giving the id back lets the others go on."""
    leader, follower = sim.stable(2)
    stray = sim.answer(sim.join()).member_id
    tokens = [sim.join(leader), sim.join(follower)]
    assert [sim.answer(token) for token in tokens] == [None, None]
    assert sim.leave(stray).members[0].error_code == ErrorCode.NONE
    assert [sim.answer(token).generation_id for token in tokens] == [2, 2]


def test_a_first_join_is_not_parked_for_ever(sim: Simulation) -> None:
    """A newcomer sends no heartbeats: after five minutes at the barrier it is told to begin again."""
    leader, _ = sim.stable(2, rebalance_ms=900_000, session_ms=600_000)
    _, token = sim.join_new(rebalance_ms=900_000)
    sim.advance(299_999)
    assert sim.answer(token) is None
    sim.advance(1)
    assert sim.answer(token).error_code == ErrorCode.UNKNOWN_MEMBER_ID
    assert sim.heartbeat(leader, 1) == ErrorCode.REBALANCE_IN_PROGRESS


def test_preparing_nobody_joins_then_all_sessions_end(sim: Simulation) -> None:
    """Static members stay in an unfinished rebalance until their sessions end; then the group is Empty."""
    sim.join(instance="a", session_ms=60_000, rebalance_ms=10_000)
    sim.advance(3_000)
    sim.sync_all(list(sim.group().members))
    sim.carry_out(sim.coordinator.force_rebalance("g", "now", sim.now_ms))
    sim.advance(10_000)
    assert (sim.group().state, sim.group().generation) == (GroupState.PREPARING_REBALANCE, 1)
    sim.advance(50_000)
    assert (sim.group().state, sim.group().generation) == (GroupState.EMPTY, 2)
    assert sim.timers == {}


def test_completing_the_same_join_again_gets_the_same_answer() -> None:
    """Its first answer may have been lost on the way."""
    sim = Simulation(GroupConfig(initial_rebalance_delay_ms=0))
    member, token = sim.join_new()
    sim.advance(0)
    assert sim.answer(sim.join(member)) == sim.answer(token)
    assert sim.group().state is GroupState.COMPLETING_REBALANCE
    again = sim.join(member, topics=["payments"])
    assert sim.answer(again).generation_id == 2


def test_a_join_sent_again_on_another_connection(sim: Simulation) -> None:
    """The later request is the one that is answered at the end; nobody waits for the earlier one."""
    leader, _ = sim.stable(2)
    first, second = sim.join(leader), sim.join(leader)
    assert sim.answer(first).error_code == ErrorCode.REBALANCE_IN_PROGRESS
    assert sim.answer(second) is None


def test_malformed_metadata_does_not_stop_a_rebalance(sim: Simulation) -> None:
    """Apache Kafka 4.1 never completes such a rebalance; here the subscriptions are merely unknown."""
    _, token = sim.join_new(protocols=[("range", b"\x7f" * 20)])
    sim.advance(3_000)
    assert sim.answer(token).error_code == ErrorCode.NONE
    assert sim.group().subscribed is None
    assert sim.group().is_subscribed("anything")


def test_sync_is_checked(sim: Simulation) -> None:
    """Group, member, generation, protocol; v5 must name the protocol (KIP-559)."""
    (member,) = sim.stable(1)

    def code(*args: Any, **options: Any) -> int:
        result: int = sim.answer(sim.sync(*args, **options)).error_code
        return result

    assert code(member, 1, group="") == ErrorCode.INVALID_GROUP_ID
    assert code(member, 1, group="x") == ErrorCode.UNKNOWN_MEMBER_ID
    assert code("x", 1) == ErrorCode.UNKNOWN_MEMBER_ID
    assert code(member, 2) == ErrorCode.ILLEGAL_GENERATION
    assert code(member, 1, protocol="sticky") == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    assert code(member, 1, protocol_type="connect") == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    assert code(member, 1, protocol=None) == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    assert (
        sim.ask(SyncGroupRequest(group_id="g", generation_id=1, member_id=member), 4).error_code
        == ErrorCode.NONE
    )
    sim.join(member)
    assert sim.group().state is GroupState.COMPLETING_REBALANCE


def test_who_is_not_in_the_assignment_gets_nothing(sim: Simulation) -> None:
    """And who is in it without being a member is ignored."""
    joins = [sim.join_new() for _ in range(2)]
    sim.advance(6_000)
    (leader, _), (follower, _) = joins
    token = sim.sync(follower, 1)
    plan = {leader: assignment_bytes({"orders": [0]}), "stranger": assignment_bytes({"orders": [1]})}
    sim.sync(leader, 1, plan)
    assert sim.answer(token).assignment == b""
    assert set(sim.replayed().groups["g"].members) == {leader, follower}


@pytest.mark.parametrize(
    ("member", "generation", "group", "code"),
    [
        (None, 1, "g", ErrorCode.NONE),
        (None, 2, "g", ErrorCode.ILLEGAL_GENERATION),
        ("x", 1, "g", ErrorCode.UNKNOWN_MEMBER_ID),
        (None, 1, "x", ErrorCode.UNKNOWN_MEMBER_ID),
        (None, 1, "", ErrorCode.INVALID_GROUP_ID),
    ],
)
def test_heartbeat_is_checked(
    sim: Simulation, member: str | None, generation: int, group: str, code: ErrorCode
) -> None:
    """Group, member, generation."""
    (own,) = sim.stable(1)
    assert sim.heartbeat(own if member is None else member, generation, group=group) == code


def test_leave_before_batches(sim: Simulation) -> None:
    """Up to v2 one member and one error."""
    (member,) = sim.stable(1)
    assert (
        sim.ask(LeaveGroupRequest(group_id="g", member_id="x"), 2).error_code == ErrorCode.UNKNOWN_MEMBER_ID
    )
    assert (
        sim.ask(LeaveGroupRequest(group_id="x", member_id=member), 2).error_code
        == ErrorCode.UNKNOWN_MEMBER_ID
    )
    assert (
        sim.ask(LeaveGroupRequest(group_id="", member_id=member), 2).error_code == ErrorCode.INVALID_GROUP_ID
    )
    assert sim.ask(LeaveGroupRequest(group_id="g", member_id=member), 1).error_code == ErrorCode.NONE
    assert sim.group().state is GroupState.EMPTY


def test_a_group_over_a_lowered_max_size_rebalances_at_the_start(sim: Simulation) -> None:
    """The members may commit, then the last to join are turned away."""
    first, second = sim.stable(2)
    sim.config = GroupConfig(max_size=1)
    sim.restart()
    assert sim.heartbeat(first, 1) == ErrorCode.REBALANCE_IN_PROGRESS
    kept, turned_away = sim.join(first), sim.join(second)
    assert sim.answer(turned_away).error_code == ErrorCode.GROUP_MAX_SIZE_REACHED
    sim.advance(60_000)
    assert sim.answer(kept).generation_id == 2
