"""Compacts logs while the broker serves: a little at a time, on its one event loop.

Each turn takes at most ``_TURN_S``, and then others are served at least as long. What takes long without needing the
interpreter (reading, writing, syncing, large codecs) is done in the flusher's thread. Parsing in that thread too
would be worse for everybody: after each system call the loop would wait 5 ms until it is given the interpreter back.
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final

from rota.model import KafkaError, TopicPartition
from rota.wire import WireError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rota.broker.broker import Broker
    from rota.broker.flusher import Flusher
    from rota.broker.loop import Loop
    from rota.storage import Log
    from rota.storage.cleanable import Cleanable
    from rota.storage.compaction import Compacted, Steps

__all__ = ["Cleaner"]

log = logging.getLogger(__name__)

_TURN_S: Final = 0.001
_BYTES_A_KEY: Final = 200  # what a key of usual length and its offset take in the map of a round


class Cleaner:
    """Every ``log.cleaner.backoff.ms`` it looks for the log that most needs it, and goes on until none does."""

    def __init__(self, broker: Broker, loop: Loop, flusher: Flusher) -> None:
        self._broker = broker
        self._loop = loop
        self._flusher = flusher
        self._steps: Steps[Compacted | None] | None = None
        self._what: tuple[TopicPartition, Cleanable] | None = None
        self._began_s = 0.0
        self._unreadable: set[Log] = set()  # until the next start
        self._closed = False

    def look(self) -> None:
        """Begin with the log that needs it most, if any does."""
        from rota.storage.cleanable import dirtiest

        broker = self._broker
        logs = [each for each in broker.topics.logs() if each[1] not in self._unreadable]
        try:
            found = dirtiest(logs, broker.directory.cleaned_to, broker.clock.now_ms())
        except (OSError, KafkaError) as error:
            log.error("cannot look for logs to compact: %s", error)
            found = None
        if found is None:
            broker.plan_compaction()
        else:
            self._begin(*found)

    def _begin(self, tp: TopicPartition, what: Cleanable) -> None:
        from rota.storage.compaction import compact

        settings = self._broker.settings
        most_keys = max(1, settings.int("log.cleaner.dedupe.buffer.size") // _BYTES_A_KEY)
        self._what = tp, what
        self._began_s = time.monotonic()
        self._steps = compact(what, self._broker.clock.now_ms(), max_keys=most_keys)
        self._take_turn()

    def _take_turn(self) -> None:
        self._advance(next)

    def _advance(self, resume: Callable[[Steps[Compacted | None]], Callable[[], object] | None]) -> None:
        """Go on, first as ``resume`` says, until the turn is over or something is to be done elsewhere."""
        steps = self._steps
        if steps is None or self._what is None or self._closed:
            return
        tp, what = self._what
        partition_log = what.log
        if self._broker.directory.logs.get(tp) is not partition_log:
            steps.close()  # the topic was deleted
            self._end()
            return
        turn_ends = time.perf_counter() + _TURN_S
        try:
            work = resume(steps)
            while work is None and time.perf_counter() < turn_ends:
                work = next(steps)
        except StopIteration as stop:
            self._finished(tp, what.first_dirty, stop.value)
        except (OSError, KafkaError, WireError) as error:
            log.error("%s is not compacted before the next start: %s", tp, error)
            self._give_up(partition_log)
        except Exception:
            log.exception("bug: the compaction of %s failed", tp)
            self._give_up(partition_log)
        else:
            if work is None:
                self._loop.call_later(_TURN_S, self._take_turn)
            else:
                self._flusher.do(work).add_done_callback(self._done_elsewhere)

    def _done_elsewhere(self, work: Future[object]) -> None:
        if not self._closed:
            self._loop.call_soon_threadsafe(lambda: self._go_on(work))

    def _go_on(self, work: Future[object]) -> None:
        error = work.exception()
        if error is None:
            result = work.result()
            self._advance(lambda steps: steps.send(result))
        else:
            self._advance(lambda steps: steps.throw(error))

    def _finished(self, tp: TopicPartition, first_dirty: int, done: Compacted | None) -> None:
        if done is not None:
            has_gained = done.records_removed or done.bytes_after < done.bytes_before
            log.log(
                logging.INFO if has_gained else logging.DEBUG,
                "%s: compacted up to offset %d in %.1f s, %d bytes are %d now",
                tp,
                done.end_offset,
                time.monotonic() - self._began_s,
                done.bytes_before,
                done.bytes_after,
            )
            self._flusher.do(self._broker.directory.note_cleaned(tp, done.end_offset)).add_done_callback(
                _say_if_failed
            )
        if done is not None and done.end_offset > first_dirty:
            self._end()
        else:
            # It is as dirty as it was: beginning with it again at once could go on for ever.
            self._steps = self._what = None
            self._broker.plan_compaction()

    def _give_up(self, partition_log: Log) -> None:
        """Other logs are compacted all the same."""
        self._unreadable.add(partition_log)
        self._end()

    def _end(self) -> None:
        self._steps = self._what = None
        self._loop.call_soon(self._look_again)

    def _look_again(self) -> None:
        if not self._closed:
            self.look()

    def close(self) -> None:
        """Throw away what is half done. The flusher's thread has ended by now."""
        self._closed = True
        if self._steps is not None:
            self._steps.close()
            self._steps = None


def _say_if_failed(work: Future[object]) -> None:
    error = work.exception()
    if error is not None:
        log.error("cannot write down how far logs are compacted: %s", error)
