"""When is committed, and what: at most one commit is on its way, and nothing counts as committed before the
broker said so.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from typing import TYPE_CHECKING

from rota.consumer.client import CommitError, Offset
from rota.consumer.offset_metadata import encode_done
from rota.consumer.progress import progress
from rota.model import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rota.consumer.client import Client, Message
    from rota.consumer.state import Limits, Observer, Partition, Route

__all__ = ["Commits"]

log = logging.getLogger("rota.consumer")


class Commits:
    """``partitions`` are those that are ours; it is the engine's, and changes."""

    def __init__(
        self,
        client: Client,
        partitions: Mapping[TopicPartition, Partition],
        routes: Sequence[Route],
        limits: Limits,
        observer: Observer,
    ) -> None:
        self._client = client
        self._partitions = partitions
        self._routes = routes
        self._limits = limits
        self._observer = observer
        self._under_way = False
        self._next_ms = 0
        self._last_ms = 0
        self._finished = 0
        self.fenced: str | None = None
        """Another member has our ``group.instance.id``: why nothing more can be committed."""

    def when_due(self, now_ms: int) -> None:
        """Commit in the background what is done, if it is time."""
        if self._under_way or now_ms < self._next_ms:
            return
        finished = sum(route.workers.completed for route in self._routes)
        many = finished - self._finished >= self._limits.commit_every
        if not many and now_ms < self._last_ms + self._limits.commit_interval:
            return
        self._next_ms = now_ms + self._limits.commit_spacing
        self._last_ms = now_ms
        self._finished = finished
        offsets = self.due(self._partitions)
        if not offsets:
            return
        self._under_way = True
        # Those that are ours now: if they go and come back before the answer, it is not for them.
        owned = {partition: self._partitions[partition] for partition in offsets}

        def answered(error: CommitError | None, refused: Mapping[TopicPartition, str]) -> None:
            self._under_way = False
            if error is not None:
                self._next_ms = max(self._next_ms, now_ms + self._limits.commit_interval)
            self._note(offsets, owned, error, refused)

        self._client.commit_soon(offsets, answered)

    def now(self, partitions: Iterable[TopicPartition]) -> bool:
        """Commit what is done of these and wait for the answer; whether it was taken, or there was nothing
        to commit.
        """
        offsets = self.due(partitions)
        if not offsets:
            return True
        owned = {partition: self._partitions[partition] for partition in offsets}
        try:
            refused = self._client.commit(offsets)
        except CommitError as error:
            self._note(offsets, owned, error, {})
            return False
        self._note(offsets, owned, None, refused)
        return not refused

    def due(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, Offset]:
        """What can be committed of these partitions and has not been."""
        wanted = [partition for partition in partitions if partition in self._partitions]
        positions = self._client.positions(wanted)
        undone = self.undone()
        found = {}
        for partition, position in positions.items():
            state = self._partitions[partition]
            state.kept = [item for item in state.kept if item.end > position]
            offset, done = progress(undone.get(partition, ()), position, state.kept)
            longest = self._limits.metadata_bytes
            beyond = encode_done(offset, done, longest) if longest else ""
            wish = Offset(offset, beyond or self._limits.note)
            if wish != state.committed:
                found[partition] = wish
        return found

    def undone(self) -> dict[TopicPartition, list[int]]:
        """The offsets that were fetched and are not done."""
        found: dict[tuple[str, int], list[int]] = defaultdict(list)
        for route in self._routes:
            _collect(route.lanes.undone(), found)
            _collect(route.lanes.dropped, found)
        return {TopicPartition(*where): offsets for where, offsets in found.items()}

    def _note(
        self,
        offsets: Mapping[TopicPartition, Offset],
        owned: Mapping[TopicPartition, Partition],
        error: CommitError | None,
        refused: Mapping[TopicPartition, str],
    ) -> None:
        if error is not None:
            if error.fenced:
                self.fenced = str(error)
            log.warning("a commit was not taken: %s; what it covered stays to be committed", error)
            self._observer.commit_failed(str(error))
            return
        for partition, reason in refused.items():
            log.warning("the commit of %s was not taken: %s", partition, reason)
            self._observer.commit_failed(reason)
        for partition, offset in offsets.items():
            if partition not in refused:
                owned[partition].committed = offset
                self._observer.committed(partition, offset)


def _collect(messages: Iterable[Message], found: dict[tuple[str, int], list[int]]) -> None:
    for message in messages:
        found[message.topic(), message.partition()].append(message.offset())
