"""Random interleavings of consumers that use KIP-848: they come, go, die, come back, are slow, and miss answers; topics
change, the broker restarts, the disk is full.

Whatever happens, no partition is in two members' hands, epochs only rise, the log tells the same as memory, and once
everybody behaves the group settles with every partition given out, evenly.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.coordinator.consumer_client import ConsumerClient
from tests.coordinator.simulation import Simulation, assert_same

from rota.coordinator import GroupConfig
from rota.coordinator.consumer_groups.assignment import each
from rota.coordinator.consumer_groups.group import ConsumerGroup, ConsumerGroupState
from rota.model import ErrorCode, TopicPartition
from rota.timeline.events import RebalanceCompleted
from rota.timeline.history import History

NAMES = ("a", "b", "c", "static-1", "static-2")
CLIENTS = st.sampled_from(NAMES)
SUBSCRIPTIONS = st.sampled_from([["orders"], ["payments"], ["orders", "payments"], []])


class Interleavings(RuleBasedStateMachine):
    """One group, five consumers of which two are static, and a twin of the coordinator that is told the same."""

    def __init__(self) -> None:
        super().__init__()
        self.clients: dict[str, ConsumerClient] = {}
        self.lives = 0
        self.epochs: dict[str, int] = {}
        self.group_epoch = 0
        self.history = History()
        self.told = 0

    @initialize(assignor=st.sampled_from(["uniform", "range"]))
    def start(self, assignor: str) -> None:
        config = GroupConfig(consumer_assignors=(assignor, "uniform"))
        self.sims = Simulation(config), Simulation(config)
        self.sim = self.sims[0]

    # --- what happens ---------------------------------------------------------------------------------------

    def send(self, name: str, request: Any, *, lets_go: bool = True, is_lost: bool = False) -> Any:
        answers = [sim.ask(request, 1, client_id=name) for sim in self.sims]
        if not is_lost:
            self.clients[name].hear(answers[0], lets_go=lets_go)
        return answers[0]

    @rule(
        name=CLIENTS,
        topics=SUBSCRIPTIONS,
        regex=st.booleans(),
        is_lost=st.booleans(),
        rebalance_ms=st.sampled_from([5_000, 60_000]),
    )
    def join(self, name: str, topics: list[str], regex: bool, is_lost: bool, rebalance_ms: int) -> None:
        """A process starts; what it held in its former life, if it had one, it holds no more."""
        self.lives += 1
        instance = name if name.startswith("static") else None
        client = self.clients[name] = ConsumerClient(f"{name}-{self.lives}", instance=instance)
        request = client.join(
            None if regex else topics, regex="pay.*" if regex else None, rebalance_ms=rebalance_ms
        )
        self.send(name, request, is_lost=is_lost)

    @rule(name=CLIENTS, lets_go=st.booleans(), is_lost=st.booleans(), full=st.booleans())
    def beat(self, name: str, lets_go: bool, is_lost: bool, full: bool) -> None:
        if name in self.clients and self.clients[name].epoch > 0:
            self.send(name, self.clients[name].beat(full=full), lets_go=lets_go, is_lost=is_lost)

    @rule(name=CLIENTS)
    def let_go(self, name: str) -> None:
        if name in self.clients:
            self.clients[name].let_go()

    @rule(name=CLIENTS, topics=SUBSCRIPTIONS)
    def subscribe(self, name: str, topics: list[str]) -> None:
        if name in self.clients and self.clients[name].epoch > 0:
            self.send(name, self.clients[name].beat(topics=topics))

    @rule(name=CLIENTS, away=st.booleans())
    def leave(self, name: str, away: bool) -> None:
        client = self.clients.pop(name, None)
        if client is not None:
            request = client.bye(-2 if away and client.instance else -1)
            for sim in self.sims:
                sim.ask(request, 1, client_id=name)

    @rule(name=CLIENTS)
    def die(self, name: str) -> None:
        self.clients.pop(name, None)

    @rule(ms=st.sampled_from([1_000, 6_000, 20_000, 61_000]))
    def wait(self, ms: int) -> None:
        for sim in self.sims:
            sim.advance(ms)

    @rule(topic=st.sampled_from(["orders", "payments", "payouts"]), count=st.integers(0, 7))
    def change_topic(self, topic: str, count: int) -> None:
        """Topics appear, grow, go, and come back with another id."""
        for sim in self.sims:
            before = sim.topics.get(topic, 0)
            if count == 0 and before:
                del sim.topics[topic]
                sim.ids_used = getattr(sim, "ids_used", 0) + 1  # type: ignore[attr-defined]
                sim.topics.ids[topic] = f"{topic}{sim.ids_used}".encode().ljust(16)  # type: ignore[attr-defined]
                sim.carry_out(sim.coordinator.topic_deleted(topic, sim.now_ms))
            elif count > before:
                sim.topics[topic] = count
                sim.carry_out(sim.coordinator.topic_changed(topic, sim.now_ms))

    @rule()
    def restart(self) -> None:
        for sim in self.sims:
            sim.restart()

    @rule(full=st.booleans())
    def disk(self, full: bool) -> None:
        for sim in self.sims:
            sim.fail_appends = full

    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        """Everybody behaves for a while, in any order: the group comes to rest."""
        self.disk(full=False)
        for _ in range(8):
            for name in data.draw(st.permutations(sorted(self.clients))):
                client = self.clients[name]
                client.let_go()
                if client.epoch > 0:
                    self.send(name, client.beat(full=True))
        self.wait(44_000)
        for name in sorted(self.clients):
            if self.clients[name].epoch > 0:
                self.send(name, self.clients[name].beat(full=True))
        self.wait(44_000)
        for _ in range(8):
            for name in sorted(self.clients):
                if self.clients[name].epoch > 0:
                    self.send(name, self.clients[name].beat(full=True))
        self.check_settled()

    def check_settled(self) -> None:
        group = self.group()
        if group is None or not group.members:
            return
        assert group.state is ConsumerGroupState.STABLE
        wanted = {
            (self.sim.topics.topic_id(topic), partition)
            for topic in group.subscribed()
            for partition in range(self.sim.topics.get(topic, 0))
        }
        assert set(group.owners) == wanted
        everyone = group.members.values()
        if (
            len({group.topics_of(member) for member in everyone}) == 1
            and self.sim.config.consumer_assignors[0] == "uniform"
        ):
            sizes = [len(list(each(member.assigned))) for member in everyone]
            assert max(sizes) - min(sizes) <= 1

    # --- what always holds ----------------------------------------------------------------------------------

    def group(self) -> ConsumerGroup | None:
        return self.sim.coordinator.consumer_groups.get("g")

    def members(self) -> set[str]:
        group = self.group()
        return set(group.members) if group else set()

    @invariant()
    def no_partition_is_in_two_hands(self) -> None:
        """Neither as the coordinator sees it, nor as those consumers do that are members."""
        group = self.group()
        if group is None:
            return
        owned: dict[tuple[bytes, int], str] = {}
        for member in group.members.values():
            for held in (member.assigned, member.revoking):
                for partition in each(held):
                    assert owned.setdefault(partition, member.member_id) == member.member_id
        assert owned == group.owners
        holders: dict[tuple[bytes, int], list[str]] = {}
        for client in self.clients.values():
            if client.member in group.members:
                for partition in client.held:
                    holders.setdefault(partition, []).append(client.member)
        assert all(len(members) == 1 for members in holders.values()), holders
        assert {partition: members[0] for partition, members in holders.items()}.items() <= owned.items()

    @invariant()
    def epochs_only_rise(self) -> None:
        group = self.group()
        if group is None:
            self.group_epoch, self.epochs = 0, {}
            return
        assert group.epoch >= self.group_epoch
        assert group.assignment_epoch <= group.epoch
        self.group_epoch = group.epoch
        for member_id, member in group.members.items():
            assert member.member_epoch <= group.assignment_epoch
            if member.member_epoch >= 0:
                assert member.member_epoch >= self.epochs.get(member_id, 0)
                self.epochs[member_id] = member.member_epoch

    @invariant()
    def same_inputs_same_outcomes(self) -> None:
        assert_same(*self.sims)

    @invariant()
    def the_timeline_knows_the_owners(self) -> None:
        """At every moment, not only when all are done."""
        for event in self.sim.events[self.told :]:
            self.history.apply(event)
        self.told = len(self.sim.events)
        group = self.group()
        for (topic_id, index), member_id in group.owners.items() if group else ():
            name = self.sim.topics.topic_name(topic_id)
            if name is not None:
                owner = self.history.ledger.owner(TopicPartition(name, index))
                assert owner == self.history.names.of(member_id)

    @invariant()
    def what_is_complete_was_told(self) -> None:
        """Once for every target assignment that everybody reached."""
        told = [event.generation for event in self.sim.events if isinstance(event, RebalanceCompleted)]
        group = self.group()
        if group is not None and group.state is ConsumerGroupState.STABLE:
            assert told[-1] == group.epoch
        assert all(before != after for before, after in pairwise(told))

    @invariant()
    def a_restart_arms_the_same_timers(self) -> None:
        """Deadlines begin anew, but nobody has one that had none."""
        if not self.sim.fail_appends:
            loaded = self.sim.replayed().on_loaded(self.sim.now_ms)
            assert {timer.key for timer in loaded.timers} == self.sim.timers.keys()

    @invariant()
    def every_member_has_a_deadline(self) -> None:
        for member_id in self.members():
            assert ("consumer-session", "g", member_id) in self.sim.timers

    @invariant()
    def the_log_tells_the_same(self) -> None:
        """Read from its start, or as compaction leaves it: the last record of each key, in their order."""
        lived = self.group()
        for compacted in (False, True):
            replayed = self.sim.replayed(compacted=compacted).consumer_groups.get("g")
            assert (lived is None) == (replayed is None)
            if lived is not None and replayed is not None:
                assert recorded(lived) == recorded(replayed)

    @invariant()
    def errors_are_those_that_clients_know(self) -> None:
        known = {
            ErrorCode.NONE,
            ErrorCode.NOT_COORDINATOR,
            ErrorCode.UNKNOWN_MEMBER_ID,
            ErrorCode.FENCED_MEMBER_EPOCH,
            ErrorCode.FENCED_INSTANCE_ID,
            ErrorCode.UNRELEASED_INSTANCE_ID,
            ErrorCode.GROUP_ID_NOT_FOUND,
        }
        assert {answer.error_code for answer in self.sim.answers.values()} <= known

    def teardown(self) -> None:
        """Once all are silent, the group is empty."""
        if not hasattr(self, "sims"):
            return
        self.disk(full=False)
        for _ in range(3):
            self.wait(300_000)
        assert not self.members()
        assert not self.sim.timers


def recorded(group: ConsumerGroup) -> object:
    """What the log says about a group."""
    return (
        group.epoch,
        group.metadata_hash,
        group.assignment_epoch,
        group.members,
        group.static_members,
        group.target,
        group.owners,
        group.regexes,
    )


Interleavings.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestInterleavings = Interleavings.TestCase
