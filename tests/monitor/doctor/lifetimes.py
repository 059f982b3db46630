"""A group's life in a few lines, as events: for the unit tests of rules about rebalances and commits.

    0.0 joined a @10.0.0.1
    0.1 done 1 range a=orders-0,orders-1
    9.9 started member-joined b
    10.0 done 2 range leader=b a=orders-0 b=orders-1
    20.0 left b session-expired certain: silent for 45 s
    20.5 reconciled 3 a=orders-0,orders-1

Times are seconds after START_MS; a member's id is its name with ``-id`` behind it, as in `tests.monitor.snapshots`; the
first member leads unless ``leader`` says who does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tests.monitor.snapshots import START_MS, tp

from rota.model import TopicPartition
from rota.monitor.doctor import CommitStep
from rota.timeline.events import (
    Event,
    MemberJoined,
    MemberLeft,
    MemberReconciled,
    RebalanceCompleted,
    RebalanceReason,
    RebalanceStarted,
)

__all__ = ["at", "commits", "life"]

_GROUP = "orders"


def at(second: float) -> int:
    """Milliseconds since 1970."""
    return START_MS + round(1000 * second)


def life(text: str) -> tuple[Event, ...]:
    """The events of these lines."""
    lines = [line.partition("#")[0].split() for line in text.splitlines()]
    return tuple(_event(at(float(words[0])), words[1], words[2:]) for words in lines if words)


def commits(**courses: Iterable[tuple[float, int]]) -> Mapping[TopicPartition, tuple[CommitStep, ...]]:
    """Second and offset of each commit; ``orders_0`` is the partition."""
    return {
        tp(name.replace("_", "-")): tuple(CommitStep(at(second), offset) for second, offset in course)
        for name, course in courses.items()
    }


def _event(at_ms: int, kind: str, words: list[str]) -> Event:
    match kind:
        case "joined":
            host = next((word[1:] for word in words[1:] if word[0] == "@"), "127.0.0.1")
            client_id = next((word[7:] for word in words[1:] if word.startswith("client=")), words[0])
            return MemberJoined(at_ms, _GROUP, f"{words[0]}-id", client_id, host)
        case "left":
            return MemberLeft(at_ms, _GROUP, f"{words[0]}-id", RebalanceReason(words[1]), " ".join(words[2:]))
        case "started":
            member = f"{words[1]}-id" if len(words) > 1 else ""
            return RebalanceStarted(at_ms, _GROUP, 0, RebalanceReason(words[0]), member)
        case "reconciled":
            member, held = _share(words[1])
            return MemberReconciled(at_ms, _GROUP, int(words[0]), member, held)
        case "done":
            told = dict(word.split("=", 1) for word in words[2:])
            leader = told.pop("leader", next(iter(told), None))
            assignment = dict(_share(f"{name}={value}") for name, value in told.items())
            lead = None if leader is None else f"{leader}-id"
            return RebalanceCompleted(at_ms, _GROUP, int(words[0]), words[1], lead, assignment)
    raise ValueError(f"no event is called {kind}")


def _share(word: str) -> tuple[str, tuple[TopicPartition, ...]]:
    name, _, held = word.partition("=")
    return f"{name}-id", tuple(tp(each) for each in held.split(",") if each)
