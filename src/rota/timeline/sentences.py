"""What a coordinator's events mean, as sentences for a log.

`rota.rehearsal.story` adds what a lab does to its consumers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.model import number_runs
from rota.timeline.events import (
    Event,
    MemberJoined,
    MemberLeft,
    MemberReconciled,
    RebalanceCompleted,
    RebalanceStarted,
)
from rota.timeline.history import reason_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rota.model import TopicPartition

__all__ = ["held_words", "numbers", "sentence", "shares_sentence"]


def numbers(partitions: Iterable[TopicPartition]) -> str:
    """The partitions of one topic by their numbers: ``partitions 0 and 2``, ``partitions 0-6 and 9``."""
    held = [tp.partition for tp in sorted(partitions)]
    if len(held) == 1:
        return f"partition {held[0]}"
    found = number_runs(held)
    if len(found) == 1:
        return f"partitions {found[0]}"
    return f"partitions {', '.join(found[:-1])} and {found[-1]}"


def held_words(partitions: Iterable[TopicPartition]) -> str:
    """Partitions of any topics: ``orders 0, 2; mails 0-6``; "nothing" for none."""
    topics: dict[str, list[int]] = {}
    for topic, number in sorted(partitions):
        topics.setdefault(topic, []).append(number)
    return "; ".join(f"{topic} {', '.join(number_runs(held))}" for topic, held in topics.items()) or "nothing"


def shares_sentence(
    event: RebalanceCompleted,
    name: Callable[[str], str],
    *,
    word: str = "Generation",
    words_of: Callable[[Iterable[TopicPartition]], str] = held_words,
) -> str:
    """What a rebalance decided: ``Generation 7: c1 reads orders 0, 1; c2 is idle.``"""
    if not event.assignment:
        return f"{word} {event.generation}: the group is empty."
    shares = sorted((name(member), held) for member, held in event.assignment.items())
    texts = [f"{who} reads {words_of(held)}" if held else f"{who} is idle" for who, held in shares]
    return f"{word} {event.generation}: {'; '.join(texts)}."


def sentence(event: Event, name: Callable[[str], str], *, word: str = "Generation") -> str | None:
    """One sentence about the group, or None for what is none of its life (records, commits).

    ``name`` gives what people call a member id; ``word`` is what they call a generation.
    """
    match event:
        case RebalanceStarted():
            who = name(event.member) if event.member else ""
            return f"The group rebalances: {reason_words(event.reason, who)}."
        case RebalanceCompleted():
            return shares_sentence(event, name, word=word)
        case MemberJoined(member=member, host=host):
            return f"{name(member)} joined from {host.removeprefix('/')}."
        case MemberLeft(member=member):
            return f"{reason_words(event.reason, name(member))}."
        case MemberReconciled(member=member, partitions=partitions):
            return f"{name(member)} now reads {held_words(partitions)}."
        case _:
            return None
