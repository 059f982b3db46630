"""What happens, as sentences: for a log without a terminal, and for the last lines of the live screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.model import number_runs
from rota.timeline.account import clock_text
from rota.timeline.events import (
    ConsumerStarted,
    ConsumerStopped,
    Event,
    Fault,
    FaultKind,
    Lost,
    MemberJoined,
    RebalanceCompleted,
    RebalanceStarted,
)
from rota.timeline.sentences import numbers, sentence, shares_sentence

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rota.model import TopicPartition
    from rota.timeline import Pause

__all__ = ["TOO_EARLY", "Story", "clock_text", "numbers", "runs"]

LEAST_PAUSE_MS = 500
ONE_REFUSAL_MS = 1_000

TOO_EARLY = "SIGTERM while it was starting"


def runs(held: Iterable[int]) -> str:
    """``0, 2``, and of many in a row the first and the last: ``0-6, 9``."""
    return ", ".join(number_runs(held))


class Story:
    """Tells each thing once; remembers what members are called."""

    def __init__(self, *, static: bool = False, generation_word: str = "generation") -> None:
        self._static = static
        self._generation_word = generation_word.capitalize()
        self._refused: dict[str, int] = {}
        self._names: dict[str, str] = {}
        self._started: set[str] = set()
        self._told: set[tuple[TopicPartition, int]] = set()

    def tell(self, event: Event) -> str | None:
        """One sentence, or None for what is not worth one (every record)."""
        match event:
            case ConsumerStarted(consumer=who, pid=pid):
                again = "comes back" if who in self._started else "starts"
                self._started.add(who)
                return f"{who} {again} as process {pid}."
            case ConsumerStopped(consumer=who, how=how) if how == TOO_EARLY:
                return f"{who} was stopped before it had begun."
            case ConsumerStopped(consumer=who, how=how) if self._static:
                return (
                    f"{who} has finished and committed ({how}); a static member does not leave: "
                    "its partitions wait for it until its session times out."
                )
            case ConsumerStopped(consumer=who, how=how):
                return f"{who} has finished, committed and left ({how})."
            case Fault():
                return self._fault(event)
            case Lost(consumer=who, partitions=partitions) if partitions:
                return f"{who} learns that it has lost {numbers(partitions)}; it may not commit any more."
            case MemberJoined(member=member, client_id=client):
                self._names[member] = client
                return None
            case RebalanceCompleted():
                return shares_sentence(event, self._name, word=self._generation_word, words_of=numbers)
            case RebalanceStarted():
                return sentence(event, self._name)
            case _:
                return None

    def _name(self, member: str) -> str:
        return self._names.get(member, member)

    def pauses(self, pauses: Iterable[Pause]) -> list[tuple[int, str]]:
        """(when, sentence) for each pause that has ended and was not told before."""
        found = []
        for pause in pauses:
            key = pause.partition, pause.start_ms
            if pause.end_ms is None or pause.duration_ms < LEAST_PAUSE_MS or key in self._told:
                continue
            self._told.add(key)
            sentence = (
                f"Partition {pause.partition.partition} is read again after {pause.duration_ms / 1000:.1f} s; "
                f"{pause.waiting} record{'' if pause.waiting == 1 else 's'} had waited ({pause.cause})."
            )
            found.append((pause.end_ms, sentence))
        return found

    def _refusal(self, event: Fault) -> str | None:
        """A client that is behind a rebalance has several commits refused at once: told as one."""
        before = self._refused.get(event.consumer)
        self._refused[event.consumer] = event.at_ms
        if before is not None and event.at_ms - before < ONE_REFUSAL_MS:
            return None
        return (
            f"{event.consumer}'s commit was refused ({event.detail}): what it keeps it commits again, "
            "what it has lost comes again elsewhere."
        )

    def _fault(self, event: Fault) -> str | None:
        who = event.consumer or "the broker"
        match event.kind:
            case FaultKind.CUT_OFF if not event.consumer:
                return "The group's coordinator does not answer."
            case FaultKind.RECONNECTED if not event.consumer and event.detail:
                return f"The group's coordinator answers again: {event.detail}."
            case FaultKind.RECONNECTED if not event.consumer:
                return "The group's coordinator answers again."
            case FaultKind.KILLED if event.detail:
                return f"{who} was killed ({event.detail}), by somebody else: no commit, no goodbye."
            case FaultKind.KILLED:
                return f"{who} is killed with kill -9: no commit, no goodbye."
            case FaultKind.CRASHED:
                return f"{who} crashed: {event.detail}."
            case FaultKind.FROZEN:
                return f"{who} is frozen (SIGSTOP): alive, but silent."
            case FaultKind.THAWED:
                return f"{who} goes on (SIGCONT)."
            case FaultKind.SLOWED:
                return f"{who} becomes slower: its handler takes {event.detail}."
            case "sped-up":
                return f"{who} becomes faster: its handler takes {event.detail}."
            case FaultKind.COMMIT_REFUSED:
                return self._refusal(event)
            case _:
                return f"{who}: {event.kind} {event.detail}".rstrip() + "."
