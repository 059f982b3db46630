"""``Watch``: a thread that looks, and readers who never wait for the cluster."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import SimpleQueue

import pytest
from tests.kafka.ports import PATIENCE_S
from tests.monitor.snapshots import START_MS, look

from rota.model import RotaError
from rota.monitor.looks import views
from rota.watching.looking import Seen
from rota.watching.watch import Watch

NEVER_S = 1_000_000.0
"""An interval that no test lives to see: what is looked at is what the test asks for."""


class Scripted:
    """Looks as a test tells them, each when the test says so."""

    def __init__(self) -> None:
        self.told: SimpleQueue[Seen | Exception] = SimpleQueue()
        self.asked = threading.Semaphore(0)

    def look(self) -> Seen:
        self.asked.release()
        found = self.told.get()
        if isinstance(found, Exception):
            raise found
        return found

    def wait(self) -> None:
        """Until somebody wants a look."""
        assert self.asked.acquire(timeout=PATIENCE_S)


def seen(text: str, at_ms: int = START_MS, failure: RotaError | None = None) -> Seen:
    snapshot = look(text, at_ms)
    return Seen(views=views([snapshot]), snapshot=snapshot, failure=failure)


@pytest.fixture
def source() -> Scripted:
    return Scripted()


@pytest.fixture
def watch(source: Scripted) -> Iterator[Watch]:
    with Watch(source=source, interval_s=NEVER_S) as watching:
        yield watching
        source.told.put(Seen())


def test_looks_are_numbered_and_published_whole(source: Scripted, watch: Watch) -> None:
    assert (watch.seen.number, watch.views(), watch.failure) == (0, {}, None)
    source.told.put(seen("group a\na-0 1/3"))
    assert watch.wait(0, PATIENCE_S) == 1
    assert watch.views()["a"].totals.lag == 2


def test_readers_of_a_slow_cluster_have_what_was_seen_before(source: Scripted, watch: Watch) -> None:
    source.told.put(seen("group a\na-0 1/3"))
    watch.wait(0, PATIENCE_S)
    source.wait()
    watch.refresh()
    source.wait()  # a look goes on, and does not end
    assert watch.views()["a"].at_ms == START_MS
    assert watch.wait(1, timeout_s=0.0) == 1


def test_a_failed_look_leaves_the_views_and_says_why(source: Scripted, watch: Watch) -> None:
    source.told.put(seen("group a\na-0 1/3"))
    watch.wait(0, PATIENCE_S)
    before = watch.seen
    watch.refresh()
    source.told.put(Seen(views=before.views, snapshot=before.snapshot, failure=RotaError("nobody answers")))
    assert watch.wait(1, PATIENCE_S) == 2
    assert str(watch.failure) == "nobody answers"
    assert watch.views() is before.views
    watch.refresh()
    source.told.put(seen("group a\na-0 3/3"))
    watch.wait(2, PATIENCE_S)
    assert watch.failure is None


def test_a_mistake_of_ours_does_not_end_the_watch(source: Scripted, watch: Watch) -> None:
    source.told.put(seen("group a\na-0 1/3"))
    watch.wait(0, PATIENCE_S)
    watch.refresh()
    source.told.put(KeyError("orders"))
    watch.wait(1, PATIENCE_S)
    assert "KeyError('orders')" in str(watch.failure)
    assert set(watch.views()) == {"a"}
    watch.refresh()
    source.told.put(seen("group b"))
    assert watch.wait(2, PATIENCE_S) == 3
    assert set(watch.views()) == {"b"}


def test_a_look_that_was_asked_for_while_one_goes_on_comes_after_it(source: Scripted, watch: Watch) -> None:
    source.wait()
    watch.refresh()
    source.told.put(seen("group a"))
    source.wait()
    source.told.put(seen("group b"))
    assert watch.wait(1, PATIENCE_S) == 2
    assert set(watch.views()) == {"b"}


def test_closing_frees_who_waits_and_does_not_wait_for_the_cluster(
    source: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rota.watching.watch.END_S", 0.0)
    watch = Watch(source=source, interval_s=NEVER_S)
    source.wait()
    waited: SimpleQueue[int] = SimpleQueue()
    waiting = threading.Thread(target=lambda: waited.put(watch.wait(0)), daemon=True)
    waiting.start()
    watch.close()
    assert waited.get(timeout=PATIENCE_S) == 0
    source.told.put(Seen())  # the thread ends with its look
    waiting.join(PATIENCE_S)
    _ends(watch)


def test_closing_ends_the_thread(source: Scripted) -> None:
    watch = Watch(source=source, interval_s=NEVER_S)
    source.told.put(Seen())
    watch.wait(0, PATIENCE_S)
    watch.close()
    _ends(watch)
    watch.close()


def _ends(watch: Watch) -> None:
    thread = next((each for each in threading.enumerate() if each is watch._thread), None)
    if thread is not None:
        thread.join(PATIENCE_S)
    assert not watch._thread.is_alive()


def test_looks_follow_each_other_at_the_interval() -> None:
    class Counting:
        looks = 0

        def look(self) -> Seen:
            self.looks += 1
            return Seen()

    counting: Counting = Counting()
    with Watch(source=counting, interval_s=0.001) as watch:
        assert watch.wait(4, PATIENCE_S) >= 5
    assert counting.looks >= 5
