"""Members that die or freeze: nothing is lost, and only what was finished beyond the last commit comes again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.consumer.stories.stage import Traffic

if TYPE_CHECKING:
    from tests.consumer.stories.stage import Stage

SHORT = {"session.timeout.ms": 8_000}


def test_after_kill_9_only_what_was_not_committed_comes_again(stage: Stage) -> None:
    with Traffic(stage, rate=300) as traffic:
        victim, other = stage.start("victim", config=SHORT), stage.start("other", config=SHORT)
        victim.wait_working(100)
        other.wait_working()
        victim.kill()
        may_repeat = stage.not_committed(victim.attempts())
        held = victim.holds()
        other.wait_for("has everything", lambda: other.holds() >= held)
        traffic.stop()
    stage.wait_finished()
    other.term()
    account = stage.account()
    assert account.missing(stage.ends) == set()
    assert account.repeated() <= may_repeat
    assert account.out_of_order() == []
    stage.check_all_committed()


def test_what_was_finished_out_of_order_is_not_repeated_after_a_crash(stage: Stage) -> None:
    """A record hangs; all others, those behind it too, are finished and committed; then kill -9. The next process
    handles the one that hung, and those of its key, and nothing else."""
    stage.send("stuck", b"hold", 0)
    for number in range(400):
        stage.send(f"key-{number % 40}", b"x", number % 4)
    stage.send("stuck", b"x", 0)
    stage.flush()
    stuck = {(0, 0), (0, stage.ends[0] - 1)}
    static = {"group.instance.id": "only"}
    member = stage.start("before", config=static)
    stage.wait_finished(but=stuck)
    member.wait_for("commits", lambda: not stage.not_committed(member.attempts()))
    assert stage.committed()[0].offset == 0
    member.kill()
    stage.release()
    after = stage.start("after", config=static)
    stage.wait_finished()
    after.term()
    account = stage.account()
    assert account.finished("after") == stuck
    assert account.repeated() == set()
    assert account.out_of_order() == []
    stage.check_all_committed()


def test_a_stuck_record_moves_to_another_member_and_nothing_else_is_repeated(stage: Stage) -> None:
    """The partition of a record that hangs is taken away: after the time to drain it is given up, and only it comes
    again, elsewhere. What the old member makes of it later changes nothing."""
    stage.send("stuck", b"hold", 0)
    for number in range(200):
        stage.send(f"key-{number % 40}", b"x", number % 4)
    stage.flush()
    limits = {"revoke_drain": 500, "shutdown_drain": 500}
    old = stage.start("old", limits=limits)
    stage.wait_finished(but={(0, 0)})
    other = stage.start("other", limits=limits)
    other.wait_for("has partitions", other.holds)
    old.term()
    other.wait_for("has them all", lambda: other.holds() == {0, 1, 2, 3})
    other.wait_for("has begun with it", lambda: any(each.place == (0, 0) for each in other.attempts()))
    stage.release()
    stage.wait_finished()
    other.term()
    account = stage.account()
    assert account.missing(stage.ends) == set()
    assert account.repeated() <= {(0, 0)}
    stage.check_all_committed()


def test_a_frozen_member_commits_nothing_for_what_it_has_lost(stage: Stage) -> None:
    with Traffic(stage, rate=200) as traffic:
        frozen, other = stage.start("frozen", config=SHORT), stage.start("other", config=SHORT)
        frozen.wait_working(50)
        other.wait_working()
        frozen.freeze()
        may_repeat, committed = stage.not_committed(frozen.attempts()), stage.committed()
        before, held = len(frozen.attempts()), frozen.holds()
        other.wait_for("has everything", lambda: other.holds() >= held)
        other.wait_working(50)
        thawed_ns = time.monotonic_ns()
        frozen.thaw()
        frozen.wait_for("hears of it", lambda: frozen.events("lost"))
        frozen.wait_for("is back", frozen.holds)
        frozen.wait_working(20)
        traffic.stop()
    stage.wait_finished()
    lost = frozen.events("lost")[-1]
    for event in frozen.events("committed"):
        if thawed_ns < event.at_ns < lost.at_ns:  # answers to commits that were on their way when it froze
            assert int(event.words[2]) <= committed[int(event.words[1])].offset
    # What it still worked off before it heard of its loss came twice, and nothing else.
    zombie = {each.place for each in frozen.attempts()[max(0, before - 8) :] if each.start_ns < lost.at_ns}
    account = stage.account()
    assert account.missing(stage.ends) == set()
    assert account.repeated() <= may_repeat | zombie
    frozen.term()
    other.term()
    stage.check_all_committed()
