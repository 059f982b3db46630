"""A group's rebalances as they are told to a person: what `rota.timeline` says of each, why, how sure, what it cost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rota.model import count_of
from rota.monitor.rebalances.costs import Cost, charge
from rota.timeline.account import Account, accounts, clock_text
from rota.timeline.history import reason_words
from rota.timeline.look import seconds
from rota.timeline.timeline import Timeline

if TYPE_CHECKING:
    from rota.monitor.rebalances.ends import Ends
    from rota.monitor.rebalances.steps import Step
    from rota.monitor.rebalances.story import Story
    from rota.monitor.rebalances.verdicts import Verdict
    from rota.timeline.ownership import Names

__all__ = ["Cost", "Told", "tell"]


@dataclass(frozen=True, slots=True)
class Told:
    """One rebalance; or, without ``account``, a static member's return to its place, for which there was none.

    ``verdicts`` are its causes, the first one first, with members' ids; ``names`` has what people call them.
    ``exact``: the beginning is known; of classic groups only the end is recorded. ``at_ms`` is the latest it may be
    then, and ``began_between_ms`` the earliest and the latest, or None where there is no earliest.
    """

    at_ms: int
    verdicts: tuple[Verdict, ...]
    account: Account | None
    cost: Cost
    names: dict[str, str]
    exact: bool
    skipped: int = 0
    began_between_ms: tuple[int, int] | None = None

    @property
    def since_ms(self) -> int:
        """The earliest that it may have begun, as far as that is known."""
        return self.at_ms if self.began_between_ms is None else min(self.began_between_ms[0], self.at_ms)

    @property
    def until_ms(self) -> int:
        """When it was done; far in the future while it goes on."""
        if self.account is None:
            return self.at_ms
        done_ms = self.account.rebalance.completed_ms
        return 2**62 if done_ms is None else done_ms

    @property
    def is_done(self) -> bool:
        """Whether it is over."""
        return self.account is None or self.account.rebalance.completed_ms is not None

    @property
    def title(self) -> str:
        """Its number and the time of day."""
        number = "" if self.account is None else f"#{self.account.number}"
        return f"{number:<3} {clock_text(self.at_ms)}"

    @property
    def words(self) -> str:
        """Why, in a sentence without its full stop."""
        if not self.verdicts:
            return "for an unknown reason"
        return "; ".join(dict.fromkeys(self._sentence(each) for each in self.verdicts))

    def _sentence(self, verdict: Verdict) -> str:
        name = self.names.get(verdict.member, verdict.member)
        if self.account is None:
            return f"{name} came back as a new process and took its former place, without a rebalance"
        return reason_words(verdict.reason, name)

    def lines(self) -> list[str]:
        """A heading and its details, these with an indent."""
        if self.account is None:
            return [f"{self.title}  {self.words}", *self.reasons()]
        _, completed, *details = self.account.lines()
        heading = f"{self.title}  {self.words}"
        details = [line for line in details if not line.startswith("    note: ")]
        if not self.exact and completed.startswith("    completed after "):
            completed = f"    {self._completed()}: {completed.partition(': ')[2]}"
        found = [heading, *self.reasons(), completed, *details]
        if self.skipped:
            found.append(f"    {count_of(self.skipped, 'generation')} before it not recorded any more")
        cost = self.cost.words
        return [*found, f"    cost: {cost}"] if cost else found

    def _completed(self) -> str:
        """When it was done, where it is not known exactly when it began."""
        text = f"completed at {clock_text(self.until_ms)}; "
        if self.began_between_ms is None:
            return text + "its beginning is not recorded"
        since_ms, until_ms = self.began_between_ms
        return f"{text}began between {clock_text(since_ms)} and then, at most {seconds(until_ms - since_ms)} before"

    def reasons(self) -> list[str]:
        """A line for each cause: how sure it is, and on what evidence."""
        several = len(self.verdicts) > 1
        return [f"    {f'{self._sentence(each)}: ' if several else ''}{each.words}" for each in self.verdicts]

    def paragraph(self) -> str:
        """The answer to "why did my group rebalance then?"."""
        why = "; ".join(f"{self._sentence(each)} ({each.words})" for each in self.verdicts) or self.words
        if self.account is None:
            return f"At {clock_text(self.at_ms)}: {why}."
        done = self.account.rebalance
        text = f"At {clock_text(self.at_ms)} the group rebalanced: {why}."
        if done.duration_ms is None:
            text += " It goes on."
        elif self.exact:
            text += f" It took {seconds(done.duration_ms)}."
        elif self.began_between_ms is not None:
            since_ms, until_ms = self.began_between_ms
            text += f" It began between {clock_text(since_ms)} and {clock_text(until_ms)}, "
            text += f"and took at most {seconds(until_ms - since_ms)}."
        else:
            text += " That is when it was done; when it began is not recorded."
        moved = {move.partition for move in self.account.moves}
        text += f" {count_of(len(moved), 'partition')} changed hands." if moved else " Nothing moved."
        cost = self.cost.words
        return f"{text} Cost: {cost}." if cost else text

    def document(self) -> dict[str, Any]:
        """The same for programs."""
        found: dict[str, Any] = {
            "at_ms": self.at_ms,
            "words": self.words,
            "rebalance": self.account is not None,
        }
        found["causes"] = [
            {
                "reason": each.reason.value,
                "member": each.member,
                "name": self.names.get(each.member, each.member),
                "certainty": each.certainty.value,
                "evidence": each.evidence,
                "doubts": each.doubts,
            }
            for each in self.verdicts
        ]
        if self.account is not None:
            found |= self.account.document() | {"words": self.words}
        found["began_exactly"] = self.exact
        between = self.began_between_ms
        found["began_between_ms"] = None if between is None else list(between)
        found["cost"] = {
            "partition_ms": self.cost.partition_ms,
            "paused_ms": {str(tp): ms for tp, ms in self.cost.paused.items()},
            "at_least_ms": {str(tp): ms for tp, ms in self.cost.at_least.items()},
            "by_commits": self.cost.by_commits,
            "records": self.cost.records,
        }
        return found


def tell(story: Story, ends: Ends | None = None) -> list[Told]:
    """Every rebalance that is remembered, oldest first; ``ends`` tell how many records came meanwhile."""
    whole = Timeline.of(story.events(commits=True), story.group)
    names = whole.history.names
    by_end: dict[tuple[int, int], Account] = {}
    unfinished: list[Account] = []
    for account in accounts(whole.summary()):
        done_ms = account.rebalance.completed_ms
        if done_ms is None:
            unfinished.append(account)
        else:
            by_end[account.rebalance.generation, done_ms] = account
    found: list[tuple[Step, Account | None]] = []
    for step in story.steps:
        done = step.completed
        if step.restart:
            found.append((step, None))
        elif done is not None and (done.generation, done.at_ms) in by_end:
            found.append((step, by_end[done.generation, done.at_ms]))
        elif done is None and unfinished:
            found.append((step, unfinished.pop(0)))
    return [_told(*each, names) for each in charge(found, ends)]


def _told(step: Step, account: Account | None, cost: Cost, names: Names) -> Told:
    verdicts = tuple(step.verdicts)
    known = {member_id: names.of(member_id) for member_id in _members(step)}
    if account is not None:
        account = _in_the_light_of(account, verdicts, known)
    between = step.began_between_ms
    return Told(step.began_ms, verdicts, account, cost, known, step.is_exact, step.skipped, between)


def _in_the_light_of(account: Account, verdicts: tuple[Verdict, ...], names: dict[str, str]) -> Account:
    """The account with these causes, in this order."""
    if not verdicts:
        return account
    first, *others = verdicts
    rebalance = replace(
        account.rebalance,
        reason=first.reason,
        member=names.get(first.member, first.member),
        detail=first.words,
        also=tuple(reason_words(each.reason, names.get(each.member, each.member)) for each in others),
    )
    return replace(account, rebalance=rebalance)


def _members(step: Step) -> set[str]:
    return step.named | {each.member for each in step.verdicts} | {each.member for each in step.joined}
