"""The assignors of consumer groups: everything is given out once, evenly, and what can stay stays."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rota.coordinator.assignors.server_side import ServerMember, range_shares, uniform_shares
from rota.coordinator.consumer_groups.assignment import count, each, intersection

TOPICS = (b"a", b"b", b"c")
_counts = st.fixed_dictionaries({topic: st.integers(1, 7) for topic in TOPICS})
_same = st.integers(1, 6).map(lambda n: [frozenset(TOPICS)] * n)
_mixed = st.lists(st.frozensets(st.sampled_from(TOPICS)), min_size=1, max_size=6)


def members_of(
    subscriptions: list[frozenset[bytes]], held: dict[str, dict[bytes, frozenset[int]]] | None = None
) -> dict[str, ServerMember]:
    return {
        f"m{number}": ServerMember(topics, (held or {}).get(f"m{number}", {}))
        for number, topics in enumerate(subscriptions)
    }


@given(st.one_of(_same, _mixed), _counts)
def test_everything_is_given_out_once_to_subscribers(
    subscriptions: list[frozenset[bytes]], counts: dict[bytes, int]
) -> None:
    members = members_of(subscriptions)
    wanted = {(topic, index) for topic in frozenset().union(*subscriptions) for index in range(counts[topic])}
    for assign in (uniform_shares, range_shares):
        shares = assign(members, counts)
        assert shares.keys() == members.keys()
        given_out = [partition for share in shares.values() for partition in each(share)]
        assert len(given_out) == len(wanted)
        assert set(given_out) == wanted
        assert all(shares[name].keys() <= member.topics for name, member in members.items())


@given(_same, _counts, st.integers(1, 6))
def test_uniform_is_even_and_keeps_what_can_be_kept(
    subscriptions: list[frozenset[bytes]], counts: dict[bytes, int], after: int
) -> None:
    """Members come or go: sizes differ by one at most, and nobody loses more than is too much."""
    before = uniform_shares(members_of(subscriptions), counts)
    members = members_of([frozenset(TOPICS)] * after, {name: dict(share) for name, share in before.items()})
    shares = uniform_shares(members, counts)
    sizes = [count(share) for share in shares.values()]
    assert max(sizes) - min(sizes) <= 1
    for name, member in members.items():
        kept = count(intersection(member.assigned, shares[name]))
        assert kept == min(count(member.assigned), count(shares[name]))


@given(_mixed, _counts)
def test_uniform_with_other_subscriptions_leaves_nobody_behind(
    subscriptions: list[frozenset[bytes]], counts: dict[bytes, int]
) -> None:
    """No partition could move to somebody who has two fewer; and asked again, nothing moves."""
    members = members_of(subscriptions)
    shares = uniform_shares(members, counts)
    for giver, share in shares.items():
        for topic in share:
            for taker, member in members.items():
                if topic in member.topics:
                    assert count(shares[giver]) - count(shares[taker]) <= 1
    again = {name: ServerMember(member.topics, shares[name]) for name, member in members.items()}
    assert uniform_shares(again, counts) == shares


def test_uniform_spreads_a_large_group_with_two_subscriptions() -> None:
    """The broker's loop waits for it: a member's share must not be looked for partition by partition."""
    both, one = frozenset({b"a", b"b"}), frozenset({b"a"})
    counts = {b"a": 2_500, b"b": 2_500}
    all_of_it = {topic: frozenset(range(2_500)) for topic in both}
    members = members_of([one, both] * 250, {"m1": all_of_it})
    shares = uniform_shares(members, counts)
    assert {count(share) for share in shares.values()} <= {9, 10, 11}
    assert sum(count(share) for share in shares.values()) == 5_000


def test_range_gives_runs_to_static_members_first() -> None:
    topics = frozenset({b"a", b"b"})
    members = {
        "x": ServerMember(topics, {}),
        "y": ServerMember(topics, {}, "instance-2"),
        "z": ServerMember(topics, {}, "instance-1"),
    }
    assert range_shares(members, {b"a": 4, b"b": 2}) == {
        "z": {b"a": frozenset({0, 1}), b"b": frozenset({0})},
        "y": {b"a": frozenset({2}), b"b": frozenset({1})},
        "x": {b"a": frozenset({3})},
    }


def test_nobody_and_nothing() -> None:
    assert uniform_shares({}, {}) == range_shares({}, {}) == {}
    idle = {"m": ServerMember(frozenset(), {b"a": frozenset({0})})}
    assert uniform_shares(idle, {}) == range_shares(idle, {}) == {"m": {}}
