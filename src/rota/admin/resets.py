"""Resets of committed offsets: what a cluster is asked for a plan, and how a plan is carried out.

The plan itself is `rota.monitor.reset`'s. Commits are read before the ends of logs, as everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rota.admin.offsets import At
from rota.model import RotaError, TopicPartition
from rota.monitor.facts import BatchFacts, TopicFacts
from rota.monitor.reset import Known, Plan, Span, Target, plan_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from rota.admin.admin import Admin
    from rota.monitor.facts import GroupFacts
    from rota.monitor.reset import Wanted
    from rota.monitor.reset_words import Scope

__all__ = ["Outcome", "Question", "carry_out", "make_plans", "partitions_of"]


class Question(NamedTuple):
    """What is wanted: a target for these scopes (none: all that each group has committed), or what a file says."""

    target: Target
    scopes: tuple[Scope, ...] = ()
    wanted: Mapping[str, Mapping[TopicPartition, Wanted]] | None = None


class Outcome(NamedTuple):
    """What became of a plan: why not, for each partition that failed."""

    plan: Plan
    failures: Mapping[TopicPartition, RotaError]


def make_plans(
    admin: Admin, groups: Sequence[str], question: Question, *, spans: bool = True
) -> dict[str, Plan | RotaError]:
    """A plan for each group, or why there is none; ``spans`` asks when the records in question were written.

    Raises:
        RotaError: the cluster does not answer, or a topic or partition that was named does not exist.
    """
    described = admin.describe_groups(groups)
    commits = admin.commits(groups)
    named = partitions_of(admin, question.scopes)
    found: dict[str, Plan | RotaError] = {}
    chosen: dict[str, list[TopicPartition]] = {}
    for group in groups:
        facts, committed = described[group], commits[group]
        if isinstance(facts, RotaError):
            found[group] = facts
        elif isinstance(committed, RotaError):
            found[group] = committed
        elif question.wanted is not None:
            chosen[group] = sorted(question.wanted[group])
        else:
            chosen[group] = named if question.scopes else sorted(committed)
    every = sorted({tp for partitions in chosen.values() for tp in partitions})
    topics = admin.topics(sorted({tp.topic for tp in every}))
    logs = _logs(admin, every, topics, question.target)
    for group, partitions in chosen.items():
        facts, committed = described[group], commits[group]
        assert not isinstance(facts, RotaError)
        assert not isinstance(committed, RotaError)
        known = {tp: logs[tp]._replace(commit=committed.get(tp)) for tp in partitions}
        plan = _plan(facts, partitions, known, topics, question)
        found[group] = _with_spans(admin, plan) if spans else plan
    return {group: found[group] for group in groups}


def carry_out(admin: Admin, plan: Plan) -> Outcome:
    """Commit what the plan says; each partition succeeds or fails by itself."""
    commits, removals = plan.commits(), plan.removals()
    answers: dict[TopicPartition, RotaError | None] = {}
    if commits:
        answers |= _tried(lambda: admin.alter_offsets(plan.group, commits), commits)
    if removals:
        answers |= _tried(lambda: admin.delete_offsets(plan.group, removals), removals)
    return Outcome(plan, {tp: answer for tp, answer in answers.items() if answer is not None})


def _tried(
    order: Callable[[], dict[TopicPartition, RotaError | None]], partitions: Collection[TopicPartition]
) -> dict[TopicPartition, RotaError | None]:
    """The answers; if nobody answers at all, that is each partition's."""
    try:
        return order()
    except RotaError as error:
        return dict.fromkeys(partitions, error)


def partitions_of(admin: Admin, scopes: Sequence[Scope]) -> list[TopicPartition]:
    """The partitions of the scopes; of a whole topic all it has.

    Raises:
        RotaError: a topic or partition does not exist.
    """
    topics = admin.topics(sorted({scope.topic for scope in scopes}))
    found: set[TopicPartition] = set()
    for scope in scopes:
        topic = topics[scope.topic]
        if isinstance(topic, RotaError):
            raise topic
        wanted = tuple(topic.partitions) if scope.partitions is None else scope.partitions
        missing = [str(number) for number in wanted if number not in topic.partitions]
        if missing:
            last = max(topic.partitions)
            raise RotaError(f"topic {scope.topic} has no partition {', '.join(missing)}; the last is {last}")
        found |= {TopicPartition(scope.topic, number) for number in wanted}
    return sorted(found)


def _logs(
    admin: Admin,
    partitions: Collection[TopicPartition],
    topics: Mapping[str, TopicFacts | RotaError],
    target: Target,
) -> dict[TopicPartition, Known]:
    """What there is to know of each partition but for commits."""
    reasons = {tp: _why_not(topics[tp.topic], tp) for tp in partitions}
    led = [tp for tp, why in reasons.items() if not why]
    starts, ends = admin.offsets(led, At.EARLIEST), admin.offsets(led, At.LATEST)
    since = admin.offsets(led, max(target.value, 0)) if target.is_time else {}
    found = {}
    for tp, why in reasons.items():
        start, end, first = starts.get(tp), ends.get(tp), since.get(tp)
        if isinstance(start, int) and isinstance(end, int) and not isinstance(first, RotaError):
            found[tp] = Known(start, end, since=first)
        else:
            failures = [str(answer) for answer in (start, end, first) if isinstance(answer, RotaError)]
            found[tp] = Known(None, None, why=why or "; ".join(dict.fromkeys(failures)))
    return found


def _why_not(topic: TopicFacts | RotaError, tp: TopicPartition) -> str:
    """Why nobody need be asked about a partition; empty if somebody can be."""
    if isinstance(topic, RotaError):
        return str(topic)
    if tp.partition not in topic.partitions:
        return f"topic {tp.topic} has {len(topic.partitions)} partitions, of which it is none"
    return "" if topic.partitions[tp.partition] is not None else "it has no leader"


def _plan(
    facts: GroupFacts,
    partitions: Collection[TopicPartition],
    known: Mapping[TopicPartition, Known],
    topics: Mapping[str, TopicFacts | RotaError],
    question: Question,
) -> Plan:
    wanted = question.wanted[facts.group] if question.wanted is not None else None
    rows = plan_rows(partitions, known, question.target, wanted)
    left_out: set[TopicPartition] = set()
    if not question.scopes and wanted is None:
        for name in {tp.topic for tp in partitions}:
            topic = topics[name]
            if not isinstance(topic, RotaError):
                left_out |= {TopicPartition(name, number) for number in topic.partitions}
    return Plan(facts.group, facts, rows, tuple(sorted(left_out.difference(partitions))), facts.exists)


def _with_spans(admin: Admin, plan: Plan) -> Plan:
    """The plan with the times between which the records were written that it skips or reads again.

    By the headers of their batches: a reset that begins or ends inside of one tells the time of the whole batch.
    """
    bounds = {row.partition: row.bounds for row in plan.rows if row.bounds is not None}
    if not bounds:
        return plan
    firsts = admin.batches({tp: first for tp, (first, _) in bounds.items()})
    lasts = admin.batches({tp: last for tp, (_, last) in bounds.items()})
    spans = {}
    for tp in bounds:
        first, last = firsts.get(tp), lasts.get(tp)
        if isinstance(first, BatchFacts) and isinstance(last, BatchFacts):
            began = first.max_timestamp_ms if first.log_append else first.base_timestamp_ms
            if min(began, last.max_timestamp_ms) >= 0:
                spans[tp] = Span(*sorted((began, last.max_timestamp_ms)))
    return plan.with_spans(spans)
