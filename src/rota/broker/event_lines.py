"""One log line for each thing that happened in a group's life."""

from __future__ import annotations

from itertools import islice

from rota.timeline.events import (
    Event,
    MemberJoined,
    MemberLeft,
    OffsetCommitted,
    RebalanceCompleted,
    RebalanceStarted,
)

__all__ = ["event_line"]

_MOST_MEMBERS = 12  # a line for a group of thousands names only the first ones


def event_line(event: Event) -> str | None:
    """The event in words, or None for one that is not worth a line (every commit).

    What clients call themselves is theirs to choose: control characters are shown, not obeyed.
    """
    if isinstance(event, OffsetCommitted):
        return None  # by far the most frequent
    line = _words(event)
    if line is None or line.isprintable():
        return line
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in line)


def _words(event: Event) -> str | None:
    match event:
        case RebalanceStarted():
            why = f"{event.member} {event.reason.words}" if event.member else event.reason.words
            detail = f" ({event.detail})" if event.detail else ""
            return f"group {event.group}: rebalance begins after generation {event.generation}: {why}{detail}"
        case RebalanceCompleted() if not event.assignment:
            return f"group {event.group}: generation {event.generation} has no members: the group is empty"
        case RebalanceCompleted():
            shares = [
                f"{member}: {', '.join(map(str, partitions)) or 'none'}"
                for member, partitions in islice(event.assignment.items(), _MOST_MEMBERS)
            ]
            more = len(event.assignment) - len(shares)
            rest = f"; and {more} more member{'' if more == 1 else 's'}" if more > 0 else ""
            members = f"{len(event.assignment)} member{'' if len(event.assignment) == 1 else 's'}"
            protocol = f" ({event.protocol})" if event.protocol else ""
            return (
                f"group {event.group}: generation {event.generation} is stable, {members}"
                f"{protocol}: {'; '.join(shares)}{rest}"
            )
        case MemberJoined():
            static = f", static member {event.instance_id}" if event.instance_id else ""
            return f"group {event.group}: {event.member} joined from {event.host}{static}"
        case MemberLeft():
            detail = f" ({event.detail})" if event.detail else ""
            return f"group {event.group}: {event.member} {event.reason.words}{detail}"
        case _:
            return None
