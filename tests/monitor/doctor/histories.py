"""The recorded life of a group, from a few lines of text, for the rules about rebalances.

    0    joins pod-1@10.0.0.1              # seconds after the first look; client id and host, member id pod-1#1
    10   joins pod-2@10.0.0.2 static=two
    60   leaves pod-1 session-expired likely: its last commit was 45.0 s before
    61   changes pod-2 subscription-changed

Each line is a rebalance, which takes half a second. Someone who joins again has a new member id (``pod-1#2``), unless
``id=…`` tells it.
"""

from __future__ import annotations

from tests.monitor.snapshots import START_MS

from rota.model import TopicPartition
from rota.timeline.events import (
    Event,
    MemberJoined,
    MemberLeft,
    RebalanceCompleted,
    RebalanceReason,
    RebalanceStarted,
)

__all__ = ["GROUP", "history"]

GROUP = "orders"
TOOK_MS = 500


def history(text: str, *, start_ms: int = START_MS) -> tuple[Event, ...]:
    """The events, oldest first; times are after start_ms."""
    found: list[Event] = []
    there: dict[str, str] = {}
    seen: dict[str, int] = {}
    lines = [line.partition("#")[0].split() for line in text.splitlines()]
    for generation, words in enumerate(filter(None, lines), start=1):
        at_ms = start_ms + round(1000 * float(words[0]))
        name, _, host = words[2].partition("@")
        reason = RebalanceReason.MEMBER_JOINED
        if words[1] == "joins":
            seen[name] = seen.get(name, 0) + 1
            options = dict(word.split("=") for word in words[3:])
            member = there[name] = options.get("id", f"{name}#{seen[name]}")
            found.append(
                MemberJoined(
                    at_ms, GROUP, member, options.get("client", name), f"/{host}", options.get("static")
                )
            )
        else:
            reason = RebalanceReason(words[3])
            member = there[name] if words[1] == "changes" else there.pop(name)
            if words[1] == "leaves":
                found.append(MemberLeft(at_ms, GROUP, member, reason, " ".join(words[4:])))
        found.append(RebalanceStarted(at_ms, GROUP, generation - 1, reason, member, " ".join(words[4:])))
        assignment = {each: (TopicPartition(GROUP, number),) for number, each in enumerate(there.values())}
        found.append(RebalanceCompleted(at_ms + TOOK_MS, GROUP, generation, "range", None, assignment))
    return tuple(found)
