"""One member's next step towards the target, transition by transition (KIP-848)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rota.coordinator.consumer_groups.member import ConsumerMember, MemberState
from rota.coordinator.consumer_groups.reconcile import Target, reconcile
from rota.model import ErrorCode, GroupError

if TYPE_CHECKING:
    from rota.coordinator.consumer_groups.assignment import Assigned

STABLE, UNREVOKED, UNRELEASED, UNKNOWN = (
    MemberState.STABLE,
    MemberState.UNREVOKED_PARTITIONS,
    MemberState.UNRELEASED_PARTITIONS,
    MemberState.UNKNOWN,
)
T = b"t" * 16


def some(*partitions: int) -> Assigned:
    return {T: frozenset(partitions)} if partitions else {}


def member(
    state: MemberState, epoch: int, assigned: Assigned, revoking: Assigned | None = None
) -> ConsumerMember:
    return ConsumerMember(
        "m",
        member_epoch=epoch,
        previous_epoch=epoch - 1,
        state=state,
        assigned=assigned,
        revoking=revoking or {},
    )


def step(
    before: ConsumerMember, target: Target, owned: Assigned | None = None, taken: tuple[int, ...] = ()
) -> object:
    """State, epoch, previous epoch, what it may consume and what it is to give up."""
    after = reconcile(before, target, owned, lambda _, partition: partition not in taken)
    return after.state, after.member_epoch, after.previous_epoch, after.assigned, after.revoking


def test_stable_in_the_targets_epoch_stays() -> None:
    before = member(STABLE, 5, some(0, 1))
    assert reconcile(before, Target(5, some(0, 1)), None, lambda *_: True) is before


def test_stable_to_stable_with_the_same_partitions() -> None:
    assert step(member(STABLE, 5, some(0, 1)), Target(8, some(0, 1))) == (STABLE, 8, 5, some(0, 1), {})


def test_stable_to_stable_with_free_partitions() -> None:
    assert step(member(STABLE, 5, some(0)), Target(8, some(0, 1))) == (STABLE, 8, 5, some(0, 1), {})


def test_stable_to_unrevoked() -> None:
    """It stays in its epoch until it says what it holds; silence says nothing."""
    before = member(STABLE, 5, some(0, 1))
    assert step(before, Target(8, some(1, 2))) == (UNREVOKED, 5, 5, some(1), some(0))
    assert step(before, Target(8, some(1, 2)), owned=some(0, 1)) == (UNREVOKED, 5, 5, some(1), some(0))


def test_stable_to_stable_when_it_never_held_what_is_taken() -> None:
    assert step(member(STABLE, 5, some(0, 1)), Target(8, some(1)), owned=some(1)) == (
        STABLE,
        8,
        5,
        some(1),
        {},
    )


def test_stable_to_unreleased() -> None:
    before = member(STABLE, 5, some(0))
    assert step(before, Target(8, some(0, 1, 2)), taken=(1,)) == (UNRELEASED, 8, 5, some(0, 2), {})


def test_unrevoked_stays_while_it_holds_or_is_silent() -> None:
    before = member(UNREVOKED, 5, some(1), some(0))
    for owned in (None, some(0, 1), some(0)):
        assert reconcile(before, Target(8, some(1, 2)), owned, lambda *_: True) is before


def test_unrevoked_to_stable() -> None:
    before = member(UNREVOKED, 5, some(1), some(0))
    assert step(before, Target(8, some(1, 2)), owned=some(1)) == (STABLE, 8, 5, some(1, 2), {})


def test_unrevoked_to_unreleased() -> None:
    before = member(UNREVOKED, 5, some(1), some(0))
    assert step(before, Target(8, some(1, 2)), owned=some(1), taken=(2,)) == (UNRELEASED, 8, 5, some(1), {})


def test_unrevoked_to_unrevoked_when_the_target_takes_more() -> None:
    """It has made one step, so its epoch is the next one."""
    before = member(UNREVOKED, 5, some(1, 2), some(0))
    assert step(before, Target(8, some(2)), owned=some(1, 2)) == (UNREVOKED, 6, 5, some(2), some(1))


def test_unreleased_waits_gets_and_is_stable() -> None:
    before = member(UNRELEASED, 8, some(0))
    target = Target(8, some(0, 1, 2))
    assert step(before, target, taken=(1, 2)) == (UNRELEASED, 8, 8, some(0), {})
    assert step(before, target, taken=(1,)) == (UNRELEASED, 8, 8, some(0, 2), {})
    assert step(before, target) == (STABLE, 8, 8, some(0, 1, 2), {})


def test_unreleased_to_unrevoked() -> None:
    before = member(UNRELEASED, 8, some(0, 1))
    assert step(before, Target(9, some(1))) == (UNREVOKED, 8, 8, some(1), some(0))


def test_unknown_state_has_to_begin_anew() -> None:
    """A later broker wrote it."""
    before = member(MemberState(9), 5, some(0))
    assert before.state is UNKNOWN
    for owned in (None, some(0)):
        with pytest.raises(GroupError) as raised:
            step(before, Target(8, some(0)), owned=owned)
        assert raised.value.code is ErrorCode.FENCED_MEMBER_EPOCH
    assert step(before, Target(8, some(0)), owned={}) == (STABLE, 8, 5, some(0), {})
