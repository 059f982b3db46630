"""When is committed, and what: at most one commit is on its way, and nothing counts as committed before the
broker said so.

What is done is found by looking at what is not (`rota.consumer.core.lanes.Lanes.undone`): a record that is done
costs nothing. With thousands of records under way that look takes milliseconds, so it is taken less often
then: the quick one, for the first record of each partition that is not done, and seldomer still the full one,
for all that is done beyond it.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from typing import TYPE_CHECKING

from rota.consumer.clients.client import CommitError, Offset
from rota.consumer.core.offset_metadata import decode_done, encode_after, encode_done
from rota.consumer.core.progress import beyond, progress
from rota.model import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from rota.consumer.clients.client import Client, Message
    from rota.consumer.core.progress import Progress, Range
    from rota.consumer.core.state import Committer, Limits, Observer, Partition, Route

__all__ = ["Commits"]

log = logging.getLogger("rota.consumer")

_FEW = 50
"""So few records are walked through to learn how far was read; for more the client is asked."""
_QUICK_LOOK = 250
_FULL_LOOK = 50
"""Records under way for each millisecond between two looks: 0.1 and 0.4 us for each of them, so that looking
takes no more than a fortieth of the time ...
"""
_REST = 20
"""... and a twentieth on a machine, or among workers, where it takes longer than that."""
_UNANSWERED_MS = 60_000
_AGAIN_MS = 100


class Commits:
    """``partitions`` are those that are ours; it is the engine's, and changes. ``committer``: who takes
    commits.
    """

    def __init__(
        self,
        client: Client,
        committer: Committer,
        partitions: Mapping[TopicPartition, Partition],
        routes: Sequence[Route],
        limits: Limits,
        observer: Observer,
        clock_ms: Callable[[], int],
    ) -> None:
        self._client = client
        self._committer = committer
        self._partitions = partitions
        self._routes = routes
        self._exactly_once = any(route.outputs is not None for route in routes)
        self._limits = limits
        self._observer = observer
        self._clock_ms = clock_ms
        self._positions: dict[TopicPartition, int] = {}
        self._metadata_bytes = limits.metadata_bytes
        self._under_way = 0  # the number of the commit that has no answer yet
        self._count = 0
        self._sent_ms = 0
        self._next_ms = 0
        self._next_full_ms = 0
        self._last_ms = 0
        self._finished = 0
        self.fenced: str | None = None
        """Why nothing more can be committed: another member has our ``group.instance.id``, for one."""

    def handed_out(self, messages: Sequence[Message]) -> None:
        """These came from the client, and are given to the lanes at once.

        A partition may be revoked while the client hands out records of it. Its position is then beyond what
        the lanes know of: what counts is how far it was when everything had been given to them.
        """
        told = self.look(self._partitions) if len(messages) > _FEW else {}
        if len(told) == len(self._partitions):
            return
        kind = type(messages[0])
        wheres = zip(map(kind.topic, messages), map(kind.partition, messages), strict=True)
        for where, offset in dict(zip(wheres, map(kind.offset, messages), strict=True)).items():
            if where not in told:
                self._positions[TopicPartition(*where)] = offset + 1

    def look(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        """How far was read, of those partitions of which the client knows. Not inside a callback."""
        told = self._client.positions(partitions)
        self._positions.update(told)
        return told

    def forget(self, partitions: Iterable[TopicPartition]) -> None:
        """These are not ours any more."""
        for partition in partitions:
            self._positions.pop(partition, None)

    def when_due(self, now_ms: int) -> None:
        """Commit in the background what is done, if it is time."""
        if now_ms < self._next_ms or (self._under_way and now_ms < self._sent_ms + _UNANSWERED_MS):
            return
        finished = sum(route.workers.completed for route in self._routes)
        many = finished - self._finished >= self._limits.commit_every
        if not many and now_ms < self._last_ms + self._limits.commit_interval:
            return
        for route in self._routes:
            route.lanes.prune()
        in_flight = sum(route.in_flight for route in self._routes)
        full = now_ms >= self._next_full_ms or not many
        if full:
            self._next_full_ms = now_ms + in_flight // _FULL_LOOK
        self._next_ms = now_ms + max(self._limits.commit_spacing, in_flight // _QUICK_LOOK)
        self._last_ms = now_ms
        self._finished = finished
        self.look(self._partitions)
        offsets = self.due(self._partitions, full=full)
        self._next_ms = max(self._next_ms, now_ms + _REST * (self._clock_ms() - now_ms))
        if offsets:
            self._send(offsets, now_ms)

    def now(self, partitions: Iterable[TopicPartition]) -> bool | None:
        """Commit what is done of these and wait for the answer: whether it was taken, or there was nothing
        to commit; None if it may be later.
        """
        offsets = self.due(partitions, full=True)
        if not offsets:
            return True
        owned = {partition: self._partitions[partition] for partition in offsets}
        try:
            refused = self._committer.commit(offsets)
        except CommitError as error:
            self._note(offsets, owned, error, {})
            shorter = self._without_metadata(str(error), offsets)
            return None if shorter or not (self.fenced or error.lost or error.final) else False
        self._note(offsets, owned, None, refused)
        too_long = [reason for reason in refused.values() if self._without_metadata(reason, offsets)]
        return None if too_long else not refused

    def due(self, partitions: Iterable[TopicPartition], *, full: bool) -> dict[TopicPartition, Offset]:
        """What can be committed of these partitions and has not been; ``full``: with all that is done beyond
        it, else with what is known of that.
        """
        found = {}
        wanted = set(partitions)
        for partition, (offset, done) in (self._all() if full else self._first()).items():
            if partition not in wanted:
                continue
            state = self._partitions[partition]
            state.done = done
            wish = Offset(offset, self._text(state.committed, offset, done) or self._limits.note)
            if wish != state.committed:
                found[partition] = wish
        return found

    def _text(self, before: Offset | None, offset: int, done: Sequence[Range]) -> str:
        """What is named beyond ``offset``. What the commit ``before`` has named is named again, so that it is not
        repeated. Outputs of exactly-once handlers are visible by then: for these it is as long as it must be.
        """
        longest = self._metadata_bytes
        everything = encode_done(offset, done, longest) if longest else ""
        named = _named(before)
        if not named or decode_done(offset, everything) == tuple(done):
            return everything
        if self._exactly_once and before is not None:
            longest = max(longest, len(before.metadata.rstrip("\0")))
        text = encode_after(named, offset, done, longest)
        return everything if text is None else text

    def undone(self) -> dict[TopicPartition, list[int]]:
        """The offsets that were fetched and are not done."""
        found: dict[tuple[str, int], list[int]] = defaultdict(list)
        for messages, _ in self._pieces():
            kind = type(messages[0])
            wheres = zip(map(kind.topic, messages), map(kind.partition, messages), strict=True)
            for where, offset in zip(wheres, map(kind.offset, messages), strict=True):
                found[where].append(offset)
        return {TopicPartition(*where): offsets for where, offsets in found.items()}

    def _all(self) -> dict[TopicPartition, Progress]:
        undone = self.undone()
        found = {}
        for partition, state in self._partitions.items():
            position = self._positions.get(partition)
            if position is not None:
                state.kept = [item for item in state.kept if item.end > position]
                found[partition] = progress(undone.get(partition, ()), position, state.kept)
        return found

    def _first(self) -> dict[TopicPartition, Progress]:
        first = self._first_undone()
        return {
            partition: beyond(first.get(partition, position), state.done, position, state.kept)
            for partition, state in self._partitions.items()
            if (position := self._positions.get(partition)) is not None
        }

    def _first_undone(self) -> dict[tuple[str, int], int]:
        first: dict[tuple[str, int], int] = {}
        one_topic = len({topic for topic, _ in self._partitions}) == 1
        for messages, in_order in self._pieces():
            kind = type(messages[0])
            offsets = list(map(kind.offset, messages))
            partitions = list(map(kind.partition, messages))
            topics = [messages[0].topic()] * len(messages) if one_topic else list(map(kind.topic, messages))
            if in_order:  # of each partition the first one counts: the last that is written from the end
                here = dict(
                    zip(
                        zip(reversed(topics), reversed(partitions), strict=True),
                        reversed(offsets),
                        strict=True,
                    )
                )
                for where, offset in here.items():
                    if offset < first.get(where, offset + 1):
                        first[where] = offset
                continue
            for where, offset in zip(zip(topics, partitions, strict=True), offsets, strict=True):
                if offset < first.get(where, offset + 1):
                    first[where] = offset
        return first

    def _pieces(self) -> Iterator[tuple[Sequence[Message], bool]]:
        for route in self._routes:
            for messages, in_order in route.lanes.undone():
                if messages:
                    yield messages, in_order
            if route.lanes.dropped:
                yield route.lanes.dropped, False

    def _send(self, offsets: Mapping[TopicPartition, Offset], now_ms: int) -> None:
        self._count += 1
        number = self._under_way = self._count
        self._sent_ms = now_ms
        # Those that are ours now: if they go and come back before the answer, it is not for them.
        owned = {partition: self._partitions[partition] for partition in offsets}

        def answered(error: CommitError | None, refused: Mapping[TopicPartition, str]) -> None:
            if number != self._under_way:  # so late that another was sent
                if self._exactly_once and error is None:  # a transaction, and they follow each other
                    self._note(offsets, owned, error, refused)
                return
            self._under_way = 0
            if error is not None:
                passing = not (error.fenced or error.lost or error.final)
                wait_ms = _AGAIN_MS if passing else self._limits.commit_interval
                self._next_ms = max(self._next_ms, now_ms + wait_ms)
                self._finished = 0
            self._note(offsets, owned, error, refused)
            for reason in [str(error)] if error is not None else refused.values():
                self._without_metadata(reason, offsets)

        try:
            self._committer.commit_soon(offsets, answered)
        except CommitError as error:
            answered(error, {})

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

    def _without_metadata(self, reason: str, offsets: Mapping[TopicPartition, Offset]) -> bool:
        """Commit offsets alone from now on if the broker takes no text so long; whether that was it."""
        if "metadata" not in reason.lower():
            return False
        where, (_, text) = max(offsets.items(), key=lambda item: len(item[1].metadata))
        longest = len(text)
        state = self._partitions.get(where)
        before = state.committed if state is not None and self._exactly_once else None
        again = before is not None and _named(before) and len(before.metadata) >= longest
        if again and "too large" in reason.lower():
            self.fenced = (
                f"{where} cannot be committed: what was done out of order was named in {longest:,} bytes, and the "
                "broker takes no text so long any more; set its offset.metadata.max.bytes as high as it was"
            )
            return False
        if not self._metadata_bytes:
            return False
        self._metadata_bytes = longest // 2 if longest > 64 else 0
        log.warning(
            "the broker takes no %d bytes with an offset (offset.metadata.max.bytes); from now on at most %d",
            longest,
            self._metadata_bytes,
        )
        return True


def _named(before: Offset | None) -> tuple[Range, ...]:
    """What a commit says is done beyond its offset."""
    return () if before is None else decode_done(before.offset, before.metadata)
