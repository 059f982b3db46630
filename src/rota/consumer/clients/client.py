"""What the runtime asks of a Kafka client: so much of confluent-kafka's Consumer, and no more.

Every call is made by the owner thread (confluent-kafka 2.16 lets one call at a time through: a callback
that waits for another thread's call would wait for ever).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from rota.model import TopicPartition

__all__ = ["Client", "CommitError", "Message", "Offset", "Rebalance"]


class Message(Protocol):
    """A fetched record, as confluent-kafka hands it out; ``error`` is for what is no record."""

    def topic(self) -> str: ...
    def partition(self) -> int: ...
    def offset(self) -> int: ...
    def key(self) -> bytes | None: ...
    def value(self) -> bytes | None: ...
    def headers(self) -> Any: ...
    def timestamp(self) -> tuple[int, int]: ...
    def error(self) -> object | None: ...


class Offset(NamedTuple):
    """A committed offset: of the next record to read, with what the commit says besides."""

    offset: int
    metadata: str = ""


class Rebalance(Protocol):
    """Who is told of partitions that come and go; called inside `Client.consume` and `Client.close`."""

    def assigned(self, partitions: Sequence[TopicPartition]) -> None: ...
    def revoked(self, partitions: Sequence[TopicPartition]) -> None: ...
    def lost(self, partitions: Sequence[TopicPartition]) -> None: ...


class CommitError(Exception):
    """A commit was not taken, and why.

    ``fenced``: another member has this ``group.instance.id`` now. ``lost``: we are no member any more, or the
    partitions are not ours; a rebalance will tell. ``final``: the broker will say the same again (no right to, too
    long). None of the three: later it may be taken.
    """

    def __init__(self, reason: str, *, fenced: bool = False, lost: bool = False, final: bool = False) -> None:
        super().__init__(reason)
        self.fenced = fenced
        self.lost = lost
        self.final = final


class Client(Protocol):
    """One member of a group."""

    def subscribe(self, topics: Sequence[str], rebalance: Rebalance, /) -> None: ...

    def consume(self, most: int, timeout_s: float, /) -> Sequence[Message]:
        """What is at hand, up to ``most`` records; waits for the first of them. Calls back.

        Of a partition that goes meanwhile there may be records, unless it has come back: then there are only
        those fetched since.
        """
        ...

    def problem(self, message: Message) -> tuple[str, bool]:
        """What is handed out and is no record (`Message.error`), in words, and whether it is the end."""
        ...

    def committed(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Offset | None]:
        """What the group has committed; None where nothing is. Waits for the broker."""
        ...

    def start(self, starts: Mapping[TopicPartition, int | None]) -> None:
        """Inside `Rebalance.assigned`: begin to fetch at these offsets; None: as auto.offset.reset says."""
        ...

    def positions(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        """The offset behind the last record handed out since the partition came, or further, behind what is no record
        for us; of those partitions of which it is known.
        """
        ...

    def commit(self, offsets: Mapping[TopicPartition, Offset]) -> Mapping[TopicPartition, str]:
        """Commit and wait; what was refused and why. Raises `CommitError` when nothing was taken."""
        ...

    def commit_soon(
        self,
        offsets: Mapping[TopicPartition, Offset],
        answered: Callable[[CommitError | None, Mapping[TopicPartition, str]], None],
    ) -> None:
        """Commit; ``answered`` is called inside a later `consume`."""
        ...

    def group_metadata(self) -> Any:
        """What a transaction that commits offsets must know of this member; changes with every rebalance."""
        ...

    def pause(self, partitions: Iterable[TopicPartition]) -> None: ...
    def resume(self, partitions: Iterable[TopicPartition]) -> None: ...
    def close(self) -> None: ...
