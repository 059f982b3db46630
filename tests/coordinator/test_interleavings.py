"""Random interleavings of members that come, go, die, come back and are slow; of broker restarts and full disks.

Clients are careless here: they use old generations and forgotten member ids as often as right ones. Whatever they
do, the invariants below hold after every step, and once everybody is silent nobody is left waiting.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.coordinator.simulation import (
    Simulation,
    assert_same,
    assignment_bytes,
    commit_request,
    join_request,
    subscription_bytes,
    sync_request,
)

from rota.coordinator import GroupConfig, GroupState
from rota.coordinator.group import Group
from rota.coordinator.subscriptions import assigned_partitions
from rota.model import ErrorCode, TopicPartition
from rota.wire.messages.heartbeat import HeartbeatRequest
from rota.wire.messages.leave_group import LeaveGroupRequest, MemberIdentity

CLIENTS = st.integers(0, 4)
PROTOCOLS = st.sampled_from([("range",), ("range", "sticky"), ("sticky", "range")])
TOPICS = st.sampled_from([["orders"], ["payments"], ["orders", "payments"]])
VERSIONS = st.sampled_from([0, 3, 4, 5, 9])


class Asked(NamedTuple):
    """A request as the client remembers it."""

    client: int
    api: str
    member: str
    generation: int


class Interleavings(RuleBasedStateMachine):
    """One group, five clients of which two are static, and a twin of the coordinator that is told the same."""

    def __init__(self) -> None:
        super().__init__()
        self.member: dict[int, str] = {}
        self.generation: dict[int, int] = {}
        self.asked: dict[int, Asked] = {}
        self.seen: set[int] = set()
        self.owners: dict[tuple[int, TopicPartition], str] = {}
        self.identity: dict[str, str] = {}

    @initialize(delay_ms=st.sampled_from([0, 3_000]), max_size=st.sampled_from([3, 100]))
    def start(self, delay_ms: int, max_size: int) -> None:
        config = GroupConfig(initial_rebalance_delay_ms=delay_ms, max_size=max_size)
        self.sims = Simulation(config), Simulation(config)
        self.sim = self.sims[0]

    # --- what happens ---------------------------------------------------------------------------------------

    @rule(client=CLIENTS, protocols=PROTOCOLS, topics=TOPICS, fresh=st.booleans(), version=VERSIONS)
    def join(
        self, client: int, protocols: tuple[str, ...], topics: list[str], fresh: bool, version: int
    ) -> None:
        request = join_request(
            "g",
            "" if fresh else self.member.get(client, ""),
            protocols=[(name, subscription_bytes(topics)) for name in protocols],
            rebalance_ms=20_000,
            instance=self.instance(client) if version >= 5 else None,
        )
        self.send(client, "join", request, version)

    @rule(client=CLIENTS, old=st.booleans())
    def sync(self, client: int, old: bool) -> None:
        """A leader shares out both topics; what others send along is ignored."""
        group = self.sim.coordinator.groups.get("g")
        members = sorted(group.members) if group else []
        plan = {
            member: assignment_bytes({"orders": list(range(6))[i :: len(members)]})
            for i, member in enumerate(members)
        }
        request = sync_request(
            "g",
            self.member.get(client, "stranger"),
            self.generation.get(client, 0) - old,
            plan,
            instance=self.instance(client),
            protocol=None,
        )
        self.send(client, "sync", request, 4)

    @rule(clients=st.sets(CLIENTS, min_size=1), protocols=PROTOCOLS, topics=TOPICS)
    def settle(self, clients: set[int], protocols: tuple[str, ...], topics: list[str]) -> None:
        """These clients do all they should, so that the group is often Stable."""
        for client in sorted(clients):
            for _ in range(2):
                known = self.member.get(client) in self.members() or self.member.get(client) in self.pending()
                self.join(client, protocols, topics, fresh=not known, version=5)
        self.wait(3_000)
        for client in sorted(clients, key=lambda c: self.member.get(c) != self.leader()):
            self.sync(client, old=False)

    def members(self) -> set[str]:
        group = self.sim.coordinator.groups.get("g")
        return set(group.members) if group else set()

    def pending(self) -> set[str]:
        group = self.sim.coordinator.groups.get("g")
        return set(group.pending_joins) if group else set()

    def leader(self) -> str | None:
        group = self.sim.coordinator.groups.get("g")
        return group.leader if group else None

    @rule(client=CLIENTS)
    def heartbeat(self, client: int) -> None:
        request = HeartbeatRequest(
            group_id="g",
            member_id=self.member.get(client, ""),
            generation_id=self.generation.get(client, 0),
            group_instance_id=self.instance(client),
        )
        self.send(client, "heartbeat", request, 4)

    @rule(clients=st.lists(CLIENTS, min_size=1, max_size=2), by_instance=st.booleans())
    def leave(self, clients: list[int], by_instance: bool) -> None:
        members = [
            MemberIdentity(
                member_id="" if by_instance else self.member.get(client, "stranger"),
                group_instance_id=self.instance(client),
            )
            for client in clients
        ]
        self.send(clients[0], "leave", LeaveGroupRequest(group_id="g", members=members), 5)

    @rule(client=CLIENTS, offset=st.integers(0, 100))
    def commit(self, client: int, offset: int) -> None:
        request = commit_request(
            {TopicPartition("orders", client): offset, TopicPartition("nosuch", 0): offset},
            self.member.get(client, ""),
            self.generation.get(client, -1),
            instance=self.instance(client),
        )
        self.send(client, "commit", request, 9)

    @rule(ms=st.sampled_from([1, 2_000, 3_000, 10_000, 20_000]))
    def wait(self, ms: int) -> None:
        for sim in self.sims:
            sim.advance(ms)
        self.read_answers()

    @rule()
    def restart(self) -> None:
        for sim in self.sims:
            sim.restart()

    @rule(full=st.booleans())
    def disk(self, full: bool) -> None:
        for sim in self.sims:
            sim.fail_appends = full

    @rule()
    def force_rebalance(self) -> None:
        for sim in self.sims:
            if "g" in sim.coordinator.groups:
                sim.carry_out(sim.coordinator.force_rebalance("g", "now", sim.now_ms))
        self.read_answers()

    # --- what clients know ----------------------------------------------------------------------------------

    @staticmethod
    def instance(client: int) -> str | None:
        return f"desk-{client}" if client < 2 else None

    def send(self, client: int, api: str, request: Any, version: int) -> None:
        token = self.sim._tokens + 1
        self.asked[token] = Asked(
            client, api, getattr(request, "member_id", ""), getattr(request, "generation_id", -1)
        )
        for sim in self.sims:
            sim.send(request, version, f"c{client}")
        self.read_answers()

    def read_answers(self) -> None:
        for token in sorted(self.sim.answers.keys() - self.seen):
            self.seen.add(token)
            asked, answer = self.asked[token], self.sim.answers[token]
            if asked.api == "join":
                self.learn(asked.client, answer)
            elif asked.api == "sync" and answer.error_code == ErrorCode.NONE:
                self.check_owner(asked, answer)

    def learn(self, client: int, answer: Any) -> None:
        if answer.error_code in (ErrorCode.NONE, ErrorCode.MEMBER_ID_REQUIRED):
            self.member[client] = answer.member_id
        if answer.error_code == ErrorCode.NONE:
            self.generation[client] = answer.generation_id

    def check_owner(self, asked: Asked, answer: Any) -> None:
        """A partition has at most one owner per generation; sync completes only for the current one."""
        group = self.sim.group()
        assert asked.generation == group.generation
        who = group.members[asked.member].instance_id or asked.member
        for partition in assigned_partitions(answer.assignment):
            owner = self.owners.setdefault((asked.generation, partition), who)
            assert owner == who, f"{partition} of generation {asked.generation}: {owner} and {who}"

    # --- what always holds ----------------------------------------------------------------------------------

    @invariant()
    def same_inputs_same_outcomes(self) -> None:
        assert_same(*self.sims)

    @invariant()
    def every_waiting_request_is_parked_once(self) -> None:
        parked = [
            token
            for group in self.sim.coordinator.groups.values()
            for member in group.members.values()
            for token in (member.join and member.join.token, member.sync_token)
            if token is not None
        ]
        assert sorted(parked) == sorted(self.sim.waiting)

    @invariant()
    def counts_are_right(self) -> None:
        for group in self.sim.coordinator.groups.values():
            members = group.members
            assert group.awaiting_join == sum(member.join is not None for member in members.values())
            assert group.static_members == {
                m.instance_id: m.member_id for m in members.values() if m.instance_id
            }
            assert group.pending_sync <= members.keys()
            assert not group.pending_joins.keys() & members.keys()
            names = [name for member in members.values() for name, _ in member.protocols]
            assert {name: n for name, n in group.supported.items() if n} == {n: names.count(n) for n in names}
            assert (group.leader in members) if members else (group.leader is None)
            assert not group.replacements

    @invariant()
    def every_deadline_has_a_timer(self) -> None:
        timers = self.sim.timers
        for group in self.sim.coordinator.groups.values():
            for member in group.members.values():
                if not member.is_waiting:
                    assert timers["session", "g", member.member_id] <= member.deadline_ms
            for member_id in group.pending_joins:
                assert ("session", "g", member_id) in timers
            if group.state is GroupState.PREPARING_REBALANCE:
                assert ("join", "g") in timers
            if group.state is GroupState.COMPLETING_REBALANCE:
                assert ("sync", "g") in timers

    @invariant()
    def the_log_tells_the_same(self) -> None:
        """Replaying from zero gives the state that living through it gave, as far as it is recorded."""
        if self.sim.fail_appends:
            return
        lived, replayed = self.sim.coordinator, self.sim.replayed()
        assert lived.offsets.of_group("g") == replayed.offsets.of_group("g")
        assert lived.groups.keys() == replayed.groups.keys()
        for group_id, group in lived.groups.items():
            if group.state is GroupState.STABLE:
                assert recorded(group) == recorded(replayed.groups[group_id])

    def teardown(self) -> None:
        """Once all are silent, every request is answered and the group is empty."""
        if not hasattr(self, "sims"):
            return
        self.disk(full=False)
        for _ in range(4):
            self.wait(300_000)
        assert not self.sim.waiting
        for group in self.sim.coordinator.groups.values():
            assert group.state is GroupState.EMPTY
        assert not self.sim.timers


def recorded(group: Group) -> object:
    """What the log says about a group."""
    return (
        group.generation,
        group.protocol_type,
        group.protocol,
        group.leader,
        group.state_since_ms,
        group.subscribed,
        [
            (m.member_id, m.instance_id, m.metadata(group.protocol), m.assignment)
            for m in group.members.values()
        ],
    )


Interleavings.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestInterleavings = Interleavings.TestCase
