"""What `rota top --allow-changes` may do to a cluster: each thing previewed, and refused as the commands refuse it."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rota.admin.resets import Question, carry_out, make_plans
from rota.model import RotaError, count_of
from rota.monitor.reset import Kind, Target
from rota.monitor.reset_words import Scope, duration_ms, moment_ms
from rota.top.source import Preview

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from rota.admin import Admin
    from rota.model import TopicPartition
    from rota.monitor.reset import Plan, Wanted

    Rollback = Callable[[Mapping[str, Mapping[TopicPartition, Wanted]], datetime, Path | None], Path | None]

__all__ = ["WHERE_TO", "AdminChanges", "target_of"]

WHERE_TO = (
    "earliest · latest · an offset: 1200 · by so many: +10 -100 · back in time: 15m 2h · 2026-11-21T14:02Z"
)

_SHIFT = re.compile(r"[+-]\d{1,18}")


def target_of(text: str, now_ms: int) -> Target:
    """Where to, as one types it (`WHERE_TO`).

    Raises:
        RotaError: it is none of these.
    """
    word = text.strip()
    plain = {"earliest": Kind.TO_EARLIEST, "latest": Kind.TO_LATEST, "current": Kind.TO_CURRENT}
    name = word.lower().removeprefix("to-").removeprefix("to ")
    if name in plain:
        return Target(plain[name])
    if _SHIFT.fullmatch(word):
        return Target(Kind.SHIFT_BY, int(word))
    if word.isdecimal() and len(word) < 19:
        return Target(Kind.TO_OFFSET, int(word))
    try:
        return Target(Kind.BY_DURATION, now_ms - duration_ms(word))
    except RotaError:
        pass
    try:
        return Target(Kind.TO_DATETIME, moment_ms(word))
    except RotaError:
        raise RotaError(f"{word!r} says nowhere to go on from; one of these does: {WHERE_TO}") from None


class AdminChanges:
    """Asks ``admin``; ``rollback`` writes what was committed before a reset, ``diff`` shows a plan in lines."""

    def __init__(self, admin: Admin, rollback: Rollback, diff: Callable[[Plan], list[str]]) -> None:
        self._admin = admin
        self._rollback = rollback
        self._diff = diff
        self._plans: dict[str, Plan] = {}

    def preview_delete(self, group: str) -> Preview:
        """What would be gone."""
        facts = self._admin.describe_groups([group])[group]
        commits = self._admin.commits([group])[group]
        if isinstance(facts, RotaError):
            raise facts
        if isinstance(commits, RotaError):
            raise commits
        if not facts.exists:
            raise RotaError(f"the group {group} does not exist")
        topics = count_of(len({tp.topic for tp in commits}), "topic")
        lines = [
            f"State {facts.state}, {count_of(len(facts.members), 'member')}.",
            f"Forgotten: {count_of(len(commits), 'committed offset')} in {topics}.",
            "Whoever joins under this name afterwards begins by auto.offset.reset.",
        ]
        refused = ""
        if facts.members:
            refused = "Kafka refuses: stop these members first."
            lines += [
                f"  {member.client_id} on {member.host.lstrip('/')} ({member.member_id})"
                for member in facts.members
            ]
        return Preview(f"Delete the group {group}", tuple(lines), refused)

    def delete(self, group: str) -> str:
        """Do it."""
        failure = self._admin.delete_groups([group])[group]
        if failure is not None:
            raise failure
        return f"The group {group} is deleted."

    def preview_reset(self, group: str, partitions: Sequence[TopicPartition], wanted: str) -> Preview:
        """The plan of a reset, of these partitions or (none named) of all that is committed."""
        self._plans.pop(group, None)
        target = target_of(wanted, time.time_ns() // 1_000_000)
        topics: dict[str, list[int]] = {}
        for topic, number in partitions:
            topics.setdefault(topic, []).append(number)
        scopes = tuple(Scope(topic, tuple(sorted(numbers))) for topic, numbers in topics.items())
        plan = make_plans(self._admin, [group], Question(target, scopes))[group]
        if isinstance(plan, RotaError):
            raise plan
        refused, lines = "", self._diff(plan)
        if plan.is_refused:
            refused = (
                f"Refused: the group is {plan.state}, its members would commit over it. Stop these first."
            )
            lines += ["", *(f"  {m.client_id} on {m.host.lstrip('/')} ({m.member_id})" for m in plan.active)]
        elif plan.problems:
            refused = "Not all of it is possible: " + "; ".join(
                f"{row.partition}: {row.problem}" for row in plan.problems
            )
        elif not plan.rows:
            refused = "The group has committed nothing: choose a partition."
        else:
            self._plans[group] = plan
        return Preview(f"Reset {group} to {wanted.strip()}", tuple(lines), refused)

    def reset(self, group: str) -> str:
        """Do what was previewed last, after what was committed before is in a file."""
        plan = self._plans.pop(group)
        path = self._rollback({group: plan.before()}, datetime.now(UTC), None) if plan.before() else None
        outcome = carry_out(self._admin, plan)
        undo = (
            ""
            if path is None
            else f" To take it back: rota groups reset-offsets {group} --from-file {path} --execute"
        )
        if outcome.failures:
            failures = "; ".join(f"{tp}: {why}" for tp, why in sorted(outcome.failures.items()))
            raise RotaError(f"the reset failed in {failures}.{undo}")
        return f"{count_of(len(plan.rows), 'offset')} of {group} {'is' if len(plan.rows) == 1 else 'are'} reset.{undo}"
