"""What became of the notifications: counted at the mail server, and what the pods told on their way."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from examples.notifications.mail import message_id

from rota.model import count_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Accident", "Account", "Notifications", "lines"]


@dataclass
class Accident:
    """A kill -9 or a freeze."""

    pod: str
    kind: str
    at_ms: int
    under_way: list[str]
    """Notifications that the pod was sending."""
    held: list[int]
    """Its partitions."""
    until_ms: int | None = None
    """When a frozen pod went on."""


@dataclass
class Notifications:
    """What was heard while it went on."""

    asked_for: list[str] = field(default_factory=list)
    accidents: list[Accident] = field(default_factory=list)
    sending: dict[str, dict[str, int]] = field(default_factory=dict)
    """By pod: what it is sending, and since when."""
    sent: Counter[str] = field(default_factory=Counter)
    """By pod: how many it has sent, and heard so."""
    done_already: Counter[str] = field(default_factory=Counter)
    """By pod: how many came to it that the ledger knew as done."""
    questions: dict[str, list[tuple[int, str, bool]]] = field(default_factory=dict)
    """By notification: when which pod asked the mail server for it, and the answer."""
    partitions: dict[str, set[int]] = field(default_factory=dict)
    """By pod: what it reads."""

    def hear(self, pod: str, words: Mapping[str, object]) -> None:
        """One report of a pod."""
        what, at_ms = str(words["what"]), int(str(words["at_ms"]))
        which = str(words.get("id", ""))
        mine = self.sending.setdefault(pod, {})
        numbers = words.get("partitions")
        partitions = set(numbers) if isinstance(numbers, list) else set()
        if what == "sending":
            mine[which] = at_ms
        elif what == "sent":
            mine.pop(which, None)
            self.sent[pod] += 1
        elif what == "done already":
            self.done_already[pod] += 1
        elif what == "asked":
            self.questions.setdefault(which, []).append((at_ms, pod, bool(words["accepted"])))
        elif what == "assigned":
            self.partitions.setdefault(pod, set()).update(partitions)
        elif what in ("revoked", "lost"):
            self.partitions.setdefault(pod, set()).difference_update(partitions)

    def accident(self, pod: str, kind: str, at_ms: int) -> Accident:
        """It happens to a pod now."""
        happened = Accident(
            pod, kind, at_ms, sorted(self.sending.get(pod, ())), sorted(self.partitions.get(pod, ()))
        )
        self.accidents.append(happened)
        if kind == "kill":
            self.sending.pop(pod, None)
            self.partitions.pop(pod, None)
        return happened


@dataclass(frozen=True)
class Account:
    """The end. ``accepted``: how often the mail server has accepted which Message-ID from which pod."""

    story: Notifications
    accepted: Mapping[tuple[str, str], int]

    @property
    def lost(self) -> list[str]:
        """Asked for, and never accepted."""
        there = {message for message, _ in self.accepted}
        return [which for which in self.story.asked_for if message_id(which) not in there]

    @property
    def twice(self) -> list[str]:
        """Accepted more than once."""
        return sorted(message for message, count in self.by_message().items() if count > 1)

    def by_message(self) -> Counter[str]:
        """How often each Message-ID was accepted."""
        found: Counter[str] = Counter()
        for (message, _), count in self.accepted.items():
            found[message] += count
        return found

    def by_pod(self) -> Counter[str]:
        """How many e-mails were accepted from each pod."""
        found: Counter[str] = Counter()
        for (_, pod), count in self.accepted.items():
            found[pod] += count
        return found


def lines(account: Account, began_ms: int) -> list[str]:
    """The account for people."""
    story = account.story
    total = sum(account.by_message().values())
    found = [
        "Counted at the mail server, by Message-ID:",
        f"  notifications asked for    {len(story.asked_for):>5}",
        f"  e-mails accepted           {total:>5}",
        f"  lost                       {len(account.lost):>5}",
        f"  accepted twice             {len(account.twice):>5}",
        "",
        "Pod by pod:",
    ]
    for pod, count in sorted(account.by_pod().items()):
        skipped = story.done_already[pod]
        more = f"; {skipped} were handed to it that were sent already" if skipped else ""
        found.append(f"  {pod}  {count:>5} accepted by the mail server{more}")
    for accident in story.accidents:
        found += ["", *_told(account, accident, began_ms)]
    return found


def _told(account: Account, accident: Accident, began_ms: int) -> list[str]:
    at = f"{(accident.at_ms - began_ms) / 1000:.1f} s"
    if accident.kind == "kill":
        head = f"{accident.pod} was killed with kill -9 at {at}"
    else:
        until = f"{((accident.until_ms or accident.at_ms) - began_ms) / 1000:.1f} s"
        head = f"{accident.pod} was frozen (SIGSTOP) from {at} to {until}"
    count = len(accident.under_way)
    found = [f"{head}, with {count_of(count, 'e-mail')} under way{':' if count else ''}"]
    return [*found, *(f"  {which}: {_fate(account, accident, which)}" for which in accident.under_way)]


def _fate(account: Account, accident: Accident, which: str) -> str:
    asked = [question for question in account.story.questions.get(which, ()) if question[0] >= accident.at_ms]
    senders = sorted({pod for message, pod in account.accepted if message == message_id(which)})
    if not asked:
        return f"accepted from {_names(senders)}; nobody had to ask"
    _, who, accepted = asked[0]
    if accepted:
        return f"{who} found the claim open and asked the mail server: it was there, and was not sent again"
    return f"{who} found the claim open and asked the mail server: it was not there, and {_names(senders)} sent it"


def _names(pods: Iterable[str]) -> str:
    return " and ".join(pods) or "nobody"
