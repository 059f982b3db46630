"""Apache Kafka's own ``kafka-dump-log`` reads every file of a log that Rota wrote, and finds nothing wrong."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from tests.kafka.jars import KafkaMissingError, class_path, java

from rota.storage import Log, LogConfig
from rota.wire.compression import CODECS
from rota.wire.records import build_batch, end_marker

_CONFIG = LogConfig(segment_bytes=3_000, index_interval_bytes=200)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """240 records of a transactional producer in every codec, six transactions, and one that is open."""
    where = tmp_path_factory.mktemp("t-0")
    log = Log.open(where, _CONFIG, now_ms=1_000)
    for number in range(60):
        records = [
            (b"key", b"value %d" % number, 1_000 + number * 3 + each, [("h", b"x"), ("none", None)])
            for each in range(4)
        ]
        log.append(
            build_batch(
                records,
                compression=CODECS[number % len(CODECS)],
                producer_id=7,
                producer_epoch=1,
                base_sequence=4 * number,
                transactional=True,
            ),
            1_000 + number,
            check=False,
        )
        if number % 10 == 9:
            marker = end_marker(
                committed=number % 20 == 9,
                producer_id=7,
                producer_epoch=1,
                coordinator_epoch=3,
                timestamp=1_200,
            )
            log.append(marker, 1_000 + number, check=False)
    open_one = build_batch(
        [(b"a", b"b", 5_000, ())], producer_id=9, producer_epoch=0, base_sequence=0, transactional=True
    )
    log.append(open_one, 5_000, leader_epoch=2, check=False)
    log.close()
    return where


def dump(files: list[Path], *options: str) -> str:
    """What ``kafka-dump-log`` prints."""
    try:
        command = [java(), "-Xmx256m", "-cp", class_path(), "kafka.tools.DumpLogSegments"]
    except KafkaMissingError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    done = subprocess.run(
        [*command, "--files", ",".join(map(str, files)), *options],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_batch_and_record_is_valid(directory: Path) -> None:
    text = dump(sorted(directory.glob("*.log")), "--deep-iteration", "--print-data-log")
    assert text.count("isvalid: true") == 60 + 6 + 1
    assert "isvalid: false" not in text
    assert len(re.findall(r"payload: value", text)) == 240
    assert text.count("endTxnMarker: COMMIT") == text.count("endTxnMarker: ABORT") == 3


def test_indexes_match_their_logs(directory: Path) -> None:
    files = sorted([*directory.glob("*.index"), *directory.glob("*.timeindex")])
    text = dump(files)
    assert not re.search(r"mismatch|not found|out of order|should equal|non-consecutive", text, re.IGNORECASE)
    assert text.count("offset: ") > 30
    checked = dump(sorted(directory.glob("*.index")), "--index-sanity-check")
    assert checked.count("passed sanity check") == len(list(directory.glob("*.index")))


def test_producers_and_transactions_are_read(directory: Path) -> None:
    text = dump(sorted([*directory.glob("*.snapshot"), *directory.glob("*.txnindex")]))
    assert re.findall(r"firstOffset: (\d+) lastOffset: (\d+) lastStableOffset: (\d+)", text) == [
        ("41", "81", "82"),
        ("123", "163", "164"),
        ("205", "245", "246"),
    ]
    assert (
        "producerId: 9 producerEpoch: 0 coordinatorEpoch: -1 currentTxnFirstOffset: OptionalLong[246]" in text
    )
    assert "firstSequence: 236 lastSequence: 239 lastOffset: 244" in text
