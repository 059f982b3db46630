"""Resets of offsets for the browser: planned for anybody, carried out only as planned, and only where it is allowed.

A plan is kept here under a number that nobody guesses. What is carried out is that plan and no other: once, within a
quarter of an hour, if the group's name was typed, it still has no members, and its commits are still those that were
shown.

What was committed before is kept, from before the first change on, here and in a file: an answer that a broker or the
browser lost takes no way back with it, nor does the end of the server.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections import OrderedDict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from rota.admin.resets import Question, carry_out, make_plans
from rota.model import RotaError, count_of
from rota.monitor.reset import Effect, Kind, Plan, Row, Target
from rota.monitor.reset_file import plan_json
from rota.monitor.reset_words import Scope, duration_ms, moment_ms
from rota.shell import shell_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from rota.admin import Admin
    from rota.admin.resets import Outcome
    from rota.model import TopicPartition
    from rota.monitor.reset import Wanted

    Rollback = Callable[[Mapping[str, Mapping[TopicPartition, Wanted]], datetime, Path | None], Path | None]

__all__ = ["Changes", "command_line", "question_of", "summary", "wall_ms"]

KEPT_PLANS: Final = 32
PLAN_S: Final = 900.0
KEPT_OUTCOMES: Final = 32
OUTCOME_S: Final = 3600.0
"""How long it can be asked what became of a plan."""
MOST_ROWS: Final = 20_000
MOST_OFFSET: Final = 2**63 - 1

_KINDS: Final = {kind.value: kind for kind in Kind if kind is not Kind.FROM_FILE}

_HALVES: Final = re.compile("[\ud800-\udfff]")
"""JSON may have halves of letters, which nobody can send to a broker."""
_NUMBERED: Final = (Kind.TO_OFFSET, Kind.SHIFT_BY)


def wall_ms() -> int:
    """Now, in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class Changes:
    """Answers requests of the page; by several threads at once.

    ``rollback`` writes what was committed before a change into a file; None: nobody does.
    """

    def __init__(
        self,
        admin: Admin,
        *,
        allowed: bool,
        rollback: Rollback | None = None,
        connection: Sequence[str] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        done: Callable[[], None] = lambda: None,
    ) -> None:
        self.allowed = allowed
        self._admin = admin
        self._rollback = rollback
        self._connection = connection or ("--bootstrap-server", admin.bootstrap)
        """Options that the command lines need."""
        self._monotonic = monotonic
        self._done = done
        """Called when something was changed: whoever watches looks again at once."""
        self._plans: OrderedDict[str, tuple[float, Plan]] = OrderedDict()
        self._outcomes: OrderedDict[str, tuple[float, str, dict[str, Any]]] = OrderedDict()
        """By a plan's number: since when, the group, the answer."""
        self._lock = threading.Lock()

    def preview(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """What a reset would do.

        Raises:
            RotaError: the request is none, or the cluster does not answer.
        """
        group = _text(request, "group")
        question = question_of(request, wall_ms())
        plan = make_plans(self._admin, [group], question)[group]
        if isinstance(plan, RotaError):
            raise plan
        if not plan.exists:
            raise RotaError(f"group {group} does not exist")
        if not plan.rows:
            raise RotaError(f"group {group} has committed nothing there: name a topic to begin with one")
        if len(plan.rows) > MOST_ROWS:
            raise RotaError(f"{len(plan.rows):,} partitions are more than a page shows: choose a topic")
        line = command_line(group, question, self._connection)
        return self._document(plan, self._keep(plan)) | {"command": line}

    def execute(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Carry a plan out. Its ``rollback`` has every partition that was tried: what failed may be done all the same.

        Raises:
            RotaError: it is not allowed, or things are not as they were when the plan was made.
        """
        if not self.allowed:
            raise RotaError("this server only looks: start `rota web` with --allow-changes to reset offsets")
        group, number = _text(request, "group"), _text(request, "plan")
        if _text(request, "typed") != group:
            raise RotaError("the group's name was not typed as it is")
        plan = self._taken(number, group)
        self._check(plan)
        before = plan.before()
        back = {
            "rollback": plan_json({group: before}) if before else "",
            "file": self._written(group, before),
        }
        unknown = f"Group {group} is being reset, or what became of it is not known."
        self._remember(number, group, back | {"words": unknown, "failed": [], "finished": False})
        try:
            outcome = carry_out(self._admin, plan)
        finally:
            self._done()
        answer = back | {
            "words": _outcome_words(outcome),
            "failed": [f"{part}: {why}" for part, why in sorted(outcome.failures.items())],
            "finished": True,
        }
        self._remember(number, group, answer)
        return answer

    def outcome(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The answer of `execute` once more; while it is not there, one that is not ``finished``.

        Raises:
            RotaError: nothing is known of it.
        """
        group, number = _text(request, "group"), _text(request, "plan")
        with self._lock:
            kept_at, owner, answer = self._outcomes.get(number, (0.0, "", None))
        if answer is None or owner != group or self._monotonic() - kept_at > OUTCOME_S:
            raise RotaError("nothing was done by this plan, or that is long ago")
        return answer

    def _written(self, group: str, before: Mapping[TopicPartition, Wanted]) -> str:
        """Where what is committed now was written; "" for nowhere."""
        if self._rollback is None:
            return ""
        try:
            path = self._rollback({group: before}, datetime.now(UTC), None)
        except RotaError as error:  # worded for a command with options of its own
            why = str(error).partition("; --rollback FILE")[0]
            raise RotaError(f"{why}: start `rota web` in a directory where it may write") from None
        return "" if path is None else str(path.absolute())

    def _remember(self, number: str, group: str, answer: dict[str, Any]) -> None:
        with self._lock:
            self._outcomes[number] = self._monotonic(), group, answer
            while len(self._outcomes) > KEPT_OUTCOMES:
                self._outcomes.popitem(last=False)

    def _keep(self, plan: Plan) -> str:
        number = secrets.token_urlsafe(16)
        with self._lock:
            self._plans[number] = self._monotonic(), plan
            while len(self._plans) > KEPT_PLANS:
                self._plans.popitem(last=False)
        return number

    def _taken(self, number: str, group: str) -> Plan:
        with self._lock:
            made_at, plan = self._plans.pop(number, (0.0, None))
        if plan is None or plan.group != group or self._monotonic() - made_at > PLAN_S:
            raise RotaError("this plan is old or was carried out already: show the plan again")
        return plan

    def _check(self, plan: Plan) -> None:
        """Nothing has happened since the plan was made that would make it another."""
        facts = self._admin.describe_groups([plan.group])[plan.group]
        commits = self._admin.commits([plan.group])[plan.group]
        for answer in (facts, commits):
            if isinstance(answer, RotaError):
                raise answer
        assert not isinstance(facts, RotaError)
        assert not isinstance(commits, RotaError)
        if facts.state != "Empty":
            raise RotaError(f"group {plan.group} is {facts.state}: its members must be stopped first")
        moved = [row.partition for row in plan.rows if commits.get(row.partition) != row.old]
        if moved:
            raise RotaError(f"{moved[0]} was committed since this plan was made: show the plan again")

    def _document(self, plan: Plan, number: str) -> dict[str, Any]:
        return {
            "id": number,
            "summary": summary(plan),
            "rows": [_row(row) for row in plan.rows],
            "left_out": [str(part) for part in plan.left_out],
            "refused": self._refused(plan),
            "members": [
                f"{member.client_id or member.member_id} at {member.host.removeprefix('/')}"
                for member in plan.active
            ],
        }

    def _refused(self, plan: Plan) -> str:
        if plan.is_refused:
            return f"The group is {plan.state}. Its offsets can be reset once these members are stopped:"
        if not self.allowed:
            return "This is a plan only: this server was started without --allow-changes."
        if len(plan.problems) == len(plan.rows):
            return "None of these partitions can be reset."
        return ""


def question_of(request: Mapping[str, Any], now_ms: int) -> Question:
    """What the form asks for.

    Raises:
        RotaError: it makes no sense.
    """
    kind = _KINDS.get(_text(request, "scenario"))
    if kind is None:
        raise RotaError("there is no such way to reset")
    topic, numbers = _text(request, "topic", ""), _text(request, "partitions", "").strip()
    if numbers and not topic:
        raise RotaError("choose a topic: partitions without one could be anybody's")
    scopes = (Scope(topic, _numbers(numbers)),) if topic else ()
    return Question(Target(kind, _value(kind, _text(request, "value", "").strip(), now_ms)), scopes)


def command_line(group: str, question: Question, connection: Sequence[str]) -> str:
    """The same for a shell, without --execute; it can be run as it stands. A duration has become a moment.

    ``connection``: the options that reach the cluster, each word as it is.
    """
    words = ["rota", "groups", "reset-offsets", f"--group={group}"]
    for scope in question.scopes:
        numbers = "" if scope.partitions is None else ":" + ",".join(map(str, scope.partitions))
        words.append(f"--topic={scope.topic}{numbers}")
    if not question.scopes:
        words.append("--all-topics")
    kind, value = question.target
    if question.target.is_time:
        moment = datetime.fromtimestamp(value / 1000, UTC).isoformat(timespec="milliseconds")
        words.append(f"--to-datetime={moment.replace('+00:00', 'Z')}")
    else:
        words.append(f"--{kind.value}={value}" if kind in _NUMBERED else f"--{kind.value}")
    return shell_line([*words, *connection])


def _value(kind: Kind, text: str, now_ms: int) -> int:
    try:
        if kind is Kind.TO_DATETIME:
            return max(moment_ms(text), 0)
        if kind is Kind.BY_DURATION:
            return max(now_ms - duration_ms(text), 0)
    except RotaError as error:  # worded for a command line
        raise RotaError(str(error).removeprefix("--to-datetime ").removeprefix("--by-duration ")) from None
    if kind not in _NUMBERED:
        return 0
    digits = text.removeprefix("-") if kind is Kind.SHIFT_BY else text
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 19 or int(digits) > MOST_OFFSET:
        what = "number of records" if kind is Kind.SHIFT_BY else "offset"
        raise RotaError(f"{text[:40]!r} is no {what}")
    return int(text)


def _numbers(text: str) -> tuple[int, ...] | None:
    """``0, 3, 5-7``; None for all."""
    if not text:
        return None
    found: set[int] = set()
    for piece in text.split(","):
        first, dash, last = (part.strip() for part in piece.partition("-"))
        ends = (first, last if dash else first)
        if not all(end.isascii() and end.isdigit() and len(end) <= 6 for end in ends):
            raise RotaError(f"{piece.strip()[:40]!r} is no partition: expected numbers such as 0, 3, 5-7")
        if int(ends[0]) > int(ends[1]) or int(ends[1]) - int(ends[0]) > MOST_ROWS:
            raise RotaError(f"{piece.strip()[:40]!r} is no range of partitions")
        found.update(range(int(ends[0]), int(ends[1]) + 1))
    return tuple(sorted(found))


def summary(plan: Plan) -> str:
    """The plan in a sentence: ``3 partitions: 1,204 records are read again, 17 are skipped.``"""
    again, skipped = plan.total(Effect.AGAIN), plan.total(Effect.SKIPPED)
    parts = []
    if again:
        parts.append(f"{count_of(again, 'record')} {'is' if again == 1 else 'are'} read again")
    if skipped:
        parts.append(
            f"{count_of(skipped, 'record')} {'is' if skipped == 1 else 'are'} skipped, never to be read"
        )
    if plan.problems:
        parts.append(f"{count_of(len(plan.problems), 'partition')} cannot be reset")
    return (
        f"{count_of(len(plan.rows), 'partition')}: {', '.join(parts) or 'nothing is read again or skipped'}."
    )


def _outcome_words(outcome: Outcome) -> str:
    """Who tells of a failure may only have lost the answer: that is to be looked at."""
    plan, failed = outcome.plan, len(outcome.failures)
    reset = count_of(len(plan.rows) - len(plan.problems) - failed, "partition")
    if not failed:
        return f"{reset} of group {plan.group} reset."
    look = "its offset is as it was" if failed == 1 else "their offsets are as they were"
    return f"{reset} of group {plan.group} reset, {failed:,} failed: look whether {look}."


def _row(row: Row) -> dict[str, Any]:
    return {
        "partition": str(row.partition),
        "old": None if row.old is None else row.old.offset,
        "new": None if row.new is None else row.new.offset,
        "effect": row.effect.value,
        "words": _effect_words(row),
        "remark": row.remark,
        "problem": row.problem,
        "span": None if row.span is None else [row.span.first_ms, row.span.last_ms],
    }


def _effect_words(row: Row) -> str:
    return {
        Effect.AGAIN: f"{row.records:,} read again",
        Effect.SKIPPED: f"{row.records:,} skipped",
        Effect.FIRST: "first commit",
        Effect.UNCHANGED: "unchanged",
        Effect.METADATA: "other metadata",
        Effect.REMOVED: "removed",
        Effect.IMPOSSIBLE: "cannot be reset",
    }[row.effect]


def _text(request: Mapping[str, Any], key: str, default: str | None = None) -> str:
    value = request.get(key, default)
    if not isinstance(value, str) or len(value) > 1000 or _HALVES.search(value):
        raise RotaError(f"the request says no {key!r}")
    return value
