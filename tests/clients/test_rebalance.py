"""Every reason for a rebalance, through unmodified clients: join, leave, crash, silence, new topics and
partitions.
"""

import threading
import time
from typing import Any

import pytest
from tests.clients.desk import Desk
from tests.clients.franz_go_member import FranzGoMember
from tests.clients.kinds import FRANZ_GO, PYTHON_CLIENTS, TOGETHER, WITH_FRANZ_GO
from tests.clients.member import Steered, ThreadMember

COOPERATIVE_CLIENTS = ("confluent", "kafka-python", FRANZ_GO)

# A leader in franz-go that comes back plans anew. Where its strategy, without memory, plans otherwise than the
# group had it, it takes its subscription for changed and asks for a rebalance.
RETURNING_CLIENTS = ("confluent", "kafka-python")

# aiokafka's requests are too old to name the instance id. There, as with franz-go, to which no error of a group
# is the end, the first owner comes back and fences the second.
FENCEABLE_CLIENTS = ("confluent", "kafka-python")
SYNCHRONOUSLY: dict[str, dict[str, Any]] = {"confluent": {"asynchronous": False}, "kafka-python": {}}

SESSION_MS = 6_000


@pytest.mark.parametrize("client", WITH_FRANZ_GO)
def test_member_leaves_and_the_others_take_over_at_once(desk: Desk, client: str) -> None:
    topic, group = desk.topic("leave"), desk.name("leave")
    partitions = [(topic, number) for number in range(5)]
    members = [desk.member(client, group, topic, session_timeout_ms=20_000) for _ in range(3)]
    desk.wait_stable(group, members, partitions)
    while len(members) > 1:
        members.pop().stop()
        desk.wait_stable(group, members, partitions, timeout_s=10)
    assert members[0].owned == frozenset(partitions)


@pytest.mark.parametrize("clients", TOGETHER, ids=["python", "franz-go"])
def test_crashed_members_are_noticed_when_their_session_ends(desk: Desk, clients: tuple[str, ...]) -> None:
    """kill -9, once per library at the same time; the survivor of each group takes over after the session."""
    topic = desk.topic("crash")
    partitions = [(topic, number) for number in range(5)]
    groups = {client: desk.name(f"crash-{client}") for client in clients}
    survivors = {
        client: desk.member(client, group, topic, session_timeout_ms=20_000)
        for client, group in groups.items()
    }
    victims = {
        client: desk.process_member(client, group, topic, session_timeout_ms=SESSION_MS)
        for client, group in groups.items()
    }
    for client, group in groups.items():
        desk.wait_stable(group, [survivors[client], victims[client]], partitions)
    killed_at = time.monotonic()
    for victim in victims.values():
        victim.kill()
    for client, group in groups.items():
        desk.wait_stable(group, [survivors[client]], partitions)
        took_s = survivors[client].events[-1].at - killed_at
        # The session began with the last heartbeat, up to one interval before the kill.
        assert SESSION_MS / 1000 - 1.0 < took_s < 3 * SESSION_MS / 1000


@pytest.mark.parametrize("client", WITH_FRANZ_GO)
def test_static_member_restarts_without_a_rebalance(desk: Desk, client: str) -> None:
    check_static_restart(desk, client, "range")


@pytest.mark.parametrize("client", RETURNING_CLIENTS)
def test_cooperative_static_member_restarts_without_a_rebalance(desk: Desk, client: str) -> None:
    check_static_restart(desk, client, "cooperative-sticky")


@pytest.mark.usefixtures("kafka_jars")
def test_java_static_member_restarts_without_a_rebalance(desk: Desk) -> None:
    check_static_restart(desk, "java", "range")


def check_static_restart(desk: Desk, client: str, strategy: str) -> None:
    """Restart the leader, then a follower: nobody else notices and the same partitions come back."""
    topic, group = desk.topic("static"), desk.name("static")
    partitions = [(topic, number) for number in range(5)]
    settings = {"strategy": strategy, "session_timeout_ms": 20_000}
    members = {
        name: desk.member(client, group, topic, name, instance_id=f"seat-{name}", **settings)
        for name in ("a", "b")
    }
    before = desk.wait_stable(group, members.values(), partitions)
    generation = desk.generation(group)
    for name, other in (("a", "b"), ("b", "a")):
        seen = len(members[other].events)
        members[name].stop()
        members[name] = desk.member(client, group, topic, name, instance_id=f"seat-{name}", **settings)
        after = desk.wait_stable(group, members.values(), partitions)
        assert after.members[name].partitions == before.members[name].partitions
        assert after.members[name].instance_id == f"seat-{name}"
        assert after.members[name].member_id != before.members[name].member_id
        assert members[other].events[seen:] == []
        assert desk.generation(group) == generation


@pytest.mark.parametrize("client", FENCEABLE_CLIENTS)
def test_second_owner_of_an_instance_id_fences_the_first(desk: Desk, client: str) -> None:
    topic, group = desk.topic("fence"), desk.name("fence")
    partitions = [(topic, number) for number in range(5)]
    first = desk.member(client, group, topic, "seat", instance_id="seat")
    assert isinstance(first, ThreadMember)
    before = desk.wait_stable(group, [first], partitions)
    generation = desk.generation(group)
    second = desk.member(client, group, topic, "seat", instance_id="seat")
    second.wait_owns(5)
    if client == "confluent":
        assert first.wait_event("error").detail == "_FATAL"
    with pytest.raises(Exception, match=r"(?i)fenced|fatal"):
        first.do(lambda consumer: consumer.commit(**SYNCHRONOUSLY[client]))
    after = desk.wait_stable(group, [second], partitions)
    assert after.members["seat"].member_id != before.members["seat"].member_id
    assert desk.generation(group) == generation


def test_static_member_keeps_the_client_id_it_first_came_with(desk: Desk) -> None:
    topic, group = desk.topic("seat"), desk.name("seat")
    first = desk.member("confluent", group, topic, "first", instance_id="seat")
    desk.wait_stable(group, [first], [(topic, number) for number in range(5)])
    first.stop()
    desk.member("confluent", group, topic, "second", instance_id="seat").wait_owns(5)
    assert list(desk.describe(group).members) == ["first"]


@pytest.mark.parametrize("client", COOPERATIVE_CLIENTS)
def test_cooperative_rebalance_revokes_only_what_moves(desk: Desk, client: str) -> None:
    check_cooperative(desk, client)


@pytest.mark.usefixtures("kafka_jars")
def test_java_cooperative_rebalance_revokes_only_what_moves(desk: Desk) -> None:
    check_cooperative(desk, "java")


def check_cooperative(desk: Desk, client: str) -> None:
    topic, group = desk.topic("coop"), desk.name("coop")
    partitions = [(topic, number) for number in range(5)]
    old = desk.member(client, group, topic, "old", strategy="cooperative-sticky")
    desk.wait_stable(group, [old], partitions)
    seen = len(old.events)
    new = desk.member(client, group, topic, "new", strategy="cooperative-sticky")
    desk.wait_stable(group, [old, new], partitions)
    assert old.moved("revoked", seen) == new.owned
    assert len(new.owned) == 2
    assert old.moved("assigned", seen) == frozenset()
    assert "lost" not in old.kinds()


@pytest.mark.parametrize("client", WITH_FRANZ_GO)
def test_eager_rebalance_revokes_everything(desk: Desk, client: str) -> None:
    topic, group = desk.topic("eager"), desk.name("eager")
    partitions = [(topic, number) for number in range(5)]
    old = desk.member(client, group, topic, "old")
    desk.wait_stable(group, [old], partitions)
    seen = len(old.events)
    new = desk.member(client, group, topic, "new")
    desk.wait_stable(group, [old, new], partitions)
    assert old.moved("revoked", seen) == frozenset(partitions)
    assert [event for event in old.events[seen:] if event.kind == "assigned"][-1].partitions == old.owned


@pytest.mark.parametrize("client", WITH_FRANZ_GO)
def test_changed_subscription_rebalances(desk: Desk, client: str) -> None:
    first, second, group = desk.topic("sub", 2), desk.topic("sub", 3), desk.name("sub")
    one = [(first, number) for number in range(2)]
    both = one + [(second, number) for number in range(3)]
    members = [desk.member(client, group, first) for _ in range(2)]
    desk.wait_stable(group, members, one)
    for member in members:
        assert isinstance(member, Steered)
        member.subscribe_to([first, second])
    desk.wait_stable(group, members, both, sizes=[3, 2])


@pytest.mark.parametrize("client", WITH_FRANZ_GO)
def test_added_partitions_are_handed_out(desk: Desk, client: str) -> None:
    topic, group = desk.topic("grow", 2), desk.name("grow")
    members = [desk.member(client, group, topic, metadata_max_age_ms=500) for _ in range(2)]
    desk.wait_stable(group, members, [(topic, number) for number in range(2)])
    desk.add_partitions(topic, 5)
    view = desk.wait_stable(group, members, [(topic, number) for number in range(5)])
    assert view.sizes() == [3, 2]


@pytest.mark.parametrize("client", PYTHON_CLIENTS)
def test_member_that_polls_too_rarely_leaves_and_comes_back(desk: Desk, client: str) -> None:
    topic, group = desk.topic("slow"), desk.name("slow")
    partitions = [(topic, number) for number in range(5)]
    settings = {"session_timeout_ms": 2_000, "max_poll_interval_ms": 2_500}
    quick = desk.member(client, group, topic, "quick", **settings)
    slow = desk.member(client, group, topic, "slow", **settings)
    assert isinstance(slow, ThreadMember)
    desk.wait_stable(group, [quick, slow], partitions)
    handled = threading.Event()
    stuck = slow.do_later(lambda _: handled.wait(30) and None)
    try:
        quick.wait_owns(5)
    finally:
        handled.set()
    stuck.result(30)
    desk.wait_stable(group, [quick, slow], partitions)


@pytest.mark.usefixtures("franz_go")
def test_franz_go_member_that_holds_up_a_rebalance_is_put_out_and_comes_back(desk: Desk) -> None:
    """franz-go knows no max.poll.interval: it heartbeats on, until a rebalance takes longer than it may."""
    topic, group = desk.topic("stuck", 2), desk.name("stuck")
    partitions = desk.produce(topic, per_partition=1, partitions=2)
    settings = {"session_timeout_ms": 6_000, "max_poll_interval_ms": 2_500}
    stuck = desk.member("franz-go", group, topic, "stuck", **settings)
    assert isinstance(stuck, FranzGoMember)
    desk.wait_stable(group, [stuck], partitions)
    stuck.hold()
    desk.produce(topic, per_partition=1, partitions=2)
    stuck.wait_event("held")
    began, seen = time.monotonic(), len(stuck.events)
    quick = desk.member("franz-go", group, topic, "quick", **settings)
    quick.wait_owns(2)
    assert time.monotonic() - began > 2.4
    assert stuck.events[seen:] == []
    stuck.release()
    desk.wait_stable(group, [quick, stuck], partitions)
    assert stuck.events[seen].kind in {"revoked", "lost"}
