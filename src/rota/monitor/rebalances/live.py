"""The rebalance that goes on, as far as records and looks tell of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.monitor.rebalances.departures import Departure, judge
from rota.monitor.view import RebalanceView
from rota.timeline.history import reason_words

if TYPE_CHECKING:
    from rota.model import TopicPartition
    from rota.monitor.rebalances.modern import Modern
    from rota.monitor.rebalances.story import Story

__all__ = ["under_way"]


def under_way(story: Story, modern: Modern | None, now_ms: int) -> RebalanceView | None:
    """What is shown of a rebalance until it is done; None: the group is at rest."""
    step = story.open
    if step is None:
        return None
    new = {each.member: each.client_id for each in step.joined if each.client_id}
    names = [story.names.of(each.member) for each in step.verdicts]
    words = [
        reason_words(each.reason, new.get(name, name))
        for each, name in zip(step.verdicts, names, strict=True)
    ]
    waiting = () if modern is None or story.kind != "consumer" else tuple(modern.waiting_for())
    return RebalanceView(
        step.began_ms,
        "; ".join(dict.fromkeys(words)) or "for an unknown reason",
        {tp: min(since_ms, now_ms) for tp, since_ms in sorted(_paused(story).items())},
        tuple(story.names.of(member_id) for member_id in waiting),
    )


def _paused(story: Story) -> dict[TopicPartition, int]:
    """Since when each partition is with nobody that reads it."""
    step = story.open
    assert step is not None
    if story.kind == "consumer":
        return story.free
    paused: dict[TopicPartition, int] = {}
    eager = "cooperative" not in (story.protocol or "")
    for member in story.members.values():
        gone = next(
            (each for each in step.causes if isinstance(each, Departure) and each.member == member.member_id),
            None,
        )
        if gone is not None:
            silent = judge(gone).reason.value != "member-left" and gone.signs_ms
            since_ms = gone.signs_ms[-1] if silent else gone.latest_ms
            paused.update(dict.fromkeys(member.held, since_ms))
        elif eager:
            paused.update(dict.fromkeys(member.held, step.began_ms))
    return paused
