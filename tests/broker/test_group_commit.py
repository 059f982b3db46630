"""flush.messages and flush.ms: answers wait for the disk, and one sync is for many of them."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.broker.raw import RawClient
from tests.broker.test_persistence import bounds, commit, committed, create_topic, produce
from tests.kafka.ports import PATIENCE_S

from rota.model import ErrorCode
from rota.testing import Broker


class Disk:
    """Counts the syncs of this process, makes them slow, or lets them fail."""

    def __init__(self) -> None:
        self.syncs = 0
        self.seconds = 0.0
        self.fails = False
        self.failed = False
        self.in_threads: set[str] = set()

    def sync(self, _descriptor: int) -> None:
        self.syncs += 1
        self.in_threads.add(threading.current_thread().name)
        time.sleep(self.seconds)
        if self.fails:
            self.failed = True
            raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    monkeypatch.setattr(os, "fdatasync", disk.sync, raising=False)  # macOS has none
    return disk


@pytest.fixture
def broker(tmp_path: Path, disk: Disk) -> Iterator[Broker]:
    started = Broker({"log.flush.interval.messages": "1"}, data_dir=tmp_path / "data")
    started.start()
    yield started
    disk.fails = False
    if not disk.failed:
        started.stop()
        return
    with pytest.raises(
        OSError, match=os.strerror(errno.EIO)
    ):  # what it refused is still missing, and that is said
        started.stop()


def _at_once(address: str, count: int, each: Callable[[RawClient], None]) -> None:
    """``each`` on ``count`` connections at the same time."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            with RawClient(address) as client:
                each(client)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert not errors, errors


def test_one_sync_acknowledges_what_came_meanwhile(broker: Broker, disk: Disk) -> None:
    """20 connections, 10 records each, and a disk that takes 20 ms: far fewer syncs than records."""
    with RawClient(broker.bootstrap_servers) as client:
        assert create_topic(client, "orders") == 0

    def send(client: RawClient) -> None:
        for _ in range(10):
            assert produce(client, "orders", 100)[0] == 0

    disk.seconds, disk.syncs = 0.02, 0
    _at_once(broker.bootstrap_servers, 20, send)
    assert 10 <= disk.syncs <= 60
    assert all(name.startswith("rota-commit") for name in disk.in_threads)
    with RawClient(broker.bootstrap_servers) as client:
        assert bounds(client, "orders") == (0, 200)


def test_answers_wait_for_the_disk_and_nobody_else_does(broker: Broker, disk: Disk) -> None:
    with RawClient(broker.bootstrap_servers) as client, RawClient(broker.bootstrap_servers) as other:
        assert create_topic(client, "orders") == 0
        assert commit(client, "orders", 1) == 0  # the offsets topic is there
        disk.seconds = 0.5
        calls: list[Callable[[], int]] = [
            lambda: produce(client, "orders")[0],
            lambda: commit(client, "orders", 7),
        ]
        for call in calls:
            began = time.monotonic()
            served: list[float] = []

            def ask(times: list[float] = served) -> None:
                bounds(other, "orders")
                times.append(time.monotonic())

            thread = threading.Thread(target=ask)
            thread.start()
            assert call() == 0
            assert time.monotonic() - began >= 0.5
            thread.join(PATIENCE_S)
            assert served[0] - began < 0.4
        assert committed(client, "orders") == 7


def test_nothing_is_acknowledged_that_the_disk_has_refused(
    broker: Broker, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    """The log takes no more then, for what the disk says later is not to be believed; it is read all the same."""
    with RawClient(broker.bootstrap_servers) as client:
        assert create_topic(client, "orders") == 0
        assert create_topic(client, "others") == 0
        assert produce(client, "orders") == (0, 0)
        disk.fails = True
        assert produce(client, "orders") == (ErrorCode.KAFKA_STORAGE_ERROR, -1)
        disk.fails = False
        assert produce(client, "orders") == (ErrorCode.KAFKA_STORAGE_ERROR, -1)
        assert produce(client, "others") == (0, 0)
        assert bounds(client, "orders")[0] == 0
    assert caplog.text.count("cannot be brought to the disk") == 1


def test_an_offset_that_the_disk_has_refused_is_not_acknowledged(broker: Broker, disk: Disk) -> None:
    with RawClient(broker.bootstrap_servers) as client:
        assert create_topic(client, "orders") == 0
        assert commit(client, "orders", 1) == 0
        disk.fails = True
        with pytest.raises((OSError, EOFError, AssertionError)):
            commit(client, "orders", 2)


def test_flush_ms_brings_the_last_records_to_the_disk_too(tmp_path: Path, disk: Disk) -> None:
    """Though nothing is appended behind them."""
    with (
        Broker(data_dir=tmp_path / "data") as broker,
        RawClient(broker.bootstrap_servers) as client,
    ):
        assert create_topic(client, "orders", flush_ms="200") == 0
        assert produce(client, "orders") == (0, 0)
        deadline = time.monotonic() + PATIENCE_S
        while not disk.syncs:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_without_these_settings_nothing_is_synced(tmp_path: Path, disk: Disk) -> None:
    with (
        Broker(data_dir=tmp_path / "data") as broker,
        RawClient(broker.bootstrap_servers) as client,
    ):
        assert create_topic(client, "orders") == 0
        for _ in range(50):
            assert produce(client, "orders")[0] == 0
        assert disk.syncs == 0
