"""What a member says about itself when it joins, as far as an assignor needs it.

The sticky strategies remember. ``sticky`` puts the member's last assignment and its generation into the user
data of its subscription (KIP-54, KIP-341); ``cooperative-sticky`` uses the owned partitions and the
generation that the subscription itself carries since version 1 and 2 (KIP-429, KIP-792), and for older
members a user data that holds the generation alone. User data that does not parse is no memory, never an
error: it comes from another program.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING, Protocol

from rota.model import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

__all__ = [
    "NO_GENERATION",
    "Assignor",
    "MemberSubscription",
    "decode_cooperative_user_data",
    "decode_sticky_user_data",
    "encode_cooperative_user_data",
    "encode_sticky_user_data",
    "partitions_of",
    "subscribed_counts",
]

NO_GENERATION = -1


@dataclass(frozen=True, slots=True)
class MemberSubscription:
    """One member's subscription.

    ``topics`` holds each topic once; ``owned_partitions`` what the member holds while it joins (cooperative);
    ``generation`` the one in which it got them, -1 when it does not say; ``instance_id`` makes it a static
    member; ``rack`` is carried, not used (see the package's docstring); ``user_data`` is the strategy's own
    memory.
    """

    topics: Sequence[str]
    owned_partitions: Sequence[TopicPartition] = ()
    generation: int = NO_GENERATION
    instance_id: str | None = None
    rack: str | None = None
    user_data: bytes | None = None


class Assignor(Protocol):
    """A strategy: from members (in the order of the JoinGroup response) and partition counts to shares."""

    def __call__(
        self, members: Mapping[str, MemberSubscription], partitions: Mapping[str, int], /
    ) -> dict[str, list[TopicPartition]]: ...


_SHORT, _INT = struct.Struct(">h"), struct.Struct(">i")
_new_partition: Callable[[tuple[str, int]], TopicPartition]
_new_partition = partial(tuple.__new__, TopicPartition)  # takes a third of the time of TopicPartition(…)


def partitions_of(topic: str, count: int) -> list[TopicPartition]:
    """All partitions of a topic, in order."""
    return list(map(_new_partition, zip(repeat(topic), range(count), strict=False)))


def subscribed_counts(members: Iterable[MemberSubscription], partitions: Mapping[str, int]) -> dict[str, int]:
    """The topics that some member wants and that exist with a partition or more, in the order first named."""
    topics: dict[str, None] = {}
    last: Sequence[str] | None = None
    for member in members:
        if member.topics != last:
            topics.update(dict.fromkeys(member.topics))
            last = member.topics
    return {topic: partitions[topic] for topic in topics if partitions.get(topic, 0) > 0}


def encode_sticky_user_data(partitions: Iterable[TopicPartition], generation: int) -> bytes:
    """The user data of a ``sticky`` member (version 1) that was given ``partitions`` in ``generation``."""
    by_topic: dict[str, list[int]] = {}
    for topic, number in partitions:
        by_topic.setdefault(topic, []).append(number)
    parts = [struct.pack(">i", len(by_topic))]
    for topic, numbers in by_topic.items():
        name = topic.encode()
        parts.append(struct.pack(f">h{len(name)}si{len(numbers)}i", len(name), name, len(numbers), *numbers))
    parts.append(struct.pack(">i", generation))
    return b"".join(parts)


def decode_sticky_user_data(
    data: bytes | None, topics: dict[bytes, str] | None = None
) -> tuple[list[TopicPartition], int]:
    """``(partitions, generation)`` from a ``sticky`` member's user data; nothing if unreadable.

    Versions 0 and 1. Calls that share ``topics`` (name as bytes to name) make each name once.
    """
    if not data:
        return [], NO_GENERATION
    try:
        partitions, position = _read_assignment(data, {} if topics is None else topics)
    except (struct.error, ValueError):
        return [], NO_GENERATION
    if len(data) - position < 4:  # version 0 ends here
        return partitions, NO_GENERATION
    (generation,) = _INT.unpack_from(data, position)
    return partitions, generation


def _read_assignment(data: bytes, names: dict[bytes, str]) -> tuple[list[TopicPartition], int]:
    partitions: list[TopicPartition] = []
    (topics,) = _INT.unpack_from(data)
    position, end = 4, len(data)
    if topics < 0:
        raise ValueError("negative count")
    for _ in range(topics):
        (size,) = _SHORT.unpack_from(data, position)
        position += 2
        if size < 0 or size > end - position:
            raise ValueError("name runs over the end")
        name = data[position : position + size]
        topic = names.get(name)
        if topic is None:
            topic = names[name] = name.decode("utf-8", "replace")
        position += size
        (count,) = _INT.unpack_from(data, position)
        position += 4
        if count < 0 or count > (end - position) // 4:
            raise ValueError("numbers run over the end")
        numbers = struct.unpack_from(f">{count}i", data, position)
        partitions += map(_new_partition, zip(repeat(topic), numbers, strict=False))
        position += 4 * count
    return partitions, position


def encode_cooperative_user_data(generation: int) -> bytes:
    """The user data of a ``cooperative-sticky`` member: the generation of its last assignment."""
    return struct.pack(">i", generation)


def decode_cooperative_user_data(data: bytes | None) -> int:
    """The generation in a ``cooperative-sticky`` member's user data, -1 if there is none."""
    if data is None or len(data) < 4:
        return NO_GENERATION
    (generation,) = _INT.unpack_from(data)
    return int(generation)
