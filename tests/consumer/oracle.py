"""What handlers saw, and what must be true of it: `tests/consumer/test_engine_model.py`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from tests.consumer.fakes import FakeClient, FakeMessage

from rota.consumer.clients.client import CommitError, Message, Offset
from rota.consumer.core.offset_metadata import decode_done
from rota.consumer.core.ordering import Order
from rota.consumer.core.progress import Range
from rota.model import TopicPartition


class Oracle:
    """One handler's: which records ran, in which order, and which are done. It outlives the process."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.done: dict[TopicPartition, set[int]] = defaultdict(set)
        self.done_messages: set[Message] = set()
        self.succeeded: set[Message] = set()
        """Those whose handler returned."""
        self.keys: dict[TopicPartition, list[tuple[int, object]]] = defaultdict(list)
        self.running: dict[object, Message] = {}
        self.begun: dict[tuple[TopicPartition, int], int] = defaultdict(int)

    def produced(self, message: FakeMessage) -> None:
        self.keys[message.where].append((message.at, self.key_of(message)))

    def key_of(self, message: Message) -> object:
        where = message.topic(), message.partition()
        if self.order == "key":
            return (*where, message.key())
        return where if self.order == "partition" else (*where, message.offset())

    def begin(self, messages: Sequence[FakeMessage]) -> None:
        """These begin, together: nothing of their order keys runs, and all before them is done."""
        for message in messages:
            assert message not in self.done_messages, f"{message} was done since it came, and began again"
            key = self.key_of(message)
            assert key not in self.running, f"{message} began while {self.running[key]} ran"
            with_it = {other.at for other in messages if other.where == message.where}
            missing = [
                at
                for at, its_key in self.keys[message.where]
                if its_key == key and at < message.at and at not in self.done[message.where] | with_it
            ]
            assert not missing, f"{message} began before {missing}"
        for message in messages:
            self.running[self.key_of(message)] = message
            self.begun[message.where, message.at] += 1

    def end(self, messages: Sequence[FakeMessage], done: int) -> None:
        """The first ``done`` of them are done."""
        for message in messages:
            self.running.pop(self.key_of(message), None)
        for message in messages[:done]:
            self.is_done(message)

    def is_done(self, message: FakeMessage) -> None:
        self.done[message.where].add(message.at)
        self.done_messages.add(message)

    def crash(self) -> None:
        self.running.clear()


class CheckedClient(FakeClient):
    """Every commit is looked at when it is asked for."""

    def __init__(self, kafka: object, oracles: dict[str, Oracle]) -> None:
        super().__init__(kafka)  # type: ignore[arg-type]
        self.oracles = oracles
        self.kept: dict[TopicPartition, set[int]] = {}
        self.written = Written()
        self.began_at: dict[TopicPartition, int] = {}

    def start(self, starts: object) -> None:
        super().start(starts)  # type: ignore[arg-type]
        self.began_at.update({at: offset or 0 for at, offset in starts.items()})  # type: ignore[attr-defined]
        for partition in starts:  # type: ignore[attr-defined]
            known = self.kafka.committed.get(partition)
            ranges = decode_done(known.offset, known.metadata) if known else ()
            self.kept[partition] = {at for first, end in ranges for at in range(first, end)}

    def _wish(self, offsets: object) -> None:
        super()._wish(offsets)  # type: ignore[arg-type]
        for partition, (offset, text) in offsets.items():  # type: ignore[attr-defined]
            self.check(partition, Offset(offset, text))

    def check(self, partition: TopicPartition, wish: Offset) -> None:
        """What a commit covers is done: by this member since the partition came, or else before that."""
        oracle = self.oracles[partition.topic]
        beyond = {at for first, end in decode_done(*wish) for at in range(first, end)}
        fetched = {message.at: message for message in self.open[partition]}
        for message in self.kafka.records.get(partition, ()):
            if message.at >= wish.offset and message.at not in beyond:
                continue
            mine = fetched.get(message.at)
            if mine is not None and message.at not in self.kept[partition]:
                assert mine in oracle.done_messages, f"{message} is committed, and not done (since it came)"
                if partition.topic != "events" and mine in oracle.succeeded:
                    assert mine in self.written.ever, f"{message} is committed, its outputs are not there"
            assert message.at in oracle.done[partition], f"{message} is committed, and not done"
        for message in self.written.kept:
            covered = message.at < wish.offset or message.at in beyond
            if message.where == partition and covered and message.at >= self.began_at[partition]:
                assert fetched.get(message.at) is message, f"outputs of {message}, from before it came"
        assert wish.offset <= max(
            self.handed_out.get(partition, 0), max(self.kept[partition], default=-1) + 1
        )

    def _confirm(self, offsets: object, refused: object) -> None:
        super()._confirm(offsets, refused)  # type: ignore[arg-type]
        for partition, (offset, text) in offsets.items():  # type: ignore[attr-defined]
            if partition not in refused:  # type: ignore[operator]
                self.written.committed(partition, offset, decode_done(offset, text))

    def undone(self, topics: Sequence[str]) -> list[FakeMessage]:
        """Records of these topics that were handed out and are not done."""
        return [
            message
            for partition, messages in self.open.items()
            if partition.topic in topics
            for message in messages
            if message not in self.oracles[partition.topic].done_messages
            and message.at not in self.kept[partition]
        ]


class Written:
    """What a handler wanted to produce: by record, as long as it may still be committed."""

    def __init__(self) -> None:
        self.kept: dict[FakeMessage, Sequence[Any]] = {}
        self.ever: set[FakeMessage] = set()

    @property
    def waiting(self) -> int:
        return len(self.kept)

    def done(self, message: Any, outputs: Sequence[Any]) -> None:
        self.kept[message] = outputs
        self.ever.add(message)

    def drop(self, message: Any) -> None:
        self.kept.pop(message, None)

    def forget(self, gone: Sequence[TopicPartition]) -> None:
        self._only(lambda message: message.where not in gone)

    def committed(self, partition: TopicPartition, offset: int, ranges: Sequence[Range]) -> None:
        self._only(
            lambda message: (
                message.where != partition
                or (message.at >= offset and not any(first <= message.at < end for first, end in ranges))
            )
        )

    def _only(self, wanted: Callable[[FakeMessage], bool]) -> None:
        self.kept = {message: found for message, found in self.kept.items() if wanted(message)}


TROUBLES = {
    "passing": lambda: CommitError("the coordinator moves"),
    "lost": lambda: CommitError("the generation is over", lost=True),
    "final": lambda: CommitError("no right to", final=True),
}
