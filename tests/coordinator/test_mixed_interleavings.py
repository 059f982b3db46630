"""Random interleavings of consumers of both protocols in one group.

It becomes a consumer group when the first that uses KIP-848 comes, and a classic one when the last has gone. Members of
either kind come, go, die, are slow and miss answers; static ones come back with the other protocol; the broker
restarts; the disk is full. Whatever happens, no partition is in the hands of two members, the log tells the same as
memory, every member has a deadline, and once everybody behaves the group settles with every partition given out.
"""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.coordinator.classic_client import ClassicClient
from tests.coordinator.consumer_client import ConsumerClient
from tests.coordinator.simulation import Simulation, assert_same
from tests.coordinator.test_consumer_interleavings import recorded as recorded_consumers
from tests.coordinator.test_interleavings import recorded as recorded_classic

from rota.coordinator import GroupConfig, GroupState
from rota.coordinator.consumer_groups.assignment import each
from rota.coordinator.consumer_groups.group import ConsumerGroup, ConsumerGroupState
from rota.coordinator.group import Group
from rota.model import ErrorCode, TopicPartition
from rota.timeline.history import History

NAMES = ("a", "b", "c", "static-1", "static-2")
CLIENTS = st.sampled_from(NAMES)
SUBSCRIPTIONS = st.sampled_from([["orders"], ["payments"], ["orders", "payments"]])
_APIS = {"join": 9, "sync": 5, "beat": 4}
_OUT = (ErrorCode.GROUP_ID_NOT_FOUND, ErrorCode.UNRELEASED_INSTANCE_ID, ErrorCode.FENCED_INSTANCE_ID)


class Interleavings(RuleBasedStateMachine):
    """One group, five consumers of which two are static, and a twin of the coordinator that is told the same."""

    def __init__(self) -> None:
        super().__init__()
        self.clients: dict[str, ConsumerClient | ClassicClient] = {}
        self.lives = 0
        self.topics: dict[str, list[str]] = {}
        self.asked: dict[int, tuple[ClassicClient, str, bool, bool]] = {}
        self.history = History()
        self.told = 0

    @initialize(
        delay_ms=st.sampled_from([0, 3_000]),
        upgrade=st.sampled_from([True, True, True, False]),
        downgrade=st.sampled_from([True, True, True, False]),
        strategy=st.sampled_from(["cooperative-sticky", "cooperative-sticky", "range"]),
    )
    def start(self, delay_ms: int, upgrade: bool, downgrade: bool, strategy: str) -> None:
        self.strategy = strategy
        config = GroupConfig(
            initial_rebalance_delay_ms=delay_ms, online_upgrade=upgrade, online_downgrade=downgrade
        )
        self.sims = Simulation(config), Simulation(config)
        self.sim = self.sims[0]

    # --- what consumers do ----------------------------------------------------------------------------------

    @rule(name=CLIENTS, topics=SUBSCRIPTIONS, rebalance_ms=st.sampled_from([5_000, 60_000]))
    def start_consumer(self, name: str, topics: list[str], rebalance_ms: int) -> None:
        """A process starts that uses the consumer protocol; its former life, if it had one, is over."""
        self.lives += 1
        client = ConsumerClient(f"{name}-{self.lives}", instance=instance(name))
        self.clients[name] = client
        topics = self.topics[client.member] = wanted_by(name, topics)
        self.tell_consumer(name, client, client.join(topics, rebalance_ms=rebalance_ms))

    @rule(name=CLIENTS, topics=SUBSCRIPTIONS, session_ms=st.sampled_from([10_000, 45_000]))
    def start_classic(self, name: str, topics: list[str], session_ms: int) -> None:
        """A process starts that uses the classic protocol."""
        topics = wanted_by(name, topics)
        self.clients[name] = ClassicClient(
            topics, instance=instance(name), session_ms=session_ms, strategy=self.strategy
        )
        self.step(name, lets_go=True, is_lost=False, rebalance_ms=60_000)

    @rule(
        name=CLIENTS,
        lets_go=st.sampled_from([True, True, False]),
        is_lost=st.sampled_from([False, False, False, True]),
        rebalance_ms=st.sampled_from([5_000, 60_000]),
    )
    def step(self, name: str, lets_go: bool, is_lost: bool, rebalance_ms: int) -> None:
        """A client does what it has to do next."""
        client = self.clients.get(name)
        request: Any
        if isinstance(client, ConsumerClient):
            if client.epoch == 0:  # it is out, or its first heartbeat came to nothing
                request = client.join(self.topics[client.member], rebalance_ms=rebalance_ms)
            else:
                request = client.beat(full=True)
            self.tell_consumer(name, client, request, lets_go=lets_go, is_lost=is_lost)
        elif client is not None and client.next in _APIS:
            api = client.next
            request = client.join(rebalance_ms) if api == "join" else getattr(client, api)()
            self.asked[self.sim._tokens + 1] = client, api, lets_go, is_lost
            for sim in self.sims:
                sim.send(request, _APIS[api], client_id=name)
            self.read_answers()

    @rule(name=CLIENTS)
    def let_go(self, name: str) -> None:
        if name in self.clients:
            self.clients[name].let_go()

    @rule(name=CLIENTS)
    def ask_again(self, name: str) -> None:
        """Its JoinGroup or SyncGroup got lost, or takes too long: it asks again, on another connection."""
        client = self.clients.get(name)
        if isinstance(client, ClassicClient) and client.next == "wait":
            client.next = "join"
            self.step(name, lets_go=True, is_lost=False, rebalance_ms=60_000)

    @rule(name=CLIENTS, away=st.booleans())
    def leave(self, name: str, away: bool) -> None:
        client = self.clients.pop(name, None)
        if isinstance(client, ConsumerClient):
            for sim in self.sims:
                sim.ask(client.bye(-2 if away and client.instance else -1), 1, client_id=name)
        elif client is not None and not (away and client.instance):
            for sim in self.sims:
                sim.ask(client.bye(), 5, client_id=name)
        self.read_answers()

    @rule(name=CLIENTS)
    def die(self, name: str) -> None:
        self.clients.pop(name, None)

    def tell_consumer(
        self, name: str, client: ConsumerClient, request: Any, *, lets_go: bool = True, is_lost: bool = False
    ) -> None:
        answers = [sim.ask(request, 1, client_id=name) for sim in self.sims]
        self.read_answers()
        if answers[0].error_code in _OUT:
            del self.clients[name]
        elif not is_lost:
            client.hear(answers[0], lets_go=lets_go)

    def read_answers(self) -> None:
        """Those that came are heard; who waits may hear in a later step."""
        for token in sorted(self.asked.keys() & self.sim.answers.keys()):
            client, api, lets_go, is_lost = self.asked.pop(token)
            name = next((name for name, each in self.clients.items() if each is client), None)
            if name is None:
                continue
            if is_lost and api != "beat":
                client.next = "join"
                continue
            client.hear(api, self.sim.answers[token], self.sim.topics, lets_go=lets_go)
            if not client.is_alive:
                del self.clients[name]

    # --- what befalls the broker ----------------------------------------------------------------------------

    @rule(ms=st.sampled_from([1_000, 3_000, 6_000, 20_000, 61_000]))
    def wait(self, ms: int) -> None:
        for sim in self.sims:
            sim.advance(ms)
        self.read_answers()

    @rule()
    def restart(self) -> None:
        """kill -9: who was waiting for an answer asks again."""
        for sim in self.sims:
            sim.restart()
        self.asked.clear()
        for client in self.clients.values():
            if isinstance(client, ClassicClient) and client.next == "wait":
                client.next = "join"

    @rule(full=st.booleans())
    def disk(self, full: bool) -> None:
        for sim in self.sims:
            sim.fail_appends = full

    @rule()
    def force_rebalance(self) -> None:
        for sim in self.sims:
            if "g" in sim.coordinator.groups or "g" in sim.coordinator.consumer_groups:
                sim.carry_out(sim.coordinator.force_rebalance("g", "now", sim.now_ms))
        self.read_answers()

    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        """Everybody behaves for a while, in any order: the group comes to rest."""
        self.disk(full=False)
        for _ in range(10):
            for name in data.draw(st.permutations(sorted(self.clients))):
                self.behave(name)
            self.wait(3_000)
        for _ in range(30):  # longer than any session: who is dead is noticed
            self.wait(3_000)
            for name in sorted(self.clients):
                self.behave(name)
        self.check_settled()

    def behave(self, name: str) -> None:
        for _ in range(3):
            if name in self.clients:
                self.clients[name].let_go()
                self.step(name, lets_go=True, is_lost=False, rebalance_ms=60_000)

    def check_settled(self) -> None:
        """Every partition has one owner: what the clients hold is what their group has to give."""
        group = self.consumer_group() or self.classic_group()
        if group is None or not group.members:
            assert not self.clients
            return
        assert group.state in (ConsumerGroupState.STABLE, GroupState.STABLE)
        topics = {topic for client in self.clients.values() for topic in self.topics_of(client)}
        wanted = {TopicPartition(topic, index) for topic in topics for index in range(self.sim.topics[topic])}
        held = [partition for client in self.clients.values() for partition in self.held(client)]
        assert sorted(held) == sorted(wanted)

    # --- what always holds ----------------------------------------------------------------------------------

    def consumer_group(self) -> ConsumerGroup | None:
        return self.sim.coordinator.consumer_groups.get("g")

    def classic_group(self) -> Group | None:
        return self.sim.coordinator.groups.get("g")

    def held(self, client: ConsumerClient | ClassicClient) -> set[TopicPartition]:
        if isinstance(client, ClassicClient):
            return set(client.held)
        return {
            TopicPartition(self.sim.topics.topic_name(topic_id) or "?", partition)
            for topic_id, partition in client.held
        }

    def topics_of(self, client: ConsumerClient | ClassicClient) -> frozenset[str]:
        if isinstance(client, ClassicClient):
            return frozenset(client.topics)
        return frozenset(self.topics[client.member])

    @invariant()
    def no_partition_is_in_two_hands(self) -> None:
        """Neither as those consumers see it that are members, nor as the coordinator does."""
        consumer_group, classic = self.consumer_group(), self.classic_group()
        assert consumer_group is None or classic is None
        group = consumer_group or classic
        holders: dict[TopicPartition, str] = {}
        for client in self.clients.values():
            if group is not None and client.member in group.members:
                for partition in self.held(client):
                    holder = holders.setdefault(partition, client.member)
                    assert holder == client.member, f"{partition}: {holder} and {client.member}"
        if consumer_group is None:
            return
        owned = {
            partition: member.member_id
            for member in consumer_group.members.values()
            for held in (member.assigned, member.revoking)
            for partition in each(held)
        }
        assert owned == consumer_group.owners
        by_id = {(self.sim.topics.topic_id(topic), index): who for (topic, index), who in holders.items()}
        assert by_id.items() <= owned.items()

    @invariant()
    def same_inputs_same_outcomes(self) -> None:
        assert_same(*self.sims)

    @invariant()
    def the_log_tells_the_same(self) -> None:
        """Read from its start, or as compaction leaves it."""
        if self.sim.fail_appends:
            return
        lived = self.sim.coordinator
        for compacted in (False, True):
            replayed = self.sim.replayed(compacted=compacted)
            assert lived.groups.keys() == replayed.groups.keys()
            assert lived.consumer_groups.keys() == replayed.consumer_groups.keys()
            for group_id, group in lived.consumer_groups.items():
                assert recorded_consumers(group) == recorded_consumers(replayed.consumer_groups[group_id])
            for group_id, classic in lived.groups.items():
                if classic.state is GroupState.STABLE:
                    assert recorded_classic(classic) == recorded_classic(replayed.groups[group_id])

    @invariant()
    def nothing_is_about_to_change_its_kind(self) -> None:
        assert not self.sim.coordinator.groups.converted

    @invariant()
    def deadlines_are_those_of_the_groups_kind(self) -> None:
        """Every member has one, and nothing is left of the other kind's."""
        consumer_group, classic = self.consumer_group(), self.classic_group()
        kinds = {key[0] for key in self.sim.timers}
        if consumer_group is not None:
            assert all(("consumer-session", "g", each) in self.sim.timers for each in consumer_group.members)
            assert not kinds & {"session", "join", "sync"}
            if not self.sim.fail_appends:
                loaded = self.sim.replayed().on_loaded(self.sim.now_ms)
                lasting = {key for key in self.sim.timers if key[0] not in ("consumer-join", "consumer-sync")}
                assert {timer.key for timer in loaded.timers} == lasting
        elif classic is not None:
            assert kinds <= {"session", "join", "sync"}
            for member in classic.members.values():
                if not member.is_waiting:
                    assert self.sim.timers["session", "g", member.member_id] <= member.deadline_ms

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
    def the_timeline_knows_the_owners(self) -> None:
        """In a consumer group at every moment; a classic one tells of its generations."""
        for event in self.sim.events[self.told :]:
            self.history.apply(event)
        self.told = len(self.sim.events)
        group = self.consumer_group()
        for (topic_id, index), member_id in group.owners.items() if group else ():
            name = self.sim.topics.topic_name(topic_id)
            assert name is not None
            owner = self.history.ledger.owner(TopicPartition(name, index))
            assert owner == self.history.names.of(member_id)

    def teardown(self) -> None:
        """Once all are silent, the group is empty and nobody waits."""
        if not hasattr(self, "sims"):
            return
        self.disk(full=False)
        for _ in range(4):
            self.wait(300_000)
        group = self.consumer_group() or self.classic_group()
        assert group is None or not group.members
        assert not self.sim.waiting
        assert not self.sim.timers
        self.start_from_any_part_of_the_log()

    def start_from_any_part_of_the_log(self) -> None:
        """A large group's records are several batches: whatever a kill leaves of them, clients find their way."""
        log = self.sim.log
        for end in range(len(log)):
            self.sim.log = log[:end]
            self.sim.restart()
            for client in (ClassicClient(["orders"]), ConsumerClient("somebody")):
                first = client.join() if isinstance(client, ClassicClient) else client.join(["orders"])
                self.sim.send(first, 9 if isinstance(client, ClassicClient) else 1)
            self.sim.advance(300_000)
            assert not self.sim.waiting


def instance(name: str) -> str | None:
    return name if name.startswith("static") else None


def wanted_by(name: str, topics: list[str]) -> list[str]:
    """A classic group does not notice that a static member came back with another subscription."""
    return topics if instance(name) is None else ["orders", "payments"]


Interleavings.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestInterleavings = Interleavings.TestCase


def test_a_static_member_upgraded_in_the_middle_of_a_rebalance_gets_its_partitions() -> None:
    """Its group never shared anything out, and it takes the place of one whose subscription was the same."""
    story = Interleavings()
    story.start(delay_ms=0, upgrade=True, downgrade=True, strategy="range")
    story.start_classic(name="static-1", session_ms=10_000, topics=["orders"])
    story.wait(ms=1_000)
    assert not story.clients["static-1"].held
    story.start_consumer(name="static-1", rebalance_ms=60_000, topics=["orders"])
    for _ in range(3):
        story.behave("static-1")
    story.check_settled()
