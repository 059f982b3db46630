"""What is wrong with a topic for those who read or write it, in one line that says what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.model import number_runs

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from rota.cluster.descriptions import PartitionDescription, TopicDescription

__all__ = ["no_leader_words", "too_few_words"]

MIN_IN_SYNC = "min.insync.replicas"


def no_leader_words(topic: TopicDescription) -> str:
    """``partition 1 of topic orders has no leader: start broker 2, which holds it``; empty if each has one."""
    parts = [part for part in topic.partitions if part.leader is None]
    if not parts:
        return ""
    # Of what was in sync last a partition can go on without a loss; Kafka does not always tell.
    holders = {broker for part in parts for broker in part.isr or part.replicas}
    one = len(parts) == 1
    what = "holds" if len(holders) == 1 else "hold"
    return (
        f"{_named(topic, parts)} {'has' if one else 'have'} no leader: start "
        f"{_brokers(holders, 'or' if one else 'and')}, which {what} {'it' if one else 'them'}"
    )


def too_few_words(topic: TopicDescription) -> str:
    """Why a producer that wants every copy (acks=all) waits; empty if no partition lacks copies."""
    wanted = next((int(each.value) for each in topic.configs if each.name == MIN_IN_SYNC), 1)
    parts = [part for part in topic.partitions if part.leader is not None and len(part.isr) < wanted]
    if not parts:
        return ""
    fewest = min(len(part.isr) for part in parts)
    away = {broker for part in parts for broker in part.replicas if broker not in part.isr}
    remedy = f"start {_brokers(away, 'and')} or lower that setting" if away else "lower that setting"
    verb = "has" if len(parts) == 1 else "have"
    copies = "copy" if fewest == 1 else "copies"
    return (
        f"{_named(topic, parts)} {verb} {fewest} {copies} in sync of the {wanted} "
        f"that {MIN_IN_SYNC} wants: {remedy}"
    )


def _named(topic: TopicDescription, parts: Collection[PartitionDescription]) -> str:
    numbers = ", ".join(number_runs([part.partition for part in parts]))
    return f"partition{'' if len(parts) == 1 else 's'} {numbers} of topic {topic.name}"


def _brokers(ids: Iterable[int], word: str) -> str:
    *most, last = sorted(ids)
    if not most:
        return f"broker {last}"
    return f"broker{'' if word == 'or' else 's'} {', '.join(map(str, most))} {word} {last}"
