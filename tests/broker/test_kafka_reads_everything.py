"""``kafka-dump-log`` over every file of a data directory that was used in all ways: nothing to complain about."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from confluent_kafka import Consumer
from tests.broker.workload import Workload, broker_on, without_threads
from tests.kafka.ports import PATIENCE_S
from tests.storage.power import Recorder
from tests.storage.test_kafka_tools import dump

from rota.storage.checkpoints import read_lines, read_offsets
from rota.testing import Broker

_COMPLAINTS = re.compile(
    r"isvalid: false|mismatch|not found|out of order|should equal|non-consecutive|could not|corrupt|invalid",
    re.IGNORECASE,
)


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records in every codec, transactions, commits, compaction, deletions, kills; both kinds of group."""
    where = tmp_path_factory.mktemp("used") / "data"
    workload = Workload(Recorder(where), 4)
    with pytest.MonkeyPatch.context() as patch:
        without_threads(patch)
        for run in range(3):
            with broker_on(where, {}) as broker:
                if not run:
                    workload.begin(broker)
                for _ in range(150):
                    workload.step(broker)
    with Broker(data_dir=where) as live:
        for protocol in ("classic", "consumer"):
            _consume(live.bootstrap_servers, protocol)
    return where


def _consume(address: str, protocol: str) -> None:
    consumer = Consumer(
        {
            "bootstrap.servers": address,
            "group.id": f"{protocol}-group",
            "group.protocol": protocol,
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe(["orders"])
    deadline = time.monotonic() + PATIENCE_S
    while not consumer.consume(10, 0.1):
        assert time.monotonic() < deadline
    consumer.commit(asynchronous=False)
    consumer.close()


def _files(used: Path, pattern: str, ending: str) -> list[Path]:
    return sorted(used.glob(f"{pattern}-*/*{ending}"))


def test_every_record_is_valid(used: Path) -> None:
    files = [each for each in _files(used, "*", ".log") if not each.parent.name.startswith("__")]
    text = dump(files, "--deep-iteration", "--print-data-log")
    assert not _COMPLAINTS.search(text)
    assert text.count("isvalid: true") > 100
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        assert f"compresscodec: {codec}" in text
    assert "endTxnMarker: COMMIT" in text
    assert "endTxnMarker: ABORT" in text


def test_what_groups_and_transactions_have_recorded_is_read(used: Path) -> None:
    offsets = dump(_files(used, "__consumer_offsets", ".log"), "--offsets-decoder", "--deep-iteration")
    assert not _COMPLAINTS.search(offsets)
    for group in ("g1", "g2", "exactly", "classic-group", "consumer-group"):
        assert f'"group":"{group}"' in offsets or f'"groupId":"{group}"' in offsets, group
    state = dump(_files(used, "__transaction_state", ".log"), "--transaction-log-decoder", "--deep-iteration")
    assert not _COMPLAINTS.search(state)
    assert '"transactionalId":"txn"' in state


def test_every_index_fits_its_log(used: Path) -> None:
    files = [*_files(used, "*", ".index"), *_files(used, "*", ".timeindex")]
    assert not _COMPLAINTS.search(dump(files))
    checked = dump(files, "--index-sanity-check")
    assert checked.count("passed sanity check") + checked.count("is empty.") == len(files)
    assert len(re.findall(r"\d\.index passed sanity check", checked)) > 5


def test_snapshots_and_aborted_transactions_are_read(used: Path) -> None:
    snapshots, aborted = _files(used, "*", ".snapshot"), _files(used, "*", ".txnindex")
    text = dump([*snapshots, *aborted])
    assert not _COMPLAINTS.search(text)
    assert text.count("Dumping ") == len(snapshots) + len(aborted)
    assert "lastStableOffset: " in text
    assert "producerId: " in text


def test_checkpoints_name_what_is_there(used: Path) -> None:
    directories = {each.name for each in used.iterdir() if each.is_dir()}
    for name in ("recovery-point-offset-checkpoint", "replication-offset-checkpoint"):
        points = read_offsets(used / name)
        assert {f"{tp.topic}-{tp.partition}" for tp in points} == directories
    for each in directories:
        epochs = read_lines(used / each / "leader-epoch-checkpoint", 2)
        assert [epoch for epoch, _ in epochs] == ["0"]
        assert (
            sorted(path.suffix for path in (used / each).iterdir() if path.suffix in {".tmp", ".swap"}) == []
        )
