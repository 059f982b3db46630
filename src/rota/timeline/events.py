"""What can happen in the life of a consumer group, one frozen class per kind of event.

Three kinds of writers share this vocabulary. The group coordinator knows generations, members and committed
offsets; consumers know what they were given, read, finished and committed; a rehearsal knows what was
produced, and which faults it caused. A recording is a text file with one JSON object a line, see `to_json`.

``member`` is the coordinator's name for a member (its member id), ``consumer`` is the name a person gave to a
consumer. A consumer that sets ``client.id`` to its name lets `rota.timeline` tell that both are the same.
Offsets in an event are inclusive at both ends. A committed offset is Kafka's: of the next record to read.
Times are milliseconds since 1970, by the clock of whoever wrote the event.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from functools import cache
from typing import Any, Final

from rota.model import RotaError, TopicPartition
from rota.plain import Plain

__all__ = [
    "EVENT_TYPES",
    "FATAL_KINDS",
    "FORMAT_VERSION",
    "Assigned",
    "Committed",
    "ConsumerStarted",
    "ConsumerStopped",
    "Delivered",
    "Event",
    "Fault",
    "FaultKind",
    "Lost",
    "MemberJoined",
    "MemberLeft",
    "MemberReconciled",
    "OffsetCommitted",
    "Processed",
    "Produced",
    "RebalanceCompleted",
    "RebalanceReason",
    "RebalanceStarted",
    "Revoked",
    "from_json",
    "read_events",
    "to_json",
]

FORMAT_VERSION: Final = 1
"""The ``v`` of every line; raised when an older reader would misunderstand a newer line."""


class RebalanceReason(StrEnum):
    """Why a group began to share out its partitions anew, or why a member is no longer in it."""

    MEMBER_JOINED = "member-joined"
    MEMBER_LEFT = "member-left"
    SESSION_EXPIRED = "session-expired"
    POLL_INTERVAL_EXCEEDED = "poll-interval-exceeded"
    SUBSCRIPTION_CHANGED = "subscription-changed"
    PARTITIONS_ADDED = "partitions-added"
    LEADER_REJOINED = "leader-rejoined"
    STATIC_MEMBER_REPLACED = "static-member-replaced"
    MEMBER_REJOINED = "member-rejoined"
    OPERATOR = "operator"
    SYNC_TIMEOUT = "sync-timeout"
    JOIN_TIMEOUT = "join-timeout"
    REVOCATION_TIMEOUT = "revocation-timeout"

    @property
    def words(self) -> str:
        """The reason in plain English, as the end of a sentence that begins with the member's name."""
        return _REASON_WORDS[self]


_REASON_WORDS: Final[Mapping[RebalanceReason, str]] = {
    RebalanceReason.MEMBER_JOINED: "joined",
    RebalanceReason.MEMBER_LEFT: "left",
    RebalanceReason.SESSION_EXPIRED: "was silent for its whole session timeout",
    RebalanceReason.POLL_INTERVAL_EXCEEDED: "took longer than max.poll.interval.ms between two polls",
    RebalanceReason.SUBSCRIPTION_CHANGED: "changed its subscription",
    RebalanceReason.PARTITIONS_ADDED: "the number of partitions changed",
    RebalanceReason.LEADER_REJOINED: "the group's leader asked to join again",
    RebalanceReason.STATIC_MEMBER_REPLACED: "a static member came back with other settings",
    RebalanceReason.MEMBER_REJOINED: "asked to join again",
    RebalanceReason.OPERATOR: "an operator asked for it",
    RebalanceReason.SYNC_TIMEOUT: "did not fetch its assignment in time",
    RebalanceReason.JOIN_TIMEOUT: "did not join again in time",
    RebalanceReason.REVOCATION_TIMEOUT: "did not give up its partitions in time",
}


class FaultKind(StrEnum):
    """The faults that the analysis knows how to read; any other text is shown as it is and ends nothing."""

    KILLED = "kill-9"
    """The process is gone without a word; its ownership ends here."""
    CRASHED = "crash"
    """The program ended with an error; its ownership ends here."""
    FROZEN = "freeze"
    THAWED = "thaw"
    CUT_OFF = "network-cut"
    RECONNECTED = "network-heal"
    SLOWED = "slow"
    COMMIT_REFUSED = "commit-refused"
    """The group has moved on: who keeps the partition commits again, who does not has done it in vain."""

    @property
    def ends_ownership(self) -> bool:
        """Whether the consumer is no longer there afterwards."""
        return self in (FaultKind.KILLED, FaultKind.CRASHED)


FATAL_KINDS: Final = frozenset(kind.value for kind in FaultKind if kind.ends_ownership)
"""The kinds of faults after which the consumer is gone."""


class Event(Plain):
    """What all events have: when, in milliseconds since 1970."""

    at_ms: int


# Written by the coordinator, or by a monitor that watches one.


class RebalanceStarted(Event):
    """A group leaves its generation. ``member`` is "" when no single member was the reason."""

    group: str
    generation: int
    reason: RebalanceReason
    member: str = ""
    detail: str = ""


class RebalanceCompleted(Event):
    """Every member has its part of a new generation; ``assignment`` maps member ids.

    With KIP-848 ``generation`` is the group epoch, and members take over their parts one by one: what they hold
    before the last of them is done, `MemberReconciled` tells.
    """

    group: str
    generation: int
    protocol: str | None
    leader: str | None
    assignment: Mapping[str, tuple[TopicPartition, ...]]

    def __hash__(self) -> int:
        return hash((self.at_ms, self.group, self.generation))


class MemberJoined(Event):
    """A member id became part of the group; ``instance_id`` is ``group.instance.id`` of a static member."""

    group: str
    member: str
    client_id: str
    host: str
    instance_id: str | None = None


class MemberLeft(Event):
    """A member id is no longer part of the group."""

    group: str
    member: str
    reason: RebalanceReason
    detail: str = ""


class MemberReconciled(Event):
    """A member of a consumer group (KIP-848) holds other partitions than before; ``partitions`` are all it holds.

    Those that it was asked to give up are among them until it said that it did.
    """

    group: str
    epoch: int
    member: str
    partitions: tuple[TopicPartition, ...]


class OffsetCommitted(Event):
    """The coordinator recorded a committed offset (of the next record to read).

    ``member`` is empty where nobody said who it was, as for the offsets that a transaction commits.
    """

    group: str
    member: str
    topic: str
    partition: int
    offset: int


# Written by consumers, producers and rehearsals.


class ConsumerStarted(Event):
    """A consumer's process (or thread) runs; the same name may start again after it stopped or died."""

    consumer: str
    pid: int


class ConsumerStopped(Event):
    """A consumer ended by itself or because it was asked to; ``how`` is words for people ("SIGTERM")."""

    consumer: str
    how: str


class Assigned(Event):
    """A consumer was given these partitions, in addition to those it holds."""

    consumer: str
    partitions: tuple[TopicPartition, ...]


class Revoked(Event):
    """A consumer gave these partitions back, having had the chance to commit."""

    consumer: str
    partitions: tuple[TopicPartition, ...]


class Lost(Event):
    """A consumer learnt that these partitions had been taken from it; it could not commit any more."""

    consumer: str
    partitions: tuple[TopicPartition, ...]


class Produced(Event):
    """The broker acknowledged these records."""

    topic: str
    partition: int
    first_offset: int
    last_offset: int


class Delivered(Event):
    """A consumer's poll returned these records."""

    consumer: str
    topic: str
    partition: int
    first_offset: int
    last_offset: int


class Processed(Event):
    """A consumer's work on these records was done, its effect visible."""

    consumer: str
    topic: str
    partition: int
    first_offset: int
    last_offset: int


class Committed(Event):
    """A consumer's commit of this offset (of the next record to read) was confirmed."""

    consumer: str
    topic: str
    partition: int
    offset: int


class Fault(Event):
    """Something was done to a consumer ("" = to the broker); ``kind`` is a `FaultKind` or other words."""

    consumer: str
    kind: str
    detail: str = ""


EVENT_TYPES: Final[Mapping[str, type[Event]]] = {
    kind.__name__: kind
    for kind in (
        RebalanceStarted,
        RebalanceCompleted,
        MemberJoined,
        MemberLeft,
        MemberReconciled,
        OffsetCommitted,
        ConsumerStarted,
        ConsumerStopped,
        Assigned,
        Revoked,
        Lost,
        Produced,
        Delivered,
        Processed,
        Committed,
        Fault,
    )
}
"""Every event by the name that stands in a recording's ``event``."""


def to_json(event: Event) -> str:
    """One line without its newline: ``{"v":1,"event":"Delivered","at_ms":…,…}``.

    Fields follow in the order of the class. A partition is ``["orders", 0]``; non-ASCII stays readable.
    """
    kind = type(event)
    line: dict[str, Any] = {"v": FORMAT_VERSION, "event": kind.__name__}
    for name in kind.fields:
        line[name] = getattr(event, name)
    return json.dumps(line, separators=(",", ":"), ensure_ascii=False, default=dict)  # any mapping


def from_json(line: str | bytes) -> Event:
    """The event that `to_json` wrote.

    Raises:
        RotaError: not JSON, another format version, an unknown event or field, or a value of the wrong type.
    """
    try:
        values = json.loads(line)
    except ValueError as error:
        raise _unreadable(line, f"not JSON ({error})") from None
    if not isinstance(values, dict):
        raise _unreadable(line, "not a JSON object")
    version = values.pop("v", None)
    if version != FORMAT_VERSION:
        reason = f"format version {version!r}; this Rota reads version {FORMAT_VERSION}"
        raise _unreadable(line, reason)
    name = values.pop("event", None)
    kind = EVENT_TYPES.get(name) if isinstance(name, str) else None
    if kind is None:
        raise _unreadable(line, f"unknown event {name!r}; known are {', '.join(EVENT_TYPES)}")
    arguments = []
    for field_name, read in _readers(kind):
        try:
            arguments.append(read(values.pop(field_name)))
        except KeyError:
            raise _unreadable(line, f"{name} lacks {field_name!r}") from None
        except (TypeError, ValueError) as error:
            raise _unreadable(line, f"{name}.{field_name}: {error}") from None
    if values:
        raise _unreadable(line, f"{name} has no {next(iter(values))!r}")
    return kind(*arguments)


def read_events(lines: Iterable[str | bytes]) -> Iterator[Event]:
    """The events of a recording, in its order; empty lines are skipped.

    A last line without its newline that cannot be read is left out: its writer was killed while writing it.

    Raises:
        RotaError: as `from_json`, with the number of the line in front.
    """
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            event = from_json(line)
        except RotaError as error:
            whole = line.endswith("\n") if isinstance(line, str) else line.endswith(b"\n")
            if not whole:
                return
            raise RotaError(f"line {number}: {error}") from None
        yield event


def _unreadable(line: str | bytes, reason: str) -> RotaError:
    text = line if isinstance(line, str) else line.decode("utf-8", "replace")
    text = text.strip()
    shown = text if len(text) <= 80 else text[:79] + "…"
    return RotaError(f"cannot read the timeline event {shown!r}: {reason}")


def _read_int(value: object) -> int:
    if type(value) is not int:
        raise TypeError(f"{value!r} is not a whole number")
    return value


def _read_text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value


def _read_optional_text(value: object) -> str | None:
    return None if value is None else _read_text(value)


def _read_partitions(value: object) -> tuple[TopicPartition, ...]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is not a list of partitions")
    return tuple(_read_partition(item) for item in value)


def _read_partition(value: object) -> TopicPartition:
    match value:
        case [str(topic), int(partition)] if type(partition) is int:
            return TopicPartition(topic, partition)
    raise TypeError(f'{value!r} is not a partition such as ["orders", 0]')


def _read_assignment(value: object) -> dict[str, tuple[TopicPartition, ...]]:
    if not isinstance(value, dict):
        raise TypeError(f"{value!r} is not an assignment")
    return {member: _read_partitions(partitions) for member, partitions in value.items()}


_Reader = Callable[[object], Any]

_READERS: Final[Mapping[str, _Reader]] = {
    "int": _read_int,
    "str": _read_text,
    "str | None": _read_optional_text,
    "RebalanceReason": lambda value: RebalanceReason(_read_text(value)),
    "tuple[TopicPartition, ...]": _read_partitions,
    "Mapping[str, tuple[TopicPartition, ...]]": _read_assignment,
}


@cache
def _readers(kind: type[Event]) -> tuple[tuple[str, _Reader], ...]:
    """The fields of an event, and how each is read."""
    declared = {**Event.__annotations__, **kind.__annotations__}
    return tuple((name, _READERS[declared[name]]) for name in kind.fields)
