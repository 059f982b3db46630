"""What a reset means for each partition: the rules of kafka-consumer-groups, and where ours says more."""

import pytest

from rota.model import TopicPartition
from rota.monitor.facts import Commit, GroupFacts, MemberFacts
from rota.monitor.reset import Effect, Kind, Known, Plan, Row, Span, Target, Wanted, plan_rows, row_of

TP = TopicPartition("orders", 0)
LOG = Known(start=100, end=500, commit=Commit(300, 2, "done: 301"))
NOBODY = LOG._replace(commit=None)


def new(target: Target, known: Known = LOG) -> tuple[int | None, Effect, int, str]:
    row = row_of(TP, known, target)
    return (row.new.offset if row.new else None, row.effect, row.records, row.remark or row.problem)


def test_the_ends_of_the_log() -> None:
    assert new(Target(Kind.TO_EARLIEST)) == (100, Effect.AGAIN, 200, "")
    assert new(Target(Kind.TO_LATEST)) == (500, Effect.SKIPPED, 200, "")
    assert new(Target(Kind.TO_EARLIEST), NOBODY) == (100, Effect.FIRST, 0, "")


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        (400, (400, Effect.SKIPPED, 100, "")),
        (100, (100, Effect.AGAIN, 200, "")),
        (500, (500, Effect.SKIPPED, 200, "")),
        (501, (500, Effect.SKIPPED, 200, "501 is beyond the log's end")),
        (99, (100, Effect.AGAIN, 200, "99 is before the log's start")),
        (-1, (100, Effect.AGAIN, 200, "-1 is before the log's start")),
        (300, (300, Effect.UNCHANGED, 0, "")),
    ],
)
def test_an_offset_outside_the_log_becomes_its_nearest_end(
    offset: int, expected: tuple[int, Effect, int, str]
) -> None:
    assert new(Target(Kind.TO_OFFSET, offset)) == expected


def test_shifts() -> None:
    assert new(Target(Kind.SHIFT_BY, -50)) == (250, Effect.AGAIN, 50, "")
    assert new(Target(Kind.SHIFT_BY, 50)) == (350, Effect.SKIPPED, 50, "")
    assert new(Target(Kind.SHIFT_BY, 0)) == (300, Effect.UNCHANGED, 0, "")
    assert new(Target(Kind.SHIFT_BY, 10_000))[3] == "10300 is beyond the log's end"
    assert new(Target(Kind.SHIFT_BY, -10_000))[:2] == (100, Effect.AGAIN)


def test_what_was_never_committed_cannot_be_shifted() -> None:
    said = new(Target(Kind.SHIFT_BY, -1), NOBODY)
    assert said == (None, Effect.IMPOSSIBLE, 0, "nothing is committed there that could be shifted")


@pytest.mark.parametrize("kind", [Kind.TO_DATETIME, Kind.BY_DURATION])
def test_a_moment_is_the_first_record_since_or_else_the_end(kind: Kind) -> None:
    target = Target(kind, 1_000)
    assert target.is_time
    assert new(target, LOG._replace(since=120)) == (120, Effect.AGAIN, 180, "")
    assert new(target) == (500, Effect.SKIPPED, 200, "no record is so young: the log's end")
    empty = Known(start=7, end=7, commit=Commit(7))
    assert new(target, empty) == (7, Effect.UNCHANGED, 0, "no record is there: the log's end")


def test_to_current_keeps_commits_and_begins_the_others_at_the_end() -> None:
    assert new(Target(Kind.TO_CURRENT)) == (300, Effect.UNCHANGED, 0, "")
    assert new(Target(Kind.TO_CURRENT), NOBODY) == (
        500,
        Effect.FIRST,
        0,
        "nothing is committed there: the log's end",
    )
    beyond = LOG._replace(commit=Commit(900))
    assert new(Target(Kind.TO_CURRENT), beyond)[:2] == (900, Effect.UNCHANGED)


def test_a_commit_that_stays_keeps_epoch_and_metadata_and_one_that_moves_loses_them() -> None:
    assert row_of(TP, LOG, Target(Kind.TO_CURRENT)).new == LOG.commit
    assert row_of(TP, LOG, Target(Kind.SHIFT_BY, 1)).new == Commit(301)


def test_only_records_that_are_still_there_are_counted() -> None:
    lost = LOG._replace(commit=Commit(10))
    assert new(Target(Kind.TO_LATEST), lost) == (500, Effect.SKIPPED, 400, "")
    beyond = LOG._replace(commit=Commit(900))
    assert new(Target(Kind.TO_OFFSET, 450), beyond) == (450, Effect.AGAIN, 50, "")
    assert new(Target(Kind.TO_LATEST), beyond) == (500, Effect.AGAIN, 0, "")


@pytest.mark.parametrize("target", [Target(kind) for kind in Kind if kind is not Kind.FROM_FILE])
def test_without_a_leader_there_is_no_plan(target: Target) -> None:
    row = row_of(TP, Known(None, None, Commit(3), why="it has no leader"), target)
    assert (row.new, row.effect, row.problem) == (None, Effect.IMPOSSIBLE, "it has no leader")
    silent = row_of(TP, Known(100, None, Commit(3)), target)
    assert silent.problem == "nobody could say how far it goes"


def test_a_file_wants_a_commit_with_all_that_belongs_to_it() -> None:
    wanted = Wanted(Commit(250, 1, "was here"))
    row = row_of(TP, LOG, Target(Kind.FROM_FILE), wanted)
    assert (row.new, row.effect, row.records) == (Commit(250, 1, "was here"), Effect.AGAIN, 50)
    outside = row_of(TP, LOG, Target(Kind.FROM_FILE), Wanted(Commit(999, 1, "was here")))
    assert (outside.new, outside.remark) == (Commit(500), "999 is beyond the log's end")


def test_a_file_may_want_no_commit() -> None:
    row = row_of(TP, LOG, Target(Kind.FROM_FILE), Wanted(None))
    assert (row.new, row.effect) == (None, Effect.REMOVED)
    assert row_of(TP, NOBODY, Target(Kind.FROM_FILE), Wanted(None)).effect is Effect.UNCHANGED


def test_a_file_that_names_the_committed_offset_alone_takes_nothing_from_the_commit() -> None:
    """A CSV has no place for epoch and metadata, so it says nothing against them."""
    row = row_of(TP, LOG, Target(Kind.FROM_FILE), Wanted(Commit(300)))
    assert (row.new, row.effect) == (LOG.commit, Effect.UNCHANGED)
    lacking = row_of(TP, LOG, Target(Kind.FROM_FILE), Wanted(Commit(300, None, "other")))
    assert lacking.new == Commit(300, 2, "other")


def test_what_may_be_learnt_of_a_commits_time_makes_no_other_commit_of_it() -> None:
    known = LOG._replace(commit=Commit(300, 2, "done: 301", at_ms=5))
    assert row_of(TP, known, Target(Kind.FROM_FILE), Wanted(Commit(300))).effect is Effect.UNCHANGED


@pytest.mark.parametrize(
    "commit", [Commit(300), Commit(300, 2), Commit(300, 2, "other"), Commit(300, 1, "done: 301")]
)
def test_a_commit_that_changes_at_its_offset_is_a_change_that_can_be_taken_back(commit: Commit) -> None:
    rows = plan_rows([TP], {TP: LOG}, Target(Kind.FROM_FILE), {TP: Wanted(commit, exact=True)})
    plan = Plan("billing", None, rows)
    assert (rows[0].new, rows[0].effect, rows[0].records) == (commit, Effect.METADATA, 0)
    assert plan.changes == rows
    assert plan.before() == {TP: Wanted(LOG.commit, exact=True)}
    # And back: also from more to less.
    known = LOG._replace(commit=commit)
    back = plan_rows([TP], {TP: known}, Target(Kind.FROM_FILE), plan.before())
    assert back[0].new == LOG.commit


def member(name: str, host: str = "/10.0.0.7") -> MemberFacts:
    return MemberFacts(f"{name}-1f", name, host)


def test_a_plan_of_several_partitions() -> None:
    other = TopicPartition("orders", 1)
    gone = TopicPartition("orders", 2)
    known = {TP: LOG, other: NOBODY, gone: Known(None, None)}
    rows = plan_rows([gone, other, TP, TP], known, Target(Kind.TO_EARLIEST))
    plan = Plan("billing", GroupFacts("billing", "Classic", "Empty"), rows)
    assert [row.partition for row in plan.rows] == [TP, other, gone]
    assert plan.commits() == {TP: Commit(100), other: Commit(100)}
    assert [row.partition for row in plan.problems] == [gone]
    assert plan.before() == {TP: Wanted(LOG.commit), other: Wanted(None)}
    assert (plan.total(Effect.AGAIN), plan.total(Effect.SKIPPED)) == (200, 0)
    assert not plan.is_refused


def test_a_group_with_members_is_refused_and_names_them_in_order() -> None:
    facts = GroupFacts("billing", "Classic", "Stable", members=(member("b"), member("a")))
    plan = Plan("billing", facts, ())
    assert plan.is_refused
    assert [one.client_id for one in plan.active] == ["a", "b"]


def test_a_group_that_does_not_exist_may_be_given_offsets() -> None:
    plan = Plan("new", None, plan_rows([TP], {TP: NOBODY}, Target(Kind.TO_LATEST)), exists=False)
    assert (plan.state, plan.is_refused, plan.active) == ("Dead", False, ())


def test_times_belong_to_rows_that_move() -> None:
    rows = plan_rows([TP], {TP: LOG}, Target(Kind.TO_EARLIEST))
    assert rows[0].bounds == (100, 299)
    plan = Plan("billing", None, rows).with_spans({TP: Span(5, 9)})
    assert plan.rows[0].span == Span(5, 9)
    assert Row(TP, LOG.commit, LOG.commit, Effect.UNCHANGED).bounds is None
