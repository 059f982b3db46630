"""What `rota top --allow-changes` may do to a cluster: each thing previewed, and refused as the commands refuse it.

What is done is what was shown and nothing else: if the group's members or commits have changed since, it is refused.
What is committed then is in a file before anything is changed.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from rota.admin.resets import Question, carry_out, make_plans
from rota.model import RotaError, count_of
from rota.monitor.reset import Kind, Target, Wanted
from rota.monitor.reset_words import Scope, duration_ms, moment_ms
from rota.shell import shell_line
from rota.top.source import Done, Preview

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from rota.admin import Admin
    from rota.model import TopicPartition
    from rota.monitor.facts import Commit, GroupFacts
    from rota.monitor.reset import Plan

    Rollback = Callable[[Mapping[str, Mapping[TopicPartition, Wanted]], datetime, Path | None], Path | None]

__all__ = ["WHERE_TO", "AdminChanges", "one_line", "target_of"]

WHERE_TO = (
    "earliest · latest · an offset: 1200 · by so many: +10 -100 · back in time: 15m 2h · 2026-11-21T14:02Z"
)

_T = TypeVar("_T")

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


def one_line(error: Exception) -> str:
    """What went wrong, for a person; also if nobody has foreseen it."""
    words = str(error) if isinstance(error, RotaError) else f"{type(error).__name__}: {error}"
    return " ".join(words.split()).removesuffix(".")


class AdminChanges:
    """Asks ``admin``; ``rollback`` writes what was committed before a change, ``diff`` shows a plan in lines.

    ``connection`` are the options with which a command line reaches the same cluster.
    """

    def __init__(
        self,
        admin: Admin,
        rollback: Rollback,
        diff: Callable[[Plan], list[str]],
        connection: Sequence[str],
    ) -> None:
        self.made: list[Done] = []
        self._admin = admin
        self._rollback = rollback
        self._diff = diff
        self._connection = tuple(connection)
        self._plans: dict[str, tuple[Preview, Plan]] = {}
        self._deletions: dict[str, tuple[Preview, Mapping[TopicPartition, Commit]]] = {}

    def preview_delete(self, group: str) -> Preview:
        """What would be gone."""
        self._deletions.pop(group, None)
        facts, commits = self._now(group)
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
        preview = Preview(f"Delete the group {group}", tuple(lines), refused)
        if not refused:
            self._deletions[group] = preview, commits
        return preview

    def delete(self, group: str, shown: Preview) -> Done:
        """Delete the group as it was shown.

        Raises:
            RotaError: it is no longer so, or its commits could not be written to a file; nothing was changed.
        """
        forgotten = _taken(self._deletions, group, shown)
        facts, commits = self._now(group)
        if not facts.exists:
            raise RotaError(f"the group {group} does not exist any more")
        if facts.members:
            raise RotaError(f"the group {group} is {facts.state} now: its members must be stopped first")
        _check_unmoved(forgotten, commits)
        undo = self._undo(group, {tp: Wanted(commit) for tp, commit in commits.items()})

        def order() -> Done:
            failure = self._admin.delete_groups([group])[group]
            if failure is not None:
                raise failure
            return Done(f"The group {group} is deleted.", undo)

        return self._carried_out(order, f"The group {group} was not deleted", undo)

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
        preview = Preview(f"Reset {group} to {wanted.strip()}", tuple(lines), refused)
        if not refused:
            self._plans[group] = preview, plan
        return preview

    def reset(self, group: str, shown: Preview) -> Done:
        """Carry out the plan that was shown.

        Raises:
            RotaError: it is old, or what is committed could not be written to a file; nothing was changed.
        """
        plan = _taken(self._plans, group, shown)
        facts, commits = self._now(group)
        if facts.state != plan.state:
            raise RotaError(f"the group {group} was {plan.state} and is {facts.state} now")
        _check_unmoved({row.partition: row.old for row in plan.rows}, commits, whole=False)
        undo = self._undo(group, plan.before())

        def order() -> Done:
            failures = carry_out(self._admin, plan).failures
            done = count_of(len(plan.rows) - len(failures), "offset")
            words = f"{done} of {group} {'is' if len(plan.rows) - len(failures) == 1 else 'are'} reset."
            if failures:
                words += " Failed: " + "; ".join(f"{tp}: {why}" for tp, why in sorted(failures.items()))
            return Done(words, undo, failed=bool(failures))

        return self._carried_out(order, f"The reset of {group} failed", undo)

    def _now(self, group: str) -> tuple[GroupFacts, Mapping[TopicPartition, Commit]]:
        """The group and its commits as they are."""
        facts = self._admin.describe_groups([group])[group]
        commits = self._admin.commits([group])[group]
        if isinstance(facts, RotaError):
            raise facts
        if isinstance(commits, RotaError):
            raise commits
        return facts, commits

    def _undo(self, group: str, before: Mapping[TopicPartition, Wanted]) -> str:
        """Write what is committed; the command line that restores it."""
        try:
            path = self._rollback({group: before}, datetime.now(UTC), None)
        except RotaError as error:  # worded for a command with options of its own
            raise RotaError(str(error).partition("; --rollback FILE")[0]) from None
        if path is None:
            return ""
        words = ["rota", "groups", "reset-offsets", f"--group={group}", "--from-file", str(path.absolute())]
        return shell_line([*words, "--execute", *self._connection])

    def _carried_out(self, order: Callable[[], Done], failed: str, undo: str) -> Done:
        """What became of it: from here on it may have been done, whatever fails."""
        try:
            done = order()
        except Exception as error:
            done = Done(f"{failed}: {one_line(error)}.", undo, failed=True)
        self.made.append(done)
        return done


def _taken(known: dict[str, tuple[Preview, _T]], group: str, shown: Preview) -> _T:
    """What was shown, which can be done once; not what a slow answer to an older question has put in its place."""
    preview, plan = known.pop(group, (None, None))
    if preview is not shown or plan is None:
        raise RotaError("this plan is old or was carried out already")
    return plan


def _check_unmoved(
    shown: Mapping[TopicPartition, Commit | None],
    commits: Mapping[TopicPartition, Commit],
    *,
    whole: bool = True,
) -> None:
    """Nothing was committed since; ``whole``: nor in any other partition."""
    for part in sorted({*shown, *commits} if whole else shown):
        if commits.get(part) != shown.get(part):
            raise RotaError(f"what is committed of {part} has changed since it was shown")
